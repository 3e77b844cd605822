//! Changes after which a jail could ban nobody, or would close another service's port: said in the dry run, and refused until it is meant.

use std::fs;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::real_daemon::RealDaemon;
use crate::jail_config::ready;

const LAB: &str = "/api/v1/config/jails/lab";
const COMMIT: &str = "/api/v1/config/jails/lab/commit";

/// The sentences of a dry run of the commit, by level.
fn checks(admin: &Client, level: &str) -> String {
    let preview = admin.post_empty(&format!("{COMMIT}?dry_run=true")).expect(200).json();
    let own = |check: &&Value| check["level"] == level;
    preview["checks"].as_array().unwrap().iter().filter(own).map(|check| check["sentence"].as_str().unwrap()).collect()
}

#[track_caller]
fn refused(admin: &Client, reason: &str, words: &str) {
    assert!(checks(admin, "bad").contains(words), "{}", checks(admin, "bad"));
    let error = admin.post_empty(COMMIT).expect_error(409, "conflict").json();
    let detail = error["detail"].as_str().unwrap();
    assert_eq!(error["metadata"]["reason"], reason, "{error}");
    assert!(detail.contains(words) && detail.contains("force"), "{detail}");
}

#[test]
fn a_commit_after_which_a_jail_could_ban_nobody_says_so_and_needs_force() {
    let daemon = RealDaemon::start();
    let (_server, admin) = ready(&daemon);
    for number in 1..=3 {
        daemon.append_log("lab.log", &format!("lab: bad 203.0.113.{number}"));
    }
    let other = json!({"fail_regex": ["^lab: other <HOST>$"]});
    let preview = admin.put(&format!("{LAB}?dry_run=true"), other.clone()).expect(200).json();
    let bad = preview["checks"].as_array().unwrap().iter().find(|check| check["level"] == "bad").unwrap();
    assert!(bad["sentence"].as_str().unwrap().contains("would find no failure"), "{preview}");
    let tried = admin.put(LAB, other).expect(200);
    let warning = tried.header("x-bangui-warning").unwrap_or_default();
    assert!(warning.contains("would find no failure") && warning.contains("rollback"), "{warning}");
    refused(&admin, "no_match", "would find no failure in the last 3 lines of its log, in which it finds 3 now");
    assert!(!daemon.path("jail.d/zz-bangui-lab.local").exists());
    admin.post(COMMIT, json!({"force": "yes"})).expect_error(422, "invalid_input");
    let forced = admin.post(COMMIT, json!({"force": true})).expect(200);
    assert!(forced.header("x-bangui-warning").unwrap().contains("would find no failure"), "{forced}");
    // It was so before: somebody's own decision, and no matter of the next change.
    admin.put(LAB, json!({"max_retry": 7})).expect(200);
    admin.post_empty(COMMIT).expect(200);
    admin.put(LAB, json!({"fail_regex": null})).expect(200);
    assert_eq!(checks(&admin, "bad"), "");
    admin.post_empty(COMMIT).expect(200);
    // What is slow to try, or matches, is nobody's problem.
    admin.put(LAB, json!({"fail_regex": ["^lab: (?:bad|worse) <HOST>$"]})).expect(200);
    admin.post_empty(COMMIT).expect(200);
    admin.put(LAB, json!({"actions": []})).expect(200);
    refused(&admin, "no_action", "would have no action");
    admin.post_empty("/api/v1/config/jails/lab/rollback").expect(200);
    admin.put(LAB, json!({"max_retry": 4_000_000, "find_time": 1})).expect(200);
    refused(&admin, "max_retry", "which nobody makes");
    admin.post_empty("/api/v1/config/jails/lab/rollback").expect(200);
    admin.put(LAB, json!({"find_time": 77})).expect(200);
    admin.post_empty(COMMIT).expect(200);
    fs::write(daemon.path("jail.local"), "[lab]\nfindtime = 0\n").unwrap();
    admin.put(LAB, json!({"find_time": null})).expect(200);
    refused(&admin, "find_time", "within no time");
}

#[test]
fn a_filter_that_would_make_a_jail_deaf_to_its_log_is_asked_about_too() {
    let daemon = RealDaemon::start();
    let (_server, admin) = ready(&daemon);
    daemon.append_log("lab.log", "lab: bad 203.0.113.1");
    let filter = "/api/v1/config/filters/lab";
    let error = admin.put(filter, json!({"failregex": ["^lab: other <HOST>$"]})).expect_error(409, "conflict").json();
    assert_eq!(error["metadata"]["reason"], "no_match", "{error}");
    assert!(!daemon.path("filter.d/lab.local").exists());
    admin.put(filter, json!({"failregex": ["^lab: other <HOST>$"], "force": true})).expect(200);
}

#[test]
fn a_port_of_another_service_is_said_and_so_is_a_service_that_nobody_knows() {
    let mut daemon = RealDaemon::configured();
    fs::write(daemon.path("jail.local"), "[sshd]\nport = ssh\n[lab]\nport = http,https\n").unwrap();
    daemon.start_again();
    let (_server, admin) = ready(&daemon);
    admin.put(LAB, json!({"port": "22"})).expect(200);
    let told = checks(&admin, "warn");
    assert!(
        told.contains("would close port 22, which is what jail sshd protects") && told.contains("http,https"),
        "{told}"
    );
    admin.put(LAB, json!({"port": "https,8080"})).expect(200);
    assert_eq!(checks(&admin, "warn"), "");
    admin.put(LAB, json!({"port": "https,no-such-service"})).expect(200);
    assert!(checks(&admin, "warn").contains("has no service 'no-such-service'"), "{}", checks(&admin, "warn"));
    let error = admin.post("/api/v1/config/jails", json!({"name": "off"})).expect_error(409, "conflict").json();
    assert!(error["detail"].as_str().unwrap().contains("set enabled instead"), "{error}");
}
