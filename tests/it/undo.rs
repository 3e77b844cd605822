//! What an apply promises beside its own jails: nothing that somebody edits meanwhile is overwritten, and the undo of one that died leaves
//! no jail missing and no file of its own behind.

use std::fs::{self, File};
use std::time::Duration;

use serde_json::json;

use crate::apply::{SlowClient, commit_aside, journal};
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::Server;
use crate::harness::wait_until;
use crate::jail_config::ready;

const LAB: &str = "/api/v1/config/jails/lab";
const COMMIT: &str = "/api/v1/config/jails/lab/commit";

/// Whether a child of the server has this file open.
fn a_child_has_open(server: &Server, file: &std::path::Path) -> bool {
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.pid())).unwrap_or_default();
    children.split_whitespace().any(|child| {
        let descriptors = fs::read_dir(format!("/proc/{child}/fd")).into_iter().flatten().flatten();
        descriptors.map(|entry| fs::read_link(entry.path())).any(|target| target.is_ok_and(|target| target == *file))
    })
}

#[test]
fn what_is_edited_while_a_change_waits_for_its_turn_is_not_overwritten() {
    let daemon = RealDaemon::start();
    let (server, admin) = ready(&daemon);
    admin.put(LAB, json!({"max_retry": 11})).expect(200);
    admin.post_empty(COMMIT).expect(200);
    admin.put(LAB, json!({"max_retry": 12})).expect(200);
    // Another change is under way: this one is computed, and then waits.
    let lock = fs::canonicalize(server.database().parent().unwrap()).unwrap();
    let lock = lock.join(format!("{}-lock", journal(&server).file_name().unwrap().to_str().unwrap()));
    let other = File::options().write(true).create(true).truncate(false).open(&lock).unwrap();
    other.lock().unwrap();
    let own = daemon.path("jail.d/zz-bangui-lab.local");
    let by_hand = fs::read_to_string(&own).unwrap() + "# by hand\n";
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| admin.post_empty(COMMIT));
        wait_until("the change to wait", Duration::from_secs(20), || a_child_has_open(&server, &lock));
        fs::write(&own, &by_hand).unwrap();
        drop(other);
        let refused = commit.join().unwrap().expect(409).json();
        assert!(refused["detail"].as_str().unwrap().contains("was edited meanwhile"), "{refused}");
    });
    assert_eq!(fs::read_to_string(&own).unwrap(), by_hand);
    assert_eq!(daemon.client(&["get", "lab", "maxretry"]), "12", "the value that was set, and waits");
    admin.post_empty(COMMIT).expect(200);
    assert!(fs::read_to_string(&own).unwrap().contains("maxretry = 12"));
}

#[test]
fn the_undo_of_an_apply_that_died_brings_every_jail_back_and_leaves_no_file() {
    let daemon = RealDaemon::start();
    let client = SlowClient::new();
    let (server, _) = ready(&daemon);
    let mut server = server.with_env("PATH", &client.path());
    let admin = server.client().login();
    admin.put(LAB, json!({"max_retry": 12})).expect(200);
    let commit = commit_aside(&admin);
    wait_until("the reload", Duration::from_secs(20), || client.is_reached());
    server.kill();
    commit.join().unwrap();
    // The reload that was killed has cost another jail, and a file was half written.
    daemon.client(&["stop", "slow"]);
    let half = daemon.path("jail.d/.bangui-4711-0.tmp");
    fs::write(&half, "[lab]\nmaxre").unwrap();
    client.go_on();
    server.start_again();
    wait_until("the undo", Duration::from_secs(20), || !journal(&server).exists());
    let status = daemon.client(&["status"]);
    assert!(["lab", "slow", "sshd"].iter().all(|jail| status.contains(jail)), "{status}");
    assert!(!half.exists() && !daemon.path("jail.d/zz-bangui-lab.local").exists());
}

#[test]
fn a_wrong_time_of_the_servers_own_is_refused_before_anything_is_loaded() {
    let daemon = RealDaemon::start();
    let (_server, admin) = ready(&daemon);
    let loads = || daemon.log().matches("Reload").count();
    let before = (daemon.client(&["status"]), daemon.client(&["get", "dbpurgeage"]), loads());
    fs::write(daemon.path("fail2ban.local"), "[Definition]\ndbpurgeage = soon\n").unwrap();
    let refused = admin.post_empty("/api/v1/jails/reload-all").expect(409).json();
    assert!(refused["detail"].as_str().unwrap().contains("dbpurgeage"), "{refused}");
    assert_eq!((daemon.client(&["status"]), daemon.client(&["get", "dbpurgeage"]), loads()), before);
    fs::write(daemon.path("fail2ban.local"), "[Definition]\ndbpurgeage = 2d\n").unwrap();
    admin.post_empty("/api/v1/jails/reload-all").expect(200);
    assert!(daemon.client(&["get", "dbpurgeage"]).contains("172800"));
    assert!(loads() > before.2, "a load shows in the log");
}
