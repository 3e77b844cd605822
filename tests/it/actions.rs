//! Actions: shown and changed like filters, and, since a shell runs them as root, only where the owner allows it.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::wait_until;
use crate::operations::{demand_documented, provoke_general_refusals};

const ACTIONS: &str = "/api/v1/config/actions";

fn at(name: &str) -> String {
    format!("{ACTIONS}/{name}")
}

#[test]
fn every_documented_status_of_actions() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    admin.get(ACTIONS).expect(200);
    admin.get(&at("noop")).expect(200);
    let made = json!({"name": "made", "actionban": "echo <ip> <port>", "init_vars": {"port": "22"}});
    let shown = admin.post(ACTIONS, made.clone()).expect(201).json();
    assert_eq!((&shown["actionban"], &shown["init_vars"]), (&json!("echo <ip> <port>"), &json!({"port": "22"})));
    assert_eq!(shown["effective"]["actionban"], "echo <ip> 22");
    admin.post(ACTIONS, made).expect_error(409, "conflict");
    admin.put(&at("noop"), json!({"actionunban": "true <ip>"})).expect(200);
    assert!(daemon.client(&["get", "lab", "action", "noop", "actionunban"]).contains("true <ip>"));
    admin.delete(&at("made")).expect(204);
    for answer in [
        admin.post(ACTIONS, json!({"name": "a/b", "actionban": "true"})),
        admin.put(&at("-x"), json!({"actionban": "true"})),
        admin.delete(&at("x.conf")),
    ] {
        answer.expect_error(400, "invalid_input");
    }
    for answer in
        [admin.get(&at("none")), admin.put(&at("none"), json!({"actionban": "true"})), admin.delete(&at("none"))]
    {
        answer.expect_error(404, "action_not_found");
    }
    admin.delete(&at("iptables")).expect_error(409, "conflict");
    let used = admin.delete(&at("noop")).expect_error(409, "conflict").json();
    assert_eq!(used["metadata"]["used_by_jails"], json!(["sshd", "lab"]));
    a_file_that_cannot_be_written_is_500(&daemon, &admin);
    too_many_changes_are_429();
    provoke_general_refusals(ACTIONS);
    demand_documented(ACTIONS);
}

fn a_file_that_cannot_be_written_is_500(daemon: &RealDaemon, admin: &Client) {
    let other = daemon.path("other");
    fs::write(&other, "[Definition]\n").unwrap();
    symlink(&other, daemon.path("action.d/mail.local")).unwrap();
    symlink("/nonexistent/secret", daemon.path("action.d/fresh.local")).unwrap();
    admin.put(&at("mail"), json!({"actionban": "true"})).expect_error(500, "config_not_a_file");
    admin.delete(&at("mail")).expect_error(500, "config_not_a_file");
    admin.post(ACTIONS, json!({"name": "fresh", "actionban": "true"})).expect_error(500, "config_not_a_file");
    assert_eq!(fs::read_to_string(other).unwrap(), "[Definition]\n");
}

fn too_many_changes_are_429() {
    let daemon = RealDaemon::configured();
    let (_server, admin) = Launch::for_real(&daemon).env("BANGUI_RATE_LIMIT_CONFIG", "1").start().into_ready();
    admin.delete(&at("none")).expect(404);
    let body = json!({"name": "x", "actionban": "true"});
    for answer in [admin.post(ACTIONS, body.clone()), admin.put(&at("noop"), body), admin.delete(&at("noop"))] {
        answer.expect_error(429, "rate_limit_exceeded");
    }
}

#[test]
fn the_list_shows_the_stock_actions_raw_and_effective() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    let list = admin.get(ACTIONS).expect(200).json();
    assert!(list["total"].as_u64() > Some(50));
    assert!(list["items"].as_array().unwrap().iter().all(|item| item["problem"].is_null()), "{list}");
    let noop = admin.get(&at("noop")).expect(200).json();
    assert_eq!((&noop["used_by_jails"], &noop["active"]), (&json!(["sshd", "lab"]), &json!(true)));
    assert_eq!((&noop["actionban"], &noop["actionflush"]), (&json!("true"), &Value::Null));
    let iptables = admin.get(&at("iptables")).expect(200).json();
    assert_eq!((&iptables["used_by_jails"], &iptables["active"]), (&json!([]), &json!(false)));
    assert_eq!(iptables["init_vars"]["chain"], "INPUT");
    assert!(iptables["init_vars"].as_object().unwrap().keys().any(|key| key.contains("family=inet6")), "{iptables}");
    let raw = iptables["actionban"].as_str().unwrap();
    let effective = iptables["effective"]["actionban"].as_str().unwrap();
    assert!(raw.contains("<_ipt_") || raw.contains("<iptables>"), "{raw}");
    assert!(effective.contains("-I f2b-"), "{effective}");
}

