//! How many rows of the archive lie in each stretch of time, by jail and by country, so that charts add up a few numbers instead of
//! counting rows. They change in the transaction of the rows they count, so both always agree.
//!
//! A stretch is one row of `archive_counts`, its numbers packed: a year by country is 53 rows that way instead of 11 000, and is added
//! up in a twentieth of the time.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::error::Error;
use super::open::Store;
use crate::domain::history::{Country, Origin, Window, bucket_start};

const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;
/// Stretches of time that are counted, in seconds, and how long their counts are kept: longer than a chart shows them, so
/// that a clock set back by days still finds them. 0 is as long as the rows.
const SPANS: [(i64, i64); 4] = [(3600, 8 * DAY), (6 * 3600, 16 * DAY), (DAY, 0), (WEEK, 0)];
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

/// The columns of packed numbers.
#[derive(Clone, Copy)]
enum Column {
    Jails,
    Countries,
}

impl Store {
    /// Reads one column of the counts of a window, stretch by stretch.
    fn each_count(&self, window: Window, column: Column, visit: &mut dyn FnMut(i64, &[u8])) -> Result<(), Error> {
        let name = match column {
            Column::Jails => "jails",
            Column::Countries => "countries",
        };
        let sql = format!("SELECT start, {name} FROM archive_counts WHERE span = ?1 AND start >= ?2 AND start < ?3");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([window.bucket, window.start, window.end])?;
        while let Some(row) = rows.next()? {
            visit(row.get(0)?, row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?);
        }
        Ok(())
    }

    /// One column of the counts of a window, added up.
    fn counts(&self, window: Window, column: Column) -> Result<Numbers, Error> {
        let mut numbers = Numbers::new();
        self.each_count(window, column, &mut |_, packed| unpack(packed, &mut numbers))?;
        Ok(numbers)
    }

    /// Rows without a country.
    pub fn archive_unresolved(&self) -> Result<u64, Error> {
        let all = Window { start: i64::MIN, end: i64::MAX, bucket: WEEK };
        let numbers = self.counts(all, Column::Countries)?;
        let unknown = [false, true].map(|is_blocklist| numbers.get(&country_key(0, is_blocklist)).copied());
        Ok(unknown.into_iter().flatten().sum::<i64>().unsigned_abs())
    }

    /// Bans of a range by jail, most first.
    pub fn archive_by_jail(&self, window: Window, origin: Option<Origin>) -> Result<Vec<(String, u64)>, Error> {
        let numbers = self.counts(window, Column::Jails)?;
        let mut statement = self.connection.prepare_cached("SELECT id, name FROM archive_jails")?;
        let mut rows = statement.query([])?;
        let mut jails = Vec::new();
        while let Some(row) = rows.next()? {
            let (id, name): (i64, String) = (row.get(0)?, row.get(1)?);
            if let Some(count) = numbers.get(&id.unsigned_abs()).filter(|_| is_of(origin, id == BLOCKLIST)) {
                jails.push((name, count.unsigned_abs()));
            }
        }
        jails.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Ok(jails)
    }

    /// Bans of a range by country, and all of them, those without a country included.
    pub fn archive_by_country(
        &self,
        window: Window,
        origin: Option<Origin>,
    ) -> Result<(Vec<(Country, u64)>, u64), Error> {
        let numbers = self.counts(window, Column::Countries)?;
        let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
        for (key, count) in numbers.into_iter().filter(|(key, _)| is_of(origin, key & 1 == 1)) {
            *counts.entry((key >> 1) as i64).or_default() += count.unsigned_abs();
        }
        let total = counts.values().sum();
        let known = counts.into_iter().filter_map(|(number, count)| Some((Country::of_number(number)?, count)));
        Ok((known.collect(), total))
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

    /// Bans of a range by bucket; buckets without one are left out.
    pub fn archive_trend(&self, window: Window, origin: Option<Origin>) -> Result<Vec<(i64, u64)>, Error> {
        let mut buckets = Vec::new();
        self.each_count(window, Column::Jails, &mut |start, packed| {
            let mut numbers = Numbers::new();
            unpack(packed, &mut numbers);
            let wanted = numbers.iter().filter(|(id, _)| is_of(origin, **id == BLOCKLIST as u64));
            let count: i64 = wanted.map(|(_, count)| count).sum();
            if count > 0 {
                buckets.push((start, count.unsigned_abs()));
            }
        })?;
        Ok(buckets)
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
