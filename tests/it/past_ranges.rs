//! What is asked of the past: from one moment to another, by country, text and user, the summary of a first page, and who comes back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::geo::country_file;
use crate::harness::client::Client;
use crate::harness::server::{Launch, Server};
use crate::harness::wait_until;
use crate::history::{keeper, made_database, wait_for_archive};
use crate::operations::{demand_documented, provoke_general_refusals};

const HISTORY: &str = "/api/v1/history";
const DASHBOARD: &str = "/api/v1/dashboard";
const HOUR: i64 = 3600;

/// A server whose archive has 400 bans, one every hour and a half from now back, of three jails and two countries, and the times of
/// those bans.
fn with_bans(directory: &std::path::Path) -> (Server, Client, Vec<i64>, tempfile::TempDir) {
    let path = directory.join("f.sqlite3");
    let ips: Vec<String> = (0..400).map(|n| format!("{}.6.{}.{}", 4 + n % 2, n % 5, n % 40)).collect();
    let bans: Vec<(&str, &str, i64)> = (0..400)
        .map(|n| (["sshd", "lab", "blocklist-import"][n % 3], ips[n].as_str(), n as i64 * HOUR * 3 / 2))
        .collect();
    let fail2ban = made_database(&path, &bans);
    let lines = r#"{"matches": ["sshd[1]: Invalid user bob from 203.0.113.9", "x"], "failures": 3}"#;
    fail2ban.execute("UPDATE bans SET data = ?1 WHERE rowid % 10 = 1", [lines]).unwrap();
    let times = (0..400).map(|row| {
        fail2ban.query_row("SELECT timeofban FROM bans WHERE rowid = ?1", [row + 1], |row| row.get(0)).unwrap()
    });
    let times: Vec<i64> = times.collect();
    let (files, file) = country_file();
    let (server, admin) = keeper(&path).env("BANGUI_GEOIP_DB_PATH", file.to_str().unwrap()).start().into_ready();
    wait_for_archive(&admin, 400);
    // The file that knows countries may be opened later than the bans are copied.
    wait_until("the countries", Duration::from_secs(20), || {
        total(&admin.get(&format!("{HISTORY}/archive?country=DE")).expect(200).json()) == 200
    });
    (server, admin, times, files)
}

fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap().to_string()
}

fn total(answer: &Value) -> u64 {
    answer["pagination"]["total"].as_u64().or_else(|| answer["total"].as_u64()).unwrap_or_else(|| {
        answer["buckets"].as_array().unwrap().iter().map(|bucket| bucket["count"].as_u64().unwrap()).sum()
    })
}

#[test]
fn a_time_from_one_moment_to_another_is_the_same_everywhere() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, admin, times, _files) = with_bans(directory.path());
    let now = times[0];
    // Within what is counted by the hour, by the quarter of a day and by the day only; and with ends anywhere.
    for (from, to) in [
        (now - 7 * HOUR - 7, now - 1),
        (now - 30 * HOUR, now - 20 * HOUR - 1),
        (now - 10 * 24 * HOUR + 5, now - 5 * 24 * HOUR),
        (now - 500 * HOUR - 1, now - 400 * HOUR - 1799),
        (now - 24 * 400 * HOUR, now - 400 * HOUR - 5),
    ] {
        let expected = times.iter().filter(|time| (from..to).contains(*time)).count() as u64;
        let query = format!("from={}&to={}", rfc3339(from), rfc3339(to));
        for source in ["fail2ban", "archive"] {
            for path in [
                "history",
                "dashboard/bans",
                "dashboard/bans/by-country",
                "dashboard/bans/trend",
                "dashboard/bans/by-jail",
            ] {
                let answer = admin.get(&format!("/api/v1/{path}?{query}&source={source}")).expect(200).json();
                assert_eq!(total(&answer), expected, "{path} {source} {query}");
            }
        }
        let summary = admin.get(&format!("{DASHBOARD}/summary?{query}")).expect(200).json();
        let before = times.iter().filter(|time| (from - (to - from)..from).contains(*time)).count() as u64;
        assert_eq!(summary["sums"], json!({"bans": expected, "bans_before": before}), "{query}");
        assert_eq!(total(&summary["trend"]), expected);
        assert_eq!((&summary["from"], &summary["to"]), (&json!(rfc3339(from)), &json!(rfc3339(to))));
    }
    // One end is enough, and an offset is read as one, its plus decoded or not.
    let recent = admin.get(&format!("{HISTORY}?from={}", rfc3339(now - 10 * HOUR))).expect(200).json();
    assert_eq!(total(&recent), 7);
    let zoned = "1970-01-01T02:00:00+02:00";
    for from in [zoned.to_owned(), zoned.replace('+', "%2b")] {
        assert_eq!(total(&admin.get(&format!("{HISTORY}?from={from}")).expect(200).json()), 400);
    }
    let day = admin.get(&format!("{DASHBOARD}/bans?to={}", rfc3339(now - 100 * HOUR))).expect(200).json();
    assert_eq!(total(&day), 16, "without a beginning it is the day before");
    let future = admin.get(&format!("{DASHBOARD}/bans/trend?from={}", rfc3339(now + 500 * HOUR))).expect(200).json();
    assert_eq!(total(&future), 0);
}

