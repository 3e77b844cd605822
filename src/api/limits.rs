//! The general rate limits: requests a minute of each client or session, counted in memory and bounded.
//! What must survive a restart is counted in the store.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Counters at a time. Beyond that new clients share one, so that random addresses neither grow the table nor push a
/// full counter out of it.
const MAX_COUNTERS: usize = 1024;
const WINDOW: Duration = Duration::from_secs(60);

/// Who and what is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// A client without a session.
    Anonymous(crate::domain::client::ClientKey),
    /// A session.
    Session(crate::store::TokenHash),
    /// Configuration changes of a session.
    Config(crate::store::TokenHash),
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
    pub fn count(&mut self, key: Key, limit: u32, now: Instant) -> Result<(), i64> {
        if limit == 0 {
            return Ok(());
        }
        let key = if self.has_room_for(&key, now) { key } else { Key::Others };
        let (start, count) = self.counters.entry(key).or_insert((now, 0));
        if now.duration_since(*start) >= WINDOW {
            (*start, *count) = (now, 0);
        }
        if *count >= limit {
            let left = WINDOW.saturating_sub(now.duration_since(*start));
            return Err(left.as_secs() as i64 + 1);
        }
        *count += 1;
        Ok(())
    }

    fn has_room_for(&mut self, key: &Key, now: Instant) -> bool {
        if self.counters.contains_key(key) || self.counters.len() < MAX_COUNTERS {
            return true;
        }
        self.counters.retain(|_, (start, _)| now.duration_since(*start) < WINDOW);
        self.counters.len() < MAX_COUNTERS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::client::ClientKey;

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

    #[test]
    fn the_table_is_bounded_and_forgets_no_full_counter() {
        let (mut limits, now) = (Limits::default(), Instant::now());
        assert!(limits.count(anonymous(0), 1, now).is_ok());
        for number in 1..5_000 {
            let _ = limits.count(anonymous(number), 1, now);
        }
        assert!(limits.counters.len() <= MAX_COUNTERS + 1);
        assert!(limits.count(anonymous(0), 1, now).is_err());
    }
}
