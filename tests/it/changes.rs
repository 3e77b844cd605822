//! The changes of configuration files: listed with who made them, shown with their diffs, taken back weeks later; and what somebody has
//! edited by hand in between.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::client::{Client, Identity};
use crate::harness::contract::demand_seen;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::Launch;
use crate::harness::wait_until;
use crate::jail_config::{getters, ready};

const CHANGES: &str = "/api/v1/config/changes";
const LAB: &str = "/api/v1/config/jails/lab";
const OWN: &str = "jail.d/zz-bangui-lab.local";

fn list(admin: &Client) -> Vec<Value> {
    admin.get(CHANGES).expect(200).json()["items"].as_array().unwrap().clone()
}

fn detail(admin: &Client, id: &Value) -> Value {
    admin.get(&format!("{CHANGES}/{id}")).expect(200).json()["change"].clone()
}

/// Sets values of the jail and commits them; the number of the change.
fn commit(admin: &Client, values: Value) -> Value {
    admin.put(LAB, values).expect(200);
    admin.post_empty(&format!("{LAB}/commit")).expect(200);
    list(admin)[0]["id"].clone()
}

fn undo(admin: &Client, id: &Value) -> Value {
    admin.post_empty(&format!("{CHANGES}/{id}/undo")).expect(200).json()["change"].clone()
}

/// Waits until the files are known as they are now: then what is edited by hand is told apart.
fn watched(admin: &Client, daemon: &RealDaemon) {
    let probe = daemon.path("jail.d/probe.local");
    wait_until("the first look at the files", Duration::from_secs(20), || {
        let text = format!("# {}\n", fs::read_to_string(&probe).unwrap_or_default().len());
        fs::write(&probe, text).unwrap();
        list(admin).iter().any(|change| change["by_hand"] == true)
    });
}

#[test]
fn a_change_is_listed_with_who_made_it_what_it_did_and_its_steps() {
    let daemon = RealDaemon::start();
    let (_server, admin) = ready(&daemon);
    assert_eq!(list(&admin), Vec::<Value>::new());
    let id = commit(&admin, json!({"max_retry": 9, "ban_time": "2h"}));
    let shown = list(&admin);
    assert_eq!(shown.len(), 1);
    assert_eq!((&shown[0]["actor"], &shown[0]["by_hand"]), (&json!({"kind": "user", "name": "admin"}), &json!(false)));
    assert_eq!((&shown[0]["paths"], &shown[0]["jails"]), (&json!([OWN]), &json!(["lab"])));
    let change = detail(&admin, &id);
    let diff = change["files"][0]["diff"].as_str().unwrap();
    assert!(diff.starts_with("--- /dev/null\n+++ b/jail.d/zz-bangui-lab.local\n@@"), "{diff}");
    assert!(diff.contains("+maxretry = 9\n") && diff.contains("+bantime = 2h\n"), "{diff}");
    let effect = change["effect"].as_array().unwrap();
    assert!(
        effect.contains(&json!({"jail": "lab", "field": "ban_time", "before": 3600.0, "after": 7200.0})),
        "{effect:?}"
    );
    assert!(effect.iter().any(|one| one["field"] == "max_retry" && one["after"] == 9), "{effect:?}");
    let steps: Vec<&str> =
        change["report"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["check", "write", "load", "read_back"]);
    let page = admin.get(&format!("{CHANGES}?page=2&page_size=1")).expect(200).json();
    assert_eq!(
        (&page["items"], &page["pagination"]["total"], &page["pagination"]["has_prev_page"]),
        (&json!([]), &json!(1), &json!(true))
    );
    let other = commit(&admin, json!({"find_time": "11m"}));
    let found = |query: &str| -> Vec<Value> {
        let found = admin.get(&format!("{CHANGES}?{query}")).expect(200).json();
        found["items"].as_array().unwrap().iter().map(|change| change["id"].clone()).collect()
    };
    assert_eq!(
        (found("sort=id"), found("sort=-at&page_size=1")),
        (vec![id.clone(), other.clone()], vec![other.clone()])
    );
    assert_eq!((found("q=ZZ-BANGUI-lab"), found("q=nobody")), (vec![other.clone(), id.clone()], vec![]));
    admin.get(&format!("{CHANGES}?sort=colour")).expect_error(400, "invalid_input");
}

#[test]
fn a_change_made_ten_changes_ago_is_taken_back_and_what_came_after_it_stays() {
    let daemon = RealDaemon::start();
    let (_server, admin) = ready(&daemon);
    let before = getters(&daemon, "lab");
    let first = commit(&admin, json!({"max_retry": 9}));
    for minutes in 1..=10 {
        commit(&admin, json!({"find_time": minutes * 60}));
    }
    let undone = undo(&admin, &first);
    assert_eq!((&undone["undoes"], &undone["effect"][0]["field"]), (&first, &json!("max_retry")));
    assert_eq!(daemon.client(&["get", "lab", "findtime"]), "600");
    let own = fs::read_to_string(daemon.path(OWN)).unwrap();
    assert!(own.contains("findtime = 600") && !own.contains("maxretry"), "{own}");
    assert_eq!(getters(&daemon, "lab"), before);
    let told = list(&admin);
    assert_eq!((told.len(), &told[0]["undoes"]), (12, &first));
    assert_eq!(told.last().unwrap()["undone_by"], told[0]["id"]);
    // An undo is a change as well.
    undo(&admin, &told[0]["id"]);
    assert_eq!(daemon.client(&["get", "lab", "maxretry"]), "9");
}

