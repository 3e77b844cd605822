//! The archive against plain `GROUP BY` over its rows: after every step the counts are what the rows say.

use std::collections::HashMap;

use super::*;
use crate::domain::history::{BLOCKLIST_JAIL, Cursor, Filter, Listing, Origin, Place, Question, Range, Slice, Window};
use crate::store::open::tests::temporary;

/// 2026-11-22T04:05:08Z, a Sunday.
pub(crate) const NOW: i64 = 1_795_320_308;
const ALL: Slice = Slice { after: None, skip: 0, limit: 500 };

pub(crate) fn new<'a>(jail: &'a str, ip: &'a str, banned_at: i64, country: &str) -> NewBan<'a> {
    let country = country.parse().ok();
    NewBan { jail, ip, banned_at, ban_time: Some(600.0), count: 1, failures: 3, matches: &[], country }
}

fn counted(store: &Store, of: Of, window: Window, origin: Option<Origin>) -> Counting {
    let mut counting = Counting::new(of, window, origin);
    while !store.count_some(&mut counting, NOW).unwrap() {}
    counting
}

fn by_country(store: &Store, window: Window, origin: Option<Origin>) -> (Vec<(Country, u64)>, u64) {
    counted(store, Of::Countries, window, origin).countries()
}

/// The list, however many steps it takes; the same of a count, and of what it counts.
pub(crate) fn list(store: &Store, filter: &Filter, slice: Slice) -> Listing {
    let mut asked = Asked::new(filter.clone(), Question::List(slice), NOW);
    loop {
        if let Some(answer) = store.answer_some(&mut asked).unwrap() {
            return answer.listing;
        }
    }
}

pub(crate) fn store_some(store: &mut Store, bans: &[NewBan<'_>]) -> usize {
    store.archive_bans(bans, Some((FAIL2BAN_MARK, "[]")), NOW).unwrap()
}

/// Deterministic bans over `days` days before now.
pub(crate) fn many(number: usize, days: i64) -> Vec<(String, String, i64, &'static str)> {
    let mut state = 42_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let countries = ["DE", "US", "CN", "", "BR"];
    (0..number)
        .map(|_| {
            let jail = ["sshd", BLOCKLIST_JAIL, "lab"][random() as usize % 3].to_owned();
            let ip = format!("203.0.{}.{}", random() % 100, random() % 250);
            (jail, ip, NOW - random() as i64 % (days * DAY), countries[random() as usize % 5])
        })
        .collect()
}

/// Every count that a chart may ask for is what the rows say, and the four dashboards agree.
fn assert_true(store: &Store) {
    let ranges = [Range::Day, Range::Week, Range::Month, Range::Year]; // and ends anywhere, counted by the hour or not
    let odd =
        [(5000, 1), (10 * 3600 + 7, 77), (9 * DAY + 1, 3600), (40 * DAY + 12_345, DAY - 1), (30 * DAY, 29 * DAY + 5)];
    let odd = odd.map(|(from, to)| Window::between(NOW - from, NOW - to));
    for (range, window) in ranges.map(|range| range.window(NOW)).into_iter().chain(odd).enumerate() {
        for origin in [None, Some(Origin::Blocklist), Some(Origin::Selfblock)] {
            let plain = |what: &str| {
                let condition = match origin {
                    None => "1",
                    Some(Origin::Blocklist) => "name = 'blocklist-import'",
                    Some(Origin::Selfblock) => "name <> 'blocklist-import'",
                };
                let sql = format!(
                    "SELECT {what}, count(*) FROM archive JOIN archive_jails ON archive_jails.id = jail
                     WHERE banned_at >= ?1 AND banned_at < ?2 AND {condition} GROUP BY 1"
                );
                let mut statement = store.connection.prepare(&sql).unwrap();
                let rows = statement
                    .query_map([window.start, window.end], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))
                    .unwrap();
                rows.map(Result::unwrap).collect::<HashMap<String, u64>>()
            };
            let jails = store.counted_jails(&counted(store, Of::Jails, window, origin)).unwrap();
            let jails: HashMap<String, u64> = jails.into_iter().collect();
            assert_eq!(jails, plain("name"), "{range:?} {origin:?}");
            let (countries, total) = by_country(store, window, origin);
            let mut expected = plain("CAST(country AS TEXT)");
            expected.remove("0");
            let numbers = countries.into_iter().map(|(country, count)| (country.number().to_string(), count));
            assert_eq!(numbers.collect::<HashMap<_, _>>(), expected, "{range:?} {origin:?}");
            let trend = counted(store, Of::Buckets, window, origin).buckets();
            for (start, count) in &trend {
                let sql = "SELECT count(*) FROM archive JOIN archive_jails ON archive_jails.id = jail WHERE banned_at >= ?1 AND banned_at < ?2
                           AND CASE ?3 WHEN 0 THEN 1 WHEN 1 THEN name = 'blocklist-import' ELSE name <> 'blocklist-import' END";
                let which = origin.map_or(0, |origin| if origin == Origin::Blocklist { 1 } else { 2 });
                let (start, end) = (*start, start + window.bucket);
                let values = params![start.max(window.start), end.min(window.end), which];
                let plain: i64 = store.connection.query_row(sql, values, |row| row.get(0)).unwrap();
                assert_eq!(*count as i64, plain, "{range:?} {start}");
            }
            let listed = list(store, &Filter { window: Some(window), origin, ..Filter::default() }, ALL);
            let sums = [total, jails.values().sum(), trend.iter().map(|(_, count)| count).sum()];
            assert_eq!(sums, [listed.total; 3], "{range:?} {origin:?}");
            assert_eq!(listed.bans.len() as u64, listed.total.min(500));
        }
    }
    let rows: i64 = store.connection.query_row("SELECT count(*) FROM archive", [], |row| row.get(0)).unwrap();
    assert_eq!(store.archive_rows().unwrap(), rows as u64);
    let unknown: i64 =
        store.connection.query_row("SELECT count(*) FROM archive WHERE country = 0", [], |row| row.get(0)).unwrap();
    assert_eq!(store.archive_unresolved().unwrap(), unknown as u64);
}

