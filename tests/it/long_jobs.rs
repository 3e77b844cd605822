//! Work that goes on behind an answer 202: told at once or after five seconds, with progress, result and an early end.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::Server;
use crate::harness::wait_until;
use crate::operations::{demand_documented, provoke_general_refusals};

const BULK: &str = "/api/v1/bans/bulk";

/// The place of the job that an answer names.
#[track_caller]
fn place(answer: &crate::harness::http::Answer) -> String {
    let job = answer.json()["job"].as_str().unwrap().to_owned();
    let place = format!("/api/v1/jobs/{job}");
    assert_eq!(answer.header("location"), Some(place.as_str()), "{answer}");
    place
}

#[track_caller]
fn ended(admin: &Client, place: &str) -> Value {
    let mut job = Value::Null;
    wait_until("the end of a job", Duration::from_secs(30), || {
        job = admin.get(place).expect(200).json();
        !job["ended_at"].is_null()
    });
    job
}

#[test]
fn slow_work_is_told_of_after_five_seconds_and_ends_early_between_two_commands() {
    // A ban of the jail `slow` takes three seconds.
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    let ips = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.5"];
    let begun = Instant::now();
    let answer = admin.post(BULK, json!({"ips": ips, "jail": "slow", "note": "slowly"})).expect(202);
    assert!((4..8).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    let place = place(&answer);
    // A second one waits for its turn, and never begins.
    let waiting =
        admin.with_header("prefer", "respond-async").post(&format!("{BULK}/remove"), json!({"ips": ["203.0.113.9"]}));
    let waiting = self::place(&waiting.expect(202));
    assert_eq!(admin.get(&waiting).expect(200).json()["state"], "running");
    admin.delete(&waiting).expect(200);
    let never = ended(&admin, &waiting);
    assert_eq!((&never["state"], &never["result"]["counts"]["not_done"]), (&json!("cancelled"), &json!(1)), "{never}");

    let job = admin.get(&place).expect(200).json();
    assert_eq!((&job["state"], &job["request"]), (&json!("running"), &json!("POST /api/v1/bans/bulk")), "{job}");
    assert_eq!((&job["actor"]["kind"], &job["can_cancel"]), (&json!("user"), &json!(true)));
    wait_until("progress", Duration::from_secs(10), || {
        let job = admin.get(&place).expect(200).json();
        job["progress"]["total"] == 5 && job["progress"]["done"].as_u64() > Some(0)
    });
    admin.delete(&place).expect(200);
    let job = ended(&admin, &place);
    assert_eq!(
        (&job["state"], &job["status"], &job["error"]),
        (&json!("cancelled"), &json!(200), &json!(null)),
        "{job}"
    );
    let result = &job["result"];
    let (banned, rest) = (result["counts"]["banned"].as_u64().unwrap(), result["counts"]["not_done"].as_u64().unwrap());
    assert!(banned > 0 && rest > 0 && banned + rest == 5 && result["cancelled"] == true, "{job}");
    assert_eq!(daemon.banned("slow").len() as u64, banned, "what was done stays, and is told");
    // fail2ban was busy for seconds, and is left alone for a moment.
    let mut noted = Value::Null;
    wait_until("the list", Duration::from_secs(20), || {
        let answer = admin.get("/api/v1/bans/active?jail=slow");
        noted = answer.json();
        answer.status == 200
    });
    assert!(noted["items"].as_array().unwrap().iter().all(|item| item["note"] == "slowly"), "{noted}");
    // Of what has ended, nothing is changed.
    assert_eq!(admin.delete(&place).expect(200).json()["state"], "cancelled");
}

#[test]
fn whoever_prefers_not_to_wait_is_told_at_once() {
    let daemon = RealDaemon::start();
    let (server, admin) = Server::ready(&daemon);
    let hasty = admin.with_header("prefer", "handling=lenient, respond-async");
    let answer = hasty.post_empty("/api/v1/jails/reload-all").expect(202);
    assert_eq!(answer.header("preference-applied"), Some("respond-async"));
    let reload = place(&answer);
    admin.delete(&reload).expect_error(409, "conflict");
    let job = ended(&admin, &reload);
    admin.delete(&reload).expect(200);
    assert_eq!(
        (&job["state"], &job["can_cancel"], &job["error"]),
        (&json!("done"), &json!(false), &json!(null)),
        "{job}"
    );
    for (path, status) in
        [("/api/v1/config/reload", 204), ("/api/v1/config/jails/lab/commit", 200), ("/api/v1/blocklists/import", 200)]
    {
        let answer = hasty.post_empty(path).expect(202);
        let job = ended(&admin, &place(&answer));
        assert_eq!(job["status"], status, "{path}: {job}");
        let state = if status < 400 { "done" } else { "failed" };
        assert_eq!((&job["state"], job["error"].is_null()), (&json!(state), status < 400), "{path}: {job}");
    }
    // A list with one address is done before anybody could ask: the same answer, kept.
    let answer = hasty.post(BULK, json!({"ips": ["203.0.113.1"], "jail": "lab"})).expect(202);
    let job = ended(&admin, &place(&answer));
    assert_eq!(job["result"]["results"][0]["result"], "banned", "{job}");
    // What nobody said can be waited for is answered at its end.
    hasty.post("/api/v1/bans", json!({"ip": "203.0.113.2", "jail": "lab"})).expect(201);
    for name in ["0", "x%00", "..%2f", "6b1f0c2d9e8a7f45"] {
        admin.get(&format!("/api/v1/jobs/{name}")).expect_error(404, "job_not_found");
        admin.delete(&format!("/api/v1/jobs/{name}")).expect_error(404, "job_not_found");
    }
    let mut server = server;
    server.kill();
    server.start_again();
    server.client().with_identity(admin.identity.clone()).get(&reload).expect_error(404, "job_not_found");
    provoke_general_refusals("/api/v1/jobs");
    demand_documented("/api/v1/jobs");
}
