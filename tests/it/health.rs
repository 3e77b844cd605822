//! The health check: right whatever the daemon does, without a session, and never limited.

use std::time::Duration;

use crate::harness::contract::demand_seen;
use crate::harness::fake_daemon::FakeDaemon;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::wait_until;

const HEALTH: &str = "/api/v1/health";

#[test]
fn every_documented_status_of_health() {
    let mut daemon = RealDaemon::start();
    let (server, _) = Server::ready(&daemon);
    let client = server.client();
    wait_until("health 200", Duration::from_secs(3), || client.get(HEALTH).status == 200);
    let well = client.get(HEALTH).json();
    assert_eq!(well["status"], "ok");
    assert_eq!(well["fail2ban"], "online");
    assert_eq!(well["database"], "ok");
    assert_eq!(well["components"].as_array().unwrap().len(), 0);
    daemon.stop();
    wait_until("health 503", Duration::from_secs(35), || client.get(HEALTH).status == 503);
    let away = client.get(HEALTH).json();
    assert_ne!(away["status"], "ok");
    assert_eq!(away["fail2ban"], "offline");
    let components = away["components"].to_string();
    assert!(components.contains("fail2ban"), "{components}");
    daemon.start_again();
    wait_until("health 200 again", Duration::from_secs(3), || client.get(HEALTH).status == 200);
    demand_seen("GET /api/v1/health", &[200, 503]);
}

#[test]
fn without_a_daemon_it_is_503_from_the_first_answer() {
    let server = Launch::without_daemon().start();
    let answer = server.client().get(HEALTH).expect(503);
    assert_eq!(answer.json()["fail2ban"], "offline");
}

#[test]
fn head_answers_what_get_would() {
    let daemon = FakeDaemon::start();
    let (server, _) = Server::ready_fake(&daemon);
    let client = server.client();
    let get = client.get(HEALTH).expect(200);
    let head = client.head(HEALTH).expect(200);
    assert!(head.body.is_empty());
    assert_eq!(head.header("content-length"), get.header("content-length"));
}

#[test]
fn it_is_never_limited_when_everything_else_is() {
    let daemon = FakeDaemon::start();
    let (server, _) = Launch::for_fake(&daemon).env("BANGUI_RATE_LIMIT_ANONYMOUS", "20").start().into_ready();
    let client = server.client();
    let limited = (0..40).any(|_| client.get("/api/v1/setup").status == 429);
    assert!(limited);
    for _ in 0..100 {
        client.get(HEALTH).expect(200);
    }
}
