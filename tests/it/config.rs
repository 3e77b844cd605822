//! Reload, restart, service status and the security headers' description.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::harness::fake_daemon::FakeDaemon;
use crate::harness::http::Wire;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::operations::{demand_documented, provoke_general_refusals, refuse};

const RELOAD: &str = "/api/v1/config/reload";
const RESTART: &str = "/api/v1/config/restart";
const STATUS: &str = "/api/v1/config/service-status";

#[test]
fn every_documented_status_of_reload_and_restart() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    admin.post_empty(RELOAD).expect(204);
    let pid = daemon_pid(&daemon);
    admin.post_empty(RESTART).expect(204);
    assert_ne!(daemon_pid(&daemon), pid, "it is another process");
    daemon.wait_for_pong();
    let before = daemon.client(&["status"]);
    fs::write(daemon.path("jail.d/broken.local"), "[lab]\nfailregex = (((\n").unwrap();
    admin.post_empty(RELOAD).expect(409);
    assert_eq!(daemon.client(&["status"]), before);
    fs::remove_file(daemon.path("jail.d/broken.local")).unwrap();
    a_refused_stop_is_409();
    a_daemon_that_stays_away_is_503();
    let status = admin.get(STATUS).expect(200).json();
    assert_eq!(status["online"], true);
    assert_eq!(status["jail_count"], 3);
    assert_eq!(status["bangui_version"], env!("CARGO_PKG_VERSION"));
    assert!(status["log_target"].as_str().unwrap().ends_with("f.log"));
    for operation in [RELOAD, RESTART, STATUS] {
        provoke_general_refusals(operation);
        demand_documented(operation);
    }
}

fn a_refused_stop_is_409() {
    let daemon = FakeDaemon::start();
    refuse(&daemon, &["stop"]);
    let (_server, admin) =
        Launch::for_fake(&daemon).env("BANGUI_FAIL2BAN_START_COMMAND", "/bin/true").start().into_ready();
    admin.post_empty(RESTART).expect_error(409, "fail2ban_command_failed");
}

fn a_daemon_that_stays_away_is_503() {
    let daemon = RealDaemon::start();
    let (server, admin) =
        Launch::for_real(&daemon).env("BANGUI_FAIL2BAN_START_COMMAND", "/bin/true").start().into_ready();
    let other = server.client();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut slowest = Duration::ZERO;
            while !done.load(Ordering::Relaxed) {
                slowest = slowest.max(other.get("/api/v1/setup").expect(200).elapsed);
                std::thread::sleep(Duration::from_millis(20));
            }
            slowest
        });
        // Asked in the test's own thread, which is the one that remembers what was seen.
        let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| admin.post_empty(RESTART)));
        // Whatever came of it: a watch that goes on would never let the test end.
        done.store(true, Ordering::Relaxed);
        let answer = answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let slowest = watching.join().unwrap();
        answer.expect_error(503, "fail2ban_not_back");
        assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    });
}

fn daemon_pid(daemon: &RealDaemon) -> String {
    fs::read_to_string(daemon.path("f.pid")).unwrap().trim().to_string()
}

#[test]
fn a_restart_with_a_start_command_that_cannot_run_stops_nothing() {
    let daemon = RealDaemon::start();
    let (_server, admin) =
        Launch::for_real(&daemon).env("BANGUI_FAIL2BAN_START_COMMAND", "/nonexistent/start").start().into_ready();
    admin.post_empty(RESTART).expect(409);
    assert!(daemon.is_up());
}

#[test]
fn a_reload_takes_over_what_the_files_say() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    fs::write(daemon.path("jail.d/lab.local"), "[lab]\nmaxretry = 9\n").unwrap();
    admin.post_empty(RELOAD).expect(204);
    assert_eq!(daemon.client(&["get", "lab", "maxretry"]), "9");
    // A jail whose filter is missing: fail2ban-client says OK and drops the jail.
    let before = daemon.client(&["status"]);
    fs::write(daemon.path("jail.d/lab.local"), "[lab]\nfilter = missing\n").unwrap();
    admin.post_empty(RELOAD).expect(409);
    assert_eq!(daemon.client(&["status"]), before);
}

#[test]
fn the_csrf_header_is_described_to_anybody_and_works() {
    let daemon = FakeDaemon::start();
    let (server, admin) = Server::ready_fake(&daemon);
    let described = server.client().get("/api/v1/config/security-headers").expect(200).json();
    assert_eq!(described["csrf_header_name"], "X-BanGUI-Request");
    assert_eq!(described["csrf_header_value"], "1");
    let cookie = admin.with_identity(crate::harness::client::Identity::CookieOnly(admin.token().to_string()));
    cookie
        .with_header(described["csrf_header_name"].as_str().unwrap(), described["csrf_header_value"].as_str().unwrap())
        .post_empty("/api/v1/server/flush-logs")
        .expect(200);
}

#[test]
fn the_document_is_served_as_it_is() {
    let server = Launch::without_daemon().start();
    let served = server.client().get("/api/v1/openapi.json").expect(200).json();
    let mut wire = Wire::connect(server.address());
    wire.send("GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: br, gzip;q=0.5\r\n\r\n");
    let packed = wire.try_answer("GET").unwrap();
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let unpacked: Value = serde_json::from_reader(GzDecoder::new(packed.body.as_slice())).unwrap();
    assert_eq!(unpacked, served);
    for refused in ["gzip;q=0", "identity", "xgzip"] {
        let plain = server.client().with_header("Accept-Encoding", refused).get("/api/v1/openapi.json").expect(200);
        assert_eq!((plain.header("content-encoding"), plain.json()), (None, served.clone()));
    }
    assert_eq!(&served, crate::harness::contract::document());
}
