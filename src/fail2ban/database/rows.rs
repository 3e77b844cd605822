//! The questions asked of the daemon's database, each answered from one short page.

use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use rusqlite::{Row, Rows, params};
use serde::{Deserialize, Serialize};

use super::data::BanData;
use super::open::{Database, DatabaseError, Schema};

/// How long one page is read before it ends early. The daemon waits for readers, and gives records up after five seconds; it is read in
/// children only, so that nobody else waits.
const PAGE_TIME: Duration = Duration::from_millis(50);
/// How much `data` one page holds at most before it ends early, in bytes.
const PAGE_BYTES: usize = 1 << 20;
/// The largest page that may be asked for, in rows.
const MAX_ROWS: usize = 5000;

/// The column of what was noted: up to 256 KiB, more than the daemon's own bound of ten log lines comes to.
const DATA: &str = "iif(length(data) <= 262144, data, NULL)";

/// A ban as the daemon remembers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ban {
    /// The number of its row. Not a name for it: the daemon uses the highest ones again after deleting them.
    pub rowid: i64,
    /// The jail; not necessarily one that is configured still.
    pub jail: String,
    /// What was banned: an address, a network, or whatever else somebody had the daemon ban.
    pub ip: String,
    /// When and for how long.
    pub times: BanTimes,
    /// What was noted about it; empty where only times were asked for.
    pub data: BanData,
}

/// When a ban was made and how long it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BanTimes {
    /// Unix seconds.
    pub banned_at: i64,
    /// Seconds, -1 for ever, `None` where the daemon does not remember: before 0.11, and for what was taken over from there.
    pub ban_time: Option<f64>,
    /// Which ban of this address it was, from 1.
    pub count: i64,
}

impl BanTimes {
    /// When it ends, in Unix seconds; `None` for never and for unknown.
    pub fn ends_at(&self) -> Option<i64> {
        let seconds = self.ban_time.filter(|seconds| *seconds >= 0.0)?;
        // A float of any size becomes the nearest integer there is.
        Some(self.banned_at.saturating_add(seconds as i64))
    }
}

/// Rows in the order of their numbers, and where to go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// The rows.
    pub bans: Vec<Ban>,
    /// What to ask for the next page with; `None` at the end.
    pub next: Option<i64>,
}

/// A row that was read once. While it is unchanged, everything new stands behind it, since the daemon numbers upward from the highest row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The number of its row.
    pub rowid: i64,
    /// Its jail.
    pub jail: String,
    /// Its address.
    pub ip: String,
    /// Its time, in Unix seconds.
    pub banned_at: i64,
}

impl From<&Ban> for Mark {
    fn from(ban: &Ban) -> Mark {
        Mark { rowid: ban.rowid, jail: ban.jail.clone(), ip: ban.ip.clone(), banned_at: ban.times.banned_at }
    }
}

impl Database {
    /// The latest ban of each address and jail, without `data`: rows behind `after`, at most `limit`. Where the database keeps no such table
    /// (before 0.11), every ban; an address may then come again, and the later one counts. A ban that is renewed meanwhile comes again, too.
    pub fn current_page(&self, after: i64, limit: usize) -> Result<Page, DatabaseError> {
        self.page(match self.schema {
            Schema::Timed => "SELECT rowid, jail, ip, timeofban, bantime, bancount, NULL FROM bips WHERE rowid > ?1 ORDER BY rowid LIMIT ?2",
            Schema::Bare => "SELECT rowid, jail, ip, timeofban, -2, 1, NULL FROM bans WHERE rowid > ?1 ORDER BY rowid LIMIT ?2",
        }, after, limit)
    }

    /// The same to the end, page by page: calls `visit` for each ban of `jail`, or of all.
    pub fn each_current(&self, jail: Option<&str>, visit: &mut dyn FnMut(Ban)) -> Result<(), DatabaseError> {
        let mut after = Some(0);
        while let Some(start) = after {
            let page = self.current_page(start, MAX_ROWS)?;
            page.bans.into_iter().filter(|ban| jail.is_none_or(|jail| ban.jail == jail)).for_each(&mut *visit);
            after = page.next;
        }
        Ok(())
    }

    /// The latest ban of each of these addresses in a jail, in their order. For a page of a list, not for all of a long one.
    pub fn times_of(&self, jail: &str, ips: &[&str]) -> Result<Vec<Option<BanTimes>>, DatabaseError> {
        let sql = match self.schema {
            Schema::Timed => "SELECT timeofban, bantime, bancount FROM bips WHERE ip = ?1 AND jail = ?2",
            Schema::Bare => {
                "SELECT timeofban, -2, 1 FROM bans WHERE ip = ?1 AND jail = ?2 ORDER BY timeofban DESC LIMIT 1"
            }
        };
        let look_up = || {
            let mut statement = self.connection.prepare(sql)?;
            let mut found = Vec::with_capacity(ips.len());
            for ip in ips {
                // Each is a transaction of its own, so their number does not matter to the daemon.
                let mut rows = statement.query(params![ip, jail])?;
                found.push(rows.next()?.map(|row| times(row, 0)).transpose()?);
            }
            Ok(found)
        };
        self.sorted_out(look_up())
    }

    /// All bans the daemon remembers, with `data`: rows behind `after`, at most `limit`, and fewer where they are long or reading is slow.
    pub fn history_page(&self, after: i64, limit: usize) -> Result<Page, DatabaseError> {
        self.page(&self.history_sql(DATA, "rowid > ?1 ORDER BY rowid LIMIT ?2"), after, limit)
    }

