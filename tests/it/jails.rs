//! Jails: shown as the daemon has them, started, stopped, reloaded, and told whom to ignore.

use std::fs;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::fake_daemon::FakeDaemon;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::Server;
use crate::operations::{demand_documented, provoke_general_refusals, refuse};

const JAILS: &str = "/api/v1/jails";

/// A jail file that stops the daemon's own client half-way: `fail2ban-client -t` likes it, the reload loses every jail.
const BROKEN: &str = "[lab]\nbantime = abc\n";

#[test]
fn every_documented_status_of_jails() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    let ignore = json!({"ip": "203.0.113.7"});
    admin.get(JAILS).expect(200);
    admin.get("/api/v1/jails/lab").expect(200);
    admin.get("/api/v1/jails/lab/banned").expect(200);
    admin.get("/api/v1/jails/lab/ignoreip").expect(200);
    admin.post("/api/v1/jails/lab/ignoreip", ignore.clone()).expect(201);
    admin.post("/api/v1/jails/lab/ignoreip", json!({"ip": "300.1.1.1"})).expect_error(400, "invalid_input");
    admin.delete_with("/api/v1/jails/lab/ignoreip", ignore.clone()).expect(200);
    let gone = admin.delete_with("/api/v1/jails/lab/ignoreip", ignore.clone());
    let gone = gone.expect_error(409, "fail2ban_command_failed").json();
    assert_eq!(gone["metadata"], json!({"jail": "lab", "ip": "203.0.113.7"}), "an entry that is not there is named");
    admin.post("/api/v1/jails/lab/ignoreself", json!(true)).expect(200);
    admin.post("/api/v1/jails/lab/idle", json!({"on": false})).expect(200);
    admin.get("/api/v1/jails/lab/banned?page_size=501").expect_error(400, "invalid_input");
    admin.post_empty("/api/v1/jails/lab/stop").expect(200);
    admin.post_empty("/api/v1/jails/lab/start").expect(200);
    admin.post_empty("/api/v1/jails/lab/reload").expect(200);
    admin.post_empty("/api/v1/jails/reload-all").expect(200);
    let off = admin.post_empty("/api/v1/jails/off/start").expect(409);
    assert!(!off.json()["detail"].as_str().unwrap().is_empty());
    admin.post("/api/v1/jails/lab/pause", json!({"for": "2h"})).expect(200);
    admin.post("/api/v1/jails/lab/pause", json!({"for": "soon"})).expect_error(422, "invalid_input");
    admin.post_empty("/api/v1/jails/lab/resume").expect(200);
    admin.post("/api/v1/jails/nojail/pause", json!({"for": "2h"})).expect_error(404, "jail_not_found");
    admin.post_empty("/api/v1/jails/nojail/resume").expect_error(404, "jail_not_found");
    admin.get("/api/v1/jails/lab/check").expect(200);
    admin.get("/api/v1/jails/nojail/check").expect_error(404, "jail_not_found");
    unknown_jails_are_404(&admin);
    broken_files_are_409_and_cost_no_jail(&daemon, &admin);
    refusals_of_the_daemon_are_409();
    provoke_general_refusals(JAILS);
    demand_documented(JAILS);
}

fn unknown_jails_are_404(admin: &Client) {
    let ignore = json!({"ip": "203.0.113.7"});
    for answer in [
        admin.get("/api/v1/jails/nojail"),
        admin.get("/api/v1/jails/nojail/banned"),
        admin.get("/api/v1/jails/nojail/ignoreip"),
        admin.post("/api/v1/jails/nojail/ignoreip", ignore.clone()),
        admin.delete_with("/api/v1/jails/nojail/ignoreip", ignore),
        admin.post("/api/v1/jails/nojail/ignoreself", json!(true)),
        admin.post("/api/v1/jails/nojail/idle", json!(true)),
        admin.post_empty("/api/v1/jails/nojail/start"),
        admin.post_empty("/api/v1/jails/nojail/reload"),
    ] {
        answer.expect_error(404, "jail_not_found");
    }
}

