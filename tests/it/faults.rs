//! A fail2ban that is absent, hung, slow, or talks nonsense: refused in time, nobody else disturbed, and back at once.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::client::Client;
use crate::harness::fake_daemon::{FakeDaemon, Fault};
use crate::harness::http::Answer;
use crate::harness::http::Wire;
use crate::harness::list_server::{ListServer, Reply, add};
use crate::harness::server::{Launch, Server};
use crate::harness::wait_until;

const LIMIT: Duration = Duration::from_millis(2500);

/// Requests of both lanes that need the daemon.
const ASKING: &[(&str, &str, &str)] = &[
    ("GET", "/api/v1/jails", ""),
    ("GET", "/api/v1/jails/lab", ""),
    ("GET", "/api/v1/jails/lab/ignoreip", ""),
    ("GET", "/api/v1/jails/lab/banned", ""),
    ("GET", "/api/v1/bans/active", ""),
    ("GET", "/api/v1/server/settings", ""),
    ("GET", "/api/v1/config/global", ""),
    ("POST", "/api/v1/jails/lab/idle", "true"),
    ("POST", "/api/v1/server/flush-logs", ""),
    ("POST", "/api/v1/bans", r#"{"ip":"203.0.113.1","jail":"lab"}"#),
];

fn send(admin: &Client, (method, target, body): (&str, &str, &str)) -> Answer {
    admin.send(method, target, (!body.is_empty()).then_some(body.as_bytes()))
}

/// Refused in time, with the right status, on every request that needs the daemon; others are served at once.
#[track_caller]
fn is_refused_in_time(server: &Server, admin: &Client, what: &str) {
    for asking in ASKING {
        let answer = send(admin, *asking);
        assert!([502, 503].contains(&answer.status), "{what}: {} {}: {answer}", asking.0, asking.1);
        assert!(answer.elapsed < LIMIT, "{what}: {asking:?} took {:?}", answer.elapsed);
        let other = server.client().get("/api/v1/setup").expect(200);
        assert!(other.elapsed < Duration::from_secs(1), "{what}: {:?}", other.elapsed);
    }
    assert_eq!(server.threads(), 1, "{what}");
}

/// While one client waits for the daemon, after the first such wait, nobody else does.
#[track_caller]
fn disturbs_nobody_after_the_first(server: &Server, admin: &Client, what: &str) {
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            for _ in 0..5 {
                send(admin, ASKING[0]);
            }
        });
        let mut slow = 0;
        while !asking.is_finished() {
            let elapsed = server.client().get("/api/v1/setup").expect(200).elapsed;
            slow += usize::from(elapsed > Duration::from_millis(200));
        }
        assert!(slow <= 1, "{what}: {slow} requests of others waited");
    });
}

#[track_caller]
fn is_healthy_within_two_seconds(server: &Server, admin: &Client, what: &str) {
    let start = Instant::now();
    wait_until(&format!("recovery from {what}"), Duration::from_secs(2), || {
        admin.get("/api/v1/jails").status == 200 && server.client().get("/api/v1/health").status == 200
    });
    assert!(start.elapsed() < Duration::from_secs(3));
}

fn health_says(server: &Server, status: u16) -> bool {
    server.client().get("/api/v1/health").status == status
}

/// One fault from a healthy start to recovery.
#[track_caller]
fn play(what: &str, make: impl Fn(&FakeDaemon), repair: impl Fn(&FakeDaemon)) {
    let daemon = FakeDaemon::start();
    let (server, admin) = Server::ready_fake(&daemon);
    is_healthy_within_two_seconds(&server, &admin, "the start");
    make(&daemon);
    is_refused_in_time(&server, &admin, what);
    disturbs_nobody_after_the_first(&server, &admin, what);
    wait_until(&format!("health 503 during {what}"), Duration::from_secs(3), || health_says(&server, 503));
    for _ in 0..20 {
        assert!(health_says(&server, 503), "{what}: health wavers");
    }
    repair(&daemon);
    is_healthy_within_two_seconds(&server, &admin, what);
    assert!(daemon.open_connections() <= 2, "{what}: connections leak");
}

fn play_fault(fault: Fault) {
    play(&format!("{fault:?}"), |daemon| daemon.set_fault(fault), |daemon| daemon.set_fault(Fault::None));
}

#[test]
fn the_daemon_is_absent() {
    play("absence", FakeDaemon::go_away, FakeDaemon::come_back);
}

#[test]
fn the_socket_is_stale() {
    play("a stale socket", FakeDaemon::leave_stale_socket, FakeDaemon::come_back);
}

#[test]
fn the_daemon_hangs() {
    play_fault(Fault::Hung);
}

#[test]
fn the_reply_is_truncated() {
    play_fault(Fault::Truncated);
}

#[test]
fn the_reply_is_garbage() {
    play_fault(Fault::Garbage);
}

