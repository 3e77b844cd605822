//! What the archive knows of bans besides what fail2ban's database says: those made and lifted here, with who and why, and those its log
//! tells of. One ban is one row, whoever tells of it first: what is told of it again is found by its jail, address and time. The index by
//! address is named in each query: without figures SQLite takes the one by jail, and reads the whole jail for one ban.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Transaction, params};

use super::archive_counts::Counts;
use super::archive_row::{Counted, NewBan, insert, is_storable, jail_id, lines, remove};
use super::error::Error;
use super::notifications::gather_bans;
use super::open::Store;
use super::settings::set;
use crate::domain::actor::Actor;
use crate::domain::history::{Country, PastBan};
use crate::domain::own_ban::Lift;
use crate::domain::own_ban::{NEVER, OwnBan};
use crate::domain::time;

/// The setting that says how far fail2ban's log has been read.
pub const LOG_MARK: &str = "archive_log_mark";

/// How long after it was noted a ban of ours may be made, in seconds: as long as a command may take, and more.
const MADE_WITHIN: i64 = 90;
/// How far the clocks of two who tell of one ban may be apart: both round to seconds.
const ROUNDED: i64 = 2;
/// How long after its last failure a ban may be made, in seconds: fail2ban's database notes the failure, its log the ban.
const FAILED_BEFORE: i64 = 3600;
/// How long after its last failure a ban may be made that the database has told of first.
const TOLD_FIRST: i64 = 5;
/// What was lifted here is kept of so many.
const MOST_LIFTS: i64 = 100_000;

/// A ban that fail2ban's log tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The jail.
    pub jail: String,
    /// What was banned.
    pub ip: String,
    /// Unix time in milliseconds.
    pub at: i64,
    /// Where the address is, if known.
    pub country: Option<Country>,
}

/// What is lifted; `None` is every jail, or everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLift<'a> {
    /// The jail.
    pub jail: Option<&'a str>,
    /// What was banned.
    pub ip: Option<&'a str>,
}

impl Store {
    /// Notes bans before they are made, in one transaction: each in the place of an earlier one of its address, and as a ban of the archive.
    /// Gives jail and address of those that had to go for it.
    pub fn note_bans(&mut self, bans: &[(OwnBan, Option<Country>)], now: i64) -> Result<Vec<(String, String)>, Error> {
        let transaction = self.connection.transaction()?;
        let gone = super::own_bans::put(&transaction, bans.iter().map(|(ban, _)| ban))?;
        let mut counts = Counts::default();
        for (ban, country) in bans {
            note(&transaction, ban, *country, &mut counts)?;
        }
        counts.write(&transaction, now)?;
        transaction.commit()?;
        Ok(gone)
    }

