//! Bans: listed, made and lifted on a real daemon, and every refusal.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::client::Client;
use crate::harness::fake_daemon::FakeDaemon;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::operations::{demand_documented, provoke_general_refusals, refuse};

const BANS: &str = "/api/v1/bans";
const ACTIVE: &str = "/api/v1/bans/active";

fn ban(client: &Client, jail: &str, ip: &str) -> crate::harness::http::Answer {
    client.post(BANS, json!({"jail": jail, "ip": ip}))
}

#[test]
fn every_documented_status_of_bans() {
    let daemon = RealDaemon::start();
    let (server, admin) = Server::ready(&daemon);
    let one = json!({"jail": "lab", "ip": "203.0.113.1"});
    let nowhere = json!({"jail": "nojail", "ip": "203.0.113.1"});
    let bad = json!({"jail": "lab", "ip": "1.2.3.4;id"});
    admin.post(BANS, one.clone()).expect(201);
    assert_eq!(daemon.banned("lab"), ["203.0.113.1"]);
    admin.get(ACTIVE).expect(200);
    admin.delete_with(BANS, one.clone()).expect(200);
    assert!(daemon.banned("lab").is_empty());
    admin.delete("/api/v1/bans/all").expect(200);
    admin.post(BANS, bad.clone()).expect_error(400, "invalid_input");
    admin.post(BANS, nowhere.clone()).expect_error(404, "jail_not_found");
    admin.delete_with(BANS, nowhere).expect_error(404, "jail_not_found");
    let both = json!({"ip": "203.0.113.1", "unban_all": true});
    admin.delete_with(BANS, both).expect_error(400, "invalid_input");
    admin.delete_with(BANS, json!({})).expect_error(422, "invalid_input");
    let check = "/api/v1/bans/check";
    admin.post(check, one.clone()).expect(200);
    admin.post(check, json!({"jail": "nojail", "ip": "203.0.113.1"})).expect_error(404, "jail_not_found");
    admin.post(check, json!({"jail": "lab", "ip": "1.2.3.4;id"})).expect_error(400, "invalid_input");
    for path in ["/api/v1/bans/bulk", "/api/v1/bans/bulk/remove"] {
        let many = |ip: &str, jail: &str| json!({"ips": [ip], "jail": jail});
        admin.post(path, many("203.0.113.1", "lab")).expect(200);
        admin.post(path, many("203.0.113.1", "--all")).expect_error(400, "invalid_input");
        admin.post(path, many("203.0.113.1", "nojail")).expect_error(404, "jail_not_found");
        admin.post(path, json!({"ips": "203.0.113.1", "jail": "lab"})).expect_error(422, "invalid_input");
    }
    let server = server.with_env("BANGUI_RATE_LIMIT_BAN", "2");
    let admin = server.client().with_identity(admin.identity.clone());
    let mut last = admin.post(BANS, one.clone());
    for _ in 0..4 {
        last = admin.post(BANS, one.clone());
    }
    last.expect_error(429, "rate_limit_exceeded");
    admin.delete_with(BANS, one.clone()).expect_error(429, "rate_limit_exceeded");
    for path in ["/api/v1/bans/bulk", "/api/v1/bans/bulk/remove"] {
        admin.post(path, json!({"ips": ["203.0.113.1"], "jail": "lab"})).expect_error(429, "rate_limit_exceeded");
    }
    refusals_of_the_daemon_are_409();
    provoke_general_refusals(BANS);
    demand_documented(BANS);
}

fn refusals_of_the_daemon_are_409() {
    let daemon = FakeDaemon::start();
    refuse(&daemon, &["set", "lab", "banip", "203.0.113.1"]);
    refuse(&daemon, &["set", "lab", "unbanip", "203.0.113.1"]);
    let (_server, admin) = Server::ready_fake(&daemon);
    let body = json!({"jail": "lab", "ip": "203.0.113.1"});
    admin.post(BANS, body.clone()).expect_error(409, "fail2ban_command_failed");
    admin.delete_with(BANS, body).expect_error(409, "fail2ban_command_failed");
    let many = json!({"jail": "lab", "ips": ["203.0.113.1"]});
    admin.post("/api/v1/bans/bulk", many.clone()).expect_error(409, "fail2ban_command_failed");
    use crate::harness::pickle::{success, texts};
    daemon.reply(&["get", "lab", "banip"], success(texts(&["203.0.113.1"])));
    admin.post("/api/v1/bans/bulk/remove", many).expect_error(409, "fail2ban_command_failed");
}