#[test]
fn a_ban_seen_twice_is_stored_once() {
    let (_directory, mut store) = temporary();
    let ban = new("sshd", "203.0.113.1", NOW - 10, "DE");
    assert_eq!(store_some(&mut store, &[ban.clone(), ban.clone()]), 1);
    assert_eq!(store_some(&mut store, &[ban]), 0);
    // Another jail or another time is another ban.
    assert_eq!(
        store_some(&mut store, &[new("lab", "203.0.113.1", NOW - 10, ""), new("sshd", "203.0.113.1", NOW, "")]),
        2
    );
    for odd in [
        new("sshd", "", NOW, ""),
        new("sshd", "x", 0, ""),
        new("sshd", "x", i64::MAX, ""),
        new("j", &"x".repeat(257), 1, ""),
    ] {
        assert_eq!(store_some(&mut store, &[odd]), 0);
    }
    assert_true(&store);
}

#[test]
fn counts_are_what_the_rows_say_through_all_that_happens() {
    let (_directory, mut store) = temporary();
    let (empty, made) = (store.database_bytes().unwrap(), many(3000, 400));
    let bans: Vec<_> = made.iter().map(|(jail, ip, at, country)| new(jail, ip, *at, country)).collect();
    for some in bans.chunks(170) {
        store_some(&mut store, some);
    }
    assert_true(&store);
    let (mut after, mut resolved) = (Some((0, 0)), 0);
    while let Some(from) = after {
        let look_up = |ip: &str| if ip.ends_with('7') { None } else { "NL".parse().ok() };
        let (some, next) = store.resolve_countries(from, 100, NOW, &look_up).unwrap();
        (resolved, after) = (resolved + some, next);
    }
    assert!(resolved > 400, "{resolved}");
    assert_true(&store);
    let days = Bounds { days: 365, rows: 0, bytes: 0 };
    while store.purge_archive(days, 50, NOW).unwrap() == 50 {}
    let oldest: i64 = store.connection.query_row("SELECT min(banned_at) FROM archive", [], |row| row.get(0)).unwrap();
    assert!(oldest >= bucket_start(NOW - 365 * DAY, DAY) && oldest < NOW - 350 * DAY);
    assert_true(&store);
    while store.purge_archive(Bounds { rows: 1000, ..days }, 50, NOW).unwrap() > 0 {}
    assert_eq!(store.archive_rows().unwrap(), 1000);
    assert_true(&store);
    let bytes = (empty + store.database_bytes().unwrap()) / 2;
    while store.purge_archive(Bounds { bytes, ..days }, 50, NOW).unwrap() > 0 {}
    let (left, rows) = (store.database_bytes().unwrap(), store.archive_rows().unwrap());
    assert!(left <= bytes && rows > 150, "{left} bytes of {bytes}, {rows} rows");
    assert_true(&store);
}