fn broken_files_are_409_and_cost_no_jail(daemon: &RealDaemon, admin: &Client) {
    let before = daemon.client(&["status"]);
    let file = daemon.path("jail.d/broken.local");
    fs::write(&file, BROKEN).unwrap();
    for target in ["/api/v1/jails/reload-all", "/api/v1/jails/lab/reload", "/api/v1/config/reload"] {
        admin.post_empty(target).expect(409);
        assert_eq!(daemon.client(&["status"]), before, "after {target}");
    }
    fs::remove_file(file).unwrap();
    admin.post_empty("/api/v1/jails/reload-all").expect(200);
    assert_eq!(daemon.client(&["status"]), before);
}

fn refusals_of_the_daemon_are_409() {
    let daemon = FakeDaemon::start();
    for command in [
        &["stop", "lab"][..],
        &["set", "lab", "idle", "on"],
        &["set", "lab", "addignoreip", "203.0.113.7"],
        &["set", "lab", "ignoreself", "true"],
    ] {
        refuse(&daemon, command);
    }
    let (_server, admin) = Server::ready_fake(&daemon);
    for answer in [
        admin.post_empty("/api/v1/jails/lab/stop"),
        admin.post("/api/v1/jails/lab/idle", json!(true)),
        admin.post("/api/v1/jails/lab/ignoreip", json!({"ip": "203.0.113.7"})),
        admin.post("/api/v1/jails/lab/ignoreself", json!({"on": true})),
    ] {
        answer.expect_error(409, "fail2ban_command_failed");
    }
}

#[test]
fn the_list_and_the_detail_say_what_the_daemon_says() {
    let daemon = RealDaemon::start();
    daemon.client(&["set", "sshd", "banip", "203.0.113.1", "203.0.113.2"]);
    daemon.client(&["set", "sshd", "addignoreip", "198.51.100.0/24"]);
    let (_server, admin) = Server::ready(&daemon);
    let list = admin.get(JAILS).expect(200).json();
    let names: Vec<&str> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|jail| jail["running"] == true)
        .map(|jail| jail["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["lab", "slow", "sshd"]);
    let detail = admin.get("/api/v1/jails/sshd").expect(200).json();
    let jail = &detail["jail"];
    assert_eq!(jail["ban_time"].as_f64(), Some(3600.0));
    assert_eq!(jail["find_time"].as_f64(), Some(600.0));
    assert_eq!(jail["max_retry"], 3);
    assert_eq!(jail["use_dns"], "no");
    assert_eq!(jail["actions"], json!(["noop"]));
    assert_eq!(jail["log_paths"], json!([daemon.path("auth.log")]));
    assert_eq!(jail["status"]["currently_banned"], 2);
    assert_eq!(detail["ignore_list"], json!(["198.51.100.0/24"]));
    assert_eq!(detail["ignore_self"], false);
    let regexes = jail["fail_regex"].as_array().unwrap();
    let daemons = daemon.client(&["get", "sshd", "failregex"]);
    assert!(!regexes.is_empty());
    for regex in regexes {
        assert!(daemons.contains(regex.as_str().unwrap()), "{regex}");
    }
}

#[test]
fn a_stopped_jail_is_gone_and_start_brings_it_back() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    admin.post_empty("/api/v1/jails/lab/stop").expect(200);
    assert!(!daemon.try_client(&["status", "lab"]).0);
    // Stopping is idempotent.
    admin.post_empty("/api/v1/jails/lab/stop").expect(200);
    admin.post_empty("/api/v1/jails/lab/start").expect(200);
    assert!(daemon.try_client(&["status", "lab"]).0);
    // Starting what runs is no error either.
    admin.post_empty("/api/v1/jails/lab/start").expect(200);
}

#[test]
fn idle_is_remembered_because_the_daemon_cannot_be_asked() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    let idle = || admin.get("/api/v1/jails/lab").expect(200).json()["jail"]["idle"].clone();
    assert_eq!(idle(), Value::Null);
    admin.post("/api/v1/jails/lab/idle", json!(true)).expect(200);
    assert_eq!(idle(), true);
    admin.post("/api/v1/jails/lab/idle", json!({"on": false})).expect(200);
    assert_eq!(idle(), false);
    admin.post("/api/v1/jails/lab/idle", json!("on")).expect(422);
    admin.post("/api/v1/jails/lab/idle", json!({})).expect(422);
}

