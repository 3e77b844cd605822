//! Login, session and logout: the documented statuses, the cookie, and what ends a session.

use serde_json::json;

use crate::harness::client::{Identity, PASSWORD};
use crate::harness::contract::demand_seen;
use crate::harness::server::Launch;
use crate::harness::shim::Shim;
use crate::operations::provoke_general_refusals;

const LOGIN: &str = "/api/v1/auth/login";
const SESSION: &str = "/api/v1/auth/session";
const LOGOUT: &str = "/api/v1/auth/logout";

#[test]
fn every_documented_status_of_auth() {
    let server = Launch::without_daemon().start();
    let nobody = server.client();
    let right = json!({"password": PASSWORD});
    nobody.post(LOGIN, right.clone()).expect_error(503, "setup_required");
    nobody.setup();
    let admin = nobody.login();
    admin.get(SESSION).expect(200);
    admin.post_empty(SESSION).expect(200);
    admin.post_empty(LOGOUT).expect(200);
    nobody.post(LOGIN, json!({"pass": 1})).expect_error(422, "invalid_input");
    nobody.send("POST", LOGIN, Some(b"{")).expect_error(400, "invalid_input");
    nobody.with_header("Content-Type", "text/plain").post(LOGIN, right.clone()).expect_error(400, "invalid_input");
    nobody.post(LOGIN, json!({"password": "x".repeat(17_000)})).expect_error(413, "payload_too_large");
    for _ in 0..5 {
        nobody.post(LOGIN, json!({"password": "wrong"})).expect_error(401, "authentication_required");
    }
    let refused = nobody.post(LOGIN, json!({"password": "wrong"})).expect_error(429, "rate_limit_exceeded").json();
    assert_eq!(refused["metadata"]["limit"], "login");
    assert!(refused["detail"].as_str().unwrap().starts_with("Too many failed logins. Try again in "), "{refused}");
    demand_seen("POST /api/v1/auth/login", &[200, 400, 401, 413, 422, 429, 503]);
    for path in [SESSION, LOGOUT] {
        provoke_general_refusals(path);
        demand_seen(&format!("POST {path}"), &[200, 401]);
    }
    demand_seen(&format!("GET {SESSION}"), &[200, 401]);
}

#[test]
fn too_little_memory_is_no_wrong_password() {
    let server = Launch::without_daemon().start();
    let client = server.client();
    server.limit_memory(11 << 20);
    let refused = client.post("/api/v1/setup", json!({"master_password": PASSWORD})).expect_error(503, "busy").json();
    assert!(refused["detail"].as_str().unwrap().contains("12 MiB of memory"), "{refused}");
    server.limit_memory(1 << 30);
    client.setup();
    server.limit_memory(11 << 20);
    for _ in 0..7 {
        client.post(LOGIN, json!({"password": PASSWORD})).expect_error(503, "busy");
    }
    server.limit_memory(1 << 30);
    client.post(LOGIN, json!({"password": PASSWORD})).expect(200);
}

#[test]
fn a_422_names_every_wrong_field_at_once() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    let answer = server.client().post(LOGIN, json!({"unknown": 1})).expect(422);
    let errors = answer.json()["metadata"]["errors"].clone();
    let fields: Vec<&str> =
        errors.as_array().unwrap().iter().map(|error| error["source_field"].as_str().unwrap()).collect();
    assert!(fields.iter().any(|field| field.contains("password")), "{fields:?}");
    assert!(fields.iter().any(|field| field.contains("unknown")), "{fields:?}");
}

