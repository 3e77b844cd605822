//! Jails with names that nobody would choose, as a real daemon runs them: seen, counted, commanded, and left alone by our loads.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::Server;
use crate::harness::{pickle, wait_until};

/// Names that a section of a file can have.
const ODD: [&str; 10] = ["my jail", "日本", "nginx:80", "a, b", "all", "-dash", "unban", "a/b", "ü", "it's \"so\""];
/// One that only a raw command can make: `set loglevel` is the daemon's own.
const TAKEN: &str = "loglevel";

/// A daemon with all of them, each with one ban.
fn daemon() -> RealDaemon {
    let mut daemon = RealDaemon::configured();
    let sections = ODD.map(|name| format!("[{name}]\nenabled = true\nfilter = lab\nlogpath = {}\n", log(&daemon)));
    fs::write(daemon.path("jail.d/odd.local"), sections.concat()).unwrap();
    daemon.start_again();
    wait_until("the odd jails", std::time::Duration::from_secs(10), || daemon.client(&["status"]).contains("unban"));
    for words in [&["add", TAKEN, "polling"][..], &["start", TAKEN]] {
        send(&daemon, words);
    }
    daemon
}

fn log(daemon: &RealDaemon) -> String {
    daemon.path("lab.log").display().to_string()
}

/// Sends one command as it is: fail2ban's own client reads some words as its options.
fn send(daemon: &RealDaemon, words: &[&str]) {
    let mut stream = UnixStream::connect(daemon.socket()).unwrap();
    let mut bytes = pickle::encode(&pickle::texts(words), pickle::Python::Three);
    bytes.extend(pickle::END);
    stream.write_all(&bytes).unwrap();
    let (mut answer, mut some) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(pickle::END) {
        let read = stream.read(&mut some).unwrap();
        assert!(read > 0, "{words:?} has no answer");
        answer.extend(&some[..read]);
    }
    assert!(!String::from_utf8_lossy(&answer).contains("Exception"), "{words:?}");
}

/// The name in a path.
fn encode(name: &str) -> String {
    name.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn address(index: usize) -> String {
    format!("203.0.113.{}", index + 1)
}

/// Bans one address in each jail that can be told to.
fn ban(admin: &Client) {
    for (index, name) in ODD.iter().enumerate() {
        admin.post("/api/v1/bans", json!({"ip": address(index), "jail": name})).expect(201);
    }
}

/// Every jail with its number of bans, by `GET /jails`.
fn counts(admin: &Client) -> Vec<(String, u64)> {
    let list = admin.get("/api/v1/jails").expect(200).json();
    let count = |jail: &Value| {
        (jail["name"].as_str().unwrap().to_owned(), jail["status"]["currently_banned"].as_u64().unwrap())
    };
    let mut counts: Vec<_> = list["items"].as_array().unwrap().iter().map(count).collect();
    counts.sort();
    counts
}

fn expected() -> Vec<(String, u64)> {
    let odd = ODD.iter().map(|name| ((*name).to_owned(), 1));
    let mut all: Vec<_> = odd.chain([TAKEN, "lab", "slow", "sshd"].map(|name| (name.to_owned(), 0))).collect();
    all.sort();
    all
}

#[test]
fn jails_of_any_name_are_seen_and_commanded() {
    let daemon = daemon();
    let (_server, admin) = Server::ready(&daemon);
    ban(&admin);
    assert_eq!(counts(&admin), expected());
    let status = admin.get("/api/v1/dashboard/status").expect(200).json();
    assert_eq!(status["status"]["active_jails"], expected().len(), "{status}");
    for (index, name) in ODD.iter().enumerate() {
        let path = format!("/api/v1/jails/{}", encode(name));
        let detail = admin.get(&path).expect(200).json();
        assert_eq!((&detail["jail"]["name"], detail["jail"]["ban_time"].as_f64()), (&json!(name), Some(3600.0)));
        let banned = admin.get(&format!("{path}/banned")).expect(200).json();
        assert_eq!(banned["items"][0]["ip"], json!(address(index)), "{name}");
        let active = admin.get(&format!("/api/v1/bans/active?jail={}", encode(name))).expect(200).json();
        assert_eq!(active["items"][0]["jail"], json!(name));
        admin.post(&format!("{path}/idle"), json!(false)).expect(200);
        admin.post(&format!("{path}/ignoreip"), json!({"ip": "198.51.100.9"})).expect(201);
        assert_eq!(admin.get(&format!("{path}/ignoreip")).expect(200).json()["items"], json!(["198.51.100.9"]));
        admin.delete_with("/api/v1/bans", json!({"ip": address(index), "jail": name})).expect(200);
    }
    assert!(counts(&admin).iter().all(|(_, bans)| *bans == 0));
    for command in ["stop", "start", "reload"] {
        admin.post_empty(&format!("/api/v1/jails/{}/{command}", encode("a, b"))).expect(200);
    }
    assert_eq!(counts(&admin).len(), expected().len());
    admin.get("/api/v1/jails/--all").expect_error(400, "invalid_input");
    admin.get("/api/v1/jails/no%20such").expect_error(404, "jail_not_found");
}

#[test]
fn jails_of_any_name_in_the_files_are_listed_and_read_and_an_edit_says_what_to_do() {
    const JAILS: &str = "/api/v1/config/jails";
    let daemon = daemon();
    let (_server, admin) = Server::ready(&daemon);
    let list = admin.get(JAILS).expect(200).json();
    for name in ODD {
        let shown = list["items"].as_array().unwrap().iter().find(|jail| jail["name"] == name);
        let path = format!("{JAILS}/{}", encode(name));
        assert_eq!(Some(&admin.get(&path).expect(200).json()["jail"]), shown, "{name}");
        assert_eq!(shown.unwrap()["active"], true, "{name}");
        let files = admin.get(&format!("{path}/files")).expect(200).json();
        assert!(files["items"].as_array().unwrap().iter().any(|file| file["path"] == "jail.d/odd.local"), "{files}");
        for refused in [admin.put(&path, json!({"max_retry": 5})), admin.post_empty(&format!("{path}/commit"))] {
            let detail = refused.expect(400).json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains("edit its file by hand"), "{detail}");
        }
    }
    admin.get(&format!("{JAILS}/no%20such")).expect_error(404, "jail_not_found");
}

