//! For whom the loop works, and what it has refused: the refusals of a minute are summed up by client, so that they are few rows however many they
//! were. Who writes what down is in `audit.rs`.

use std::time::{Duration, Instant};

use crate::domain::actor::Actor;
use crate::domain::audit::Entry;
use crate::domain::client::Client;
use crate::store::audit::{Doer, Refused};

/// How long what was refused waits at least to be written, after something else was.
const REST: Duration = Duration::from_secs(1);
/// Over how many seconds refusals are summed up.
const SUMMED: i64 = 60;
/// How many clients are named in that time; all others are one.
const MOST_CLIENTS: usize = 64;
/// Who stands for the others.
const OTHERS: &str = "others";

/// For whom the loop works at this moment.
#[derive(Debug, Clone)]
pub struct Acting {
    /// Who it is.
    pub actor: Actor,
    /// From where, where it came over a network.
    pub client: Option<Client>,
}

impl Acting {
    /// This program by itself.
    pub const SYSTEM: Acting = Acting { actor: Actor::System, client: None };
    /// Whoever sits at the machine.
    pub const CONSOLE: Acting = Acting { actor: Actor::Console, client: None };

    /// As the store notes it.
    pub fn doer(&self) -> Doer {
        let client = self.client.map(|client| client.to_string()).unwrap_or_default();
        Doer { actor: self.actor.clone(), client }
    }
}

/// What was refused, summed up.
#[derive(Debug, Default)]
pub struct Refusals {
    of_minute: i64,
    all: Vec<(Refused, bool)>,
    written: Option<Instant>,
}

impl Refusals {
    /// Counts one; `actor` is who was refused, where that is known.
    pub fn count(&mut self, entry: Entry, doer: Doer, now: i64) {
        if now.div_euclid(SUMMED) != self.of_minute {
            self.of_minute = now.div_euclid(SUMMED);
            // What is not written yet is kept until it is.
            self.all.retain(|(_, is_open)| *is_open);
        }
        let minute = self.of_minute;
        let what = entry.what;
        let is_it = |one: &Refused, client: &str, actor: &Actor| {
            one.entry.what == what
                && one.doer.client == client
                && one.doer.actor == *actor
                && one.at.div_euclid(SUMMED) == minute
        };
        let known = self.all.iter().position(|(one, _)| is_it(one, &doer.client, &doer.actor));
        let others = Doer { actor: Actor::System, client: OTHERS.to_owned() };
        let is_full = known.is_none() && self.all.len() >= MOST_CLIENTS;
        let (doer, target) = if is_full { (others, String::new()) } else { (doer, entry.target.clone()) };
        let known = known.or_else(|| self.all.iter().position(|(one, _)| is_it(one, &doer.client, &doer.actor)));
        match known.map(|at| &mut self.all[at]) {
            Some((one, is_open)) => {
                one.count += 1;
                *is_open = true;
                if one.entry.target != target {
                    one.entry.target.clear();
                }
                one.entry.detail = format!("{} times within a minute.", one.count);
            }
            None => {
                let entry = Entry { target, ..entry };
                self.all.push((Refused { entry, doer, at: now, count: 1, row: None }, true));
            }
        }
    }

    /// Those that are not written yet.
    pub fn open(&mut self) -> Vec<&mut Refused> {
        self.all.iter_mut().filter(|(_, is_open)| *is_open).map(|(one, _)| one).collect()
    }

    /// They are written, or cannot be: then they are forgotten, for the disk may be full for long.
    pub fn close(&mut self, are_written: bool, now: Instant) {
        self.written = Some(now);
        self.all.iter_mut().for_each(|(_, is_open)| *is_open = false);
        if !are_written {
            self.all.clear();
        }
    }

    /// When they are to be written; `None` where there are none.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let is_open = self.all.iter().any(|(_, is_open)| *is_open);
        is_open.then(|| self.written.map_or(now, |written| written + REST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::What;

    #[test]
    fn refusals_are_summed_up_by_client_and_minute() {
        let mut refusals = Refusals::default();
        for number in 0..10_000 {
            let client = format!("203.0.{}.{}", number % 5000 / 250, number % 250);
            let doer = Doer { actor: Actor::System, client };
            refusals.count(
                Entry::new(What::LoginFailed, if number < 5000 { "admin" } else { "" }),
                doer,
                60 + number / 5000,
            );
        }
        assert_eq!(refusals.all.len(), MOST_CLIENTS + 1);
        let (first, others) = (&refusals.all[0].0, &refusals.all[MOST_CLIENTS].0);
        assert_eq!((first.count, first.entry.target.as_str()), (2, ""));
        assert_eq!((others.doer.client.as_str(), others.count), (OTHERS, 10_000 - 2 * MOST_CLIENTS as i64));
        let now = Instant::now();
        assert_eq!(refusals.due(now), Some(now));
        // The next minute begins anew, and forgets nothing that is not written.
        refusals.all.iter_mut().skip(10).for_each(|(_, is_open)| *is_open = false);
        refusals.written = Some(now);
        let doer = Doer { actor: Actor::System, client: "203.0.0.0".into() };
        refusals.count(Entry::new(What::LoginFailed, ""), doer, 120);
        assert_eq!((refusals.all.len(), refusals.all[10].0.count), (11, 1));
        assert_eq!(refusals.due(now), Some(now + REST));
    }
}
