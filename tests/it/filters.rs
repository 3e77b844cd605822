//! Filters: shown as written and as they work, tried on log lines, and changed without harm to what runs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::release::Release;
use crate::harness::server::{Launch, Server};
use crate::harness::wait_until;
use crate::operations::{demand_documented, provoke_general_refusals};

const FILTERS: &str = "/api/v1/config/filters";

fn at(name: &str) -> String {
    format!("{FILTERS}/{name}")
}

/// Every value of every jail that the daemon can be asked for.
fn getters(daemon: &RealDaemon) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for jail in ["lab", "slow", "sshd"] {
        for key in ["failregex", "ignoreregex", "prefregex", "datepattern", "maxlines", "bantime", "logpath", "actions"]
        {
            all.insert(format!("{jail} {key}"), daemon.client(&["get", jail, key]));
        }
    }
    all
}

/// Every file below filter.d, with its content.
fn files(daemon: &RealDaemon) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(daemon.path("filter.d")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect()
}

#[test]
fn every_documented_status_of_filters() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    admin.get(FILTERS).expect(200);
    admin.get(&at("sshd")).expect(200);
    let made = json!({"name": "made", "failregex": ["^made <HOST>$"]});
    admin.post(FILTERS, made.clone()).expect(201);
    admin.post(FILTERS, made).expect_error(409, "conflict");
    admin.put(&at("lab"), json!({"failregex": ["^lab: worse <HOST>$"]})).expect(200);
    admin.post(&at("lab/test"), json!({"lines": ["lab: worse 203.0.113.7"]})).expect(200);
    admin.delete(&at("made")).expect(204);
    let long = "x".repeat(16_385);
    admin.post(FILTERS, json!({"name": "long", "failregex": [long]})).expect_error(400, "invalid_input");
    admin.post(FILTERS, json!({"name": "../x", "failregex": ["<HOST>"]})).expect_error(400, "invalid_input");
    admin.post(FILTERS, json!({"name": "bad", "failregex": ["("]})).expect_error(422, "config_validation_failed");
    admin.put(&at("lab"), json!({"failregex": ["^no host$"]})).expect_error(422, "config_validation_failed");
    for answer in [
        admin.put(&at("-x"), json!({"failregex": ["<HOST>"]})),
        admin.delete(&at("x.local")),
        admin.post(&at("lab/test"), json!({"log_path": "/etc/passwd"})),
    ] {
        answer.expect_error(400, "invalid_input");
    }
    for answer in [
        admin.get(&at("none")),
        admin.put(&at("none"), json!({"failregex": ["<HOST>"]})),
        admin.delete(&at("none")),
        admin.post(&at("none/test"), json!({"lines": ["x"]})),
    ] {
        answer.expect_error(404, "filter_not_found");
    }
    admin.post(&at("lab/test"), json!({"lines": 1})).expect_error(422, "invalid_input");
    admin.delete(&at("dovecot")).expect_error(409, "conflict");
    a_file_that_cannot_be_written_is_500(&daemon, &admin);
    too_many_changes_are_429();
    provoke_general_refusals(FILTERS);
    demand_documented(FILTERS);
}

fn a_file_that_cannot_be_written_is_500(daemon: &RealDaemon, admin: &Client) {
    let target = daemon.path("filter.d/vsftpd.local");
    let other = daemon.path("other");
    fs::write(&other, "[Definition]\n").unwrap();
    symlink(&other, &target).unwrap();
    let body = json!({"failregex": ["^x <HOST>$"]});
    admin.put(&at("vsftpd"), body).expect_error(500, "config_not_a_file");
    admin.delete(&at("vsftpd")).expect_error(500, "config_not_a_file");
    assert_eq!(fs::read_to_string(&other).unwrap(), "[Definition]\n", "the link is not followed");
    let linked = daemon.path("filter.d/fresh.local");
    symlink("/nonexistent/secret", &linked).unwrap();
    let fresh = json!({"name": "fresh", "failregex": ["^x <HOST>$"]});
    admin.post(FILTERS, fresh).expect_error(500, "config_not_a_file");
    fs::remove_file(target).unwrap();
    fs::remove_file(linked).unwrap();
}

