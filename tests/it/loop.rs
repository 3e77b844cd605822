//! The event loop and its HTTP: limits, deadlines, framing, and hostile clients, on raw connections.
//!
//! The figures for memory and time are those of a release build; a debug build gets more room, since it is several times larger and slower.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::http::{Address, Wire};
use crate::harness::server::{Launch, Server, is_release};
use crate::harness::{median, wait_until};

const SETUP: &str = "GET /api/v1/setup HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Asks for something that touches neither fail2ban nor a session, on a new connection; gives how long it took.
#[track_caller]
fn ask(server: &Server) -> Duration {
    server.client().get("/api/v1/setup").expect(200).elapsed
}

/// Others are answered within 20 ms; a debug build beside other tests gets more room.
#[track_caller]
fn assert_quick(times: Vec<Duration>) {
    let limit = Duration::from_millis(if is_release() { 20 } else { 100 });
    let middle = median(times);
    assert!(middle < limit, "{middle:?}");
}

/// How much the server's memory may grow under an attack, in KiB.
fn assert_memory(server: &Server, before_kib: u64) {
    let now = server.rss_kib();
    if is_release() {
        assert!(now < 12 * 1024, "{now} KiB");
    } else {
        assert!(now < before_kib + 9 * 1024, "{before_kib} -> {now} KiB");
    }
}

fn raise_own_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls only read or fill the struct that is passed.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max.min(65536);
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
    assert!(limit.rlim_cur > 4096, "this test needs 4096 descriptors");
}

/// Opens one of the three kinds of half-open connections.
fn half_open(address: &Address, number: usize) -> std::io::Result<Wire> {
    let mut wire = Wire::try_connect(address)?;
    let bytes = match number % 3 {
        0 => "GET /api/v1/setup HTTP/1.1\r\nHost: local".to_string(),
        1 => "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{".into(),
        _ => "GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20),
    };
    wire.try_send(bytes)?;
    Ok(wire)
}

