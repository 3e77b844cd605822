//! Expressions that can stop fail2ban: refused before they are written, kept where they stand, and named where they are.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};

const FILTERS: &str = "/api/v1/config/filters";
const EVIL: &str = r"^lab: (?:a|aa)+b <HOST>$";

#[test]
fn an_expression_that_one_line_can_hang_is_refused_with_that_line_unless_forced() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    let lab = format!("{FILTERS}/lab");
    for (method, target) in [("POST", FILTERS), ("PUT", lab.as_str())] {
        let mut body = json!({ "failregex": ["^lab: good <HOST>$", EVIL] });
        if method == "POST" {
            body["name"] = "evil".into();
        }
        let answer = admin.send(method, target, Some(body.to_string().as_bytes()));
        let error = answer.expect_error(422, "config_validation_failed").json();
        let facts = &error["metadata"];
        assert_eq!((&facts["construct"], &facts["position"]), (&json!("(?:a|aa)+"), &json!(6)), "{error}");
        assert_eq!(facts["expression"], EVIL, "{error}");
        assert_eq!(
            (&facts["errors"][0]["rule"], &facts["errors"][0]["source_field"]),
            (&json!("cost"), &json!("failregex"))
        );
        assert!(facts["attack_line"].as_str().unwrap().starts_with("lab: aaaaaaaa"), "{error}");
        assert!(facts["seconds"].as_f64().unwrap() >= 1.0, "{error}");
        assert!(error["detail"].as_str().unwrap().contains("force"), "{error}");
    }
    assert!(!daemon.path("filter.d/evil.local").exists() && !daemon.path("filter.d/lab.local").exists());
    let forced =
        admin.put(&lab, json!({ "failregex": ["^lab: good <HOST>$", EVIL], "force": true })).expect(200).json();
    assert!(forced["warnings"].to_string().contains("more than a second"), "{forced}");
    // It stands in the files now, and may stay when something else is changed; elsewhere it is as good as here.
    let kept = admin.put(&lab, json!({ "failregex": [EVIL, "^lab: worse <HOST>$"] })).expect(200).json();
    assert!(kept["warnings"].to_string().contains("(?:a|aa)+"), "{kept}");
    admin.post(FILTERS, json!({ "name": "copy", "failregex": [EVIL] })).expect(201);
    let almost = EVIL.replace("b <HOST>", "c <HOST>");
    admin.put(&lab, json!({ "failregex": [almost] })).expect_error(422, "config_validation_failed");
}

#[test]
fn a_jail_takes_no_such_expression_either() {
    let daemon = RealDaemon::start();
    let launch = Launch::for_real(&daemon).env("BANGUI_ALLOWED_LOG_DIRS", daemon.config().to_str().unwrap());
    let (_server, admin) = launch.start().into_ready();
    let jail = "/api/v1/config/jails/lab";
    let error = admin.put(jail, json!({ "fail_regex": [EVIL] })).expect_error(422, "config_validation_failed").json();
    assert_eq!(error["metadata"]["errors"][0]["source_field"], "fail_regex");
    assert!(!daemon.client(&["get", "lab", "failregex"]).contains("aa"));
    let made = json!({ "name": "made", "filter": "lab", "log_paths": [daemon.path("off.log")], "fail_regex": [EVIL] });
    admin.post("/api/v1/config/jails", made).expect_error(422, "config_validation_failed");
    let forced = admin.put(jail, json!({ "fail_regex": [EVIL], "force": true })).expect(200);
    assert!(forced.header("x-bangui-warning").unwrap().contains("(?:a|aa)+"), "{forced}");
    // It is there now, and what the jail has may stay.
    admin.put(jail, json!({ "fail_regex": [EVIL, "^lab: bad <HOST>$"] })).expect(200);
}

