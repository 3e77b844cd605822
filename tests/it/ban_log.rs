//! Bans that fail2ban makes and loses between two looks: its log tells of them, through rotations and restarts, with a database and
//! without.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use crate::archive_own::archived;
use crate::harness::client::Client;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::wait_until;
use crate::history::wait_for_archive;

const LIMIT: Duration = Duration::from_secs(30);

/// Its next look into the daemon's database by itself would be in an hour.
fn served(daemon: &RealDaemon) -> (Server, Client) {
    let launch = Launch::for_real(daemon).env("BANGUI_ARCHIVE_SECONDS", "3600");
    let (server, admin) = launch.start().into_ready();
    wait_for_watch(&server, daemon);
    (server, admin)
}

/// Waits until the server has the daemon's log open.
fn wait_for_watch(server: &Server, daemon: &RealDaemon) {
    let log = daemon.path("f.log");
    wait_until("the log is open", LIMIT, || {
        let files = fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
        files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|target| target == log))
    });
}

fn name(n: usize) -> String {
    format!("198.51.{}.{}", n / 200, n % 200 + 1)
}

/// Bans these, lifts every second one at once, and bans every fourth once more. Gives how often each was banned.
pub fn churn(daemon: &RealDaemon, from: usize, count: usize) -> BTreeMap<String, usize> {
    let all: Vec<String> = (from..from + count).map(name).collect();
    let every = |step: usize| all.iter().step_by(step).cloned().collect::<Vec<_>>();
    let mut told = BTreeMap::new();
    for (word, some) in [("banip", every(1)), ("unbanip", every(2)), ("banip", every(4)), ("unbanip", every(4))] {
        let words: Vec<&str> = ["set", "lab", word].into_iter().chain(some.iter().map(String::as_str)).collect();
        daemon.client(&words);
        if word == "banip" {
            // A ban is made by the jail a moment later, and one that is lifted before is none.
            wait_until("they are banned", LIMIT, || {
                let banned = daemon.banned("lab");
                some.iter().all(|ip| banned.contains(ip))
            });
            some.iter().for_each(|ip| *told.entry(ip.clone()).or_insert(0) += 1);
        }
    }
    told
}

#[track_caller]
fn expect_each_once(admin: &Client, told: &BTreeMap<String, usize>) {
    wait_for_archive(admin, told.values().sum::<usize>() as u64);
    let mut kept: BTreeMap<String, usize> = BTreeMap::new();
    let mut page = 1;
    loop {
        let list = admin.get(&format!("/api/v1/history/archive?page_size=500&page={page}")).expect(200).json();
        let items = list["items"].as_array().unwrap();
        items.iter().for_each(|item| *kept.entry(item["ip"].as_str().unwrap().to_owned()).or_insert(0) += 1);
        if items.len() < 500 {
            break;
        }
        page += 1;
    }
    let differing: Vec<_> = kept.iter().filter(|(ip, count)| told.get(*ip) != Some(count)).take(5).collect();
    assert!(kept == *told, "{} and {}: {differing:?}", kept.len(), told.len());
}

#[test]
fn none_is_missing_and_none_is_there_twice() {
    let daemon = RealDaemon::start();
    let (_server, admin) = served(&daemon);
    let mut told = BTreeMap::new();
    for part in 0..2 {
        told.append(&mut churn(&daemon, part * 150, 150));
    }
    expect_each_once(&admin, &told);
    // What the database still has is read on top of it.
    admin.delete_with("/api/v1/bans", serde_json::json!({"ip": "203.0.113.250"})).expect(200);
    wait_until("the rows", LIMIT, || archived(&admin).iter().any(|item| !item["ban_time"].is_null()));
    expect_each_once(&admin, &told);
}

#[test]
fn the_same_without_a_database() {
    let mut daemon = RealDaemon::configured();
    fs::write(daemon.path("fail2ban.local"), "[Definition]\ndbfile = None\n").unwrap();
    daemon.start_again();
    let (mut server, admin) = served(&daemon);
    let mut told = churn(&daemon, 0, 60);
    expect_each_once(&admin, &told);
    // While nobody reads it goes on.
    server.kill();
    told.append(&mut churn(&daemon, 100, 60));
    server.start_again();
    let admin = server.client().login();
    expect_each_once(&admin, &told);
}

#[test]
fn a_log_that_is_rotated_is_read_on_and_so_is_the_new_one() {
    let daemon = RealDaemon::start();
    let (mut server, admin) = served(&daemon);
    let (log, moved) = (daemon.path("f.log"), daemon.path("f.log.1"));
    let mut told = churn(&daemon, 0, 10);
    // As logrotate does: moved away, made anew, and the daemon told a little later.
    fs::rename(&log, &moved).unwrap();
    told.append(&mut churn(&daemon, 10, 10));
    fs::write(&log, "").unwrap();
    told.append(&mut churn(&daemon, 20, 10));
    daemon.client(&["flushlogs"]);
    told.append(&mut churn(&daemon, 30, 10));
    expect_each_once(&admin, &told);
    // Emptied in its place.
    fs::write(&log, "").unwrap();
    told.append(&mut churn(&daemon, 40, 10));
    expect_each_once(&admin, &told);
    // Moved away while nobody reads.
    server.kill();
    told.append(&mut churn(&daemon, 50, 10));
    fs::rename(&log, &moved).unwrap();
    daemon.client(&["flushlogs"]);
    told.append(&mut churn(&daemon, 60, 10));
    server.start_again();
    let admin = server.client().login();
    wait_for_watch(&server, &daemon);
    told.append(&mut churn(&daemon, 70, 10));
    expect_each_once(&admin, &told);
}
