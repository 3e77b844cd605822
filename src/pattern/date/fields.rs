//! The directives of a date pattern (`%Y`, `%Exd`) and the moment that the values captured for them stand for.
//!
//! Names of months and days are the English ones: the daemon does not set a locale for them either.

use jiff::civil::{Date, DateTime, Time};
use jiff::{Span, Timestamp};

use super::clock::Clock;
use super::zone;
use crate::domain::digits::in_ascii;

/// `%b` and `%B`: a month is told by its first three letters.
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// A zone as one letter or three to five.
const ZONE_NAME: &str = "[A-Z](?:[A-Z]{2,4})?";

/// The expression that a directive stands for and its name in the name of the template; `None` for an unknown directive.
/// `year` is the current one: `%ExY` takes the years from 2000 to the end of the decade that the year after next but one is in.
pub fn directive(name: &str, year: i16) -> Option<(String, &'static str)> {
    let capture = |group: char, body: &str| format!("(?P<{group}>{body})");
    let day = "3[0-1]|[1-2]\\d|0[1-9]|[1-9]| [1-9]";
    let clock = format!(
        "{}:{}:{}",
        capture('H', "2[0-3]|[0-1]\\d|\\d"),
        capture('M', "[0-5]\\d|\\d"),
        capture('S', "6[0-1]|[0-5]\\d|\\d")
    );
    let any = |names: &[&str], letters: usize| -> String {
        let mut names: Vec<&str> = names.iter().map(|name| &name[..letters.min(name.len())]).collect();
        // The longest first, so that none is hidden by its own beginning.
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        names.join("|")
    };
    Some(match name {
        "a" => (capture('a', &any(&DAYS, 3)), "DAY"),
        "A" => (capture('A', &any(&DAYS, 99)), "DAYNAME"),
        "b" => (capture('b', &any(&MONTHS, 3)), "MON"),
        "B" => (capture('B', &any(&MONTHS, 99)), "MONTH"),
        "c" => {
            let (weekday, month) = (capture('a', &any(&DAYS, 3)), capture('b', &any(&MONTHS, 3)));
            (
                format!("{weekday}\\s+{month}\\s+{}\\s+{clock}\\s+{}", capture('d', day), capture('Y', "\\d\\d\\d\\d")),
                "%c",
            )
        }
        "d" => (capture('d', "[1-2]\\d|[0 ]?[1-9]|3[0-1]"), "Day"),
        "f" => (capture('f', "[0-9]{1,6}"), "Microseconds"),
        "G" => (capture('G', "\\d\\d\\d\\d"), "%G"),
        "H" => (capture('H', "[0-1]?\\d|2[0-3]"), "24hour"),
        "I" => (capture('I', "1[0-2]|0[1-9]|[1-9]"), "12hour"),
        "j" => (capture('j', "36[0-6]|3[0-5]\\d|[1-2]\\d\\d|0[1-9]\\d|00[1-9]|[1-9]\\d|0[1-9]|[1-9]"), "Yearday"),
        "k" => (format!(" ?{}", capture('H', "[0-2]?\\d")), "%k"),
        "l" => (format!(" ?{}", capture('I', "1?\\d")), "%l"),
        "m" => (capture('m', "0?[1-9]|1[0-2]"), "Month"),
        "M" => (capture('M', "[0-5]?\\d"), "Minute"),
        "p" => (capture('p', "am|pm"), "AMPM"),
        "S" => (capture('S', "[0-5]?\\d|6[0-1]"), "Second"),
        "u" => (capture('u', "[1-7]"), "%u"),
        "U" => (capture('U', "5[0-3]|[0-4]\\d|\\d"), "Yearweek"),
        "V" => (capture('V', "5[0-3]|0[1-9]|[1-4]\\d|\\d"), "%V"),
        "w" => (capture('w', "[0-6]"), "Weekday"),
        "W" => (capture('W', "5[0-3]|[0-4]\\d|\\d"), "Yearweek"),
        "x" => {
            (format!("{}/{}/{}", capture('m', "1[0-2]|0[1-9]|[1-9]"), capture('d', day), capture('y', "\\d\\d")), "%x")
        }
        "X" => (clock, "%X"),
        "y" => (capture('y', "\\d\\d"), "Year2"),
        "Y" => (capture('Y', "\\d{4}"), "Year"),
        "z" => (capture('z', "Z|UTC|GMT|[+-][01]\\d(?::?\\d{2})?"), "Zone offset"),
        "Z" => (capture('Z', "Z|[A-Z]{3,5}"), "Zone name"),
        "%" => ("%".to_string(), "%"),
        "Exd" => (capture('d', "[1-2]\\d|0[1-9]|3[0-1]"), "ExDay"),
        "ExH" => (capture('H', "[0-1]\\d|2[0-3]"), "Ex24hour"),
        "Exk" => (format!(" ?{}", capture('H', "[0-1]?\\d|2[0-3]")), "%Exk"),
        "Exl" => (format!(" ?{}", capture('I', "1[0-2]|\\d")), "Ex%l"),
        "Exm" => (capture('m', "0[1-9]|1[0-2]"), "ExMonth"),
        "ExM" => (capture('M', "[0-5]\\d"), "ExMinute"),
        "ExS" => (capture('S', "[0-5]\\d|6[0-1]"), "ExSecond"),
        "Exy" => (capture('y', "\\d{2}"), "ExYear2"),
        "ExY" => (capture('Y', &format!("20[0-{}]\\d", ((year + 3) / 10 - 200).clamp(0, 9))), "ExYear"),
        "Exz" => (capture('z', &format!("(?:{ZONE_NAME})?[+-][01]\\d(?::?\\d{{2}})?|{ZONE_NAME}")), "ExZone offset"),
        "ExZ" => (capture('Z', ZONE_NAME), "ExZone name"),
        _ => return None,
    })
}

