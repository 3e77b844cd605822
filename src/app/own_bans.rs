//! Bans that were made here, as the program holds them: each is shown with why and by whom.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use crate::domain::own_ban::{NEVER, OwnBan};
use crate::domain::time;
use crate::fail2ban::commands::JailCounters;

/// What was noted of something that is about to be made or lifted.
#[derive(Debug, Clone, Default)]
pub struct Noted {
    /// The numbers of the notes of lifts in the archive; below zero those of lifts that are noted later.
    pub lifts: Vec<i64>,
    /// The bans of ours that were noted of the same before.
    pub gone: Vec<OwnBan>,
}

impl Noted {
    /// One and another.
    pub fn add(&mut self, other: Noted) {
        self.lifts.extend(other.lifts);
        self.gone.extend(other.gone);
    }
}

/// What has become of bans that were noted, by jail and address.
#[derive(Debug, Default)]
pub struct Settled {
    /// Those that were not made: what is noted of them goes.
    pub not_made: Vec<(String, String)>,
    /// Those that were made.
    pub made: Vec<(String, String)>,
    /// Those that were there already, and are as they were.
    pub unchanged: Vec<(String, String)>,
    /// What was noted before of bans that were not made or lifted, and the notes of lifts that lifted nothing.
    pub before: Noted,
}

impl Settled {
    /// Some and others.
    pub fn add(&mut self, other: Settled) {
        self.not_made.extend(other.not_made);
        self.made.extend(other.made);
        self.unchanged.extend(other.unchanged);
        self.before.add(other.before);
    }

    fn is_empty(&self) -> bool {
        let Settled { not_made, made, unchanged, before } = self;
        not_made.is_empty()
            && made.is_empty()
            && unchanged.is_empty()
            && before.lifts.is_empty()
            && before.gone.is_empty()
    }
}

/// The bans that were made here, by jail and address.
#[derive(Debug, Default)]
pub struct OwnBans {
    by_jail: BTreeMap<String, BTreeMap<String, OwnBan>>,
    /// When they are to be compared with what the daemon has.
    pub(super) due: Option<Instant>,
    /// The daemon or a jail was started since they were compared.
    pub(super) is_restart: bool,
    /// When the newest was made of those that were made before the clock was set.
    early: Option<i64>,
    /// Those that the daemon has lost, and that are to be made again.
    pub(super) lost: HashSet<(String, String)>,
    /// How often jails that do not run were looked for.
    pub(super) looked_for: u32,
    /// What has become of many, to be noted a few at a time.
    pub(super) settled: Settled,
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
        if ban.at < time::NOT_SET_BEFORE {
            self.early = self.early.max(Some(ban.at));
        }
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

    /// By how many seconds those are to be moved that were made before the clock was set, now that it is: they last as long as was said, from
    /// now on at the latest.
    pub(super) fn moves_by(&self, unix_now: i64) -> Option<i64> {
        self.early.filter(|_| unix_now >= time::NOT_SET_BEFORE).map(|newest| unix_now - newest)
    }

    /// Moves them.
    pub(super) fn move_early(&mut self, by: i64) {
        for ban in self.by_jail.values_mut().flat_map(BTreeMap::values_mut).filter(|ban| ban.at < time::NOT_SET_BEFORE)
        {
            ban.at += by;
            ban.until = ban.until.map(|until| if until == NEVER { NEVER } else { until + by });
        }
        self.early = None;
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

    /// Whether there is something to note of what has become of them.
    pub fn any_settled(&self) -> bool {
        !self.settled.is_empty()
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
