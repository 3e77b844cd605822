//! Metrics and the settings that hold without a restart, on a real daemon.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::operations::{demand_documented, provoke_general_refusals};

const METRICS: &str = "/api/v1/metrics";
const SETTINGS: &str = "/api/v1/settings";

/// The samples by name and labels. Every line has to be of the format.
fn samples(client: &Client) -> BTreeMap<String, f64> {
    let answer = client.get(METRICS).expect(200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let (mut found, mut families) = (BTreeMap::new(), Vec::new());
    for line in String::from_utf8_lossy(&answer.body).lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap();
            assert!(["gauge", "counter"].contains(&kind) && !families.contains(&name.to_owned()), "{line}");
            families.push(name.to_owned());
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let family = name.split('{').next().unwrap();
            assert_eq!(
                families.last().map(String::as_str),
                Some(family),
                "each sample stands below its family: {line}"
            );
            assert!(found.insert(name.to_owned(), value.parse().unwrap()).is_none(), "twice: {line}");
        }
    }
    found
}

/// Scrapes until a sample has this value.
fn until(client: &Client, name: &str, value: f64) -> BTreeMap<String, f64> {
    let limit = Instant::now() + Duration::from_secs(20);
    loop {
        let seen = samples(client);
        if seen.get(name) == Some(&value) {
            return seen;
        }
        assert!(Instant::now() < limit, "{name} is not {value}: {seen:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_scrape_tells_what_fail2ban_client_tells() {
    let mut daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    admin.post("/api/v1/bans", json!({"ip": "203.0.113.7", "jail": "lab"})).expect(201);
    until(&admin, "f2b_jail_banned_current{jail=\"lab\"}", 1.0);
    // What the files say of a jail is asked when the daemon is free.
    let retries: f64 = daemon.client(&["get", "lab", "maxretry"]).trim().parse().unwrap();
    let seen = until(&admin, "f2b_config_jail_max_retries{jail=\"lab\"}", retries);
    assert_eq!((seen["f2b_up"], seen["f2b_errors{type=\"socket conn\"}"]), (1.0, 0.0));
    let status = daemon.client(&["status"]);
    let jails = status.split_once("Jail list:").unwrap().1.split(',').count();
    assert_eq!(seen["f2b_jail_count"], jails as f64);
    for (name, option) in [
        ("f2b_config_jail_ban_time", "bantime"),
        ("f2b_config_jail_find_time", "findtime"),
        ("f2b_config_jail_max_retries", "maxretry"),
    ] {
        let told: f64 = daemon.client(&["get", "lab", option]).trim().parse().unwrap();
        assert_eq!(seen[&format!("{name}{{jail=\"lab\"}}")], told, "{name}");
    }
    let version = daemon.client(&["version"]);
    assert!(
        seen.keys().any(|name| name.starts_with("f2b_version{") && name.contains(&format!("\"{}\"", version.trim())))
    );
    assert!(seen["process_resident_memory_bytes"] > 1e6 && seen["process_cpu_seconds_total"] >= 0.0);
    assert!(seen["bangui_database_bytes"] > 0.0 && seen["bangui_database_healthy"] == 1.0);

    // A limit that was changed here shows as soon as the daemon is free to be asked.
    admin.put("/api/v1/config/jails/lab", json!({"max_retry": 7})).expect(200);
    until(&admin, "f2b_config_jail_max_retries{jail=\"lab\"}", 7.0);

    daemon.stop();
    let gone = until(&admin, "f2b_up", 0.0);
    assert!(gone["f2b_errors{type=\"socket conn\"}"] >= 1.0);
    assert!(!gone.keys().any(|name| name.contains("jail")), "{gone:?}");
    provoke_general_refusals(METRICS);
    demand_documented(METRICS);
}

#[test]
fn metrics_are_for_sessions_and_for_the_networks_that_are_named() {
    let (mut server, admin) = Launch::without_daemon().env("BANGUI_ARCHIVE_DAYS", "30").start().into_ready();
    let stranger = server.client();
    stranger.get(METRICS).expect_error(401, "authentication_required");
    let settings = |client: &Client| -> Value { client.get(SETTINGS).expect(200).json() };
    let first = settings(&admin);
    assert_eq!(
        first,
        json!({"timezone": "UTC", "archive_days": 30, "metrics_networks": [], "digest_hour": 7, "fixed": ["archive_days"]})
    );

    let named = json!({"metrics_networks": ["127.0.0.0/8", "2001:db8::/32"], "timezone": "Europe/Berlin"});
    let changed: Value = admin.put(SETTINGS, named).expect(200).json();
    assert_eq!(changed["metrics_networks"], json!(["127.0.0.0/8", "2001:db8::/32"]));
    assert_eq!(samples(&stranger)["f2b_up"], 0.0);
    stranger.get("/api/v1/bans/active").expect_error(401, "authentication_required");
    assert_eq!(admin.get("/api/v1/meta").expect(200).json()["timezone"], "Europe/Berlin");
    // Who says to come from elsewhere without being trusted is nobody known, and comes from no network.
    stranger.with_header("X-Forwarded-For", "127.0.0.1").get(METRICS).expect_error(401, "authentication_required");

    // What is shown may come back; what was given at the start is not changed here.
    admin.put(SETTINGS, changed.clone()).expect(200);
    let refused = admin.put(SETTINGS, json!({"archive_days": 31, "timezone": "UTC"}));
    let refused = refused.expect_error(409, "conflict").json();
    assert_eq!(refused["metadata"]["setting"], "BANGUI_ARCHIVE_DAYS");
    for (wrong, field) in [
        (json!({"timezone": "Mars/Olympus"}), "timezone"),
        (json!({"metrics_networks": ["10.0.0.0/33"]}), "metrics_networks"),
        (json!({"archive_days": -1}), "archive_days"),
        (json!({"digest_hour": 24}), "digest_hour"),
        (json!({"nights": 1}), "nights"),
    ] {
        let said = admin.put(SETTINGS, wrong).expect_error(422, "invalid_input").json();
        assert_eq!(said["metadata"]["errors"][0]["source_field"], field, "{said}");
    }
    admin.send("PUT", SETTINGS, Some(b"{")).expect_error(400, "invalid_input");
    assert_eq!(settings(&admin), changed, "what is refused changes nothing");

    server.kill();
    server.start_again();
    let (admin, stranger) = (server.client().login(), server.client());
    assert_eq!(settings(&admin), changed, "they outlive a restart");
    let reset: Value = admin.put(SETTINGS, json!({"timezone": null, "metrics_networks": null})).expect(200).json();
    assert_eq!(reset, first);
    stranger.get(METRICS).expect_error(401, "authentication_required");
    provoke_general_refusals(SETTINGS);
    demand_documented(SETTINGS);
}