#[test]
fn two_thousand_half_open_connections_for_a_minute_disturb_nobody() {
    raise_own_descriptor_limit();
    let (server, _) = Launch::without_daemon().start().into_ready();
    let address = server.address().clone();
    ask(&server);
    let before_kib = server.rss_kib();
    let end = Instant::now() + Duration::from_secs(60);
    let mut held: Vec<Wire> = Vec::new();
    let mut times = Vec::new();
    let mut number = 0;
    while Instant::now() < end {
        // The server closes the oldest; attackers come back at once, a hundred between two honest requests.
        for _ in 0..100 {
            number += 1;
            if let Ok(wire) = half_open(&address, number) {
                held.push(wire);
            }
        }
        let too_many = held.len().saturating_sub(2000);
        held.drain(..too_many);
        times.push(ask(&server));
        assert_eq!(server.threads(), 1);
        assert_memory(&server, before_kib);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(number >= 2000, "only {number} connections in a minute");
    assert!(times.len() > 50, "{}", times.len());
    let slowest = times.iter().max().copied();
    assert_quick(times);
    assert!(slowest < Some(Duration::from_secs(2)), "{slowest:?}");
}

#[test]
fn hostile_framing_is_refused_and_the_connection_closed() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    let login = "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let get = "GET /api/v1/setup HTTP/1.1\r\nHost: localhost\r\n";
    let cases: Vec<(&str, String, u16)> = vec![
        ("1 MB head", format!("{get}X: {}\r\n\r\n", "x".repeat(1 << 20)), 431),
        ("1000 headers", format!("{get}{}\r\n", "X: y\r\n".repeat(1000)), 431),
        ("1 MB target", format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(1 << 20)), 431),
        ("1 GB body", format!("{login}Content-Length: 1073741824\r\n\r\n"), 413),
        ("14-digit length", format!("{login}Content-Length: 99999999999999\r\n\r\n"), 413),
        ("length of 2^64-1", format!("{login}Content-Length: 18446744073709551615\r\n\r\n"), 413),
        ("length of 2^64", format!("{login}Content-Length: 18446744073709551616\r\n\r\n"), 413),
        ("negative length", format!("{login}Content-Length: -1\r\n\r\n"), 400),
        ("signed length", format!("{login}Content-Length: +2\r\n\r\n{{}}"), 400),
        ("two lengths", format!("{login}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}"), 400),
        ("a list of lengths", format!("{login}Content-Length: 2, 3\r\n\r\n{{}}"), 400),
        ("TE and CL", format!("{login}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n"), 400),
        ("unknown TE", format!("{login}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 400),
        ("obfuscated TE", format!("{login}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 400),
        ("bad chunk size", format!("{login}Transfer-Encoding: chunked\r\n\r\nzz\r\n"), 400),
        ("chunk size that overflows", format!("{login}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n"), 400),
        ("chunk of 1 GB", format!("{login}Transfer-Encoding: chunked\r\n\r\n40000000\r\n"), 413),
        ("long chunk extension", format!("{login}Transfer-Encoding: chunked\r\n\r\n1;{}", "x".repeat(100_000)), 400),
        ("chunk without its end", format!("{login}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}XX0\r\n\r\n"), 400),
        ("NUL in a header", format!("{get}X: a\0b\r\n\r\n"), 400),
        ("folded header", format!("{get}X: a\r\n b\r\n\r\n"), 400),
        ("space before the colon", format!("{get}X : a\r\n\r\n"), 400),
        ("control byte in the target", "GET /a\x01b HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("no Host", "GET /api/v1/setup HTTP/1.1\r\n\r\n".into(), 400),
        ("two Hosts", format!("{get}Host: example.org\r\n\r\n"), 400),
        ("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 400),
        ("HTTP/3.7", "GET / HTTP/3.7\r\nHost: a\r\n\r\n".into(), 400),
        ("nonsense", "\u{1}\u{2}\u{3}\r\n\r\n".into(), 400),
    ];
    for (what, bytes, wanted) in cases {
        let mut wire = Wire::connect(server.address());
        // The server may well close before it has taken everything.
        let _ = wire.try_send(&bytes);
        match wire.try_answer("GET") {
            Ok(answer) => {
                assert_eq!(answer.status, wanted, "{what}: {answer}");
                crate::harness::contract::check("GET", "/api/v1/setup", &answer)
                    .unwrap_or_else(|wrong| panic!("{what}: {wrong}\n{answer}"));
            }
            // Bytes in flight make the kernel answer a close with a reset, which can overtake the answer.
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{what}"),
        }
        assert!(wire.closes_within(Duration::from_secs(3)), "{what}: still open");
        ask(&server);
    }
    assert_eq!(server.threads(), 1);
}

#[test]
fn a_million_empty_lines_are_survived() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    let before_kib = server.rss_kib();
    let mut wire = Wire::connect(server.address());
    let _ = wire.try_send("\r\n".repeat(1_000_000));
    assert!(wire.closes_within(Duration::from_secs(15)));
    ask(&server);
    assert_memory(&server, before_kib);
}

#[test]
fn an_endless_chunked_body_ends_at_the_limit() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    let mut wire = Wire::connect(server.address());
    wire.send("POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let sent = (0..10_000).take_while(|_| wire.try_send(&chunk).is_ok()).count();
    assert!(sent < 10_000, "40 MB were taken");
    ask(&server);
}

#[test]
fn requests_that_end_in_a_reset_are_survived() {
    let (mut server, _) = Launch::without_daemon().start().into_ready();
    for round in 0..300 {
        let mut wire = Wire::connect(server.address());
        let bytes = if round % 2 == 0 { SETUP } else { &SETUP[..20] };
        let _ = wire.try_send(bytes);
        wire.reset();
    }
    assert!(server.is_running());
    ask(&server);
}

#[test]
fn connections_reset_before_they_are_accepted_are_survived() {
    let (mut server, _) = Launch::without_daemon().start().into_ready();
    let signal = |signal| {
        // SAFETY: kill only takes two numbers; the server is our child and has not been waited for.
        unsafe { libc::kill(server.pid() as i32, signal) };
    };
    signal(libc::SIGSTOP);
    for _ in 0..50 {
        let mut wire = Wire::connect(server.address());
        let _ = wire.try_send(SETUP);
        wire.reset();
    }
    signal(libc::SIGCONT);
    ask(&server);
    assert!(server.is_running());
}

#[test]
fn without_file_descriptors_it_evicts_and_recovers() {
    let (mut server, _) = Launch::without_daemon().start().into_ready();
    let mut held: Vec<Wire> = (0..20).map(|_| Wire::connect(server.address())).collect();
    ask(&server);
    // From now on not one more descriptor can be opened, whatever the server counted at its start.
    let used = server.open_descriptors() as u64;
    limit_descriptors(server.pid(), used.saturating_sub(2));
    for number in 0..60 {
        if let Ok(wire) = half_open(server.address(), number) {
            held.push(wire);
        }
    }
    // Somebody idle is evicted for an honest client, at the latest when the half-open ones have had their ten seconds.
    ask(&server);
    held.clear();
    limit_descriptors(server.pid(), 1024);
    wait_until("quick answers", Duration::from_secs(5), || ask(&server) < Duration::from_millis(100));
    assert!(server.is_running());
}

fn limit_descriptors(pid: u32, most: u64) {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: 1024 };
    // SAFETY: prlimit reads the struct that is passed and changes only our own child.
    let done = unsafe { libc::prlimit(pid as i32, libc::RLIMIT_NOFILE, &limit, std::ptr::null_mut()) };
    assert_eq!(done, 0);
}

#[test]
fn a_server_with_few_descriptors_still_serves() {
    let (server, _) = Launch::without_daemon().descriptors(48).start().into_ready();
    let held: Vec<Wire> = (0..60).filter_map(|number| half_open(server.address(), number).ok()).collect();
    for _ in 0..20 {
        ask(&server);
    }
    drop(held);
}

#[test]
fn slow_requests_and_idle_connections_end_at_their_deadlines() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    let start = Instant::now();
    let mut slow_head = Wire::connect(server.address());
    let mut slow_body = half_open(server.address(), 1).unwrap();
    let mut idle = Wire::connect(server.address());
    idle.send(SETUP);
    idle.answer("GET", "/api/v1/setup");
    // A byte a second keeps neither alive.
    let mut closed = [None, None];
    while closed.contains(&None) && start.elapsed() < Duration::from_secs(20) {
        for (wire, closed) in [&mut slow_head, &mut slow_body].into_iter().zip(&mut closed) {
            let _ = wire.try_send("G");
            if closed.is_none() && wire.closes_within(Duration::from_millis(400)) {
                *closed = Some(start.elapsed());
            }
        }
    }
    for closed in closed {
        let closed = closed.expect("closed within 20 s");
        assert!(closed > Duration::from_secs(8) && closed < Duration::from_secs(14), "{closed:?}");
    }
    let left = Duration::from_secs(36).saturating_sub(start.elapsed());
    assert!(idle.closes_within(left), "idle for more than 30 s");
    assert!(start.elapsed() > Duration::from_secs(25), "idle, but closed early");
}

#[test]
fn a_reader_that_does_not_read_costs_little_and_holds_nobody_up() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    ask(&server);
    let before_kib = server.rss_kib();
    let mut readers: Vec<Wire> = (0..20).map(|_| Wire::connect(server.address())).collect();
    for reader in &mut readers {
        reader.set_patience(Duration::from_millis(200));
        let _ = reader.try_send("GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(200));
    }
    let times: Vec<Duration> = (0..50).map(|_| ask(&server)).collect();
    assert_quick(times);
    assert_memory(&server, before_kib);
}

#[test]
fn bodies_that_together_take_too_much_memory_are_refused() {
    let (server, admin) = Launch::without_daemon().start().into_ready();
    let before_kib = server.rss_kib();
    let mut wires: Vec<Wire> = (0..110)
        .map(|_| {
            let mut wire = Wire::connect(server.address());
            wire.send(admin.head_of("POST", "/api/v1/bans", Some(64_000)));
            wire.send("x".repeat(60_000));
            wire.set_patience(Duration::from_millis(50));
            wire
        })
        .collect();
    let refused =
        wires.iter_mut().filter_map(|wire| wire.try_answer("POST").ok()).filter(|answer| answer.status == 503);
    assert!(refused.count() > 10, "110 bodies of 60 kB are more than 4 MiB");
    assert!(server.rss_kib() < before_kib + 8 * 1024, "{before_kib} KiB before");
    // Whoever brings no body is heard all the same.
    assert_eq!(admin.get("/api/v1/auth/session").status, 200);
    drop(wires);
    let ban = json!({"jail": "sshd", "ip": "203.0.113.1"});
    wait_until("room again", Duration::from_secs(5), || admin.post("/api/v1/bans", ban.clone()).status == 502);
}
