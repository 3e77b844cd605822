//! The archive as it is asked: lists by page and by position, counts for charts, the bans of one address. Nothing is written.
//!
//! What may have to look at many rows goes in steps of a few milliseconds each, between which the caller does other things: a page far
//! down a list, a search, an address banned very often.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params, params_from_iter};

use super::archive_condition::Condition;
use super::archive_counts::{BLOCKLIST, Counting, Of, STEP};
use super::archive_scan::Scan;
use super::error::Error;
use super::open::Store;
use crate::domain::actor::Actor;
use crate::domain::history::{Answer, Country, Cursor, Filter, Listing, Origin, PastBan, Question, Slice, Window};
use crate::domain::history_order::Order;
use crate::domain::own_ban::Ours;

/// Positions a search remembers at most, 16 bytes each. A page further down costs another pass.
const REMEMBERED: usize = 4096;
/// Bans that are looked at in one step to find those of a country: about a millisecond on a PC.
const LOOKED_AT: usize = 250;
/// Rows of one address that one step adds up; each is a page of its own, in the worst case.
const ROWS: usize = 500;

/// What is known of one address altogether.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Bans.
    pub bans: u64,
    /// Failures of all of them.
    pub failures: u64,
}

impl Summary {
    /// Where adding up begins.
    pub const START: (i64, i64) = (i64::MIN, i64::MIN);
}

/// A question that is being answered.
#[derive(Debug)]
pub struct Asked {
    filter: Filter,
    question: Question,
    /// When it was asked, in Unix seconds.
    now: i64,
    /// What has to be counted for it, and whether that is done.
    counting: Option<Counting>,
    is_counted: bool,
    search: Search,
    scan: Scan,
    /// The list is followed to its end: how many there are was said with its first part.
    is_followed: bool,
}

/// How far a search for addresses by their beginning has come. It goes through the index of addresses, and keeps the newest bans behind
/// the position asked for.
#[derive(Debug, Default)]
struct Search {
    /// Where in the index it is; the beginning where there is none.
    at: Option<(String, i64, i64)>,
    newest: BinaryHeap<Reverse<(i64, i64)>>,
    /// Bans found, and those of them behind the position asked for.
    found: u64,
    behind: u64,
}

impl Search {
    /// The positions that are wanted, and how many bans were found; or the part that another pass has to look for, since what is wanted
    /// begins among those remembered, or behind them.
    fn end_of_pass(&mut self, slice: Slice, room: usize) -> Result<(Vec<Cursor>, u64), Slice> {
        let Search { newest, found, behind, .. } = std::mem::take(self);
        let newest = newest.into_sorted_vec().into_iter();
        let mut newest: Vec<Cursor> = newest.map(|Reverse((time, id))| Cursor { time, id }).collect();
        if slice.skip >= behind {
            return Ok((Vec::new(), found));
        }
        let passed = newest.len().min(slice.skip as usize);
        let wanted = slice.skip.saturating_add(u64::from(slice.limit));
        if wanted.min(behind) > room as u64 && passed > 0 {
            return Err(Slice { after: Some(newest[passed - 1]), skip: slice.skip - passed as u64, ..slice });
        }
        newest.drain(..passed);
        Ok((newest, found))
    }
}

impl Asked {
    /// Nothing has been done yet; `now` in Unix seconds.
    pub fn new(filter: Filter, question: Question, now: i64) -> Self {
        // One more than is wanted: it says whether more follow.
        let question = match question {
            Question::List(slice) => Question::List(Slice { limit: slice.limit + 1, ..slice }),
            Question::ByCountry(slice) => Question::ByCountry(Slice { limit: slice.limit + 1, ..slice }),
            other => other,
        };
        let of = match question {
            Question::ByCountry(_) => Some(Of::Countries),
            Question::ByJail => Some(Of::Jails),
            Question::Trend => Some(Of::Buckets),
            Question::List(_) if is_by_country_alone(&filter) => Some(Of::Countries),
            Question::List(_) if is_scanned(&filter) || is_search(&filter) => None,
            Question::List(_) => Some(Of::Jails),
        };
        let counting = match (of, filter.window) {
            (Some(of), Some(window)) => Some(Counting::new(of, window, filter.origin)),
            (Some(Of::Countries), None) => Some(Counting::of_all_times(filter.origin)),
            _ => None,
        };
        Self {
            filter,
            question,
            now,
            counting,
            is_counted: false,
            search: Search::default(),
            scan: Scan::default(),
            is_followed: false,
        }
    }
}

