//! A daemon that is stopped or started from outside while somebody asks about it all the time: it is noticed by whoever comes first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::client::Client;
use crate::harness::fake_daemon::FakeDaemon;
use crate::harness::pickle::{Value, failure, success, text};
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::Server;
use crate::harness::wait_until;

const JAILS: &str = "/api/v1/jails";

/// Polls `path` every so often while `work` goes on.
fn polling<T>(client: &Client, every: Duration, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                client.get(JAILS);
                std::thread::sleep(every);
            }
        });
        // A test that fails in `work` must not poll for ever.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[test]
fn a_restart_from_outside_while_a_page_polls_leaves_no_pending_value_out_of_force() {
    let mut daemon = RealDaemon::start();
    let (server, admin) = Server::ready(&daemon);
    let page = server.client().with_identity(admin.identity.clone());
    admin.put("/api/v1/config/jails/lab", json!({"max_retry": 13})).expect(200);
    for (round, every) in [1000, 100, 10, 1, 0].into_iter().enumerate() {
        polling(&page, Duration::from_millis(every), || {
            if round % 2 == 0 {
                daemon.stop()
            } else {
                daemon.kill()
            }
            daemon.start_again();
            wait_until("the pending value", Duration::from_secs(2), || {
                daemon.client(&["get", "lab", "maxretry"]) == "13"
            });
        });
    }
    let shown = admin.get("/api/v1/config/jails/lab").expect(200).json();
    assert_eq!(shown["jail"]["max_retry"], 13);
}

#[test]
fn health_says_offline_as_soon_as_the_jails_have_been_502() {
    let mut daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    for round in 0..4 {
        wait_until("online", Duration::from_secs(10), || admin.get("/api/v1/health").status == 200);
        std::thread::scope(|scope| {
            let stopping = scope.spawn(|| if round % 2 == 0 { daemon.stop() } else { daemon.kill() });
            let start = Instant::now();
            let mut jails = admin.get(JAILS);
            // Until it is gone it may also be busy with its end, which is 503.
            while jails.status != 502 {
                assert!(start.elapsed() < Duration::from_secs(20), "the daemon does not stop");
                jails = admin.get(JAILS);
            }
            assert_eq!(admin.get("/api/v1/health").expect(503).json()["fail2ban"], "offline");
            admin.get("/api/v1/dashboard/status").expect(502);
            stopping.join().expect("it stops");
        });
        daemon.start_again();
        admin.get(JAILS).expect(200);
        wait_until("online again", Duration::from_millis(500), || admin.get("/api/v1/health").status == 200);
    }
}

#[test]
fn what_cannot_be_set_again_after_a_restart_is_told_and_tried_again() {
    let daemon = FakeDaemon::start();
    let (server, admin) = Server::ready_fake(&daemon);
    admin.post("/api/v1/jails/lab/idle", json!(true)).expect(200);
    let missing = || admin.get("/api/v1/config/service-status").expect(200).json()["not_in_force"].clone();
    assert_eq!(missing(), json!([]));
    // One of the questions before it goes wrong.
    let findtime = ["get", "lab", "findtime"];
    daemon.reply(&findtime, failure("builtins", "RuntimeError", vec![text("out of memory")]));
    daemon.restart();
    wait_until("what is missing", Duration::from_secs(20), || {
        missing()[0].as_str().is_some_and(|told| told.contains("lab") && told.contains("out of memory"))
    });
    assert!(server.log().contains("is not in force since fail2ban was started"), "{}", server.log());
    daemon.take_commands();
    daemon.reply(&findtime, success(Value::Int(600)));
    wait_until("nothing is missing", Duration::from_secs(20), || missing() == json!([]));
    let set = ["set", "lab", "idle", "on"];
    assert!(daemon.take_commands().iter().any(|command| command.iter().map(String::as_str).eq(set)));
}