#[test]
fn what_was_edited_since_in_the_same_place_is_409_with_the_diff() {
    let daemon = RealDaemon::start();
    let (_server, admin) = ready(&daemon);
    let first = commit(&admin, json!({"max_retry": 9}));
    commit(&admin, json!({"max_retry": 8}));
    let state = (getters(&daemon, "lab"), fs::read(daemon.path(OWN)).unwrap());
    let error = admin.post_empty(&format!("{CHANGES}/{first}/undo")).expect_error(409, "conflict").json();
    let diff = error["metadata"]["files"][0]["diff"].as_str().unwrap();
    assert!(diff.contains("-maxretry = 9\n+maxretry = 8\n"), "{diff}");
    assert_eq!((getters(&daemon, "lab"), fs::read(daemon.path(OWN)).unwrap()), state);
}

#[test]
fn what_somebody_has_edited_by_hand_is_listed_and_stays_when_a_change_is_taken_back() {
    let daemon = RealDaemon::start();
    let (server, admin) = ready(&daemon);
    watched(&admin, &daemon);
    let id = commit(&admin, json!({"max_retry": 9}));
    let own = fs::read_to_string(daemon.path(OWN)).unwrap();
    fs::write(daemon.path(OWN), format!("# by hand\n{own}bantime = 77\n")).unwrap();
    fs::write(daemon.path("jail.d/mine.local"), "[lab]\nfindtime = 123\npassword = hunter2\n").unwrap();
    let told = list(&admin);
    assert_eq!((&told[0]["by_hand"], &told[0]["actor"]["kind"]), (&json!(true), &json!("system")));
    assert_eq!(told[0]["paths"], json!(["jail.d/mine.local", OWN]));
    let change = detail(&admin, &told[0]["id"]);
    let diffs = change["files"].to_string();
    assert!(diffs.contains("+findtime = 123") && diffs.contains("+bantime = 77"), "{diffs}");
    assert!(diffs.contains("+password = ***") && !diffs.contains("hunter2"), "{diffs}");
    // It is written down once, by a timer, and found once: it is there after a restart, with its number.
    wait_until("the change to be written", Duration::from_secs(10), || log_holds(&server.database(), "findtime = 123"));
    assert_eq!(list(&admin), told);
    let hand = admin.post_empty(&format!("{CHANGES}/{}/undo", told[0]["id"]));
    assert!(hand.expect_error(409, "conflict").json()["detail"].as_str().unwrap().contains("jail.d/mine.local"));
    undo(&admin, &id);
    let left = fs::read_to_string(daemon.path(OWN)).unwrap();
    assert!(left.contains("# by hand\n") && left.contains("bantime = 77") && !left.contains("maxretry"), "{left}");
    assert_eq!(daemon.client(&["get", "lab", "bantime"]), "77");
    assert_eq!(list(&admin).len(), told.len() + 1);
}

/// Whether the database or its log holds a text.
fn log_holds(database: &Path, text: &str) -> bool {
    let log = database.with_file_name(format!("{}-wal", database.file_name().unwrap().to_string_lossy()));
    [database.to_owned(), log].iter().any(|path| {
        let bytes = fs::read(path).unwrap_or_default();
        bytes.windows(text.len()).any(|part| part == text.as_bytes())
    })
}

#[test]
fn an_undo_that_the_daemon_does_not_take_leaves_everything_as_it_was() {
    let daemon = RealDaemon::start();
    let (_server, admin) = ready(&daemon);
    admin.post("/api/v1/config/filters", json!({"name": "other", "failregex": ["^other <HOST>$"]})).expect(201);
    admin.put(LAB, json!({"filter": "other", "fail_regex": ["^lab: x <HOST>$"]})).expect(200);
    admin.post_empty(&format!("{LAB}/commit")).expect(200);
    let filter = fs::read(daemon.path("filter.d/lab.conf")).unwrap();
    let id = commit(&admin, json!({"max_retry": 4}));
    let second = list(&admin)[1]["id"].clone();
    // What the undone state needs is gone.
    fs::remove_file(daemon.path("filter.d/lab.conf")).unwrap();
    let state = (daemon.client(&["status"]), getters(&daemon, "lab"), fs::read(daemon.path(OWN)).unwrap());
    admin.post_empty(&format!("{CHANGES}/{second}/undo")).expect_error(422, "config_validation_failed");
    assert_eq!((daemon.client(&["status"]), getters(&daemon, "lab"), fs::read(daemon.path(OWN)).unwrap()), state);
    fs::write(daemon.path("filter.d/lab.conf"), filter).unwrap();
    // What only the daemon can refuse: the files are swapped, and put back.
    let hand = daemon.path("jail.d/mine.local");
    fs::write(&hand, "[lab]\nlogencoding = no-such-encoding\n").unwrap();
    admin.post_empty(&format!("{CHANGES}/{id}/undo")).expect(409);
    assert_eq!((daemon.client(&["status"]), getters(&daemon, "lab"), fs::read(daemon.path(OWN)).unwrap()), state);
}