/// What was captured, read.
#[derive(Default)]
struct Fields {
    year: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
    hour: i8,
    minute: i8,
    second: i8,
    /// Monday is 0.
    weekday: Option<i16>,
    day_of_year: Option<i16>,
    /// Week of the year, and whether it starts on Monday.
    week: Option<(i16, bool)>,
    /// Minutes east of UTC.
    offset: Option<i32>,
}

/// The moment, in whole seconds since the epoch, that the captured fields (`("Y", "2005")`) stand for; `default_zone` is an offset in minutes.
/// `None` when they are no date, such as the 30th of February.
pub fn moment(captured: &[(&str, &str)], default_zone: Option<i32>, clock: &Clock) -> Option<f64> {
    let fields = read(captured)?;
    let now = Timestamp::from_second(clock.now()).ok()?.to_zoned(clock.zone.clone()).datetime();
    // Python's calendar begins with the year 1.
    let year = fields.year.or(Some(now.year())).filter(|year| *year >= 1)?;
    let (mut date, mut assume_today) = (None, false);
    if fields.month.is_none() || fields.day.is_none() {
        let from_week = || Some(day_of_week(year, fields.week?, fields.weekday?));
        if let Some(day_of_year) = fields.day_of_year.or_else(from_week) {
            date = Some(Date::new(year, 1, 1).ok()?.checked_add(Span::new().days(i64::from(day_of_year) - 1)).ok()?);
        } else if fields.month.is_none() && fields.day.is_none() {
            (date, assume_today) = (Some(Date::new(year, now.month(), now.day()).ok()?), true);
        }
    }
    let date = match date {
        Some(date) => date,
        None => Date::new(year, fields.month?, fields.day?).ok()?,
    };
    // Python's datetime knows no leap second, so fail2ban does not read one either.
    let time = Time::new(fields.hour, fields.minute, fields.second, 0).ok()?;
    let offset = fields.offset.or(default_zone);
    let mut result = DateTime::from_parts(date, time);
    if let Some(minutes) = offset {
        result = result.checked_sub(Span::new().minutes(i64::from(minutes))).ok()?;
    }
    if assume_today && result > now {
        result = result.checked_sub(Span::new().days(1)).ok()?;
    }
    if fields.year.is_none() && result > now.checked_add(Span::new().days(1)).ok()? {
        // It would lie in the future, so it is last year's; and it is not yesterday's.
        let last = Date::new(year - 1, date.month(), date.day()).ok()?;
        result = DateTime::from_parts(last, result.time());
    }
    let zone = if offset.is_some() { jiff::tz::TimeZone::UTC } else { clock.zone.clone() };
    // Of the two moments of an hour that the clocks repeat, the first: the C library takes the one nearer to what it was asked before.
    let seconds = result.to_zoned(zone).ok()?.timestamp().as_second();
    // Seconds of our era are far below what a float holds exactly.
    Some(seconds as f64)
}

