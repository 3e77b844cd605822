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

/// The Unix seconds of a time such as `2026-11-22T02:31:27Z`, in whatever zone it is given; `None` where the text is none.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

/// Like [`rfc3339`], with the fraction of a second where there is one: `2026-11-22T02:31:27.25Z`, to microseconds.
pub fn rfc3339_fraction(unix_seconds: f64) -> String {
    let whole = unix_seconds.floor();
    let micros = ((unix_seconds - whole) * 1_000_000.0).round() as i64;
    let time = jiff::Timestamp::from_microsecond((whole as i64).saturating_mul(1_000_000).saturating_add(micros));
    time.map_or_else(|_| rfc3339(whole as i64), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::{parse_rfc3339, rfc3339, rfc3339_fraction};

    #[test]
    fn fractions_are_kept_where_they_are() {
        assert_eq!(rfc3339_fraction(1_795_314_687.0), "2026-11-22T02:31:27Z");
        assert_eq!(rfc3339_fraction(1_795_314_687.25), "2026-11-22T02:31:27.25Z");
        assert_eq!(rfc3339_fraction(-0.5), "1969-12-31T23:59:59.5Z");
        assert!(rfc3339_fraction(1e300).starts_with("9999-"));
    }

    #[test]
    fn a_time_is_read_with_its_zone_and_not_without() {
        assert_eq!(parse_rfc3339("2026-11-22T02:31:27Z"), Some(1_795_314_687));
        assert_eq!(parse_rfc3339("2026-11-22T03:31:27+01:00"), Some(1_795_314_687));
        for text in ["", "2026-11-22", "2026-11-22T02:31:27", "tomorrow"] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }

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
