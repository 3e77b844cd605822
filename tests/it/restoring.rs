//! How far fail2ban has come with restoring its bans after a start, as a page shows it: told while it goes on, and no longer.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::Server;
use crate::harness::wait_until;

const LIMIT: Duration = Duration::from_secs(30);
const BANS: u64 = 12;

#[test]
fn how_far_the_restore_is_is_told_until_it_is_done() {
    let mut daemon = RealDaemon::start();
    let ips: Vec<String> = (1..=BANS).map(|n| format!("203.0.113.{n}")).collect();
    let words: Vec<&str> = ["set", "lab", "banip"].into_iter().chain(ips.iter().map(String::as_str)).collect();
    daemon.client(&words);
    daemon.client(&["set", "sshd", "banip", "192.0.2.1", "192.0.2.2"]);
    let written = || {
        let database = rusqlite::Connection::open(daemon.path("f.sqlite3")).unwrap();
        database.query_row("SELECT count(*) FROM bips", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    wait_until("what the daemon writes down", LIMIT, || written() == BANS as i64 + 2);
    // Each takes a while from now on, and one of sshd is not restored at all.
    let action = "[Definition]\nactionstart =\nactionstop =\nactioncheck =\nactionban = sleep 0.4\nactionunban =\n";
    fs::write(daemon.path("action.d/lazy.conf"), action).unwrap();
    fs::write(daemon.path("jail.local"), "[lab]\naction = lazy\n[sshd]\nignoreip = 192.0.2.1\n").unwrap();
    let (_server, admin) = Server::ready(&daemon);
    let status = || {
        let answer = admin.get("/api/v1/dashboard/status");
        if answer.status == 200 { answer.json()["status"].clone() } else { Value::Null }
    };
    assert_eq!(status()["restoring"], json!(null));
    daemon.stop();
    daemon.start_again();
    let mut seen = Value::Null;
    wait_until("a restore that goes on", LIMIT, || {
        seen = status()["restoring"].clone();
        seen["restored"].as_u64().is_some_and(|restored| restored > 2)
    });
    // All jails together; of sshd's, the one that is not ignored.
    assert_eq!(seen["of"].as_u64().filter(|of| (BANS..=BANS + 1).contains(of)), seen["of"].as_u64(), "{seen}");
    assert_eq!(seen["sentence"], format!("still restoring: {} of {}", seen["restored"], seen["of"]));
    let lab = || {
        let jails = admin.get("/api/v1/jails").expect(200).json();
        jails["items"].as_array().unwrap().iter().find(|jail| jail["name"] == "lab").unwrap().clone()
    };
    let jail = lab();
    assert_eq!(jail["restoring"]["of"], BANS, "{jail}");
    assert_eq!(jail["restoring"]["restored"], jail["status"]["currently_banned"], "{jail}");
    wait_until("its end", LIMIT, || status()["restoring"].is_null() && status()["total_bans"] == BANS + 1);
    assert_eq!(lab()["restoring"], json!(null));
    // As many as fail2ban itself counts.
    let told = daemon.client(&["status", "lab"]);
    assert!(told.contains(&format!("Currently banned:\t{BANS}")), "{told}");
    assert_eq!(lab()["status"]["currently_banned"], BANS);
}
