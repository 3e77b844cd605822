//! Who is failing now: the failures that the daemon has counted and that have led to no ban yet, as its log tells of them, in bounded memory.
//! How many count is told as the daemon counts. Nothing here reads a log.

use std::collections::BTreeMap;

use crate::domain::history::Country;

/// The most addresses that are kept, a jail's each for itself.
pub const MOST_ROWS: usize = 5000;
/// The most failures that are kept of all of them.
pub const MOST_FAILURES: usize = 25_000;
/// The most failures of one address in one jail.
const MOST_OF_ONE: usize = 500;
/// The most user names of one address in one jail.
pub const MOST_USERS: usize = 5;
/// The most jails.
const MOST_JAILS: usize = 1000;
/// The longest text of what fails, in bytes.
const LONGEST: usize = 256;

/// Failures of one address in one jail.
#[derive(Debug, Default)]
struct Row {
    /// When, in seconds as the log tells them, the oldest first.
    times: Vec<i64>,
    users: Vec<Box<str>>,
    country: Option<Country>,
    /// Its lines were looked at since its last failure.
    is_looked_up: bool,
}

/// Who fails in a jail, and how near to a ban.
#[derive(Debug)]
pub struct Failing<'a> {
    /// The jail.
    pub jail: &'a str,
    /// Who.
    pub ip: &'a str,
    /// How many failures count.
    pub failures: u32,
    /// The first of them, Unix time in seconds.
    pub first: i64,
    /// The last.
    pub last: i64,
    /// The names that were tried, the latest last.
    pub users: &'a [Box<str>],
    /// Where it is, as far as that was looked up.
    pub country: Option<Country>,
}

/// What decides how many failures count, of a jail.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counting {
    /// How far back they count, in seconds.
    pub find_time: f64,
    /// How many make a ban.
    pub max_retry: i64,
}

/// Everybody who is failing.
#[derive(Debug, Default)]
pub struct FailingNow {
    /// Names, by their numbers.
    jails: Vec<Box<str>>,
    rows: BTreeMap<(u16, Box<str>), Row>,
    failures: usize,
    /// Seconds by which the times of the log are behind.
    zone_off: i64,
    /// Something was left out, for want of room.
    pub is_cut: bool,
}

impl FailingNow {
    /// A failure was counted, `count` times, at a time as the log tells it.
    pub fn failed(&mut self, jail: &str, ip: &str, at: i64, count: u32) {
        if ip.len() > LONGEST {
            return;
        }
        let Some(jail) = self.number(jail) else {
            self.is_cut = true;
            return;
        };
        let row = self.rows.entry((jail, ip.into())).or_default();
        for _ in 0..count.min(MOST_OF_ONE as u32) {
            if row.times.len() == MOST_OF_ONE {
                row.times.remove(0);
                self.failures -= 1;
            }
            row.times.push(at);
            self.failures += 1;
        }
        row.is_looked_up = false;
        if self.rows.len() > MOST_ROWS || self.failures > MOST_FAILURES {
            self.make_room();
        }
    }

    fn number(&mut self, jail: &str) -> Option<u16> {
        let known = self.jails.iter().position(|own| **own == *jail);
        if known.is_none() {
            if self.jails.len() >= MOST_JAILS {
                return None;
            }
            self.jails.push(jail.into());
        }
        u16::try_from(known.unwrap_or(self.jails.len() - 1)).ok()
    }

    /// Takes away those who have not failed for the longest, a quarter of all.
    fn make_room(&mut self) {
        self.is_cut = true;
        let mut last: Vec<i64> = self.rows.values().filter_map(|row| row.times.last().copied()).collect();
        last.sort_unstable();
        let Some(limit) = last.get(last.len() / 4).copied() else { return };
        let mut left = last.len() / 4 + 1;
        self.keep(|_, row| {
            let goes = left > 0 && row.times.last().is_none_or(|at| *at <= limit);
            left -= usize::from(goes);
            !goes
        });
    }

    fn keep(&mut self, mut stays: impl FnMut(u16, &Row) -> bool) {
        let failures = &mut self.failures;
        self.rows.retain(|(jail, _), row| {
            let stays = stays(*jail, row);
            *failures -= if stays { 0 } else { row.times.len() };
            stays
        });
    }