#[test]
fn a_ban_is_seen_by_the_daemon_and_listed_here() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    ban(&admin, "sshd", "203.0.113.1").expect(201);
    ban(&admin, "lab", "2001:DB8:0::77").expect(201);
    ban(&admin, "lab", "198.51.100.0/24").expect(201);
    assert_eq!(daemon.banned("sshd"), ["203.0.113.1"]);
    let mut lab = daemon.banned("lab");
    lab.sort();
    assert_eq!(lab, ["198.51.100.0/24", "2001:db8::77"]);
    // The daemon writes its database a moment after it has answered.
    let mut list = serde_json::Value::Null;
    crate::harness::wait_until("the times", Duration::from_secs(10), || {
        list = admin.get(ACTIVE).expect(200).json();
        let items = list["items"].as_array().unwrap();
        items.len() == 3 && items.iter().all(|item| item["banned_at"].is_string())
    });
    assert_eq!(list["total"], 3);
    for item in list["items"].as_array().unwrap() {
        let at: jiff::Timestamp = item["banned_at"].as_str().unwrap().parse().unwrap();
        let until: jiff::Timestamp = item["expires_at"].as_str().unwrap().parse().unwrap();
        let age = jiff::Timestamp::now().as_second() - at.as_second();
        assert!((-1..60).contains(&age), "{item}");
        assert_eq!(until.as_second() - at.as_second(), 3600, "{item}");
        assert_eq!(item["ban_count"], 1);
    }
    let lab = admin.get("/api/v1/bans/active?jail=lab").expect(200).json();
    assert_eq!(lab["total"], 2);
}

#[test]
fn bans_and_unbans_say_when_there_was_nothing_to_do() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    let first = ban(&admin, "lab", "203.0.113.1").expect(201).json();
    let again = ban(&admin, "lab", "203.0.113.1").expect(201).json();
    assert_eq!(first["jail"], "lab");
    assert_ne!(first["message"], again["message"]);
    let body = json!({"jail": "lab", "ip": "203.0.113.1"});
    let lifted = admin.delete_with(BANS, body.clone()).expect(200).json();
    let absent = admin.delete_with(BANS, body).expect(200).json();
    assert_ne!(lifted["message"], absent["message"]);
}

#[test]
fn unban_takes_every_form_the_contract_names() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    let everywhere = || {
        daemon.client(&["set", "lab", "banip", "203.0.113.1", "203.0.113.2", "odd text"]);
        daemon.client(&["set", "sshd", "banip", "203.0.113.1"]);
    };
    everywhere();
    // A proxy may drop the body of a DELETE; the query says the same.
    admin.delete("/api/v1/bans?ip=203.0.113.1&jail=lab").expect(200);
    assert!(!daemon.banned("lab").contains(&"203.0.113.1".into()));
    assert_eq!(daemon.banned("sshd"), ["203.0.113.1"]);
    // Whatever the daemon lists can be removed.
    admin.delete_with(BANS, json!({"ip": "odd text", "jail": "lab"})).expect(200);
    assert_eq!(daemon.banned("lab"), ["203.0.113.2"]);
    // Without a jail: every jail.
    everywhere();
    let answer = admin.delete_with(BANS, json!({"ip": "203.0.113.1"})).expect(200);
    assert_eq!(answer.json()["jail"], "*");
    assert!(daemon.banned("sshd").is_empty());
    // All of one jail.
    everywhere();
    admin.delete_with(BANS, json!({"unban_all": true, "jail": "lab"})).expect(200);
    assert!(daemon.banned("lab").is_empty());
    assert_eq!(daemon.banned("sshd"), ["203.0.113.1"]);
    // All of all.
    let count = admin.delete("/api/v1/bans/all").expect(200).json();
    assert_eq!(count["count"], 1);
    assert!(daemon.banned("sshd").is_empty());
}

#[test]
fn nobody_locks_himself_out_without_saying_so() {
    let daemon = RealDaemon::start();
    daemon.client(&["set", "lab", "addignoreip", "192.88.99.0/24"]);
    let (_server, admin) =
        Launch::for_real(&daemon).args(&["--trusted-proxies", "127.0.0.1,198.51.100.77"]).start().into_ready();
    let admin = admin.with_header("X-Forwarded-For", "192.168.7.7");
    for address in [
        "192.168.7.7",
        "192.168.7.0/24",
        "127.0.0.1",
        "127.0.0.0/8",
        "::1",
        "198.51.100.77",
        "192.88.99.5",
        "0.0.0.0/0",
        "::/0",
    ] {
        let refused = ban(&admin, "lab", address);
        let wanted = if address.ends_with("/0") { (400, "invalid_input") } else { (409, "conflict") };
        assert_eq!((refused.status, refused.code().as_str()), wanted, "{address}: {refused}");
    }
    assert!(daemon.banned("lab").is_empty());
    admin.post(BANS, json!({"jail": "lab", "ip": "192.168.7.7", "force": true})).expect(201);
    assert_eq!(daemon.banned("lab"), ["192.168.7.7"]);
}

