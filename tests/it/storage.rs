//! The archive while the disk, the file system or the clock fails it: nothing is lost or counted twice, the health check is honest, and all
//! is well again by itself.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::archive::{assert_all_agree, fill};
use crate::harness::client::{Client, PASSWORD};
use crate::harness::http::Answer;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::shim::Shim;
use crate::harness::{left_out, wait_until};
use crate::history::{keeper, made_database, wait_for_archive};

const LIMIT: Duration = Duration::from_secs(30);
const DAY: i64 = 86_400;
const THRESHOLDS: &str = "/api/v1/config/map-color-thresholds";

fn health(admin: &Client) -> Value {
    admin.get("/api/v1/health").json()
}

/// Whether the health check names a component as ailing.
fn ails(admin: &Client, component: &str) -> bool {
    health(admin)["components"].as_array().unwrap().contains(&json!(component))
}

#[track_caller]
fn wait_for_health(admin: &Client, component: &str, ailing: bool) {
    wait_until(&format!("{component}, ailing: {ailing}"), LIMIT, || ails(admin, component) == ailing);
}

fn write_something(admin: &Client) -> u16 {
    admin.put(THRESHOLDS, json!({"threshold_high": 3, "threshold_medium": 2, "threshold_low": 1})).status
}

/// More bans for fail2ban's database, of addresses that `fill` has not made.
fn more(fail2ban: &Connection, number: u32) {
    let now = jiff::Timestamp::now().as_second();
    let sql = format!(
        "BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number})
         INSERT INTO bans SELECT 'more', '6.0.' || (i >> 8 & 255) || '.' || (i & 255), {now} - i, 600, 1,
         '{{\"matches\": [\"a line of a log\"], \"failures\": 3}}' FROM n; COMMIT;"
    );
    fail2ban.execute_batch(&sql).unwrap();
}

#[test]
fn a_full_disk_is_told_and_what_it_kept_out_comes_in_later() {
    if !can_mount() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.sqlite3");
    let fail2ban = fill(&path, 500);
    let (server, admin) = keeper(&path).on_disk("8m").start().into_ready();
    wait_for_archive(&admin, 500);
    assert!(!ails(&admin, "database"));
    let filler = server.disk().join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while file.write_all(&[0x55; 4096]).is_ok() {}
    more(&fail2ban, 3000);
    wait_for_health(&admin, "database", true);
    assert_eq!((&health(&admin)["database"], write_something(&admin)), (&json!("error"), 503));
    // What is there is served all the same, and agrees with itself.
    let kept = assert_all_agree(&admin, "archive");
    assert!((500..3500).contains(&kept), "{kept}");
    drop(file);
    std::fs::remove_file(filler).unwrap();
    wait_for_health(&admin, "database", false);
    wait_for_archive(&admin, 3500);
    assert_eq!((assert_all_agree(&admin, "archive"), write_something(&admin)), (3500, 200));
}

