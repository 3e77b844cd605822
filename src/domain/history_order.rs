//! The history in another order than that of time: a number for each ban by the field it is sorted by, and a page picked by these numbers
//! without keeping them all.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::address::IpOrNet;
use super::history::{Country, Cursor, Unknown};

/// What the history can be sorted by besides time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum By {
    /// The address: IPv4 first, what is no address last.
    Ip,
    /// The name of the jail.
    Jail,
    /// Which ban of its address it was.
    BanCount,
    /// Failures that led to it.
    Failures,
    /// How long it was to last; for ever is longest, unknown shortest.
    BanTime,
    /// The country's code; unknown comes first.
    CountryCode,
}

/// A field, and whether the largest comes first. Of bans that have the same, the newest comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The field.
    pub by: By,
    /// The largest comes first.
    pub is_descending: bool,
}

/// The words of all orders, those of time among them.
pub const FIELDS: &[&str] = &[
    "banned_at",
    "-banned_at",
    "ip",
    "-ip",
    "jail",
    "-jail",
    "ban_count",
    "-ban_count",
    "failures",
    "-failures",
    "ban_time",
    "-ban_time",
    "country_code",
    "-country_code",
];

impl FromStr for Order {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Order, Unknown> {
        let name = text.strip_prefix('-').unwrap_or(text);
        let by = match name {
            "ip" => By::Ip,
            "jail" => By::Jail,
            "ban_count" => By::BanCount,
            "failures" => By::Failures,
            "ban_time" => By::BanTime,
            "country_code" => By::CountryCode,
            _ => return Err(Unknown),
        };
        Ok(Order { by, is_descending: name.len() < text.len() })
    }
}

/// What an order looks at in a ban.
#[derive(Debug, Clone, Copy)]
pub struct Sorted<'a> {
    /// What was banned.
    pub ip: &'a str,
    /// The place of its jail among all by name.
    pub jail: u32,
    /// Which ban of its address it was.
    pub count: i64,
    /// Failures that led to it.
    pub failures: i64,
    /// Seconds, -1 for ever, `None` where unknown.
    pub ban_time: Option<f64>,
    /// Its country.
    pub country: Option<Country>,
}

impl Order {
    /// A number that is smaller where a ban comes before another.
    pub fn rank(self, ban: Sorted<'_>) -> u128 {
        let rank = match self.by {
            By::Ip => rank_of_address(ban.ip),
            By::Jail => u128::from(ban.jail),
            By::BanCount => ban.count.max(0) as u128,
            By::Failures => ban.failures.max(0) as u128,
            // Thousandths of a second: the daemon's own times have parts of seconds.
            By::BanTime => ban.ban_time.map_or(0, |seconds| match seconds < 0.0 {
                true => u128::MAX,
                false => (seconds * 1000.0) as u128 + 1,
            }),
            By::CountryCode => ban.country.map_or(0, |country| country.number() as u128),
        };
        if self.is_descending { !rank } else { rank }
    }
}

/// IPv4 by its bits and the length of its network, then IPv6 by its bits, then the rest.
fn rank_of_address(text: &str) -> u128 {
    let Ok(net) = text.parse::<IpOrNet>() else { return u128::MAX };
    match net.address() {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 8 | u128::from(net.prefix()),
        IpAddr::V6(address) => address.to_bits().saturating_add(1 << 40),
    }
}

/// The place of a ban in an order: its rank, then the newest first.
type Place = (u128, Reverse<(i64, i64)>);

/// A page that is picked from bans that come in any order. At most `room` places are kept behind the place where it begins; what is wanted
/// further down needs another pass, which begins behind the last of them.
#[derive(Debug)]
pub struct Picked {
    order: Order,
    skip: u64,
    limit: usize,
    room: usize,
    behind: Option<Place>,
    kept: Vec<Place>,
    /// No place behind this one can be among those that are wanted.
    last: Option<Place>,
    seen: u64,
}

impl Picked {
    /// Nothing has been seen yet.
    pub fn new(order: Order, skip: u64, limit: u32, room: usize) -> Picked {
        let limit = limit as usize;
        Picked { order, skip, limit, room: room.max(limit), behind: None, kept: Vec::new(), last: None, seen: 0 }
    }

    /// The order.
    pub fn order(&self) -> Order {
        self.order
    }

    /// Bans of this pass.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// One of the bans.
    pub fn take(&mut self, ban: Sorted<'_>, at: Cursor) {
        self.seen += 1;
        let place = (self.order.rank(ban), Reverse((at.time, at.id)));
        if self.behind.is_some_and(|behind| place <= behind) || self.last.is_some_and(|last| place > last) {
            return;
        }
        let end = self.end();
        if self.kept.len() >= end.saturating_mul(2).max(512) {
            self.cut(end);
        }
        self.kept.push(place);
    }

