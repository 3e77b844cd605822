//! What a GET returns can be sent back: it is taken as it is and changes nothing, neither a file nor the daemon.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};

/// Words of the daemon that only ask, the only ones that may be seen.
const ASKING: [&str; 5] = ["'get'", "'status'", "'stats'", "'version'", "'ping'"];

/// A server whose clients may change as much as they like.
fn ready(daemon: &RealDaemon) -> (Server, Client) {
    let launch = Launch::for_real(daemon).env("BANGUI_RATE_LIMIT_CONFIG", "0").env("BANGUI_RATE_LIMIT_SESSION", "0");
    launch.env("BANGUI_ALLOWED_LOG_DIRS", &daemon.config().display().to_string()).start().into_ready()
}

/// Every file below a directory that belongs to the configuration, with its text.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ending| ["conf", "local", "py"].iter().any(|own| ending == *own)) {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

/// What the daemon was told since it was asked to write down all commands.
fn told(daemon: &RealDaemon) -> Vec<String> {
    let log = daemon.log();
    let commands = log.lines().filter_map(|line| line.split_once("Command: ["));
    let told = commands.filter(|(_, words)| !ASKING.iter().any(|word| words.starts_with(word)));
    told.map(|(_, words)| words.to_owned()).collect()
}

/// Has every command written down, and shows that a change would be seen.
fn watch(daemon: &RealDaemon) -> Vec<String> {
    daemon.client(&["set", "loglevel", "HEAVYDEBUG"]);
    daemon.client(&["set", "loglevel", "HEAVYDEBUG"]);
    let told = told(daemon);
    assert!(!told.is_empty(), "the daemon writes down no commands");
    told
}

fn items(admin: &Client, target: &str) -> Vec<Value> {
    admin.get(target).expect(200).json()["items"].as_array().unwrap().clone()
}

#[test]
fn every_stock_jail_filter_and_action_comes_back_unchanged() {
    let daemon = RealDaemon::packaged();
    let (_server, admin) = ready(&daemon);
    admin.get("/api/v1/dashboard/status").expect(200);
    let (before, told_before) = (files(daemon.config()), watch(&daemon));
    for (target, least) in [("config/jails", 60), ("config/filters", 60), ("config/actions", 40)] {
        let all = items(&admin, &format!("/api/v1/{target}"));
        assert!(all.len() >= least, "{target}: {}", all.len());
        for item in all {
            let name = item["name"].as_str().unwrap();
            let back = admin.put(&format!("/api/v1/{target}/{name}"), item.clone()).expect(200).json();
            let back = if target.ends_with("jails") { &back["jail"] } else { &back };
            for (field, value) in item.as_object().unwrap().iter().filter(|(field, _)| *field != "warnings") {
                assert_eq!(&back[field], value, "{target}/{name} {field}");
            }
        }
    }
    assert_eq!(files(daemon.config()), before);
    assert_eq!(told(&daemon), told_before);
}

#[test]
fn the_whole_answer_with_what_is_around_it_comes_back_unchanged() {
    let daemon = RealDaemon::start();
    let (_server, admin) = ready(&daemon);
    admin.get("/api/v1/dashboard/status").expect(200);
    let (before, told_before) = (files(daemon.config()), watch(&daemon));
    for target in ["config/jails/lab", "config/jails/off", "config/filters/lab", "config/actions/noop"] {
        let target = format!("/api/v1/{target}");
        let shown = admin.get(&target).expect(200).json();
        assert_eq!(admin.put(&target, shown.clone()).expect(200).json(), shown, "{target}");
    }
    assert_eq!(files(daemon.config()), before);
    assert_eq!(told(&daemon), told_before);
    // With something pending, too: it stays.
    admin.put("/api/v1/config/jails/lab", json!({"max_retry": 9})).expect(200);
    let shown = admin.get("/api/v1/config/jails/lab").expect(200).json();
    assert_eq!(admin.put("/api/v1/config/jails/lab", shown.clone()).expect(200).json(), shown);
    assert_eq!(shown["jail"]["pending_changes"], json!(["max_retry"]));
}

#[test]
fn a_field_that_cannot_be_changed_is_named() {
    let daemon = RealDaemon::start();
    let (_server, admin) = ready(&daemon);
    admin.get("/api/v1/dashboard/status").expect(200);
    let before = files(daemon.config());
    for (target, field, other) in [
        ("config/jails/lab", "active", json!(false)),
        ("config/jails/lab", "name", json!("slow")),
        ("config/jails/lab", "pending_changes", json!(["max_retry"])),
        ("config/filters/lab", "variables", json!({"x": "1"})),
        ("config/filters/lab", "effective_failregex", json!(["^x <HOST>$"])),
        ("config/filters/sshd", "used_by_jails", json!([])),
        ("config/actions/noop", "has_local_override", json!(true)),
    ] {
        let target = format!("/api/v1/{target}");
        let mut body = admin.get(&target).expect(200).json();
        let place = if body["jail"].is_object() { &mut body["jail"] } else { &mut body };
        assert_ne!(place[field], other, "{target} {field}");
        place[field] = other;
        let error = admin.put(&target, body).expect(422).json();
        let wrong = &error["metadata"]["errors"][0];
        assert_eq!((&wrong["source_field"], &wrong["rule"]), (&json!(field), &json!("read_only")), "{error}");
        assert!(error["detail"].as_str().unwrap().starts_with(&format!("{field} cannot be changed here")), "{error}");
    }
    assert_eq!(files(daemon.config()), before);
    // What is changed in a body that was read is changed.
    let mut body = admin.get("/api/v1/config/filters/lab").expect(200).json();
    body["failregex"] = json!(["^lab: worse <HOST>$"]);
    let changed = admin.put("/api/v1/config/filters/lab", body).expect(200).json();
    assert_eq!(changed["effective_failregex"], json!(["^lab: worse <HOST>$"]));
    let mut body = admin.get("/api/v1/config/jails/lab").expect(200).json();
    body["jail"]["max_retry"] = json!(8);
    let changed = admin.put("/api/v1/config/jails/lab", body).expect(200).json();
    assert_eq!(changed["jail"]["pending_changes"], json!(["max_retry"]));
    assert_eq!(daemon.client(&["get", "lab", "maxretry"]), "8");
}

