//! Ranges, windows, words and positions of the past.

use super::*;

/// Sunday, 2026-11-22T04:05:08Z.
const NOW: i64 = 1_795_320_308;

#[test]
fn windows_hold_whole_buckets_and_the_running_one_is_last() {
    for (text, buckets, bucket) in [("24h", 24, HOUR), ("7d", 28, 6 * HOUR), ("30d", 30, DAY), ("365d", 53, WEEK)] {
        let range: Range = text.parse().unwrap();
        let window = range.window(NOW);
        let starts: Vec<i64> = window.starts().collect();
        assert_eq!((starts.len(), window.bucket), (buckets, bucket), "{text}");
        assert!(starts.iter().all(|start| bucket_start(*start, bucket) == *start));
        assert!(*starts.last().unwrap() <= NOW && NOW < window.end);
        // The last second of a bucket and the first of the next.
        assert_eq!(range.window(window.end - 1), window);
        assert_eq!(range.window(window.end).start, window.start + bucket);
    }
}

#[test]
fn weeks_begin_on_monday_and_daylight_saving_moves_nothing() {
    let window = Range::Year.window(NOW);
    let monday = jiff::Timestamp::from_second(window.end - WEEK).unwrap();
    assert_eq!(monday.to_string(), "2026-11-16T00:00:00Z");
    // Europe changed its clocks on 2026-10-25 and America on 2026-11-01: UTC days stay 86 400 seconds.
    for start in Range::Month.window(NOW).starts() {
        assert!(jiff::Timestamp::from_second(start).unwrap().to_string().ends_with("T00:00:00Z"));
    }
    assert_eq!(bucket_start(-1, WEEK), FIRST_MONDAY - WEEK);
}

#[test]
fn words_are_exact() {
    for bad in ["", "24H", "1d", "365", " 7d"] {
        assert!(bad.parse::<Range>().is_err(), "{bad}");
    }
    for bad in ["", "1", "-", "1-", "-1", "+1-1", "g-1", "1-2-3", "fffffffffffffffff-1"] {
        assert!(bad.parse::<Cursor>().is_err(), "{bad}");
    }
    let cursor = Cursor { time: NOW, id: 77 };
    assert_eq!(cursor.to_string().parse(), Ok(cursor));
    for bad in ["", "D", "de", "DEU", "D1", "Ä"] {
        assert!(bad.parse::<Country>().is_err(), "{bad}");
    }
    let country: Country = "DE".parse().unwrap();
    assert_eq!(Country::of_number(country.number()), Some(country));
    assert_eq!(Country::of_number(0), None);
}

#[test]
fn a_window_between_two_moments_has_whole_buckets_around_it() {
    for (length, name, most) in
        [(1, "1h", 2), (2 * DAY, "1h", 49), (14 * DAY, "6h", 57), (92 * DAY, "1d", 93), (366 * DAY, "7d", 54)]
    {
        let window = Window::between(NOW, NOW + length);
        assert_eq!(window.bucket_name(), name);
        let starts: Vec<i64> = window.starts().collect();
        assert!(starts.len() <= most && starts[0] <= NOW && *starts.last().unwrap() < window.end, "{length}");
        assert!(starts.iter().all(|start| bucket_start(*start, window.bucket) == *start));
        assert_eq!((window.before().end, window.before().start), (NOW, NOW - length));
    }
}

#[test]
fn a_prefix_is_plain_text() {
    let filter = |prefix: &str| Filter { ip_prefix: Some(prefix.into()), ..Filter::default() };
    assert!(filter("203.0.113.").takes("j", "203.0.113.7", 1));
    for wild in ["%", "203.0.113._", "203*"] {
        assert!(!filter(wild).takes("j", "203.0.113.7", 1), "{wild}");
    }
    let blocklist = Filter { origin: Some(Origin::Blocklist), ..Filter::default() };
    assert!(blocklist.takes(BLOCKLIST_JAIL, "x", 1) && !blocklist.takes("sshd", "x", 1));
}

#[test]
fn a_text_is_found_in_upper_and_lower_case_wherever_it_stands() {
    let takes = |search: &str, lines: &str| {
        Filter { search: Some(search.to_lowercase()), ..Filter::default() }.takes_text("sshd", "203.0.113.7", lines)
    };
    for (search, lines, found) in [
        ("Root", "invalid user ROOT", true),
        ("root", "rroot", true),
        ("rooot", "roo", false),
        ("113.7", "", true),
        ("113.77", "", false),
        ("SSHD", "", true),
        ("über", "Failed for ÜBER", true),
        ("über", "Failed for uber", false),
        ("r", "Failed for Ü R", true),
    ] {
        assert_eq!(takes(search, lines), found, "{search} in {lines}");
    }
}
