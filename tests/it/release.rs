//! An address let out wherever it is banned, and never banned again where that is wanted: each jail says what became of it.

use serde_json::{Value, json};

use crate::blocklist_set::each_mode;
use crate::harness::client::{Client, Identity};
use crate::harness::list_server::{JAIL, Reply, add, import};
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::Server;
use crate::operations::{demand_documented, provoke_general_refusals};

const IP: &str = "203.0.113.7";
const RELEASE: &str = "/api/v1/addresses/203.0.113.7/release";

/// What is said of a jail: whether it was let out of it, and how many bans went.
fn of(answer: &Value, jail: &str) -> (bool, u64) {
    let mut results = answer["results"].as_array().unwrap().iter();
    let result = results.find(|result| result["jail"] == jail).unwrap_or_else(|| panic!("{jail}: {answer}"));
    assert_eq!(result["released"], result["lifted"].as_u64().unwrap() > 0 && !is_covered(result), "{result}");
    (result["released"].as_bool().unwrap(), result["lifted"].as_u64().unwrap())
}

fn is_covered(result: &Value) -> bool {
    result["detail"].as_str().is_some_and(|detail| detail.contains("as part of"))
}

fn entries(admin: &Client) -> Vec<Value> {
    admin.get("/api/v1/never-ban").expect(200).json()["items"].as_array().unwrap().clone()
}

#[test]
fn an_address_is_let_out_everywhere_and_never_banned_again_where_that_is_wanted() {
    let daemon = RealDaemon::start();
    let (server, admin) = Server::ready(&daemon);
    let ban = json!({"ip": IP, "jails": ["lab", "sshd"], "duration": "4w", "note": "scans"});
    admin.post("/api/v1/bans", ban.clone()).expect(201);
    daemon.client(&["set", "sshd", "banip", "203.0.113.0/24"]);
    let answer = admin.post(RELEASE, json!({"jails": ["lab"], "note": "a customer"})).expect(200).json();
    assert_eq!((of(&answer, "lab"), answer["results"].as_array().unwrap().len()), ((true, 1), 1), "{answer}");
    assert_eq!((daemon.banned("lab").len(), daemon.banned("sshd").len()), (0, 2));
    // Who let it out is in the archive, of this jail only.
    let past = admin.get("/api/v1/history/archive?ip=203.0.113.7").expect(200).json()["items"].clone();
    let lifted: Vec<&Value> = past.as_array().unwrap().iter().filter(|past| !past["lifted_at"].is_null()).collect();
    assert_eq!(
        (lifted.len(), &lifted[0]["jail"], &lifted[0]["lifted_note"]),
        (1, &json!("lab"), &json!("a customer")),
        "{past}"
    );
    // Without a body: out of everything; a network around it stays, and is named.
    let answer = admin.post_empty(RELEASE).expect(200).json();
    assert_eq!((of(&answer, "lab"), of(&answer, "sshd")), ((false, 0), (false, 1)), "{answer}");
    assert!(answer.to_string().contains("Release 203.0.113.0/24 to let it out."), "{answer}");
    assert_eq!((&answer["never_ban"], daemon.banned("sshd")), (&Value::Null, vec!["203.0.113.0/24".to_owned()]));
    // What is noted of it goes, too: it is not made again.
    daemon.client(&["reload"]);
    let known = admin.get("/api/v1/addresses/203.0.113.7").expect(200).json();
    assert_eq!(known["banned"], json!([]), "{known}");
    // A network, and all that is in it.
    admin.post("/api/v1/bans", ban.clone()).expect(201);
    let answer = admin.post("/api/v1/addresses/203.0.113.99%2F24/release", json!({})).expect(200).json();
    assert_eq!((&answer["ip"], of(&answer, "sshd")), (&json!("203.0.113.0/24"), (true, 2)), "{answer}");
    assert_eq!(answer["message"], "203.0.113.0/24 is let out of lab and sshd.");
    assert!(daemon.banned("lab").is_empty() && daemon.banned("sshd").is_empty());
    never_again(&daemon, &admin, &ban);
    refusals(&daemon, server, &admin);
}