impl Asked {
    /// A part of the list in another order than that of time; it is not followed to its end.
    pub fn in_order(filter: Filter, slice: Slice, order: Order, now: i64) -> Self {
        let scan = Scan::in_order(order, slice);
        Self { counting: None, scan, ..Self::new(filter, Question::List(slice), now) }
    }

    /// Asks for the next part of a list that is wanted to its end.
    pub fn go_on_behind(&mut self, place: Cursor) {
        if let Question::List(slice) = self.question {
            self.question = Question::List(Slice { after: Some(place), skip: 0, ..slice });
        }
        (self.search, self.scan, self.is_followed) = (Search::default(), Scan::default(), true);
    }
}

/// Whether the list is to be gone through row by row: no index knows what is asked for.
fn is_scanned(filter: &Filter) -> bool {
    filter.asks_lines() || filter.country.is_some()
}

/// Whether addresses are looked for by their beginning.
fn is_search(filter: &Filter) -> bool {
    filter.ip_prefix.as_ref().is_some_and(|prefix| !prefix.is_empty())
}

/// Whether the counts of countries say how many rows are wanted.
fn is_by_country_alone(filter: &Filter) -> bool {
    filter.country.is_some() && filter.jail.is_none() && !is_search(filter) && !filter.asks_lines()
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

    /// Does one step of answering; `None`: there is more to do. Without a window, the counts stay empty.
    pub fn answer_some(&self, asked: &mut Asked) -> Result<Option<Answer>, Error> {
        if let Some(counting) = asked.counting.as_mut().filter(|_| !asked.is_counted) {
            asked.is_counted = self.count_some(counting, asked.now)?;
            if !asked.is_counted {
                return Ok(None);
            }
        }
        let mut answer = Answer::default();
        if let Question::List(slice) | Question::ByCountry(slice) = asked.question {
            let Some(listing) = self.list_some(asked, slice)? else { return Ok(None) };
            answer.total = listing.total;
            answer.listing = listing;
        }
        let Some(counting) = asked.counting.as_ref().filter(|_| asked.filter.window.is_some()) else {
            return Ok(Some(answer));
        };
        match asked.question {
            Question::List(_) => {}
            Question::ByCountry(_) => (answer.by_country, answer.total) = counting.countries(),
            Question::ByJail => {
                answer.by_jail = self.counted_jails(counting)?;
                answer.total = answer.by_jail.iter().map(|(_, count)| count).sum();
            }
            Question::Trend => {
                answer.by_bucket = counting.buckets();
                answer.total = answer.by_bucket.iter().map(|(_, count)| count).sum();
            }
        }
        Ok(Some(answer))
    }

    /// A step towards a part of the list of bans, newest first.
    fn list_some(&self, asked: &mut Asked, slice: Slice) -> Result<Option<Listing>, Error> {
        let Some(jail) = self.wanted_jail(&asked.filter)? else { return Ok(Some(Listing::default())) };
        let is_search = is_search(&asked.filter);
        let is_sorted = asked.scan.is_in_order();
        let (positions, total) = if is_scanned(&asked.filter) || is_sorted || (is_search && asked.is_followed) {
            let counting = asked.counting.as_ref().filter(|_| is_by_country_alone(&asked.filter));
            let total = counting.map(|counting| total_of(&counting.countries().0, asked.filter.country));
            let total = total.or(asked.is_followed.then_some(0));
            let Some(found) = self.scan_some(&mut asked.scan, &asked.filter, slice, jail, total)? else {
                return Ok(None);
            };
            found
        } else if is_search {
            let Some(found) = self.search_some(asked, slice, jail)? else { return Ok(None) };
            found
        } else {
            let total = self.archive_total(asked)?;
            if slice.after.is_none() && slice.skip >= total {
                return Ok(Some(Listing { total, ..Listing::default() }));
            }
            let skip = slice.skip.min(STEP);
            // What is skipped only is one position.
            let limit = if slice.skip > STEP { 1 } else { slice.limit };
            let positions = self.positions(&asked.filter, jail, slice.after, skip, limit)?;
            if let (true, Some(last)) = (slice.skip > STEP, positions.last()) {
                asked.question =
                    asked.question.with(Slice { after: Some(*last), skip: slice.skip - STEP - 1, ..slice });
                return Ok(None);
            }
            (positions, total)
        };
        // `Asked` looks for one more than is wanted: that one says whether more follow.
        let shown = positions.len().min(slice.limit.saturating_sub(1) as usize);
        let next = positions[..shown].last().filter(|_| positions.len() > shown).copied();
        let bans = self.bans_at(&positions[..shown])?;
        Ok(Some(Listing { bans, total, next }))
    }

    /// The number of the jail a filter names, if it names one; `None` where no ban can be wanted.
    fn wanted_jail(&self, filter: &Filter) -> Result<Option<Option<i64>>, Error> {
        let Some(name) = &filter.jail else { return Ok(Some(None)) };
        if filter.origin.is_some_and(|origin| origin != Origin::of(name)) {
            return Ok(None);
        }
        let mut statement = self.connection.prepare_cached("SELECT id FROM archive_jails WHERE name = ?1")?;
        Ok(statement.query_row([name], |row| row.get(0)).optional()?.map(Some))
    }

    /// Positions in the list, newest first, from an index alone: rows that are skipped are never read.
    fn positions(
        &self,
        filter: &Filter,
        jail: Option<i64>,
        after: Option<Cursor>,
        skip: u64,
        limit: u32,
    ) -> Result<Vec<Cursor>, Error> {
        let mut rows = Condition::default();
        match (jail, filter.origin) {
            (Some(jail), _) => rows.and("jail = ?", [jail.into()]),
            (None, Some(Origin::Blocklist)) => rows.and("jail = ?", [BLOCKLIST.into()]),
            // The very words of the index of the machine's own bans.
            (None, Some(Origin::Selfblock)) => rows.and("jail <> 0", []),
            (None, None) => {}
        }
        rows.between(filter.window, after);
        rows.values.extend([Value::Integer(i64::from(limit)), Value::Integer(skip as i64)]);
        let sql =
            format!("SELECT banned_at, id FROM archive{} ORDER BY banned_at DESC, id DESC LIMIT ? OFFSET ?", rows.sql);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let found = statement.query_map(params_from_iter(rows.values), cursor)?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// How many rows a filter takes, a search aside: added up from the counts.
    fn archive_total(&self, asked: &Asked) -> Result<u64, Error> {
        let filter = &asked.filter;
        let by_jail = match &asked.counting {
            Some(counting) if counting.of() == Of::Countries => return Ok(counting.countries().1),
            Some(counting) => self.counted_jails(counting)?,
            None => self.archive_jails(filter.origin)?,
        };
        let wanted = |name: &str| filter.jail.as_deref().is_none_or(|jail| jail == name);
        Ok(by_jail.iter().filter(|(name, _)| wanted(name)).map(|(_, count)| count).sum())
    }

    fn archive_jails(&self, origin: Option<Origin>) -> Result<Vec<(String, u64)>, Error> {
        let mut statement = self.connection.prepare_cached("SELECT name, bans FROM archive_jails ORDER BY name")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.max(0) as u64)))?;
        let all: Vec<(String, u64)> = rows.collect::<Result<_, _>>()?;
        Ok(all.into_iter().filter(|(name, _)| origin.is_none_or(|origin| origin == Origin::of(name))).collect())
    }

    /// A step of a search. Gives the positions of the part that is wanted, newest first, and how many there are in all.
    fn search_some(
        &self,
        asked: &mut Asked,
        slice: Slice,
        jail: Option<i64>,
    ) -> Result<Option<(Vec<Cursor>, u64)>, Error> {
        let prefix = asked.filter.ip_prefix.clone().unwrap_or_default();
        let Asked { filter, search, .. } = asked;
        let wanted = slice.skip.saturating_add(u64::from(slice.limit));
        let room = usize::try_from(wanted).map_or(REMEMBERED, |wanted| wanted.min(REMEMBERED));
        let (at, window) = (search.at.take(), filter.window);
        let mut seen = 0;
        let mut rows = Condition::default();
        match &at {
            Some((ip, banned_at, jail)) => {
                rows.and("(ip, banned_at, jail) > (?, ?, ?)", [ip.clone().into(), (*banned_at).into(), (*jail).into()]);
            }
            // A comparison knows no wildcards.
            None => rows.and("ip >= ?", [prefix.clone().into()]),
        }
        if let Some(end) = behind(&prefix) {
            rows.and("ip < ?", [end.into()]);
        }
        let sql = format!(
            "SELECT banned_at, id, jail, ip FROM archive{} ORDER BY ip, banned_at, jail LIMIT {STEP}",
            rows.sql
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(rows.values))?;
        while let Some(row) = rows.next()? {
            let (time, id, of) = (row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?);
            seen += 1;
            if seen == STEP {
                search.at = Some((row.get(3)?, time, of));
            }
            let origin = if of == BLOCKLIST { Origin::Blocklist } else { Origin::Selfblock };
            let fits = window.is_none_or(|window| window.contains(time))
                && jail.is_none_or(|jail| jail == of)
                && filter.origin.is_none_or(|wanted| wanted == origin);
            search.found += u64::from(fits);
            if fits && slice.after.is_none_or(|after| (time, id) < (after.time, after.id)) {
                search.behind += 1;
                search.newest.push(Reverse((time, id)));
                if search.newest.len() > room {
                    search.newest.pop();
                }
            }
        }
        if search.at.is_some() {
            return Ok(None);
        }
        match search.end_of_pass(slice, room) {
            Ok(found) => Ok(Some(found)),
            Err(rest) => {
                asked.question = asked.question.with(rest);
                Ok(None)
            }
        }
    }

    /// The rows at these positions, in their order.
    fn bans_at(&self, positions: &[Cursor]) -> Result<Vec<PastBan>, Error> {
        let mut statement = self.connection.prepare_cached(&one_ban("archive.id = ?1"))?;
        let bans = positions.iter().map(|position| Ok(statement.query_row([position.id], ban)?));
        self.with_lifts(bans.collect::<Result<_, Error>>()?)
    }

    /// Some bans of a country in a window, newest first, behind a position, and where to go on; `None` at the end. There may be none among
    /// those looked at. No index knows countries, for it would cost every ban a page to write: the counts tell which days to look through.
    pub fn bans_of_country(
        &self,
        country: Country,
        window: Window,
        origin: Option<Origin>,
        after: Option<Cursor>,
    ) -> Result<(Vec<PastBan>, Option<Cursor>), Error> {
        let end = Cursor { time: window.end, id: i64::MIN };
        let after = after.filter(|after| after.time < end.time).unwrap_or(end);
        // What is behind the smallest number of a second is older than that second.
        let newest = if after.id == i64::MIN { after.time - 1 } else { after.time };
        let day = self.newest_day_with(country, origin, window.start, newest)?;
        // The window may begin within a day, and what is before it is nobody's business.
        let Some(day) = day.filter(|_| newest >= window.start) else { return Ok((Vec::new(), None)) };
        let mut rows = Condition::default();
        let start = day.start.max(window.start);
        rows.between(Some(Window { start, ..day }), Some(after));
        let sql = format!(
            "SELECT banned_at, id, country FROM archive{} ORDER BY banned_at DESC, id DESC LIMIT {LOOKED_AT}",
            rows.sql
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let read = |row: &Row<'_>| Ok((cursor(row)?, row.get(2)?));
        let found = statement.query_map(params_from_iter(rows.values), read)?;
        let found: Vec<(Cursor, i64)> = found.collect::<Result<_, _>>()?;
        let is_of_country = |(position, number): &(Cursor, i64)| (*number == country.number()).then_some(*position);
        let positions: Vec<Cursor> = found.iter().filter_map(is_of_country).collect();
        let mut bans = self.bans_at(&positions)?;
        bans.retain(|ban| origin.is_none_or(|origin| origin == Origin::of(&ban.jail)));
        let last = found.last().filter(|_| found.len() == LOOKED_AT);
        Ok((bans, Some(last.map_or(Cursor { time: start, id: i64::MIN }, |(position, _)| *position))))
    }

    /// Whether this very ban is there.
    pub fn has_archived(&self, ban: &PastBan) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM archive WHERE ip = ?1 AND banned_at = ?2
            AND jail = (SELECT id FROM archive_jails WHERE name = ?3)";
        Ok(self.connection.prepare_cached(sql)?.exists((&ban.ip, ban.banned_at, &ban.jail))?)
    }

    /// The newest bans of exactly this address.
    pub fn archive_of_ip(&self, ip: &str, limit: u32) -> Result<Vec<PastBan>, Error> {
        let sql = one_ban("ip = ?1 ORDER BY banned_at DESC, jail DESC LIMIT ?2");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let bans = statement.query_map((ip, limit), ban)?.collect::<Result<_, _>>()?;
        self.with_lifts(bans)
    }

    /// The same, each with who lifted it here.
    fn with_lifts(&self, mut bans: Vec<PastBan>) -> Result<Vec<PastBan>, Error> {
        if self.has_lifts()? {
            for ban in &mut bans {
                ban.ours.lift = self.lift_of(ban)?;
            }
        }
        Ok(bans)
    }

    /// When exactly this address was banned first, in Unix seconds.
    pub fn first_ban_of_ip(&self, ip: &str) -> Result<Option<i64>, Error> {
        let sql = "SELECT min(banned_at) FROM archive WHERE ip = ?1";
        Ok(self.connection.prepare_cached(sql)?.query_row([ip], |row| row.get(0))?)
    }

    /// Adds some bans of exactly this address up, behind the time and jail that the last step gave. `None`: these were the last.
    pub fn sum_up_ip(&self, ip: &str, after: (i64, i64), summary: &mut Summary) -> Result<Option<(i64, i64)>, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT banned_at, jail, failures FROM archive WHERE ip = ?1 AND (banned_at, jail) > (?2, ?3)
             ORDER BY banned_at, jail LIMIT {ROWS}"
        ))?;
        let mut rows = statement.query(params![ip, after.0, after.1])?;
        let (mut seen, mut last) = (0, after);
        while let Some(row) = rows.next()? {
            last = (row.get(0)?, row.get(1)?);
            summary.failures += row.get::<_, i64>(2)?.max(0) as u64;
            seen += 1;
        }
        summary.bans += seen as u64;
        Ok((seen == ROWS).then_some(last))
    }
}

fn total_of(by_country: &[(Country, u64)], wanted: Option<Country>) -> u64 {
    by_country.iter().filter(|(country, _)| Some(*country) == wanted).map(|(_, count)| count).sum()
}

/// A query for bans, with the columns in the order `ban` reads them.
fn one_ban(condition: &str) -> String {
    format!(
        "SELECT archive.id, name, ip, banned_at, ban_time, count, failures, matches, country, note, actor_kind, actor
         FROM archive JOIN archive_jails ON archive_jails.id = jail
         LEFT JOIN archive_seen ON archive_seen.id = archive.id WHERE {condition}"
    )
}

fn cursor(row: &Row<'_>) -> rusqlite::Result<Cursor> {
    Ok(Cursor { time: row.get(0)?, id: row.get(1)? })
}

fn ban(row: &Row<'_>) -> rusqlite::Result<PastBan> {
    let matches: Option<String> = row.get(7)?;
    let kind: Option<String> = row.get(10)?;
    let actor = kind.map(|kind| Ok::<_, rusqlite::Error>(Actor::of(&kind, row.get(11)?))).transpose()?;
    Ok(PastBan {
        ours: Ours { actor, note: row.get::<_, Option<String>>(9)?.unwrap_or_default(), lift: None },
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
