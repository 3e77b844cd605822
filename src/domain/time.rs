//! Times as the API writes them: RFC 3339 in UTC. Arithmetic stays in integer Unix seconds.

use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// A moment that a client names, in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub i64);

/// A text is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoTime;

impl FromStr for Moment {
    type Err = NoTime;

    fn from_str(text: &str) -> Result<Moment, NoTime> {
        parse_rfc3339(text).map(Moment).ok_or(NoTime)
    }
}

/// 2024-01-01, in Unix seconds. A clock before that has not been set yet: a machine without a battery for its clock begins in 1970.
pub const NOT_SET_BEFORE: i64 = 1_704_067_200;

/// Seconds since 1970-01-01T00:00:00Z by the system clock; 0 while the clock is set before that.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// `2026-11-22T02:31:27Z`. Seconds outside the years 0 to 9999 are clamped to the nearest that can be written.
pub fn rfc3339(unix_seconds: i64) -> String {
    let clamped = unix_seconds.clamp(-62_135_596_800, 253_402_207_199);
    jiff::Timestamp::from_second(clamped).expect("the clamped range lies inside jiff's").to_string()
}

/// The Unix seconds of an RFC 3339 time with its offset; `None` for any other text. A plus that a query has made a blank counts as one.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let read = |text: &str| text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
    if !text.get(10..11).is_some_and(|letter| "Tt ".contains(letter)) || text.contains('[') {
        return None;
    }
    read(text).or_else(|| {
        let (time, offset) = text.rsplit_once(' ')?;
        read(&format!("{time}+{offset}"))
    })
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
    fn times_are_read_with_their_offset_or_not_at_all() {
        for text in
            ["1970-01-02T00:00:00Z", "1970-01-02T02:00:00+02:00", "1970-01-02T02:00:00 02:00", "1970-01-02t00:00:00.5z"]
        {
            assert_eq!(parse_rfc3339(text), Some(86_400), "{text}");
        }
        for text in [
            "",
            "1970-01-02",
            "1970-01-02T00:00:00",
            "1970-01-32T00:00:00Z",
            "yesterday",
            "0",
            "1970-01-02T00:00:00Z[UTC]",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }

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
