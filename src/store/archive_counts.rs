//! How many rows of the archive lie in each stretch of time, by jail and by country, so that charts add up a few numbers instead of
//! counting rows. They change in the transaction of the rows they count, so both always agree.
//!
//! A stretch is one row of `archive_counts`, its numbers packed: a year by country is 53 rows that way instead of 11 000, and is added
//! up in a twentieth of the time.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::error::Error;
use super::open::Store;
use crate::domain::history::{Country, Cursor, Origin, Window, bucket_start};

const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;
/// Stretches of time that are counted, in seconds, and how long their counts are kept: longer than a chart shows them, so
/// that a clock set back by days still finds them. 0 is as long as the rows.
const SPANS: [(i64, i64); 4] = [(3600, 8 * DAY), (6 * 3600, 16 * DAY), (DAY, 0), (WEEK, 0)];
/// Entries of an index that one step passes over: half a millisecond on a PC, ten on a router.
pub(super) const STEP: u64 = 2000;
/// The number of the jail that blocklists are imported into. It is there from the start, so that queries can name it.
pub(super) const BLOCKLIST: i64 = 0;
/// Bits of a count; above them stands what is counted.
const COUNT_BITS: u32 = 40;

/// What is counted, a jail or a country with its origin, and how often.
type Numbers = BTreeMap<u64, i64>;

/// The key of a country: its number, and whether the ban came from an imported list.
fn country_key(country: i64, is_blocklist: bool) -> u64 {
    (country.unsigned_abs() << 1) | u64::from(is_blocklist)
}

/// What is packed in a column, added to `numbers`. A blob of an odd length has lost its end, which is no count.
fn unpack(packed: &[u8], numbers: &mut Numbers) {
    for entry in packed.chunks_exact(8) {
        let entry = entry.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        *numbers.entry(entry >> COUNT_BITS).or_default() += (entry & ((1 << COUNT_BITS) - 1)) as i64;
    }
}

/// The numbers above 0, eight bytes each: three for what is counted, five for how often.
fn pack(numbers: &Numbers) -> Vec<u8> {
    let some = numbers.iter().filter(|(_, count)| **count > 0);
    some.flat_map(|(key, count)| (key << COUNT_BITS | count.unsigned_abs()).to_be_bytes()).collect()
}

/// Changes of the counts, gathered and written once a transaction.
#[derive(Default)]
pub(super) struct Counts {
    jails: BTreeMap<i64, i64>,
    stretches: BTreeMap<(i64, i64), (Numbers, Numbers)>,
}

impl Counts {
    /// Adds `change` rows at a time.
    pub(super) fn add(&mut self, at: i64, jail: i64, country: i64, change: i64) {
        *self.jails.entry(jail).or_default() += change;
        for (span, _) in SPANS {
            let (jails, countries) = self.stretches.entry((span, bucket_start(at, span))).or_default();
            *jails.entry(jail.unsigned_abs()).or_default() += change;
            *countries.entry(country_key(country, jail == BLOCKLIST)).or_default() += change;
        }
    }

    /// A row that had no country has one now.
    pub(super) fn resolve(&mut self, at: i64, jail: i64, country: i64) {
        for (span, _) in SPANS {
            let (_, countries) = self.stretches.entry((span, bucket_start(at, span))).or_default();
            *countries.entry(country_key(0, jail == BLOCKLIST)).or_default() -= 1;
            *countries.entry(country_key(country, jail == BLOCKLIST)).or_default() += 1;
        }
    }