    /// It is banned: its failures are done with.
    pub fn banned(&mut self, jail: &str, ip: &str) {
        if let Some(jail) = self.jails.iter().position(|own| **own == *jail)
            && let Some(row) = self.rows.remove(&(jail as u16, ip.into()))
        {
            self.failures -= row.times.len();
        }
    }

    /// The daemon counts from nothing again, in this jail.
    pub fn forget_jail(&mut self, jail: &str) {
        if let Some(jail) = self.jails.iter().position(|own| **own == *jail) {
            self.keep(|own, _| usize::from(own) != jail);
        }
    }

    /// The same in all jails.
    pub fn forget_all(&mut self) {
        let zone_off = self.zone_off;
        *self = FailingNow { zone_off, ..FailingNow::default() };
    }

    /// The times that the log tells are behind by so many seconds.
    pub fn set_zone(&mut self, zone_off: i64) {
        self.zone_off = zone_off;
    }

    /// Whether this one fails anywhere.
    pub fn has(&self, ip: &str) -> bool {
        self.rows.keys().any(|(_, own)| **own == *ip)
    }

    /// The jails in which somebody fails.
    pub fn jails(&self) -> Vec<String> {
        let mut seen: Vec<u16> = self.rows.keys().map(|(jail, _)| *jail).collect();
        seen.dedup();
        seen.iter().map(|jail| self.jails[usize::from(*jail)].to_string()).collect()
    }

    /// Those whose lines are to be looked at, by jail.
    pub fn unknown(&self) -> BTreeMap<String, Vec<String>> {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for ((jail, ip), _) in self.rows.iter().filter(|(_, row)| !row.is_looked_up) {
            found.entry(self.jails[usize::from(*jail)].to_string()).or_default().push(ip.to_string());
        }
        found
    }

    /// What was found in its lines: the names that were tried, the latest last, and where it is.
    pub fn learn(&mut self, jail: &str, ip: &str, users: &[String], country: Option<Country>) {
        let Some(jail) = self.jails.iter().position(|own| **own == *jail) else { return };
        if let Some(row) = self.rows.get_mut(&(jail as u16, ip.into())) {
            let skip = users.len().saturating_sub(MOST_USERS);
            row.users = users[skip..].iter().map(|name| name.as_str().into()).collect();
            row.country = country;
            row.is_looked_up = true;
        }
    }

    /// Drops what is too old to count.
    pub fn drop_old(&mut self, jail: &str, counting: Counting, now: i64) {
        let Some(jail) = self.jails.iter().position(|own| **own == *jail) else { return };
        let since = now as f64 - counting.find_time - self.zone_off as f64;
        self.keep(|own, row| usize::from(own) != jail || row.times.last().is_some_and(|at| *at as f64 > since));
    }

    /// Who fails in a jail. `ip`: this one only.
    pub fn of_jail<'a>(&'a self, jail: &str, ip: Option<&'a str>, counting: Counting, now: i64) -> Vec<Failing<'a>> {
        let Some(number) = self.jails.iter().position(|own| **own == *jail) else { return Vec::new() };
        let name = &*self.jails[number];
        let number = number as u16;
        let rows = self.rows.range((number, "".into())..).take_while(|((jail, _), _)| *jail == number);
        let wanted = rows.filter(|((_, own), _)| ip.is_none_or(|ip| **own == *ip));
        let shown = wanted.filter_map(|((_, ip), row)| {
            let (failures, first, last) = count(&row.times, counting, now - self.zone_off)?;
            let (first, last) = (first + self.zone_off, last + self.zone_off);
            Some(Failing { jail: name, ip, failures, first, last, users: &row.users, country: row.country })
        });
        shown.collect()
    }
}

