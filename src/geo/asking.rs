//! Asking a server outside where addresses are: which are to be asked about and when, what failed lately, and what was learned and is not
//! in the database yet. Nothing is sent and nothing is stored here, and everything has a bound.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::domain::history::Place;

/// Addresses of one request: what ip-api.com takes.
pub const BATCH: usize = 100;
/// Requests in a minute: what ip-api.com allows. The last ones are kept for people who look an address up.
const REQUESTS: usize = 15;
const KEPT_FOR_PEOPLE: usize = 3;
/// The time those are counted in.
const MINUTE: Duration = Duration::from_secs(60);
/// How long an address that nothing was said of is not asked about again.
const FAILURES: Duration = Duration::from_secs(300);
/// After the first request that failed as a whole, no other is sent for this long; each further one doubles it.
const BACK_OFF: Duration = Duration::from_secs(30);
/// At most this long.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(3600);
/// Addresses that wait, that have failed, that were learned: at most so many of each.
const MAX_WAITING: usize = 1000;
const MAX_FAILED: usize = 4000;
const MAX_LEARNED: usize = 1000;

/// What is known of the asking.
#[derive(Debug, Default)]
pub struct Asking {
    /// Rises when a place was learned.
    revision: u64,
    waiting: BTreeSet<String>,
    failed: HashMap<String, Instant>,
    learned: HashMap<String, Place>,
    sent: VecDeque<Instant>,
    rest_until: Option<Instant>,
    /// Requests in a row that failed as a whole.
    troubles: u32,
    /// What the timer has asked about, and when it is given up: the child may have died.
    under_way: BTreeSet<String>,
    under_way_until: Option<Instant>,
    /// There may be addresses in the archive that are to be asked about and do not wait here.
    looks_again: bool,
}

impl Asking {
    /// Notes that an address is to be asked about.
    pub fn want(&mut self, ip: &str, now: Instant) {
        if self.is_settled(ip, now) || self.waiting.contains(ip) {
            return;
        }
        if self.waiting.len() < MAX_WAITING {
            self.waiting.insert(ip.to_owned());
        } else {
            self.looks_again = true;
        }
    }

    /// Whether there is nothing to ask about an address now.
    fn is_settled(&self, ip: &str, now: Instant) -> bool {
        self.learned.contains_key(ip)
            || self.under_way.contains(ip)
            || self.failed.get(ip).is_some_and(|at| now.duration_since(*at) < FAILURES)
    }

    /// Whether enough wait for a request of the timer.
    pub fn has_batch(&self) -> bool {
        self.waiting.len() >= BATCH
    }

    /// The archive is to be looked through for addresses to ask about.
    pub fn look_again(&mut self) {
        self.looks_again = true;
    }

    /// Whether it is to be, since the last call.
    pub fn take_look_again(&mut self) -> bool {
        std::mem::take(&mut self.looks_again)
    }

    /// Whether anything waits to be asked about or to be stored.
    pub fn has_work(&self) -> bool {
        self.looks_again || !self.waiting.is_empty() || !self.learned.is_empty()
    }

    /// The addresses the timer is to ask about now, if it is to ask at all.
    pub fn batch(&mut self, now: Instant) -> Option<Vec<String>> {
        let is_full = self.learned.len() + BATCH > MAX_LEARNED;
        let is_under_way = self.under_way_until.is_some_and(|until| now < until);
        if !is_under_way {
            self.under_way.clear();
        }
        if self.waiting.is_empty() || is_full || is_under_way || !self.may_send(now, REQUESTS - KEPT_FOR_PEOPLE) {
            return None;
        }
        let batch: Vec<String> = (0..BATCH).map_while(|_| self.waiting.pop_first()).collect();
        self.sent.push_back(now);
        self.under_way.extend(batch.iter().cloned());
        self.under_way_until = Some(now + MINUTE);
        Some(batch)
    }