    /// Writes them. Counts of a span that are kept for a while only are not begun anew for times before that; of a stretch without
    /// rows nothing stays.
    pub(super) fn write(self, transaction: &Transaction<'_>, now: i64) -> rusqlite::Result<()> {
        let is_kept =
            |span: i64, start: i64| SPANS.iter().any(|(one, kept)| *one == span && (*kept == 0 || start >= now - kept));
        let mut jail = transaction.prepare_cached("UPDATE archive_jails SET bans = bans + ?2 WHERE id = ?1")?;
        for (id, change) in self.jails.into_iter().filter(|(_, change)| *change != 0) {
            jail.execute([id, change])?;
        }
        let mut find =
            transaction.prepare_cached("SELECT jails, countries FROM archive_counts WHERE span = ?1 AND start = ?2")?;
        let mut put = transaction.prepare_cached(
            "INSERT INTO archive_counts (span, start, jails, countries) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET jails = excluded.jails, countries = excluded.countries",
        )?;
        let mut remove = transaction.prepare_cached("DELETE FROM archive_counts WHERE span = ?1 AND start = ?2")?;
        for ((span, start), (mut jails, mut countries)) in self.stretches {
            if !is_kept(span, start) {
                continue;
            }
            let read = |row: &Row<'_>| {
                unpack(row.get_ref(0)?.as_blob()?, &mut jails);
                unpack(row.get_ref(1)?.as_blob()?, &mut countries);
                Ok(())
            };
            find.query_row([span, start], read).optional()?;
            let (jails, countries) = (pack(&jails), pack(&countries));
            if jails.is_empty() {
                remove.execute([span, start])?;
            } else {
                put.execute(params![span, start, jails, countries])?;
            }
        }
        Ok(())
    }
}

/// Removes counts of short spans that nobody shows any more. Gives how many.
pub(super) fn remove_stale(transaction: &Transaction<'_>, now: i64) -> rusqlite::Result<usize> {
    let mut gone = 0;
    let stale = "archive_counts WHERE span = ?1 AND start < ?2";
    let mut look = transaction.prepare_cached(&format!("SELECT 1 FROM {stale}"))?;
    let mut remove = transaction.prepare_cached(&format!("DELETE FROM {stale}"))?;
    for (span, kept) in SPANS.iter().filter(|(_, kept)| *kept > 0) {
        // A day more, so that this is done once a day and not each time.
        if look.exists([*span, now - kept - DAY])? {
            gone += remove.execute([*span, now - kept])?;
        }
    }
    Ok(gone)
}

/// What is counted of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The bans of each jail.
    Jails,
    /// The bans from each country.
    Countries,
    /// The bans of each bucket.
    Buckets,
}

/// Rows of a stretch of time that no count holds: one origin's, in the order of their time.
#[derive(Debug)]
struct Uncounted {
    start: i64,
    end: i64,
    origin: Origin,
}

/// A count that is being made: whole stretches from what is added up already, the ragged ends of a window row by row.
#[derive(Debug)]
pub struct Counting {
    window: Window,
    origin: Option<Origin>,
    of: Of,
    /// By jail, by country, or by the start of a bucket.
    numbers: Numbers,
    /// What is still to be looked at; `None` before the first step.
    left: Option<Vec<Uncounted>>,
    /// The last row looked at of the one that comes first.
    at: Option<Cursor>,
}

impl Counting {
    /// Nothing has been counted yet.
    pub fn new(of: Of, window: Window, origin: Option<Origin>) -> Counting {
        Counting { window, origin, of, numbers: Numbers::new(), left: None, at: None }
    }

    /// All bans there are, from each country.
    pub(super) fn of_all_times(origin: Option<Origin>) -> Counting {
        let (start, end) = (bucket_start(0, WEEK), bucket_start(1 << 40, WEEK));
        Counting::new(Of::Countries, Window { start, end, bucket: WEEK }, origin)
    }

    /// What is counted.
    pub(super) fn of(&self) -> Of {
        self.of
    }

    /// Bans by country, and all of them, those without a country included.
    pub fn countries(&self) -> (Vec<(Country, u64)>, u64) {
        let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
        for (key, count) in self.numbers.iter().filter(|(key, _)| is_of(self.origin, *key & 1 == 1)) {
            *counts.entry((key >> 1) as i64).or_default() += count.unsigned_abs();
        }
        let total = counts.values().sum();
        let known = counts.into_iter().filter_map(|(number, count)| Some((Country::of_number(number)?, count)));
        (known.collect(), total)
    }

    /// Bans by bucket; buckets without one are left out.
    pub fn buckets(&self) -> Vec<(i64, u64)> {
        self.numbers.iter().map(|(start, count)| (*start as i64, count.unsigned_abs())).collect()
    }

    /// Takes the counts of a stretch that begins at `start`.
    fn take(&mut self, start: i64, packed: &[u8]) {
        if self.of != Of::Buckets {
            return unpack(packed, &mut self.numbers);
        }
        let mut numbers = Numbers::new();
        unpack(packed, &mut numbers);
        let wanted = numbers.iter().filter(|(id, _)| is_of(self.origin, **id == BLOCKLIST as u64));
        let count: i64 = wanted.map(|(_, count)| count).sum();
        if count > 0 {
            *self.numbers.entry(bucket_start(start, self.window.bucket) as u64).or_default() += count;
        }
    }