#[test]
fn settings_and_sources_come_back_unchanged() {
    let daemon = RealDaemon::start();
    let (_server, admin) = ready(&daemon);
    admin.get("/api/v1/dashboard/status").expect(200);
    let source = json!({"name": "one", "url": "https://lists.example.org/x.txt"});
    let id = admin.post("/api/v1/blocklists", source).expect(201).json()["id"].clone();
    // The daemon was started with a log target that the files do not name: what was read is no wish to write it.
    let (before, told_before) = (files(daemon.config()), watch(&daemon));
    for (target, status) in [
        ("/api/v1/config/global".to_owned(), 204),
        ("/api/v1/server/settings".to_owned(), 204),
        ("/api/v1/blocklists/schedule".to_owned(), 200),
        ("/api/v1/config/map-color-thresholds".to_owned(), 200),
        (format!("/api/v1/blocklists/{id}"), 200),
    ] {
        let shown = admin.get(&target).expect(200).json();
        let back = admin.put(&target, shown.clone()).expect(status);
        if status == 200 {
            assert_eq!(back.json(), shown, "{target}");
        }
        assert_eq!(admin.get(&target).expect(200).json(), shown, "{target}");
    }
    assert_eq!(files(daemon.config()), before);
    assert_eq!(told(&daemon), told_before);
    for (target, body, field) in [
        ("/api/v1/server/settings".to_owned(), json!({"db_path": "/x"}), "db_path"),
        (format!("/api/v1/blocklists/{id}"), json!({"id": 999}), "id"),
    ] {
        let error = admin.put(&target, body).expect(422).json();
        assert_eq!(error["metadata"]["errors"][0]["source_field"], field, "{error}");
    }
}

#[test]
fn a_global_setting_alone_is_written_unless_the_files_say_it() {
    const GLOBAL: &str = "/api/v1/config/global";
    let daemon = RealDaemon::start();
    let (_server, admin) = ready(&daemon);
    let own = daemon.path("fail2ban.d/zz-bangui.local");
    admin.put(GLOBAL, json!({"log_level": "info", "db_purge_age": 86400})).expect(204);
    assert!(!own.exists(), "the files say so already");
    // It is in force until the next reload; alone it is to stay.
    admin.put("/api/v1/server/settings", json!({"log_level": "DEBUG"})).expect(204);
    admin.put(GLOBAL, json!({"log_level": "DEBUG"})).expect(204);
    assert!(fs::read_to_string(&own).unwrap().contains("loglevel = DEBUG"));
    let mut body = admin.get(GLOBAL).expect(200).json();
    body["db_max_matches"] = json!(7);
    admin.put(GLOBAL, body).expect(204);
    let text = fs::read_to_string(&own).unwrap();
    assert!(text.contains("dbmaxmatches = 7") && !text.contains("logtarget"), "{text}");
}

#[test]
fn global_settings_that_cannot_be_written_are_taken_back_from_the_daemon() {
    const GLOBAL: &str = "/api/v1/config/global";
    let daemon = RealDaemon::start();
    let (server, admin) = ready(&daemon);
    let shown = admin.get(GLOBAL).expect(200).json();
    let before = files(daemon.config());
    // As good as a full disk, and nothing must be mounted for it: the journal cannot be made.
    fs::create_dir(server.database().with_extension("db.apply-new")).unwrap();
    let target = daemon.path("other.log").display().to_string();
    let wanted = json!({"log_level": "DEBUG", "log_target": target, "db_purge_age": 7200, "db_max_matches": 5});
    admin.put(GLOBAL, wanted).expect_error(500, "config_unusable");
    assert_eq!(admin.get(GLOBAL).expect(200).json(), shown);
    assert_eq!(files(daemon.config()), before);
    // A target that the daemon refuses leaves the other values as they were.
    fs::create_dir(daemon.path("a-directory.log")).unwrap();
    let target = daemon.path("a-directory.log").display().to_string();
    for place in [GLOBAL, "/api/v1/server/settings"] {
        let answer = admin.put(place, json!({"log_level": "DEBUG", "log_target": target}));
        answer.expect_error(400, "invalid_input");
    }
    assert_eq!(admin.get(GLOBAL).expect(200).json(), shown);
}