#[test]
fn the_reply_never_ends() {
    play_fault(Fault::Endless);
}

/// A connection that is closed, be it by half, as much as one that is reset: the server cannot tell one from the other.
#[test]
fn whoever_leaves_ends_the_child_that_works_for_it() {
    let lists = ListServer::start();
    lists.set("/drip", Reply::Drip);
    let (server, admin) = Launch::without_daemon().env("BANGUI_ALLOW_PRIVATE_FETCH", "1").start().into_ready();
    let id = add(&admin, &lists.url("/drip"), false);
    let preview = admin.head_of("GET", &format!("/api/v1/blocklists/{id}/preview"), None);
    let has_child = || {
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.pid())).unwrap();
        !children.trim().is_empty()
    };
    for is_reset in [false, true] {
        wait_until("nothing under way", Duration::from_secs(10), || !has_child());
        let mut wire = Wire::connect(server.address());
        wire.send(&preview);
        wait_until("the child", Duration::from_secs(10), has_child);
        if is_reset {
            wire.reset()
        } else {
            drop(wire)
        }
        wait_until("the end of the child", Duration::from_secs(2), || !has_child());
    }
}

#[test]
fn a_length_that_is_declared_and_never_comes_is_refused_at_once_and_takes_no_memory() {
    for fault in [Fault::Declared, Fault::DeclaredLong] {
        let daemon = FakeDaemon::start();
        let (server, admin) = Server::ready_fake(&daemon);
        let before_kib = server.rss_kib();
        daemon.set_fault(fault);
        for asking in ASKING {
            let answer = send(&admin, *asking).expect_error(502, "fail2ban_unreachable");
            assert!(answer.elapsed < Duration::from_secs(2), "{fault:?}: {asking:?} took {:?}", answer.elapsed);
        }
        assert!(server.rss_kib() < before_kib + 4096, "{fault:?}: {before_kib} KiB before, {} after", server.rss_kib());
        daemon.set_fault(Fault::None);
        is_healthy_within_two_seconds(&server, &admin, "a declared length");
    }
}

#[test]
fn the_reply_has_100_megabytes() {
    play_fault(Fault::Huge(100 << 20));
}

#[test]
fn the_daemon_closes_in_the_middle() {
    play_fault(Fault::CloseInTheMiddle);
}

#[test]
fn the_daemon_closes_at_once() {
    play_fault(Fault::CloseAtOnce);
}

#[test]
fn the_daemon_is_slow() {
    let daemon = FakeDaemon::start();
    let (server, admin) = Server::ready_fake(&daemon);
    daemon.set_fault(Fault::Slow(Duration::from_secs(1)));
    for _ in 0..3 {
        let answer = admin.get("/api/v1/jails");
        assert!([502, 503].contains(&answer.status), "{answer}");
        assert!(answer.elapsed < LIMIT);
    }
    disturbs_nobody_after_the_first(&server, &admin, "slowness");
    daemon.set_fault(Fault::None);
    // The daemon still works off what it was asked while it was slow.
    wait_until("recovery from slowness", Duration::from_secs(8), || admin.get("/api/v1/jails").status == 200);
}

#[test]
fn the_daemon_restarts_under_us() {
    let daemon = FakeDaemon::start();
    let (server, admin) = Server::ready_fake(&daemon);
    for _ in 0..5 {
        admin.get("/api/v1/jails").expect(200);
        daemon.restart();
        // The broken connection shows only on use; at most one request may see it, and none has to.
        let first = admin.get("/api/v1/jails");
        assert!([200, 502, 503].contains(&first.status), "{first}");
        is_healthy_within_two_seconds(&server, &admin, "a restart");
    }
}

#[test]
fn memory_stays_small_under_a_huge_reply() {
    let daemon = FakeDaemon::start();
    let (server, admin) = Server::ready_fake(&daemon);
    admin.get("/api/v1/jails").expect(200);
    let before_kib = server.rss_kib();
    daemon.set_fault(Fault::Huge(100 << 20));
    for asking in ASKING {
        send(&admin, *asking);
        let now = server.rss_kib();
        assert!(now < before_kib + 8 * 1024, "{asking:?}: {before_kib} -> {now} KiB");
    }
}

#[test]
fn a_writing_request_is_never_sent_twice() {
    let daemon = FakeDaemon::start();
    let (_server, admin) = Server::ready_fake(&daemon);
    daemon.take_commands();
    daemon.set_fault(Fault::CloseAtOnce);
    let answer = admin.post("/api/v1/bans", json!({"ip": "203.0.113.1", "jail": "lab"}));
    assert!([502, 503].contains(&answer.status), "{answer}");
    let bans = daemon.take_commands().iter().filter(|words| words.contains(&"banip".to_string())).count();
    assert!(bans <= 1, "sent {bans} times");
}
