//! Bans that were made here, as the program holds them: each is shown with why and by whom.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use crate::domain::own_ban::OwnBan;
use crate::fail2ban::commands::JailCounters;

/// The bans that were made here, by jail and address.
#[derive(Debug, Default)]
pub struct OwnBans {
    by_jail: BTreeMap<String, BTreeMap<String, OwnBan>>,
    /// When they are to be compared with what the daemon has.
    pub(super) due: Option<Instant>,
    /// The daemon or a jail was started since they were compared.
    pub(super) is_restart: bool,
    /// How often jails that do not run were looked for.
    pub(super) looked_for: u32,
    /// What is noted of bans that were not made, and what was noted of the same addresses before: taken back a few at a time.
    pub(super) undone: (Vec<(String, String)>, Vec<OwnBan>),
    /// What the jails that have some have counted.
    counted: HashMap<String, (u64, u64)>,
}

impl OwnBans {
    /// What is stored. The daemon may have been started while nobody looked.
    pub fn new(stored: Vec<OwnBan>, now: Instant) -> OwnBans {
        let mut own = OwnBans { due: Some(now), is_restart: true, ..OwnBans::default() };
        stored.into_iter().for_each(|ban| own.put(ban));
        own
    }

    pub(super) fn put(&mut self, ban: OwnBan) {
        self.by_jail.entry(ban.jail.clone()).or_default().insert(ban.ip.clone(), ban);
    }

    pub(super) fn take(&mut self, jail: &str, ip: &str) -> Option<OwnBan> {
        let of_jail = self.by_jail.get_mut(jail)?;
        let taken = of_jail.remove(ip);
        if of_jail.is_empty() {
            self.by_jail.remove(jail);
        }
        taken
    }

    /// Jail and address of each.
    pub fn names(&self) -> Vec<(String, String)> {
        self.matching(None, None).into_iter().map(|ban| (ban.jail, ban.ip)).collect()
    }

    /// The one of this jail and address.
    pub fn get(&self, jail: &str, ip: &str) -> Option<&OwnBan> {
        self.by_jail.get(jail)?.get(ip)
    }

    /// Those of one address, in a jail or in all.
    pub fn of_address(&self, jail: Option<&str>, ip: &str) -> impl Iterator<Item = &OwnBan> {
        let of_jails = self.by_jail.iter().filter(move |(name, _)| jail.is_none_or(|jail| jail == *name));
        of_jails.filter_map(move |(_, bans)| bans.get(ip))
    }

    /// Those of a jail, or of all; of one address, or of all.
    pub(super) fn matching(&self, jail: Option<&str>, ip: Option<&str>) -> Vec<OwnBan> {
        let of_jails = self.by_jail.iter().filter(|(name, _)| jail.is_none_or(|jail| jail == *name));
        let all = of_jails.flat_map(|(_, bans)| bans.values());
        all.filter(|ban| ip.is_none_or(|ip| ip == ban.ip)).cloned().collect()
    }

    /// The daemon or a jail was started: what it gives back may be too little.
    pub fn doubt(&mut self, now: Instant) {
        (self.due, self.is_restart, self.looked_for) = (Some(now), true, 0);
    }

    /// Whether there is something to take back.
    pub fn any_undone(&self) -> bool {
        !self.undone.0.is_empty() || !self.undone.1.is_empty()
    }

    /// Some were noted that may never have been made.
    pub fn look_again(&mut self, now: Instant) {
        self.due = self.due.or(Some(now));
    }

    /// When they are to be compared; `None` where there is none, or no reason.
    pub fn due(&self) -> Option<Instant> {
        self.due.filter(|_| !self.by_jail.is_empty())
    }

    /// Jails were looked at: where one that has some has counted something, they are compared.
    pub(super) fn note_counters(&mut self, all: &[JailCounters], now: Instant) {
        for JailCounters { jail, counters, .. } in
            all.iter().filter(|seen| self.by_jail.contains_key(seen.jail.as_str()))
        {
            let present = (counters.currently_banned, counters.total_banned);
            if self.counted.insert(jail.to_string(), present).is_some_and(|before| before != present) {
                self.due = self.due.or(Some(now));
            }
        }
    }
}
