//! The history and the dashboards: from a log line to the charts, every parameter at its limits, and what is served while the
//! daemon is away.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::geo::country_file;
use crate::harness::client::Client;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::wait_until;
use crate::operations::{demand_documented, provoke_general_refusals};

const HISTORY: &str = "/api/v1/history";
const BANS: &str = "/api/v1/dashboard/bans";
const LIMIT: Duration = Duration::from_secs(20);

/// A database as fail2ban makes it, with these bans: jail, address, seconds ago.
pub fn made_database(path: &Path, bans: &[(&str, &str, i64)]) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA synchronous = OFF;
             CREATE TABLE IF NOT EXISTS fail2banDb(version INTEGER); INSERT INTO fail2banDb VALUES(4);
             CREATE TABLE IF NOT EXISTS bans(jail TEXT NOT NULL, ip TEXT, timeofban INTEGER NOT NULL, bantime INTEGER NOT NULL,
                 bancount INTEGER NOT NULL DEFAULT 1, data JSON);
             CREATE INDEX IF NOT EXISTS bans_ip ON bans(ip);
             CREATE TABLE IF NOT EXISTS bips(ip TEXT NOT NULL, jail TEXT NOT NULL, timeofban INTEGER NOT NULL, bantime INTEGER NOT NULL,
                 bancount INTEGER NOT NULL DEFAULT 1, data JSON, PRIMARY KEY(ip, jail));",
        )
        .unwrap();
    let now = jiff::Timestamp::now().as_second();
    for (jail, ip, ago) in bans {
        let sql = "INSERT INTO bans VALUES(?1, ?2, ?3, 600, 1, '{\"matches\": [\"one\", \"two\"], \"failures\": 3}')";
        connection.execute(sql, params![jail, ip, now - ago]).unwrap();
    }
    connection
}

/// A server that keeps an archive of that database, without a daemon.
pub fn keeper(database: &Path) -> Launch {
    Launch::without_daemon()
        .env("BANGUI_FAIL2BAN_DATABASE_PATH", database.to_str().unwrap())
        .env("BANGUI_ARCHIVE_SECONDS", "1")
}

/// Waits until the archive has so many bans.
#[track_caller]
pub fn wait_for_archive(admin: &Client, total: u64) {
    wait_until("the archive", LIMIT, || {
        admin.get(&format!("{HISTORY}/archive?page_size=1")).expect(200).json()["pagination"]["total"] == total
    });
}

/// A test file of MaxMind's.
fn maxmind(name: &str) -> String {
    format!("{}/tests/data/geo/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn total_of(answer: &Value) -> u64 {
    answer["pagination"]["total"].as_u64().or_else(|| answer["total"].as_u64()).unwrap_or_else(|| {
        let buckets = answer["buckets"].as_array().unwrap();
        buckets.iter().map(|bucket| bucket["count"].as_u64().unwrap()).sum()
    })
}

#[test]
fn every_documented_status_of_history() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    daemon.client(&["set", "lab", "banip", "203.0.113.1"]);
    wait_until("the ban", LIMIT, || total_of(&admin.get(HISTORY).expect(200).json()) == 1);
    admin.get("/api/v1/history/archive").expect(200);
    admin.get("/api/v1/history/203.0.113.1").expect(200);
    admin.get("/api/v1/history/repeaters").expect(200);
    admin.get("/api/v1/history/repeaters?by=x").expect_error(400, "invalid_input");
    admin.get("/api/v1/history/203.0.113.2").expect_error(404, "not_found");
    admin.get("/api/v1/history/1.2.3.4;id").expect_error(400, "invalid_input");
    provoke_general_refusals(HISTORY);
    demand_documented(HISTORY);
    for path in ["", "/by-country", "/trend", "/by-jail"] {
        admin.get(&format!("{BANS}{path}")).expect(200);
    }
    provoke_general_refusals(BANS);
    demand_documented(BANS);
}

