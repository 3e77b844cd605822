//! Our long-term copy of every ban: written here, in bounded steps of one transaction each; read in `archive_read.rs`.
//!
//! Beside the rows stand counts of them per stretch of time. Both change in the same transaction, so they always agree.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{Error, Store};
use crate::domain::history::{BLOCKLIST_JAIL, Country, bucket_start, short_lines};

const DAY: i64 = 86_400;
/// Stretches of time that are counted, in seconds, and how long their counts are kept: longer than a chart shows them, so
/// that a clock set back by days still finds them. 0 is as long as the rows.
const SPANS: [(i64, i64); 4] = [(3600, 8 * DAY), (6 * 3600, 16 * DAY), (DAY, 0), (7 * DAY, 0)];
/// The longest text that is stored as the name of something banned, in bytes.
const MAX_IP: usize = 256;
/// Times that are believed, in Unix seconds: 1970 to 9999.
const TIMES: std::ops::Range<i64> = 1..253_402_300_800;
/// The setting that says how far fail2ban's database has been read.
pub const FAIL2BAN_MARK: &str = "archive_marks";
/// The setting that says since when what was put into the set of imported addresses has to be read.
pub const HELD_MARK: &str = "archive_held_mark";
/// The setting that says with which database files unknown countries were last looked up.
const RESOLVED_WITH: &str = "archive_resolved_with";

/// A ban to store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBan<'a> {
    /// The jail.
    pub jail: &'a str,
    /// What was banned.
    pub ip: &'a str,
    /// Unix seconds.
    pub banned_at: i64,
    /// Seconds, -1 for ever, `None` where unknown.
    pub ban_time: Option<f64>,
    /// Which ban of the address it was.
    pub count: i64,
    /// Failures that led to it.
    pub failures: u64,
    /// Log lines that led to it.
    pub matches: &'a [String],
    /// Where the address is, if known.
    pub country: Option<Country>,
}

/// How much is kept. 0 is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Days.
    pub days: u32,
    /// Rows.
    pub rows: u64,
    /// Bytes of the whole database file.
    pub bytes: u64,
}

/// Changes of the counts, gathered and written once a transaction, in the order of the tables: neighbours share a page.
#[derive(Default)]
struct Counts {
    jails: BTreeMap<i64, i64>,
    by_jail: BTreeMap<(i64, i64, i64), i64>,
    by_country: BTreeMap<(i64, i64, i64, bool), i64>,
}

impl Counts {
    /// Adds `change` rows at a time.
    fn add(&mut self, at: i64, jail: i64, country: i64, is_blocklist: bool, change: i64) {
        *self.jails.entry(jail).or_default() += change;
        for (span, _) in SPANS {
            *self.by_jail.entry((span, bucket_start(at, span), jail)).or_default() += change;
        }
        self.add_country(at, country, is_blocklist, change);
    }

    fn add_country(&mut self, at: i64, country: i64, is_blocklist: bool, change: i64) {
        for (span, _) in SPANS {
            *self.by_country.entry((span, bucket_start(at, span), country, is_blocklist)).or_default() += change;
        }
    }