    /// Takes one row.
    fn take_row(&mut self, at: i64, jail: i64, country: i64) {
        let key = match self.of {
            Of::Jails => jail.unsigned_abs(),
            Of::Countries => country_key(country, jail == BLOCKLIST),
            Of::Buckets => bucket_start(at, self.window.bucket) as u64,
        };
        *self.numbers.entry(key).or_default() += 1;
    }
}

/// Cuts a stretch of time into the longest ones whose counts are kept: `counted` is given length, start and end of those of one length,
/// and the rest is returned. `spans` are the lengths to use, longest first, with how long they are kept.
fn cut(start: i64, end: i64, spans: &[(i64, i64)], now: i64, counted: &mut Vec<(i64, i64, i64)>) -> Vec<(i64, i64)> {
    if start >= end {
        return Vec::new();
    }
    let Some(((span, kept), shorter)) = spans.split_first() else { return vec![(start, end)] };
    let begin = if *kept == 0 { start } else { start.max(now - kept) };
    let (first, last) = (bucket_start(begin + span - 1, *span), bucket_start(end, *span));
    if first >= last {
        return cut(start, end, shorter, now, counted);
    }
    counted.push((*span, first, last));
    let mut rest = cut(start, first, shorter, now, counted);
    rest.extend(cut(last, end, shorter, now, counted));
    rest
}

