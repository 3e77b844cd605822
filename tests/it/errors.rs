//! What an error tells the person and the program that get it: the field, the values allowed, the place, the wait.

use serde_json::{Value, json};

use crate::harness::client::{Client, Identity};
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};

const BANS: &str = "/api/v1/bans";

fn detail_of(error: &Value) -> &str {
    error["detail"].as_str().unwrap()
}

#[test]
fn what_is_no_address_and_not_listed_cannot_be_unbanned() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    for body in [
        json!({"ip": "999.1.1.1"}),
        json!({"ip": "999.1.1.1", "jail": "lab"}),
        json!({"ip": "not an address", "jail": "lab"}),
    ] {
        let error = admin.delete_with(BANS, body).expect_error(400, "invalid_input").json();
        assert_eq!(error["metadata"]["field"], "ip");
    }
    // Whatever somebody had the daemon ban is listed, and can be lifted.
    daemon.client(&["set", "lab", "banip", "some.host.invalid"]);
    if daemon.banned("lab").iter().any(|text| text == "some.host.invalid") {
        admin.delete_with(BANS, json!({"ip": "some.host.invalid", "jail": "lab"})).expect(200);
        assert!(daemon.banned("lab").is_empty());
    }
    admin.delete_with(BANS, json!({"ip": "203.0.113.1", "jail": "lab"})).expect(200);
}

#[test]
fn a_parameter_nobody_knows_is_refused_with_those_there_are() {
    let (_server, admin) = Launch::without_daemon().start().into_ready();
    let error = admin.get("/api/v1/history?rage=24h").expect_error(400, "invalid_input").json();
    assert_eq!(error["metadata"]["field"], "rage");
    assert_eq!(error["metadata"]["allowed"][0], "range");
    assert!(detail_of(&error).contains("range, from, to, jail, ip"), "{error}");
    let none = admin.get("/api/v1/auth/session?x=1").expect_error(400, "invalid_input").json();
    assert!(detail_of(&none).contains("takes none"), "{none}");
    admin.get("/api/v1/auth/session?").expect(200);
    // Without a session, nobody learns what a request takes.
    admin.with_identity(Identity::Nobody).get("/api/v1/history?rage=24h").expect(401);
}

#[test]
fn a_value_outside_an_enumeration_names_the_values_allowed() {
    let (_server, admin) = Launch::without_daemon().start().into_ready();
    for (query, expected) in [
        ("range=1d", "range: one of 24h, 7d, 30d, 365d is expected."),
        ("source=x", "source: fail2ban or archive is expected."),
        ("origin=x", "origin: blocklist or selfblock is expected."),
        ("page=x", "page: a whole number is expected."),
    ] {
        let error = admin.get(&format!("/api/v1/history?{query}")).expect_error(400, "invalid_input").json();
        assert_eq!(error["detail"], expected);
        assert_eq!(error["metadata"]["allowed"].is_array(), !query.starts_with("page"), "{error}");
    }
}

#[test]
fn a_method_that_is_not_taken_names_those_that_are() {
    let (_server, admin) = Launch::without_daemon().start().into_ready();
    let answer = admin.send("PATCH", BANS, None);
    let allowed = answer.json()["metadata"]["allowed"].clone();
    assert_eq!(allowed, json!(["POST", "DELETE"]));
    assert_eq!(answer.header("allow"), Some("POST, DELETE"));
}

fn sent(admin: &Client, body: &str) -> Value {
    admin.send("POST", BANS, Some(body.as_bytes())).json()
}

#[test]
fn a_body_that_is_no_json_is_told_where_and_why() {
    let (_server, admin) = Launch::without_daemon().start().into_ready();
    let error = sent(&admin, "{\n  \"jail\": \"lab\",\n  \"ip\": \"203.0.113.1\",\n}");
    assert_eq!((&error["code"], &error["metadata"]["line"]), (&json!("invalid_input"), &json!(4)));
    assert_eq!(error["metadata"]["column"], 1);
    assert!(detail_of(&error).contains("a comma stands before the closing bracket"), "{error}");
    let open = sent(&admin, "{\"jail\": \"lab\"");
    assert!(detail_of(&open).contains("is not closed"), "{open}");
}