fn too_many_changes_are_429() {
    let daemon = RealDaemon::configured();
    let (_server, admin) = Launch::for_real(&daemon).env("BANGUI_RATE_LIMIT_CONFIG", "1").start().into_ready();
    admin.delete(&at("none")).expect(404);
    let body = json!({"name": "x", "failregex": ["<HOST>"]});
    for answer in [admin.post(FILTERS, body.clone()), admin.put(&at("lab"), body), admin.delete(&at("lab"))] {
        assert!(answer.header("retry-after").is_some());
        answer.expect_error(429, "rate_limit_exceeded");
    }
}

#[test]
fn the_list_and_the_detail_show_raw_and_effective_values() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    let list = admin.get(FILTERS).expect(200).json();
    let stock = fs::read_dir(Release::under_test().stock().join("filter.d")).unwrap();
    let stock = stock.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "conf"));
    // The stock filters and `lab`.
    assert_eq!(list["total"].as_u64(), Some(stock.count() as u64 + 1));
    // One that makes no sense but in those that include it.
    let broken = list["items"].as_array().unwrap().iter().filter(|item| !item["problem"].is_null());
    assert_eq!(broken.map(|item| item["name"].as_str().unwrap()).collect::<Vec<_>>(), ["selinux-common"]);
    let sshd = admin.get(&at("sshd")).expect(200).json();
    assert_eq!((&sshd["used_by_jails"], &sshd["active"]), (&json!(["sshd"]), &json!(true)));
    assert_eq!((&sshd["before"], &sshd["has_local_override"]), (&json!("common.conf"), &json!(false)));
    assert_eq!(sshd["source_file"], json!(daemon.path("filter.d/sshd.conf")));
    assert!(sshd["variables"]["_daemon"].as_str().unwrap().starts_with("sshd"));
    assert!(sshd["variables"]["__prefix_line"].is_null(), "that one is of another file");
    assert!(sshd["failregex"].to_string().contains("%(cmnfailre)s"), "raw: {}", sshd["failregex"]);
    let effective = sshd["effective_failregex"].as_array().unwrap();
    assert!(effective.len() > 10 && !sshd["effective_failregex"].to_string().contains("%("));
    let lab = admin.get(&at("lab")).expect(200).json();
    assert_eq!((&lab["failregex"], &lab["used_by_jails"]), (&json!(["^lab: bad <HOST>$"]), &json!(["lab", "slow"])));
    let unused = admin.get(&at("dovecot")).expect(200).json();
    assert_eq!((&unused["used_by_jails"], &unused["active"]), (&json!([]), &json!(false)));
    // One that fail2ban would refuse does not hide the others.
    fs::write(daemon.path("filter.d/broken.conf"), "[Definition]\nfailregex = %(nothing)s\n").unwrap();
    fs::write(daemon.path("filter.d/garbage.conf"), "garbage\n").unwrap();
    let list = admin.get(FILTERS).expect(200).json();
    let problem = |name: &str| {
        let item = list["items"].as_array().unwrap().iter().find(|item| item["name"] == name).unwrap();
        item["problem"].as_str().unwrap_or_default().to_owned()
    };
    assert!(problem("broken").contains("nothing") && problem("garbage").contains("garbage.conf"), "{list}");
}

#[test]
fn files_are_shown_and_changed_without_the_daemon() {
    let mut daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    daemon.stop();
    wait_until("the end to be noticed", std::time::Duration::from_secs(40), || {
        admin.get(&at("sshd")).expect(200).json()["active"] == false
    });
    assert_eq!(admin.get(&at("sshd")).expect(200).json()["used_by_jails"], json!(["sshd"]));
    admin.get(FILTERS).expect(200);
    admin.put(&at("lab"), json!({"failregex": ["^lab: later <HOST>$"]})).expect(200);
    admin.post(FILTERS, json!({"name": "made", "failregex": ["^made <HOST>$"]})).expect(201);
    admin.delete(&at("made")).expect(204);
    daemon.start_again();
    assert!(daemon.client(&["get", "lab", "failregex"]).contains("lab: later"));
}

