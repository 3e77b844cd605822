//! Who comes back: addresses, networks or operators with more than one ban in the archive, most bans first. The index of addresses is gone
//! through from its beginning to its end, a few milliseconds at a time; what is remembered meanwhile is bounded.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::archive_counts::{BLOCKLIST, STEP};
use super::error::Error;
use super::open::Store;
use crate::domain::address::IpOrNet;
use crate::domain::history::{By, Origin, Window};

/// Addresses of which the operator is looked up in one step.
const LOOKED_UP: u64 = 500;
/// Those that come first and are remembered; a page further down costs another pass.
const REMEMBERED: usize = 4096;
/// Groups that are open at a time. Where there are more, those that have one ban so far are let go, and are counted from there anew.
const GROUPS: usize = 65_536;

/// An address, a network or an operator that was banned more than once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Repeater {
    /// Bans, all together.
    pub bans: u64,
    /// The last one, Unix seconds.
    pub last: i64,
    /// The first one, Unix seconds.
    pub first: i64,
    /// What it is: the address, the network, or the operator's number (`AS3320`). Reversed, for the order of a list.
    pub name: Reverse<String>,
    /// One of its addresses.
    pub ip: String,
    /// Addresses that were banned.
    pub addresses: u64,
    /// The numbers of the jails, ascending.
    jails: Vec<i64>,
}

impl Repeater {
    fn merge(&mut self, other: Repeater) {
        self.bans += other.bans;
        self.addresses += other.addresses;
        (self.first, self.last) = (self.first.min(other.first), self.last.max(other.last));
        for jail in other.jails {
            add(&mut self.jails, jail);
        }
    }
}

fn add(jails: &mut Vec<i64>, jail: i64) {
    if let Err(at) = jails.binary_search(&jail) {
        jails.insert(at, jail);
    }
}

/// A page of repeaters, each with the names of its jails, and how many repeaters there are.
pub type Found = (Vec<(Repeater, Vec<String>)>, u64);

/// A page of repeaters as it is being put together.
#[derive(Debug)]
pub struct Repeats {
    by: By,
    window: Option<Window>,
    origin: Option<Origin>,
    skip: u64,
    limit: usize,
    /// The last row looked at.
    at: Option<(String, i64, i64)>,
    /// The address whose rows are being added up.
    run: Option<Repeater>,
    /// The network of IPv4 whose addresses are being added up: in the order of texts they stand together.
    open: Option<Repeater>,
    groups: HashMap<String, Repeater>,
    /// Those that come first, the last of them on top.
    best: BinaryHeap<Reverse<Repeater>>,
    /// Those that an earlier pass has found come before this one, and it with them.
    behind: Option<Repeater>,
    total: u64,
}

impl Repeats {
    /// Nothing has been looked at yet; `skip` repeaters are before the page.
    pub fn new(by: By, window: Option<Window>, origin: Option<Origin>, skip: u64, limit: u32) -> Repeats {
        Repeats {
            by,
            window,
            origin,
            skip,
            limit: limit as usize,
            at: None,
            run: None,
            open: None,
            groups: HashMap::new(),
            best: BinaryHeap::new(),
            behind: None,
            total: 0,
        }
    }

    fn room(&self) -> usize {
        usize::try_from(self.skip).unwrap_or(REMEMBERED).saturating_add(self.limit).min(REMEMBERED)
    }

    /// One row of the index of addresses.
    fn take(&mut self, ip: &str, at: i64, jail: i64, operator: &dyn Fn(&str) -> Option<String>) {
        let origin = if jail == BLOCKLIST { Origin::Blocklist } else { Origin::Selfblock };
        let is_wanted =
            self.window.is_none_or(|window| window.contains(at)) && self.origin.is_none_or(|wanted| wanted == origin);
        if !is_wanted {
            return;
        }
        match &mut self.run {
            Some(run) if run.ip == ip => {
                run.bans += 1;
                (run.first, run.last) = (run.first.min(at), run.last.max(at));
                add(&mut run.jails, jail);
            }
            _ => {
                let name = Reverse(ip.to_owned());
                let run =
                    Repeater { bans: 1, last: at, first: at, name, ip: ip.to_owned(), addresses: 1, jails: vec![jail] };
                if let Some(done) = self.run.replace(run) {
                    self.close(done, operator);
                }
            }
        }
    }

