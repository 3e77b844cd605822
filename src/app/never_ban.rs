//! What is never banned, as the program holds it: looked up for the guard, the lists and the login page.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::domain::address::IpOrNet;
use crate::domain::never_ban::{MOST, NeverBan, State, Told, Who, covers};

/// The list.
#[derive(Debug, Default)]
pub struct NeverBans {
    list: Vec<(NeverBan, Who)>,
    /// The addresses of the names, as they were last looked up.
    pub addresses: BTreeMap<String, Vec<IpAddr>>,
    /// Names that were not found.
    pub not_found: Vec<String>,
    /// When fail2ban is compared with it next; `None` where there is nothing to compare.
    pub due: Option<Instant>,
    /// The jails that fail2ban ran when it was last told.
    pub jails: Vec<String>,
    /// Why it is not in force as it should be, in a sentence.
    pub problem: Option<String>,
}

/// What keeps somebody from being banned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeps {
    /// The entry.
    pub entry: String,
    /// Why it is there; empty where nobody said.
    pub note: String,
}

impl Keeps {
    fn of(entry: &NeverBan) -> Keeps {
        Keeps { entry: entry.entry.clone(), note: entry.note.clone() }
    }

    /// A sentence about `target` without its stop.
    pub fn said_of(&self, target: &str) -> String {
        let entry = if self.entry == target { String::new() } else { format!(" as {}", self.entry) };
        let note = if self.note.is_empty() { String::new() } else { format!(": \"{}\"", self.note) };
        format!("{target} is on the never-ban list{entry}{note}")
    }
}

impl NeverBans {
    /// What is stored.
    pub fn new(stored: Vec<NeverBan>, now: Instant) -> NeverBans {
        let mut own = NeverBans::default();
        stored.into_iter().for_each(|entry| own.put(entry));
        own.due = (!own.list.is_empty()).then_some(now);
        own
    }

    /// Takes an entry up, in the place of the one of its number.
    pub fn put(&mut self, entry: NeverBan) {
        // What this program wrote it can read.
        let Ok(who) = entry.entry.parse() else { return };
        match self.list.iter_mut().find(|(own, _)| own.id == entry.id) {
            Some(own) => *own = (entry, who),
            None => self.list.push((entry, who)),
        }
    }

    /// Takes an entry away.
    pub fn take(&mut self, id: i64) {
        self.list.retain(|(own, _)| own.id != id);
    }

    /// Those that hold, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &NeverBan> {
        self.list.iter().map(|(entry, _)| entry).filter(|entry| entry.state != State::Going)
    }

    /// Those that are on their way: new, or going.
    pub fn moving(&self, state: State) -> Vec<NeverBan> {
        self.list.iter().filter(|(entry, _)| entry.state == state).map(|(entry, _)| entry.clone()).collect()
    }

    /// The one of this number.
    pub fn get(&self, id: i64) -> Option<&NeverBan> {
        self.entries().find(|entry| entry.id == id)
    }

    /// The one of this name or address, in its canonical form.
    pub fn named(&self, entry: &str) -> Option<&NeverBan> {
        self.entries().find(|own| own.entry == entry)
    }

    /// Those that have an address in common with `target`, in whatever jail they hold.
    pub fn covering<'a>(&'a self, target: &'a IpOrNet) -> impl Iterator<Item = &'a NeverBan> {
        let hits = |(entry, who): &&(NeverBan, Who)| {
            let addresses = self.addresses.get(&entry.entry).map_or(&[][..], Vec::as_slice);
            entry.state != State::Going && covers(who, addresses, target)
        };
        self.list.iter().filter(hits).map(|(entry, _)| entry)
    }

    /// What the jails are told.
    pub fn told(&self) -> Vec<Told> {
        self.entries().map(NeverBan::told).collect()
    }

    /// The addresses and networks, those of names included, that are kept from bans in all jails or in one of these, each with its entry
    /// and why.
    pub fn kept_in(&self, jails: &[&str]) -> Vec<(IpOrNet, Keeps)> {
        let holds = |entry: &NeverBan| entry.jails.is_empty() || jails.iter().any(|jail| entry.holds_in(jail));
        let mut kept = Vec::new();
        for (entry, who) in self.list.iter().filter(|(entry, _)| entry.state != State::Going && holds(entry)) {
            match who {
                Who::Net(net) => kept.push((*net, Keeps::of(entry))),
                Who::Name(name) => {
                    let known = self.addresses.get(name).into_iter().flatten();
                    kept.extend(known.map(|address| (IpOrNet::from(*address), Keeps::of(entry))));
                }
            }
        }
        kept
    }

    /// The names that are looked up.
    pub fn names(&self) -> Vec<String> {
        let named = self.list.iter().filter(|(entry, who)| entry.state != State::Going && matches!(who, Who::Name(_)));
        named.map(|(entry, _)| entry.entry.clone()).collect()
    }

    /// Whether there is no room for one more.
    pub fn is_full(&self) -> bool {
        self.entries().count() >= MOST
    }

    /// Those whose time is over.
    pub fn over(&self, unix_now: i64) -> Vec<i64> {
        self.entries()
            .filter(|entry| entry.until.is_some_and(|until| until <= unix_now))
            .map(|entry| entry.id)
            .collect()
    }

    /// Has fail2ban compared with it at once: the daemon, a jail or the files may be others.
    pub fn hurry(&mut self) {
        self.due = self.due.map(|_| Instant::now());
    }

    /// When there is something to do next: a comparison, or the end of an entry.
    pub fn next(&self, now: Instant, unix_now: i64) -> Option<Instant> {
        let soonest = self.entries().filter_map(|entry| entry.until).min();
        let end = soonest.map(|until| now + Duration::from_secs(until.saturating_sub(unix_now).clamp(0, 3600) as u64));
        [self.due, end].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::actor::Actor;

    fn entry(id: i64, text: &str, jails: &[&str], state: State) -> NeverBan {
        let jails = jails.iter().map(|jail| jail.to_string()).collect();
        NeverBan { id, entry: text.into(), jails, note: String::new(), until: None, at: 0, actor: Actor::System, state }
    }

    #[test]
    fn an_address_is_found_by_network_and_by_name_and_not_in_what_is_going() {
        let mut own = NeverBans::new(
            vec![
                entry(1, "192.0.2.0/24", &[], State::InForce),
                entry(2, "office.example", &["a"], State::New),
                entry(3, "198.51.100.1", &[], State::Going),
            ],
            Instant::now(),
        );
        own.addresses
            .insert("office.example".into(), vec!["192.0.2.9".parse().unwrap(), "2001:db8::1".parse().unwrap()]);
        let found = |text: &str| -> Vec<i64> {
            let target: IpOrNet = text.parse().unwrap();
            own.covering(&target).map(|entry| entry.id).collect()
        };
        assert_eq!(found("192.0.2.9"), [1, 2]);
        assert_eq!(found("192.0.2.8"), [1]);
        assert_eq!(found("192.0.0.0/16"), [1, 2], "a network that it lies in");
        assert_eq!(found("2001:db8::/32"), [2]);
        assert!(found("198.51.100.1").is_empty());
        assert_eq!((own.kept_in(&[]).len(), own.kept_in(&["b"]).len(), own.kept_in(&["a"]).len()), (1, 1, 3));
    }
}