#[test]
fn a_log_line_becomes_a_ban_on_the_map() {
    let daemon = RealDaemon::start();
    // MaxMind's own files: one knows countries, the other operators.
    let server = Launch::for_real(&daemon)
        .env("BANGUI_GEOIP_DB_PATH", &maxmind("GeoLite2-City-Test.mmdb"))
        .env("BANGUI_ARCHIVE_SECONDS", "1")
        .start();
    let (server, admin) = server.into_ready();
    std::fs::copy(maxmind("GeoLite2-ASN-Test.mmdb"), server.database().with_file_name("asn.mmdb")).unwrap();
    admin.post_empty("/api/v1/geo/re-resolve").expect(200);
    for _ in 0..3 {
        // In UTC with its zone, so that no setting of this machine matters.
        let stamp = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
        let line = format!("{stamp} host sshd[1]: Failed password for root from 89.160.20.112 port 4 ssh2");
        daemon.append_log("auth.log", &line);
    }
    for source in ["fail2ban", "archive"] {
        let mut map = Value::Null;
        wait_until("the ban on the map", LIMIT, || {
            map = admin.get(&format!("{BANS}/by-country?source={source}")).expect(200).json();
            // The archive has it from the log at once, and its lines with the next look into the daemon's database.
            map["countries"]["SE"] == 1 && !map["bans"][0]["service"].is_null()
        });
        assert_eq!((&map["total"], &map["country_names"]["SE"]), (&json!(1), &json!("Sweden")), "{source}");
        let ban = &map["bans"][0];
        assert_eq!(
            (&ban["ip"], &ban["jail"], &ban["origin"]),
            (&json!("89.160.20.112"), &json!("sshd"), &json!("selfblock"))
        );
        assert_eq!((&ban["asn"], &ban["org"]), (&json!("AS29518"), &json!("Bredband2 AB")));
        assert!(ban["service"].as_str().unwrap().contains("Failed password for root from 89.160.20.112"), "{ban}");
        for (path, expected) in [("", 1), ("/trend", 1), ("/by-jail", 1)] {
            let answer = admin.get(&format!("{BANS}{path}?source={source}")).expect(200).json();
            assert_eq!(total_of(&answer), expected, "{path}");
        }
    }
    let known = admin.get("/api/v1/addresses/89.160.20.112").expect(200).json();
    assert_eq!(known["history"]["recent"][0]["user"], "root", "{known}");
    let active = admin.get("/api/v1/bans/active").expect(200).json();
    assert_eq!(active["items"][0]["country"], "SE");
    let looked_up = admin.get("/api/v1/geo/lookup/89.160.20.112").expect(200).json();
    assert_eq!(looked_up["currently_banned_in"], json!(["sshd"]));
    // A ban that is lifted by hand is erased by the daemon, and not by us.
    daemon.client(&["unban", "89.160.20.112"]);
    wait_until("fail2ban forgets it", LIMIT, || total_of(&admin.get(BANS).expect(200).json()) == 0);
    assert_eq!(total_of(&admin.get(&format!("{BANS}?source=archive")).expect(200).json()), 1);
    let detail = admin.get("/api/v1/history/89.160.20.112").expect(200).json();
    assert_eq!((&detail["total_bans"], &detail["total_failures"]), (&json!(1), &json!(3)));
    assert_eq!(detail["timeline"][0]["matches"].as_array().unwrap().len(), 3);
}

#[test]
fn both_sources_tell_the_same_and_the_four_dashboards_agree() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.sqlite3");
    let hour = 3600;
    let mut bans: Vec<(&str, String, i64)> = Vec::new();
    for number in 0..400 {
        let jail = ["sshd", "lab", "blocklist-import"][number as usize % 3];
        bans.push((jail, format!("5.6.{}.{}", number % 7, number), number * 17 * hour / 2));
    }
    let texts: Vec<(&str, &str, i64)> = bans.iter().map(|(jail, ip, ago)| (*jail, ip.as_str(), *ago)).collect();
    let _fail2ban = made_database(&path, &texts);
    let (_files, file) = country_file();
    let (_server, admin) = keeper(&path).env("BANGUI_GEOIP_DB_PATH", file.to_str().unwrap()).start().into_ready();
    // Older than the 365 days are kept no longer: the oldest are 141 days old.
    wait_for_archive(&admin, 400);
    for range in ["24h", "7d", "30d", "365d"] {
        for origin in ["", "&origin=blocklist", "&origin=selfblock"] {
            let mut totals = Vec::new();
            for path in ["", "/by-country", "/trend", "/by-jail"] {
                let ask = |source: &str| {
                    admin.get(&format!("{BANS}{path}?range={range}{origin}&source={source}")).expect(200).json()
                };
                let (mut theirs, mut ours) = (ask("fail2ban"), ask("archive"));
                totals.push(total_of(&ours));
                for answer in [&mut theirs, &mut ours] {
                    // Positions are each source's own.
                    if let Some(pagination) = answer.get_mut("pagination") {
                        pagination["next_cursor"] = Value::Null;
                    }
                }
                assert_eq!(theirs, ours, "{path} {range} {origin}");
            }
            assert!(totals.iter().all(|total| *total == totals[0]), "{range} {origin}: {totals:?}");
            assert!(totals[0] > 0 || range == "24h", "{range} {origin}");
        }
    }
    let one = admin.get(&format!("{BANS}/by-country?range=365d&source=archive&country_code=DE")).expect(200).json();
    assert_eq!(one["bans"].as_array().unwrap().len() as u64, one["countries"]["DE"].as_u64().unwrap());
}

