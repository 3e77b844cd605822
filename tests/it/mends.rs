//! Why fail2ban does not run, and what is offered to get it running: each offer is sent as it stands, and a real fail2ban runs afterwards.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::{not_installed, wait_until};

const STATUS: &str = "/api/v1/config/service-status";

fn launch(daemon: &RealDaemon) -> (Server, Client) {
    Launch::for_real(daemon).start().into_ready()
}

fn mends(admin: &Client) -> Vec<Value> {
    admin.get(STATUS).expect(200).json()["mends"].as_array().unwrap().clone()
}

/// What is offered: id and jail of each.
fn offered(admin: &Client) -> Vec<(String, Value)> {
    mends(admin).iter().map(|mend| (mend["id"].as_str().unwrap().to_owned(), mend["jail"].clone())).collect()
}

fn ids(of: &[(&str, Value)]) -> Vec<(String, Value)> {
    of.iter().map(|(id, jail)| ((*id).to_owned(), jail.clone())).collect()
}

/// Sends what a mend says, in its order.
#[track_caller]
fn press(admin: &Client, id: &str, jail: &Value) {
    let all = mends(admin);
    let mend = all.iter().find(|mend| mend["id"] == id && mend["jail"] == *jail).unwrap_or_else(|| panic!("{all:?}"));
    for request in mend["requests"].as_array().unwrap() {
        let path = request["path"].as_str().unwrap();
        let answer = match (request["method"].as_str().unwrap(), &request["body"]) {
            ("PUT", body) => admin.put(path, body.clone()),
            ("POST", Value::Null) => admin.post_empty(path),
            other => panic!("{other:?}"),
        };
        assert!(answer.status < 300, "{path}: {answer}");
    }
}

#[track_caller]
fn runs(admin: &Client, jails: &[&str]) {
    // It has answered a ping; its jails it may still be making.
    let mut status = Value::Null;
    wait_until("fail2ban to run", Duration::from_secs(20), || {
        status = admin.get(STATUS).expect(200).json();
        status["online"] == true && status["jail_count"] == jails.len()
    });
    assert_eq!(status["mends"], json!([]), "{status}");
    let listed = admin.get("/api/v1/jails").expect(200).json();
    let mut names: Vec<&str> =
        listed["items"].as_array().unwrap().iter().filter_map(|jail| jail["name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, jails);
}

#[test]
fn one_that_was_not_started_is_started_and_one_that_hangs_is_started_again() {
    let mut daemon = RealDaemon::configured();
    let (_server, admin) = launch(&daemon);
    assert_eq!(offered(&admin), ids(&[("start", Value::Null)]));
    press(&admin, "start", &Value::Null);
    runs(&admin, &["lab", "slow", "sshd"]);
    // Killed, with its socket left behind.
    daemon.kill();
    assert_eq!(admin.get(STATUS).expect(200).json()["reason"], "refused");
    press(&admin, "start", &Value::Null);
    runs(&admin, &["lab", "slow", "sshd"]);
}

#[test]
fn a_jail_whose_log_is_missing_is_switched_off_and_the_others_start() {
    let daemon = RealDaemon::configured();
    fs::write(daemon.path("jail.local"), "[lab]\nlogpath = /nonexistent/lab.log\n[slow]\nbantime = soon\n").unwrap();
    let (_server, admin) = launch(&daemon);
    // Neither filter reads a journal, and two are wrong: the first mend does not start anything yet.
    assert_eq!(offered(&admin), ids(&[("switch_off", json!("lab")), ("switch_off", json!("slow"))]));
    press(&admin, "switch_off", &json!("lab"));
    assert_eq!(offered(&admin), ids(&[("switch_off", json!("slow"))]));
    press(&admin, "switch_off", &json!("slow"));
    runs(&admin, &["sshd"]);
}

#[test]
fn sshd_without_a_log_file_reads_the_journal_instead() {
    let daemon = RealDaemon::configured();
    fs::write(daemon.path("jail.local"), "[sshd]\nlogpath = /nonexistent/auth.log\n").unwrap();
    let (_server, admin) = launch(&daemon);
    let can = ["/var/log/journal", "/run/log/journal"].iter().any(|path| Path::new(path).exists())
        && ["/usr/lib/python3/dist-packages/systemd", "/usr/lib/python3/site-packages/systemd"]
            .iter()
            .any(|path| Path::new(path).exists());
    if !can {
        // Then it is not offered, either.
        assert_eq!(offered(&admin), ids(&[("switch_off", json!("sshd"))]));
        not_installed("reading the journal instead of a log: there is none, or no python3-systemd");
        return;
    }
    assert_eq!(offered(&admin), ids(&[("read_journal", json!("sshd")), ("switch_off", json!("sshd"))]));
    press(&admin, "read_journal", &json!("sshd"));
    runs(&admin, &["lab", "slow", "sshd"]);
    let jail = admin.get("/api/v1/config/jails/sshd").expect(200).json();
    assert_eq!(jail["jail"]["backend"], "systemd");
}

#[test]
fn what_only_an_editor_mends_is_offered_nothing_for() {
    let daemon = RealDaemon::configured();
    fs::write(daemon.path("jail.local"), "no section\n").unwrap();
    let (_server, admin) = launch(&daemon);
    assert_eq!(offered(&admin), ids(&[]));
    // A jail of a name that no file of ours can have, and one whose own file names the log that is missing.
    fs::write(daemon.path("jail.local"), "[my jail]\nenabled = true\nfilter = lab\nlogpath = /nonexistent/x.log\n")
        .unwrap();
    assert_eq!(offered(&admin), ids(&[]));
    fs::write(daemon.path("jail.local"), "").unwrap();
    fs::create_dir_all(daemon.path("jail.d")).unwrap();
    fs::write(daemon.path("jail.d/zz-bangui-sshd.local"), "[sshd]\nlogpath = /nonexistent/auth.log\n").unwrap();
    assert_eq!(offered(&admin), ids(&[("switch_off", json!("sshd"))]));
}
