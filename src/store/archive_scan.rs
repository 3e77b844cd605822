//! The list of the archive by what no index knows: a country, a text, a user, another order than that of time. It is gone through newest
//! first, a few rows a step; where only a country is asked for, the counts say how many there are and which days to look through, and the
//! first page ends it.

use rusqlite::{Row, params_from_iter};

use super::archive_condition::Condition;
use super::archive_counts::BLOCKLIST;
use super::error::Error;
use super::open::Store;
use crate::domain::history::{Country, Cursor, Filter, Origin, Slice, Window};
use crate::domain::history_order::{Order, Picked, Sorted};

/// Rows that are looked at in one step.
const ROWS: usize = 500;
/// Behind all times that are believed, in Unix seconds.
const LAST: i64 = 1 << 40;
/// Places of a sorted list that are kept at most, 32 bytes each. A page further down costs another pass.
const KEPT: usize = 16_384;

/// How far going through the list has come.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The last row looked at.
    at: Option<Cursor>,
    /// Rows that are wanted, and those of them behind the position asked for.
    found: u64,
    behind: u64,
    /// Those on the page.
    on_page: Vec<Cursor>,
    /// Where another order is asked for: those that may be on the page, and the jails by name.
    picked: Option<Picked>,
    ranks: Vec<i64>,
}

impl Scan {
    /// In another order than that of time.
    pub(super) fn in_order(order: Order, slice: Slice) -> Scan {
        Scan { picked: Some(Picked::new(order, slice.skip, slice.limit, KEPT)), ..Scan::default() }
    }

    /// Whether that is so.
    pub(super) fn is_in_order(&self) -> bool {
        self.picked.is_some()
    }

    fn pick(&mut self, row: &Row<'_>, at: Cursor) -> Result<(), Error> {
        let Some(picked) = &mut self.picked else { return Ok(()) };
        let jail: i64 = row.get(2)?;
        picked.take(
            Sorted {
                ip: row.get_ref(3)?.as_str().unwrap_or_default(),
                jail: self.ranks.iter().position(|id| *id == jail).unwrap_or(0) as u32,
                country: Country::of_number(row.get(4)?),
                ban_time: row.get(7)?,
                count: row.get(8)?,
                failures: row.get(9)?,
            },
            at,
        );
        Ok(())
    }

    fn take(&mut self, at: Cursor, slice: Slice) {
        self.found += 1;
        if slice.after.is_some_and(|after| (at.time, at.id) >= (after.time, after.id)) {
            return;
        }
        if self.behind >= slice.skip && self.on_page.len() < slice.limit as usize {
            self.on_page.push(at);
        }
        self.behind += 1;
    }

    /// What was found; `None`: all of it has to be gone through once more.
    fn end(&mut self, total: Option<u64>) -> Option<(Vec<Cursor>, u64)> {
        let Some(picked) = &mut self.picked else {
            return Some((std::mem::take(&mut self.on_page), total.unwrap_or(self.found)));
        };
        let seen = picked.seen();
        let page = picked.page();
        if page.is_none() {
            self.at = None;
        }
        Some((page?, seen))
    }
}

impl Store {
    /// A step of it. Gives the positions on the page, newest first, and how many rows are wanted in all: `total` where that is known
    /// beforehand, for then nobody needs to look further than the page.
    pub(super) fn scan_some(
        &self,
        scan: &mut Scan,
        filter: &Filter,
        slice: Slice,
        jail: Option<i64>,
        total: Option<u64>,
    ) -> Result<Option<(Vec<Cursor>, u64)>, Error> {
        // What comes before the place is counted only where nobody knows the total.
        let from = scan.at.or(if total.is_some() { slice.after } else { None });
        let Some((condition, oldest)) = self.scanned(filter, jail, from)? else { return Ok(scan.end(total)) };
        if scan.picked.is_some() && scan.ranks.is_empty() {
            let mut statement = self.connection.prepare_cached("SELECT id FROM archive_jails ORDER BY name")?;
            scan.ranks = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        }
        let lines = if filter.asks_lines() { "matches" } else { "NULL" };
        let sql = format!(
            "SELECT banned_at, archive.id, archive.jail, ip, country, {lines},
                 (SELECT name FROM archive_jails WHERE archive_jails.id = archive.jail), ban_time, count, failures
             FROM archive{} ORDER BY banned_at DESC, archive.id DESC LIMIT {ROWS}",
            condition.sql
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(condition.values))?;
        let (mut seen, mut last) = (0, None);
        while let Some(row) = rows.next()? {
            let at = Cursor { time: row.get(0)?, id: row.get(1)? };
            (seen, last) = (seen + 1, Some(at));
            match is_wanted(row, filter)? {
                true if scan.picked.is_some() => scan.pick(row, at)?,
                true => scan.take(at, slice),
                false => {}
            }
        }
        if total.is_some() && scan.on_page.len() >= slice.limit as usize {
            return Ok(scan.end(total));
        }
        scan.at = match seen == ROWS {
            true => last,
            // The next day that has some.
            false if filter.country.is_some() => Some(Cursor { time: oldest, id: i64::MIN }),
            false => return Ok(scan.end(total)),
        };
        Ok(None)
    }

