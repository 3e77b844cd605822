//! Bans and lifts of ours in the archive: there before their command is sent, once, with who and why; and what the daemon forgets with a
//! lift is kept.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::wait_until;
use crate::history::wait_for_archive;

const BANS: &str = "/api/v1/bans";
const LIMIT: Duration = Duration::from_secs(20);

/// What the archive has, newest first.
pub fn archived(admin: &Client) -> Vec<Value> {
    let list = admin.get("/api/v1/history/archive?page_size=500").expect(200).json();
    list["items"].as_array().unwrap().clone()
}

fn of_address(admin: &Client, ip: &str) -> Vec<Value> {
    archived(admin).into_iter().filter(|item| item["ip"] == ip).collect()
}

#[test]
fn a_ban_and_a_lift_of_ours_are_there_at_once_with_who_and_why_and_once() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Launch::for_real(&daemon).env("BANGUI_ARCHIVE_SECONDS", "1").start().into_ready();
    for (ip, duration) in [("203.0.113.1", json!(null)), ("203.0.113.2", json!(900))] {
        let body = json!({"ip": ip, "jail": "lab", "duration": duration, "note": "every night"});
        admin.post(BANS, body).expect(201);
        let item = of_address(&admin, ip).pop().unwrap();
        assert_eq!((&item["note"], &item["actor"]["kind"]), (&json!("every night"), &json!("user")), "{item}");
        assert!(item["lifted_at"].is_null(), "{item}");
    }
    daemon.client(&["set", "lab", "banip", "203.0.113.3"]);
    // What fail2ban's database has was read when its ban time is known.
    wait_for_archive(&admin, 3);
    wait_until("the rows of the daemon", LIMIT, || archived(&admin).iter().all(|item| !item["ban_time"].is_null()));
    assert_eq!(archived(&admin).len(), 3);
    assert_eq!(of_address(&admin, "203.0.113.2")[0]["ban_time"], 900.0);
    assert_eq!(of_address(&admin, "203.0.113.3")[0]["actor"], json!(null));
    let lift = json!({"ip": "203.0.113.2", "jail": "lab", "note": "a customer"});
    admin.delete_with(BANS, lift).expect(200);
    let item = of_address(&admin, "203.0.113.2").pop().unwrap();
    assert_eq!((&item["lifted_note"], &item["lifted_by"]["kind"]), (&json!("a customer"), &json!("user")), "{item}");
    assert_eq!(of_address(&admin, "203.0.113.1")[0]["lifted_at"], json!(null));
    let timeline = admin.get("/api/v1/history/203.0.113.2").expect(200).json()["timeline"].clone();
    assert_eq!(timeline[0]["lifted_note"], "a customer", "{timeline}");
    admin.delete("/api/v1/bans/all").expect(200);
    assert!(archived(&admin).iter().all(|item| !item["lifted_at"].is_null()));
    assert_eq!(of_address(&admin, "203.0.113.2")[0]["lifted_note"], "a customer", "the first lift counts");
}

#[test]
fn what_a_lift_deletes_from_the_daemons_database_is_in_the_archive_before() {
    let daemon = RealDaemon::start();
    // Its next look by itself would be in an hour.
    let (_server, admin) = Launch::for_real(&daemon).env("BANGUI_ARCHIVE_SECONDS", "3600").start().into_ready();
    admin.delete_with(BANS, json!({"ip": "203.0.113.9"})).expect(200);
    daemon.client(&["set", "lab", "banip", "203.0.113.1", "203.0.113.2", "203.0.113.3"]);
    wait_until("the daemon's rows", LIMIT, || {
        let list = admin.get("/api/v1/history?page_size=1").expect(200).json();
        list["pagination"]["total"] == 3
    });
    admin.delete_with(BANS, json!({"ip": "203.0.113.1", "jail": "lab"})).expect(200);
    let kept = of_address(&admin, "203.0.113.1");
    assert_eq!((kept.len(), kept[0]["ban_time"].as_f64()), (1, Some(3600.0)), "{kept:?}");
    assert!(!kept[0]["lifted_at"].is_null());
    assert_eq!(admin.get("/api/v1/history?page_size=1").expect(200).json()["pagination"]["total"], 2);
    daemon.client(&["set", "lab", "banip", "203.0.113.4"]);
    wait_until("the daemon's row", LIMIT, || {
        admin.get("/api/v1/history?page_size=1").expect(200).json()["pagination"]["total"] == 3
    });
    admin.delete("/api/v1/bans/all").expect(200);
    assert_eq!(archived(&admin).len(), 4);
}

