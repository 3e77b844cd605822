//! Where an import puts addresses: into the jail of fail2ban, one after the other, or into a set of our own, all at once at the end.

use super::jail::ImportJail;
use super::never;
use super::task::Import;
use crate::blocklist::set::AddressSet;
use crate::domain::address::IpOrNet;
use crate::fail2ban::Error;
use crate::jobs::failure::Failure;
use crate::jobs::held_set::{Change, Locked, SetError};

/// Entries the jail holds at most: fail2ban needs about 1 kB of memory for each and minutes for ten thousand.
const MOST_IN_JAIL: usize = 50_000;
/// Entries a set holds at most: the kernel needs 64 to 100 bytes for each, and twice that while a new set is filled.
const MOST_IN_SET: usize = 500_000;

/// Where to.
pub(super) enum Target {
    /// fail2ban's jail.
    Jail(Box<ImportJail>),
    /// A set in the packet filter.
    Set(Box<SetTarget>),
}

/// A set, and what is to change in it.
pub(super) struct SetTarget {
    banned: AddressSet,
    never: Vec<IpOrNet>,
    change: Change,
}

impl Target {
    /// The place, ready for bans.
    pub fn open(task: &Import, started: i64) -> Result<Target, Failure> {
        let Some(way) = task.set.way else {
            let mut jail = ImportJail::open(&task.apply, task.ban_seconds)?;
            jail.ignored.extend(never::ignored(&task.apply.place)?);
            return Ok(Target::Jail(Box::new(jail)));
        };
        let never = never::ignored(&task.apply.place)?;
        let since = u32::try_from(started).unwrap_or(u32::MAX);
        let until = since.saturating_add(task.ban_seconds.min(way.longest()));
        let change = Change { since, until, ..Change::default() };
        Ok(Target::Set(Box::new(SetTarget { banned: task.set.held().addresses(), never, change })))
    }

    /// What is banned now.
    pub fn banned(&self) -> &AddressSet {
        match self {
            Target::Jail(jail) => &jail.banned,
            Target::Set(set) => &set.banned,
        }
    }

    /// What fail2ban ignores.
    pub fn ignored(&self) -> &[IpOrNet] {
        match self {
            Target::Jail(jail) => &jail.ignored,
            Target::Set(set) => &set.never,
        }
    }

    /// Whether networks can be banned.
    pub fn takes_networks(&self) -> bool {
        match self {
            Target::Jail(jail) => jail.takes_networks,
            Target::Set(_) => true,
        }
    }

    /// Entries it holds at most.
    pub fn most(&self) -> usize {
        match self {
            Target::Jail(_) => MOST_IN_JAIL,
            Target::Set(_) => MOST_IN_SET,
        }
    }

    /// Whether bans that are there can be prolonged without sending them one by one.
    pub fn renews_at_no_cost(&self) -> bool {
        matches!(self, Target::Set(_))
    }

    /// Bans them all and returns how many were not banned before; `told` hears the number so far.
    pub fn ban(&mut self, addresses: &AddressSet, told: &mut dyn FnMut(u64)) -> Result<u64, Error> {
        match self {
            Target::Jail(jail) => jail.ban(addresses, told),
            Target::Set(set) => {
                let mut fresh = addresses.clone();
                fresh.subtract(&set.banned);
                set.banned.merge(&fresh);
                set.change.added.merge(addresses);
                Ok(fresh.len() as u64)
            }
        }
    }

    /// Lifts the bans of all of them and returns how many there were.
    pub fn unban(&mut self, addresses: &AddressSet) -> Result<u64, Error> {
        match self {
            Target::Jail(jail) => jail.unban(addresses),
            Target::Set(set) => {
                let there = set.banned.subtract(addresses);
                set.change.taken.merge(addresses);
                Ok(there as u64)
            }
        }
    }
}

impl Import {
    /// Makes the changes of a set, all at once; without any it is put in force where it is not. Nobody else changes it until the lists are
    /// in their place as well.
    pub(super) fn commit(&self, target: Option<&Target>) -> Result<Locked, SetError> {
        let none = Change::default();
        let (change, ignored) = match target {
            Some(Target::Set(set)) => (&set.change, set.never.as_slice()),
            _ => (&none, &[][..]),
        };
        let lock = self.set.lock()?;
        self.set.change(&lock, change, &[&self.protected, ignored].concat(), false)?;
        Ok(lock)
    }
}
