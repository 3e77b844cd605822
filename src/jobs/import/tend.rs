//! What is imported, looked after between imports: what only sources that are deleted have brought is lifted, and what is ignored by now; a
//! set of our own is put in force where it is not. It adds nothing.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::jail::ImportJail;
use super::lists::Lists;
use super::never;
use crate::blocklist::set::AddressSet;
use crate::domain::address::IpOrNet;
use crate::fail2ban::Error;
use crate::fail2ban::reload::Installation;
use crate::jobs::held_set::{Change, SetPlace};

/// Look after what is imported.
#[derive(Debug, Serialize, Deserialize)]
pub struct Tend {
    /// Where the daemon and its files are.
    pub place: Installation,
    /// The lists, and the set where there is one.
    pub set: SetPlace,
    /// The numbers of the sources that there are.
    pub sources: Vec<i64>,
    /// The highest number that was ever given: the list of a source that is newer than this task is none of its business.
    pub newest: i64,
    /// After a start: the set is put in force whether or not it seems to be, for it may be as it was before a crash.
    pub anew: bool,
    /// What is never dropped.
    pub never: Vec<IpOrNet>,
    /// How long fail2ban is kept at lifting bans, in seconds; what is left is told.
    pub seconds: u64,
}

/// How it went.
#[derive(Debug, Serialize, Deserialize)]
pub struct Tended {
    /// What is wrong, in one sentence.
    pub problem: Option<String>,
    /// Bans that are still to be lifted.
    pub left: u64,
}

impl Tend {
    /// How it went, as [`Tended`].
    pub fn run(self) -> Value {
        json!(self.tend())
    }

    /// Does it.
    pub fn tend(&self) -> Tended {
        let done = if self.set.way.is_some() { self.tend_set().map(|()| 0) } else { self.tend_jail() };
        match done {
            Ok(left) => Tended { problem: None, left },
            Err(problem) => Tended { problem: Some(problem), left: 0 },
        }
    }

    fn tend_set(&self) -> Result<(), String> {
        // Who is ignored can be unknown here: then those who were known when they were imported are left out, as ever.
        let ignored = never::ignored(&self.place).unwrap_or_default();
        let lock = self.set.lock().map_err(text)?;
        let lists = Lists::new(&self.set);
        let gone = self.gone(&lists);
        let change = Change { taken: self.unclaimed(&lists, &gone), ..Change::default() };
        self.set.change(&lock, &change, &[self.never.as_slice(), &ignored].concat(), self.anew).map_err(text)?;
        lists.forget(&gone).map_err(text)
    }

    /// How many bans are still to be lifted.
    fn tend_jail(&self) -> Result<u64, String> {
        if self.set.has_any() {
            // What another way has left.
            let lock = self.set.lock().map_err(text)?;
            self.set.change(&lock, &Change::default(), &[], false).map_err(text)?;
        }
        // Whoever has imported anything, or is about to, has made it.
        if !self.set.lists.exists() {
            return Ok(0);
        }
        let Some(_lock) = self.set.try_lock_lists().map_err(text)? else {
            return Err("an import is running; what is to be lifted is lifted when it has ended".to_owned());
        };
        let lists = Lists::new(&self.set);
        if lists.sources().is_empty() {
            return Ok(0);
        }
        let gone = self.gone(&lists);
        let left = match self.lift(&self.unclaimed(&lists, &gone)) {
            // Without it nothing is banned that would have to be lifted at once.
            Err(Error::Unreachable { .. }) if gone.is_empty() => 0,
            lifted => lifted.map_err(text)?,
        };
        if left == 0 {
            lists.forget(&gone).map_err(text)?;
        }
        Ok(left)
    }

    /// Lifts these in the jail, and what any jail ignores; returns how many are left.
    fn lift(&self, unclaimed: &AddressSet) -> Result<u64, Error> {
        let until = Instant::now() + Duration::from_secs(self.seconds);
        let Some(mut jail) = ImportJail::running(&self.place.socket)? else { return Ok(0) };
        let ignored = never::ignored(&self.place)?;
        let is_lifted = |entry: &IpOrNet| unclaimed.has(entry) || ignored.iter().any(|net| net.overlaps(entry));
        let lifted = jail.banned.iter().filter(is_lifted).collect();
        jail.unban_until(lifted, until)
    }

    /// The sources whose lists are kept and that are no more.
    fn gone(&self, lists: &Lists<'_>) -> Vec<i64> {
        let is_gone = |id: &i64| *id <= self.newest && !self.sources.contains(id);
        lists.sources().into_iter().filter(is_gone).collect()
    }

    /// What these have brought, and no other.
    fn unclaimed(&self, lists: &Lists<'_>, gone: &[i64]) -> AddressSet {
        let mut unclaimed = AddressSet::default();
        gone.iter().for_each(|id| unclaimed.merge(&lists.brought(*id)));
        if !unclaimed.is_empty() {
            for id in lists.sources().iter().filter(|id| !gone.contains(id)) {
                unclaimed.subtract(&lists.brought(*id));
            }
        }
        unclaimed
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
