//! Many bans made and lifted with one request: what became of each, that others have the daemon meanwhile, and what hostile lists do.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::Server;
use crate::harness::wait_until;

const BULK: &str = "/api/v1/bans/bulk";
const REMOVE: &str = "/api/v1/bans/bulk/remove";

/// A daemon whose jail `lab` has no action, so that a ban takes a tenth of a millisecond.
fn without_action() -> RealDaemon {
    let mut daemon = RealDaemon::configured();
    std::fs::write(daemon.path("jail.local"), "[lab]\naction =\n").unwrap();
    daemon.start_again();
    daemon
}

/// The words of the results, in order.
fn results(answer: &Value) -> Vec<&str> {
    answer["results"].as_array().unwrap().iter().map(|item| item["result"].as_str().unwrap()).collect()
}

fn many(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255)).collect()
}

/// What became of it, also where a slow machine takes more than five seconds.
pub fn done(admin: &Client, path: &str, body: Value) -> Value {
    let answer = admin.post(path, body);
    if answer.status == 200 {
        return answer.json();
    }
    let place = format!("/api/v1/jobs/{}", answer.expect(202).json()["job"].as_str().unwrap());
    let mut job = Value::Null;
    wait_until("all of them", Duration::from_secs(60), || {
        job = admin.get(&place).expect(200).json();
        job["state"] == "done"
    });
    job["result"].clone()
}

/// How long the daemon takes to say that it is there.
fn ping(daemon: &RealDaemon) -> Duration {
    let start = Instant::now();
    let mut socket = UnixStream::connect(daemon.socket()).unwrap();
    socket.write_all(b"(lp0\nS'ping'\np1\na.<F2B_END_COMMAND>").unwrap();
    let (mut answer, mut some) = (Vec::new(), [0; 256]);
    while !answer.ends_with(b"<F2B_END_COMMAND>") {
        let count = socket.read(&mut some).unwrap();
        assert!(count > 0, "the daemon hung up after {answer:?}");
        answer.extend_from_slice(&some[..count]);
    }
    start.elapsed()
}

fn own_bans(admin: &Client, jail: &str) -> Vec<Value> {
    let list = admin.get(&format!("/api/v1/bans/active?jail={jail}")).expect(200).json();
    list["items"].as_array().unwrap().iter().filter(|item| !item["actor"].is_null()).cloned().collect()
}

#[test]
fn each_address_has_a_result_and_none_keeps_another_from_being_banned() {
    let daemon = without_action();
    let (_server, admin) = Server::ready(&daemon);
    daemon.client(&["set", "lab", "banip", "203.0.113.2"]);
    daemon.client(&["set", "lab", "addignoreip", "198.51.100.0/24"]);
    let hostile = [
        "1.2.3.4;id",
        "$(touch x)",
        "--all",
        "203.0.113.9\nset lab banip 203.0.113.10",
        "203.0.113.11 203.0.113.12",
        "\u{80}\u{2}]q",
        "",
        "example.org",
        "10.0.0.0/33",
    ];
    let mut ips =
        vec!["203.0.113.1", "203.0.113.2", "203.0.113.1", "198.51.100.7", "127.0.0.1", "0.0.0.0/1", "2001:DB8:0::1"];
    ips.extend(hostile);
    let note = "rm -rf / ; <ip> \"'`$(id) %(x)s";
    let answer =
        admin.post(BULK, json!({"ips": ips, "jail": "lab", "note": note, "duration": "2h"})).expect(200).json();
    let mut wanted = vec!["banned", "was_banned", "was_banned", "protected", "protected", "protected", "banned"];
    wanted.extend(["invalid"; 9]);
    assert_eq!(results(&answer), wanted, "{answer}");
    let reason = |at: usize| answer["results"][at]["reason"].as_str().unwrap_or_default().to_owned();
    assert_eq!((reason(3), reason(4), reason(5)), ("ignored".into(), "yourself".into(), "too_wide".into()));
    assert!(answer["results"][7]["detail"].as_str().unwrap().starts_with("ips.7: "), "{answer}");
    assert_eq!(answer["results"][6]["ip"], "2001:db8::1");
    let mut banned = daemon.banned("lab");
    banned.sort();
    assert_eq!(banned, ["2001:db8::1", "203.0.113.1", "203.0.113.2"]);
    let of_ours = own_bans(&admin, "lab");
    assert_eq!(of_ours.len(), 3, "{of_ours:?}");
    assert!(of_ours.iter().all(|ban| ban["note"] == note && ban["own_end"] == true), "{of_ours:?}");
    let remaining = daemon.client(&["get", "lab", "banip", "--with-time"]);
    assert_eq!(remaining.matches("+ 7200 =").count() + remaining.matches("+ 7201 =").count(), 3, "{remaining}");

    let ips = ["203.0.113.1", "203.0.113.1", "203.0.113.77", "2001:db8::1", "1.2.3.4;id", "--all"];
    let answer = admin.post(REMOVE, json!({"ips": ips, "jail": "lab"})).expect(200).json();
    assert_eq!(
        results(&answer),
        ["unbanned", "not_banned", "not_banned", "unbanned", "invalid", "invalid"],
        "{answer}"
    );
    assert_eq!(daemon.banned("lab"), ["203.0.113.2"]);
    // Without a jail, wherever it is.
    daemon.client(&["set", "sshd", "banip", "203.0.113.2"]);
    let answer = admin.post(REMOVE, json!({"ips": ["203.0.113.2"]})).expect(200).json();
    assert_eq!((results(&answer), &answer["jail"]), (vec!["unbanned"], &json!("*")));
    assert!(daemon.banned("lab").is_empty() && daemon.banned("sshd").is_empty());
    assert!(own_bans(&admin, "lab").is_empty());
    bodies_that_are_refused(&admin);
    assert!(daemon.banned("lab").is_empty());
    // With force, all of them but what is no address: for the jail's time and for one of their own.
    let ips = ["203.0.113.1", "198.51.100.7", "127.0.0.1", "0.0.0.0/1", "example.org"];
    for duration in [Value::Null, json!("2h")] {
        let body = json!({"ips": ips, "jail": "lab", "duration": duration, "force": true});
        let answer = admin.post(BULK, body).expect(200).json();
        assert_eq!(results(&answer), ["banned", "banned", "banned", "banned", "invalid"], "{answer}");
        let mut banned = daemon.banned("lab");
        banned.sort();
        assert_eq!(banned, ["0.0.0.0/1", "127.0.0.1", "198.51.100.7", "203.0.113.1"]);
        admin.post(REMOVE, json!({"ips": ips, "jail": "lab"})).expect(200);
        assert!(daemon.banned("lab").is_empty());
    }
}