#[test]
fn no_time_zone_moves_a_bucket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.sqlite3");
    // One ban in each hour of the last 60 days, in which some zone changes its clock or none does.
    let ips: Vec<String> = (0..60 * 24).map(|hour| format!("5.0.{}.{}", hour / 250, hour % 250)).collect();
    let bans: Vec<(&str, &str, i64)> =
        ips.iter().enumerate().map(|(hour, ip)| ("lab", ip.as_str(), hour as i64 * 3600)).collect();
    let _fail2ban = made_database(&path, &bans);
    let mut all = Vec::new();
    for zone in ["UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"] {
        let launch = keeper(&path).env("TZ", zone).env("BANGUI_TIMEZONE", zone);
        let (_server, admin) = launch.start().into_ready();
        wait_for_archive(&admin, 1440);
        let mut charts = Vec::new();
        for source in ["archive", "fail2ban"] {
            for range in ["24h", "7d", "30d", "365d"] {
                let trend = admin.get(&format!("{BANS}/trend?range={range}&source={source}")).expect(200).json();
                let buckets = trend["buckets"].as_array().unwrap();
                // Whole buckets in the middle hold a ban for each of their hours, whatever clocks do.
                let whole = match range {
                    "24h" => 1,
                    "7d" => 6,
                    "30d" => 24,
                    _ => 7 * 24,
                };
                let middle = &buckets[buckets.len() - 6];
                assert_eq!(middle["count"], whole, "{zone} {source} {range}: {middle}");
                charts.push(trend);
            }
        }
        all.push(charts);
    }
    // An hour may begin between two servers; then the charts move on by a bucket, all of them.
    let newest = |charts: &Vec<Value>| charts[0]["buckets"][23]["timestamp"].clone();
    assert!(all.iter().all(|charts| newest(charts) != newest(&all[0]) || *charts == all[0]));
}

