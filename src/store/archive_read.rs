//! The archive as it is asked: lists by page and by position, counts for charts, the bans of one address. Nothing is written.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params_from_iter};

use super::{Error, Store};
use crate::domain::history::{
    Answer, BLOCKLIST_JAIL, Country, Filter, Listing, Origin, PastBan, Question, Slice, Window,
};

/// The columns of a ban, in the order `ban` reads them.
const COLUMNS: &str = "archive.id, archive_jails.name, ip, banned_at, ban_time, count, failures, matches, country";

/// What is known of one address altogether.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Bans.
    pub bans: u64,
    /// Failures of all of them.
    pub failures: u64,
}

/// A condition of SQL, with its values, for the rows a filter takes.
struct Condition {
    sql: String,
    values: Vec<Value>,
}

impl Condition {
    fn and(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        self.sql.push_str(sql);
        self.values.extend(values);
    }
}

/// The first text behind all that begin with `prefix`; `None` where there is none.
fn behind(prefix: &str) -> Option<String> {
    let mut letters: Vec<char> = prefix.chars().collect();
    while let Some(last) = letters.pop() {
        let next = (last as u32 + 1..=char::MAX as u32).find_map(char::from_u32);
        if let Some(next) = next {
            letters.push(next);
            return Some(letters.into_iter().collect());
        }
    }
    None
}

impl Store {
    /// Rows there are.
    pub fn archive_rows(&self) -> Result<u64, Error> {
        let mut statement = self.connection.prepare_cached("SELECT coalesce(sum(bans), 0) FROM archive_jails")?;
        Ok(statement.query_row([], |row| row.get::<_, i64>(0))?.max(0) as u64)
    }