fn bodies_that_are_refused(admin: &Client) {
    let field =
        |body: Value| admin.post(BULK, body).expect_error(422, "invalid_input").json()["metadata"]["errors"][0].clone();
    let error = field(json!({"ips": many(10_001), "jail": "lab"}));
    assert_eq!((&error["source_field"], &error["rule"]), (&json!("ips"), &json!("length")), "{error}");
    assert_eq!(field(json!({"ips": [], "jail": "lab"}))["source_field"], "ips");
    assert_eq!(field(json!({"ips": ["203.0.113.1", 7], "jail": "lab"}))["source_field"], "ips.1");
    assert_eq!(field(json!({"ips": ["203.0.113.1"]}))["source_field"], "jail");
    assert_eq!(field(json!({"ips": ["203.0.113.1"], "jail": "lab", "forced": true}))["rule"], "unknown");
    assert_eq!(field(json!({"ips": ["203.0.113.1"], "jail": "lab", "force": "yes"}))["source_field"], "force");
    for note in ["n".repeat(501), "two\nlines".to_owned(), "\u{1b}[2J".to_owned()] {
        assert_eq!(field(json!({"ips": ["203.0.113.1"], "jail": "lab", "note": note}))["source_field"], "note");
    }
    let nowhere = json!({"ips": ["203.0.113.1"], "jail": "nojail"});
    admin.post(BULK, nowhere.clone()).expect_error(404, "jail_not_found");
    admin.post(REMOVE, nowhere).expect_error(404, "jail_not_found");
    admin.post(BULK, json!({"ips": ["203.0.113.1"], "jail": "--all"})).expect_error(400, "invalid_input");
    assert!(own_bans(admin, "lab").is_empty(), "what was not banned is not noted");
}

#[test]
fn ten_thousand_are_banned_and_let_out_while_others_have_the_daemon() {
    let daemon = without_action();
    let (_server, admin) = Server::ready(&daemon);
    let ips = many(10_000);
    let begun = Instant::now();
    let banning = std::thread::scope(|scope| {
        let task = scope.spawn(|| {
            let note = "a note that all of them share";
            done(&admin, BULK, json!({"ips": ips, "jail": "lab", "note": note, "duration": "1d"}))
        });
        let mut longest = Duration::ZERO;
        while !task.is_finished() {
            longest = longest.max(ping(&daemon));
        }
        let whole = begun.elapsed();
        println!("10 000 bans of their own length took {whole:?}; others waited {longest:?} at most");
        assert!(longest < whole / 4, "others waited {longest:?} of {whole:?}");
        task.join().unwrap()
    });
    assert!(results(&banning).iter().all(|result| *result == "banned"));
    assert_eq!(banning["counts"]["banned"], 10_000);
    assert_eq!(daemon.banned("lab").len(), 10_000);
    assert_eq!(daemon.client(&["get", "lab", "bantime"]), "3600");
    let shown = own_bans(&admin, "lab");
    assert_eq!(shown.len(), 10_000);
    assert!(shown.iter().all(|ban| ban["note"] == "a note that all of them share" && ban["own_end"] == true));
    let lifted = done(&admin, REMOVE, json!({"ips": ips, "jail": "lab"}));
    assert_eq!(lifted["counts"]["unbanned"], 10_000);
    assert!(daemon.banned("lab").is_empty() && own_bans(&admin, "lab").is_empty());
}