#[test]
fn a_slow_action_answers_when_it_is_done_and_nobody_else_waits() {
    let daemon = RealDaemon::start();
    let (server, admin) = Server::ready(&daemon);
    let health = server.client();
    crate::harness::wait_until("health", Duration::from_secs(3), || health.get("/api/v1/health").status == 200);
    std::thread::scope(|scope| {
        let start = Instant::now();
        let slow = scope.spawn(|| ban(&admin, "slow", "203.0.113.1").expect(201).elapsed);
        let mut slowest = Duration::ZERO;
        while start.elapsed() < Duration::from_millis(2500) {
            let answer = health.get("/api/v1/health").expect(200);
            slowest = slowest.max(answer.elapsed);
            assert_eq!(server.threads(), 1);
            std::thread::sleep(Duration::from_millis(10));
        }
        let elapsed = slow.join().unwrap();
        assert!(elapsed >= Duration::from_millis(2900), "{elapsed:?}");
        assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");
        // Half of what the action takes: on a busy machine everything is slow, but nobody waits for the action.
        assert!(slowest < Duration::from_millis(1500), "{slowest:?}");
    });
    assert_eq!(daemon.banned("slow"), ["203.0.113.1"]);
}

#[test]
fn times_are_those_of_this_machines_clocks_where_no_database_tells_the_zone() {
    let daemon = FakeDaemon::start();
    let (_server, admin) = Server::ready_fake(&daemon);
    let list = admin.get(ACTIVE).expect(200).json();
    let item = &list["items"][0];
    assert_eq!(item["ip"], "203.0.113.7");
    // The scripted daemon says that it has no database; the tests' zone is UTC.
    assert_eq!(item["banned_at"], "2026-01-01T00:00:00Z");
}

/// The end of each ban as the daemon itself has it, in the time zone UTC of these tests, and as a list of ours shows it.
#[track_caller]
fn expect_the_daemons_ends(daemon: &RealDaemon, admin: &Client, what: &str) {
    let lines = daemon.client(&["get", "lab", "banip", "--with-time"]);
    let mut theirs: Vec<(String, Option<String>)> = lines
        .lines()
        .map(|line| {
            let (ip, times) = line.split_once(" \t").unwrap();
            let end = times.split_once(" = ").unwrap().1;
            let end = (!end.starts_with("9999")).then(|| format!("{}Z", end.replace(' ', "T")));
            (ip.to_owned(), end)
        })
        .collect();
    theirs.sort();
    assert_eq!(theirs.len(), 2, "{lines}");
    for list in [ACTIVE, "/api/v1/jails/lab/banned", "/api/v1/jails/lab/banned?search=203"] {
        let shown = admin.get(list).expect(200).json();
        let items = shown["items"].as_array().unwrap().iter();
        let mut ours: Vec<_> = items
            .map(|item| (item["ip"].as_str().unwrap().to_owned(), item["expires_at"].as_str().map(str::to_owned)))
            .collect();
        ours.sort();
        assert_eq!(ours, theirs, "{list}, {what}");
    }
}

#[test]
fn ends_follow_the_ban_time_from_4_s_to_1_h_and_from_permanent_to_1_h_in_every_list() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    for (first, then) in [("4", "3600"), ("-1", "3600"), ("3600", "-1"), ("-1", "7200")] {
        daemon.client(&["set", "lab", "bantime", first]);
        daemon.client(&["set", "lab", "banip", "203.0.113.1", "203.0.113.2"]);
        daemon.client(&["set", "lab", "bantime", then]);
        // Its database learns of a ban a moment after it.
        crate::harness::wait_until("the times", Duration::from_secs(10), || {
            let list = admin.get(ACTIVE).expect(200).json();
            list["items"].as_array().unwrap().iter().all(|item| item["banned_at"].is_string())
        });
        expect_the_daemons_ends(&daemon, &admin, &format!("{first} then {then}"));
        daemon.client(&["unban", "--all"]);
    }
}

#[test]
fn a_ban_that_needs_force_says_why_in_a_word() {
    let daemon = RealDaemon::start();
    let launch = Launch::for_real(&daemon).env("BANGUI_TRUSTED_PROXIES", "198.51.100.7");
    let (_server, admin) = launch.start().into_ready();
    daemon.client(&["set", "lab", "addignoreip", "192.88.99.0/24"]);
    for (ip, reason) in [
        ("127.0.0.1", "yourself"),
        ("127.0.0.0/24", "contains_you"),
        ("198.51.100.7", "proxy"),
        ("192.88.99.3", "ignored"),
        ("2000::/3", "too_wide"),
    ] {
        let refused = admin.post("/api/v1/bans", json!({"ip": ip, "jail": "lab"})).expect_error(409, "conflict").json();
        assert_eq!((&refused["metadata"]["reason"], &refused["metadata"]["ip"]), (&json!(reason), &json!(ip)));
    }
    // A field that nobody knows is answered by those there are.
    let refused = admin.post("/api/v1/bans", json!({"ip": "203.0.113.1", "jail": "lab", "forced": true})).expect(422);
    let told = refused.json()["metadata"]["errors"][0]["detail"].clone();
    assert_eq!(told, "There is no field \"forced\"; there are ip, jails, jail, force, note, duration.");
}
