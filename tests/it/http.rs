//! What an honest HTTP/1.1 client may do: keep-alive, pipelining, chunks, `Expect`, HEAD, several addresses, and an orderly end.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::json;

use crate::harness::client::{Client, PASSWORD};
use crate::harness::fake_daemon::FakeDaemon;
use crate::harness::http::{Address, Wire};
use crate::harness::server::{Launch, Server};

const SETUP: &str = "GET /api/v1/setup HTTP/1.1\r\nHost: localhost\r\n\r\n";
const TIMEZONE: &str = "GET /api/v1/setup/timezone HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    let mut wire = Wire::connect(server.address());
    wire.send(format!("{SETUP}{TIMEZONE}").repeat(100));
    for _ in 0..100 {
        let first = wire.answer("GET", "/api/v1/setup").expect(200);
        assert_eq!(first.json()["completed"], true);
        let second = wire.answer("GET", "/api/v1/setup/timezone").expect(200);
        assert_eq!(second.json()["timezone"], "UTC");
    }
}

#[test]
fn a_slow_answer_in_a_pipeline_keeps_its_place() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    let body = json!({"password": PASSWORD}).to_string();
    let login = server.client().head_of("POST", "/api/v1/auth/login", Some(body.len()));
    let mut wire = Wire::connect(server.address());
    // The login is checked in a child; the next request must wait for it.
    wire.send(format!("{SETUP}{login}{body}{TIMEZONE}"));
    wire.answer("GET", "/api/v1/setup").expect(200);
    let answer = wire.answer("POST", "/api/v1/auth/login").expect(200);
    assert!(answer.session_cookie().is_some());
    wire.answer("GET", "/api/v1/setup/timezone").expect(200);
}

#[test]
fn a_connection_is_kept_unless_somebody_says_close() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    let mut wire = Wire::connect(server.address());
    for _ in 0..200 {
        wire.send(SETUP);
        wire.answer("GET", "/api/v1/setup").expect(200);
    }
    wire.send("GET /api/v1/setup HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let last = wire.answer("GET", "/api/v1/setup").expect(200);
    assert_eq!(last.header("connection").map(str::to_lowercase).as_deref(), Some("close"));
    assert!(wire.closes_within(Duration::from_secs(2)));
    let mut old = Wire::connect(server.address());
    old.send("GET /api/v1/setup HTTP/1.0\r\nHost: localhost\r\n\r\n");
    old.answer("GET", "/api/v1/setup").expect(200);
    assert!(old.closes_within(Duration::from_secs(2)));
}

#[test]
fn an_error_leaves_a_well_framed_connection_usable() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    let mut wire = Wire::connect(server.address());
    wire.send("GET /api/v1/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n");
    wire.answer("GET", "/api/v1/nothing").expect(404);
    wire.send("GET /api/v1/jails HTTP/1.1\r\nHost: localhost\r\n\r\n");
    wire.answer("GET", "/api/v1/jails").expect(401);
    wire.send(SETUP);
    wire.answer("GET", "/api/v1/setup").expect(200);
}

#[test]
fn a_body_that_nobody_reads_is_not_taken_for_the_next_request() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    for framing in ["Content-Length: 57", "Transfer-Encoding: chunked"] {
        let smuggled = "GET /api/v1/setup/timezone HTTP/1.1\r\nHost: localhost\r\n\r\n";
        assert_eq!(smuggled.len(), 56);
        let body =
            if framing.starts_with('C') { format!("{smuggled} ") } else { format!("38\r\n{smuggled}\r\n0\r\n\r\n") };
        let mut wire = Wire::connect(server.address());
        wire.send(format!("POST /api/v1/bans HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n{body}{SETUP}"));
        wire.answer("POST", "/api/v1/bans").expect(401);
        // Either the body was skipped and the next request is the next answer, or the connection is closed.
        if let Ok(next) = wire.try_answer("GET") {
            assert!(next.json()["completed"].is_boolean(), "{framing}: {next}");
        }
    }
}

#[test]
fn chunked_bodies_and_single_bytes_are_put_together() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    let body = json!({"password": PASSWORD}).to_string();
    let (left, right) = body.split_at(7);
    let mut wire = Wire::connect(server.address());
    let request = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x};a=b\r\n{left}\r\n{:X}\r\n{right}\r\n0\r\nTrailer: x\r\n\r\n",
        left.len(),
        right.len()
    );
    for byte in request.as_bytes() {
        wire.send([*byte]);
    }
    wire.answer("POST", "/api/v1/auth/login").expect(200);
    wire.send(SETUP);
    wire.answer("GET", "/api/v1/setup").expect(200);
}