#[test]
fn a_change_that_cannot_be_written_down_is_in_force_and_the_answer_says_so() {
    let daemon = RealDaemon::start();
    let (server, admin) = ready(&daemon);
    commit(&admin, json!({"max_retry": 8}));
    let id = commit(&admin, json!({"max_retry": 9}));
    admin.put(LAB, json!({"find_time": 77})).expect(200);
    // As good as a full disk under the database alone: no file grows beyond what its log of changes has now.
    let wal = format!("{}-wal", server.database().display());
    let limited = |size: u64| {
        let limit = libc::rlimit { rlim_cur: size, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: prlimit reads one struct, and writes nowhere.
        let done = unsafe { libc::prlimit(server.pid() as i32, libc::RLIMIT_FSIZE, &limit, std::ptr::null_mut()) };
        assert_eq!(done, 0);
    };
    limited(fs::metadata(wal).unwrap().len());
    for (path, retries) in [(format!("{CHANGES}/{id}/undo"), "8"), (format!("{LAB}/commit"), "8")] {
        let failed = admin.post_empty(&path).expect_error(503, "storage_unavailable").json();
        assert!(failed["detail"].as_str().unwrap().starts_with("The change is in force, but"), "{failed}");
        assert_eq!(failed["metadata"]["in_force"], true, "{failed}");
        assert_eq!(daemon.client(&["get", "lab", "maxretry"]), retries);
    }
    let failed = admin.put(LAB, json!({"max_retry": 6})).expect_error(503, "storage_unavailable").json();
    assert!(failed["detail"].as_str().unwrap().contains("bangui.db"), "{failed}");
    assert_eq!(daemon.client(&["get", "lab", "maxretry"]), "8", "what cannot be noted is not set");
    admin.post_empty(&format!("{LAB}/rollback")).expect_error(503, "storage_unavailable");
    let text = fs::read_to_string(daemon.path(OWN)).unwrap();
    assert!(text.contains("maxretry = 8") && text.contains("findtime = 77"), "{text}");
    // Once there is room, the next one is written down as ever, and goes on from what is in force.
    limited(libc::RLIM_INFINITY);
    let next = commit(&admin, json!({"max_retry": 7}));
    assert_eq!(detail(&admin, &next)["files"][0]["path"], OWN);
    assert_eq!(daemon.client(&["get", "lab", "findtime"]), "77");
}

#[test]
fn an_undo_that_changes_commands_needs_the_owners_consent() {
    let daemon = RealDaemon::start();
    let (mut server, admin) = Launch::for_real(&daemon).env("BANGUI_ALLOW_ACTION_EDIT", "1").start().into_ready();
    admin.put("/api/v1/config/actions/noop", json!({"actionban": "true <ip>"})).expect(200);
    let id = list(&admin)[0]["id"].clone();
    server.kill();
    let server = server.with_env("BANGUI_ALLOW_ACTION_EDIT", "0");
    let admin = server.client().login();
    admin.post_empty(&format!("{CHANGES}/{id}/undo")).expect_error(403, "action_edit_disabled");
}

#[test]
fn every_documented_status() {
    let daemon = RealDaemon::start();
    let (server, admin) = ready(&daemon);
    let id = commit(&admin, json!({"max_retry": 9}));
    undo(&admin, &id);
    detail(&admin, &id);
    admin.post_empty(&format!("{CHANGES}/{id}/undo")).expect_error(409, "conflict");
    let cookie_only = admin.with_identity(Identity::CookieOnly(admin.token().to_string()));
    cookie_only.post_empty(&format!("{CHANGES}/{id}/undo")).expect_error(403, "csrf_header_required");
    for target in [format!("{CHANGES}/77"), format!("{CHANGES}/77/undo")] {
        let method = if target.ends_with("undo") { "POST" } else { "GET" };
        admin.send(method, &target, None).expect_error(404, "change_not_found");
        server.client().send(method, &target, None).expect_error(401, "authentication_required");
        admin.send(method, &target.replace("77", "x"), None).expect_error(400, "invalid_input");
    }
    admin.get(&format!("{CHANGES}?page=0")).expect_error(400, "invalid_input");
    server.client().get(CHANGES).expect_error(401, "authentication_required");
    demand_seen("GET /api/v1/config/changes", &[200, 400, 401]);
    demand_seen("GET /api/v1/config/changes/{id}", &[200, 400, 401, 404]);
    demand_seen("POST /api/v1/config/changes/{id}/undo", &[200, 400, 401, 403, 404, 409]);
}
