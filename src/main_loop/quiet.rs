//! Lets go of the program's own code while nobody asks for anything: it stays in the page cache, and the kernel may use what is not needed.
//! Starting alone touches most of it. The first request afterwards maps anew what it needs, which takes 0.1 ms.

use std::time::{Duration, Instant};

use crate::machine::Code;

/// How long nothing has come from outside then.
const QUIET: Duration = Duration::from_secs(1);
/// Where the next timer is nearer than this, it is not worth while. With a connection open the loop wakes up every quarter of a second.
const NEAR: Duration = Duration::from_millis(200);

/// When the code is let go of.
#[derive(Debug)]
pub struct Quiet {
    code: Option<Code>,
    /// `None` once it was, until something runs again.
    at: Option<Instant>,
}

impl Quiet {
    /// Begins with the start.
    pub fn new(now: Instant) -> Quiet {
        Quiet { code: Code::of_this_program(), at: Some(now + QUIET) }
    }

    /// The loop has woken up, because something came from outside or a timer was due.
    pub fn woken(&mut self, from_outside: bool, now: Instant) {
        if from_outside {
            self.at = Some(now + QUIET);
        } else {
            self.at = self.at.or(Some(now));
        }
    }

    /// The loop is about to sleep; how long it may until here is something to do.
    pub fn before_sleep(&mut self, sleep: Duration, now: Instant) -> Duration {
        match (self.at, &self.code) {
            (Some(at), Some(_)) if at > now => sleep.min(at - now),
            (Some(_), Some(code)) if sleep >= NEAR => {
                code.let_go();
                self.at = None;
                sleep
            }
            _ => sleep,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_for_a_quiet_second_and_does_it_once() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let long = Duration::from_secs(20);
        let mut quiet = Quiet::new(start);
        assert!(quiet.code.is_some());
        assert_eq!(quiet.before_sleep(long, after(400)), Duration::from_millis(600));
        quiet.woken(true, after(900));
        assert_eq!(quiet.before_sleep(long, after(900)), QUIET);
        quiet.woken(false, after(1900));
        assert_eq!(quiet.before_sleep(Duration::from_millis(100), after(1900)), Duration::from_millis(100));
        assert!(quiet.at.is_some(), "a timer is near");
        assert_eq!(quiet.before_sleep(long, after(2000)), long);
        assert_eq!(quiet.at, None);
        quiet.woken(false, after(22_000));
        assert_eq!(quiet.before_sleep(long, after(22_000)), long);
        assert_eq!(quiet.at, None, "what a timer used is let go of again");
    }
}
