//! What is remembered of connections whose story is told by several lines (`<F-MLFID>`), as in the filter for sshd.
//!
//! A line may say that all is well so far (`<F-NOFAIL>`), that access was gained (`<F-MLFGAINED>`) or that the connection
//! is over (`<F-MLFFORGET>`); failures and users of earlier lines are merged into the present one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::failregex::Groups;

/// Connections remembered at most, as in the daemon. The daemon also forgets after five minutes; here nothing is that long.
const REMEMBERED: usize = 100;

/// A failure in the making: groups of all its lines, the later over the earlier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// Named groups.
    pub groups: Groups,
    /// Users seen in a connection.
    pub users: BTreeSet<String>,
    /// Lines that count as attempts.
    pub matches: Vec<String>,
    /// Lines that will count if the connection fails after all.
    pub harmless: Vec<String>,
    /// A failure was seen, but not yet whose.
    pub pending: bool,
}

impl Failure {
    /// The value of a group, if it is there and not empty.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.groups.get(name).and_then(Option::as_deref).filter(|value| !value.is_empty())
    }

    fn take(&mut self, name: &str) -> bool {
        self.groups.remove(name).flatten().is_some_and(|value| !value.is_empty())
    }

    fn take_pending(&mut self) -> bool {
        let by_group = self.take("mlfpending");
        std::mem::take(&mut self.pending) || by_group
    }

    fn add_user(&mut self, user: Option<String>) {
        self.users.extend(user);
    }

    /// True when the line alone is no failure.
    pub fn is_harmless(&self) -> bool {
        self.value("nofail").is_some()
    }
}

/// The connections under way.
#[derive(Debug, Default)]
pub struct Connections {
    known: BTreeMap<String, Failure>,
    order: VecDeque<String>,
}

impl Connections {
    /// Merges the groups of a match into what is known of its connection. The second value says whether the result is to be
    /// given back with [`Connections::keep`] once it is complete.
    pub fn merge(&mut self, id: &str, mut fail: Failure, matched: &[String]) -> (Failure, bool) {
        let (mut gained, mut harmless) = (false, fail.is_harmless());
        if let Some(value) = fail.value("mlfgained").map(str::to_string) {
            (gained, harmless) = (true, true);
            if !fail.is_harmless() {
                fail.groups.insert("nofail".to_string(), Some(value));
            }
        }
        let forget = fail.take("mlfforget");
        let user = fail.value("user").map(str::to_string);
        let mut keep = !forget;
        let mut users_known = true;
        if let Some(mut known) = self.known.get(id).cloned() {
            known.add_user(user);
            let was_harmless = known.take("nofail");
            let had_gained = known.take("mlfgained");
            if gained {
                known.take_pending();
            }
            if !was_harmless && !had_gained && !known.pending && known.value("mlfpending").is_none() {
                known.matches.clear();
            }
            known.groups.extend(fail.groups.into_iter().filter(|(_, value)| value.is_some()));
            fail = known;
            if forget {
                self.forget(id);
                keep = false;
            }
        } else if forget {
            users_known = false;
        } else {
            fail.add_user(user);
        }
        if fail.take_pending() || (users_known && fail.users.len() > 1) {
            fail.groups.remove("nofail");
            fail.groups.remove("mlfgained");
            (gained, harmless) = (false, false);
        }
        if !harmless {
            let mut matches = std::mem::take(&mut fail.harmless);
            matches.append(&mut fail.matches);
            if !gained {
                matches.extend_from_slice(matched);
            }
            fail.matches = matches;
        } else if !forget {
            fail.harmless.extend_from_slice(matched);
        }
        (fail, keep)
    }

    /// Remembers a connection; when there are too many, the oldest is forgotten.
    pub fn keep(&mut self, id: &str, fail: Failure) {
        if self.known.insert(id.to_string(), fail).is_none() {
            self.order.push_back(id.to_string());
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }

    fn forget(&mut self, id: &str) {
        self.known.remove(id);
        self.order.retain(|known| known != id);
    }
}