    /// All rows of an address are added up.
    fn close(&mut self, mut run: Repeater, operator: &dyn Fn(&str) -> Option<String>) {
        match self.by {
            By::Address => self.rank(run),
            By::Network => {
                let Some((name, stands_together)) = network(&run.ip) else { return };
                run.name = Reverse(name);
                if !stands_together {
                    return self.group(run);
                }
                match &mut self.open {
                    Some(open) if open.name == run.name => open.merge(run),
                    _ => {
                        if let Some(done) = self.open.replace(run) {
                            self.group(done);
                        }
                    }
                }
            }
            By::Operator => {
                let Some(name) = operator(&run.ip) else { return };
                run.name = Reverse(name);
                self.group(run);
            }
        }
    }

    fn group(&mut self, one: Repeater) {
        match self.groups.get_mut(&one.name.0) {
            Some(group) => group.merge(one),
            None => {
                if self.groups.len() >= GROUPS {
                    self.groups.retain(|_, group| group.bans > 1);
                }
                self.groups.insert(one.name.0.clone(), one);
            }
        }
    }

    /// One is complete.
    fn rank(&mut self, one: Repeater) {
        if one.bans < 2 {
            return;
        }
        self.total += 1;
        if self.behind.as_ref().is_some_and(|behind| one >= *behind) {
            return;
        }
        self.best.push(Reverse(one));
        if self.best.len() > self.room() {
            self.best.pop();
        }
    }

    /// The page, where this pass was enough for it.
    fn end_of_pass(&mut self) -> Option<Vec<Repeater>> {
        let best = std::mem::take(&mut self.best).into_sorted_vec();
        let mut best: Vec<Repeater> = best.into_iter().map(|Reverse(one)| one).collect();
        let passed = best.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
        let is_full = best.len() == REMEMBERED && passed + self.limit > REMEMBERED;
        if !is_full {
            return Some(best.split_off(passed));
        }
        // What is wanted begins among those remembered, or behind them.
        self.behind = best.into_iter().nth(passed - 1);
        self.skip -= passed as u64;
        (self.at, self.total) = (None, 0);
        None
    }
}

/// The network that an address is counted with, `/24` and `/64`, and whether all of it stand together in the order of texts; a network that
/// was banned as one and is larger stands for itself. `None` for what is no address.
fn network(ip: &str) -> Option<(String, bool)> {
    let net: IpOrNet = ip.parse().ok()?;
    let bits = if net.address().is_ipv4() { 24 } else { 64 };
    Some((net.within(bits).to_string(), net.address().is_ipv4() && !ip.contains('/')))
}