#[test]
fn a_failregex_is_judged_on_what_its_prefregex_lets_through() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    let evil = r"^(?:a|aa)+b <HOST>$";
    let filter = |name: &str, prefregex: &str, failregex: &str| json!({ "name": name, "prefregex": prefregex, "failregex": [failregex] });
    // The line that is told is one that gets through.
    let behind = filter("behind", r"^lab: <F-CONTENT>.+</F-CONTENT>$", evil);
    let error = admin.post(FILTERS, behind).expect_error(422, "config_validation_failed").json();
    assert!(error["metadata"]["attack_line"].as_str().unwrap().starts_with("lab: aaaaaaaa"), "{error}");
    assert_eq!(error["metadata"]["errors"][0]["source_field"], "failregex");
    // Letters that cannot come through do no harm; a slow prefregex does, whatever it lets through.
    admin.post(FILTERS, filter("digits", r"^lab: <F-CONTENT>[0-9. ]+</F-CONTENT>$", evil)).expect(201);
    let slow = filter("slow", r"^(?:a|aa)+b <F-CONTENT>.+</F-CONTENT>$", "^bad <HOST>$");
    let error = admin.post(FILTERS, slow).expect_error(422, "config_validation_failed").json();
    assert_eq!(error["metadata"]["errors"][0]["source_field"], "prefregex");
    // A jail's own prefregex that lets through what the one before held back is refused for it.
    let jail = "/api/v1/config/jails/lab";
    let narrow = json!({ "prefregex": "^lab: <F-CONTENT>[0-9. ]+</F-CONTENT>$", "fail_regex": [evil] });
    admin.put(jail, narrow).expect(200);
    let wide = json!({ "prefregex": "^lab: <F-CONTENT>.+</F-CONTENT>$" });
    let error = admin.put(jail, wide).expect_error(422, "config_validation_failed").json();
    assert_eq!(error["metadata"]["errors"][0]["source_field"], "fail_regex", "{error}");
    assert!(daemon.client(&["get", "lab", "prefregex"]).contains("[0-9. ]+"));
}

/// A date pattern is searched for in every line, too.
#[test]
fn a_date_pattern_that_one_line_can_hang_is_refused_like_an_expression_and_usual_ones_are_taken() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    let lab = format!("{FILTERS}/lab");
    let jail = "/api/v1/config/jails/lab";
    let evil = r"^(?:a|aa)+b %Y-%m-%d";
    let error = admin
        .put(&lab, json!({ "datepattern": evil.replace('%', "%%") }))
        .expect_error(422, "config_validation_failed")
        .json();
    assert_eq!(error["metadata"]["errors"][0]["source_field"], "datepattern", "{error}");
    let error = admin.put(jail, json!({ "date_pattern": evil })).expect_error(422, "config_validation_failed").json();
    assert_eq!(error["metadata"]["errors"][0]["source_field"], "date_pattern", "{error}");
    let forced = admin.put(jail, json!({ "date_pattern": evil, "force": true })).expect(200);
    assert!(forced.header("x-bangui-warning").unwrap().contains("date_pattern 1"), "{forced}");
    for usual in [
        r"^%Y-%m-%d %H:%M:%S",
        r"{^LN-BEG}%ExY(?P<_sep>[-/.])%m(?P=_sep)%d[T ]%H:%M:%S",
        "{EPOCH}",
        "%d/%b/%Y:%H:%M:%S %z",
    ] {
        admin.put(jail, json!({ "date_pattern": usual })).expect(200);
    }
}

/// What nobody can look through may be what stops fail2ban. Where it stands already, it is loaded as before.
#[test]
fn an_expression_too_large_to_be_judged_is_refused_unless_it_stands_in_the_files_or_is_forced() {
    let large = format!("^lab: {} <HOST>$", "x".repeat(7000));
    let mut daemon = RealDaemon::configured();
    fs::write(daemon.path("filter.d/large.conf"), format!("[Definition]\nfailregex = {large}\n")).unwrap();
    daemon.start_again();
    let (_server, admin) = Server::ready(&daemon);
    let changed = large.replace("^lab", "^new");
    let error = admin.put(&format!("{FILTERS}/lab"), json!({ "failregex": [changed] }));
    let error = error.expect_error(422, "config_validation_failed").json();
    assert_eq!(
        (&error["metadata"]["errors"][0]["rule"], &error["metadata"]["expression"]),
        (&json!("cost"), &json!(changed))
    );
    assert!(error["detail"].as_str().unwrap().contains("too large to be checked"), "{error}");
    admin.put(&format!("{FILTERS}/lab"), json!({ "failregex": [changed], "force": true })).expect(200);
    // A shipped one is as good elsewhere.
    admin.put("/api/v1/config/jails/lab", json!({ "fail_regex": [large] })).expect(200);
}