#[test]
fn the_token_works_as_cookie_and_as_bearer_until_logout() {
    let (server, admin) = Launch::without_daemon().start().into_ready();
    let token = admin.token().to_string();
    let cookie = admin.with_identity(Identity::Cookie(token.clone()));
    for client in [&admin, &cookie] {
        assert_eq!(client.get(SESSION).expect(200).json()["valid"], true);
    }
    let cleared = cookie.post_empty(LOGOUT).expect(200);
    assert_eq!(cleared.session_cookie().as_deref(), Some(""), "{cleared}");
    let refusals: Vec<_> = [admin.clone(), cookie, server.client()]
        .iter()
        .chain([&admin.with_identity(Identity::Bearer("0".repeat(token.len())))])
        .map(|client| client.get(SESSION).expect_error(401, "authentication_required").body)
        .collect();
    // Ended, missing and invalid cannot be told apart.
    assert!(refusals.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn logout_without_a_session_is_401_and_clears_the_cookie_all_the_same() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    let stale = server.client().with_identity(Identity::Cookie("stale".into()));
    let answer = stale.post_empty(LOGOUT).expect(401);
    assert_eq!(answer.session_cookie().as_deref(), Some(""), "{answer}");
}

#[test]
fn the_cookie_is_for_the_browser_only() {
    let (server, _) = Launch::without_daemon().args(&["--trusted-proxies", "127.0.0.1"]).start().into_ready();
    let right = json!({"password": PASSWORD});
    let plain = server.client().post(LOGIN, right.clone()).expect(200);
    let cookie = plain.header("set-cookie").unwrap().to_string();
    for part in ["; HttpOnly", "; SameSite=Lax", "; Path=/", "; Max-Age="] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    assert!(!cookie.contains("; Secure"), "{cookie}");
    let secure = server.client().with_header("X-Forwarded-Proto", "https").post(LOGIN, right).expect(200);
    let cookie = secure.header("set-cookie").unwrap();
    assert!(cookie.contains("; Secure"), "{cookie}");
    let body = String::from_utf8(secure.body.clone()).unwrap();
    let token = secure.session_cookie().unwrap();
    assert!(!body.contains(&token), "the token is only in the cookie");
}

#[test]
fn the_sha256_of_the_password_logs_in_as_well() {
    use sha2::{Digest, Sha256};
    let (server, _) = Launch::without_daemon().start().into_ready();
    let hex: String = Sha256::digest(PASSWORD).iter().map(|byte| format!("{byte:02x}")).collect();
    server.client().post(LOGIN, json!({"password": hex})).expect(200);
}

#[test]
fn a_session_survives_a_restart_of_the_server() {
    let (mut server, admin) = Launch::without_daemon().start().into_ready();
    server.kill();
    server.start_again();
    server.client().with_identity(admin.identity.clone()).get(SESSION).expect(200);
}

#[test]
fn a_session_lasts_as_long_as_setup_says() {
    let server = Launch::without_daemon().start();
    let client = server.client();
    client.post("/api/v1/setup", json!({"master_password": PASSWORD, "session_duration_minutes": 7})).expect(201);
    let answer = client.post(LOGIN, json!({"password": PASSWORD})).expect(200);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("Max-Age=420"), "{cookie}");
    let expires: jiff::Timestamp = answer.json()["expires_at"].as_str().unwrap().parse().unwrap();
    let left = expires.as_second() - jiff::Timestamp::now().as_second();
    assert!((410..=420).contains(&left), "{left} s");
}

#[test]
fn an_expired_session_is_refused() {
    let (mut server, admin) = Launch::without_daemon().start().into_ready();
    server.kill();
    let database = rusqlite::Connection::open(server.database()).unwrap();
    let changed = database.execute("UPDATE sessions SET expires_at = 1", []).unwrap();
    assert_eq!(changed, 1);
    drop(database);
    server.start_again();
    server.client().with_identity(admin.identity.clone()).get(SESSION).expect_error(401, "authentication_required");
}

#[test]
fn a_login_that_is_being_checked_holds_nobody_up() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    let nobody = server.client();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let client = nobody.clone();
            scope.spawn(move || client.post(LOGIN, json!({"password": PASSWORD})).status);
        }
        let mut slowest = std::time::Duration::ZERO;
        for _ in 0..50 {
            slowest = slowest.max(nobody.get("/api/v1/setup").expect(200).elapsed);
        }
        assert!(slowest < std::time::Duration::from_millis(500), "{slowest:?}");
    });
}

#[test]
fn a_session_lasts_as_long_as_is_set_and_no_longer() {
    let mut shim = Shim::new();
    let launch = shim.launch(Launch::without_daemon()).env("BANGUI_SESSION_DURATION_MINUTES", "7");
    let (server, admin) = launch.start().into_ready();
    let answer = server.client().post(LOGIN, json!({"password": PASSWORD})).expect(200);
    let ends = answer.json()["expires_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
    let lasts = ends - jiff::Timestamp::now().as_second();
    assert!((7 * 60 - 10..=7 * 60).contains(&lasts), "{lasts} s");
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("bangui_session=") && cookie.contains("Max-Age=420"), "{cookie}");
    shim.set_clock_off(6 * 60);
    admin.get(SESSION).expect(200);
    shim.set_clock_off(7 * 60);
    admin.get(SESSION).expect_error(401, "authentication_required");
}

