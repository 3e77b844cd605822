//! The daemon's own log: its end, as far as it is a file that may be read.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use crate::harness::client::Client;
use crate::harness::fake_daemon::FakeDaemon;
use crate::harness::pickle::{success, text};
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::operations::{demand_documented, provoke_general_refusals};

const LOG: &str = "/api/v1/config/fail2ban-log";

fn server(daemon: &RealDaemon) -> (Server, Client) {
    let logs = daemon.config().to_str().unwrap();
    Launch::for_real(daemon).env("BANGUI_ALLOWED_LOG_DIRS", logs).start().into_ready()
}

#[test]
fn every_documented_status_of_the_log() {
    let daemon = RealDaemon::start();
    let (server, admin) = server(&daemon);
    let log = admin.get(LOG).expect(200).json();
    let written = daemon.log();
    assert!(written.contains("Jail 'lab' started"));
    let lines: Vec<&str> = log["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert!(lines.iter().all(|line| written.contains(line)));
    assert_eq!((&log["log_level"], &log["log_target"]), (&json!("INFO"), &json!(daemon.path("f.log"))));
    let some = admin.get(&format!("{LOG}?lines=2&filter=Jail+%27")).expect(200).json();
    assert_eq!(some["lines"].as_array().unwrap().len(), 2);
    assert!(some["lines"].as_array().unwrap().iter().all(|line| line.as_str().unwrap().contains("Jail '")));
    assert!(some["total_lines"].as_u64() >= Some(2));
    for query in ["lines=0", "lines=2001", "lines=x", "lines=-1", "filter=%zz"] {
        admin.get(&format!("{LOG}?{query}")).expect_error(400, "invalid_input");
    }
    let many = format!("filter={}", "x".repeat(1001));
    admin.get(&format!("{LOG}?{many}")).expect_error(400, "invalid_input");
    drop(server);
    provoke_general_refusals(LOG);
    demand_documented(LOG);
}

#[test]
fn a_log_target_that_is_no_readable_file_is_400() {
    let daemon = RealDaemon::start();
    let outside = tempfile::tempdir().unwrap();
    let (_server, admin) = server(&daemon);
    fs::write(outside.path().join("secret"), "secret\n").unwrap();
    symlink(outside.path().join("secret"), daemon.path("link.log")).unwrap();
    let elsewhere = outside.path().join("x.log");
    for target in ["STDERR".to_owned(), elsewhere.display().to_string(), daemon.path("link.log").display().to_string()]
    {
        daemon.client(&["set", "logtarget", &target]);
        let refused = admin.get(LOG).expect_error(400, "invalid_input");
        assert!(!refused.json()["detail"].as_str().unwrap().contains("secret\n"));
    }
    // The daemon names one that is gone by now.
    let gone = daemon.path("gone.log");
    daemon.client(&["set", "logtarget", gone.to_str().unwrap()]);
    fs::remove_file(&gone).unwrap();
    admin.get(LOG).expect_error(400, "invalid_input");
}

#[test]
fn targets_that_only_a_hostile_daemon_names_are_not_opened() {
    let daemon = FakeDaemon::start();
    let (_server, admin) = Server::ready_fake(&daemon);
    for target in
        ["/etc/shadow", "/proc/self/environ", "/var/log/../../etc/shadow", "/dev/zero", "SYSLOG[facility=auth]", ""]
    {
        daemon.reply(&["get", "logtarget"], success(text(target)));
        let refused = admin.get(LOG);
        assert!(refused.elapsed.as_secs() < 3);
        refused.expect_error(400, "invalid_input");
    }
}
