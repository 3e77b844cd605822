//! Bans that last as long as was said: shorter and longer than those of their jail, with a note, over restarts of everything; and what is
//! lifted stays lifted.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::fake_daemon::FakeDaemon;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::Server;
use crate::harness::wait_until;
use crate::operations::{demand_documented, provoke_general_refusals};

const BANS: &str = "/api/v1/bans";
const CHECK: &str = "/api/v1/bans/check";
const IP: &str = "203.0.113.7";
const WEEKS: i64 = 4 * 7 * 86_400;

/// How many seconds the daemon still has this banned; `None` where it has not, -1 for ever.
pub fn left(daemon: &RealDaemon, jail: &str, ip: &str) -> Option<i64> {
    let lines = daemon.client(&["get", jail, "banip", "--with-time"]);
    let line = lines.lines().find(|line| line.split_whitespace().next() == Some(ip))?;
    let (start, rest) = line.split_once('\t').unwrap().1.trim().split_once(" + ").unwrap();
    let seconds: i64 = rest.split_once(" = ").unwrap().0.parse().unwrap();
    let start: jiff::civil::DateTime = start.parse().unwrap();
    let start = start.to_zoned(jiff::tz::TimeZone::system()).unwrap().timestamp().as_second();
    Some(if seconds < 0 { -1 } else { start + seconds - jiff::Timestamp::now().as_second() })
}

/// Whether it is banned for about as long as it was banned for at most a minute ago.
fn lasts(daemon: &RealDaemon, jail: &str, ip: &str, seconds: i64) -> bool {
    match (left(daemon, jail, ip), seconds) {
        (Some(left), -1) => left == -1,
        (Some(left), seconds) => (seconds - 60..=seconds + 2).contains(&left),
        (None, _) => false,
    }
}

fn ban_for(admin: &Client, ip: &str, duration: Value) {
    admin.post(BANS, json!({"ip": ip, "jail": "lab", "duration": duration, "note": "every night"})).expect(201);
}

/// What a list says of an address.
fn listed(admin: &Client, ip: &str) -> Option<Value> {
    let list = admin.get("/api/v1/bans/active?jail=lab").expect(200).json();
    list["items"].as_array().unwrap().iter().find(|item| item["ip"] == ip).cloned()
}

/// Bans of three lengths, the jail's own being an hour.
const LENGTHS: [(&str, i64); 3] = [("203.0.113.1", 600), ("203.0.113.2", WEEKS), ("203.0.113.3", -1)];

fn with_bans() -> (RealDaemon, Server, Client) {
    let daemon = RealDaemon::start();
    let (server, admin) = Server::ready(&daemon);
    for (ip, seconds) in LENGTHS {
        ban_for(&admin, ip, json!(seconds));
    }
    daemon.client(&["set", "lab", "banip", IP]);
    expect_lengths(&daemon, "at once");
    (daemon, server, admin)
}

#[track_caller]
fn expect_lengths(daemon: &RealDaemon, what: &str) {
    wait_until(what, Duration::from_secs(10), || {
        LENGTHS.iter().all(|(ip, seconds)| lasts(daemon, "lab", ip, *seconds))
    });
}

#[test]
fn a_ban_lasts_as_long_as_was_said_and_the_jail_is_as_before() {
    let (daemon, _server, admin) = with_bans();
    assert_eq!(daemon.client(&["get", "lab", "bantime"]), "3600");
    for (ip, seconds) in LENGTHS {
        let item = listed(&admin, ip).unwrap();
        assert_eq!((&item["note"], &item["own_end"]), (&json!("every night"), &json!(true)), "{item}");
        assert_eq!(item["actor"]["kind"], "user");
        assert_eq!(item["expires_at"].is_null(), seconds == -1, "{item}");
    }
    let other = listed(&admin, IP).unwrap();
    assert_eq!((&other["note"], &other["own_end"], &other["actor"]), (&json!(null), &json!(false), &json!(null)));
    // The jail hears and bans as it did.
    admin.post(BANS, json!({"ip": IP, "jail": "sshd", "duration": 77})).expect(201);
    let now = jiff::Zoned::now().strftime("%b %e %H:%M:%S").to_string();
    for _ in 0..3 {
        let line = format!("{now} host sshd[1]: Failed password for root from 198.51.100.9 port 4 ssh2");
        daemon.append_log("auth.log", &line);
    }
    wait_until("a ban from the log", Duration::from_secs(20), || lasts(&daemon, "sshd", "198.51.100.9", 3600));
    // Said anew, it is shorter, and longer again.
    for duration in [json!("5m"), json!("2h 30m"), json!(-1), json!(120)] {
        ban_for(&admin, "203.0.113.2", duration.clone());
        let seconds = match &duration {
            Value::Number(number) => number.as_i64().unwrap(),
            text if *text == "5m" => 300,
            _ => 9000,
        };
        assert!(lasts(&daemon, "lab", "203.0.113.2", seconds), "{duration}: {:?}", left(&daemon, "lab", "203.0.113.2"));
    }
}