#[test]
fn without_leave_no_action_is_changed() {
    let daemon = RealDaemon::configured();
    let (_server, admin) = Launch::for_real(&daemon).env("BANGUI_ALLOW_ACTION_EDIT", "0").start().into_ready();
    for answer in [
        admin.post(ACTIONS, json!({"name": "made", "actionban": "id"})),
        admin.put(&at("noop"), json!({"actionban": "id"})),
        admin.delete(&at("noop")),
    ] {
        answer.expect_error(403, "action_edit_disabled");
    }
    assert!(!daemon.path("action.d/made.local").exists() && !daemon.path("action.d/noop.local").exists());
    admin.get(&at("noop")).expect(200);
}

#[test]
fn text_of_attackers_in_a_shell_is_flagged_and_logged() {
    let daemon = RealDaemon::start();
    let (server, admin) = Server::ready(&daemon);
    let body = json!({"name": "made", "actionban": "echo <matches> | mail root", "actionunban": "x <F-USER> <ip>"});
    let shown = admin.post(ACTIONS, body).expect(201).json();
    let warnings = shown["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].as_str().unwrap().contains("<matches>"));
    for wanted in ["action.d/made.local was written", "action.d/made.local: actionban puts <matches>"] {
        wait_until(wanted, std::time::Duration::from_secs(5), || server.log().contains(wanted));
    }
    assert_eq!(admin.get(&at("made")).expect(200).json()["warnings"], shown["warnings"]);
}

#[test]
fn values_cannot_smuggle_sections_references_or_includes() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    let before = daemon.client(&["get", "lab", "action", "noop", "actionban"]);
    let mut taken = Vec::new();
    for body in [
        json!({"actionban": "%(nothing)s"}),
        json!({"actionban": "true\n# x"}),
        json!({"actionban": "100%"}),
        json!({"actionban": "a\u{0}b"}),
        json!({"actionban": "\u{feff}x"}),
        json!({"actionban": 1}),
        json!({"actionban": "x".repeat(16_385)}),
        json!({"init_vars": {"a]\n[evil": "x"}}),
        json!({"init_vars": {"a = b": "x"}}),
        json!({"init_vars": {"__name__": "x"}}),
        json!({"init_vars": {"x?family=inet6]\n[evil": "x"}}),
        json!({"init_vars": {"x": "%(nothing)s"}}),
        json!({"init_vars": {"x": 1}}),
        json!({"before": "/etc/passwd"}),
        json!({}),
    ] {
        let answer = admin.put(&at("noop"), body.clone());
        if answer.status != 422 || daemon.path("action.d/noop.local").exists() {
            taken.push(format!("{body}: {answer}"));
        }
    }
    assert!(taken.is_empty(), "{}", taken.join("\n"));
    assert_eq!(daemon.client(&["get", "lab", "action", "noop", "actionban"]), before);
    // What can be written is one value, whatever it looks like.
    for command in ["# x", "true\n[Init]\nx = 1", "true\nactionstart = id", "a <ip>\nb <ip>"] {
        let shown = admin.put(&at("noop"), json!({"actionban": command})).expect(200).json();
        assert_eq!((&shown["actionban"], &shown["actionstart"]), (&json!(command), &json!("true")));
        assert_eq!(shown["init_vars"], json!({}));
    }
    assert!(daemon.client(&["get", "lab", "action", "noop", "actionban"]).contains("b <ip>"));
    // null goes back to the shipped command.
    let back = admin.put(&at("noop"), json!({"actionban": null})).expect(200).json();
    assert_eq!(back["actionban"], "true");
}
