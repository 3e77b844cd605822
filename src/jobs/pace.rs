//! How many addresses one command bans or lifts, so that it keeps the daemon from others for a moment only. The daemon does one command at a
//! time for all its clients, and what an address takes depends on the action of the jail.

use std::time::Duration;

/// How long one command should keep the daemon from others. Measured: a ban takes 10 ms with an action that does nothing, because the daemon
/// looks every 5 ms whether the action has ended, and 16 ms with nftables.
pub const HOLD: Duration = Duration::from_millis(25);
/// Addresses in one command at most where nobody waits for the end: without any action a ban takes 0.1 ms.
const MOST: usize = 50;

/// How many addresses a command takes: as many as fit into a moment when each takes as long as the slowest of late. It is forgotten slowly,
/// and the number grows little by little, because a single long command is what others notice.
#[derive(Debug)]
pub struct Pace {
    slowest: Duration,
    last: usize,
    hold: Duration,
    most: usize,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace::of(HOLD, MOST)
    }
}

impl Pace {
    /// Commands that take about so long, of so many addresses at most. It begins as if a ban had just been made with nftables: what the
    /// action of this jail takes is not known yet.
    pub fn of(hold: Duration, most: usize) -> Pace {
        Pace { slowest: Duration::from_millis(16), last: 0, hold, most }
    }

    /// How many the next command takes.
    pub fn chunk(&self) -> usize {
        let fitting = self.hold.as_micros() / self.slowest.as_micros().max(1);
        usize::try_from(fitting).unwrap_or(self.most).min(self.most).min(self.last + 1).max(1)
    }

    /// A command of so many has taken so long.
    pub fn note(&mut self, count: usize, took: Duration) {
        let each = took / u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        self.slowest = each.max(self.slowest * 19 / 20);
        self.last = count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bans so many addresses of which each takes what `each` says; the longest command, and how many there were.
    fn run(count: usize, each: impl Fn(usize) -> u64) -> (Duration, usize) {
        let (mut pace, mut done, mut commands, mut longest) = (Pace::default(), 0, 0, Duration::ZERO);
        while done < count {
            let chunk = pace.chunk().min(count - done);
            let took = Duration::from_micros((done..done + chunk).map(&each).sum());
            pace.note(chunk, took);
            (done, commands, longest) = (done + chunk, commands + 1, longest.max(took));
        }
        (longest, commands)
    }

    #[test]
    fn a_command_is_as_long_as_others_can_wait() {
        assert_eq!(run(1000, |_| 16_000), (Duration::from_millis(16), 1000));
        let (longest, commands) = run(1000, |_| 10_000);
        assert!(longest <= HOLD && commands <= 510, "{longest:?} {commands}");
        let (longest, commands) = run(10_000, |_| 100);
        assert!(longest <= HOLD && commands < 300, "{longest:?} {commands}");
        assert_eq!(run(10, |_| 400_000), (Duration::from_millis(400), 10));
    }

    #[test]
    fn quick_bans_between_slow_ones_make_no_command_long() {
        // As after a pause of the machine, or where some are banned already.
        let (longest, _) = run(10_000, |number| if number % 100 < 20 { 1000 } else { 10_000 });
        assert!(longest <= 2 * HOLD, "{longest:?}");
    }
}