    /// The commands of these have been run, by jail and address.
    pub fn bans_made(&mut self, names: &[(String, String)]) -> Result<(), Error> {
        let channels = Arc::clone(&self.channels);
        self.lightly(|transaction| {
            let mut update = transaction.prepare_cached(
                "UPDATE archive_seen SET is_made = 1 WHERE is_made = 0 AND id IN (
                     SELECT id FROM archive WHERE ip = ?2 AND jail = (SELECT id FROM archive_jails WHERE name = ?1))
                 RETURNING id",
            )?;
            let mut made: Vec<i64> = Vec::new();
            for (jail, ip) in names {
                let found = update.query_map((jail, ip), |row| row.get(0))?;
                made.extend(found.collect::<Result<Vec<i64>, _>>()?);
            }
            gather_bans(transaction, &channels, &made, time::now())?;
            Ok(((), !made.is_empty()))
        })
    }

    /// The commands of these have failed: no ban of the archive stays that nobody else tells of.
    pub fn bans_not_made(&mut self, names: &[(String, String)], now: i64) -> Result<(), Error> {
        self.lightly(|transaction| {
            let (mut counts, mut gone) = (Counts::default(), 0);
            for (jail, ip) in names {
                let mut find = transaction.prepare_cached(
                    "SELECT archive.id, banned_at, jail, country
                     FROM archive INDEXED BY archive_by_ip JOIN archive_seen USING (id)
                     WHERE ip = ?2 AND jail = (SELECT id FROM archive_jails WHERE name = ?1)
                     AND is_made = 0 AND is_stored = 0 AND logged_at IS NULL",
                )?;
                let found: Vec<Counted> = find.query_map((jail, ip), Counted::read)?.collect::<Result<_, _>>()?;
                for row in found {
                    remove(transaction, row, &mut counts)?;
                    gone += 1;
                }
            }
            counts.write(transaction, now)?;
            Ok(((), gone > 0))
        })?;
        // What somebody else tells of was made, whatever the command said.
        self.bans_made(names)
    }

    /// Whether the daemon has ever written the newest ban of ours of this jail and address into its database, as far as that was read. One
    /// that it has written and has no more was lifted.
    pub fn own_ban_was_written(&self, jail: &str, ip: &str) -> Result<bool, Error> {
        let mut find = self.connection.prepare_cached(
            "SELECT is_stored FROM archive INDEXED BY archive_by_ip JOIN archive_seen USING (id)
             WHERE ip = ?2 AND jail = (SELECT id FROM archive_jails WHERE name = ?1) AND actor IS NOT NULL
             ORDER BY banned_at DESC LIMIT 1",
        )?;
        Ok(find.query_row((jail, ip), |row| row.get(0)).optional()?.unwrap_or(true))
    }

    /// A ban of ours was made again after the daemon had lost it, between two Unix seconds: what was banned then is that ban.
    pub fn ban_made_again(&mut self, jail: &str, ip: &str, from: i64, to: i64) -> Result<(), Error> {
        self.lightly(|transaction| {
            let mut own = transaction.prepare_cached(
                "SELECT archive.id FROM archive INDEXED BY archive_by_ip JOIN archive_seen USING (id)
                 WHERE ip = ?2 AND jail = (SELECT id FROM archive_jails WHERE name = ?1) AND actor IS NOT NULL
                 ORDER BY banned_at DESC LIMIT 1",
            )?;
            let Some(id): Option<i64> = own.query_row((jail, ip), |row| row.get(0)).optional()? else {
                return Ok(((), false));
            };
            transaction
                .prepare_cached("UPDATE archive_seen SET again_from = ?2, again_to = ?3, is_made = 1 WHERE id = ?1")?
                .execute((id, from, to))?;
            let mut others = transaction.prepare_cached(
                "SELECT id, banned_at, jail, country FROM archive INDEXED BY archive_by_ip
                 WHERE ip = ?2 AND banned_at BETWEEN ?3 AND ?4
                 AND jail = (SELECT id FROM archive_jails WHERE name = ?1) AND id <> ?5",
            )?;
            let found = others.query_map((jail, ip, from, to, id), Counted::read)?;
            let mut counts = Counts::default();
            for row in found.collect::<Result<Vec<_>, _>>()? {
                remove(transaction, row, &mut counts)?;
            }
            counts.write(transaction, to)?;
            Ok(((), true))
        })
    }

    /// Stores bans that the log tells of and, where something is new, how far it was read, in one transaction. Gives how many were new.
    pub fn archive_logged(&mut self, bans: &[Logged], mark: &str, now: i64) -> Result<usize, Error> {
        let channels = Arc::clone(&self.channels);
        self.lightly(|transaction| {
            let (mut counts, mut added, mut fresh) = (Counts::default(), 0, Vec::new());
            for ban in bans {
                added += usize::from(logged(transaction, ban, &mut counts, &mut fresh)?);
            }
            counts.write(transaction, now)?;
            gather_bans(transaction, &channels, &fresh, now)?;
            if !bans.is_empty() {
                set(transaction, LOG_MARK, mark)?;
            }
            Ok((added, !bans.is_empty()))
        })
    }

    /// Notes where reading the log begins, where that is not known yet.
    pub fn begin_log(&mut self, mark: &str) -> Result<(), Error> {
        self.lightly(|transaction| Ok((set(transaction, LOG_MARK, mark)?, true)))
    }

    /// Notes what is to be lifted, and forgets the bans of ours that this lifts, in one transaction. Gives the numbers of the notes.
    pub fn note_lifts(
        &mut self,
        lifts: &[NewLift<'_>],
        actor: &Actor,
        note: &str,
        gone: &[(String, String)],
        now: i64,
    ) -> Result<Vec<i64>, Error> {
        let transaction = self.connection.transaction()?;
        let mut ids = Vec::with_capacity(lifts.len());
        for NewLift { jail, ip } in lifts {
            transaction
                .prepare_cached(
                    "INSERT INTO archive_lifts (at, jail, ip, note, actor_kind, actor) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute((now, jail, ip, note, actor.kind(), actor.name()))?;
            ids.push(transaction.last_insert_rowid());
        }
        super::own_bans::take(&transaction, gone)?;
        let newest = ids.last().copied().unwrap_or(0);
        transaction.prepare_cached("DELETE FROM archive_lifts WHERE id <= ?1")?.execute([newest - MOST_LIFTS])?;
        transaction.commit()?;
        Ok(ids)
    }

    /// Nothing was lifted: the notes go.
    pub fn lifts_not_made(&mut self, ids: &[i64]) -> Result<(), Error> {
        self.lightly(|transaction| {
            for id in ids {
                transaction.prepare_cached("DELETE FROM archive_lifts WHERE id = ?1")?.execute([id])?;
            }
            Ok(((), !ids.is_empty()))
        })
    }

    /// Whether anything was ever lifted here.
    pub(super) fn has_lifts(&self) -> Result<bool, Error> {
        Ok(self.connection.prepare_cached("SELECT 1 FROM archive_lifts LIMIT 1")?.exists([])?)
    }

    /// Whether and by whom a ban was lifted here before its time was over.
    pub(super) fn lift_of(&self, ban: &PastBan) -> Result<Option<Lift>, Error> {
        let seconds = ban.ban_time.filter(|seconds| *seconds >= 0.0);
        let end = seconds.map_or(i64::MAX, |seconds| ban.banned_at.saturating_add(seconds as i64));
        let mut next = self.connection.prepare_cached(
            "SELECT min(banned_at) FROM archive WHERE ip = ?1 AND banned_at > ?2
             AND jail = (SELECT id FROM archive_jails WHERE name = ?3)",
        )?;
        let next: Option<i64> = next.query_row((&ban.ip, ban.banned_at, &ban.jail), |row| row.get(0))?;
        let mut find = self.connection.prepare_cached(
            "SELECT at, actor_kind, actor, note FROM archive_lifts
             WHERE ip IS ?1 AND at BETWEEN ?2 AND ?3 AND (jail IS NULL OR jail = ?4) ORDER BY at LIMIT 1",
        )?;
        // The daemon rounds the time of a ban up.
        let start = ban.banned_at - 1;
        let (end, mut first): (_, Option<Lift>) = (end.min(next.unwrap_or(i64::MAX)), None);
        // Of this address, and of everything.
        for ip in [Some(ban.ip.as_str()), None] {
            let read = |row: &rusqlite::Row<'_>| {
                let kind: String = row.get(1)?;
                Ok(Lift { at: row.get(0)?, actor: Actor::of(&kind, row.get(2)?), note: row.get(3)? })
            };
            let found = find.query_row((ip, start, end, &ban.jail), read).optional()?;
            first = first.into_iter().chain(found).min_by_key(|lift| lift.at);
        }
        Ok(first)
    }
}