#[test]
fn a_change_reaches_the_jails_that_use_it_and_only_those() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    daemon.client(&["set", "sshd", "bantime", "77"]);
    daemon.client(&["stop", "slow"]);
    let hand = "# by hand\n[Definition]\nignoreregex = ^lab: bad 203\\.0\\.113\\.9$ ; not him\n";
    fs::write(daemon.path("filter.d/lab.local"), hand).unwrap();
    let body = json!({"failregex": ["^lab: bad <HOST>$", "^lab: worse <HOST>$"], "maxlines": 2});
    let changed = admin.put(&at("lab"), body).expect(200).json();
    assert_eq!(changed["failregex"], json!(["^lab: bad <HOST>$", "^lab: worse <HOST>$"]));
    assert_eq!((&changed["maxlines"], &changed["has_local_override"]), (&json!(2), &json!(true)));
    let text = fs::read_to_string(daemon.path("filter.d/lab.local")).unwrap();
    assert!(text.starts_with(hand), "comments and other values stay: {text}");
    let daemons = daemon.client(&["get", "lab", "failregex"]);
    assert!(daemons.contains("lab: bad") && daemons.contains("lab: worse"), "{daemons}");
    assert_eq!(daemon.client(&["get", "sshd", "bantime"]), "77", "its jail was not reloaded");
    assert!(!daemon.client(&["status"]).contains("slow"), "what was stopped stays stopped");
    // Null goes back to the shipped file's value.
    let back = admin.put(&at("lab"), json!({"maxlines": null, "ignoreregex": []})).expect(200).json();
    assert_eq!((&back["maxlines"], &back["ignoreregex"]), (&Value::Null, &json!([])));
    let shown = admin.get(&at("lab")).expect(200).json();
    assert_eq!(shown["failregex"], changed["failregex"]);
    let used = admin.delete(&at("lab")).expect_error(409, "conflict").json();
    assert_eq!(used["metadata"]["used_by_jails"], json!(["lab", "slow"]));
}

#[test]
fn what_would_not_work_changes_nothing() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    let (before, values) = (files(&daemon), getters(&daemon));
    let mut taken = Vec::new();
    for (name, body) in [
        ("lab", json!({"failregex": ["(<HOST>"]})),
        ("lab", json!({"failregex": ["^no host$"]})),
        ("lab", json!({"failregex": ["^x <HOST>$", "*"]})),
        ("lab", json!({"ignoreregex": ["("]})),
        ("lab", json!({"prefregex": "^("})),
        ("lab", json!({"failregex": ["%(nothing)s <HOST>"]})),
        ("lab", json!({"failregex": ["100% <HOST>"]})),
        ("lab", json!({"failregex": ["[evil]"]})),
        ("lab", json!({"failregex": ["x <HOST>", "; y <HOST>"]})),
        ("lab", json!({"failregex": ["  leading <HOST>"]})),
        ("lab", json!({"failregex": ["a\u{0}<HOST>"]})),
        ("lab", json!({"failregex": ["a\n[DEFAULT]\nb = <HOST>"]})),
        ("lab", json!({"failregex": [""]})),
        ("lab", json!({"failregex": []})),
        ("lab", json!({"failregex": "x <HOST>"})),
        ("lab", json!({"prefregex": "x\n[Definition]\nfailregex = y"})),
        ("lab", json!({"datepattern": " x"})),
        ("lab", json!({"datepattern": "%Q("})),
        ("lab", json!({"maxlines": 0})),
        ("lab", json!({"maxlines": "2"})),
        ("lab", json!({"before": "/etc/passwd"})),
        ("lab", json!({})),
        ("dovecot", json!({"failregex": ["^("]})),
    ] {
        let answer = admin.put(&at(name), body.clone());
        if answer.status != 422 {
            taken.push(format!("{body}: {answer}"));
        }
    }
    assert!(taken.is_empty(), "{}", taken.join("\n"));
    assert_eq!(files(&daemon), before);
    assert_eq!(getters(&daemon), values);
}