    /// Writes them. Counts of a span that are kept for a while only are not begun anew for times before that.
    fn write(self, transaction: &Transaction<'_>, now: i64) -> rusqlite::Result<()> {
        let is_kept =
            |span: i64, start: i64| SPANS.iter().any(|(one, kept)| *one == span && (*kept == 0 || start >= now - kept));
        let mut statement = transaction.prepare_cached("UPDATE archive_jails SET bans = bans + ?2 WHERE id = ?1")?;
        for (jail, change) in self.jails.into_iter().filter(|(_, change)| *change != 0) {
            statement.execute([jail, change])?;
        }
        let mut add = transaction.prepare_cached(
            "INSERT INTO archive_by_jail_counts (span, start, jail, count) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )?;
        for ((span, start, jail), change) in self.by_jail {
            if change != 0 && is_kept(span, start) {
                add.execute([span, start, jail, change])?;
            }
        }
        let mut add = transaction.prepare_cached(
            "INSERT INTO archive_by_country_counts (span, start, country, blocklist, count) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )?;
        for ((span, start, country, is_blocklist), change) in self.by_country {
            if change != 0 && is_kept(span, start) {
                add.execute(params![span, start, country, is_blocklist, change])?;
            }
        }
        Ok(())
    }
}

impl Store {
    /// How far reading has come, as `archive_bans` was told; `key` is `FAIL2BAN_MARK` or `HELD_MARK`.
    pub fn archive_mark(&self, key: &str) -> Result<Option<String>, Error> {
        self.setting(key)
    }

    /// Stores bans and, with its key, how far reading has come, in one transaction. A ban that is there already is left alone. Gives how
    /// many were new.
    pub fn archive_bans(&mut self, bans: &[NewBan<'_>], mark: Option<(&str, &str)>, now: i64) -> Result<usize, Error> {
        self.lightly(|transaction| {
            let mut counts = Counts::default();
            let mut added = 0;
            for ban in bans.iter().filter(|ban| is_storable(ban)) {
                let jail = jail_id(transaction, ban.jail)?;
                let country = ban.country.map_or(0, Country::number);
                let mut insert = transaction.prepare_cached(
                    "INSERT INTO archive (banned_at, jail, ip, country, ban_time, count, failures, matches)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
                )?;
                let failures = i64::try_from(ban.failures).unwrap_or(i64::MAX);
                let (at, count, lines) = (ban.banned_at, ban.count.max(1), lines(ban.matches));
                if insert.execute(params![at, jail, ban.ip, country, ban.ban_time, count, failures, lines])? > 0 {
                    counts.add(at, jail, country, ban.jail == BLOCKLIST_JAIL, 1);
                    added += 1;
                }
            }
            counts.write(transaction, now)?;
            if let Some((key, text)) = mark {
                set(transaction, key, text)?;
            }
            Ok((added, added > 0 || mark.is_some()))
        })
    }

    /// Removes up to `limit` of the oldest rows beyond the bounds, and counts nobody shows any more. Gives how many rows went;
    /// as long as that is `limit`, there may be more.
    pub fn purge_archive(&mut self, bounds: Bounds, limit: usize, now: i64) -> Result<usize, Error> {
        let excess = self.archive_excess(bounds)?;
        // Whole days go, so that a bucket of a day never loses a part.
        let before = match bounds.days {
            0 => i64::MIN,
            days => bucket_start(now - i64::from(days) * DAY, DAY),
        };
        self.lightly(|transaction| {
            let gone = remove_oldest(transaction, before, excess, limit, now)?;
            let mut changed = gone;
            // Counts of a time with no row left go too: what was purged to save space must not leave its counts behind.
            let oldest: Option<i64> =
                transaction.prepare_cached("SELECT min(banned_at) FROM archive")?.query_row([], |row| row.get(0))?;
            for table in ["archive_by_jail_counts", "archive_by_country_counts"] {
                for (span, kept) in SPANS.iter().filter(|(_, kept)| *kept > 0) {
                    let sql = format!("DELETE FROM {table} WHERE span = ?1 AND start < ?2");
                    // A day more, so that this is done once a day and not each time.
                    let mut look =
                        transaction.prepare_cached(&format!("SELECT 1 FROM {table} WHERE span = ?1 AND start < ?2"))?;
                    if look.exists([*span, now - kept - DAY])? {
                        changed += transaction.prepare_cached(&sql)?.execute([*span, now - kept])?;
                    }
                }
                if gone > 0 {
                    let sql = format!("DELETE FROM {table} WHERE span = ?1 AND start < ?2 AND count = 0");
                    for (span, _) in SPANS {
                        transaction.prepare_cached(&sql)?.execute([span, oldest.unwrap_or(i64::MAX)])?;
                    }
                }
            }
            Ok((gone, changed > 0))
        })
    }

    /// How many rows are too many.
    fn archive_excess(&self, bounds: Bounds) -> Result<u64, Error> {
        let rows = self.archive_rows()?;
        let mut excess = if bounds.rows > 0 { rows.saturating_sub(bounds.rows) } else { 0 };
        let bytes = self.database_bytes()?;
        if bounds.bytes > 0 && bytes > bounds.bytes {
            // A row's share, its part of the indexes included; the next step looks again.
            let too_much = (bytes - bounds.bytes) * rows / bytes;
            excess = excess.max(too_much.max(1)).min(rows);
        }
        Ok(excess)
    }

    /// Bytes in use of the database file.
    pub fn database_bytes(&self) -> Result<u64, Error> {
        let read = |name: &str| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let pages = read("page_count")? - read("freelist_count")?;
        Ok((pages * read("page_size")?).max(0) as u64)
    }

    /// With which database files unknown countries were last looked up.
    pub fn archive_resolved_with(&self) -> Result<Option<String>, Error> {
        self.setting(RESOLVED_WITH)
    }

    /// Notes that all of them have been looked up with these.
    pub fn set_archive_resolved_with(&mut self, files: &str) -> Result<(), Error> {
        self.lightly(|transaction| Ok((set(transaction, RESOLVED_WITH, files)?, true)))
    }

    /// Looks up to `limit` rows without a country up, from the oldest behind `after`. Gives how many were resolved, and where to
    /// go on; `None` at the end.
    pub fn resolve_countries(
        &mut self,
        after: (i64, i64),
        limit: usize,
        now: i64,
        look_up: &dyn Fn(&str) -> Option<Country>,
    ) -> Result<(usize, Option<(i64, i64)>), Error> {
        self.lightly(|transaction| {
            let mut select = transaction.prepare_cached(
                "SELECT archive.id, banned_at, ip, name = ?4 FROM archive JOIN archive_jails ON archive_jails.id = jail
                 WHERE country = 0 AND (banned_at, archive.id) > (?1, ?2) ORDER BY banned_at, archive.id LIMIT ?3",
            )?;
            let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            let found = select.query_map(params![after.0, after.1, limit as i64, BLOCKLIST_JAIL], read)?;
            let rows: Vec<(i64, i64, String, bool)> = found.collect::<Result<_, _>>()?;
            let next = rows.last().filter(|_| rows.len() == limit).map(|(id, banned_at, ..)| (*banned_at, *id));
            let mut counts = Counts::default();
            let mut resolved = 0;
            for (id, banned_at, ip, is_blocklist) in rows {
                let Some(country) = look_up(&ip).map(Country::number) else { continue };
                transaction.prepare_cached("UPDATE archive SET country = ?2 WHERE id = ?1")?.execute([id, country])?;
                counts.add_country(banned_at, 0, is_blocklist, -1);
                counts.add_country(banned_at, country, is_blocklist, 1);
                resolved += 1;
            }
            counts.write(transaction, now)?;
            Ok(((resolved, next), resolved > 0))
        })
    }
}

/// Removes up to `limit` of the oldest rows: those from before a time, and as many more as are too many.
fn remove_oldest(
    transaction: &Transaction<'_>,
    before: i64,
    excess: u64,
    limit: usize,
    now: i64,
) -> rusqlite::Result<usize> {
    let mut select = transaction.prepare_cached(
        "SELECT archive.id, banned_at, jail, country, name = ?2 FROM archive JOIN archive_jails ON archive_jails.id = jail
         ORDER BY banned_at, archive.id LIMIT ?1",
    )?;
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
    let oldest: Vec<(i64, i64, i64, i64, bool)> =
        select.query_map(params![limit as i64, BLOCKLIST_JAIL], read)?.collect::<Result<_, _>>()?;
    let mut counts = Counts::default();
    let mut gone = 0;
    for (id, banned_at, jail, country, is_blocklist) in oldest {
        if banned_at >= before && gone as u64 >= excess {
            break;
        }
        transaction.prepare_cached("DELETE FROM archive WHERE id = ?1")?.execute([id])?;
        counts.add(banned_at, jail, country, is_blocklist, -1);
        gone += 1;
    }
    counts.write(transaction, now)?;
    Ok(gone)
}

impl Store {
    /// Does `work` in a transaction, and commits it where that says so: what changes nothing is no write to flash. The transaction may
    /// be lost with the power, though not broken by it: what it stores is still in fail2ban's database, and a sync is spared.
    fn lightly<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<(T, bool)>) -> Result<T, Error> {
        self.connection.pragma_update(None, "synchronous", "NORMAL")?;
        let run = || {
            let transaction = self.connection.transaction()?;
            let (value, is_changed) = work(&transaction)?;
            if is_changed {
                transaction.commit()?;
            }
            Ok(value)
        };
        let result = run();
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        result
    }
}

fn is_storable(ban: &NewBan<'_>) -> bool {
    !ban.ip.is_empty() && ban.ip.len() <= MAX_IP && TIMES.contains(&ban.banned_at)
}

/// The lines of a ban as one text; `None` for none.
fn lines(matches: &[String]) -> Option<String> {
    let short = short_lines(matches);
    if short.is_empty() { None } else { Some(short.join("\n")) }
}

fn jail_id(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<i64> {
    let mut find = transaction.prepare_cached("SELECT id FROM archive_jails WHERE name = ?1")?;
    if let Some(id) = find.query_row([name], |row| row.get(0)).optional()? {
        return Ok(id);
    }
    transaction.execute("INSERT INTO archive_jails (name) VALUES (?1)", [name])?;
    Ok(transaction.last_insert_rowid())
}

fn set(transaction: &Transaction<'_>, key: &str, value: &str) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO settings (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    transaction.prepare_cached(sql)?.execute([key, value]).map(drop)
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