#[test]
fn parameters_at_and_beyond_their_limits() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.sqlite3");
    let odd = ["203.0.113.1", "203.0.113.10", "100%", "100x", "a_b", "axb", "o'neil"];
    let bans: Vec<(&str, &str, i64)> = odd.iter().map(|ip| ("lab", *ip, 60)).collect();
    let _fail2ban = made_database(&path, &bans);
    let (_server, admin) = keeper(&path).start().into_ready();
    wait_for_archive(&admin, 7);
    for list in [HISTORY, BANS, "/api/v1/history/archive"] {
        for good in [
            "page=1",
            "page_size=1",
            "page_size=500",
            "page=4294967295",
            "range=24h",
            "range=365d",
            "origin=blocklist",
            "cursor=",
        ] {
            admin.get(&format!("{list}?{good}")).expect(200);
        }
        for bad in [
            "page=0",
            "page=-1",
            "page=x",
            "page=4294967296",
            "page_size=0",
            "page_size=501",
            "range=1d",
            "range=24H",
            "origin=other",
            "cursor=x",
            "cursor=1-",
            "cursor=1-2-3",
            "cursor=1.2-3-4",
            "cursor=7-9",
            "cursor=%00",
        ] {
            admin.get(&format!("{list}?{bad}")).expect_error(400, "invalid_input");
        }
    }
    for chart in ["by-country", "trend", "by-jail"] {
        for bad in ["range=1d", "origin=x", "source=x", "source=Archive"] {
            admin.get(&format!("{BANS}/{chart}?{bad}")).expect_error(400, "invalid_input");
        }
    }
    for bad in ["de", "DEU", "D", "1A", "%C3%84"] {
        admin.get(&format!("{BANS}/by-country?country_code={bad}")).expect_error(400, "invalid_input");
    }
    for source in ["fail2ban", "archive"] {
        let found = |ip: &str| total_of(&admin.get(&format!("{HISTORY}?source={source}&ip={ip}")).expect(200).json());
        for (search, expected) in [
            ("203.0.113.1", 2),
            ("203.0.113.10", 1),
            ("100%25", 1),
            ("a_", 1),
            ("%25", 0),
            ("_", 0),
            ("o%27", 1),
            ("o%27%20OR%201", 0),
            ("", 7),
        ] {
            assert_eq!(found(search), expected, "{source} {search}");
        }
        let answer = admin.get(&format!("{HISTORY}?source={source}&jail=nojail")).expect(200).json();
        assert_eq!(total_of(&answer), 0);
        for name in ["ip", "jail"] {
            let ask = |value: &str| admin.get(&format!("{HISTORY}?source={source}&{name}={value}"));
            assert_eq!(total_of(&ask(&"1".repeat(256)).expect(200).json()), 0);
            ask(&"1".repeat(257)).expect_error(400, "invalid_input");
            ask("a%0ab").expect_error(400, "invalid_input");
            ask("a%ffb").expect_error(400, "invalid_input");
        }
        for good in ["%", "_", "'", "\"", "\\", "*", "[", "--"] {
            let encoded: String = good.bytes().map(|byte| format!("%{byte:02x}")).collect();
            admin.get(&format!("{HISTORY}?source={source}&ip={encoded}&jail={encoded}")).expect(200);
        }
        // By position, one at a time, is the same list as by page.
        let all = admin.get(&format!("{HISTORY}?source={source}")).expect(200).json()["items"].clone();
        let (mut cursor, mut walked) = (String::new(), Vec::new());
        let count = all.as_array().unwrap().len() as u64;
        for number in 1..=count {
            let part = admin.get(&format!("{HISTORY}?source={source}&page_size=1&cursor={cursor}")).expect(200).json();
            // What it says of its place is as true as by page.
            let by_page = admin.get(&format!("{HISTORY}?source={source}&page_size=1&page={number}")).expect(200).json();
            assert_eq!(part["pagination"], by_page["pagination"], "{source}");
            assert_eq!(part["pagination"]["page"], number);
            assert_eq!(part["pagination"]["has_next_page"], number < count, "{source} {number} of {count}");
            walked.extend(part["items"].as_array().unwrap().clone());
            match part["pagination"]["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(Value::Array(walked), all, "{source}");
    }
}

#[test]
fn what_cannot_be_read_is_502_and_the_archive_is_served_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.sqlite3");
    let fail2ban = made_database(&path, &[("lab", "203.0.113.1", 60)]);
    let (_server, admin) = keeper(&path).start().into_ready();
    wait_for_archive(&admin, 1);
    drop(fail2ban);
    let unreadable = |what: &str| {
        for target in [HISTORY, BANS, "/api/v1/dashboard/bans/trend", "/api/v1/history/203.0.113.9"] {
            let answer = admin.get(target);
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (502, "fail2ban_database_unreadable"),
                "{what}: {answer}"
            );
        }
        assert_eq!(total_of(&admin.get(&format!("{BANS}?source=archive")).expect(200).json()), 1, "{what}");
        admin.get("/api/v1/history/203.0.113.1").expect(200);
    };
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    unreadable("cut");
    std::fs::write(&path, [b'x'; 9000]).unwrap();
    unreadable("no database");
    std::fs::remove_file(&path).unwrap();
    unreadable("absent");
}

#[test]
fn thresholds_of_the_map() {
    const MAP: &str = "/api/v1/config/map-color-thresholds";
    let (server, admin) = Launch::without_daemon().start().into_ready();
    let body = |high: i64, medium: i64, low: i64| json!({"threshold_high": high, "threshold_medium": medium, "threshold_low": low});
    assert_eq!(admin.get(MAP).expect(200).json(), body(100, 50, 20));
    assert_eq!(admin.put(MAP, body(3, 2, 1)).expect(200).json(), body(3, 2, 1));
    for bad in [body(3, 2, 0), body(2, 2, 1), body(3, 1, 1), body(1, 2, 3), body(3, 2, -1), body(1 << 53, 2, 1)] {
        admin.put(MAP, bad).expect_error(400, "invalid_input");
    }
    admin.put(MAP, json!({"threshold_high": 3})).expect_error(422, "invalid_input");
    admin
        .put(MAP, json!({"threshold_high": "3", "threshold_medium": 2, "threshold_low": 1}))
        .expect_error(422, "invalid_input");
    assert_eq!(admin.get(MAP).expect(200).json(), body(3, 2, 1));
    let server = server.with_env("BANGUI_RATE_LIMIT_CONFIG", "1");
    let admin = server.client().with_identity(admin.identity.clone());
    admin.put(MAP, body(30, 20, 10)).expect(200);
    admin.put(MAP, body(30, 20, 10)).expect_error(429, "rate_limit_exceeded");
    provoke_general_refusals(MAP);
    demand_documented(MAP);
}