    /// The same without `data`, for counting.
    pub fn brief_page(&self, after: i64, limit: usize) -> Result<Page, DatabaseError> {
        self.page(&self.history_sql("NULL", "rowid > ?1 ORDER BY rowid LIMIT ?2"), after, limit)
    }

    /// The names of the jails that it remembers bans of: an index is entered once for each.
    pub fn history_jails(&self) -> Result<Vec<String>, DatabaseError> {
        let sql = "WITH RECURSIVE names (jail) AS (SELECT min(jail) FROM bans
             UNION ALL SELECT (SELECT min(jail) FROM bans WHERE bans.jail > names.jail) FROM names WHERE jail IS NOT NULL)
             SELECT jail FROM names WHERE jail IS NOT NULL LIMIT 10000";
        let read = || self.connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect();
        self.sorted_out(read())
    }

    /// The bans of these rows, with `data`, in the order asked for; those that are gone are left out.
    pub fn history_rows(&self, rows: &[i64]) -> Result<Vec<Ban>, DatabaseError> {
        let read = || {
            let mut statement = self.connection.prepare(&self.history_sql(DATA, "rowid = ?1"))?;
            let mut bans = Vec::with_capacity(rows.len());
            for row in rows {
                // Each is a transaction of its own, so their number does not matter to the daemon.
                bans.extend(collect(&mut statement.query([row])?)?.0);
            }
            Ok(bans)
        };
        self.sorted_out(read())
    }

    /// The bans of one address, newest first, at most `limit`.
    pub fn history_for_ip(&self, ip: &str, limit: usize) -> Result<Vec<Ban>, DatabaseError> {
        let sql = self.history_sql(DATA, "ip = ?1 ORDER BY timeofban DESC, rowid DESC LIMIT ?2");
        let read = || {
            let mut statement = self.connection.prepare(&sql)?;
            let limit = limit.min(MAX_ROWS) as i64;
            Ok(collect(&mut statement.query(params![ip, limit])?)?.0)
        };
        self.sorted_out(read())
    }

    /// Where to go on reading the history: behind the first of these rows that is still what it was, else from the start. Marks come newest
    /// first; several of them save reading everything again after the newest ban was lifted by hand.
    pub fn start_after(&self, marks: &[Mark]) -> Result<i64, DatabaseError> {
        let search = || {
            let mut statement = self
                .connection
                .prepare("SELECT 1 FROM bans WHERE rowid = ?1 AND jail = ?2 AND ip = ?3 AND timeofban = ?4")?;
            for mark in marks {
                if statement.exists(params![mark.rowid, mark.jail, mark.ip, mark.banned_at])? {
                    return Ok(mark.rowid);
                }
            }
            Ok(0)
        };
        self.sorted_out(search())
    }

    fn history_sql(&self, data: &str, condition: &str) -> String {
        let times = match self.schema {
            Schema::Timed => "bantime, bancount",
            Schema::Bare => "-2, 1",
        };
        format!("SELECT rowid, jail, ip, timeofban, {times}, {data} FROM bans WHERE {condition}")
    }

    fn page(&self, sql: &str, after: i64, limit: usize) -> Result<Page, DatabaseError> {
        let limit = limit.clamp(1, MAX_ROWS);
        let read = || {
            let mut statement = self.connection.prepare(sql)?;
            let (bans, cut) = collect(&mut statement.query(params![after, limit as i64])?)?;
            let next = bans.last().map(|ban| ban.rowid).filter(|_| cut || bans.len() == limit);
            Ok(Page { bans, next })
        };
        self.sorted_out(read())
    }
}

/// Reads rows until there are no more or they have taken too long or too much. True where it stopped early.
fn collect(rows: &mut Rows<'_>) -> rusqlite::Result<(Vec<Ban>, bool)> {
    let start = Instant::now();
    let mut bans = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let data = row.get_ref(6)?;
        bytes += match data {
            ValueRef::Text(data) | ValueRef::Blob(data) => data.len(),
            _ => 0,
        };
        bans.push(Ban {
            rowid: row.get(0)?,
            jail: text(row.get_ref(1)?),
            ip: text(row.get_ref(2)?),
            times: times(row, 3)?,
            data: BanData::read(data),
        });
        if bytes > PAGE_BYTES || start.elapsed() > PAGE_TIME {
            return Ok((bans, true));
        }
    }
    Ok((bans, false))
}

/// Three columns from `first` on: time, length, count.
fn times(row: &Row<'_>, first: usize) -> rusqlite::Result<BanTimes> {
    let ban_time = number(row.get_ref(first + 1)?);
    Ok(BanTimes {
        banned_at: number(row.get_ref(first)?).unwrap_or(0.0) as i64,
        // -2 is the daemon's word for unknown.
        ban_time: ban_time.filter(|seconds| *seconds >= -1.0),
        count: number(row.get_ref(first + 2)?).map_or(1, |count| (count as i64).max(1)),
    })
}

/// SQLite keeps in any column what it was given.
fn number(value: ValueRef<'_>) -> Option<f64> {
    match value {
        ValueRef::Integer(number) => Some(number as f64),
        ValueRef::Real(number) => Some(number),
        ValueRef::Text(text) => std::str::from_utf8(text).ok()?.trim().parse().ok(),
        _ => None,
    }
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Integer(number) => number.to_string(),
        _ => String::new(),
    }
}
