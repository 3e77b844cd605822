//! How far fail2ban has come with restoring what it had banned before it was started. Nothing tells when it is done: it is over once as many
//! are banned as were to come, or once nothing has come for a while.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fail2ban::commands::JailCounters;

/// How long nothing may come before the rest is taken for missing.
const STALLED: Duration = Duration::from_secs(15);

/// What the daemon is restoring.
#[derive(Debug, Default)]
pub struct Restoring {
    /// The jails of which it was asked, whether they restore anything or not.
    counted: Vec<String>,
    jails: Vec<OfJail>,
}

#[derive(Debug)]
struct OfJail {
    name: String,
    of: u64,
    restored: u64,
    since: Instant,
}

impl Restoring {
    /// The daemon was started.
    pub fn begin(&mut self) {
        *self = Restoring::default();
    }

    /// Jails were looked at. True where there is one of which is not known what it restores; it counts as asked for from now on.
    pub(super) fn note(&mut self, seen: &[JailCounters]) -> bool {
        self.jails.retain_mut(|jail| {
            let Some(now) = seen.iter().find(|seen| seen.jail.as_str() == jail.name) else { return false };
            let banned = now.counters.currently_banned;
            if banned > jail.restored {
                jail.since = Instant::now();
            }
            jail.restored = banned;
            banned < jail.of && jail.since.elapsed() < STALLED
        });
        let is_counted = |jail: &JailCounters| self.counted.iter().any(|name| jail.jail.as_str() == name);
        let is_news = !seen.iter().all(is_counted);
        if is_news {
            self.counted = seen.iter().map(|jail| jail.jail.to_string()).collect();
        }
        is_news
    }

    /// So many bans of each jail are to come.
    pub(super) fn expect(&mut self, counted: Vec<(String, u64)>) {
        let begun = |(name, of)| OfJail { name, of, restored: 0, since: Instant::now() };
        self.jails = counted.into_iter().map(begun).collect();
    }

    /// How far a jail is: `Restoring` of the contract; null where it is done.
    pub fn of_jail(&self, name: &str) -> Value {
        self.jails.iter().find(|jail| jail.name == name).map_or(Value::Null, |jail| shown(jail.restored, jail.of))
    }

    /// How far all are.
    pub fn of_all(&self) -> Value {
        if self.jails.is_empty() {
            return Value::Null;
        }
        shown(self.jails.iter().map(|jail| jail.restored).sum(), self.jails.iter().map(|jail| jail.of).sum())
    }
}

fn shown(restored: u64, of: u64) -> Value {
    let sentence = format!("still restoring: {} of {}", grouped(restored), grouped(of));
    json!({ "restored": restored, "of": of, "sentence": sentence })
}

/// A number as people read it: `1 204`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [(0, "0"), (312, "312"), (1204, "1 204"), (1_234_567, "1 234 567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
