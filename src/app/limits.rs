//! The general rate limits: requests a minute of each client or session, counted in memory and bounded.
//! What must survive a restart is counted in the store.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::domain::client::ClientKey;
use crate::domain::quota::Quota;
use crate::store::TokenHash;

/// Counters at a time. Beyond that new clients share one, so that random addresses neither grow the table nor push a
/// full counter out of it.
const MAX_COUNTERS: usize = 1024;
const WINDOW: Duration = Duration::from_secs(60);

/// Clients of one IPv6 /56 that are counted one by one, and counters within one /48; those that come then are counted together. So whoever
/// has a network of many /64s takes a small part of the table.
const MAX_WITHIN_56: usize = 8;
const MAX_WITHIN_48: usize = 32;

/// Who and what is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// A client without a session.
    Anonymous(ClientKey),
    /// A device that has logged in before, without a session.
    Device(TokenHash),
    /// A session.
    Session(TokenHash),
    /// Configuration changes of a session.
    Config(TokenHash),
    /// Bans and unbans of a client, while our database cannot count them.
    Bans(ClientKey),
    /// All those for whom there was no counter left.
    Others,
}

/// The counters.
#[derive(Debug, Default)]
pub struct Limits {
    counters: HashMap<Key, (Instant, u32)>,
}

impl Limits {
    /// Counts a request. `Err`: seconds until the limit allows the next one. A limit of 0 allows all.
    pub fn count(&mut self, key: Key, limit: u32, now: Instant) -> Result<Quota, i64> {
        if limit == 0 {
            return Ok(Quota::NONE);
        }
        let key = self.place_of(key, now);
        let (start, count) = self.counters.entry(key).or_insert((now, 0));
        if now.duration_since(*start) >= WINDOW {
            (*start, *count) = (now, 0);
        }
        let reset = WINDOW.saturating_sub(now.duration_since(*start)).as_secs() as i64 + 1;
        if *count >= limit {
            return Err(reset);
        }
        *count += 1;
        Ok(Quota { limit, left: limit - *count, reset: reset.min(WINDOW.as_secs() as i64) })
    }

    /// The key itself, or the wider one that it is counted under.
    fn place_of(&mut self, key: Key, now: Instant) -> Key {
        if self.counters.contains_key(&key) {
            return key;
        }
        let mut key = key;
        for (bits, most) in [(56, MAX_WITHIN_56), (48, MAX_WITHIN_48)] {
            let Key::Anonymous(client) = key else { break };
            let Some(wider) = client.within(bits) else { break };
            if self.count_within(wider, bits, now) >= most {
                key = Key::Anonymous(wider);
            }
        }
        if self.has_room_for(&key, now) { key } else { Key::Others }
    }

    /// Counters of clients in this network.
    fn count_within(&self, network: ClientKey, bits: u8, now: Instant) -> usize {
        let counts = self.counters.iter().filter(|(key, (start, _))| {
            matches!(key, Key::Anonymous(client) if client.within(bits) == Some(network))
                && now.duration_since(*start) < WINDOW
        });
        counts.count()
    }

    fn has_room_for(&mut self, key: &Key, now: Instant) -> bool {
        // Sessions and devices are few, and whoever has one, or sits at this machine, does not share with strangers.
        let is_stranger = matches!(key, Key::Anonymous(client) if !client.is_this_machine());
        if !is_stranger || self.counters.contains_key(key) || self.counters.len() < MAX_COUNTERS {
            return true;
        }
        self.counters.retain(|_, (start, _)| now.duration_since(*start) < WINDOW);
        self.counters.len() < MAX_COUNTERS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anonymous(number: u32) -> Key {
        Key::Anonymous(ClientKey::of(std::net::Ipv4Addr::from(number).into()))
    }

    #[test]
    fn a_window_passes() {
        let (mut limits, start) = (Limits::default(), Instant::now());
        assert!(limits.count(anonymous(1), 1, start).is_ok());
        assert_eq!(limits.count(anonymous(1), 1, start + Duration::from_secs(50)), Err(11));
        assert!(limits.count(anonymous(1), 1, start + Duration::from_secs(60)).is_ok());
    }

    fn of_network(text: &str) -> Key {
        Key::Anonymous(ClientKey::of(text.parse().unwrap()))
    }

    #[test]
    fn many_networks_of_one_prefix_leave_room_for_new_clients() {
        let (mut limits, now) = (Limits::default(), Instant::now());
        let mut refused = 0;
        for number in 0..60_000_u32 {
            let key = of_network(&format!("2001:db8:7:{number:x}::1"));
            refused += usize::from(limits.count(key, 200, now).is_err());
        }
        assert!(limits.counters.len() <= MAX_WITHIN_48 + 2, "{}", limits.counters.len());
        assert!(refused > 40_000, "they share what is left of the /48: {refused}");
        for number in 0..400 {
            assert!(limits.count(of_network(&format!("2001:db9:{number:x}::1")), 1, now).is_ok());
            assert!(limits.count(anonymous(number), 1, now).is_ok());
        }
    }

    #[test]
    fn a_household_is_counted_by_its_own_networks() {
        let (mut limits, now) = (Limits::default(), Instant::now());
        for number in 0..MAX_WITHIN_56 {
            let key = of_network(&format!("2001:db8:7:{number:x}::1"));
            assert!((0..3).all(|_| limits.count(key.clone(), 3, now).is_ok()));
            assert!(limits.count(key, 3, now).is_err());
        }
    }

    #[test]
    fn the_table_is_bounded_and_forgets_no_full_counter() {
        let (mut limits, now) = (Limits::default(), Instant::now());
        assert!(limits.count(anonymous(0), 1, now).is_ok());
        for number in 1..5_000 {
            let _ = limits.count(anonymous(number), 1, now);
        }
        assert!(limits.counters.len() <= MAX_COUNTERS + 1);
        assert!(limits.count(anonymous(0), 1, now).is_err());
        // Whoever is known, and this machine, share nothing with those strangers.
        let known = [Key::Session([1; 32]), Key::Config([1; 32]), Key::Device([1; 32]), of_network("127.0.0.1")];
        for key in known {
            assert!(limits.count(key.clone(), 1, now).is_ok(), "{key:?}");
            assert!(limits.count(key.clone(), 1, now).is_err(), "{key:?}");
        }
    }
}
