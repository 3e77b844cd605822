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

/// A server that was killed while fail2ban loaded a change of `lab`: its client is stopped on the way to the daemon.
fn died_while_applying() -> (RealDaemon, SlowClient, Server) {
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
    (daemon, client, server)
}

#[test]
fn the_undo_of_an_apply_that_died_brings_every_jail_back_and_leaves_no_file() {
    let (daemon, client, mut server) = died_while_applying();
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

#[test]
fn the_undo_of_an_apply_that_died_waits_for_a_daemon_that_hangs() {
    let (daemon, client, mut server) = died_while_applying();
    // What is half loaded is in a daemon that does not answer; it may run on with it.
    daemon.client(&["set", "lab", "maxretry", "12"]);
    daemon.client(&["stop", "slow"]);
    let pid = std::fs::read_to_string(daemon.path("f.pid")).unwrap().trim().parse().unwrap();
    // SAFETY: kill takes two numbers; the process is the daemon of this test.
    let signal = |signal| assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    signal(libc::SIGSTOP);
    client.go_on();
    server.start_again();
    wait_until("the file is put back", Duration::from_secs(20), || !daemon.path("jail.d/zz-bangui-lab.local").exists());
    wait_until("the undo gives up", Duration::from_secs(30), || server.log().contains("once fail2ban answers again"));
    assert!(journal(&server).exists(), "what is left to do is not forgotten");
    // Until then nothing else is changed, and who wants to is told what stands in the way and what helps.
    let admin = server.client().login();
    admin.put(LAB, json!({"max_retry": 11})).expect(200);
    let held = admin.post_empty(&format!("{LAB}/commit")).expect_error(503, "busy").json();
    let detail = held["detail"].as_str().unwrap();
    assert!(detail.contains("interrupted") && detail.contains("/api/v1/config/restart"), "{held}");
    assert!(!daemon.path("jail.d/zz-bangui-lab.local").exists() && journal(&server).exists());
    signal(libc::SIGCONT);
    wait_until("the undo", Duration::from_secs(40), || !journal(&server).exists());
    let status = daemon.client(&["status"]);
    assert!(["lab", "slow", "sshd"].iter().all(|jail| status.contains(jail)), "{status}");
}

#[test]
fn a_value_that_fail2ban_takes_and_then_has_otherwise_is_undone_and_named() {
    let daemon = RealDaemon::start();
    let (_server, admin) = ready(&daemon);
    admin.put(LAB, json!({"max_retry": 9})).expect(200);
    let before = (daemon.client(&["get", "lab", "findtime"]), daemon.client(&["get", "lab", "failregex"]));
    // A fault of the daemon's own, put into it by way of an action in Python: it takes 9 and has 8.
    let faulty = "from fail2ban.server.action import ActionBase\n\
                  from fail2ban.server.filter import Filter\n\
                  taken = Filter.setMaxRetry\n\
                  Filter.setMaxRetry = lambda self, value: taken(self, 8 if int(value) == 9 else value)\n\
                  class Action(ActionBase): pass\n";
    let file = daemon.path("action.d/faulty.py");
    fs::write(&file, faulty).unwrap();
    daemon.client(&["set", "slow", "addaction", "faulty", &file.display().to_string(), "{}"]);
    let refused = admin.post_empty(COMMIT).expect(409).json();
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("'lab' has maxretry = 8, the files say 9"), "{detail}");
    assert!(!daemon.path("jail.d/zz-bangui-lab.local").exists(), "the files are as before");
    let after = (daemon.client(&["get", "lab", "findtime"]), daemon.client(&["get", "lab", "failregex"]));
    assert_eq!(after, before);
    assert_eq!(admin.get(LAB).expect(200).json()["jail"]["pending_changes"], json!(["max_retry"]));
    // Edited by hand there is nothing to be put back, and it is said all the same.
    fs::write(daemon.path("jail.d/by-hand.local"), "[lab]\nmaxretry = 9\n").unwrap();
    let refused = admin.post_empty("/api/v1/jails/lab/reload").expect(409).json();
    assert!(refused["detail"].as_str().unwrap().contains("maxretry = 8, the files say 9"), "{refused}");
}