    /// Whether somebody who looks an address up may have it asked about now; then that counts as sent.
    pub fn begin_one(&mut self, ip: &str, now: Instant) -> bool {
        let may = !self.is_settled(ip, now) && self.learned.len() < MAX_LEARNED && self.may_send(now, REQUESTS);
        if may {
            self.sent.push_back(now);
        }
        may
    }

    fn may_send(&mut self, now: Instant, requests: usize) -> bool {
        while self.sent.front().is_some_and(|at| now.duration_since(*at) >= MINUTE) {
            self.sent.pop_front();
        }
        self.sent.len() < requests && self.rest_until.is_none_or(|until| now >= until)
    }

    /// A request of the timer has ended.
    pub fn end_batch(&mut self) {
        self.under_way.clear();
        self.under_way_until = None;
    }

    /// Notes what was said of an address: nothing, or where it is.
    pub fn note(&mut self, ip: &str, place: Option<Place>, now: Instant) {
        match place {
            Some(place) => {
                self.revision += 1;
                self.learned.insert(ip.to_owned(), place);
            }
            None => {
                if self.failed.len() >= MAX_FAILED {
                    self.failed.retain(|_, at| now.duration_since(*at) < FAILURES);
                }
                if self.failed.len() < MAX_FAILED {
                    self.failed.insert(ip.to_owned(), now);
                }
            }
        }
    }

    /// The server answered, and wishes not to be asked for so long.
    pub fn answered(&mut self, rest: Duration, now: Instant) {
        self.troubles = 0;
        self.rest_until = (!rest.is_zero()).then(|| now + rest.min(LONGEST_BACK_OFF));
    }

    /// The server did not answer properly: it is left alone for a while, longer each time. True for the first time in a row.
    pub fn failed(&mut self, now: Instant) -> bool {
        self.rest_until = Some(now + (BACK_OFF * (1 << self.troubles.min(7))).min(LONGEST_BACK_OFF));
        self.troubles = self.troubles.saturating_add(1);
        self.troubles == 1
    }

    /// Forgets which addresses nothing was said of.
    pub fn forget_failures(&mut self) {
        self.failed.clear();
    }

    /// What was learned of an address and is not stored yet.
    pub fn learned(&self, ip: &str) -> Option<&Place> {
        self.learned.get(ip)
    }

    /// Rises when a place was learned.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Some of what was learned, to be stored.
    pub fn some_learned(&self, limit: usize) -> Vec<(String, Place)> {
        self.learned.iter().take(limit).map(|(ip, place)| (ip.clone(), place.clone())).collect()
    }

    /// It is stored.
    pub fn forget_learned(&mut self, ip: &str) {
        self.learned.remove(ip);
    }