    /// How many places are worth keeping.
    fn end(&self) -> usize {
        usize::try_from(self.skip).unwrap_or(usize::MAX).saturating_add(self.limit).min(self.room)
    }

    fn cut(&mut self, end: usize) {
        if end > 0 && end < self.kept.len() {
            self.kept.select_nth_unstable(end - 1);
            self.kept.truncate(end);
            self.last = Some(self.kept[end - 1]);
        }
    }

    /// The page, once all were seen; `None`: they are to be gone through once more.
    pub fn page(&mut self) -> Option<Vec<Cursor>> {
        let end = self.end();
        self.cut(end);
        self.kept.sort_unstable();
        let skip = usize::try_from(self.skip).unwrap_or(usize::MAX);
        let is_cut = self.kept.len() == self.room && skip.saturating_add(self.limit) > self.room;
        let passed = skip.min(self.kept.len());
        if let Some(behind) = passed.checked_sub(1).filter(|_| is_cut) {
            (self.behind, self.last, self.seen) = (Some(self.kept[behind]), None, 0);
            self.skip -= passed as u64;
            self.kept.clear();
            return None;
        }
        let page = self.kept.iter().skip(skip).take(self.limit);
        Some(page.map(|(_, Reverse((time, id)))| Cursor { time: *time, id: *id }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: i64 = 5000;

    /// Bans whose fields are all over the place.
    fn bans() -> Vec<(String, Sorted<'static>)> {
        let one = |n: i64| {
            let scattered = (n as u32).wrapping_mul(2_654_435_761);
            let ip = match n % 40 {
                0 => format!("text {n}"),
                1 => format!("2001:db8::{n:x}"),
                2 => format!("10.{}.0.0/16", scattered % 200),
                _ => std::net::Ipv4Addr::from(scattered).to_string(),
            };
            let ban_time = [None, Some(-1.0), Some(0.5), Some(f64::from(scattered % 999))][n as usize % 4];
            let country = ["DE", "FR", "AT"].get(n as usize % 5).and_then(|code| code.parse().ok());
            let failures = i64::from(scattered % 100);
            (ip, Sorted { ip: "", jail: scattered % 3, count: n % 7, failures, ban_time, country })
        };
        (0..COUNT).map(one).collect()
    }

    #[test]
    fn every_page_of_every_order_is_that_of_the_sorted_list_however_few_places_are_kept() {
        let bans = bans();
        let sorted = |n: i64| {
            let (ip, ban) = &bans[n as usize];
            Sorted { ip, ..*ban }
        };
        let at = |n: i64| Cursor { time: n / 3, id: n };
        for word in FIELDS.iter().filter(|word| !word.ends_with("banned_at")) {
            let order: Order = word.parse().unwrap();
            let mut all: Vec<i64> = (0..COUNT).collect();
            all.sort_by_key(|n| (order.rank(sorted(*n)), Reverse(*n)));
            for (skip, limit, room) in [(0, 50, 4096), (7, 50, 60), (990, 30, 100), (4980, 50, 700), (6000, 50, 100)] {
                let mut picked = Picked::new(order, skip, limit, room);
                let page = loop {
                    (0..COUNT).for_each(|n| picked.take(sorted(n), at(n)));
                    assert_eq!(picked.seen(), COUNT as u64);
                    assert!(picked.kept.len() <= 2 * room.max(512), "{}", picked.kept.len());
                    if let Some(page) = picked.page() {
                        break page;
                    }
                };
                let expected: Vec<i64> = all.iter().skip(skip as usize).take(limit as usize).copied().collect();
                assert_eq!(page.iter().map(|at| at.id).collect::<Vec<_>>(), expected, "{word} {skip} {room}");
            }
        }
    }

    #[test]
    fn addresses_are_sorted_by_their_bits_and_not_as_texts() {
        let mut all = ["10.0.0.1", "9.0.0.0/8", "2001:db8::1", "text", "fe80::1", "9.0.0.0/16", "100.0.0.1"];
        all.sort_by_key(|text| rank_of_address(text));
        assert_eq!(all, ["9.0.0.0/8", "9.0.0.0/16", "10.0.0.1", "100.0.0.1", "2001:db8::1", "fe80::1", "text"]);
        assert_eq!("colour".parse::<Order>(), Err(Unknown));
    }
}
