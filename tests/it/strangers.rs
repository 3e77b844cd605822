//! Attacks through who asks: foreign pages, rebound names, stolen or guessed sessions, guessed passwords, and too many requests.

use std::time::Duration;

use serde_json::json;

use crate::harness::client::{Client, Identity, PASSWORD};
use crate::harness::fake_daemon::FakeDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::wait_until;
use crate::operations::PROTECTED;

const LOGIN: &str = "/api/v1/auth/login";
const SESSION: &str = "/api/v1/auth/session";

/// A foreign page can make a browser send the cookie, but not a header of its own.
#[test]
fn a_foreign_page_can_change_nothing() {
    let daemon = FakeDaemon::start();
    let (_server, admin) = Server::ready_fake(&daemon);
    daemon.take_commands();
    let victim = admin.with_identity(Identity::CookieOnly(admin.token().into()));
    for origin in ["https://evil.example", "null", "http://sub.localhost", "http://localhost"] {
        for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json"] {
            let page = victim.with_header("Origin", origin).with_header("Content-Type", kind);
            for operation in PROTECTED.iter().filter(|operation| operation.writes()) {
                let answer = operation.send(&page).expect_error(403, "csrf_header_required");
                assert_eq!(answer.header("access-control-allow-origin"), None);
            }
        }
        let read = victim.with_header("Origin", origin).get("/api/v1/jails");
        assert_eq!(read.header("access-control-allow-origin"), None);
    }
    victim.with_header("X-BanGUI-Request", "0").post_empty("/api/v1/server/flush-logs").expect(403);
    let wrote = daemon
        .take_commands()
        .into_iter()
        .any(|words| ["set", "unban", "stop", "flushlogs", "reload"].contains(&words[0].as_str()));
    assert!(!wrote);
}

#[test]
fn only_configured_origins_are_let_in() {
    let daemon = FakeDaemon::start();
    let (_server, admin) =
        Launch::for_fake(&daemon).env("BANGUI_CORS_ALLOWED_ORIGINS", "https://ui.example").start().into_ready();
    let origin = |origin: &str| {
        admin
            .with_header("Origin", origin)
            .get("/api/v1/jails")
            .expect(200)
            .header("access-control-allow-origin")
            .map(str::to_string)
    };
    assert_eq!(origin("https://ui.example").as_deref(), Some("https://ui.example"));
    for other in ["https://evil.example", "null", "https://ui.example.evil.example", "http://ui.example"] {
        assert_eq!(origin(other), None, "{other}");
    }
}

/// A name of the attacker's that resolves to us would make his page our own origin.
#[test]
fn rebound_host_names_are_refused() {
    let (server, _) = Launch::without_daemon().env("BANGUI_ALLOWED_HOSTS", "fw.example").start().into_ready();
    let host = |host: &str| server.client().with_header("Host", host).get("/api/v1/setup");
    for good in [
        "localhost",
        "localhost:8000",
        "LOCALHOST",
        "127.0.0.1",
        "127.0.0.1:8000",
        "[::1]:8000",
        "192.168.1.1",
        "fw.example",
        "fw.example:443",
    ] {
        host(good).expect(200);
    }
    for bad in [
        "evil.example",
        "evillocalhost",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "fw.example.evil.example",
        "xfw.example",
    ] {
        host(bad).expect_error(421, "unknown_host");
    }
    for broken in ["", "a b", "localhost@evil.example", "localhost/evil", "[::1"] {
        host(broken).expect_error(421, "unknown_host");
    }
}

#[test]
fn sessions_cannot_be_fixed_guessed_or_read_from_the_disk() {
    let (server, admin) = Launch::without_daemon().start().into_ready();
    let token = admin.token().to_string();
    assert!(token.len() >= 22, "128 bits at least");
    // A token in the address would end up in logs and histories.
    server.client().get(&format!("{SESSION}?token={token}&bangui_session={token}")).expect(401);
    // A cookie planted before the login does not become the session.
    let planted = server.client().with_identity(Identity::Cookie("planted".into()));
    let fresh = planted.post(LOGIN, json!({"password": PASSWORD})).expect(200);
    assert_ne!(fresh.session_cookie().unwrap(), "planted");
    planted.get(SESSION).expect(401);
    for wrong in ["", &token[1..], &format!("{token}x"), &token.to_uppercase(), "' OR 1=1 --"] {
        if wrong != token {
            let identity = Identity::Bearer(wrong.to_string());
            server.client().with_identity(identity).get(SESSION).expect(401);
        }
    }
    for entry in std::fs::read_dir(server.database().parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        for secret in [&token, PASSWORD] {
            let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "a secret is in {}", path.display());
        }
        use std::os::unix::fs::PermissionsExt;
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
    let log = server.log();
    assert!(!log.contains(&token) && !log.contains(PASSWORD), "{log}");
    let arguments = std::fs::read_to_string(format!("/proc/{}/cmdline", server.pid())).unwrap();
    assert!(!arguments.contains(&token));
}

