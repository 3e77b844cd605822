//! The first-run setup: its statuses, its races, and that it is closed to strangers.

use std::time::Duration;

use serde_json::json;

use crate::harness::client::PASSWORD;
use crate::harness::contract::demand_seen;
use crate::harness::server::Launch;
use crate::operations::PUBLIC;

const SETUP: &str = "/api/v1/setup";

#[test]
fn every_documented_status_of_setup() {
    let server = Launch::without_daemon().start();
    let client = server.client();
    assert_eq!(client.get(SETUP).expect(200).json()["completed"], false);
    client.get("/api/v1/setup/timezone").expect(200);
    client.post(SETUP, json!({})).expect_error(400, "invalid_input");
    client.post(SETUP, json!({"master_password": "x".repeat(17_000)})).expect_error(413, "payload_too_large");
    let stranger = client.clone().with_header("X-Forwarded-For", "203.0.113.9");
    stranger.post(SETUP, json!({"master_password": PASSWORD})).expect_error(403, "setup_local_only");
    client.setup();
    client.post(SETUP, json!({"master_password": PASSWORD})).expect_error(409, "setup_already_complete");
    assert_eq!(client.get(SETUP).expect(200).json()["completed"], true);
    for operation in PUBLIC.iter().filter(|one| one.target.starts_with(SETUP)) {
        demand_seen(operation.name, operation.statuses);
    }
}

#[test]
fn every_bad_setup_body_is_400_and_changes_nothing() {
    let server = Launch::without_daemon().start();
    let client = server.client();
    let elsewhere = tempfile::tempdir().unwrap();
    let outside = elsewhere.path().join("x.db");
    for extra in [
        json!({"master_password": "Short1!"}),
        json!({"master_password": "nodigits!Aaaa"}),
        json!({"master_password": "no1upper!case"}),
        json!({"master_password": "No1special"}),
        json!({"master_password": "A1!".repeat(100)}),
        json!({"master_password": 12345678}),
        json!({"timezone": "Mars/Olympus"}),
        json!({"timezone": "../../etc/passwd"}),
        json!({"session_duration_minutes": 0}),
        json!({"session_duration_minutes": 525_601}),
        json!({"session_duration_minutes": "480"}),
        json!({"fail2ban_socket": "relative.sock"}),
        json!({"fail2ban_socket": "/run/a\nb.sock"}),
        json!({"database_path": outside}),
        json!({"database_path": "/etc/cron.d/bangui"}),
        json!({"unknown": true}),
    ] {
        let mut body = json!({"master_password": PASSWORD});
        for (key, value) in extra.as_object().unwrap() {
            body[key] = value.clone();
        }
        client.post(SETUP, body).expect_error(400, "invalid_input");
    }
    for bad in ["", "[]", "null", "{", "{\"master_password\": \"\\ud800\"}"] {
        client.send("POST", SETUP, Some(bad.as_bytes())).expect_error(400, "invalid_input");
    }
    assert!(!outside.exists());
    assert_eq!(client.get(SETUP).expect(200).json()["completed"], false);
}

#[test]
fn what_setup_says_is_kept() {
    let server = Launch::without_daemon().start();
    let client = server.client();
    let database = server.database();
    client
        .post(
            SETUP,
            json!({
                "master_password": PASSWORD,
                "timezone": "Europe/Berlin",
                "database_path": database,
            }),
        )
        .expect(201);
    let timezone = client.get("/api/v1/setup/timezone").expect(200).json();
    assert_eq!(timezone["timezone"], "Europe/Berlin");
    client.login();
}

#[test]
fn two_setups_at_once_make_one() {
    for _ in 0..5 {
        let server = Launch::without_daemon().start();
        let client = server.client();
        let mut outcomes: Vec<(u16, &str)> = std::thread::scope(|scope| {
            ["First1!horse", "Second1!horse"]
                .map(|password| {
                    let client = client.clone();
                    scope.spawn(move || {
                        let answer = client.post(SETUP, json!({"master_password": password}));
                        (answer.status, password)
                    })
                })
                .map(|thread| thread.join().unwrap())
                .to_vec()
        });
        outcomes.sort_unstable();
        let [(201, winner), (409, loser)] = outcomes[..] else {
            panic!("{outcomes:?}");
        };
        let login = |password| client.post("/api/v1/auth/login", json!({"password": password}));
        login(winner).expect(200);
        login(loser).expect(401);
    }
}

#[test]
fn setup_is_refused_from_public_addresses() {
    let server = Launch::without_daemon().args(&["--trusted-proxies", "127.0.0.1"]).start();
    let body = json!({"master_password": PASSWORD});
    for stranger in ["203.0.113.9", "8.8.8.8", "2600::1"] {
        server
            .client()
            .with_header("X-Forwarded-For", stranger)
            .post(SETUP, body.clone())
            .expect_error(403, "setup_local_only");
    }
    server.client().with_header("X-Forwarded-For", "192.168.1.20").post(SETUP, body).expect(201);
}

#[test]
fn setup_that_is_killed_in_the_middle_is_either_done_or_not_begun() {
    let mut server = Launch::without_daemon().start();
    let (mut done, mut kills) = (false, 0u64);
    // A little later each time, until it survives: the hash, the transaction and the answer are hit one after the other.
    while !done {
        let client = server.client();
        let request = format!(
            "{}{}",
            client.head_of("POST", SETUP, Some(json!({"master_password": PASSWORD}).to_string().len())),
            json!({"master_password": PASSWORD})
        );
        let mut wire = crate::harness::http::Wire::connect(server.address());
        wire.send(request);
        std::thread::sleep(Duration::from_millis(5 * kills));
        server.kill();
        server.start_again();
        done = server.client().get(SETUP).expect(200).json()["completed"] == true;
        kills += 1;
        assert!(kills < 200, "setup does not end within a second");
    }
    assert!(kills > 1, "the first kill came at once, and setup was done all the same");
    server.client().login();
    // What is done stays done.
    server.kill();
    server.start_again();
    server.client().post(SETUP, json!({"master_password": PASSWORD})).expect_error(409, "setup_already_complete");
    server.client().login();
}