/// A ban of ours, before it is made.
fn note(
    transaction: &Transaction<'_>,
    ban: &OwnBan,
    country: Option<Country>,
    counts: &mut Counts,
) -> rusqlite::Result<()> {
    let ban_time = ban.until.map(|until| if until == NEVER { -1.0 } else { (until - ban.at) as f64 });
    let (jail, ip, banned_at) = (ban.jail.as_str(), ban.ip.as_str(), ban.at);
    let new = NewBan { jail, ip, banned_at, ban_time, count: 1, failures: 0, matches: &[], country };
    if !is_storable(&new) {
        return Ok(());
    }
    let jail = jail_id(transaction, jail)?;
    let (id, is_new) = match insert(transaction, jail, &new, counts)? {
        Some(id) => (id, true),
        // Of two in one second there is one row; whether fail2ban has written the later one down is not known yet.
        None => (row_at(transaction, jail, ip, banned_at)?.unwrap_or(0), false),
    };
    transaction
        .prepare_cached(
            "INSERT INTO archive_seen (id, is_stored, is_made, note, actor_kind, actor) VALUES (?1, ?2, 0, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET is_stored = 0, note = iif(actor IS NULL OR is_made = 0, excluded.note, note),
             actor_kind = iif(actor IS NULL OR is_made = 0, excluded.actor_kind, actor_kind),
             actor = iif(actor IS NULL OR is_made = 0, excluded.actor, actor)",
        )?
        .execute((id, !is_new, &*ban.note, ban.actor.kind(), ban.actor.name()))?;
    Ok(())
}