#[test]
fn a_clock_set_back_a_day_changes_no_total() {
    let (_directory, mut store) = temporary();
    let made = many(500, 12);
    let ahead = NOW + DAY;
    let bans: Vec<_> = made.iter().map(|(jail, ip, at, country)| new(jail, ip, *at, country)).collect();
    // Stored, and purged, while the clock was a day ahead.
    store.archive_bans(&bans, None, ahead).unwrap();
    store.purge_archive(Bounds { days: 365, rows: 0, bytes: 0 }, 50, ahead).unwrap();
    assert_true(&store);
    // A ban from the future is in no chart, and in the history all the same.
    store_some(&mut store, &[new("sshd", "203.0.113.1", NOW + DAY, "DE")]);
    assert_true(&store);
    assert_eq!(list(&store, &Filter::default(), ALL).bans[0].banned_at, NOW + DAY);
}

#[test]
fn pages_and_positions_lead_through_the_same_list() {
    let (_directory, mut store) = temporary();
    // Many of one second, so that the order needs more than the time.
    let made: Vec<_> = (0..250).map(|at| (format!("203.0.113.{at}"), NOW - at / 50)).collect();
    let bans: Vec<_> = made.iter().map(|(ip, at)| new("sshd", ip, *at, "")).collect();
    store_some(&mut store, &bans);
    let filter = Filter::default();
    let whole = list(&store, &filter, ALL);
    assert_eq!((whole.bans.len(), whole.total, whole.next), (250, 250, None));
    assert!(whole.bans.windows(2).all(|two| two[0].cursor().time >= two[1].cursor().time));
    let mut by_page = Vec::new();
    for page in 0..4 {
        by_page.extend(list(&store, &filter, Slice { after: None, skip: page * 70, limit: 70 }).bans);
    }
    assert_eq!(by_page, whole.bans);
    let (mut by_position, mut after) = (Vec::new(), None);
    loop {
        let part = list(&store, &filter, Slice { after, skip: 0, limit: 70 });
        by_position.extend(part.bans);
        after = part.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(by_position, whole.bans);
}

#[test]
fn a_page_far_down_is_what_walking_there_finds() {
    let (_directory, mut store) = temporary();
    let made: Vec<_> = (0..9500)
        .map(|at: i64| {
            (
                ["sshd", BLOCKLIST_JAIL][at as usize % 2],
                format!("20{}.0.{}.1", at % 3, at / 40),
                NOW - at * 7919 % 90_000,
            )
        })
        .collect();
    let bans: Vec<_> = made.iter().map(|(jail, ip, at)| new(jail, ip, *at, "")).collect();
    for some in bans.chunks(1000) {
        store_some(&mut store, some);
    }
    let day = Some(Range::Day.window(NOW));
    for (prefix, window, origin, jail) in [
        ("", None, None, None),
        ("", day, Some(Origin::Selfblock), None),
        ("", None, Some(Origin::Blocklist), Some("sshd")),
        ("20", None, None, None),
        ("200.0.", day, None, None),
        ("20", None, Some(Origin::Selfblock), Some("sshd")),
        ("20", None, None, Some(BLOCKLIST_JAIL)),
    ] {
        let filter = Filter {
            window,
            jail: jail.map(str::to_owned),
            ip_prefix: Some(prefix.to_owned()),
            origin,
            ..Filter::default()
        };
        let mut expected: Vec<&(&str, String, i64)> =
            made.iter().filter(|(jail, ip, at)| filter.takes(jail, ip, *at)).collect();
        // Of one second, the one stored last is the newest; a stable sort keeps that order.
        expected.reverse();
        expected.sort_by_key(|(.., at)| std::cmp::Reverse(*at));
        for skip in
            [0, 1, 1000, 3595, 3596, 3597, 1999, 2000, 2001, 4001, 4096, 4097, 8100, 8193, 9400, 9499, 9500, 1 << 40]
        {
            let found = list(&store, &filter, Slice { after: None, skip, limit: 500 });
            assert_eq!(found.total, expected.len() as u64, "{filter:?}");
            let found: Vec<(&str, i64)> = found.bans.iter().map(|ban| (ban.ip.as_str(), ban.banned_at)).collect();
            let wanted = expected.iter().skip(skip as usize).take(500);
            assert_eq!(found, wanted.map(|(_, ip, at)| (ip.as_str(), *at)).collect::<Vec<_>>(), "{filter:?} {skip}");
        }
    }
    let (mut summary, mut after) = (Summary::default(), Some(Summary::START));
    while let Some(start) = after {
        after = store.sum_up_ip("200.0.0.1", start, &mut summary).unwrap();
    }
    let of_one = made.iter().filter(|(_, ip, _)| ip == "200.0.0.1").count() as u64;
    assert_eq!((summary.bans, summary.failures), (of_one, 3 * of_one));
}

#[test]
fn every_ban_of_a_country_is_found() {
    let (_directory, mut store) = temporary();
    let made = many(3000, 40);
    let bans: Vec<_> = made.iter().map(|(jail, ip, at, country)| new(jail, ip, *at, country)).collect();
    store_some(&mut store, &bans);
    let germany = "DE".parse().unwrap();
    for (range, origin) in [
        (Range::Month, None),
        (Range::Month, Some(Origin::Blocklist)),
        (Range::Week, Some(Origin::Selfblock)),
        (Range::Year, None),
        (Range::Day, None),
    ] {
        let window = range.window(NOW);
        let (counts, _) = by_country(&store, window, origin);
        let (_, expected) = counts.into_iter().find(|(country, _)| *country == germany).unwrap();
        let (mut found, mut after, mut steps) = (Vec::new(), None, 0);
        loop {
            let (some, next) = store.bans_of_country(germany, window, origin, after).unwrap();
            found.extend(some);
            after = next;
            steps += 1;
            if after.is_none() {
                break;
            }
        }
        assert!(steps < 100, "days without a ban are passed over: {steps} steps");
        assert_eq!(found.len() as u64, expected);
        assert!(found.iter().all(|ban| ban.country == Some(germany)));
        assert!(found.windows(2).all(|two| (two[0].banned_at, two[0].id) > (two[1].banned_at, two[1].id)));
    }
}

/// Everything that was learned, stored.
fn learn(store: &mut Store, places: &[(String, Place)], now: i64) -> usize {
    let (mut left, mut steps) = (places.to_vec(), 0);
    while !left.is_empty() {
        let done = store.learn_places(&left, 50, now).unwrap();
        left.retain(|(ip, _)| !done.contains(ip));
        steps += 1;
        assert!(steps < 1000, "it comes to an end");
    }
    steps
}

#[test]
fn what_is_learned_of_an_address_reaches_all_of_its_bans() {
    let (_directory, mut store) = temporary();
    let bans: Vec<_> =
        (0..300).map(|at| new(["sshd", BLOCKLIST_JAIL][at as usize % 2], "5.6.7.8", NOW - at * 3000, "")).collect();
    store_some(&mut store, &bans);
    store_some(&mut store, &[new("lab", "5.6.7.9", NOW, ""), new("lab", "5.6.7.7", NOW, "FR")]);
    let place = |code: &str| Place { country: code.parse().ok(), asn: Some("AS1".to_owned()), org: None };
    let places =
        [("5.6.7.8", "DE"), ("5.6.7.7", "DE"), ("9.9.9.9", "CH")].map(|(ip, code)| (ip.to_owned(), place(code)));
    assert!(learn(&mut store, &places, NOW) >= 6, "fifty rows at a time");
    assert_true(&store);
    assert_eq!(store.archive_unresolved().unwrap(), 1);
    let (counts, _) = by_country(&store, Range::Month.window(NOW), None);
    let counts: Vec<(String, u64)> = counts.into_iter().map(|(country, count)| (country.into(), count)).collect();
    assert_eq!(counts, [("DE".to_owned(), 300), ("FR".to_owned(), 1)], "what a row has known it keeps");
    assert_eq!(store.place("5.6.7.8", NOW).unwrap(), Some(place("DE")));
    assert_eq!(
        store.without_country(Cursor { time: i64::MAX, id: i64::MAX }, 10).unwrap(),
        (vec!["5.6.7.9".to_owned()], None)
    );
}

#[test]
fn what_was_learned_is_kept_for_ninety_days_and_not_without_end() {
    let (_directory, mut store) = temporary();
    let place = Place { country: "DE".parse().ok(), ..Place::default() };
    let many: Vec<(String, Place)> =
        (0..10_300).map(|number| (format!("5.6.{}.{}", number / 256, number % 256), place.clone())).collect();
    learn(&mut store, &many[..300], NOW - 100);
    learn(&mut store, &many[300..], NOW);
    assert_eq!(store.places().unwrap(), 10_000);
    assert_eq!(store.place("5.6.0.0", NOW).unwrap(), None, "the oldest made room");
    let end = NOW + 90 * DAY;
    assert!(store.place("5.6.40.0", end - 1).unwrap().is_some() && store.place("5.6.40.0", end).unwrap().is_none());
    assert_eq!(store.countries_of_places(end - 1).unwrap().len(), 10_000);
    assert_eq!(store.countries_of_places(end).unwrap().len(), 0);
    store.expire_places(end - 1).unwrap();
    assert_eq!(store.places().unwrap(), 10_000);
    store.expire_places(end).unwrap();
    assert_eq!(store.places().unwrap(), 10_000 - 256, "some at a time");
}

#[test]
fn no_list_is_made_by_looking_through_all_rows() {
    use rusqlite::StatementStatus::{FullscanStep, Sort, VmStep};
    let (_directory, mut store) = temporary();
    // Nearly all from an imported list, and nearly all of a known country.
    let made: Vec<_> = (0..6000_i64)
        .map(|at| {
            (if at % 100 == 0 { "sshd" } else { BLOCKLIST_JAIL }, format!("5.6.{}.{}", at / 250, at % 250), NOW - at)
        })
        .collect();
    let bans: Vec<_> =
        made.iter().map(|(jail, ip, at)| new(jail, ip, *at, if at % 100 == 1 { "" } else { "DE" })).collect();
    store_some(&mut store, &bans);
    let newest_first = "ORDER BY banned_at DESC, id DESC";
    for condition in [
        format!("WHERE jail <> 0 AND banned_at >= 1 AND (banned_at, id) < ({NOW}, 9) {newest_first}"),
        format!("WHERE jail <> 0 {newest_first}"),
        format!("WHERE (banned_at, id) < ({}, 9) {newest_first}", NOW - 3000),
        format!("WHERE banned_at >= 1 AND (banned_at, id) < ({}, 9) {newest_first}", NOW - 3000),
        format!("WHERE jail = 0 AND banned_at >= 1 AND (banned_at, id) < ({}, 9) {newest_first}", NOW - 3000),
        format!("WHERE country = 0 AND (banned_at, id) < ({}, 9) {newest_first}", NOW - 3000),
        "WHERE country = 0 AND (banned_at, id) > (1, 2) ORDER BY banned_at, id".to_owned(),
        "WHERE (ip, banned_at, jail) > ('5.6.9.9', 1, 2) AND ip < '5.7' ORDER BY ip, banned_at, jail".to_owned(),
        "WHERE ip = '5.6.9.9' AND country = 0".to_owned(),
        "WHERE ip = '5.6.9.9' AND (banned_at, jail) > (1, 0) ORDER BY banned_at, jail".to_owned(),
        "ORDER BY banned_at, id".to_owned(),
    ] {
        let sql = format!("SELECT banned_at, id FROM archive {condition} LIMIT 10");
        let mut statement = store.connection.prepare(&sql).unwrap();
        let found = statement.query_map([], |row| row.get::<_, i64>(0)).unwrap().map(Result::unwrap).count();
        let [steps, sorts, scanned] = [VmStep, Sort, FullscanStep].map(|status| statement.get_status(status));
        assert!(
            found <= 10 && steps < 400 && sorts == 0,
            "{condition}: {steps} steps, {sorts} sorts, {scanned} scanned"
        );
    }
}

#[test]
fn counts_of_the_old_form_are_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("old.db");
    let made = many(500, 20);
    let old = crate::store::open::tests::made_by_version_3(&path);
    let number = |name: &str| ["lab", BLOCKLIST_JAIL, "sshd"].iter().position(|one| *one == name).unwrap() as i64 + 1;
    old.execute_batch("INSERT INTO archive_jails (name) VALUES ('lab'), ('blocklist-import'), ('sshd')").unwrap();
    for (jail, ip, at, country) in &made {
        let country = country.parse().map_or(0, Country::number);
        let sql = "INSERT INTO archive (banned_at, jail, ip, country, count, failures) VALUES (?1, ?2, ?3, ?4, 1, 1)";
        old.execute(sql, params![at, number(jail), ip, country]).unwrap();
    }
    old.execute_batch("UPDATE archive_jails SET bans = (SELECT count(*) FROM archive WHERE jail = archive_jails.id)")
        .unwrap();
    for (span, origin) in [(3600, 0), (21_600, 0), (86_400, 0), (604_800, 4 * DAY)] {
        let start = format!("banned_at - (banned_at - {origin}) % {span}");
        let sql = format!(
            "INSERT INTO archive_by_jail_counts SELECT {span}, {start}, jail, count(*) FROM archive GROUP BY 2, 3;
             INSERT INTO archive_by_country_counts SELECT {span}, {start}, country, jail = 2, count(*) FROM archive GROUP BY 2, 3, 4;"
        );
        old.execute_batch(&sql).unwrap();
    }
    drop(old);
    let mut store = Store::open(&path).unwrap();
    assert_true(&store);
    let bans: Vec<_> = made.iter().map(|(jail, ip, at, country)| new(jail, ip, *at, country)).collect();
    assert_eq!(store_some(&mut store, &bans), 0, "all of them are known");
    store_some(&mut store, &[new(BLOCKLIST_JAIL, "203.0.113.1", NOW, "DE"), new("sshd", "203.0.113.1", NOW, "")]);
    assert_true(&store);
}

