//! The time and the zone that dates are read with.

use jiff::tz::TimeZone;

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
