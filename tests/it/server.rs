//! The daemon's own settings: read and set on a real daemon, refusals from the scripted one.

use serde_json::json;

use crate::harness::fake_daemon::FakeDaemon;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::Server;
use crate::operations::{demand_documented, provoke_general_refusals, refuse};

const SETTINGS: &str = "/api/v1/server/settings";
const FLUSH: &str = "/api/v1/server/flush-logs";

#[test]
fn every_documented_status_of_server() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    let before = admin.get(SETTINGS).expect(200).json();
    assert_eq!(before["settings"]["log_level"], "INFO");
    assert_eq!(before["settings"]["log_target"], json!(daemon.path("f.log")));
    assert_eq!(before["settings"]["db_path"], json!(daemon.path("f.sqlite3")));
    assert_eq!(before["settings"]["db_purge_age"], 86400);
    admin.put(SETTINGS, json!({"log_level": "DEBUG", "db_purge_age": "1h", "db_max_matches": 5})).expect(204);
    assert!(daemon.client(&["get", "loglevel"]).contains("DEBUG"));
    assert!(daemon.client(&["get", "dbpurgeage"]).contains("3600"));
    assert!(daemon.client(&["get", "dbmaxmatches"]).contains('5'));
    let after = admin.get(SETTINGS).expect(200).json();
    assert_eq!(after["settings"]["log_level"], "DEBUG");
    assert_eq!(after["warnings"]["db_purge_age_too_low"], true);
    assert_eq!(before["warnings"]["db_purge_age_too_low"], false);
    admin.post_empty(FLUSH).expect(200);
    refusals_of_the_daemon_are_400();
    provoke_general_refusals("/api/v1/server");
    demand_documented("/api/v1/server");
}

fn refusals_of_the_daemon_are_400() {
    let daemon = FakeDaemon::start();
    refuse(&daemon, &["set", "loglevel", "DEBUG"]);
    refuse(&daemon, &["flushlogs"]);
    let (_server, admin) = Server::ready_fake(&daemon);
    admin.put(SETTINGS, json!({"log_level": "DEBUG"})).expect(400);
    admin.post_empty(FLUSH).expect(400);
}

#[test]
fn bodies_of_the_wrong_shape_are_422_and_set_nothing() {
    let daemon = FakeDaemon::start();
    let (_server, admin) = Server::ready_fake(&daemon);
    for body in [
        json!({}),
        json!([]),
        json!({"unknown": 1}),
        json!({"db_purge_age": "one day"}),
        json!({"db_max_matches": 1.5}),
        json!({"log_level": 20}),
    ] {
        let answer = admin.put(SETTINGS, body.clone());
        assert_eq!((answer.status, answer.code().as_str()), (422, "invalid_input"), "{body}: {answer}");
    }
    // Values the daemon would take, or worse: nothing may reach it. A negative number is no number of seconds.
    for (wanted, body) in [
        (400, json!({"log_level": "SHOUT"})),
        (422, json!({"db_purge_age": -1})),
        (400, json!({"log_target": ""})),
        (400, json!({"log_target": "relative.log"})),
    ] {
        admin.put(SETTINGS, body).expect_error(wanted, "invalid_input");
    }
    let commands = daemon.take_commands();
    let sets: Vec<_> = commands.iter().filter(|words| words[0] == "set").collect();
    assert!(sets.is_empty(), "{sets:?}");
}

#[test]
fn the_daemon_writes_only_where_logs_may_be() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("cron");
    for target in [
        file.to_str().unwrap(),
        "/etc/cron.d/x",
        "/proc/self/mem",
        "/var/log/../../etc/cron.d/x",
        "/var/log/a\nb",
        "/var/log/*.log",
        "file:/etc/passwd",
    ] {
        admin.put(SETTINGS, json!({"log_target": target})).expect_error(400, "invalid_input");
    }
    assert!(!file.exists());
    let target = daemon.client(&["get", "logtarget"]);
    assert!(target.contains("f.log"), "{target}");
    admin.put(SETTINGS, json!({"log_target": "STDOUT"})).expect(204);
    assert!(daemon.client(&["get", "logtarget"]).contains("STDOUT"));
}
