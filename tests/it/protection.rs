//! Am I protected? Broken machines are told from healthy ones, each finding is named rightly, and what was not looked at is not called good.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::contract::demand_seen;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server, program};
use crate::harness::wait_until;
use crate::operations::{demand_documented, provoke_general_refusals};

const PROTECTION: &str = "/api/v1/protection";
const CHECK: &str = "/api/v1/protection/check";
const SOON: Duration = Duration::from_secs(15);

/// The program beside this daemon, allowed to read its logs.
fn beside(daemon: &RealDaemon) -> (Server, Client) {
    for jail in ["lab", "slow", "sshd"] {
        daemon.try_client(&["set", jail, "ignoreself", "true"]);
    }
    let logs = daemon.config().display().to_string();
    Launch::for_real(daemon).env("BANGUI_ALLOWED_LOG_DIRS", &logs).start().into_ready()
}

fn look(admin: &Client) -> Value {
    admin.post_empty(CHECK).expect(200).json()
}

/// The names of the findings that are not at rest.
fn ids(verdict: &Value) -> Vec<String> {
    let open = verdict["findings"].as_array().unwrap().iter().filter(|finding| finding["rest"].is_null());
    let mut ids: Vec<String> = open.map(|finding| finding["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn the_first_question_starts_a_look_and_the_next_one_is_answered_from_memory() {
    let daemon = RealDaemon::start();
    let (_server, admin) = beside(&daemon);
    let first = admin.get(PROTECTION).expect(200).json();
    assert_eq!((&first["level"], &first["sentence"]), (&json!("unknown"), &json!("Not looked yet.")));
    assert_eq!((&first["checked_at"], &first["findings"]), (&Value::Null, &json!([])));
    wait_until("it was looked", SOON, || !admin.get(PROTECTION).json()["checked_at"].is_null());
    let known = admin.get(PROTECTION).expect(200).json();
    // Nothing is wrong with the machine of the tests; that its action has nothing to do with a packet filter is not called good.
    assert_eq!(ids(&known), ["other_action:lab", "other_action:slow", "other_action:sshd"]);
    assert_eq!(known["level"], "unknown");
    assert!(known["sentence"].as_str().unwrap().starts_with("Probably protected. 3 jails are watching."), "{known}");
    assert_eq!(known["checked"]["jails"], 3);
    assert_eq!(known["checked"]["watching"], 3);
    let steps = admin.get("/api/v1/jails/lab/check").expect(200).json();
    let names: Vec<&str> = steps["steps"].as_array().unwrap().iter().map(|step| step["id"].as_str().unwrap()).collect();
    assert_eq!(names, ["runs", "logs", "grows", "filter", "actions", "bans", "holds"], "{steps:#}");
    admin.get("/api/v1/jails/nowhere/check").expect_error(404, "jail_not_found");
}

#[test]
fn a_finding_is_put_to_rest_with_a_note_and_wakes() {
    let daemon = RealDaemon::start();
    let (mut server, admin) = beside(&daemon);
    let all = ids(&look(&admin));
    assert_eq!(all.len(), 3);
    for id in &all {
        let rested = admin.put(&format!("{PROTECTION}/findings/{id}/rest"), json!({"note": "The tests' own"}));
        rested.expect(200);
    }
    let green = admin.get(PROTECTION).expect(200).json();
    assert_eq!((&green["level"], &green["rested"]), (&json!("ok"), &json!(3)), "{green}");
    assert!(green["sentence"].as_str().unwrap().starts_with("Protected. 3 of 3 jails are watching"), "{green}");
    let rest = &green["findings"][0]["rest"];
    assert_eq!((&rest["note"], &rest["actor"]), (&json!("The tests' own"), &json!({"kind": "user", "name": "admin"})));
    server.kill();
    server.start_again();
    let admin = server.client().login();
    assert_eq!(look(&admin)["rested"], 3, "it is stored");
    let own = format!("{PROTECTION}/findings/{}/rest", all[0]);
    assert_eq!(admin.delete(&own).expect(200).json()["level"], "unknown");
    admin.delete(&own).expect_error(404, "finding_not_found");
    let unknown = format!("{PROTECTION}/findings/log_missing:lab/rest");
    admin.put(&unknown, json!({"note": ""})).expect_error(404, "finding_not_found");
    for (body, field) in [
        (json!({}), "note"),
        (json!({"note": "two\nlines"}), "note"),
        (json!({"note": "x".repeat(501)}), "note"),
        (json!({"note": "", "until": "2001-01-01T00:00:00Z"}), "until"),
        (json!({"note": "", "until": "tomorrow"}), "until"),
        (json!({"note": "", "for": 3}), "for"),
    ] {
        let refused = admin.put(&own, body).expect(422).json();
        assert_eq!(refused["metadata"]["errors"][0]["source_field"], field, "{refused}");
    }
    let until = "2100-01-01T00:00:00Z";
    let body = json!({"note": "", "until": until});
    let rested = admin.put(&own, body).expect(200).json();
    let rest = rested["findings"].as_array().unwrap().iter().find(|finding| finding["id"] == json!(all[0])).unwrap();
    assert_eq!(rest["rest"]["until"], until);
    admin.put(&format!("{PROTECTION}/findings/%0a/rest"), json!({"note": ""})).expect(400);
    admin.delete(&format!("{PROTECTION}/findings/%0a/rest")).expect(400);
    provoke_general_refusals(PROTECTION);
    demand_documented(PROTECTION);
    admin.get("/api/v1/jails/nowhere/check").expect(404);
    demand_seen("GET /api/v1/jails/{name}/check", &[404]);
}

#[test]
fn a_daemon_that_is_away_is_said_to_be_and_nothing_else() {
    let mut daemon = RealDaemon::start();
    let (_server, admin) = beside(&daemon);
    daemon.stop();
    let verdict = look(&admin);
    assert_eq!(ids(&verdict), ["daemon_away"]);
    assert_eq!(
        (&verdict["level"], &verdict["sentence"]),
        (&json!("bad"), &json!("Not protected: fail2ban is not running."))
    );
    assert_eq!(verdict["findings"][0]["remedy"]["request"]["path"], "/api/v1/config/restart");
    fs::write(daemon.path("jail.d/broken.local"), "[lab]\nfilter = nowhere\n").unwrap();
    let why = look(&admin)["findings"][0]["detail"].to_string();
    assert!(why.contains("nowhere"), "{why}");
}

#[test]
fn the_command_ends_with_one_where_something_is_wrong() {
    let mut daemon = RealDaemon::start();
    let (server, _admin) = beside(&daemon);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(program());
        let done = command.arg("protection").args(arguments).arg("--database").arg(server.database()).output().unwrap();
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    };
    let (code, said) = run(&[]);
    assert!(code == Some(0) && said.starts_with("Probably protected. 3 jails are watching."), "{said}");
    assert!(said.contains("\nunknown  lab does not ban by"), "{said}");
    let (code, said) = run(&["lab"]);
    assert!(code == Some(0) && said.contains("\nok       lab runs.\n"), "{said}");
    daemon.stop();
    let (code, said) = run(&["--json"]);
    let verdict: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &verdict["level"]), (Some(1), &json!("bad")));
}