/// The command as a person calls it at the machine of this server: whether it went well, and all that it said.
fn command(server: &Server, daemon: &RealDaemon, arguments: &[&str]) -> (bool, String) {
    let output = Command::new("timeout")
        .args(["--kill-after=1", "30", env!("CARGO_BIN_EXE_bangui")])
        .args(arguments)
        .arg("--database")
        .arg(server.disk().join("bangui.db"))
        .arg("--fail2ban-socket")
        .arg(daemon.socket())
        .arg("--fail2ban-config")
        .arg(daemon.config())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn on_a_full_disk_everybody_can_be_let_out_and_nothing_is_in_force_that_is_not_noted() {
    if !can_mount() {
        return;
    }
    let daemon = RealDaemon::start();
    let (server, admin) = Launch::for_real(&daemon).on_disk("8m").start().into_ready();
    let bans = "/api/v1/bans";
    let ip = |last: u8| format!("203.0.113.{last}");
    for last in 1..=5 {
        admin.post(bans, json!({"ip": ip(last), "jail": "lab", "duration": "1h", "note": "before"})).expect(201);
    }
    let max_retry = daemon.client(&["get", "lab", "maxretry"]);
    let filler = server.disk().join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while file.write_all(&[0x55; 4096]).is_ok() {}
    drop(file);

    // What cannot be noted is not set, and the answer says what to do.
    let refused =
        admin.put("/api/v1/config/jails/lab", json!({"max_retry": 9})).expect_error(503, "storage_unavailable");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("bangui.db") && detail.contains("disk is full") && detail.contains("Make room"),
        "{detail}"
    );
    assert_eq!(daemon.client(&["get", "lab", "maxretry"]), max_retry);
    let jail = admin.get("/api/v1/config/jails/lab").expect(200).json();
    assert_eq!(jail["jail"]["pending_changes"], json!([]), "{jail}");
    let stranger = server.client().post("/api/v1/auth/login", json!({"password": PASSWORD})).expect(503).json();
    assert!(!stranger["detail"].as_str().unwrap().contains("bangui.db"), "{stranger}");

    // Everybody is let out all the same, and told what is not noted.
    let told =
        |answer: &Answer| assert!(answer.header("x-bangui-warning").unwrap().contains("noted later"), "{answer}");
    told(&admin.delete_with(bans, json!({"ip": ip(1), "jail": "lab", "note": "a customer"})).expect(200));
    told(&admin.post_empty(&format!("/api/v1/addresses/{}/release", ip(2))).expect(200));
    told(&admin.post("/api/v1/bans/bulk/remove", json!({"ips": [ip(3)], "jail": "lab"})).expect(200));
    told(&admin.post(bans, json!({"ip": ip(9), "jail": "lab", "duration": "2h", "note": "during"})).expect(201));
    let (is_well, said) = command(&server, &daemon, &["unban", &ip(4)]);
    assert!(is_well && said.contains("is no longer banned") && said.contains("noted later"), "{said}");
    let mut banned = daemon.banned("lab");
    banned.sort();
    assert_eq!(banned, [ip(5), ip(9)]);
    let (is_well, said) = command(&server, &daemon, &["check"]);
    assert!(!is_well && said.contains("bangui.db: it takes no writes") && said.contains("full"), "{said}");

    // With room again it is noted by itself, by whom and why.
    std::fs::remove_file(filler).unwrap();
    wait_for_health(&admin, "database", false);
    let of = |last: u8| {
        let path = format!("/api/v1/history?source=archive&ip={}", ip(last));
        admin.get(&path).expect(200).json()["items"].clone()
    };
    wait_until("the lifts are noted", LIMIT, || (1..=4).all(|last| !of(last)[0]["lifted_at"].is_null()));
    assert_eq!((&of(1)[0]["lifted_note"], &of(1)[0]["lifted_by"]["kind"]), (&json!("a customer"), &json!("user")));
    wait_until("the ban is noted", LIMIT, || of(9)[0]["note"] == "during");
    assert_eq!((of(9).as_array().unwrap().len(), &of(5)[0]["lifted_at"]), (1, &Value::Null));
    assert!(command(&server, &daemon, &["check"]).1.contains("setup is done"));
    admin.put("/api/v1/config/jails/lab", json!({"max_retry": 9})).expect(200);
    assert_eq!(daemon.client(&["get", "lab", "maxretry"]), "9");
    assert!(admin.delete_with(bans, json!({"ip": ip(5)})).expect(200).header("x-bangui-warning").is_none());
}

#[test]
fn a_disk_that_turns_read_only_is_told_and_what_it_kept_out_comes_in_later() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.sqlite3");
    let fail2ban = fill(&path, 500);
    let mut shim = Shim::new();
    let (_server, admin) = shim.launch(keeper(&path)).start().into_ready();
    wait_for_archive(&admin, 500);
    shim.set_read_only(true);
    more(&fail2ban, 1000);
    wait_for_health(&admin, "database", true);
    assert_eq!(write_something(&admin), 503);
    assert_eq!(assert_all_agree(&admin, "archive"), 500);
    shim.set_read_only(false);
    wait_for_health(&admin, "database", false);
    wait_for_archive(&admin, 1500);
    assert_eq!((assert_all_agree(&admin, "archive"), write_something(&admin)), (1500, 200));
}

/// Whether file systems of a test's own can be mounted: by root, or where everybody may be root in a name space of his own.
pub fn can_mount() -> bool {
    let script = "mount -t tmpfs tmpfs /mnt";
    let output = Command::new("unshare").args(["--map-root-user", "--mount", "sh", "-c", script]).output().unwrap();
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        left_out(&format!("a disk that is full or read-only: {}", why.trim()));
    }
    output.status.success()
}