/// Whether a row of fail2ban's database is a ban that the archive has from somebody else. It has the times and the lines from now on.
pub(super) fn is_known(
    transaction: &Transaction<'_>,
    jail: i64,
    ban: &NewBan<'_>,
    counts: &mut Counts,
    fresh: &mut Vec<i64>,
) -> rusqlite::Result<bool> {
    if let Some(id) = again(transaction, jail, ban.ip, ban.banned_at)? {
        transaction.prepare_cached("UPDATE archive_seen SET is_stored = 1 WHERE id = ?1")?.execute([id])?;
        return Ok(true);
    }
    let at = ban.banned_at;
    let mut find = transaction.prepare_cached(
        "SELECT archive.id, banned_at, country, ifnull(is_stored, 1), actor IS NOT NULL
         FROM archive INDEXED BY archive_by_ip LEFT JOIN archive_seen USING (id)
         WHERE ip = ?1 AND jail = ?2 AND banned_at BETWEEN ?3 AND ?4",
    )?;
    let mut rows = find.query(params![ban.ip, jail, at - MADE_WITHIN, at + FAILED_BEFORE])?;
    let mut found: Option<(i64, i64, i64)> = None;
    while let Some(row) = rows.next()? {
        let (told_at, is_stored, is_own): (i64, bool, bool) = (row.get(1)?, row.get(3)?, row.get(4)?);
        if is_stored && told_at == at {
            // It was read there before.
            return Ok(true);
        }
        let is_near = if is_own { told_at <= at + ROUNDED } else { told_at >= at - ROUNDED };
        let is_nearer = found.is_none_or(|(_, other, _)| (told_at != at, told_at) < (other != at, other));
        if !is_stored && is_near && is_nearer {
            found = Some((row.get(0)?, told_at, row.get(2)?));
        }
    }
    let Some((id, told_at, country)) = found else { return Ok(false) };
    let failures = i64::try_from(ban.failures).unwrap_or(i64::MAX);
    transaction
        .prepare_cached(
            "UPDATE archive SET banned_at = ?2, ban_time = iif(ban_time IS NULL, ?3, ban_time), count = ?4, failures = ?5,
             matches = ?6 WHERE id = ?1",
        )?
        .execute(params![id, at, ban.ban_time, ban.count.max(1), failures, lines(ban.matches)])?;
    transaction.prepare_cached("UPDATE archive_seen SET is_stored = 1 WHERE id = ?1")?.execute([id])?;
    confirmed(transaction, id, fresh)?;
    if told_at != at {
        counts.add(told_at, jail, country, -1);
        counts.add(at, jail, country, 1);
    }
    Ok(true)
}

