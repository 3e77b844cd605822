//! `kill -9` at any instant: the database opens again, and nothing that was acknowledged is lost.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;

use crate::harness::client::{Client, Identity, PASSWORD};
use crate::harness::http::{Answer, Wire};
use crate::harness::server::Launch;

/// Like `Client::send`, but a server that dies is no failure of the test.
fn try_post(client: &Client, target: &str, body: &str) -> Option<Answer> {
    let mut wire = Wire::try_connect(&client.address).ok()?;
    let head = client.head_of("POST", target, Some(body.len()));
    wire.try_send(format!("{head}{body}")).ok()?;
    wire.try_answer("POST").ok()
}

#[derive(Default)]
struct Acknowledged {
    logins: Vec<String>,
    logouts: Vec<String>,
}

/// Logs in, and out of every second session, until the server dies.
fn write_until_it_dies(client: &Client, seen: &Mutex<Acknowledged>) {
    let login = json!({"password": PASSWORD}).to_string();
    for number in 0.. {
        let Some(answer) = try_post(client, "/api/v1/auth/login", &login) else {
            return;
        };
        let Some(token) = answer.session_cookie().filter(|_| answer.status == 200) else {
            continue;
        };
        if number % 2 == 0 {
            seen.lock().unwrap().logins.push(token);
            continue;
        }
        let bearer = client.with_identity(Identity::Bearer(token.clone()));
        match try_post(&bearer, "/api/v1/auth/logout", "") {
            Some(answer) if answer.status == 200 => seen.lock().unwrap().logouts.push(token),
            Some(_) => {}
            None => return,
        }
    }
}

#[test]
fn a_hundred_kills_during_writes_lose_nothing_acknowledged() {
    let (mut server, _) = Launch::without_daemon().start().into_ready();
    let (mut logins, mut logouts) = (0, 0);
    for round in 0..100u64 {
        let client = server.client();
        let seen = Mutex::default();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| write_until_it_dies(&client, &seen));
            }
            // A different moment each time, so that every phase of a write is hit.
            std::thread::sleep(Duration::from_millis(60 + round * 37 % 180));
            server.kill();
        });
        server.start_again();
        let seen = seen.into_inner().unwrap();
        let status = |token: &str| {
            server.client().with_identity(Identity::Bearer(token.into())).get("/api/v1/auth/session").status
        };
        for token in &seen.logins {
            assert_eq!(status(token), 200, "round {round}: an acknowledged login is lost");
        }
        for token in &seen.logouts {
            assert_eq!(status(token), 401, "round {round}: an acknowledged logout is lost");
        }
        logins += seen.logins.len();
        logouts += seen.logouts.len();
    }
    assert!(logins > 20 && logouts > 20, "only {logins} logins and {logouts} logouts were written");
    server.kill();
    let database = rusqlite::Connection::open(server.database()).unwrap();
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

#[test]
fn a_kill_takes_the_children_along() {
    let daemon = crate::harness::real_daemon::RealDaemon::start();
    let (mut server, admin) = crate::harness::server::Server::ready(&daemon);
    let body = json!({"ip": "198.51.100.1", "jail": "slow"}).to_string();
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