#[test]
fn it_lasts_over_a_restart_of_the_daemon_whose_jail_has_a_shorter_time() {
    let (mut daemon, _server, admin) = with_bans();
    fs::write(daemon.path("jail.local"), "[lab]\nbantime = 30\n").unwrap();
    daemon.stop();
    daemon.start_again();
    expect_lengths(&daemon, "stopped");
    daemon.kill();
    daemon.start_again();
    expect_lengths(&daemon, "killed");
    assert_eq!(daemon.client(&["get", "lab", "bantime"]), "30");
    assert_eq!(listed(&admin, "203.0.113.2").unwrap()["note"], "every night");
}

#[test]
fn it_lasts_over_a_restart_without_a_database() {
    let mut daemon = RealDaemon::configured();
    fs::write(daemon.path("fail2ban.local"), "[Definition]\ndbfile = None\n").unwrap();
    daemon.start_again();
    let (_server, admin) = Server::ready(&daemon);
    for (ip, seconds) in LENGTHS {
        ban_for(&admin, ip, json!(seconds));
    }
    daemon.stop();
    daemon.start_again();
    expect_lengths(&daemon, "nothing is restored");
}

#[test]
fn it_lasts_over_restarts_of_the_jail_and_of_this_program() {
    let (mut daemon, server, admin) = with_bans();
    fs::write(daemon.path("jail.local"), "[lab]\nbantime = 30\n").unwrap();
    admin.post_empty("/api/v1/jails/lab/stop").expect(200);
    admin.post_empty("/api/v1/jails/lab/start").expect(200);
    expect_lengths(&daemon, "the jail");
    let server = server.with_env("BANGUI_RATE_LIMIT_BAN", "100");
    daemon.kill();
    daemon.start_again();
    expect_lengths(&daemon, "both");
    drop(server);
}

#[test]
fn what_was_lifted_stays_lifted() {
    let (mut daemon, _server, admin) = with_bans();
    let begun = std::time::Instant::now();
    admin.delete_with(BANS, json!({"ip": "203.0.113.1", "jail": "lab"})).expect(200);
    daemon.client(&["set", "lab", "unbanip", "203.0.113.2"]);
    wait_until("the list", Duration::from_secs(5), || listed(&admin, "203.0.113.2").is_none());
    // A ban that is seconds old may not have been written yet, and is made again after a restart: this one is older.
    wait_until("its age", Duration::from_secs(10), || begun.elapsed() > Duration::from_secs(4));
    daemon.stop();
    daemon.start_again();
    wait_until("the one that was not lifted", Duration::from_secs(10), || lasts(&daemon, "lab", "203.0.113.3", -1));
    for lifted in ["203.0.113.1", "203.0.113.2"] {
        assert_eq!(left(&daemon, "lab", lifted), None, "{lifted}");
    }
    admin.delete("/api/v1/bans/all").expect(200);
    daemon.kill();
    daemon.start_again();
    wait_until("the list", Duration::from_secs(5), || admin.get("/api/v1/bans/active").json()["total"] == 0);
}

#[test]
fn a_time_of_its_own_holds_where_ban_times_grow() {
    let mut daemon = RealDaemon::configured();
    fs::write(daemon.path("jail.local"), "[lab]\nbantime.increment = true\nbantime = 60\n").unwrap();
    daemon.start_again();
    let (_server, admin) = Server::ready(&daemon);
    for _ in 0..2 {
        ban_for(&admin, IP, json!(500));
        assert!(lasts(&daemon, "lab", IP, 500), "{:?}", left(&daemon, "lab", IP));
        admin.delete_with(BANS, json!({"ip": IP, "jail": "lab"})).expect(200);
    }
    assert_eq!(daemon.client(&["get", "lab", "bantime.increment"]), "True");
}