#[test]
fn a_reload_names_the_expressions_that_can_stop_fail2ban() {
    let mut daemon = RealDaemon::configured();
    fs::write(daemon.path("filter.d/lab.conf"), format!("[Definition]\nfailregex = {EVIL}\n")).unwrap();
    daemon.start_again();
    let (server, admin) = Server::ready(&daemon);
    let answer = admin.post_empty("/api/v1/config/reload").expect(204);
    let warning = answer.header("x-bangui-warning").unwrap();
    assert!(warning.contains("Jail lab: failregex 1: `(?:a|aa)+`"), "{warning}");
    // Two jails have the filter, and one sentence is enough.
    assert_eq!(warning.matches("failregex 1").count(), 1, "{warning}");
    assert!(server.log().contains("Jail lab: failregex 1: `(?:a|aa)+`"), "{}", server.log());
}

#[test]
fn a_test_of_an_expression_says_what_it_can_cost() {
    let daemon = RealDaemon::start();
    let launch = Launch::for_real(&daemon).env("BANGUI_ALLOWED_LOG_DIRS", daemon.config().to_str().unwrap());
    let (_server, admin) = launch.start().into_ready();
    let tried = json!({ "log_line": "lab: ab 203.0.113.7", "fail_regex": EVIL });
    let answer = admin.post("/api/v1/config/regex-test", tried).expect(200).json();
    assert!(answer["warnings"][0].as_str().unwrap().contains("less than a millisecond"), "{answer}");
    let fine = json!({ "log_line": "lab: bad 203.0.113.7", "fail_regex": "^lab: bad <HOST>$" });
    assert_eq!(admin.post("/api/v1/config/regex-test", fine).expect(200).json()["warnings"], json!([]));
    daemon.append_log("lab.log", "lab: bad 203.0.113.7");
    let preview = json!({ "log_path": daemon.path("lab.log"), "fail_regex": EVIL });
    let answer = admin.post("/api/v1/config/preview-log", preview).expect(200).json();
    assert!(answer["warnings"][0].as_str().unwrap().contains("longest line that was tried"), "{answer}");
}

#[test]
fn what_stands_in_the_files_is_named_by_the_list_the_filter_its_test_and_check() {
    let mut daemon = RealDaemon::configured();
    fs::write(daemon.path("filter.d/lab.conf"), format!("[Definition]\nfailregex = {EVIL}\n")).unwrap();
    daemon.start_again();
    let (_server, admin) = Server::ready(&daemon);
    let list = admin.get(FILTERS).expect(200).json();
    let lab = list["items"].as_array().unwrap().iter().find(|item| item["name"] == "lab").unwrap();
    assert!(lab["warnings"][0].as_str().unwrap().contains("(?:a|aa)+"), "{lab}");
    let one = admin.get(&format!("{FILTERS}/lab")).expect(200).json();
    assert_eq!(one["warnings"], lab["warnings"]);
    let lines = json!({ "lines": ["lab: ab 203.0.113.7"] });
    let tested = admin.post(&format!("{FILTERS}/lab/test"), lines).expect(200).json();
    assert!(tested["warnings"][0].as_str().unwrap().contains("(?:a|aa)+"), "{tested}");
    let said = Command::new(env!("CARGO_BIN_EXE_bangui"))
        .args(["check", "--database"])
        .arg(daemon.path("other.db"))
        .arg("--fail2ban-socket")
        .arg(daemon.socket())
        .arg("--fail2ban-config")
        .arg(daemon.config())
        .output()
        .unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("warning  jail lab: failregex 1: `(?:a|aa)+`"), "{said}");
}