    /// Addresses whose failure is remembered, and places that wait to be stored.
    pub fn sizes(&self, now: Instant) -> (usize, usize) {
        let failed = self.failed.values().filter(|at| now.duration_since(**at) < FAILURES).count();
        (failed, self.learned.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { country: "DE".parse().ok(), ..Place::default() }
    }

    fn second(at: u64, from: Instant) -> Instant {
        from + Duration::from_secs(at)
    }

    #[test]
    fn requests_stay_below_what_is_allowed() {
        let (mut asking, start) = (Asking::default(), Instant::now());
        let mut sent = Vec::new();
        for number in 0..4000 {
            let now = start + Duration::from_millis(number * 50);
            for part in 0..30 {
                asking.want(&format!("5.{}.{}.{part}", number / 250, number % 250), now);
            }
            if let Some(batch) = asking.batch(now) {
                assert!(batch.len() <= BATCH);
                asking.end_batch();
                sent.push(now);
            }
            if number % 400 == 0 && asking.begin_one("9.9.9.9", now) {
                sent.push(now);
            }
        }
        assert!(sent.len() > 40, "{}", sent.len());
        sent.sort();
        for window in sent.windows(REQUESTS + 1) {
            assert!(window[REQUESTS].duration_since(window[0]) >= MINUTE, "more than 15 in a minute");
        }
        assert!(asking.take_look_again(), "there were more than may wait");
    }

    #[test]
    fn the_timer_leaves_three_requests_of_a_minute_to_people() {
        let (mut asking, start) = (Asking::default(), Instant::now());
        let mut of_the_timer = 0;
        for number in 0..40 {
            asking.want(&format!("5.0.0.{number}"), start);
            of_the_timer += usize::from(asking.batch(start).is_some());
            asking.end_batch();
        }
        let of_people = (0..40).filter(|number| asking.begin_one(&format!("6.0.0.{number}"), start)).count();
        assert_eq!((of_the_timer, of_people), (12, 3));
        // Whoever comes first may have them all.
        let mut asking = Asking::default();
        assert_eq!((0..40).filter(|number| asking.begin_one(&format!("6.0.0.{number}"), start)).count(), 15);
        asking.want("5.0.0.1", start);
        assert_eq!(asking.batch(start), None);
    }

    #[test]
    fn a_failure_is_remembered_for_five_minutes() {
        let (mut asking, start) = (Asking::default(), Instant::now());
        asking.note("5.6.7.8", None, start);
        asking.want("5.6.7.8", second(299, start));
        assert_eq!((asking.batch(second(299, start)), asking.sizes(second(299, start))), (None, (1, 0)));
        assert!(!asking.begin_one("5.6.7.8", second(299, start)));
        assert_eq!(asking.sizes(second(301, start)), (0, 0));
        asking.want("5.6.7.8", second(301, start));
        assert_eq!(asking.batch(second(301, start)), Some(vec!["5.6.7.8".to_owned()]));
        asking.want("5.6.7.8", second(301, start));
        assert!(asking.waiting.is_empty(), "it is being asked about");
        asking.end_batch();
        asking.note("5.6.7.8", None, second(302, start));
        asking.forget_failures();
        assert!(asking.begin_one("5.6.7.8", second(303, start)));
    }

    #[test]
    fn a_server_that_wishes_rest_or_fails_is_left_alone() {
        let (mut asking, start) = (Asking::default(), Instant::now());
        asking.answered(Duration::from_secs(40), start);
        assert!(!asking.begin_one("5.6.7.8", second(39, start)) && asking.begin_one("5.6.7.8", second(40, start)));
        let mut now = second(200, start);
        for wait in [30, 60, 120] {
            asking.failed(now);
            assert!(!asking.begin_one("5.6.7.8", second(wait - 1, now)), "{wait}");
            now = second(wait, now);
        }
        assert!(asking.begin_one("5.6.7.8", now));
        for _ in 0..40 {
            asking.failed(now);
        }
        assert!(asking.begin_one("5.6.7.8", second(3600, now)), "an hour at most");
        asking.answered(Duration::ZERO, now);
        assert!(asking.begin_one("5.6.7.8", now));
    }

    #[test]
    fn nothing_grows_without_end() {
        let (mut asking, now) = (Asking::default(), Instant::now());
        for number in 0..10_000 {
            asking.note(&format!("5.0.{}.{}", number >> 8, number & 255), None, now);
            asking.want(&format!("6.0.{}.{}", number >> 8, number & 255), now);
        }
        assert_eq!((asking.sizes(now).0, asking.waiting.len()), (MAX_FAILED, MAX_WAITING));
        for number in 0..MAX_LEARNED {
            asking.note(&format!("7.0.{}.{}", number >> 8, number & 255), Some(place()), now);
        }
        assert_eq!(asking.batch(now), None, "what was learned is to be stored first");
        assert_eq!(asking.some_learned(64).len(), 64);
        let (ip, _) = asking.some_learned(1).remove(0);
        asking.forget_learned(&ip);
        assert_eq!(asking.sizes(now).1, MAX_LEARNED - 1);
    }
}
