//! Finds the date in a log line as fail2ban does, and reads it.
//!
//! `fields` knows the directives (`%Y`) and what was captured for them means; `zone` the names of time zones; `template`
//! one date pattern; `detector` a list of them, with fail2ban's way of preferring the one that fits. Nothing here reads a clock but
//! through [`Clock`].

mod boundary;
mod detector;
mod fields;
mod template;
mod zone;

use jiff::tz::TimeZone;

pub use detector::{DateDetector, Stamp};
pub use zone::offset_minutes;

/// The time and the local zone that dates are read with.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Now, in seconds since the epoch; `None` asks the system.
    pub now: Option<i64>,
    /// The zone of dates that name none.
    pub zone: TimeZone,
}

impl Clock {
    /// The system's clock, for what does not depend on the zone.
    pub fn utc() -> Clock {
        Clock::of(TimeZone::UTC)
    }

    /// The system's clock, and a zone.
    pub fn of(zone: TimeZone) -> Clock {
        Clock { now: None, zone }
    }

    /// Seconds since the epoch.
    pub fn now(&self) -> i64 {
        self.now.unwrap_or_else(|| jiff::Timestamp::now().as_second())
    }
}
