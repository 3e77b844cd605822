//! The way out: fail2ban hung, dead or killed, each brought back by `POST /config/restart`, and its files edited meanwhile.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::harness::client::Client;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::wait_until;

const RESTART: &str = "/api/v1/config/restart";
/// On this a daemon hangs with the expression below.
const EVIL_LINE: &str = "lab: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const EVIL: &str = "[Definition]\nfailregex = ^lab: (?:a|aa)+b <HOST>$\nignoreregex =\n";

/// A server for the daemon, which its own script starts again.
fn launch(daemon: &RealDaemon) -> (Server, Client) {
    let command = daemon.start_command().display().to_string();
    let logs = daemon.config().display().to_string();
    Launch::for_real(daemon)
        .env("BANGUI_FAIL2BAN_START_COMMAND", &command)
        .env("BANGUI_ALLOWED_LOG_DIRS", &logs)
        .start()
        .into_ready()
}

fn pid(daemon: &RealDaemon) -> i32 {
    fs::read_to_string(daemon.path("f.pid")).unwrap().trim().parse().unwrap()
}

fn signal(pid: i32, signal: i32) {
    // SAFETY: kill takes two numbers; the process is the daemon of this test.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

/// It is another process, it answers, and everything works again at once.
#[track_caller]
fn is_well_again(daemon: &RealDaemon, admin: &Client, former: i32) {
    assert_ne!(pid(daemon), former, "it is another process");
    daemon.wait_for_pong();
    admin.post_empty("/api/v1/config/reload").expect(204);
    admin.get("/api/v1/jails").expect(200);
}

#[test]
fn a_stopped_process_is_restarted_and_what_it_left_is_told() {
    let daemon = RealDaemon::start();
    let (server, admin) = launch(&daemon);
    admin.post("/api/v1/bans", json!({"ip": "203.0.113.9", "jail": "lab"})).expect(201);
    let former = pid(&daemon);
    signal(former, libc::SIGSTOP);
    // A few questions fill its queue of connections.
    wait_until("it is found to hang", Duration::from_secs(10), || admin.get("/api/v1/jails").status == 503);
    let refused = admin.post_empty("/api/v1/config/reload").expect_error(503, "busy").json();
    assert!(refused["detail"].as_str().unwrap().contains("/config/restart"), "{refused}");
    assert_eq!(refused["metadata"]["reason"], "timeout");
    admin.post_empty(RESTART).expect(204);
    is_well_again(&daemon, &admin, former);
    assert!(server.log().contains("did not answer any more"), "{}", server.log());
    wait_until("the ban is back", Duration::from_secs(10), || daemon.banned("lab") == ["203.0.113.9"]);
}

#[test]
fn an_expression_that_hangs_the_daemon_is_mended_and_the_daemon_restarted() {
    let mut daemon = RealDaemon::configured();
    fs::write(daemon.path("filter.d/lab.conf"), EVIL).unwrap();
    daemon.start_again();
    let (_server, admin) = launch(&daemon);
    admin.get("/api/v1/jails").expect(200);
    let former = pid(&daemon);
    daemon.append_log("lab.log", EVIL_LINE);
    wait_until("it hangs", Duration::from_secs(20), || admin.get("/api/v1/jails").status == 503);
    // Files are edited all the same, and the answer says that nothing of it is in force.
    let filter = admin.put("/api/v1/config/filters/lab", json!({"failregex": ["^lab: bad <HOST>$"]})).expect(200);
    assert!(filter.header("x-bangui-warning").unwrap().contains("not yet in force"), "{filter}");
    let warnings = filter.json()["warnings"].to_string();
    assert!(warnings.contains("not yet in force"), "{warnings}");
    let text = fs::read_to_string(daemon.path("filter.d/lab.local")).unwrap();
    assert!(text.contains("^lab: bad <HOST>$"), "{text}");
    let global = admin.put("/api/v1/config/global", json!({"log_level": "NOTICE"})).expect(204);
    assert!(global.header("x-bangui-warning").is_some(), "{global}");
    let made = admin.post(
        "/api/v1/config/jails",
        json!({"name": "made", "filter": "lab", "enabled": true,
        "log_paths": [daemon.path("off.log")], "backend": "polling"}),
    );
    assert!(made.expect(201).header("x-bangui-warning").is_some());
    let set = admin.put("/api/v1/config/jails/lab", json!({"max_retry": 7})).expect(200);
    assert!(set.header("x-bangui-warning").is_some(), "{set}");
    admin.post_empty("/api/v1/config/reload").expect_error(503, "busy");
    let restarted = admin.post_empty(RESTART).expect(204);
    assert!(restarted.elapsed < Duration::from_secs(60), "{:?}", restarted.elapsed);
    is_well_again(&daemon, &admin, former);
    assert!(daemon.client(&["status"]).contains("made"));
    assert_eq!(daemon.client(&["get", "loglevel"]), "Current logging level is 'NOTICE'");
    wait_until("pending values are set again", Duration::from_secs(10), || {
        daemon.client(&["get", "lab", "maxretry"]) == "7"
    });
}

#[test]
fn a_pending_expression_that_hangs_the_daemon_does_not_outlive_the_restart() {
    let daemon = RealDaemon::start();
    let (_server, admin) = launch(&daemon);
    admin.put("/api/v1/config/jails/lab", json!({"max_retry": 8})).expect(200);
    // Whatever is judged of expressions before they are taken, one may get through.
    daemon.client(&["set", "lab", "addfailregex", "^lab: (?:a|aa)+b <HOST>$"]);
    admin.put("/api/v1/config/jails/lab", json!({"ignore_regex": ["^lab: fine$"]})).expect(200);
    let former = pid(&daemon);
    daemon.append_log("lab.log", EVIL_LINE);
    wait_until("it hangs", Duration::from_secs(20), || admin.get("/api/v1/jails").status == 503);
    let answer = admin.post_empty(RESTART).expect(204);
    assert!(answer.header("x-bangui-warning").unwrap().contains("lab"), "{answer}");
    is_well_again(&daemon, &admin, former);
    let pending = admin.get("/api/v1/config/jails/lab").expect(200).json()["jail"]["pending_changes"].clone();
    assert_eq!(pending, json!(["max_retry"]));
}

#[test]
fn a_dead_daemon_is_started_however_it_ended() {
    let mut daemon = RealDaemon::configured();
    let (_server, admin) = launch(&daemon);
    admin.get("/api/v1/jails").expect_error(502, "fail2ban_unreachable");
    admin.post_empty(RESTART).expect(204);
    is_well_again(&daemon, &admin, 0);
    let former = pid(&daemon);
    daemon.client(&["stop"]);
    wait_until("its end", Duration::from_secs(20), || !daemon.socket().exists());
    admin.post_empty(RESTART).expect(204);
    is_well_again(&daemon, &admin, former);
    let former = pid(&daemon);
    daemon.kill();
    assert!(daemon.socket().exists(), "a killed one leaves its socket");
    admin.post_empty(RESTART).expect(204);
    is_well_again(&daemon, &admin, former);
    // One that runs on, though somebody has removed its socket.
    let former = pid(&daemon);
    fs::remove_file(daemon.socket()).unwrap();
    admin.post_empty(RESTART).expect(204);
    is_well_again(&daemon, &admin, former);
}

#[test]
fn rules_that_a_killed_daemon_left_are_named() {
    let mut daemon = RealDaemon::start();
    let (_server, admin) = launch(&daemon);
    admin.post("/api/v1/bans", json!({"ip": "203.0.113.7", "jail": "lab"})).expect(201);
    wait_until("the ban is on disk", Duration::from_secs(10), || daemon.client(&["banned"]).contains("203.0.113.7"));
    daemon.kill();
    // The files no longer have the jail, so that nobody will take its bans up.
    fs::write(daemon.path("jail.local"), "[lab]\nenabled = false\n").unwrap();
    let answer = admin.post_empty(RESTART).expect(204);
    assert!(answer.header("x-bangui-warning").unwrap().contains("lab: 203.0.113.7"), "{answer}");
}

#[test]
fn what_the_start_said_is_told() {
    let mut daemon = RealDaemon::start();
    let script = daemon.path("bad.sh");
    fs::write(&script, "#!/bin/sh\necho 'no such device, said the start' >&2\nexit 1\n").unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (_server, admin) =
        Launch::for_real(&daemon).env("BANGUI_FAIL2BAN_START_COMMAND", script.to_str().unwrap()).start().into_ready();
    daemon.stop();
    let error = admin.post_empty(RESTART).expect_error(503, "fail2ban_not_back").json();
    assert!(error["detail"].as_str().unwrap().contains("no such device, said the start"), "{error}");
    // Nothing is there that could start it: only then it is out of reach.
    let (_other, admin) =
        Launch::for_real(&daemon).env("BANGUI_FAIL2BAN_START_COMMAND", "/nonexistent/start").start().into_ready();
    let error = admin.post_empty(RESTART).expect_error(502, "fail2ban_unreachable").json();
    assert_eq!(error["metadata"]["reason"], "absent");
    // And it is not started with files it would refuse.
    let (_third, admin) = launch(&daemon);
    fs::write(daemon.path("jail.local"), "[lab]\nbantime = soon\n").unwrap();
    let error = admin.post_empty(RESTART).expect_error(409, "fail2ban_command_failed").json();
    assert!(error["detail"].as_str().unwrap().contains("bantime"), "{error}");
}
