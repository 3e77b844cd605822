//! `kill -9` at any instant: the database opens again, and nothing that was acknowledged is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::harness::client::Client;
use crate::harness::fake_daemon::FakeDaemon;
use crate::harness::http::{Answer, Wire};
use crate::harness::server::{Launch, Server};

/// Like `Client::post`, but a server that dies is no failure of the test.
fn try_post(client: &Client, target: &str, body: &str) -> Option<Answer> {
    try_send(client, "POST", target, body)
}

/// The same with any method.
pub fn try_send(client: &Client, method: &str, target: &str, body: &str) -> Option<Answer> {
    let mut wire = Wire::try_connect(&client.address).ok()?;
    let head = client.head_of(method, target, Some(body.len()));
    wire.try_send(format!("{head}{body}")).ok()?;
    wire.try_answer(method).ok()
}

/// Sets one jail after the other idle or not, until the server dies; gives how many were acknowledged.
fn write_until_it_dies(admin: &Client, jails: &[String], idle: bool) -> usize {
    let acknowledged = |jail: &String| {
        try_post(admin, &format!("/api/v1/jails/{jail}/idle"), if idle { "true" } else { "false" })
            .is_some_and(|answer| answer.status == 200)
    };
    jails.iter().take_while(|jail| acknowledged(jail)).count()
}

#[test]
fn a_hundred_kills_during_writes_lose_nothing_acknowledged() {
    let daemon = FakeDaemon::start();
    let jails: Vec<String> = (0..400).map(|number| format!("jail{number}")).collect();
    daemon.set_jails(&jails.iter().map(String::as_str).collect::<Vec<_>>());
    let (mut server, admin) = Server::ready_fake(&daemon);
    let (mut writes, mut logouts) = (0, 0);
    // On a busy machine the server often dies before it has acknowledged anything: then some rounds more are needed.
    for round in 0..400u64 {
        if round >= 100 && writes > 40 && logouts > 5 {
            break;
        }
        let admin = server.client().with_identity(admin.identity.clone());
        let doomed = server.client().login();
        let idle = round % 2 == 0;
        let (written, logged_out) = std::thread::scope(|scope| {
            let writer = scope.spawn(|| write_until_it_dies(&admin, &jails, idle));
            // A different moment each time, so that every phase of a write is hit.
            std::thread::sleep(Duration::from_millis(1 + round * 7 % 40));
            let leaver = scope.spawn(|| try_post(&doomed, "/api/v1/auth/logout", ""));
            std::thread::sleep(Duration::from_micros(300 * (round % 11)));
            server.kill();
            (writer.join().unwrap(), leaver.join().unwrap().is_some_and(|answer| answer.status == 200))
        });
        server.start_again();
        // The session of the administrator was acknowledged before the first kill.
        let admin = server.client().with_identity(admin.identity);
        for jail in &jails[..written] {
            let shown = admin.get(&format!("/api/v1/jails/{jail}")).expect(200).json()["jail"]["idle"].clone();
            assert_eq!(shown, idle, "round {round}: an acknowledged write is lost");
        }
        if logged_out {
            let doomed = server.client().with_identity(doomed.identity);
            doomed.get("/api/v1/auth/session").expect(401);
        }
        writes += written;
        logouts += usize::from(logged_out);
    }
    assert!(writes > 40 && logouts > 5, "only {writes} writes and {logouts} logouts were acknowledged");
    server.kill();
    let database = rusqlite::Connection::open(server.database()).unwrap();
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

#[test]
fn a_kill_takes_the_children_along() {
    let daemon = crate::harness::real_daemon::RealDaemon::start();
    let (mut server, admin) = Server::ready(&daemon);
    let body = json!({"ip": "203.0.113.1", "jail": "slow"}).to_string();
    let mut wire = Wire::connect(server.address());
    let head = admin.head_of("POST", "/api/v1/bans", Some(body.len()));
    wire.send(format!("{head}{body}"));
    let mut children = Vec::new();
    crate::harness::wait_until("the child of the ban", Duration::from_secs(5), || {
        children = children_of(server.pid());
        !children.is_empty()
    });
    server.kill();
    crate::harness::wait_until("the end of the children", Duration::from_secs(2), || {
        children.iter().all(|pid| !crate::harness::is_alive(*pid))
    });
}

fn children_of(pid: u32) -> Vec<u32> {
    std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|child| child.parse().ok())
        .collect()
}

#[test]
fn a_panic_is_a_500_and_the_program_begins_anew_on_the_same_sockets() {
    let directory = tempfile::tempdir().unwrap();
    let unix = format!("unix:{}", directory.path().join("socket").display());
    let launch = Launch::without_daemon().env("BANGUI_PANICS", "1").listen(&["127.0.0.1:0", &unix]);
    let (mut server, admin) = launch.start().into_ready();
    let process = server.pid();
    let sockets = || {
        let of = |number| std::fs::read_link(format!("/proc/{process}/fd/{number}")).ok();
        (0..64).filter_map(of).filter(|name| name.to_string_lossy().starts_with("socket:")).collect::<BTreeSet<_>>()
    };
    let before = sockets();
    let doomed = admin.with_header("x-bangui-panic", "1");
    for (round, address) in server.addresses().to_vec().iter().enumerate() {
        let bystander = Wire::connect(address);
        let mut one = doomed.clone();
        one.address = address.clone();
        let answer = one.get("/api/v1/blocklists").expect_error(500, "internal_error");
        let id = answer.header("x-request-id").unwrap().to_owned();
        assert_eq!(
            answer.json()["detail"],
            format!("Something went wrong here (request {id}). The log has the details; try once more.")
        );
        assert_eq!(answer.header("connection"), Some("close"));
        // Whoever comes meanwhile is answered by the program that begins anew, with the sessions of the former one.
        let mut again = admin.clone();
        again.address = address.clone();
        again.get("/api/v1/blocklists").expect(200);
        drop(bystander);
        assert!(server.is_running() && server.pid() == process);
        assert_eq!(server.log().matches("bangui begins anew").count(), round + 1, "{}", server.log());
        assert!(server.log().contains("told to"), "{}", server.log());
    }
    assert_eq!(of_head(&doomed), (500, String::new()), "an answer to HEAD has no body");
    admin.get("/api/v1/blocklists").expect(200);
    // Nothing of the former programs is left open, beside what the present one opens itself.
    let after = sockets();
    assert!(before.intersection(&after).count() >= 2 && after.len() <= before.len() + 2, "{before:?} {after:?}");
}

fn of_head(client: &Client) -> (u16, String) {
    let answer = client.head("/api/v1/blocklists");
    (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
}