fn read(captured: &[(&str, &str)]) -> Option<Fields> {
    let mut fields = Fields::default();
    let value_of = |name: &str| captured.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
    for (name, value) in captured {
        let digits = in_ascii(value.trim());
        let number = || digits.parse::<i16>().ok();
        let small = || digits.parse::<i8>().ok();
        let among = |names: &[&str], letters: usize| {
            let value = value.to_lowercase();
            names.iter().position(|name| name[..letters.min(name.len())] == value)
        };
        match *name {
            "y" => fields.year = Some(number()? + 2000),
            "Y" => fields.year = Some(number()?),
            "m" => fields.month = Some(small()?),
            "B" => fields.month = i8::try_from(among(&MONTHS, 99)? + 1).ok(),
            "b" => fields.month = i8::try_from(among(&MONTHS, 3)? + 1).ok(),
            "d" => fields.day = Some(small()?),
            "H" => fields.hour = small()?,
            "I" => fields.hour = twelve_hours(small()?, value_of("p")),
            "M" => fields.minute = small()?,
            "S" => fields.second = small()?,
            // fail2ban reads the fraction of a second, and drops it.
            "A" => fields.weekday = i16::try_from(among(&DAYS, 99)?).ok(),
            "a" => fields.weekday = i16::try_from(among(&DAYS, 3)?).ok(),
            "w" => fields.weekday = Some((number()? + 6) % 7),
            "j" => fields.day_of_year = Some(number()?),
            "U" => fields.week = Some((number()?, false)),
            "W" => fields.week = Some((number()?, true)),
            "z" | "Z" => fields.offset = Some(zone::offset_minutes(&in_ascii(value))?),
            _ => {}
        }
    }
    Some(fields)
}

/// The hour of the day; without `am` or `pm` it is taken for the morning.
fn twelve_hours(hour: i8, half: Option<&str>) -> i8 {
    let afternoon = half.is_some_and(|half| half.eq_ignore_ascii_case("pm"));
    if hour == 12 {
        return if afternoon { 12 } else { 0 };
    }
    if afternoon { hour + 12 } else { hour }
}

/// The day of the year of a weekday in a week; days before the first full week belong to week 0.
fn day_of_week(year: i16, (week, from_monday): (i16, bool), weekday: i16) -> i16 {
    let first = Date::new(year, 1, 1).map_or(0, |date| i16::from(date.weekday().to_monday_zero_offset()));
    let (first, weekday) = if from_monday { (first, weekday) } else { ((first + 1) % 7, (weekday + 1) % 7) };
    let week_zero = (7 - first) % 7;
    if week == 0 { 1 + weekday - first } else { 1 + week_zero + 7 * (week - 1) + weekday }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn clock() -> Clock {
        Clock { now: Some(1_124_013_600), zone: TimeZone::posix("CET-1CEST-2,M3.5.0,M10.5.0/3").unwrap() }
    }

    #[test]
    fn a_date_without_year_is_never_in_the_future() {
        let fields = [("b", "Aug"), ("d", "14"), ("H", "11"), ("M", "59"), ("S", "58")];
        assert_eq!(moment(&fields, None, &clock()), Some(1_124_013_598.0));
        let later = [("b", "Dec"), ("d", "31"), ("H", "11"), ("M", "59"), ("S", "59")];
        assert_eq!(moment(&later, None, &clock()), Some(1_104_490_799.0));
    }

    #[test]
    fn a_time_alone_is_today_or_yesterday() {
        assert_eq!(moment(&[("H", "11"), ("M", "0"), ("S", "0")], None, &clock()), Some(1_124_010_000.0));
        assert_eq!(moment(&[("H", "13"), ("M", "0"), ("S", "0")], None, &clock()), Some(1_124_017_200.0 - 86_400.0));
    }

    #[test]
    fn zones_and_impossible_dates() {
        let base = [("Y", "2005"), ("m", "08"), ("d", "14"), ("H", "10"), ("M", "00"), ("S", "00")];
        assert_eq!(moment(&base, Some(0), &clock()), Some(1_124_013_600.0));
        let mut with_zone = base.to_vec();
        with_zone.push(("z", "-0130"));
        assert_eq!(moment(&with_zone, Some(0), &clock()), Some(1_124_013_600.0 + 5400.0));
        assert_eq!(moment(&[("Y", "2005"), ("m", "02"), ("d", "30")], None, &clock()), None);
        assert_eq!(moment(&[("Y", "0000"), ("m", "12"), ("d", "30")], None, &clock()), None);
        assert_eq!(moment(&[("Y", "2005"), ("j", "226"), ("H", "10")], Some(0), &clock()), Some(1_124_013_600.0));
        assert_eq!(
            moment(&[("Y", "2005"), ("W", "32"), ("a", "Sun"), ("H", "10")], Some(0), &clock()),
            Some(1_124_013_600.0)
        );
    }
}