#[test]
fn on_a_read_only_file_system_it_does_not_start_and_says_why() {
    if !can_mount() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs tmpfs \"$0\" && mount -o remount,ro \"$0\" && exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .arg(directory.path())
        .args([env!("CARGO_BIN_EXE_bangui"), "serve", "--listen", "127.0.0.1:0", "--database"])
        .arg(directory.path().join("b.db"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("Read-only file system") && said.contains("--database"),
        "{said}"
    );
}

#[test]
fn a_clock_set_back_a_day_loses_and_doubles_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.sqlite3");
    let fail2ban = fill(&path, 800);
    let mut shim = Shim::new();
    // The server's clock is a day ahead, as is that of the daemon that wrote these last bans.
    shim.set_clock_off(DAY);
    let ahead = jiff::Timestamp::now().as_second() + DAY - 60;
    let ban = |ip: &str, at: i64| {
        let sql = format!("INSERT INTO bans VALUES('ahead', '{ip}', {at}, 600, 1, NULL)");
        fail2ban.execute_batch(&sql).unwrap();
    };
    ban("7.7.7.1", ahead);
    let (mut server, admin) = shim.launch(keeper(&path)).start().into_ready();
    wait_for_archive(&admin, 801);
    assert_eq!(assert_all_agree(&admin, "archive"), 801);
    shim.set_clock_off(0);
    // The same address a minute later by the clock that is right now, which is a day earlier.
    ban("7.7.7.1", ahead - DAY + 60);
    wait_for_archive(&admin, 802);
    // The ban of tomorrow is in no range of today; everything that is, is there once.
    assert_eq!(assert_all_agree(&admin, "archive"), 801);
    server.kill();
    server.start_again();
    let admin = server.client().with_identity(admin.identity);
    wait_for_archive(&admin, 802);
    assert_eq!(assert_all_agree(&admin, "archive"), 801);
    shim.set_clock_off(DAY);
    wait_until("tomorrow", LIMIT, || {
        let ranges = admin.get("/api/v1/dashboard/bans/by-jail?range=30d&source=archive").expect(200).json();
        ranges["total"] == 802
    });
    assert_eq!(assert_all_agree(&admin, "archive"), 802);
}

#[test]
fn a_database_of_fail2bans_that_cannot_be_read_is_an_ailing_component() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Launch::for_real(&daemon).env("BANGUI_ARCHIVE_SECONDS", "1").start().into_ready();
    wait_until("all well", LIMIT, || admin.get("/api/v1/health").status == 200);
    wait_until("their database is known", LIMIT, || health(&admin)["fail2ban_database"] == "ok");
    let path = daemon.path("f.sqlite3");
    let aside = daemon.path("aside.sqlite3");
    for damage in [None, Some(vec![b'x'; 9000]), Some(Vec::new())] {
        std::fs::rename(&path, &aside).unwrap();
        if let Some(bytes) = &damage {
            std::fs::write(&path, bytes).unwrap();
        }
        wait_for_health(&admin, "fail2ban_database", true);
        let answer = admin.get("/api/v1/health").expect(503).json();
        assert_eq!((&answer["status"], &answer["fail2ban_database"]), (&json!("degraded"), &json!("error")));
        admin.get("/api/v1/history").expect_error(502, "fail2ban_database_unreadable");
        std::fs::rename(&aside, &path).unwrap();
        wait_for_health(&admin, "fail2ban_database", false);
        admin.get("/api/v1/health").expect(200);
    }
}

#[test]
fn while_fail2ban_writes_its_database_for_long_the_archive_answers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.sqlite3");
    let fail2ban = made_database(&path, &[("lab", "203.0.113.1", 60)]);
    let (_server, admin) = keeper(&path).start().into_ready();
    wait_for_archive(&admin, 1);
    fail2ban.execute_batch("BEGIN EXCLUSIVE").unwrap();
    admin.get("/api/v1/history").expect_error(502, "fail2ban_database_unreadable");
    admin.get("/api/v1/dashboard/bans/by-country").expect_error(502, "fail2ban_database_unreadable");
    assert_eq!(admin.get("/api/v1/history/203.0.113.1").expect(200).json()["total_bans"], 1);
    assert!(!ails(&admin, "fail2ban_database"), "a moment is no trouble");
    fail2ban.execute_batch("COMMIT").unwrap();
    admin.get("/api/v1/history").expect(200);
}

#[test]
fn a_clock_that_is_set_after_the_start_ends_no_session_and_mixes_up_no_ban() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.sqlite3");
    fill(&path, 300);
    let mut shim = Shim::new();
    // A router without a battery for its clock begins in 1970.
    shim.set_clock_off(60 - jiff::Timestamp::now().as_second());
    let (_server, admin) = shim.launch(keeper(&path)).start().into_ready();
    wait_for_archive(&admin, 300);
    let session = admin.get("/api/v1/auth/session").expect(200).json();
    assert!(session["expires_at"].as_str().unwrap().starts_with("1970-"), "{session}");
    shim.set_clock_off(0);
    let session = admin.get("/api/v1/auth/session").expect(200).json();
    assert!(session["expires_at"].as_str().unwrap() > "2026-", "{session}");
    assert_eq!(assert_all_agree(&admin, "archive"), 300);
    assert_eq!(write_something(&admin), 200);
}
