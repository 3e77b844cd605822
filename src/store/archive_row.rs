//! A row of the archive: what it holds, and how it comes and goes. Counts change with it; the transaction is somebody else's.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::archive_counts::Counts;
use crate::domain::history::{Country, short_lines};

/// The longest text that is stored as the name of something banned, in bytes.
const MAX_IP: usize = 256;
/// Times that are believed, in Unix seconds: 1970 to 9999.
const TIMES: std::ops::Range<i64> = 1..253_402_300_800;

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

/// Stores a ban. Gives the number of its row; `None` where there is one of its jail, address and second.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    jail: i64,
    ban: &NewBan<'_>,
    counts: &mut Counts,
) -> rusqlite::Result<Option<i64>> {
    let country = ban.country.map_or(0, Country::number);
    let mut insert = transaction.prepare_cached(
        "INSERT INTO archive (banned_at, jail, ip, country, ban_time, count, failures, matches)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
    )?;
    let failures = i64::try_from(ban.failures).unwrap_or(i64::MAX);
    let (at, count, lines) = (ban.banned_at, ban.count.max(1), lines(ban.matches));
    if insert.execute(params![at, jail, ban.ip, country, ban.ban_time, count, failures, lines])? == 0 {
        return Ok(None);
    }
    counts.add(at, jail, country, 1);
    Ok(Some(transaction.last_insert_rowid()))
}

/// A row as the counts know it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    id: i64,
    /// Unix seconds.
    pub(super) banned_at: i64,
    jail: i64,
    country: i64,
}

impl Counted {
    /// Of a query for `id, banned_at, jail, country`.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Counted> {
        Ok(Counted { id: row.get(0)?, banned_at: row.get(1)?, jail: row.get(2)?, country: row.get(3)? })
    }
}

/// Takes a row away, with what else is known of it.
pub(super) fn remove(transaction: &Transaction<'_>, row: Counted, counts: &mut Counts) -> rusqlite::Result<()> {
    transaction.prepare_cached("DELETE FROM archive WHERE id = ?1")?.execute([row.id])?;
    transaction.prepare_cached("DELETE FROM archive_seen WHERE id = ?1")?.execute([row.id])?;
    counts.add(row.banned_at, row.jail, row.country, -1);
    Ok(())
}

/// Whether it makes sense.
pub(super) fn is_storable(ban: &NewBan<'_>) -> bool {
    !ban.ip.is_empty() && ban.ip.len() <= MAX_IP && TIMES.contains(&ban.banned_at)
}

/// The lines of a ban as one text; `None` for none.
pub(super) fn lines(matches: &[String]) -> Option<String> {
    let short = short_lines(matches);
    if short.is_empty() { None } else { Some(short.join("\n")) }
}

/// The number of a jail, which is made where there is none.
pub(super) fn jail_id(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<i64> {
    let mut find = transaction.prepare_cached("SELECT id FROM archive_jails WHERE name = ?1")?;
    if let Some(id) = find.query_row([name], |row| row.get(0)).optional()? {
        return Ok(id);
    }
    transaction.execute("INSERT INTO archive_jails (name) VALUES (?1)", [name])?;
    Ok(transaction.last_insert_rowid())
}