#[test]
fn expect_is_answered_before_the_body_or_refused() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    let body = json!({"password": PASSWORD}).to_string();
    let head = |target: &str, expect: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\nExpect: {expect}\r\n\r\n",
            body.len()
        )
    };
    let mut wire = Wire::connect(server.address());
    wire.send(head("/api/v1/auth/login", "100-continue"));
    assert!(wire.head().unwrap().starts_with("HTTP/1.1 100 "));
    wire.send(&body);
    wire.answer("POST", "/api/v1/auth/login").expect(200);
    // What the head alone decides needs no body.
    let mut refused = Wire::connect(server.address());
    refused.send(head("/api/v1/bans", "100-continue"));
    assert!(refused.head().unwrap().starts_with("HTTP/1.1 401 "));
    let mut strange = Wire::connect(server.address());
    strange.send(head("/api/v1/auth/login", "the-moon"));
    strange.answer("POST", "/api/v1/auth/login").expect(417);
}

#[test]
fn unknown_paths_and_methods_and_types_are_told_apart() {
    let daemon = FakeDaemon::start();
    let (server, admin) = Server::ready_fake(&daemon);
    for client in [&server.client(), &admin] {
        client.get("/api/v1/nothing").expect_error(404, "not_found");
        client.get("/api/v2/setup").expect_error(404, "not_found");
        for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "NONSENSE"] {
            let answer = client.send(method, "/api/v1/setup", None);
            let answer = answer.expect_error(405, "method_not_allowed");
            let allow = answer.header("allow").unwrap();
            assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
        }
    }
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp"]
    {
        admin
            .with_header("Content-Type", kind)
            .post("/api/v1/bans", json!({"ip": "203.0.113.1", "jail": "lab"}))
            .expect_error(400, "invalid_input");
    }
    admin
        .with_header("Content-Type", "Application/JSON; charset=UTF-8")
        .post("/api/v1/bans", json!({"ip": "203.0.113.1", "jail": "lab"}))
        .expect(201);
    admin
        .post("/api/v1/bans", json!({"ip": "x".repeat(100_000), "jail": "lab"}))
        .expect_error(413, "payload_too_large");
}

#[test]
fn head_works_wherever_get_does() {
    let daemon = FakeDaemon::start();
    let (_server, admin) = Server::ready_fake(&daemon);
    for target in
        ["/api/v1/setup", "/api/v1/jails", "/api/v1/jails/lab", "/api/v1/jails/nojail", "/api/v1/openapi.json"]
    {
        let get = admin.get(target);
        let head = admin.head(target);
        assert_eq!(head.status, get.status, "{target}");
        assert_eq!(head.header("content-type"), get.header("content-type"));
    }
}

#[test]
fn the_request_id_is_echoed_or_made() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    let client = server.client();
    let echoed = client.with_header("X-Request-ID", "abc-123").get("/api/v1/setup");
    assert_eq!(echoed.header("x-request-id"), Some("abc-123"));
    let made: Vec<String> =
        (0..2).map(|_| client.get("/api/v1/setup").header("x-request-id").unwrap().to_string()).collect();
    assert_ne!(made[0], made[1]);
    let long = "x".repeat(5000);
    let answer = client.with_header("X-Request-ID", &long).get("/api/v1/setup");
    assert!(answer.header("x-request-id").unwrap().len() < 300);
}

#[test]
fn it_listens_on_every_address_it_is_given() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.sock");
    let unix = format!("unix:{}", path.display());
    let mut addresses = vec!["127.0.0.1:0", &unix];
    if TcpListener::bind("[::1]:0").is_ok() {
        addresses.push("[::1]:0");
    }
    let server = Launch::without_daemon().listen(&addresses).start();
    assert_eq!(server.addresses().len(), addresses.len());
    assert!(server.addresses().contains(&Address::Unix(path)));
    for address in server.addresses() {
        Client::new(address.clone()).get("/api/v1/setup").expect(200);
    }
}

#[test]
fn sigterm_finishes_what_is_being_written_and_exits_well() {
    let (mut server, _) = Launch::without_daemon().start().into_ready();
    let mut idle = Wire::connect(server.address());
    idle.send(SETUP);
    idle.answer("GET", "/api/v1/setup").expect(200);
    let _half = Wire::connect(server.address()).try_send(&SETUP[..10]);
    let mut reading = Wire::connect(server.address());
    reading.send("GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n");
    reading.answer("GET", "/api/v1/openapi.json").expect(200);
    assert_eq!(server.terminate(Duration::from_secs(5)), Some(0));
    assert!(idle.closes_within(Duration::from_secs(1)));
    assert!(Wire::try_connect(server.address()).is_err());
}

#[test]
fn every_request_is_one_line_of_log_without_its_query() {
    let daemon = FakeDaemon::start();
    let (server, admin) = Server::ready_fake(&daemon);
    admin.get("/api/v1/jails/lab/banned?search=needle-in-the-log").expect(200);
    crate::harness::wait_until("the line", Duration::from_secs(2), || {
        server.log().contains("/api/v1/jails/{name}/banned")
    });
    let log = server.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("{name}/banned")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains("GET") && lines[0].contains("200"), "{log}");
    assert!(!log.contains("needle"), "{log}");
}