#[test]
fn a_jail_named_like_a_word_of_the_daemons_is_shown_and_its_commands_are_refused() {
    let daemon = daemon();
    let (_server, admin) = Server::ready(&daemon);
    let level = daemon.client(&["get", TAKEN]);
    let path = format!("/api/v1/jails/{TAKEN}");
    let list = admin.get("/api/v1/jails").expect(200).json();
    let shown = list["items"].as_array().unwrap().iter().find(|jail| jail["name"] == TAKEN).unwrap();
    assert!(shown["problem"].as_str().unwrap().contains("a word of its own"), "{shown}");
    let detail = admin.get(&path).expect(200).json();
    assert_eq!((&detail["jail"]["problem"], &detail["jail"]["ban_time"]), (&shown["problem"], &Value::Null));
    assert_eq!(admin.get(&format!("{path}/banned")).expect(200).json()["items"], json!([]));
    for answer in [
        admin.post("/api/v1/bans", json!({"ip": "203.0.113.1", "jail": TAKEN})),
        admin.post(&format!("{path}/idle"), json!(true)),
        admin.post(&format!("{path}/ignoreself"), json!(true)),
        admin.post(&format!("{path}/ignoreip"), json!({"ip": "198.51.100.9"})),
        admin.post_empty(&format!("{path}/reload")),
    ] {
        let detail = answer.expect(409).json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("loglevel"), "{detail}");
    }
    // The address is banned in another jail: for this one there is no other way than to lift it everywhere.
    admin.post("/api/v1/bans", json!({"ip": "203.0.113.7", "jail": "lab"})).expect(201);
    let lifted = admin.delete_with("/api/v1/bans", json!({"ip": "203.0.113.7", "jail": TAKEN})).expect(200).json();
    assert!(lifted["message"].as_str().unwrap().contains("in all jails"), "{lifted}");
    assert!(daemon.banned("lab").is_empty());
    // No file may make such a jail: its commands would be the daemon's own.
    let section = format!("[logtarget]\nenabled = true\nfilter = lab\nlogpath = {}\n", log(&daemon));
    fs::write(daemon.path("jail.d/taken.local"), section).unwrap();
    let refused = admin.post_empty("/api/v1/config/reload").expect(409).json();
    assert!(refused["detail"].as_str().unwrap().contains("logtarget"), "{refused}");
    assert_eq!(daemon.client(&["get", TAKEN]), level);
    assert!(daemon.client(&["get", "logtarget"]).contains("f.log"));
}

#[test]
fn jails_of_any_name_survive_a_load_with_their_bans() {
    let daemon = daemon();
    let (_server, admin) = Server::ready(&daemon);
    let level = daemon.client(&["get", TAKEN]);
    ban(&admin);
    admin.post_empty("/api/v1/config/reload").expect(204);
    assert_eq!(counts(&admin), expected());
    admin.put("/api/v1/config/jails/lab", json!({"max_retry": 7})).expect(200);
    admin.post_empty("/api/v1/config/jails/lab/commit").expect(200);
    assert_eq!(counts(&admin), expected());
    assert_eq!(daemon.client(&["get", "lab", "maxretry"]), "7");
    // A jail that has to be restarted keeps its bans under any name.
    let action = daemon.path("action.d/noop.conf");
    let text = fs::read_to_string(&action).unwrap().replace("actionstart = true", "actionstart = true more");
    fs::write(&action, text).unwrap();
    admin.post_empty("/api/v1/config/reload").expect(204);
    assert_eq!(counts(&admin), expected());
    assert_eq!(daemon.client(&["get", TAKEN]), level);
}