#[test]
fn searching_takes_every_character_as_it_is() {
    let (_directory, mut store) = temporary();
    let odd = [
        "203.0.113.1",
        "203.0.113.10",
        "203.0.114.1",
        "100%",
        "100x",
        "a_b",
        "axb",
        "o'neil",
        "q\"x",
        "\u{10ffff}z",
        "[*",
    ];
    let bans: Vec<_> = odd.iter().map(|ip| new("sshd", ip, NOW, "")).collect();
    store_some(&mut store, &bans);
    let found = |prefix: &str| {
        let filter = Filter { ip_prefix: Some(prefix.into()), ..Filter::default() };
        let listed = list(&store, &filter, ALL);
        assert_eq!(listed.bans.len() as u64, listed.total);
        let mut texts: Vec<_> = listed.bans.into_iter().map(|ban| ban.ip).collect();
        texts.sort();
        texts
    };
    assert_eq!(found("203.0.113."), ["203.0.113.1", "203.0.113.10"]);
    assert_eq!(found("100%"), ["100%"]);
    assert_eq!(found("a_"), ["a_b"]);
    assert_eq!(found("o'"), ["o'neil"]);
    assert_eq!(found("q\""), ["q\"x"]);
    assert_eq!(found("\u{10ffff}"), ["\u{10ffff}z"]);
    assert_eq!(found("["), ["[*"]);
    assert_eq!(found("").len(), odd.len());
    for none in ["%", "_", "*", "203.0.113.1'--", "203_"] {
        assert_eq!(found(none), [""; 0], "{none}");
    }
}