/// A ban that the log tells of. True where nobody has told of it before.
fn logged(
    transaction: &Transaction<'_>,
    ban: &Logged,
    counts: &mut Counts,
    fresh: &mut Vec<i64>,
) -> rusqlite::Result<bool> {
    let (ip, seconds) = (ban.ip.as_str(), ban.at.div_euclid(1000));
    let mut new = NewBan {
        jail: &ban.jail,
        ip,
        banned_at: seconds,
        ban_time: None,
        count: 1,
        failures: 0,
        matches: &[],
        country: ban.country,
    };
    if !is_storable(&new) {
        return Ok(false);
    }
    let jail = jail_id(transaction, &ban.jail)?;
    let mut seen = transaction.prepare_cached(
        "SELECT 1 FROM archive INDEXED BY archive_by_ip JOIN archive_seen USING (id)
         WHERE ip = ?1 AND jail = ?2 AND logged_at = ?3",
    )?;
    if seen.exists(params![ip, jail, ban.at])? || again(transaction, jail, ip, seconds)?.is_some() {
        return Ok(false);
    }
    // One of ours, or one that was read in the database a moment ago.
    let mut find = transaction.prepare_cached(
        "SELECT archive.id FROM archive INDEXED BY archive_by_ip LEFT JOIN archive_seen USING (id)
         WHERE ip = ?1 AND jail = ?2 AND banned_at BETWEEN ?3 AND ?4 AND logged_at IS NULL
         AND (actor IS NOT NULL OR banned_at >= ?5) ORDER BY banned_at DESC LIMIT 1",
    )?;
    let range = (seconds - MADE_WITHIN, seconds + ROUNDED, seconds - TOLD_FIRST);
    let known: Option<i64> =
        find.query_row(params![ip, jail, range.0, range.1, range.2], |row| row.get(0)).optional()?;
    let (id, is_stored) = match known {
        Some(id) => {
            confirmed(transaction, id, fresh)?;
            (id, true)
        }
        None => {
            // Of two in one second, the later one has the next.
            let first = seconds;
            loop {
                match insert(transaction, jail, &new, counts)? {
                    Some(id) => break (id, false),
                    None if new.banned_at < first + ROUNDED => new.banned_at += 1,
                    None => return Ok(false),
                }
            }
        }
    };
    transaction
        .prepare_cached(
            "INSERT INTO archive_seen (id, is_stored, logged_at, is_made) VALUES (?1, ?2, ?3, 1)
             ON CONFLICT DO UPDATE SET logged_at = excluded.logged_at",
        )?
        .execute((id, is_stored, ban.at))?;
    if known.is_none() {
        fresh.push(id);
    }
    Ok(known.is_none())
}

/// Somebody else tells of a ban of ours: it was made, and is news where nobody has said so before.
fn confirmed(transaction: &Transaction<'_>, id: i64, fresh: &mut Vec<i64>) -> rusqlite::Result<()> {
    let mut update = transaction.prepare_cached("UPDATE archive_seen SET is_made = 1 WHERE id = ?1 AND is_made = 0")?;
    if update.execute([id])? > 0 {
        fresh.push(id);
    }
    Ok(())
}

/// The ban of ours that a ban at this time is, where that was made again then.
fn again(transaction: &Transaction<'_>, jail: i64, ip: &str, at: i64) -> rusqlite::Result<Option<i64>> {
    let mut any = transaction
        .prepare_cached("SELECT 1 FROM archive_seen INDEXED BY archive_again WHERE again_to >= ?1 LIMIT 1")?;
    if !any.exists([at])? {
        return Ok(None);
    }
    transaction
        .prepare_cached(
            "SELECT archive.id FROM archive INDEXED BY archive_by_ip JOIN archive_seen USING (id)
             WHERE ip = ?1 AND jail = ?2 AND again_from <= ?3 AND again_to >= ?3",
        )?
        .query_row(params![ip, jail, at], |row| row.get(0))
        .optional()
}

fn row_at(transaction: &Transaction<'_>, jail: i64, ip: &str, at: i64) -> rusqlite::Result<Option<i64>> {
    let mut find =
        transaction.prepare_cached("SELECT id FROM archive WHERE ip = ?1 AND banned_at = ?2 AND jail = ?3")?;
    find.query_row(params![ip, at, jail], |row| row.get(0)).optional()
}

#[cfg(test)]
#[path = "archive_own_tests.rs"]
mod tests;