impl Store {
    /// Counts some more, at most a few milliseconds' worth. True at the end.
    pub fn count_some(&self, counting: &mut Counting, now: i64) -> Result<bool, Error> {
        let Some(left) = &mut counting.left else {
            let longest = if counting.of == Of::Buckets { counting.window.bucket } else { WEEK };
            let mut spans: Vec<(i64, i64)> = SPANS.into_iter().filter(|(span, _)| *span <= longest).collect();
            spans.reverse();
            let mut counted = Vec::new();
            let rest = cut(counting.window.start, counting.window.end, &spans, now, &mut counted);
            for (span, start, end) in counted {
                self.each_count(span, start, end, counting)?;
            }
            let origins = [Origin::Selfblock, Origin::Blocklist].into_iter();
            let origins: Vec<Origin> =
                origins.filter(|one| counting.origin.is_none_or(|origin| origin == *one)).collect();
            let of_rest = |(start, end)| origins.iter().map(move |origin| Uncounted { start, end, origin: *origin });
            let left: Vec<Uncounted> = rest.into_iter().flat_map(of_rest).collect();
            let is_done = left.is_empty();
            counting.left = Some(left);
            return Ok(is_done);
        };
        let Some(stretch) = left.last() else { return Ok(true) };
        let start = counting.at.unwrap_or(Cursor { time: stretch.start, id: i64::MIN });
        // Each has an index of its own that holds all but the country.
        let (jail, end) = (if stretch.origin == Origin::Blocklist { "jail = 0" } else { "jail <> 0" }, stretch.end);
        let (country, limit) = if counting.of == Of::Countries { ("country", STEP / 4) } else { ("0", STEP) };
        let sql = format!(
            "SELECT banned_at, id, jail, {country} FROM archive
             WHERE {jail} AND (banned_at, id) > (?1, ?2) AND banned_at < ?3 ORDER BY banned_at, id LIMIT {limit}"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([start.time, start.id, end])?;
        let (mut seen, mut at) = (0, None);
        while let Some(row) = rows.next()? {
            let time = row.get(0)?;
            at = Some(Cursor { time, id: row.get(1)? });
            counting.take_row(time, row.get(2)?, row.get(3)?);
            seen += 1;
        }
        if seen == limit {
            counting.at = at;
        } else {
            counting.at = None;
            counting.left.as_mut().and_then(Vec::pop);
        }
        Ok(counting.left.as_ref().is_none_or(Vec::is_empty))
    }

    /// Adds the counts of stretches of one length.
    fn each_count(&self, span: i64, start: i64, end: i64, counting: &mut Counting) -> Result<(), Error> {
        let column = if counting.of == Of::Countries { "countries" } else { "jails" };
        let sql = format!("SELECT start, {column} FROM archive_counts WHERE span = ?1 AND start >= ?2 AND start < ?3");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([span, start, end])?;
        while let Some(row) = rows.next()? {
            counting.take(row.get(0)?, row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?);
        }
        Ok(())
    }

    /// Rows without a country.
    pub fn archive_unresolved(&self) -> Result<u64, Error> {
        let mut all = Counting::of_all_times(None);
        while !self.count_some(&mut all, 0)? {}
        let unknown = [false, true].map(|is_blocklist| all.numbers.get(&country_key(0, is_blocklist)).copied());
        Ok(unknown.into_iter().flatten().sum::<i64>().unsigned_abs())
    }

    /// Bans by jail as they were counted, most first.
    pub fn counted_jails(&self, counting: &Counting) -> Result<Vec<(String, u64)>, Error> {
        let mut statement = self.connection.prepare_cached("SELECT id, name FROM archive_jails")?;
        let mut rows = statement.query([])?;
        let mut jails = Vec::new();
        while let Some(row) = rows.next()? {
            let (id, name): (i64, String) = (row.get(0)?, row.get(1)?);
            let count = counting.numbers.get(&id.unsigned_abs());
            if let Some(count) = count.filter(|_| is_of(counting.origin, id == BLOCKLIST)) {
                jails.push((name, count.unsigned_abs()));
            }
        }
        jails.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Ok(jails)
    }

    /// The newest day with bans of a country that has begun by `newest` and has not ended by `oldest`, both Unix seconds.
    pub(super) fn newest_day_with(
        &self,
        country: Country,
        origin: Option<Origin>,
        oldest: i64,
        newest: i64,
    ) -> Result<Option<Window>, Error> {
        let keys = [false, true]
            .into_iter()
            .filter(|is_blocklist| is_of(origin, *is_blocklist))
            .map(|is_blocklist| country_key(country.number(), is_blocklist));
        let keys: Vec<u64> = keys.collect();
        let sql = "SELECT start, countries FROM archive_counts WHERE span = ?1 AND start > ?2 AND start <= ?3 ORDER BY start DESC";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([DAY, oldest - DAY, newest])?;
        while let Some(row) = rows.next()? {
            let mut numbers = Numbers::new();
            unpack(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?, &mut numbers);
            if keys.iter().any(|key| numbers.contains_key(key)) {
                let start = row.get(0)?;
                return Ok(Some(Window { start, end: start + DAY, bucket: DAY }));
            }
        }
        Ok(None)
    }
}

/// Whether a ban that is or is not of an imported list has the origin asked for.
fn is_of(origin: Option<Origin>, is_blocklist: bool) -> bool {
    origin.is_none_or(|origin| (origin == Origin::Blocklist) == is_blocklist)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::archive::{Bounds, NewBan};
    use crate::store::open::tests::temporary;

    /// 2026-11-22T04:05:08Z, a Sunday.
    const NOW: i64 = 1_795_320_308;

    #[test]
    fn counts_of_short_stretches_go_when_no_chart_shows_them_any_more() {
        let (_directory, mut store) = temporary();
        let ban = NewBan {
            jail: "lab",
            ip: "203.0.113.1",
            banned_at: NOW,
            ban_time: None,
            count: 1,
            failures: 3,
            matches: &[],
            country: None,
        };
        store.archive_bans(&[ban], None, NOW).unwrap();
        let spans = |store: &Store| -> Vec<i64> {
            let mut statement =
                store.connection.prepare("SELECT DISTINCT span FROM archive_counts ORDER BY span").unwrap();
            let found = statement.query_map([], |row| row.get(0)).unwrap();
            found.collect::<Result<_, _>>().unwrap()
        };
        let forever = Bounds { days: 0, rows: 0, bytes: 0 };
        // Hours are kept for 8 days and quarters of days for 16, each with a day more in which they may go.
        for (days, kept) in [
            (8, &[3600, 6 * 3600, DAY, WEEK][..]),
            (10, &[6 * 3600, DAY, WEEK]),
            (16, &[6 * 3600, DAY, WEEK]),
            (18, &[DAY, WEEK]),
            (3650, &[DAY, WEEK]),
        ] {
            store.purge_archive(forever, 50, NOW + days * DAY).unwrap();
            assert_eq!(spans(&store), kept, "after {days} days");
        }
        assert_eq!(store.archive_rows().unwrap(), 1, "the row itself stays");
    }
}