fn never_again(daemon: &RealDaemon, admin: &Client, ban: &Value) {
    let (jails, hour) = (json!(["lab"]), json!("1h"));
    admin.post("/api/v1/bans", ban.clone()).expect(201);
    daemon.client(&["set", "lab", "banip", "203.0.113.0/24"]);
    let asked = json!({"jails": jails, "never_again": true, "note": "The office", "duration": hour});
    let answer = admin.post(RELEASE, asked).expect(200).json();
    assert_eq!((of(&answer, "lab"), answer["results"].as_array().unwrap().len()), ((true, 2), 1), "{answer}");
    let entry = &answer["never_ban"];
    assert_eq!((&entry["jails"], &entry["note"], &entry["in_force"]), (&jails, &json!("The office"), &json!(true)));
    assert_eq!(daemon.banned("sshd"), [IP]);
    let refused = admin.post("/api/v1/bans", json!({"ip": IP, "jail": "lab"})).expect_error(409, "conflict");
    assert_eq!(refused.json()["metadata"]["reason"], "never_ban");
    // The same once more: the entry holds in all jails then, for ever, and he is let out of the rest.
    let answer = admin.post(RELEASE, json!({"never_again": true})).expect(200).json();
    assert_eq!((of(&answer, "sshd"), of(&answer, "lab")), ((true, 1), (false, 0)), "{answer}");
    assert_eq!(answer["message"], "203.0.113.7 is let out of sshd. It is on the never-ban list.");
    let widened = &answer["never_ban"];
    assert_eq!((&widened["id"], &widened["jails"]), (&entry["id"], &json!([])), "{answer}");
    assert_eq!((&widened["until"], &widened["note"]), (&Value::Null, &json!("The office")));
    // Banned all the same by force, and let out again although the list says nothing new.
    let force = json!({"ip": IP, "jail": "lab", "force": true});
    admin.post("/api/v1/bans", force).expect(201);
    let answer = admin.post(RELEASE, json!({"never_again": true, "jails": ["lab"]})).expect(200).json();
    assert_eq!((of(&answer, "lab"), entries(admin).len()), ((true, 1), 1), "{answer}");
    assert!(daemon.banned("lab").is_empty() && daemon.banned("sshd").is_empty());
}

fn refusals(daemon: &RealDaemon, server: Server, admin: &Client) {
    daemon.client(&["set", "lab", "banip", IP]);
    for odd in ["1.2.3.4%3Bid", "example.org", "10.0.0.0%2F33"] {
        admin.post_empty(&format!("/api/v1/addresses/{odd}/release")).expect_error(400, "invalid_input");
    }
    for body in [json!({"until": "2030-01-01T00:00:00Z"}), json!({"x": 1}), json!({"jails": "lab"}), json!([])] {
        admin.post(RELEASE, body).expect_error(422, "invalid_input");
    }
    let past = json!({"never_again": true, "until": "2020-01-01T00:00:00Z"});
    assert_eq!(
        admin.post(RELEASE, past).expect_error(422, "invalid_input").json()["metadata"]["errors"][0]["source_field"],
        "until"
    );
    admin.post(RELEASE, json!({"jails": ["lab", "nojail"]})).expect_error(404, "jail_not_found");
    let wide = "/api/v1/addresses/0.0.0.0%2F1/release";
    let refused = admin.post(wide, json!({"never_again": true})).expect_error(409, "conflict").json();
    assert_eq!(refused["metadata"]["reason"], "too_wide", "{refused}");
    assert_eq!((daemon.banned("lab").len(), entries(admin).len()), (1, 1), "nothing was done");
    let limited = server.with_env("BANGUI_RATE_LIMIT_BAN", "1");
    let admin = limited.client().with_identity(Identity::Bearer(admin.token().to_string()));
    admin.post_empty(RELEASE).expect(200);
    admin.post_empty(RELEASE).expect_error(429, "rate_limit_exceeded");
    provoke_general_refusals(RELEASE);
    demand_documented(RELEASE);
}

#[test]
fn who_is_released_gets_through_what_was_imported_and_with_never_again_stays_through() {
    each_mode(|mode, lab| {
        let (_server, admin) = lab.server(mode);
        lab.lists.set("/list", Reply::List("45.1.1.1\n45.1.1.2\n45.2.0.0/16\n2606:4700::5\n".into()));
        add(&admin, &lab.lists.url("/list"), false);
        assert_eq!(import(&admin)["total_imported"], 4);
        let release = |ip: &str, body: Value| -> Value {
            admin.post(&format!("/api/v1/addresses/{ip}/release"), body).expect(200).json()
        };
        assert_eq!(of(&release("45.1.1.1", json!({})), JAIL), (true, 1));
        let part = release("45.2.3.4", json!({"jails": [JAIL]}));
        assert!(of(&part, JAIL) == (false, 0) && part.to_string().contains("Release 45.2.0.0/16"), "{part}");
        lab.demand(&["45.1.1.2", "45.2.3.4", "2606:4700::5"], &["45.1.1.1"]);
        assert_eq!(of(&release("45.2.3.4", json!({"never_again": true, "note": "us"})), JAIL), (true, 1));
        assert_eq!(of(&release("2606:4700::5", json!({"never_again": true})), JAIL), (true, 1));
        lab.demand(&["45.1.1.2"], &["45.1.1.1", "45.2.3.4", "2606:4700::5"]);
        // Another edition of the list brings the one back, and leaves out who is never banned.
        lab.lists.set("/list", Reply::List("45.1.1.1\n45.2.0.0/16\n2606:4700::5\n45.9.9.9\n".into()));
        let done = import(&admin);
        assert_eq!(done["results"][0]["skipped"]["protected"], 2, "{done}");
        lab.demand(&["45.1.1.1", "45.9.9.9"], &["45.2.3.4", "2606:4700::5"]);
        // Without fail2ban, too.
        lab.daemon.stop();
        assert_eq!(of(&release("45.9.9.9", json!({})), JAIL), (true, 1));
        lab.demand(&["45.1.1.1"], &["45.9.9.9"]);
    });
}