    /// The rows to look at next, and the time of the oldest that may be among them; `None` where no more can be wanted.
    fn scanned(
        &self,
        filter: &Filter,
        jail: Option<i64>,
        at: Option<Cursor>,
    ) -> Result<Option<(Condition, i64)>, Error> {
        let mut rows = Condition::default();
        match (jail, filter.origin) {
            (Some(jail), _) => rows.and("archive.jail = ?", [jail.into()]),
            (None, Some(Origin::Blocklist)) => rows.and("archive.jail = ?", [BLOCKLIST.into()]),
            (None, Some(Origin::Selfblock)) => rows.and("archive.jail <> 0", []),
            (None, None) => {}
        }
        let Some(country) = filter.country else {
            rows.between(filter.window, at);
            return Ok(Some((rows, i64::MIN)));
        };
        let (start, end) = filter.window.map_or((0, LAST), |window| (window.start, window.end));
        // What is behind the smallest number of a second is older than that second.
        let newest = at.map_or(end, |at| if at.id == i64::MIN { at.time } else { at.time + 1 }).min(end) - 1;
        if newest < start {
            return Ok(None);
        }
        let Some(day) = self.newest_day_with(country, filter.origin, start, newest)? else { return Ok(None) };
        let (start, end) = (start.max(day.start), end.min(day.end));
        rows.between(Some(Window { start, end, bucket: day.bucket }), at);
        Ok(Some((rows, start)))
    }
}

fn is_wanted(row: &Row<'_>, filter: &Filter) -> Result<bool, Error> {
    let text =
        |at| Ok::<_, Error>(row.get_ref(at)?.as_str_or_null().map_err(rusqlite::Error::from)?.unwrap_or_default());
    let (ip, lines, jail) = (text(3)?, text(5)?, text(6)?);
    Ok(filter.ip_prefix.as_deref().is_none_or(|prefix| ip.starts_with(prefix))
        && filter
            .country
            .is_none_or(|country| row.get(4).is_ok_and(|number| Country::of_number(number) == Some(country)))
        && filter.takes_text(jail, ip, lines))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::history::PastBan;
    use crate::store::archive::NewBan;
    use crate::store::archive::tests::{NOW, list, many, new, store_some};
    use crate::store::open::tests::temporary;

    const DAY: i64 = 86_400;

    #[test]
    fn what_no_index_knows_is_found_by_every_way_of_paging() {
        let (_directory, mut store) = temporary();
        let made = many(3000, 40);
        let lines =
            ["Invalid user bob from 203.0.113.9".to_owned(), "Failed password for invalid user Root".to_owned()];
        let ban = |at: usize| {
            let (jail, ip, time, country) = &made[at];
            NewBan { matches: if at.is_multiple_of(7) { &lines } else { &[] }, ..new(jail, ip, *time, country) }
        };
        let bans: Vec<_> = (0..made.len()).map(ban).collect();
        store_some(&mut store, &bans);
        let text = |text: &str| Some(text.to_owned());
        let all = Filter::default;
        let germany = || "DE".parse().ok();
        let window = Some(Window::between(NOW - 20 * DAY - 77, NOW - 5 * DAY - 1));
        let filters = [
            Filter { country: germany(), ..all() },
            Filter { country: germany(), window, ..all() },
            Filter { country: germany(), origin: Some(Origin::Selfblock), ..all() },
            Filter { country: germany(), jail: text("lab"), window, ..all() },
            Filter { country: germany(), search: text("bob"), ..all() },
            Filter { country: "AQ".parse().ok(), ..all() },
            Filter { search: text("failed password"), window, ..all() },
            Filter { search: text("203.0.1"), ip_prefix: text("203.0.1"), ..all() },
            Filter { user: text("bob"), origin: Some(Origin::Blocklist), ..all() },
            Filter { user: text("root"), ..all() },
        ];
        for filter in filters {
            let mut expected: Vec<(i64, &str)> = Vec::new();
            for (at, (jail, ip, time, country)) in made.iter().enumerate() {
                let lines = if at.is_multiple_of(7) { lines.join("\n") } else { String::new() };
                let is_there = filter.country.is_none_or(|wanted| wanted.as_str() == *country);
                if is_there && filter.takes(jail, ip, *time) && filter.takes_text(jail, ip, &lines) {
                    expected.push((*time, ip));
                }
            }
            expected.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
            let times = |bans: &[PastBan]| bans.iter().map(|ban| ban.banned_at).collect::<Vec<_>>();
            let wanted: Vec<i64> = expected.iter().map(|(time, _)| *time).collect();
            for skip in [0, 1, 100, 101, 400] {
                let page = list(&store, &filter, Slice { after: None, skip, limit: 100 });
                assert_eq!(page.total, wanted.len() as u64, "{filter:?}");
                let end = wanted.len().min(skip as usize + 100);
                assert_eq!(times(&page.bans), wanted[end.min(skip as usize)..end], "{filter:?} {skip}");
                assert_eq!(page.next.is_some(), end < wanted.len());
            }
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = list(&store, &filter, Slice { after, skip: 0, limit: 70 });
                assert_eq!(page.total, wanted.len() as u64, "{filter:?}");
                seen.extend(times(&page.bans));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, wanted, "{filter:?}");
        }
    }
}