#[test]
fn lines_are_kept_short() {
    let (_directory, mut store) = temporary();
    let lines: Vec<String> = (0..20).map(|at| format!("{at} two\nlines {}", "ü".repeat(400))).collect();
    store_some(&mut store, &[NewBan { matches: &lines, ..new("sshd", "203.0.113.1", NOW, "") }]);
    let bans = store.archive_of_ip("203.0.113.1", 10).unwrap();
    assert_eq!(bans[0].matches.len(), 10);
    assert!(bans[0].matches.iter().all(|line| line.len() <= 400 && line.contains("two lines ü")));
}

#[test]
fn a_full_disk_leaves_no_half_and_no_wrong_count() {
    let (_directory, mut store) = temporary();
    let made = many(2000, 20);
    let bans: Vec<_> = made.iter().map(|(jail, ip, at, country)| new(jail, ip, *at, country)).collect();
    let stored = store_some(&mut store, &bans[..500]);
    let pages: i64 = store.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let limit = |store: &Store, pages: i64| {
        let set = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        store.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], set).unwrap();
    };
    limit(&store, pages + 2);
    store.archive_bans(&bans[500..], Some((FAIL2BAN_MARK, "[1]")), NOW).unwrap_err();
    assert_eq!(
        (store.archive_rows().unwrap(), store.archive_mark(FAIL2BAN_MARK).unwrap().as_deref()),
        (stored as u64, Some("[]"))
    );
    assert_true(&store);
    // What is removed makes room again.
    store.purge_archive(Bounds { days: 0, rows: 100, bytes: 0 }, 100, NOW).unwrap();
    assert_true(&store);
    limit(&store, 1 << 20);
    store_some(&mut store, &bans);
    assert_true(&store);
}
