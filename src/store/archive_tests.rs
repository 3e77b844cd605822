//! The archive against plain `GROUP BY` over its rows: after every step the counts are what the rows say.

use std::collections::HashMap;

use super::*;
use crate::domain::history::{Filter, Origin, Range, Slice};
use crate::store::tests::temporary;

/// 2026-11-22T04:05:08Z, a Sunday.
const NOW: i64 = 1_795_320_308;
const ALL: Slice = Slice { after: None, skip: 0, limit: 500 };

fn new<'a>(jail: &'a str, ip: &'a str, banned_at: i64, country: &str) -> NewBan<'a> {
    let country = country.parse().ok();
    NewBan { jail, ip, banned_at, ban_time: Some(600.0), count: 1, failures: 3, matches: &[], country }
}

fn store_some(store: &mut Store, bans: &[NewBan<'_>]) -> usize {
    store.archive_bans(bans, Some((FAIL2BAN_MARK, "[]")), NOW).unwrap()
}

/// Deterministic bans over `days` days before now.
fn many(number: usize, days: i64) -> Vec<(String, String, i64, &'static str)> {
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
    for range in [Range::Day, Range::Week, Range::Month, Range::Year] {
        let window = range.window(NOW);
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
            let jails: HashMap<String, u64> = store.archive_by_jail(window, origin).unwrap().into_iter().collect();
            assert_eq!(jails, plain("name"), "{range:?} {origin:?}");
            let (countries, total) = store.archive_by_country(window, origin).unwrap();
            let mut expected = plain("CAST(country AS TEXT)");
            expected.remove("0");
            let numbers = countries.into_iter().map(|(country, count)| (country.number().to_string(), count));
            assert_eq!(numbers.collect::<HashMap<_, _>>(), expected, "{range:?} {origin:?}");
            let trend = store.archive_trend(window, origin).unwrap();
            for (start, count) in &trend {
                let sql = "SELECT count(*) FROM archive JOIN archive_jails ON archive_jails.id = jail WHERE banned_at >= ?1 AND banned_at < ?2
                           AND CASE ?3 WHEN 0 THEN 1 WHEN 1 THEN name = 'blocklist-import' ELSE name <> 'blocklist-import' END";
                let which = origin.map_or(0, |origin| if origin == Origin::Blocklist { 1 } else { 2 });
                let values = params![start, start + window.bucket, which];
                let plain: i64 = store.connection.query_row(sql, values, |row| row.get(0)).unwrap();
                assert_eq!(*count as i64, plain, "{range:?} {start}");
            }
            let list = store.archive_list(&Filter { window: Some(window), origin, ..Filter::default() }, ALL).unwrap();
            let sums = [total, jails.values().sum(), trend.iter().map(|(_, count)| count).sum()];
            assert_eq!(sums, [list.total; 3], "{range:?} {origin:?}");
            assert_eq!(list.bans.len() as u64, list.total.min(500));
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
    let made = many(3000, 400);
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
    let bytes = store.database_bytes().unwrap() / 2;
    while store.purge_archive(Bounds { bytes, ..days }, 50, NOW).unwrap() > 0 {}
    let (left, rows) = (store.database_bytes().unwrap(), store.archive_rows().unwrap());
    assert!(left <= bytes && rows > 250, "{left} bytes of {bytes}, {rows} rows");
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
    assert_eq!(store.archive_list(&Filter::default(), ALL).unwrap().bans[0].banned_at, NOW + DAY);
}

#[test]
fn pages_and_positions_lead_through_the_same_list() {
    let (_directory, mut store) = temporary();
    // Many of one second, so that the order needs more than the time.
    let made: Vec<_> = (0..250).map(|at| (format!("203.0.113.{at}"), NOW - at / 50)).collect();
    let bans: Vec<_> = made.iter().map(|(ip, at)| new("sshd", ip, *at, "")).collect();
    store_some(&mut store, &bans);
    let filter = Filter::default();
    let whole = store.archive_list(&filter, ALL).unwrap();
    assert_eq!((whole.bans.len(), whole.total, whole.next), (250, 250, None));
    assert!(whole.bans.windows(2).all(|two| two[0].cursor().time >= two[1].cursor().time));
    let mut by_page = Vec::new();
    for page in 0..4 {
        by_page.extend(store.archive_list(&filter, Slice { after: None, skip: page * 70, limit: 70 }).unwrap().bans);
    }
    assert_eq!(by_page, whole.bans);
    let (mut by_position, mut after) = (Vec::new(), None);
    loop {
        let part = store.archive_list(&filter, Slice { after, skip: 0, limit: 70 }).unwrap();
        by_position.extend(part.bans);
        after = part.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(by_position, whole.bans);
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
        let list = store.archive_list(&filter, ALL).unwrap();
        assert_eq!(list.bans.len() as u64, list.total);
        let mut texts: Vec<_> = list.bans.into_iter().map(|ban| ban.ip).collect();
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
    let (summary, bans) = store.archive_of_ip("203.0.113.1", 10).unwrap();
    assert_eq!((summary.bans, summary.failures), (1, 3));
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