impl Store {
    /// Does one step; gives the page, how many repeaters there are, and the names of each one's jails once it is complete. `operator` tells
    /// whose an address is.
    pub fn repeaters_some(
        &self,
        repeats: &mut Repeats,
        operator: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Found>, Error> {
        let limit = if repeats.by == By::Operator { LOOKED_UP } else { STEP };
        let (condition, values) = match repeats.at.take() {
            Some((ip, at, jail)) => {
                ("WHERE (ip, banned_at, jail) > (?, ?, ?)", vec![Value::from(ip), at.into(), jail.into()])
            }
            None => ("", Vec::new()),
        };
        let sql =
            format!("SELECT ip, banned_at, jail FROM archive {condition} ORDER BY ip, banned_at, jail LIMIT {limit}");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut seen = 0;
        while let Some(row) = rows.next()? {
            let (ip, at, jail) = (row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?, row.get(1)?, row.get(2)?);
            repeats.take(ip, at, jail, operator);
            seen += 1;
            if seen == limit {
                repeats.at = Some((ip.to_owned(), at, jail));
            }
        }
        if repeats.at.is_some() {
            return Ok(None);
        }
        if let Some(last) = repeats.run.take() {
            repeats.close(last, operator);
        }
        if let Some(last) = repeats.open.take() {
            repeats.group(last);
        }
        for group in std::mem::take(&mut repeats.groups).into_values() {
            repeats.rank(group);
        }
        let Some(page) = repeats.end_of_pass() else { return Ok(None) };
        let names = page.iter().map(|one| self.jail_names(&one.jails)).collect::<Result<Vec<_>, Error>>()?;
        Ok(Some((page.into_iter().zip(names).collect(), repeats.total)))
    }

    fn jail_names(&self, numbers: &[i64]) -> Result<Vec<String>, Error> {
        let mut statement = self.connection.prepare_cached("SELECT name FROM archive_jails WHERE id = ?1")?;
        let names: Result<Vec<String>, _> =
            numbers.iter().map(|number| statement.query_row([number], |row| row.get(0))).collect();
        let mut names = names?;
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::store::archive::NewBan;
    use crate::store::open::tests::temporary;

    fn all(store: &Store, by: By, skip: u64, limit: u32) -> (Vec<(String, u64, u64)>, u64) {
        let mut repeats = Repeats::new(by, None, None, skip, limit);
        let operator = |ip: &str| ip.split('.').nth(1).map(|second| format!("AS{second}"));
        loop {
            if let Some((page, total)) = store.repeaters_some(&mut repeats, &operator).unwrap() {
                return (page.into_iter().map(|(one, _)| (one.name.0, one.bans, one.addresses)).collect(), total);
            }
        }
    }

    #[test]
    fn who_comes_back_is_counted_by_address_network_and_operator_on_every_page() {
        let (_directory, mut store) = temporary();
        let ip = |number: i64| match number % 3 {
            // One network of IPv6, in two of the ways its addresses are written.
            0 => format!("2001:0:0:5{}", ["::1", ":1:2:3:4"][number as usize % 2])
                .parse::<IpOrNet>()
                .unwrap()
                .to_string(),
            1 => format!("198.{}.{}.{}", number % 2, number % 90, number % 200),
            _ => format!("203.0.{}.{}", number % 50, number % 251),
        };
        let ips: Vec<String> = (0..14_000).map(|number| ip(number * number % 9973 + number / 7000 * 3)).collect();
        let jails = ["sshd", "blocklist-import"];
        for (chunk, some) in ips.chunks(1000).enumerate() {
            let ban = |(at, ip): (usize, &'_ String)| (jails[at % 2], ip.clone(), (chunk * 1000 + at) as i64 + 1);
            let made: Vec<_> = some.iter().enumerate().map(ban).collect();
            let new = made.iter().map(|(jail, ip, at)| NewBan {
                jail,
                ip,
                banned_at: *at,
                ban_time: None,
                count: 1,
                failures: 1,
                matches: &[],
                country: None,
            });
            store.archive_bans(&new.collect::<Vec<_>>(), None, 40_000).unwrap();
        }
        type Name = fn(&str) -> Option<String>;
        let names: [(By, Name); 3] = [
            (By::Address, |ip| Some(ip.to_owned())),
            (By::Network, |ip| network(ip).map(|(name, _)| name)),
            (By::Operator, |ip| ip.split('.').nth(1).map(|second| format!("AS{second}"))),
        ];
        for (by, name) in names {
            let mut bans: BTreeMap<String, (u64, i64, std::collections::BTreeSet<&str>)> = BTreeMap::new();
            for (at, ip) in ips.iter().enumerate() {
                let Some(name) = name(ip) else { continue };
                let one = bans.entry(name).or_default();
                one.0 += 1;
                one.1 = at as i64;
                one.2.insert(ip);
            }
            let mut expected: Vec<_> = bans.into_iter().filter(|(_, one)| one.0 > 1).collect();
            expected.sort_by(|(name, one), (other, two)| (two.0, two.1, name).cmp(&(one.0, one.1, other)));
            let expected: Vec<_> = expected.into_iter().map(|(name, one)| (name, one.0, one.2.len() as u64)).collect();
            for skip in [0, 1, 100, 4000, 4095, 4096, 4097, expected.len() as u64] {
                let (page, total) = all(&store, by, skip, 100);
                assert_eq!(total, expected.len() as u64, "{by:?}");
                let wanted: Vec<_> = expected.iter().skip(skip as usize).take(100).cloned().collect();
                assert_eq!(page, wanted, "{by:?} {skip}");
            }
        }
    }
}