#[test]
fn a_ban_or_lift_that_failed_leaves_nothing_in_the_archive() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    let body = json!({"ip": "203.0.113.1", "jails": ["lab", "nosuch"], "note": "half"});
    admin.post(BANS, body).expect(201);
    admin.post(BANS, json!({"ip": "203.0.113.2", "jail": "nosuch"})).expect(404);
    daemon.client(&["set", "lab", "addignoreip", "203.0.113.3"]);
    admin.post(BANS, json!({"ip": "203.0.113.3", "jail": "lab"})).expect(409);
    admin.delete_with(BANS, json!({"ip": "203.0.113.1", "jail": "nosuch"})).expect(404);
    admin.delete_with(BANS, json!({"ip": "203.0.113.1", "jail": "sshd"})).expect(200);
    let kept = archived(&admin);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(
        (&kept[0]["ip"], &kept[0]["jail"], &kept[0]["note"]),
        (&json!("203.0.113.1"), &json!("lab"), &json!("half"))
    );
    assert!(kept[0]["lifted_at"].is_null(), "{kept:?}");
}

#[test]
fn of_many_at_once_those_that_were_made_or_lifted_are_there_with_who_and_why() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Launch::for_real(&daemon).env("BANGUI_ARCHIVE_SECONDS", "1").start().into_ready();
    daemon.client(&["set", "lab", "banip", "203.0.113.3"]);
    wait_until("the ban by hand", LIMIT, || of_address(&admin, "203.0.113.3").len() == 1);
    let ips = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "nonsense"];
    admin.post("/api/v1/bans/bulk", json!({"ips": ips, "jail": "lab", "note": "a list"})).expect(200);
    let kept = archived(&admin);
    assert_eq!(kept.len(), 3, "what was banned before is no other ban: {kept:?}");
    for ip in &ips[..2] {
        let item = of_address(&admin, ip).pop().unwrap();
        assert_eq!((&item["note"], &item["actor"]["name"]), (&json!("a list"), &json!("admin")), "{item}");
    }
    wait_until("their times", LIMIT, || archived(&admin).iter().all(|item| !item["ban_time"].is_null()));
    let lift = json!({"ips": ["203.0.113.1", "203.0.113.9"], "jail": "lab", "note": "a mistake"});
    admin.post("/api/v1/bans/bulk/remove", lift).expect(200);
    let item = of_address(&admin, "203.0.113.1").pop().unwrap();
    assert_eq!((&item["lifted_note"], &item["lifted_by"]["name"]), (&json!("a mistake"), &json!("admin")), "{item}");
    // It was not banned, so nothing was lifted: a ban that comes in the same second is not taken for one that was.
    admin.post(BANS, json!({"ip": "203.0.113.9", "jail": "lab"})).expect(201);
    assert_eq!(of_address(&admin, "203.0.113.9")[0]["lifted_at"], json!(null));
    // One address at a time tells the same, and of what was lifted by others, too.
    let of =
        |ip: &str| admin.get(&format!("/api/v1/addresses/{ip}")).expect(200).json()["history"]["recent"][0].clone();
    assert_eq!((&of("203.0.113.1")["lifted_by"], &of("203.0.113.2")["lifted_by"]), (&json!("admin"), &json!(null)));
    assert!(!of("203.0.113.1")["lifted_at"].is_null());
    daemon.client(&["set", "lab", "unbanip", "203.0.113.2"]);
    wait_until("the lift by hand", LIMIT, || of("203.0.113.2")["lifted_by"] == "fail2ban");
    assert_eq!(of("203.0.113.2")["lifted_at"], json!(null));
}

#[test]
fn banned_again_as_it_was_is_no_other_ban() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    admin.post(BANS, json!({"ip": "203.0.113.1", "jail": "lab", "note": "first"})).expect(201);
    admin.post(BANS, json!({"ip": "203.0.113.1", "jail": "lab", "note": "again"})).expect(201);
    let kept = archived(&admin);
    assert_eq!((kept.len(), &kept[0]["note"]), (1, &json!("first")), "{kept:?}");
}

#[test]
fn a_ban_that_the_daemon_lost_and_that_was_made_again_is_one_in_the_archive() {
    let mut daemon = RealDaemon::start();
    let (_server, admin) = Launch::for_real(&daemon).env("BANGUI_ARCHIVE_SECONDS", "1").start().into_ready();
    admin.post(BANS, json!({"ip": "203.0.113.1", "jail": "lab", "duration": "4w", "note": "it stays"})).expect(201);
    wait_until("the row", LIMIT, || of_address(&admin, "203.0.113.1")[0]["ban_time"] == 2_419_200.0);
    std::fs::write(daemon.path("jail.local"), "[lab]\nbantime = 30\n").unwrap();
    daemon.stop();
    daemon.start_again();
    let is_back = || daemon.client(&["get", "lab", "banip", "--with-time"]).contains(" + 2419");
    wait_until("made again", LIMIT, is_back);
    daemon.client(&["set", "lab", "banip", "203.0.113.2"]);
    wait_until("the next one", LIMIT, || !of_address(&admin, "203.0.113.2").is_empty());
    let kept = of_address(&admin, "203.0.113.1");
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(kept[0]["note"], "it stays");
}
