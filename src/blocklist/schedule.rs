//! When lists are due: hourly, daily or weekly in a time zone. Pure: the caller brings the time.
//!
//! A run belongs to a moment of the local calendar. Where the clock is set forward over it, it is the moment right behind
//! the gap; where the clock is set back, the first of the two counts. So no change of the clock skips or doubles a run.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Frequency {
    /// Every `interval_hours` hours.
    Hourly,
    /// Once a day at `hour`:`minute`.
    Daily,
    /// Once a week on `day_of_week` at `hour`:`minute`.
    Weekly,
}

/// `ScheduleConfig` of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Whether it runs at all.
    pub enabled: bool,
    /// How often.
    pub frequency: Frequency,
    /// Hours between runs, 1 to 168; hourly only.
    pub interval_hours: u32,
    /// Hour of the day, 0 to 23, in the configured time zone.
    pub hour: u32,
    /// Minute of the hour, 0 to 59.
    pub minute: u32,
    /// 0 is Monday.
    pub day_of_week: u32,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { enabled: true, frequency: Frequency::Daily, interval_hours: 24, hour: 3, minute: 0, day_of_week: 0 }
    }
}

impl Schedule {
    /// The first run after `after`, both in Unix seconds. An hourly one counts in elapsed time from the run before,
    /// which no change of the clock touches.
    pub fn next_after(&self, after: i64, zone: &TimeZone) -> Option<i64> {
        if !self.enabled {
            return None;
        }
        if self.frequency == Frequency::Hourly {
            return Some(after + i64::from(self.interval_hours) * 3600);
        }
        let now = Timestamp::from_second(after).ok()?;
        let time = Time::new(self.hour as i8, self.minute as i8, 0, 0).ok()?;
        let mut date = now.to_zoned(zone.clone()).date();
        // The day before, because a gap may have pushed its moment behind midnight; eight days hold every weekday.
        date = date.checked_sub(1.day()).ok()?;
        for _ in 0..10 {
            let is_day =
                self.frequency == Frequency::Daily || date.weekday().to_monday_zero_offset() == self.day_of_week as i8;
            if is_day {
                // `compatible`: behind a gap, and the first of two.
                let moment = zone.to_ambiguous_zoned(date.to_datetime(time)).compatible().ok()?.timestamp();
                if moment > now {
                    return Some(moment.as_second());
                }
            }
            date = date.checked_add(Span::new().days(1)).ok()?;
        }
        None
    }

    /// Seconds to wait beyond the moment, so that not everybody asks the same server in the same second: the same for
    /// one installation, up to five minutes.
    pub fn jitter(seed: u64) -> i64 {
        (seed % 300) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    /// The runs after `start`, each counted from the one before.
    fn runs(schedule: &Schedule, zone: &str, start: &str, count: usize) -> Vec<String> {
        let zone = TimeZone::get(zone).unwrap();
        let mut at = unix(start);
        (0..count)
            .map(|_| {
                at = schedule.next_after(at, &zone).unwrap();
                Timestamp::from_second(at).unwrap().to_string()
            })
            .collect()
    }

    #[test]
    fn daily_runs_are_one_a_day_through_both_changes_of_the_clock() {
        let gap = Schedule { hour: 2, minute: 30, ..Schedule::default() };
        // In Berlin 02:30 does not exist on 2026-03-29 and is there twice on 2026-10-25.
        assert_eq!(
            runs(&gap, "Europe/Berlin", "2026-03-27T12:00:00Z", 4),
            ["2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"]
        );
        assert_eq!(
            runs(&gap, "Europe/Berlin", "2026-10-24T12:00:00Z", 3),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z", "2026-10-27T01:30:00Z"]
        );
    }

    #[test]
    fn a_gap_at_midnight_loses_no_day() {
        // In Beirut the clocks went from 00:00 to 01:00 on 2025-03-30.
        let midnight = Schedule { hour: 0, ..Schedule::default() };
        assert_eq!(
            runs(&midnight, "Asia/Beirut", "2025-03-28T23:00:00Z", 3),
            ["2025-03-29T22:00:00Z", "2025-03-30T21:00:00Z", "2025-03-31T21:00:00Z"]
        );
    }

    #[test]
    fn a_run_that_a_gap_pushes_over_midnight_is_found_from_the_next_day() {
        // A clock that is set forward from 23:30 to 00:30.
        let zone = TimeZone::posix("XXX0YYY-1,M3.5.0/23:30,M10.5.0").unwrap();
        let late = Schedule { hour: 23, minute: 45, ..Schedule::default() };
        // 2026-03-29 23:45 does not exist: its moment is 23:45 by the clock of before, 00:45 of the 30th by the new one.
        let moment = unix("2026-03-29T23:45:00Z");
        for asked in ["2026-03-29T23:00:00Z", "2026-03-29T23:29:59Z", "2026-03-29T23:30:00Z", "2026-03-29T23:44:59Z"] {
            assert_eq!(late.next_after(unix(asked), &zone), Some(moment), "{asked}");
        }
        assert_eq!(late.next_after(moment, &zone), Some(unix("2026-03-30T22:45:00Z")));
    }

    #[test]
    fn weekly_runs_are_on_their_day() {
        let sunday = Schedule { frequency: Frequency::Weekly, day_of_week: 6, ..Schedule::default() };
        assert_eq!(runs(&sunday, "UTC", "2026-11-22T03:00:00Z", 2), ["2026-11-29T03:00:00Z", "2026-12-06T03:00:00Z"]);
        assert_eq!(runs(&sunday, "UTC", "2026-11-22T02:59:59Z", 1), ["2026-11-22T03:00:00Z"]);
    }

    #[test]
    fn hourly_runs_count_elapsed_time() {
        let hourly = Schedule { frequency: Frequency::Hourly, interval_hours: 6, ..Schedule::default() };
        assert_eq!(
            runs(&hourly, "Europe/Berlin", "2026-03-28T22:00:00Z", 2),
            ["2026-03-29T04:00:00Z", "2026-03-29T10:00:00Z"]
        );
        let off = Schedule { enabled: false, ..hourly };
        assert_eq!(off.next_after(0, &TimeZone::UTC), None);
    }
}