    /// Rows without a country.
    pub fn archive_unresolved(&self) -> Result<u64, Error> {
        let sql = "SELECT coalesce(sum(count), 0) FROM archive_by_country_counts WHERE span = 604800 AND country = 0";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([], |row| row.get::<_, i64>(0))?.max(0) as u64)
    }

    /// Answers a question. Without a window the counts are empty.
    pub fn past(&self, filter: &Filter, question: Question) -> Result<Answer, Error> {
        let mut answer = Answer::default();
        match (question, filter.window) {
            (Question::List(slice), _) => {
                answer.listing = self.archive_list(filter, slice)?;
                answer.total = answer.listing.total;
            }
            (Question::ByCountry(slice), Some(window)) => {
                (answer.by_country, answer.total) = self.archive_by_country(window, filter.origin)?;
                answer.listing = self.archive_list(filter, slice)?;
            }
            (Question::ByJail, Some(window)) => {
                answer.by_jail = self.archive_by_jail(window, filter.origin)?;
                answer.total = answer.by_jail.iter().map(|(_, count)| count).sum();
            }
            (Question::Trend, Some(window)) => {
                answer.by_bucket = self.archive_trend(window, filter.origin)?;
                answer.total = answer.by_bucket.iter().map(|(_, count)| count).sum();
            }
            (_, None) => {}
        }
        Ok(answer)
    }

    /// A part of the list of bans, newest first.
    pub fn archive_list(&self, filter: &Filter, slice: Slice) -> Result<Listing, Error> {
        let Some(condition) = self.condition(filter)? else { return Ok(Listing::default()) };
        let total = self.archive_total(filter, &condition)?;
        let mut rows = Condition { sql: condition.sql, values: condition.values };
        if let Some(after) = slice.after {
            rows.and("(banned_at, archive.id) < (?, ?)", [after.time.into(), after.id.into()]);
        }
        let skip = i64::try_from(slice.skip).unwrap_or(i64::MAX);
        rows.values.extend([Value::Integer(i64::from(slice.limit)), Value::Integer(skip)]);
        // The numbers first, from an index alone: rows that are skipped are never read.
        let sql = format!(
            "SELECT {COLUMNS} FROM (SELECT id AS found FROM archive{} ORDER BY banned_at DESC, archive.id DESC LIMIT ? OFFSET ?)
             JOIN archive ON archive.id = found JOIN archive_jails ON archive_jails.id = jail
             ORDER BY banned_at DESC, archive.id DESC",
            rows.sql
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let bans: Vec<PastBan> = statement.query_map(params_from_iter(rows.values), ban)?.collect::<Result<_, _>>()?;
        let is_full = bans.len() == slice.limit as usize;
        let next = bans.last().filter(|_| is_full).map(PastBan::cursor);
        Ok(Listing { bans, total, next })
    }

    /// The rows a filter takes; `None` where it names a jail nobody knows.
    fn condition(&self, filter: &Filter) -> Result<Option<Condition>, Error> {
        let mut condition = Condition { sql: String::new(), values: Vec::new() };
        if let Some(jail) = &filter.jail {
            let Some(id) = self.archive_jail(jail)? else { return Ok(None) };
            condition.and("jail = ?", [id.into()]);
        }
        if let Some(origin) = filter.origin {
            // -1 is no jail's number: without an imported list everything is this machine's own.
            let id = self.archive_jail(BLOCKLIST_JAIL)?.unwrap_or(-1);
            // The plus keeps the index of the jails for where one jail is asked for.
            let sql = if origin == Origin::Blocklist { "jail = ?" } else { "+jail <> ?" };
            condition.and(sql, [id.into()]);
        }
        if let Some(country) = filter.country {
            condition.and("country = ?", [country.number().into()]);
        }
        if let Some(window) = filter.window {
            condition.and("banned_at >= ? AND banned_at < ?", [window.start.into(), window.end.into()]);
        }
        if let Some(prefix) = filter.ip_prefix.as_ref().filter(|prefix| !prefix.is_empty()) {
            // A comparison knows no wildcards.
            condition.and("ip >= ?", [prefix.clone().into()]);
            if let Some(end) = behind(prefix) {
                condition.and("ip < ?", [end.into()]);
            }
        }
        Ok(Some(condition))
    }

    /// How many rows a filter takes: added up from the counts, and counted only where a search asks for what they do not hold.
    fn archive_total(&self, filter: &Filter, condition: &Condition) -> Result<u64, Error> {
        if filter.ip_prefix.as_ref().is_none_or(String::is_empty) && filter.country.is_none() {
            let by_jail = match filter.window {
                Some(window) => self.archive_by_jail(window, filter.origin)?,
                None => self.archive_jails(filter.origin)?,
            };
            let wanted = |name: &str| filter.jail.as_deref().is_none_or(|jail| jail == name);
            return Ok(by_jail.iter().filter(|(name, _)| wanted(name)).map(|(_, count)| count).sum());
        }
        let sql = format!("SELECT count(*) FROM archive{}", condition.sql);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let count: i64 = statement.query_row(params_from_iter(&condition.values), |row| row.get(0))?;
        Ok(count.max(0) as u64)
    }

    fn archive_jail(&self, name: &str) -> Result<Option<i64>, Error> {
        let mut statement = self.connection.prepare_cached("SELECT id FROM archive_jails WHERE name = ?1")?;
        Ok(statement.query_row([name], |row| row.get(0)).optional()?)
    }

    fn archive_jails(&self, origin: Option<Origin>) -> Result<Vec<(String, u64)>, Error> {
        let mut statement = self.connection.prepare_cached("SELECT name, bans FROM archive_jails ORDER BY name")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.max(0) as u64)))?;
        let all: Vec<(String, u64)> = rows.collect::<Result<_, _>>()?;
        Ok(all.into_iter().filter(|(name, _)| origin.is_none_or(|origin| origin == Origin::of(name))).collect())
    }

    /// Bans of a range by jail, most first.
    pub fn archive_by_jail(&self, window: Window, origin: Option<Origin>) -> Result<Vec<(String, u64)>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT name, total FROM (SELECT jail, sum(count) AS total FROM archive_by_jail_counts
                WHERE span = ?1 AND start >= ?2 AND start < ?3 GROUP BY jail) JOIN archive_jails ON archive_jails.id = jail
             WHERE total > 0 ORDER BY total DESC, name",
        )?;
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.max(0) as u64));
        let rows = statement.query_map([window.bucket, window.start, window.end], read)?;
        let all: Vec<(String, u64)> = rows.collect::<Result<_, _>>()?;
        Ok(all.into_iter().filter(|(name, _)| origin.is_none_or(|origin| origin == Origin::of(name))).collect())
    }

    /// Bans of a range by country, and all of them, those without a country included.
    pub fn archive_by_country(
        &self,
        window: Window,
        origin: Option<Origin>,
    ) -> Result<(Vec<(Country, u64)>, u64), Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT country, sum(count) FROM archive_by_country_counts
             WHERE span = ?1 AND start >= ?2 AND start < ?3 AND (?4 IS NULL OR blocklist = ?4) GROUP BY country",
        )?;
        let blocklist = origin.map(|origin| i64::from(origin == Origin::Blocklist));
        let values = (window.bucket, window.start, window.end, blocklist);
        let rows = statement.query_map(values, |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.max(0) as u64)))?;
        let all: Vec<(i64, u64)> = rows.collect::<Result<_, _>>()?;
        let total = all.iter().map(|(_, count)| count).sum();
        let known = all.into_iter().filter_map(|(number, count)| Some((Country::of_number(number)?, count)));
        Ok((known.filter(|(_, count)| *count > 0).collect(), total))
    }

    /// Bans of a range by bucket; buckets without one are left out.
    pub fn archive_trend(&self, window: Window, origin: Option<Origin>) -> Result<Vec<(i64, u64)>, Error> {
        let id = self.archive_jail(BLOCKLIST_JAIL)?.unwrap_or(-1);
        let mut statement = self.connection.prepare_cached(
            "SELECT start, sum(count) FROM archive_by_jail_counts WHERE span = ?1 AND start >= ?2 AND start < ?3
                AND CASE ?4 WHEN 0 THEN 1 WHEN 1 THEN jail = ?5 ELSE jail <> ?5 END GROUP BY start",
        )?;
        let which = match origin {
            None => 0,
            Some(Origin::Blocklist) => 1,
            Some(Origin::Selfblock) => 2,
        };
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.max(0) as u64));
        let rows = statement.query_map((window.bucket, window.start, window.end, which, id), read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether this very ban is there.
    pub fn has_archived(&self, ban: &PastBan) -> Result<bool, Error> {
        let Some(jail) = self.archive_jail(&ban.jail)? else { return Ok(false) };
        let sql = "SELECT 1 FROM archive WHERE ip = ?1 AND banned_at = ?2 AND jail = ?3";
        Ok(self.connection.prepare_cached(sql)?.exists((&ban.ip, ban.banned_at, jail))?)
    }

    /// The newest bans of exactly this address, and what they come to altogether.
    pub fn archive_of_ip(&self, ip: &str, limit: u32) -> Result<(Summary, Vec<PastBan>), Error> {
        let mut statement =
            self.connection.prepare_cached("SELECT count(*), coalesce(sum(failures), 0) FROM archive WHERE ip = ?1")?;
        let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let (bans, failures) = statement.query_row([ip], read)?;
        let sql = format!(
            "SELECT {COLUMNS} FROM archive JOIN archive_jails ON archive_jails.id = jail
             WHERE ip = ?1 ORDER BY banned_at DESC, archive.id DESC LIMIT ?2"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map((ip, limit), ban)?.collect::<Result<_, _>>()?;
        Ok((Summary { bans: bans.max(0) as u64, failures: failures.max(0) as u64 }, rows))
    }
}

fn ban(row: &Row<'_>) -> rusqlite::Result<PastBan> {
    let matches: Option<String> = row.get(7)?;
    Ok(PastBan {
        id: row.get(0)?,
        jail: row.get(1)?,
        ip: row.get(2)?,
        banned_at: row.get(3)?,
        ban_time: row.get(4)?,
        count: row.get(5)?,
        failures: row.get(6)?,
        matches: matches.map(|text| text.split('\n').map(str::to_owned).collect()).unwrap_or_default(),
        country: Country::of_number(row.get(8)?),
    })
}