fn fail(client: &Client) -> u16 {
    client.post(LOGIN, json!({"password": "wrong"})).status
}

#[test]
fn login_failures_are_counted_whatever_the_client_claims_and_over_a_restart() {
    let (mut server, _) = Launch::without_daemon().start().into_ready();
    for number in 0..5 {
        let liar = server
            .client()
            .with_header("X-Forwarded-For", &format!("198.51.100.{number}"))
            .with_header("Forwarded", &format!("for=198.51.100.{number}"))
            .with_header("X-Real-IP", &format!("198.51.100.{number}"));
        assert_eq!(fail(&liar), 401);
    }
    let liar = |server: &Server| server.client().with_header("X-Forwarded-For", "198.51.100.99");
    assert_eq!(fail(&liar(&server)), 429, "whoever lies is one client with all of his kind");
    server.kill();
    server.start_again();
    let ask = |server: &Server| retry_after(&liar(server).post(LOGIN, json!({"password": PASSWORD})).expect(429));
    let first = ask(&server);
    assert!((1..=900).contains(&first), "{first}");
    wait_until("a shorter wait, since asking again does not prolong it", Duration::from_secs(5), || {
        ask(&server) < first
    });
    server.client().post(LOGIN, json!({"password": PASSWORD})).expect(200);
}

fn retry_after(answer: &crate::harness::http::Answer) -> u64 {
    answer.header("retry-after").unwrap().parse().unwrap()
}

#[test]
fn one_ipv6_network_is_one_client_and_another_is_another() {
    let (server, _) = proxied().into_ready();
    for number in 1..=5 {
        assert_eq!(fail(&from(&server, &format!("2001:db8:0:1::{number}"))), 401);
    }
    assert_eq!(fail(&from(&server, "2001:db8:0:1:ffff::9")), 429);
    assert_eq!(fail(&from(&server, "2001:db8:0:2::1")), 401);
}

/// Strangers at many addresses spend the global budget, but not the administrator's.
#[test]
fn strangers_cannot_lock_the_administrator_out() {
    let (server, _) = proxied().into_ready();
    let admin = from(&server, "203.0.113.10");
    let right = json!({"password": PASSWORD});
    admin.post(LOGIN, right.clone()).expect(200);
    let mut refused_after = None;
    for number in 0..400 {
        let stranger = from(&server, &format!("198.51.{}.{}", number / 250, number % 250));
        if fail(&stranger) == 429 {
            refused_after = Some(number);
            break;
        }
    }
    assert!(refused_after.is_some(), "400 addresses guessed without a limit");
    admin.post(LOGIN, right).expect(200);
}

fn proxied() -> Server {
    Launch::without_daemon().args(&["--trusted-proxies", "127.0.0.1"]).start()
}

fn from(server: &Server, address: &str) -> Client {
    server.client().with_header("X-Forwarded-For", address)
}

#[test]
fn general_limits_hold_for_each_client() {
    let daemon = FakeDaemon::start();
    let (server, admin) = Launch::for_fake(&daemon)
        .args(&["--trusted-proxies", "127.0.0.1"])
        .env("BANGUI_RATE_LIMIT_ANONYMOUS", "30")
        .env("BANGUI_RATE_LIMIT_SESSION", "60")
        .start()
        .into_ready();
    let limited = |client: &Client, most: usize| (0..most).any(|_| client.get("/api/v1/setup").status == 429);
    assert!(limited(&from(&server, "198.51.100.1"), 40));
    assert!(!limited(&from(&server, "198.51.100.2"), 20), "others are not affected");
    let admin = admin.with_header("X-Forwarded-For", "198.51.100.3");
    assert!(!(0..50).any(|_| admin.get(SESSION).status == 429));
    assert!((0..30).any(|_| admin.get(SESSION).status == 429));
}