#[test]
fn the_cookie_is_for_https_only_when_it_is_set_so_whoever_asks() {
    for (setting, plain, tls) in [("1", true, true), ("0", false, false), ("auto", false, true)] {
        let launch = Launch::without_daemon().args(&["--trusted-proxies", "127.0.0.1"]);
        let (server, _) = launch.env("BANGUI_SESSION_COOKIE_SECURE", setting).start().into_ready();
        for (proto, wanted) in [("http", plain), ("https", tls)] {
            let client = server.client().with_header("X-Forwarded-For", "192.0.2.1");
            let client = client.with_header("X-Forwarded-Proto", proto);
            let login = client.post(LOGIN, json!({"password": PASSWORD})).expect(200);
            let session = client.with_identity(Identity::Cookie(login.session_cookie().unwrap()));
            let logout = session.post_empty(LOGOUT).expect(200);
            // The one that clears it must be as the one that set it, or a browser keeps it.
            for cookie in login.headers("set-cookie").into_iter().chain(logout.headers("set-cookie")) {
                assert_eq!(cookie.contains("; Secure"), wanted, "{setting}, {proto}: {cookie}");
            }
        }
    }
}

/// Seconds from now to the end that an answer tells.
fn lasts(answer: &crate::harness::http::Answer) -> i64 {
    let ends: jiff::Timestamp = answer.json()["expires_at"].as_str().unwrap().parse().unwrap();
    ends.as_second() - jiff::Timestamp::now().as_second()
}

const MONTH: i64 = 30 * 24 * 3600;

#[test]
fn a_session_that_is_to_be_remembered_lasts_30_days_and_gives_its_token_where_asked() {
    let (server, _) = Launch::without_daemon().env("BANGUI_SESSION_DURATION_MINUTES", "7").start().into_ready();
    let nobody = server.client();
    let plain = nobody.post(LOGIN, json!({"password": PASSWORD})).expect(200);
    assert!(plain.json().get("token").is_none() && lasts(&plain) <= 7 * 60, "{plain}");
    let wish = json!({"password": PASSWORD, "username": "admin", "remember": true, "return_token": true});
    let answer = nobody.post(LOGIN, wish).expect(200);
    assert!((MONTH - 10..=MONTH).contains(&lasts(&answer)), "{answer}");
    assert!(answer.header("set-cookie").unwrap().contains(&format!("Max-Age={MONTH}")), "{answer}");
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(answer.session_cookie().as_deref(), Some(token.as_str()));
    nobody.with_identity(Identity::Bearer(token)).get(SESSION).expect(200);
}

#[test]
fn a_name_that_nobody_has_is_a_wrong_password() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    let nobody = server.client();
    let wrong = nobody.post(LOGIN, json!({"password": "no"})).expect_error(401, "authentication_required");
    let stranger = nobody.post(LOGIN, json!({"password": PASSWORD, "username": "anna"}));
    assert_eq!(stranger.expect_error(401, "authentication_required").body, wrong.body);
    for _ in 0..3 {
        nobody.post(LOGIN, json!({"password": PASSWORD, "username": "anna"})).expect(401);
    }
    nobody.post(LOGIN, json!({"password": PASSWORD, "username": "anna"})).expect_error(429, "rate_limit_exceeded");
}

#[test]
fn a_session_is_lengthened_to_30_days_from_its_login_at_most_and_never_shortened() {
    let mut shim = Shim::new();
    let launch = shim.launch(Launch::without_daemon()).env("BANGUI_SESSION_DURATION_MINUTES", "14400");
    let (server, admin) = launch.start().into_ready();
    let cookie = admin.with_identity(Identity::Cookie(admin.token().to_owned()));
    let ten_days = 14_400 * 60;
    for (after, wanted) in [(9, ten_days), (18, ten_days), (27, MONTH - 27 * 86_400), (29, MONTH - 29 * 86_400)] {
        shim.set_clock_off(after * 86_400);
        let answer = cookie.post_empty(SESSION).expect(200);
        let left = lasts(&answer) - after * 86_400;
        assert!((wanted - 20..=wanted).contains(&left), "after {after} days it lasts {left} s, not {wanted}");
        let told = answer.header("set-cookie").unwrap();
        assert!(told.starts_with(&format!("bangui_session={}; ", admin.token())), "{told}");
        assert!(admin.post_empty(SESSION).expect(200).header("set-cookie").is_none(), "a program keeps no cookie");
    }
    shim.set_clock_off(30 * 86_400);
    cookie.post_empty(SESSION).expect_error(401, "authentication_required");
    drop(server);
    // One that was remembered lasts longer than the settings would have it, and keeps that.
    let (server, _) = Launch::without_daemon().env("BANGUI_SESSION_DURATION_MINUTES", "7").start().into_ready();
    let answer = server.client().post(LOGIN, json!({"password": PASSWORD, "remember": true})).expect(200);
    let kept = server.client().with_identity(Identity::Bearer(answer.session_cookie().unwrap())).post_empty(SESSION);
    assert!(lasts(&kept.expect(200)) > MONTH - 20);
}

#[test]
fn a_session_is_lengthened_on_a_read_only_server_too() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    let server = server.with_env("BANGUI_READ_ONLY", "1");
    server.client().login().post_empty(SESSION).expect(200);
}
