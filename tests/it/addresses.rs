//! All that is known of one address, on a real daemon: banned, covered, ignored, seen before, never seen.

use serde_json::{Value, json};

use crate::harness::contract::demand_seen;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::Server;
use crate::operations::provoke_general_refusals;

#[test]
fn one_request_tells_all_of_an_address() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    let of = |what: &str| -> Value { admin.get(&format!("/api/v1/addresses/{what}")).expect(200).json() };
    let unseen = of("203.0.113.7");
    assert_eq!(unseen["sentence"], "203.0.113.7 is not banned, and was never seen here.");
    assert_eq!((&unseen["banned"], &unseen["history"]["bans"]), (&json!([]), &json!(0)));
    assert_eq!(unseen["firewall"]["state"], "unknown");

    let ban = json!({"ip": "203.0.113.7", "jails": ["lab", "sshd"], "duration": -1, "note": "scanner"});
    admin.post("/api/v1/bans", ban).expect(201);
    admin.post("/api/v1/bans", json!({"ip": "198.51.100.0/24", "jail": "lab"})).expect(201);
    daemon.client(&["set", "sshd", "addignoreip", "192.0.2.0/24"]);
    let banned = of("203.0.113.7");
    assert_eq!(banned["sentence"], "203.0.113.7 is banned for good in lab and 1 more jail: \"scanner\".");
    let jails: Vec<&str> =
        banned["banned"].as_array().unwrap().iter().map(|ban| ban["jail"].as_str().unwrap()).collect();
    assert_eq!(jails, ["lab", "sshd"], "{banned}");
    let first = &banned["banned"][0];
    assert_eq!(
        (&first["note"], &first["until"], &first["origin"]),
        (&json!("scanner"), &json!(null), &json!("selfblock"))
    );
    assert_eq!(first["actor"]["kind"], "user");

    let covered = of("198.51.100.9");
    assert_eq!(covered["sentence"], "198.51.100.9 is blocked as part of 198.51.100.0/24, in lab.");
    assert_eq!(covered["covered_by"][0]["network"], "198.51.100.0/24");
    let network = of("198.51.100.0%2F24");
    assert_eq!((&network["banned"][0]["jail"], &network["covered_by"]), (&json!("lab"), &json!([])), "{network}");
    let ignored = of("192.0.2.5");
    assert_eq!(ignored["ignored_by"][0]["jail"], "sshd");
    assert_eq!(ignored["sentence"], "192.0.2.5 is not banned: sshd ignores it (192.0.2.0/24).");

    // Another form of the same address is the same address.
    assert_eq!(of("::ffff:203.0.113.7")["ip"], "203.0.113.7");
    for odd in ["1.2.3.4%3Bid", "example.org", "--all", "10.0.0.0%2F33", "203.0.113.7%0aset"] {
        admin.get(&format!("/api/v1/addresses/{odd}")).expect_error(400, "invalid_input");
    }
    admin.delete_with("/api/v1/bans", json!({"ip": "203.0.113.7"})).expect(200);
    assert_eq!(of("203.0.113.7")["banned"], json!([]));
    provoke_general_refusals("/api/v1/addresses");
    demand_seen("GET /api/v1/addresses/{ip}", &[200, 400, 401, 502]);
}
