//! Expressions tried on log lines: what they say, and that no expression and no log can hang the program or fill its memory.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::server::{Launch, Server};
use crate::operations::{demand_documented, provoke_general_refusals};

const TEST: &str = "/api/v1/config/regex-test";
const PREVIEW: &str = "/api/v1/config/preview-log";

/// A server that may read the logs of a directory.
fn server(logs: &Path) -> (Server, Client) {
    Launch::without_daemon().env("BANGUI_ALLOWED_LOG_DIRS", logs.to_str().unwrap()).start().into_ready()
}

fn test(admin: &Client, line: &str, regex: &str) -> Value {
    admin.post(TEST, json!({"log_line": line, "fail_regex": regex})).expect(200).json()
}

#[test]
fn every_documented_status_of_regex_tests() {
    let logs = tempfile::tempdir().unwrap();
    let log = logs.path().join("a.log");
    fs::write(&log, "bad 203.0.113.7\ngood\nbad 203.0.113.8\n").unwrap();
    let (_server, admin) = server(logs.path());
    let found = test(&admin, "bad 203.0.113.7", "^bad <HOST>$");
    assert_eq!(
        (&found["matched"], &found["host"], &found["error"]),
        (&json!(true), &json!("203.0.113.7"), &Value::Null)
    );
    let preview = admin.post(PREVIEW, json!({"log_path": log, "fail_regex": "^bad <HOST>$"})).expect(200).json();
    assert_eq!((&preview["total_lines"], &preview["matched_count"]), (&json!(3), &json!(2)));
    assert_eq!(preview["lines"][1], json!({"line": "good", "matched": false, "groups": [], "error": null}));
    // A line that is too long for an expression is not passed over in silence.
    fs::write(&log, format!("bad {}\nbad 203.0.113.8\n", "x".repeat(70_000))).unwrap();
    let preview = admin.post(PREVIEW, json!({"log_path": log, "fail_regex": "^bad <HOST>$"})).expect(200).json();
    let said = preview["lines"][0]["error"].as_str().unwrap();
    assert!(
        said.contains("too long") && preview["matched_count"] == 1 && preview["lines"][1]["error"].is_null(),
        "{preview}"
    );
    // A line that matches says so when its time is odd.
    let old = test(&admin, "2020-01-02 03:04:05 bad 203.0.113.7", "^ bad <HOST>$");
    assert_eq!((&old["matched"], &old["time_problem"]), (&json!(true), &json!("older_than_find_time")));
    assert!(old["hint"].as_str().unwrap().contains("find time of 10 minutes"), "{old}");
    assert_eq!((&found["time_problem"], &found["hint"]), (&Value::Null, &Value::Null));
    for regex in ["(", "(?P<a>x)(?P<a>y)", "x{2,1}", "*", "(?<n>x)", "a++b(?", "[z-a]"] {
        let answer = admin.post(TEST, json!({"log_line": "x", "fail_regex": regex}));
        answer.expect_error(422, "config_validation_failed");
        let answer = admin.post(PREVIEW, json!({"log_path": log, "fail_regex": regex}));
        let error = answer.expect_error(422, "config_validation_failed").json();
        assert_eq!(error["metadata"]["errors"][0]["source_field"], "fail_regex");
    }
    for path in [TEST, PREVIEW] {
        provoke_general_refusals(path);
        demand_documented(path);
    }
}

#[test]
fn bodies_of_the_wrong_shape_are_refused() {
    let logs = tempfile::tempdir().unwrap();
    let (_server, admin) = server(logs.path());
    let long = "x".repeat(65_537);
    let huge = "x".repeat(16_385);
    for body in [
        json!({}),
        json!({"log_line": "x"}),
        json!({"log_line": 1, "fail_regex": "x"}),
        json!({"log_line": "x", "fail_regex": ""}),
        json!({"log_line": "x", "fail_regex": huge}),
        json!({"log_line": long, "fail_regex": "x"}),
        json!({"log_line": "x", "fail_regex": "x", "more": 1}),
    ] {
        admin.post(TEST, body).expect_error(422, "invalid_input");
    }
    for lines in [json!(0), json!(2001), json!("9"), json!(-1)] {
        let body = json!({"log_path": logs.path().join("a"), "fail_regex": "x", "num_lines": lines});
        admin.post(PREVIEW, body).expect_error(422, "invalid_input");
    }
    let megabytes = json!({"log_line": "x", "fail_regex": "y".repeat(2_000_000)}).to_string();
    admin.send("POST", TEST, Some(megabytes.as_bytes())).expect_error(413, "payload_too_large");
}

#[test]
fn the_date_is_cut_out_as_the_daemon_does() {
    let logs = tempfile::tempdir().unwrap();
    let (_server, admin) = server(logs.path());
    let line = "2026-01-02 03:04:05 login of bob failed from 203.0.113.7";
    let found = test(&admin, line, r"^ login of <F-USER>\S+</F-USER> failed from <HOST>$");
    assert_eq!(found["matched"], true);
    assert_eq!(found["named_groups"]["user"], "bob");
    assert!(found["timestamp"].as_str().unwrap().ends_with('Z'));
    let dated = test(&admin, line, r"^\S+ \S+ login of \S+ failed from <HOST>$");
    assert_eq!(dated["matched"], false);
    assert!(dated["error"].as_str().unwrap().contains("cuts the date out"), "{dated}");
    let body = json!({"log_line": "<02.01.2026> x", "fail_regex": "^<> x$", "date_pattern": "%d\\.%m\\.%Y"});
    assert_eq!(admin.post(TEST, body).expect(200).json()["matched"], true);
}