/// How many failures count at a time, when the first and the last of them were; `None` where none does. It follows the daemon: who goes on
/// for longer than the find time is taken to go on as fast as until then, and a ban begins it anew.
fn count(times: &[i64], counting: Counting, now: i64) -> Option<(u32, i64, i64)> {
    let most = counting.find_time.max(1.0);
    let (mut failures, mut first, mut start, mut last) = (0.0_f64, 0, 0.0_f64, 0);
    for at in times.iter().copied() {
        if failures < 1.0 || (at - last) as f64 >= most {
            (failures, first, start, last) = (1.0, at, at as f64, at);
        } else {
            if at > last {
                if start < at as f64 - most {
                    failures = (failures / (at as f64 - start) * most).round_ties_even();
                    start = at as f64 - most;
                }
                last = at;
            }
            failures += 1.0;
        }
        if failures >= counting.max_retry.max(1) as f64 {
            failures = 0.0;
        }
    }
    let counts = failures >= 1.0 && last as f64 > now as f64 - most;
    counts.then_some((failures as u32, first.max(start as i64), last))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE: Counting = Counting { find_time: 600.0, max_retry: 5 };

    fn shown(all: &FailingNow, now: i64) -> Vec<(String, u32)> {
        all.of_jail("lab", None, FIVE, now).iter().map(|one| (one.ip.to_owned(), one.failures)).collect()
    }

    #[test]
    fn failures_are_counted_until_a_ban_or_the_find_time() {
        let mut all = FailingNow::default();
        for (ip, at) in [("192.0.2.1", 1000), ("192.0.2.1", 1010), ("192.0.2.2", 1300), ("192.0.2.1", 1020)] {
            all.failed("lab", ip, at, 1);
        }
        all.failed("other", "192.0.2.1", 1000, 1);
        let one = |ip: &str, failures| (ip.to_owned(), failures);
        assert_eq!(shown(&all, 1100), [one("192.0.2.1", 3), one("192.0.2.2", 1)]);
        assert_eq!(shown(&all, 1620), [one("192.0.2.2", 1)]);
        all.banned("lab", "192.0.2.2");
        assert_eq!(shown(&all, 1100), [one("192.0.2.1", 3)]);
        all.failed("lab", "192.0.2.1", 1030, 2);
        assert_eq!(shown(&all, 1100), [], "it is banned");
        assert_eq!(all.jails(), ["lab", "other"]);
        all.forget_jail("other");
        assert_eq!(all.jails(), ["lab"]);
        all.drop_old("lab", FIVE, 5000);
        assert_eq!((all.rows.len(), all.failures), (0, 0));
    }

    #[test]
    fn a_slow_one_is_counted_as_the_daemon_does() {
        // Every 200 s: the estimate of 600 s.
        let times: Vec<i64> = (0..10).map(|n| n * 200).collect();
        let found = count(&times, Counting { find_time: 600.0, max_retry: 50 }, 1800);
        assert_eq!(found.map(|(failures, ..)| failures), Some(4));
        assert_eq!(count(&[0, 10, 700], FIVE, 700).map(|found| found.0), Some(1));
        assert_eq!(count(&[], FIVE, 0), None);
    }

    #[test]
    fn the_times_of_another_zone_are_brought_home() {
        let mut all = FailingNow::default();
        all.failed("lab", "192.0.2.1", 1000, 1);
        all.set_zone(3600);
        let found = all.of_jail("lab", Some("192.0.2.1"), FIVE, 4610);
        assert_eq!((found[0].first, found[0].last), (4600, 4600));
        assert!(all.of_jail("lab", None, FIVE, 1010 + 7200).is_empty());
    }

    #[test]
    fn a_flood_takes_no_more_room_than_it_may() {
        let mut all = FailingNow::default();
        for n in 0..40_000_i64 {
            all.failed("lab", &format!("10.0.{}.{}", n / 250, n % 250), n / 10, 1 + (n % 7) as u32);
            assert!(all.rows.len() <= MOST_ROWS && all.failures <= MOST_FAILURES);
        }
        assert!(all.is_cut);
        assert_eq!(all.failures, all.rows.values().map(|row| row.times.len()).sum::<usize>());
        // The latest are there.
        let wide = Counting { find_time: 1e6, max_retry: 50 };
        assert_eq!(all.of_jail("lab", Some("10.0.159.249"), wide, 4000).len(), 1);
        for _ in 0..600 {
            all.failed("lab", "192.0.2.1", 4000, 1);
        }
        assert!(all.rows.values().all(|row| row.times.len() <= MOST_OF_ONE));
        (0..2000).for_each(|n| all.failed(&format!("j{n}"), "192.0.2.1", 4000, 1));
        assert_eq!(all.jails.len(), MOST_JAILS);
    }
}