#[test]
fn a_ban_in_several_jails_says_what_became_of_each() {
    let daemon = RealDaemon::start();
    daemon.client(&["set", "sshd", "addignoreip", "203.0.113.0/24"]);
    let (_server, admin) = Server::ready(&daemon);
    let body = json!({"ip": IP, "jails": ["lab", "sshd", "nojail", "lab"], "duration": "10m"});
    let answer = admin.post(BANS, body).expect(201).json();
    let codes: Vec<_> = answer["results"].as_array().unwrap().iter().map(|one| one["code"].clone()).collect();
    assert_eq!(codes, [json!(null), json!("conflict"), json!("jail_not_found")]);
    assert!(lasts(&daemon, "lab", IP, 600));
    assert!(daemon.banned("sshd").is_empty());
    let refused = admin.post(BANS, json!({"ip": IP, "jail": "sshd", "duration": 99})).expect(409).json();
    assert_eq!(refused["metadata"]["reason"], "ignored");
    assert_eq!(refused["metadata"]["entry"], "203.0.113.0/24");
    admin.post(BANS, json!({"ip": IP, "jail": "sshd", "duration": 99, "force": true})).expect(201);
    assert!(lasts(&daemon, "sshd", IP, 99));
}

#[test]
fn a_time_or_note_that_is_none_is_refused_and_nothing_is_kept_of_it() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    for (field, value) in [
        ("duration", json!(0)),
        ("duration", json!(-2)),
        ("duration", json!("soon")),
        ("duration", json!("__import__('os')")),
        ("duration", json!(1e300)),
        ("duration", json!([5])),
        ("note", json!("two\nlines")),
        ("note", json!("x".repeat(501))),
        ("jails", json!([1])),
    ] {
        let mut body = json!({"ip": IP, "jail": "lab"});
        body[field] = value;
        let refused = admin.post(BANS, body.clone()).expect(422).json();
        assert_eq!(refused["metadata"]["errors"][0]["source_field"], field, "{body}: {refused}");
    }
    admin.post(BANS, json!({"ip": IP, "duration": 60})).expect(422);
    assert!(daemon.banned("lab").is_empty());
}

#[test]
fn every_documented_status_of_a_check() {
    let daemon = RealDaemon::start();
    daemon.client(&["set", "sshd", "addignoreip", "203.0.113.0/24"]);
    let (_server, admin) = Server::ready(&daemon);
    let check = |body: Value| admin.post(CHECK, body).expect(200).json();
    let free = check(json!({"ip": IP, "jail": "lab"}));
    assert_eq!((&free["allowed"], &free["reason"]), (&json!(true), &json!(null)));
    let all = check(json!({"ip": IP}));
    assert_eq!((&all["allowed"], &all["reason"]), (&json!(false), &json!("ignored")));
    assert_eq!(all["jails"].as_array().unwrap().len(), 3);
    for (ip, reason) in [("127.0.0.1", "yourself"), ("127.0.0.0/8", "contains_you"), ("10.0.0.0/7", "too_wide")] {
        assert_eq!(check(json!({"ip": ip, "jail": "lab"}))["reason"], reason, "{ip}");
        let refused = admin.post(BANS, json!({"ip": ip, "jail": "lab"})).expect(409).json();
        assert_eq!(refused["metadata"]["reason"], reason, "{ip}");
    }
    assert!(daemon.banned("lab").is_empty());
    admin.post(CHECK, json!({"ip": "x"})).expect_error(400, "invalid_input");
    admin.post(CHECK, json!({"jail": "lab"})).expect_error(422, "invalid_input");
    admin.post(CHECK, json!({"ip": IP, "jail": "nojail"})).expect_error(404, "jail_not_found");
    let gone = FakeDaemon::start();
    let (_server, admin) = Server::ready_fake(&gone);
    drop(gone);
    admin.post(CHECK, json!({"ip": IP, "jail": "lab"})).expect_error(502, "fail2ban_unreachable");
    provoke_general_refusals(CHECK);
    demand_documented(CHECK);
}
