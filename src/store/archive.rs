//! Our long-term copy of every ban: written here, in bounded steps of one transaction each; read in `archive_read.rs`.
//!
//! Beside the rows stand counts of them, see `archive_counts.rs`.

use std::sync::Arc;

use rusqlite::{Row, Transaction, params};

pub use super::archive_counts::{Counting, Of};
use super::archive_counts::{Counts, remove_stale};
use super::archive_own::is_known;
pub use super::archive_own::{LOG_MARK, Logged, NewLift};
pub use super::archive_read::{Asked, Summary};
pub use super::archive_row::NewBan;
use super::archive_row::{Counted, insert, is_storable, jail_id, remove};
use super::error::Error;
use super::notifications::gather_bans;
use super::open::Store;
use super::settings::set;
use crate::domain::history::{Country, bucket_start};

const DAY: i64 = 86_400;
/// Bans that are older when they are found are told to nobody, in seconds.
const TOLD_WITHIN: i64 = 3600;
/// The setting that says how far fail2ban's database has been read.
pub const FAIL2BAN_MARK: &str = "archive_marks";
/// The setting that says since when what was put into the set of imported addresses has to be read.
pub const HELD_MARK: &str = "archive_held_mark";
/// The setting that says with which database files unknown countries were last looked up.
const RESOLVED_WITH: &str = "archive_resolved_with";

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

impl Store {
    /// How far reading has come, as `archive_bans` was told; `key` is `FAIL2BAN_MARK` or `HELD_MARK`.
    pub fn archive_mark(&self, key: &str) -> Result<Option<String>, Error> {
        self.setting(key)
    }

    /// Stores bans and, with its key, how far reading has come, in one transaction. A ban that is there already is left alone. Gives how
    /// many were new.
    pub fn archive_bans(&mut self, bans: &[NewBan<'_>], mark: Option<(&str, &str)>, now: i64) -> Result<usize, Error> {
        let channels = Arc::clone(&self.channels);
        self.lightly(|transaction| {
            let (mut counts, mut fresh) = (Counts::default(), Vec::new());
            let mut added = 0;
            // A first copy is long, and need not ask at each row.
            let has_others = transaction.prepare_cached("SELECT 1 FROM archive_seen LIMIT 1")?.exists([])?;
            for ban in bans.iter().filter(|ban| is_storable(ban)) {
                let jail = jail_id(transaction, ban.jail)?;
                if !has_others || !is_known(transaction, jail, ban, &mut counts, &mut fresh)? {
                    let new = insert(transaction, jail, ban, &mut counts)?;
                    added += usize::from(new.is_some());
                    // A first copy tells of the past only.
                    fresh.extend(new.filter(|_| ban.banned_at > now - TOLD_WITHIN));
                }
            }
            counts.write(transaction, now)?;
            gather_bans(transaction, &channels, &fresh, now)?;
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
            let stale = remove_stale(transaction, now)?;
            Ok((gone, gone + stale > 0))
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
                "SELECT id, banned_at, jail, ip FROM archive
                 WHERE country = 0 AND (banned_at, id) > (?1, ?2) ORDER BY banned_at, id LIMIT ?3",
            )?;
            let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            let found = select.query_map(params![after.0, after.1, limit as i64], read)?;
            let rows: Vec<(i64, i64, i64, String)> = found.collect::<Result<_, _>>()?;
            let next = rows.last().filter(|_| rows.len() == limit).map(|(id, banned_at, ..)| (*banned_at, *id));
            let mut counts = Counts::default();
            let mut resolved = 0;
            for (id, banned_at, jail, ip) in rows {
                let Some(country) = look_up(&ip).map(Country::number) else { continue };
                transaction.prepare_cached("UPDATE archive SET country = ?2 WHERE id = ?1")?.execute([id, country])?;
                counts.resolve(banned_at, jail, country);
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
    let mut select = transaction
        .prepare_cached("SELECT id, banned_at, jail, country FROM archive ORDER BY banned_at, id LIMIT ?1")?;
    let oldest: Vec<Counted> = select.query_map([limit as i64], Counted::read)?.collect::<Result<_, _>>()?;
    let mut counts = Counts::default();
    let mut gone = 0;
    for row in oldest {
        if row.banned_at >= before && gone as u64 >= excess {
            break;
        }
        remove(transaction, row, &mut counts)?;
        gone += 1;
    }
    counts.write(transaction, now)?;
    Ok(gone)
}

impl Store {
    /// Does `work` in a transaction, and commits it where that says so: what changes nothing is no write to flash. The transaction may
    /// be lost with the power, though not broken by it: what it stores is still in fail2ban's database, and a sync is spared.
    pub(super) fn lightly<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<(T, bool)>,
    ) -> Result<T, Error> {
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

#[cfg(test)]
#[path = "archive_tests.rs"]
pub(crate) mod tests;
