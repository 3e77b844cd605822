//! The configuration as the package installs it, and a jail that reads the journal, through the endpoints and against the real daemon.

use std::fs;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::not_installed;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::release::Release;
use crate::jail_config::{getters, ready};

const JAILS: &str = "/api/v1/config/jails";

fn jail(admin: &Client, name: &str) -> Value {
    admin.get(&format!("{JAILS}/{name}")).expect(200).json()["jail"].clone()
}

/// Changes one value of a jail and takes it back: by rollback, and by a commit and the deletion of our file.
fn change_and_take_back(daemon: &RealDaemon, admin: &Client, name: &str) {
    let target = format!("{JAILS}/{name}");
    let before = getters(daemon, name);
    admin.put(&target, json!({"max_retry": 9})).expect(200);
    assert_eq!(daemon.client(&["get", name, "maxretry"]), "9");
    assert_eq!(jail(admin, name)["pending_changes"], json!(["max_retry"]));
    admin.get(&format!("{target}/rollback")).expect(200);
    assert_eq!(getters(daemon, name), before, "after the rollback of {name}");
    admin.put(&target, json!({"max_retry": 9, "ban_time": "2h"})).expect(200);
    admin.post_empty(&format!("{target}/commit")).expect(200);
    daemon.client(&["reload"]);
    assert_eq!(daemon.client(&["get", name, "bantime"]), "7200");
    admin.delete(&target).expect(204);
    assert_eq!(getters(daemon, name), before, "after the deletion of our file for {name}");
}

#[test]
fn the_packages_own_configuration_is_listed_changed_and_restored() {
    let daemon = RealDaemon::packaged();
    let (_server, admin) = ready(&daemon);
    let listed = admin.get(JAILS).expect(200).json();
    let stock = fs::read_to_string(Release::under_test().stock().join("jail.conf")).unwrap();
    let sections = stock.lines().filter(|line| line.starts_with('[') && !["[DEFAULT]", "[INCLUDES]"].contains(line));
    assert_eq!(listed["total"].as_u64(), Some(sections.count() as u64));
    let enabled: Vec<&Value> =
        listed["items"].as_array().unwrap().iter().filter(|jail| jail["enabled"] == true).collect();
    assert_eq!(enabled.len(), 1, "{enabled:?}");
    let sshd = enabled[0];
    assert_eq!(
        (&sshd["name"], &sshd["active"], &sshd["filter"]),
        (&json!("sshd"), &json!(true), &json!("sshd[mode=normal]"))
    );
    assert_eq!(sshd["log_paths"], json!([daemon.path("auth.log")]));
    assert_eq!((&sshd["ban_time"], &sshd["max_retry"]), (&json!(600.0), &json!(5)));
    change_and_take_back(&daemon, &admin, "sshd");
    // The directory holds nothing of ours any more.
    let left: Vec<_> = fs::read_dir(daemon.path("jail.d")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["defaults-debian.conf"]);
}

#[test]
fn a_jail_of_the_package_is_enabled_where_its_log_is_there() {
    let daemon = RealDaemon::packaged();
    let (_server, admin) = ready(&daemon);
    let target = format!("{JAILS}/proftpd");
    admin.put(&target, json!({"enabled": true})).expect(200);
    let refused = admin.post_empty(&format!("{target}/commit")).expect_error(422, "config_validation_failed").json();
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("proftpd") && detail.contains("log"), "{detail}");
    assert_eq!(jail(&admin, "proftpd")["active"], false);
    assert!(daemon.client(&["status"]).contains("sshd"));
    admin.put(&target, json!({"log_paths": [daemon.path("off.log")]})).expect(200);
    admin.post_empty(&format!("{target}/commit")).expect(200);
    let shown = jail(&admin, "proftpd");
    assert_eq!((&shown["active"], &shown["pending_changes"]), (&json!(true), &json!([])), "{shown}");
    assert!(daemon.client(&["status"]).contains("proftpd"));
    change_of_one_field_leaves_the_others(&daemon, &admin, &target);
    admin.delete(&target).expect(204);
    assert!(!daemon.client(&["status"]).contains("proftpd"));
    assert_eq!(jail(&admin, "proftpd")["enabled"], false);
}

fn change_of_one_field_leaves_the_others(daemon: &RealDaemon, admin: &Client, target: &str) {
    admin.put(target, json!({"find_time": 99})).expect(200);
    admin.post_empty(&format!("{target}/commit")).expect(200);
    let own = fs::read_to_string(daemon.path("jail.d/zz-bangui-proftpd.local")).unwrap();
    assert!(own.contains("enabled = true") && own.contains("off.log") && own.contains("findtime = 99"), "{own}");
    // Nothing is pending, so nothing changes.
    let before = getters(daemon, "proftpd");
    admin.post_empty(&format!("{target}/commit")).expect(200);
    admin.get(&format!("{target}/rollback")).expect(200);
    assert_eq!(getters(daemon, "proftpd"), before);
    assert_eq!(fs::read_to_string(daemon.path("jail.d/zz-bangui-proftpd.local")).unwrap(), own);
}

/// Whether the daemon can read a journal at all; said loudly where it cannot.
fn has_journal() -> bool {
    let mut python = Release::under_test().python();
    let there = python.args(["-c", "import systemd.journal"]).output().is_ok_and(|output| output.status.success());
    if !there {
        not_installed("jails that read the journal; Python's systemd module is not installed (python3-systemd)");
    }
    there
}

#[test]
fn a_jail_that_reads_the_journal_is_changed_like_any_other() {
    if !has_journal() {
        return;
    }
    let mut daemon = RealDaemon::configured();
    let text = "[journal]\nenabled = true\nfilter = sshd\nbackend = systemd\njournalmatch = _SYSTEMD_UNIT=ssh.service + _COMM=sshd\n";
    fs::write(daemon.path("jail.d/journal.conf"), text).unwrap();
    daemon.start_again();
    let (_server, admin) = ready(&daemon);
    let shown = jail(&admin, "journal");
    assert_eq!(
        (&shown["backend"], &shown["active"], &shown["log_paths"]),
        (&json!("systemd"), &json!(true), &json!([]))
    );
    assert!(daemon.client(&["get", "journal", "journalmatch"]).contains("_COMM=sshd"));
    change_and_take_back(&daemon, &admin, "journal");
    // A log file means nothing to it, and another backend is loaded with the commit.
    let target = format!("{JAILS}/journal");
    let before = getters(&daemon, "journal");
    admin.put(&target, json!({"backend": "polling", "log_paths": [daemon.path("auth.log")]})).expect(200);
    admin.post_empty(&format!("{target}/commit")).expect(200);
    assert!(daemon.client(&["get", "journal", "logpath"]).contains("auth.log"));
    admin.delete(&target).expect(204);
    assert_eq!(getters(&daemon, "journal"), before);
    assert!(daemon.client(&["get", "journal", "journalmatch"]).contains("_COMM=sshd"));
}
