//! `dashboard/status`: the daemon's own numbers.

use crate::harness::fake_daemon::FakeDaemon;
use crate::harness::pickle::{Value, success, text};
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::Server;
use crate::operations::{demand_documented, provoke_general_refusals};

const STATUS: &str = "/api/v1/dashboard/status";

#[test]
fn every_documented_status_of_the_dashboard() {
    let daemon = RealDaemon::start();
    daemon.client(&["set", "lab", "banip", "203.0.113.1", "203.0.113.2"]);
    daemon.client(&["set", "sshd", "banip", "203.0.113.1"]);
    let (_server, admin) = Server::ready(&daemon);
    let mut status = serde_json::Value::Null;
    // The numbers come from a snapshot, which may be one timer step old.
    crate::harness::wait_until("the numbers", std::time::Duration::from_secs(5), || {
        status = admin.get(STATUS).expect(200).json()["status"].clone();
        status["total_bans"] == 3
    });
    assert_eq!(status["online"], true);
    assert_eq!(status["version"], daemon.client(&["version"]));
    assert_eq!(status["active_jails"], 3);
    assert_eq!(status["total_failures"], 0);
    provoke_general_refusals(STATUS);
    demand_documented(STATUS);
    admin.get("/api/v1/dashboard/summary?from=yesterday").expect_error(400, "invalid_input");
    assert_eq!(admin.get("/api/v1/dashboard/summary").expect(200).json()["status"]["total_bans"], 3);
    provoke_general_refusals("/api/v1/dashboard/summary");
    demand_documented("/api/v1/dashboard/summary");
}

#[test]
fn daemons_from_0_9_to_1_1_are_understood() {
    for version in ["0.9.7", "0.10.6", "0.11.2", "1.0.2", "1.1.0", "1.1.1", "1.1.2.dev1"] {
        let daemon = FakeDaemon::start_version(version);
        let (_server, admin) = Server::ready_fake(&daemon);
        let status = admin.get(STATUS).expect(200).json()["status"].clone();
        assert_eq!(status["version"], version);
        assert_eq!(status["active_jails"], 2, "{version}");
        assert_eq!(status["total_bans"], 2, "{version}");
    }
}

#[test]
fn a_daemon_without_jails_is_online() {
    let daemon = FakeDaemon::start();
    daemon.set_jails(&[]);
    daemon.reply(
        &["status"],
        success(Value::List(vec![
            Value::Tuple(vec![text("Number of jail"), Value::Int(0)]),
            Value::Tuple(vec![text("Jail list"), text("")]),
        ])),
    );
    let (_server, admin) = Server::ready_fake(&daemon);
    let status = admin.get(STATUS).expect(200).json()["status"].clone();
    assert_eq!(status["online"], true);
    assert_eq!(status["active_jails"], 0);
}