#[test]
fn hostile_names_never_become_paths() {
    let daemon = RealDaemon::configured();
    let (_server, admin) = Launch::for_real(&daemon).start().into_ready();
    let before = files(&daemon);
    let long = "a".repeat(129);
    for name in [
        "..",
        ".",
        "../x",
        "a/b",
        "a\0b",
        "a\nb",
        "-h",
        "",
        &long,
        "ѕshd",
        "x]\n[evil",
        "x.conf",
        "x.local",
        "x.d",
        "a..b",
        "a b",
        ".hidden",
    ] {
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let body = json!({"failregex": ["^x <HOST>$"]});
        for answer in [
            admin.get(&at(&encoded)),
            admin.put(&at(&encoded), body.clone()),
            admin.delete(&at(&encoded)),
            admin.post(&at(&format!("{encoded}/test")), json!({"lines": ["x"]})),
            admin.post(FILTERS, json!({"name": name, "failregex": ["^x <HOST>$"]})),
        ] {
            assert!([400, 404, 405].contains(&answer.status), "{name:?}: {answer}");
        }
    }
    assert_eq!(files(&daemon), before);
}

#[test]
fn a_test_says_of_each_line_what_the_filter_makes_of_it() {
    let daemon = RealDaemon::configured();
    let logs = daemon.config().to_str().unwrap();
    let (_server, admin) = Launch::for_real(&daemon).env("BANGUI_ALLOWED_LOG_DIRS", logs).start().into_ready();
    let failed = "2026-01-02T03:04:05 host sshd[1]: Failed password for root from 203.0.113.7 port 4 ssh2";
    let closed = "2026-01-02T03:04:06 host sshd[2]: Connection closed by 203.0.113.8 port 4 [preauth]";
    let test = |options: &str| {
        let body = json!({"lines": [failed, closed, "nothing"], "options": options});
        admin.post(&at("sshd/test"), body).expect(200).json()
    };
    let plain = test("");
    assert_eq!((&plain["matched_count"], &plain["total_lines"], &plain["hint"]), (&json!(1), &json!(3), &Value::Null));
    let first = &plain["results"][0];
    assert_eq!(
        (&first["host"], &first["user"], &first["matched"]),
        (&json!("203.0.113.7"), &json!("root"), &json!(true))
    );
    assert!(first["timestamp"].as_str().unwrap().ends_with('Z') && first["prefregex"] == true);
    assert_eq!(first["time_problem"], "older_than_find_time", "{first}");
    assert!(first["hint"].as_str().unwrap().contains("older than the find time"), "{first}");
    assert_eq!(plain["results"][2]["time_problem"], Value::Null);
    let zoned = json!({"lines": [failed], "log_timezone": "UTC+0200"});
    let zoned = admin.post(&at("sshd/test"), zoned).expect(200).json();
    assert_eq!(zoned["results"][0]["timestamp"], "2026-01-02T01:04:05Z");
    let zone = json!({"lines": [failed], "log_timezone": "Europe/Paris"});
    admin.post(&at("sshd/test"), zone).expect_error(422, "config_validation_failed");
    assert_eq!(test("mode=aggressive")["matched_count"], 2);
    // What goes wrong is said.
    let nothing = admin.post(&at("sshd/test"), json!({"lines": ["nothing"]})).expect(200).json();
    assert!(nothing["hint"].as_str().unwrap().contains("prefregex"), "{nothing}");
    fs::write(daemon.path("lab.log"), "lab: bad 203.0.113.1\nlab: bad 203.0.113.2\n").unwrap();
    let tail = json!({"log_path": daemon.path("lab.log"), "num_lines": 1});
    let tail = admin.post(&at("lab/test"), tail).expect(200).json();
    assert_eq!((&tail["total_lines"], &tail["results"][0]["host"]), (&json!(1), &json!("203.0.113.2")));
    for body in [
        json!({}),
        json!({"lines": ["x"], "log_path": daemon.path("lab.log")}),
        json!({"lines": vec!["x"; 1001]}),
        json!({"lines": ["x".repeat(65_537)]}),
        json!({"lines": ["x"], "options": "a\nb=c"}),
        json!({"lines": ["x"], "options": "mode="}),
        json!({"lines": ["x"], "options": "]"}),
    ] {
        let answer = admin.post(&at("sshd/test"), body.clone());
        assert!(answer.status == 422 || body["options"] == "mode=", "{body}: {answer}");
    }
    // A line of 64 KiB and more is told to be too long.
    let long = admin.post(&at("lab/test"), json!({"lines": ["y".repeat(65_536)]})).expect(200).json();
    assert!(long["hint"].as_str().unwrap().contains("65536"), "{}", long["hint"]);
}

