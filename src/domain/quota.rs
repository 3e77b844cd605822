//! What a limit allows a client just now. It counts nothing.

/// Where a client stands with a limit, after the request that was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests in a window; 0 where the limit is switched off.
    pub limit: u32,
    /// Those that are left.
    pub left: u32,
    /// Seconds until the window ends.
    pub reset: i64,
}

impl Quota {
    /// A limit that is switched off.
    pub const NONE: Quota = Quota { limit: 0, left: 0, reset: 0 };

    /// The one that ends first: fewer requests are left of it.
    pub fn tighter(self, other: Quota) -> Quota {
        match (self.limit, other.limit) {
            (0, _) => other,
            (_, 0) => self,
            _ if other.left <= self.left => other,
            _ => self,
        }
    }
}

/// A wait as a person says it, rounded up: `40 seconds`, `2 minutes`, `3 hours`.
pub fn wait_in_words(seconds: i64) -> String {
    let (count, unit) = match seconds.max(1) {
        seconds @ ..=90 => (seconds, "second"),
        seconds if seconds % 86_400 == 0 => (seconds / 86_400, "day"),
        seconds if seconds % 3600 == 0 && seconds < 172_800 => (seconds / 3600, "hour"),
        seconds @ ..=5400 => ((seconds + 59) / 60, "minute"),
        seconds @ ..=129_600 => ((seconds + 3599) / 3600, "hour"),
        seconds => ((seconds + 86_399) / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::{Quota, wait_in_words};

    #[test]
    fn waits_are_in_units_a_person_uses() {
        for (seconds, text) in [
            (0, "1 second"),
            (40, "40 seconds"),
            (91, "2 minutes"),
            (3600, "1 hour"),
            (3601, "61 minutes"),
            (5401, "2 hours"),
            (86_400, "1 day"),
            (200_000, "3 days"),
        ] {
            assert_eq!(wait_in_words(seconds), text);
        }
    }

    #[test]
    fn a_limit_that_is_off_is_never_the_tighter() {
        let some = Quota { limit: 9, left: 3, reset: 1 };
        assert_eq!((some.tighter(Quota::NONE), Quota::NONE.tighter(some)), (some, some));
        assert_eq!(some.tighter(Quota { left: 1, ..some }).left, 1);
    }
}