#[test]
fn catastrophic_expressions_are_reported_and_hold_nobody() {
    let logs = tempfile::tempdir().unwrap();
    let log = logs.path().join("a.log");
    let line = format!("{}:", "a".repeat(4000));
    fs::write(&log, format!("{line}\n").repeat(500)).unwrap();
    let (_server, admin) = server(logs.path());
    let slow = r"^(?:\w+\s?)+(?!:):";
    let found = test(&admin, &line, slow);
    assert_eq!(found["matched"], false);
    assert!(found["error"].as_str().unwrap().contains(r"(?:\w+\s?)+"), "{found}");
    let preview = admin.post(PREVIEW, json!({"log_path": log, "fail_regex": slow, "num_lines": 2000})).expect(200);
    assert!(preview.elapsed < Duration::from_secs(15), "{:?}", preview.elapsed);
    assert!(preview.json()["regex_error"].as_str().unwrap().contains("takes too long"));
    // Python would run for ever on this one; here it takes linear time.
    assert_eq!(test(&admin, &line, r"^(a+)+$")["matched"], false);
    // One that captures a long line thousands of times is told so, instead of sending a hundred megabytes.
    let nested = format!("{}a*{}", "(".repeat(90), ")".repeat(90));
    let much = admin.post(TEST, json!({"log_line": "a".repeat(65_000), "fail_regex": nested})).expect(200);
    assert!(much.body.len() < 1_000_000, "{}", much.body.len());
    assert!(much.json()["error"].as_str().unwrap().contains("capture"));
}

#[test]
fn the_loop_goes_on_while_an_expression_is_tried() {
    let logs = tempfile::tempdir().unwrap();
    let log = logs.path().join("a.log");
    fs::write(&log, format!("{}\n", "ab ".repeat(5000)).repeat(100)).unwrap();
    let (server, admin) = server(logs.path());
    let other = server.client();
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            let regex = r"^(?:\w+ )+(?=x)(\w+)\1 <HOST>";
            admin.post(PREVIEW, json!({"log_path": log, "fail_regex": regex, "num_lines": 2000})).expect(200);
        });
        let mut slowest = Duration::ZERO;
        loop {
            let start = Instant::now();
            other.get("/api/v1/setup").expect(200);
            slowest = slowest.max(start.elapsed());
            if busy.is_finished() {
                break;
            }
        }
        assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    });
}

#[test]
fn hostile_log_paths_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let logs = root.path().join("logs");
    fs::create_dir_all(logs.join("sub")).unwrap();
    fs::write(root.path().join("secret"), "secret\n").unwrap();
    symlink(root.path().join("secret"), logs.join("link")).unwrap();
    symlink(root.path(), logs.join("up")).unwrap();
    fifo(&logs.join("fifo"));
    let (_server, admin) = server(&logs);
    let inside = logs.display().to_string();
    for path in [
        "/etc/shadow".to_owned(),
        "/proc/self/mem".into(),
        "/dev/zero".into(),
        "a.log".into(),
        String::new(),
        format!("{inside}/../secret"),
        format!("{inside}/%2e%2e/secret"),
        format!("{inside}/link"),
        format!("{inside}/up/secret"),
        format!("{inside}/fifo"),
        format!("{inside}/sub"),
        format!("{inside}/*"),
        format!("{inside}/none.log"),
        format!("{inside}/a\0b"),
        inside.clone(),
    ] {
        let answer = admin.post(PREVIEW, json!({"log_path": path, "fail_regex": "x"}));
        assert!(answer.elapsed < Duration::from_secs(3), "{path}: {:?}", answer.elapsed);
        answer.expect_error(400, "invalid_input");
    }
}

/// Makes a FIFO.
fn fifo(path: &Path) {
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the name ends in a NUL and is alive during the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
}

#[test]
fn monstrous_logs_are_read_in_bounded_time() {
    let logs = tempfile::tempdir().unwrap();
    let (server, admin) = server(logs.path());
    let path = logs.path().join("big.log");
    let mut file = fs::File::create(&path).unwrap();
    // Ten gigabytes that take no room on the disk.
    file.set_len(10 << 30).unwrap();
    file.seek(SeekFrom::End(0)).unwrap();
    file.write_all(b"\n").unwrap();
    file.write_all(&vec![b'x'; 1_000_000]).unwrap();
    file.write_all(b"\nbad 203.0.113.7 \xff\xfe \x1b]0;title\x07\nbad 203.0.113.8\n").unwrap();
    let before = server.rss_kib();
    let body = json!({"log_path": path, "fail_regex": "^bad <HOST>", "num_lines": 2000});
    let answer = admin.post(PREVIEW, body.clone()).expect(200);
    assert!(answer.elapsed < Duration::from_secs(10), "{:?}", answer.elapsed);
    let preview = answer.json();
    assert_eq!((&preview["total_lines"], &preview["matched_count"]), (&json!(3), &json!(2)));
    assert!(!answer.body.contains(&0x1b), "no escape sequence reaches a terminal");
    assert!(server.rss_kib() < before + 20_000);
    // Rotated away and made anew.
    fs::rename(&path, logs.path().join("big.log.1")).unwrap();
    fs::write(&path, "bad 203.0.113.9\n").unwrap();
    let preview = admin.post(PREVIEW, body).expect(200).json();
    assert_eq!(preview["lines"][0]["line"], "bad 203.0.113.9");
}