#[test]
fn a_time_that_makes_no_sense_is_refused_in_every_list() {
    let (_server, admin) = Launch::without_daemon().start().into_ready();
    for path in [
        "history",
        "history/archive",
        "history/repeaters",
        "dashboard/summary",
        "dashboard/bans",
        "dashboard/bans/by-country",
        "dashboard/bans/trend",
        "dashboard/bans/by-jail",
    ] {
        for (query, expected) in [
            ("from=2026-11-22T00:00:00Z&to=2026-11-21T00:00:00Z", "from must be earlier than to."),
            ("from=2026-11-22T00:00:00Z&to=2026-11-22T00:00:00Z", "from must be earlier than to."),
            ("from=2026-11-22", "from: a time with its offset, such as 2026-11-22T02:31:27Z, is expected."),
            ("to=2026-11-22T00:00:00", "to: a time with its offset, such as 2026-11-22T02:31:27Z, is expected."),
            (
                "range=7d&to=2026-11-22T00:00:00Z",
                "Give either range, or from and to: both together name two different times.",
            ),
        ] {
            let error = admin.get(&format!("/api/v1/{path}?{query}")).expect_error(400, "invalid_input").json();
            assert_eq!(error["detail"], expected, "{path}");
        }
    }
}

#[test]
fn the_history_is_searched_by_country_text_and_user_in_both_sources() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, admin, _times, _files) = with_bans(directory.path());
    for source in ["fail2ban", "archive"] {
        for (query, expected) in [
            // Odd addresses are in Germany, by the file of the test.
            ("country=DE", 200),
            ("country=DE&jail=sshd", 67),
            ("country=DE&origin=blocklist", 66),
            ("country=AQ", 0),
            ("q=LAB", 133),
            ("q=5.6.1.1", 20),
            ("q=invalid%20user%20bob", 40),
            ("q=nothing%20of%20the%20kind", 0),
            ("user=bob", 40),
            ("user=bo", 0),
            ("user=bob&country=DE", 0),
            ("user=bob&ip=4.6.0.", 40),
            ("q=bob&origin=selfblock&range=30d", 27),
        ] {
            let target = format!("{HISTORY}?source={source}&{query}&page_size=30");
            let first = admin.get(&target).expect(200).json();
            assert_eq!(total(&first), expected, "{source} {query}");
            let (mut seen, mut cursor) = (0, String::new());
            loop {
                let page = admin.get(&format!("{target}&cursor={cursor}")).expect(200).json();
                seen += page["items"].as_array().unwrap().len() as u64;
                assert_eq!(page["pagination"]["total"], expected, "{source} {query}");
                match page["pagination"]["next_cursor"].as_str() {
                    Some(next) => cursor = next.to_owned(),
                    None => break,
                }
            }
            assert_eq!(seen, expected, "{source} {query}");
        }
        for bad in ["country=de", "q=%0a", "user=%00"] {
            admin.get(&format!("{HISTORY}?source={source}&{bad}")).expect_error(400, "invalid_input");
        }
    }
}

#[test]
fn a_first_page_and_who_comes_back_are_answered_from_the_archive() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, admin, times, _files) = with_bans(directory.path());
    let summary = admin.get(&format!("{DASHBOARD}/summary?range=7d")).expect(200).json();
    assert_eq!(summary["status"], Value::Null, "no daemon runs");
    assert!(summary["problem"].as_str().is_some_and(|text| text.contains("fail2ban")), "{summary}");
    let ask = |path: &str| admin.get(&format!("{DASHBOARD}/bans{path}range=7d&source=archive")).expect(200).json();
    assert_eq!(summary["trend"], ask("/trend?"));
    assert_eq!(summary["by_jail"], ask("/by-jail?")["jails"]);
    assert_eq!(summary["by_country"][0]["count"], ask("/by-country?")["countries"]["DE"]);
    assert_eq!(summary["latest"], ask("?page_size=10&")["items"]);
    assert_eq!(summary["latest"][0]["banned_at"], rfc3339(times[0]));
    let lists = admin.get(&format!("{DASHBOARD}/summary?range=7d&origin=blocklist")).expect(200).json();
    assert_eq!(lists["by_jail"].as_array().unwrap().len(), 1);

    let ask = |query: &str| admin.get(&format!("{HISTORY}/repeaters?{query}")).expect(200).json();
    // 40 addresses of ten bans each, in ten networks.
    let addresses = ask("page_size=30&page=2");
    assert_eq!((&addresses["pagination"]["total"], addresses["items"].as_array().unwrap().len()), (&json!(40), 10));
    assert_eq!(addresses["pagination"]["has_prev_page"], true);
    let networks = ask("by=network");
    assert_eq!(networks["pagination"]["total"], 10);
    let first = &networks["items"][0];
    assert_eq!((&first["bans"], &first["addresses"]), (&json!(40), &json!(4)), "{first}");
    assert_eq!((&first["name"], &first["jails"]), (&json!("4.6.0.0/24"), &json!(["blocklist-import", "lab", "sshd"])));
    assert_eq!(first["last_ban_at"], rfc3339(times[0]));
    let operator = ask("by=operator")["items"][0].clone();
    assert_eq!(
        (&operator["name"], &operator["bans"], &operator["addresses"]),
        (&json!("AS3320"), &json!(200), &json!(20))
    );
    assert_eq!(operator["country_code"], Value::Null, "an operator may have networks anywhere");
    assert_eq!(ask("range=24h")["pagination"]["total"], 0);
    assert_eq!(ask("origin=blocklist")["items"][0]["jails"], json!(["blocklist-import"]));
    admin.get(&format!("{HISTORY}/repeaters?by=country")).expect_error(400, "invalid_input");
    provoke_general_refusals(&format!("{HISTORY}/repeaters"));
    demand_documented(&format!("{HISTORY}/repeaters"));
}