#[test]
fn ignore_entries_reach_the_daemon_in_canonical_form() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    let target = "/api/v1/jails/lab/ignoreip";
    for ip in ["203.0.113.7", "2001:DB8:0::1", "198.51.100.0/24"] {
        admin.post(target, json!({"ip": ip})).expect(201);
    }
    let list = admin.get(target).expect(200).json();
    assert_eq!(list["total"], 3);
    let daemons = daemon.client(&["get", "lab", "ignoreip"]);
    for entry in list["items"].as_array().unwrap() {
        assert!(daemons.contains(entry.as_str().unwrap()), "{entry}");
    }
    assert!(daemons.contains("2001:db8::1"), "{daemons}");
    // The query form, since a proxy may drop the body of a DELETE.
    admin.delete(&format!("{target}?ip=198.51.100.0/24")).expect(200);
    assert!(!daemon.client(&["get", "lab", "ignoreip"]).contains("198.51"));
    // Anything the daemon lists can be removed.
    daemon.client(&["set", "lab", "addignoreip", "router.example"]);
    admin.delete_with(target, json!({"ip": "router.example"})).expect(200);
    assert!(!daemon.client(&["get", "lab", "ignoreip"]).contains("router"));
}

#[test]
fn ignoreself_is_set_and_shown() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    for (on, shown) in [(json!(true), "True"), (json!({"on": false}), "False")] {
        admin.post("/api/v1/jails/lab/ignoreself", on).expect(200);
        let daemons = daemon.client(&["get", "lab", "ignoreself"]);
        assert!(daemons.contains(shown) || daemons.eq_ignore_ascii_case(shown), "{daemons}");
        let detail = admin.get("/api/v1/jails/lab").expect(200).json();
        assert_eq!(detail["ignore_self"], shown == "True");
    }
}

#[test]
fn banned_addresses_come_in_pages() {
    let daemon = RealDaemon::start();
    let addresses: Vec<String> = (1..=120).map(|last| format!("203.0.113.{last}")).collect();
    let mut command = vec!["set", "lab", "banip"];
    command.extend(addresses.iter().map(String::as_str));
    daemon.client(&command);
    let (_server, admin) = Server::ready(&daemon);
    let page = |query: &str| admin.get(&format!("/api/v1/jails/lab/banned{query}")).expect(200).json();
    let first = page("");
    assert_eq!(first["items"].as_array().unwrap().len(), 100);
    assert_eq!(first["pagination"]["total"], 120);
    assert_eq!(first["pagination"]["total_pages"], 2);
    assert_eq!(first["pagination"]["has_next_page"], true);
    let mut seen: Vec<String> = Vec::new();
    for number in 1..=3 {
        let page = page(&format!("?page={number}&page_size=50"));
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["ip"].as_str().unwrap().to_string()));
    }
    seen.sort();
    let mut wanted = addresses.clone();
    wanted.sort();
    assert_eq!(seen, wanted, "each address is on exactly one page");
    let found = page("?search=113.11");
    // 11, 110 … 119.
    assert_eq!(found["pagination"]["total"], 11);
    assert_eq!(page("?page=9")["items"], json!([]));
    for bad in ["page=0", "page=-1", "page=x", "page_size=0", "page_size=1000000000", "page=99999999999999999999"] {
        admin.get(&format!("/api/v1/jails/lab/banned?{bad}")).expect_error(400, "invalid_input");
    }
}

#[test]
fn files_without_a_jail_are_not_loaded() {
    // No client has this version, so the commands would be our own; the scripted daemon's directory has no files.
    let daemon = FakeDaemon::start_version("0.11.2");
    let (_server, admin) = Server::ready_fake(&daemon);
    daemon.take_commands();
    let refused = admin.post_empty("/api/v1/jails/reload-all").expect(409);
    assert!(refused.json()["detail"].as_str().unwrap().contains("no jail"), "{refused}");
    let reloads = daemon.take_commands();
    assert!(reloads.iter().all(|command| command[0] != "reload"), "{reloads:?}");
}
