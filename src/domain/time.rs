//! Times as the API writes them: RFC 3339 in UTC. Arithmetic stays in integer Unix seconds.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970-01-01T00:00:00Z by the system clock; 0 while the clock is set before that.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// `2026-11-22T02:31:27Z`. Seconds outside the years 0 to 9999 are clamped to the nearest that can be written.
pub fn rfc3339(unix_seconds: i64) -> String {
    let clamped = unix_seconds.clamp(-62_135_596_800, 253_402_207_199);
    jiff::Timestamp::from_second(clamped).expect("the clamped range lies inside jiff's").to_string()
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn times_are_utc_without_fractions() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_795_314_687), "2026-11-22T02:31:27Z");
    }

    #[test]
    fn times_no_calendar_holds_are_clamped() {
        assert!(rfc3339(i64::MAX).starts_with("9999-"));
        assert!(rfc3339(i64::MIN).starts_with("0001-"));
    }
}