#[test]
fn a_field_of_the_wrong_type_is_told_in_no_words_of_rust() {
    let (_server, admin) = Launch::without_daemon().start().into_ready();
    let error = sent(&admin, r#"{"jail": 1, "ip": []}"#);
    let errors = error["metadata"]["errors"].as_array().unwrap();
    assert!(
        errors.len() == 2 && errors.iter().all(|error| detail_of(error).ends_with(": text is expected.")),
        "{error}"
    );
}

#[test]
fn every_bad_expression_of_a_jail_is_named_by_its_place() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    let body = json!({"fail_regex": ["^a <HOST>$", "(", "^b <HOST>$", "["], "ignore_regex": ["*"]});
    let error = admin.put("/api/v1/config/jails/lab", body).expect_error(422, "config_validation_failed").json();
    let fields: Vec<&Value> =
        error["metadata"]["errors"].as_array().unwrap().iter().map(|error| &error["source_field"]).collect();
    assert_eq!(fields, ["fail_regex.1", "fail_regex.3", "ignore_regex.0"]);
    let time = admin.put("/api/v1/config/jails/lab", json!({"ban_time": []})).expect_error(422, "invalid_input").json();
    let said = &time["metadata"]["errors"][0]["detail"];
    assert_eq!(said, "ban_time: seconds, or a time such as 10m or 1d, is expected.");
}

#[test]
fn what_is_missing_or_in_the_way_is_named() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    let filter = admin.get("/api/v1/config/filters/nowhere").expect_error(404, "filter_not_found").json();
    assert_eq!(filter["metadata"]["name"], "nowhere");
    let action = admin.get("/api/v1/config/actions/nowhere").expect_error(404, "action_not_found").json();
    assert_eq!(action["metadata"]["name"], "nowhere");
    let body = json!({"name": "bad", "failregex": ["^ok <HOST>$", "(", "["]});
    let error = admin.post("/api/v1/config/filters", body).json();
    let fields: Vec<&Value> =
        error["metadata"]["errors"].as_array().unwrap().iter().map(|error| &error["source_field"]).collect();
    assert_eq!(fields, ["failregex.1", "failregex.2"], "{error}");
}

#[test]
fn every_counted_answer_says_what_is_left_and_a_429_which_limit_it_was() {
    let (server, admin) = Launch::without_daemon().start().into_ready();
    let server = server.with_env("BANGUI_RATE_LIMIT_SESSION", "1200");
    let admin = server.client().with_identity(admin.identity.clone());
    let left = |answer: &crate::harness::http::Answer| -> u32 {
        answer.header("x-ratelimit-remaining").unwrap().parse().unwrap()
    };
    let (first, second) = (admin.get("/api/v1/blocklists"), admin.get("/api/v1/blocklists"));
    assert_eq!(first.header("x-ratelimit-limit"), Some("1200"));
    assert_eq!(left(&first), left(&second) + 1);
    assert!(first.header("x-ratelimit-reset").unwrap().parse::<u32>().unwrap() <= 60);
    assert_eq!(admin.get("/api/v1/health").header("x-ratelimit-limit"), None, "health is not counted");
    let server = server.with_env("BANGUI_RATE_LIMIT_SESSION", "2");
    let admin = server.client().with_identity(admin.identity.clone());
    for _ in 0..3 {
        admin.get("/api/v1/blocklists");
    }
    let answer = admin.get("/api/v1/blocklists");
    let error = answer.json();
    assert_eq!((answer.status, answer.header("x-ratelimit-remaining")), (429, Some("0")));
    assert_eq!(error["metadata"]["limit"], "session");
    assert_eq!(error["metadata"]["setting"], "BANGUI_RATE_LIMIT_SESSION");
    let said = detail_of(&error);
    assert!(said.starts_with("Too many requests: 2 a minute are allowed") && said.contains("Try again in "), "{said}");
}