/// The lines of a sample log that are no annotations, each with an end, since fail2ban-regex passes over the others.
fn sample(name: &str, directory: &std::path::Path) -> std::path::PathBuf {
    let text = fs::read(Release::under_test().samples().join(name)).unwrap();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let path = directory.join(name);
    fs::write(&path, lines.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    path
}

#[test]
fn the_command_line_agrees_with_fail2ban_regex() {
    let directory = tempfile::tempdir().unwrap();
    let mut compared = 0;
    for called in [
        "sshd[usedns=raw]",
        "sshd[mode=aggressive, usedns=raw]",
        "sshd[mode=ddos, usedns=raw]",
        "dovecot[usedns=raw]",
        "dovecot[mode=aggressive, usedns=raw]",
        "postfix[usedns=raw]",
        "postfix[mode=aggressive, usedns=raw]",
        "exim[usedns=raw]",
        "vsftpd[usedns=raw]",
        "proftpd[usedns=raw]",
        "recidive[usedns=raw]",
        "nginx-http-auth[usedns=raw]",
        "apache-auth[usedns=raw]",
        "named-refused[usedns=raw]",
    ] {
        let name = called.split('[').next().unwrap();
        let log = sample(name, directory.path());
        let mut theirs = Command::new("fail2ban-regex");
        let theirs = output_of(theirs.args(["--usedns", "raw", "-o", "<ip>"]).arg(&log).arg(called));
        let mut ours = Command::new(env!("CARGO_BIN_EXE_bangui"));
        let ours = output_of(ours.args(["test-filter", called, "--json"]).arg(&log));
        let lines: Vec<Value> = ours.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), fs::read_to_string(&log).unwrap().lines().count(), "an object a line");
        for key in ["line", "matched", "host", "groups", "timestamp", "ignored"] {
            assert!(lines.iter().all(|line| line.get(key).is_some()), "{key}");
        }
        let matched = lines.iter().filter(|line| line["matched"] == true);
        let hosts: Vec<&str> = matched.map(|line| line["host"].as_str().unwrap()).collect();
        assert_eq!(hosts, theirs.lines().collect::<Vec<_>>(), "{called}");
        compared += hosts.len();
    }
    assert!(compared > 300, "only {compared} matches: are the sample logs installed?");
}

/// The standard output of a command that goes well.
#[track_caller]
fn output_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_command_line_reads_standard_input_and_refuses_in_one_line() {
    let program = env!("CARGO_BIN_EXE_bangui");
    let shell = |script: &str| Command::new("sh").args(["-c", script, program]).output().unwrap();
    let summary = shell(
        "printf 'Jan  2 03:04:05 h sshd[1]: Failed password for a from 203.0.113.7 port 4\\n' | $0 test-filter sshd -",
    );
    assert!(String::from_utf8_lossy(&summary.stdout).contains("1 lines, 0 ignored, 1 matched"), "{summary:?}");
    for (arguments, code) in [
        ("", 2),
        ("sshd", 2),
        ("sshd a b", 2),
        ("../sshd -", 2),
        ("none -", 1),
        ("sshd /nonexistent/log", 1),
        ("'sshd[a' -", 2),
    ] {
        let refused = shell(&format!("$0 test-filter {arguments} </dev/null"));
        assert_eq!(refused.status.code(), Some(code), "{arguments}: {refused:?}");
        assert_eq!(String::from_utf8_lossy(&refused.stderr).lines().count(), 1, "{refused:?}");
    }
    // A reader that leaves early is no failure.
    let left = shell("yes 'x 203.0.113.7' | head -100000 | $0 test-filter sshd --json - | head -1");
    assert!(left.stderr.is_empty(), "{left:?}");
}
