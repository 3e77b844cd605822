//! Who may do what: sessions and passwords of one's own, users with their roles, tokens with their scopes, jails and addresses. Every way
//! in that somebody could try who may not.

use std::thread;
use std::time::Duration;

use bangui::app::request::{Access, OfJails, Route};
use bangui::domain::permission::{Role, Scope};
use bangui::routes::ROUTES;
use serde_json::{Value, json};

use crate::harness::client::{Client, Identity, PASSWORD};
use crate::harness::contract::demand_seen;
use crate::harness::http::Answer;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::shim::Shim;
use crate::harness::wait_until;
use crate::operations::{demand_documented, provoke_general_refusals};

const SESSIONS: &str = "/api/v1/auth/sessions";
const OWN_PASSWORD: &str = "/api/v1/auth/password";
const LOGIN: &str = "/api/v1/auth/login";
const USERS: &str = "/api/v1/users";
const TOKENS: &str = "/api/v1/tokens";
const META: &str = "/api/v1/meta";
const OTHER: &str = "correct horse battery";

fn add_user(admin: &Client, name: &str, role: &str) {
    admin.post(USERS, json!({"name": name, "role": role, "new_password": OTHER})).expect(201);
}

fn login(server: &Server, name: &str, password: &str) -> Client {
    let body = json!({"username": name, "password": password, "return_token": true});
    let answer = server.client().post(LOGIN, body).expect(200).json();
    bearer(server, &answer["token"])
}

fn bearer(server: &Server, token: &Value) -> Client {
    server.client().with_identity(Identity::Bearer(token.as_str().unwrap().to_owned()))
}

/// A token with these fields, and a client that uses it.
fn token(server: &Server, admin: &Client, fields: Value) -> (Value, Client) {
    let made = admin.post(TOKENS, fields).expect(201).json();
    let client = bearer(server, &made["token"]);
    (made, client)
}

#[test]
fn every_documented_status_of_sessions_and_the_own_password() {
    let (server, admin) = Launch::without_daemon().start().into_ready();
    let others = [server.client().login(), server.client().login()];
    let list = admin.get(SESSIONS).expect(200).json()["items"].as_array().unwrap().clone();
    assert_eq!((list.len(), list.iter().filter(|one| one["is_this_one"] == true).count()), (3, 1));
    let other = list.iter().find(|one| one["is_this_one"] == false).unwrap()["id"].as_str().unwrap().to_owned();
    admin.delete(&format!("{SESSIONS}/{other}")).expect(204);
    admin.delete(&format!("{SESSIONS}/{other}")).expect_error(404, "session_not_found");
    let alive = |client: &Client| client.get("/api/v1/auth/session").status == 200;
    assert_eq!(others.iter().filter(|other| alive(other)).count(), 1);
    assert_eq!(admin.delete(SESSIONS).expect(200).json()["ended"], 1);
    assert!(alive(&admin) && !others.iter().any(alive));
    let other = server.client().login();
    let body = |current: &str, new: &str| json!({"current_password": current, "new_password": new});
    admin.put(OWN_PASSWORD, body(PASSWORD, "short")).expect_error(422, "invalid_input");
    admin.send("PUT", OWN_PASSWORD, Some(b"{")).expect_error(400, "invalid_input");
    admin.put(OWN_PASSWORD, body(PASSWORD, OTHER)).expect(204);
    assert!(alive(&admin) && !alive(&other), "the others have ended");
    server.client().post(LOGIN, json!({"password": PASSWORD})).expect_error(401, "authentication_required");
    server.client().post(LOGIN, json!({"password": OTHER})).expect(200);
    for _ in 0..5 {
        admin.put(OWN_PASSWORD, body("wrong", PASSWORD)).expect_error(401, "authentication_required");
    }
    admin.put(OWN_PASSWORD, body(OTHER, PASSWORD)).expect_error(429, "rate_limit_exceeded");
    provoke_general_refusals(SESSIONS);
    provoke_general_refusals(OWN_PASSWORD);
    demand_documented(SESSIONS);
    demand_documented(OWN_PASSWORD);
}

#[test]
fn every_documented_status_of_users_and_tokens() {
    let (server, admin) = Launch::without_daemon().start().into_ready();
    let user = |name: &str| json!({"name": name, "role": "viewer", "new_password": OTHER});
    admin.post(USERS, user("eve")).expect(201);
    admin.post(USERS, user("eve")).expect_error(409, "conflict");
    let refused = admin.post(USERS, user("=cmd()")).expect_error(400, "invalid_name").json();
    assert_eq!(refused["metadata"]["pattern"], "[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}");
    for name in ["..", ".", "-x", "--help"] {
        admin.post(USERS, user(name)).expect_error(400, "invalid_name");
    }
    admin.post(USERS, user("ADMIN")).expect_error(409, "conflict");
    admin.post(USERS, json!({"name": "x", "role": "root", "new_password": "x"})).expect_error(422, "invalid_input");
    assert_eq!(server.client().get(META).expect(200).json()["users"], true);
    let eve = format!("{USERS}/eve");
    let shown = admin.get(USERS).expect(200).json()["items"][1].clone();
    assert_eq!(admin.put(&eve, shown.clone()).expect(200).json(), shown, "as it was shown it can be sent back");
    assert_eq!(admin.put(&eve, json!({"role": "operator"})).expect(200).json()["role"], "operator");
    admin.put(&eve, json!({"name": "mallory"})).expect_error(422, "invalid_input");
    admin.put(&eve, json!({})).expect_error(422, "invalid_input");
    admin.get(&format!("{USERS}?page=0")).expect_error(400, "invalid_input");
    let owner = format!("{USERS}/admin");
    admin.put(&owner, json!({"role": "viewer"})).expect_error(409, "last_admin");
    admin.delete(&owner).expect_error(409, "last_admin");
    admin.delete(&eve).expect(204);
    for (method, body) in [("DELETE", None), ("PUT", Some(&br#"{"role":"viewer"}"#[..]))] {
        admin.send(method, &eve, body).expect_error(404, "user_not_found");
    }
    for number in 1..25 {
        let hash = "a1".repeat(32);
        admin.post(USERS, json!({"name": format!("u{number}"), "role": "viewer", "new_password": hash})).expect(201);
    }
    let full = admin.post(USERS, user("eve")).expect_error(403, "limit_reached").json();
    assert_eq!(full["detail"], "User limit reached (25/25). Delete one that is not used.");

    let wanted = |name: &str| json!({"name": name, "scopes": ["read"]});
    let made = admin.post(TOKENS, wanted("widget")).expect(201).json();
    let one = format!("{TOKENS}/{}", made["id"]);
    admin.post(TOKENS, wanted("widget")).expect_error(409, "conflict");
    admin.post(TOKENS, wanted("a b")).expect_error(400, "invalid_name");
    let body = json!({"name": "x", "scopes": ["read", "root"], "allowed_ips": ["10.0.0.1", "::1", "10.0.0.0/8", "x"]});
    let wrong = admin.post(TOKENS, body).expect_error(422, "invalid_input").json();
    let fields: Vec<&Value> =
        wrong["metadata"]["errors"].as_array().unwrap().iter().map(|error| &error["source_field"]).collect();
    assert_eq!(fields, ["scopes.1", "allowed_ips.3"]);
    let shown = admin.get(&one).expect(200).json();
    assert_eq!(shown.get("token"), None, "the text is in one answer only");
    assert_eq!(admin.put(&one, shown.clone()).expect(200).json(), shown);
    admin.put(&one, json!({"id": 99})).expect_error(422, "invalid_input");
    admin.post(TOKENS, wanted("other")).expect(201);
    admin.put(&one, json!({"name": "other"})).expect_error(409, "conflict");
    let rotated = admin.post_empty(&format!("{one}/rotate")).expect(200).json();
    assert_eq!((&rotated["rotated"], rotated["token"] == made["token"]), (&json!(true), false));
    admin.post(&format!("{one}/rotate"), json!({"password": 1})).expect_error(422, "invalid_input");
    admin.delete_with(&one, json!({"password": 1})).expect_error(422, "invalid_input");
    assert_eq!(admin.get(TOKENS).expect(200).json()["pagination"]["total"], 2);
    admin.get(&format!("{TOKENS}?page=0")).expect_error(400, "invalid_input");
    admin.delete(&one).expect(204);
    for target in [one.clone(), format!("{TOKENS}/x")] {
        let status = if target == one { 404 } else { 400 };
        assert_eq!(admin.get(&target).status, status);
        assert_eq!(admin.put(&target, json!({"name": "y"})).status, status);
        assert_eq!(admin.delete(&target).status, status);
        assert_eq!(admin.post_empty(&format!("{target}/rotate")).status, status);
    }
    for number in 1..25 {
        admin.post(TOKENS, wanted(&format!("t{number}"))).expect(201);
    }
    let full = admin.post(TOKENS, wanted("more")).expect_error(403, "limit_reached").json();
    assert_eq!(full["detail"], "Token limit reached (25/25). Delete one that is not used.");
    for prefix in [USERS, TOKENS] {
        provoke_general_refusals(prefix);
        demand_documented(prefix);
    }
    demand_seen("PUT /api/v1/users/{name}", &[404, 409]);
}

/// A path of a route, with something in the place of each parameter.
fn path(route: &Route) -> String {
    let path = route.path.replace("{ip}", "203.0.113.7").replace("{source_id}", "1").replace("{id}", "1");
    path.replace("/users/{name}", "/users/nobody").replace("{name}", "lab")
}

/// Whether an identity is what opens it.
fn is_guarded(route: &Route) -> bool {
    matches!(route.access, Access::Session | Access::SessionAlways | Access::Metrics)
}

/// Whether a call does no harm where it is not refused: nothing changes on a server that is read-only.
fn is_harmless(route: &Route) -> bool {
    !route.changes || route.access != Access::SessionAlways
}

#[test]
fn each_role_reaches_exactly_its_routes() {
    let (server, admin) = Launch::without_daemon().start().into_ready();
    for role in Role::ALL {
        add_user(&admin, role.as_str().replace("admin", "second").as_str(), role.as_str());
    }
    let server = server.with_env("BANGUI_READ_ONLY", "1").with_env("BANGUI_RATE_LIMIT_SESSION", "0");
    for role in Role::ALL {
        let client = login(&server, role.as_str().replace("admin", "second").as_str(), OTHER);
        for route in ROUTES.iter().filter(|route| is_guarded(route) && is_harmless(route)) {
            let answer = client.send(route.method.as_str(), &path(route), None);
            let code = answer.code();
            let what = format!("{} {:?} {} {code}", role.as_str(), route.method, route.path);
            match role >= route.role {
                true if route.changes => assert_eq!(code, "read_only", "{what}"),
                true => assert_ne!(code, "insufficient_role", "{what}"),
                false => {
                    assert_eq!(code, "insufficient_role", "{what}");
                    assert_eq!(answer.json()["metadata"]["required_role"], route.role.as_str());
                }
            }
        }
    }
}

#[test]
fn each_scope_alone_reaches_exactly_its_routes() {
    let (server, admin) = Launch::without_daemon().start().into_ready();
    let tokens: Vec<Value> = Scope::ALL
        .iter()
        .map(|scope| admin.post(TOKENS, json!({"name": scope.as_str(), "scopes": [scope.as_str()]})).expect(201).json())
        .collect();
    let server = server.with_env("BANGUI_READ_ONLY", "1").with_env("BANGUI_RATE_LIMIT_SESSION", "0");
    for (scope, made) in Scope::ALL.into_iter().zip(&tokens) {
        let client = bearer(&server, &made["token"]);
        for route in ROUTES.iter().filter(|route| is_guarded(route)) {
            let answer = client.send(route.method.as_str(), &path(route), None);
            let code = answer.code();
            let what = format!("{} {:?} {} {code}", scope.as_str(), route.method, route.path);
            if route.for_people {
                assert_eq!(code, "session_required", "{what}");
            } else if route.scope != scope {
                assert_eq!(code, "insufficient_scope", "{what}");
                assert_eq!(answer.json()["metadata"]["required_scope"], route.scope.as_str());
            } else if route.changes {
                assert_eq!(code, "read_only", "{what}");
            } else {
                assert!(!["insufficient_scope", "session_required"].contains(&code.as_str()), "{what}");
            }
        }
    }
}

#[test]
fn a_key_for_one_jail_is_refused_where_all_jails_are_meant() {
    let (server, admin) = Launch::without_daemon().start().into_ready();
    let all: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    let made = admin.post(TOKENS, json!({"name": "one", "scopes": all, "jails": ["sshd"]})).expect(201).json();
    let server = server.with_env("BANGUI_READ_ONLY", "1").with_env("BANGUI_RATE_LIMIT_SESSION", "0");
    let client = bearer(&server, &made["token"]);
    for route in ROUTES.iter().filter(|route| is_guarded(route) && !route.for_people) {
        let code = client.send(route.method.as_str(), &path(route), None).code();
        let what = format!("{:?} {} {code}", route.method, route.path);
        match route.for_jails() {
            OfJails::All => assert_eq!(code, "insufficient_scope", "{what}"),
            OfJails::Named => assert_eq!(code, "jail_not_found", "{what}"),
            OfJails::Seen | OfJails::None => assert_ne!(code, "insufficient_scope", "{what}"),
        }
    }
}

#[test]
fn a_key_for_one_jail_learns_nothing_of_another() {
    let daemon = RealDaemon::start();
    daemon.client(&["set", "lab", "banip", "203.0.113.1"]);
    daemon.client(&["set", "sshd", "banip", "203.0.113.2"]);
    let (server, admin) = Server::ready(&daemon);
    let fields = json!({"name": "one", "scopes": ["read", "bans", "jails"], "jails": ["sshd"]});
    let (_, key) = token(&server, &admin, fields);
    let text = |target: &str| String::from_utf8(key.get(target).expect(200).body).unwrap();
    for target in ["/api/v1/jails", "/api/v1/bans/active", "/api/v1/bans/active?page_size=50&q=lab", "/api/v1/bans.txt"]
    {
        let found = text(target);
        assert!(!found.contains("lab") && !found.contains("203.0.113.1"), "{target}: {found}");
    }
    assert!(text("/api/v1/bans/active").contains("203.0.113.2") && text("/api/v1/bans.txt").contains("203.0.113.2"));
    let list = key.get("/api/v1/bans/active").expect(200);
    assert_eq!(list.json()["total"], 1);
    // That something happens elsewhere is nothing that its tags tell.
    daemon.client(&["set", "lab", "banip", "203.0.113.3"]);
    wait_until("the other jail's ban is seen", Duration::from_secs(20), || {
        admin.get("/api/v1/bans/active").expect(200).json()["total"] == 3
    });
    let again = key.get("/api/v1/bans/active").expect(200);
    assert_eq!(list.header("etag"), again.header("etag"), "{list} {again}");
    daemon.client(&["set", "lab", "unbanip", "203.0.113.3"]);
    // Work of others is none that it sees or ends; its own it does.
    let begun = |client: &Client, jail: &str| {
        let many = json!({"ips": ["203.0.113.77"], "jail": jail});
        let answer = client.with_header("prefer", "respond-async").post("/api/v1/bans/bulk/remove", many).expect(202);
        answer.header("location").unwrap().to_owned()
    };
    let theirs = begun(&admin, "lab");
    key.get(&theirs).expect_error(404, "job_not_found");
    key.delete(&theirs).expect_error(404, "job_not_found");
    admin.get(&theirs).expect(200);
    key.get(&begun(&key, "sshd")).expect(200);
    // As if there were no such jail, to the letter.
    let of = |jail: &str| key.get(&format!("/api/v1/jails/{jail}")).expect_error(404, "jail_not_found").json();
    assert_eq!(of("lab")["detail"].as_str().unwrap().replace("lab", "nosuch"), of("nosuch")["detail"]);
    for target in ["/api/v1/bans/active?jail=lab", "/api/v1/bans.txt?jail=lab", "/api/v1/jails/lab/banned"] {
        key.get(target).expect_error(404, "jail_not_found");
    }
    let ban = |jail: &str| json!({"ip": "203.0.113.9", "jail": jail});
    key.post("/api/v1/bans", ban("lab")).expect_error(404, "jail_not_found");
    key.delete_with("/api/v1/bans", json!({"ip": "203.0.113.1", "jail": "lab"})).expect_error(404, "jail_not_found");
    let many = json!({"ips": ["203.0.113.9"], "jail": "lab"});
    key.post("/api/v1/bans/bulk", many.clone()).expect_error(404, "jail_not_found");
    key.post("/api/v1/bans/bulk/remove", many).expect_error(404, "jail_not_found");
    let checked = key.post("/api/v1/bans/check", json!({"ip": "203.0.113.9"})).expect(200).json();
    assert_eq!(checked["jails"].as_array().unwrap().len(), 1);
    key.post("/api/v1/bans", ban("sshd")).expect(201);
    // Without a jail it is its own.
    daemon.client(&["set", "lab", "banip", "203.0.113.9"]);
    key.delete_with("/api/v1/bans", json!({"ip": "203.0.113.9"})).expect(200);
    assert_eq!((daemon.banned("lab").len(), daemon.banned("sshd").len()), (2, 1));
    key.delete_with("/api/v1/bans", json!({"unban_all": true})).expect(200);
    assert_eq!((daemon.banned("lab").len(), daemon.banned("sshd").len()), (2, 0));
}

#[test]
fn what_becomes_a_command_needs_the_scope_actions() {
    let daemon = RealDaemon::start();
    let (server, admin) = Server::ready(&daemon);
    let (made, key) = token(&server, &admin, json!({"name": "config", "scopes": ["read", "config"]}));
    let refused = key.put("/api/v1/config/jails/lab", json!({"port": "22"})).expect_error(403, "insufficient_scope");
    assert_eq!(refused.json()["metadata"]["required_scope"], "actions");
    key.put("/api/v1/config/jails/lab", json!({"max_retry": 7})).expect(200);
    admin.put(&format!("{TOKENS}/{}", made["id"]), json!({"scopes": ["config", "actions"]})).expect(200);
    key.put("/api/v1/config/jails/lab", json!({"port": "22"})).expect(200);
}

#[test]
fn a_key_that_is_over_is_dead_with_the_next_request() {
    let (server, admin) = Launch::without_daemon().env("BANGUI_TRUSTED_PROXIES", "127.0.0.1").start().into_ready();
    let (made, key) = token(&server, &admin, json!({"name": "a", "scopes": ["read"]}));
    let one = format!("{TOKENS}/{}", made["id"]);
    key.get("/api/v1/history/archive").expect(200);
    let seen = admin.get(&one).expect(200).json();
    assert!(seen["last_used_at"].is_string() && seen["last_used_from"].is_string(), "{seen}");
    let said = key.get(META).expect(200).json();
    assert_eq!((&said["user"]["name"], &said["user"]["scopes"]), (&json!("admin"), &json!(["read"])));
    let rotated = admin.post_empty(&format!("{one}/rotate")).expect(200).json();
    let dead =
        |key: &Client| key.get("/api/v1/history/archive").expect_error(401, "invalid_token").json()["detail"].clone();
    let words = dead(&key);
    let key = bearer(&server, &rotated["token"]);
    key.get("/api/v1/history/archive").expect(200);
    // From elsewhere, through a proxy that says so.
    admin.put(&one, json!({"allowed_ips": ["198.51.100.0/24"]})).expect(200);
    let from = |address: &str| key.with_header("X-Forwarded-For", address);
    from("198.51.100.7").get("/api/v1/history/archive").expect(200);
    let refused = from("203.0.113.1").get("/api/v1/history/archive").expect_error(403, "ip_not_allowed").json();
    assert_eq!(
        refused["detail"],
        "This token may not be used from 203.0.113.1. Add that address to the token, or remove its restriction."
    );
    admin.put(&one, json!({"allowed_ips": []})).expect(200);
    admin.delete(&one).expect(204);
    assert_eq!(dead(&key), words, "one answer for every way to be over");
    let mistyped = bearer(&server, &json!("bui_0123"));
    assert_eq!(dead(&mistyped), words);
    assert_eq!(mistyped.get(META).expect(200).json()["authenticated"], false);
}

#[test]
fn a_key_dies_with_its_maker_and_can_do_no_more_than_its_maker_can_now() {
    let (server, admin) = Launch::without_daemon().start().into_ready();
    add_user(&admin, "second", "admin");
    let second = login(&server, "second", OTHER);
    let (_, key) = token(&server, &second, json!({"name": "a", "scopes": ["read", "config"]}));
    let schedule = || key.put("/api/v1/blocklists/schedule", json!({"frequency": "daily"}));
    schedule().expect(200);
    admin.put(&format!("{USERS}/second"), json!({"role": "operator"})).expect(200);
    schedule().expect_error(403, "insufficient_role");
    second.get(USERS).expect_error(403, "insufficient_role");
    key.get("/api/v1/history/archive").expect(200);
    admin.delete(&format!("{USERS}/second")).expect(204);
    key.get("/api/v1/history/archive").expect_error(401, "invalid_token");
    second.get("/api/v1/auth/session").expect_error(401, "authentication_required");
}

#[test]
fn another_admin_does_not_become_the_owner() {
    let (server, admin) = Launch::without_daemon().start().into_ready();
    let (made, key) = token(&server, &admin, json!({"name": "mine", "scopes": ["read"]}));
    assert_eq!(key.get("/api/v1/auth/session").expect(200).json(), json!({"valid": true, "expires_at": null}));
    add_user(&admin, "eve", "admin");
    let eve = login(&server, "eve", OTHER);
    eve.put(&format!("{USERS}/admin"), json!({"new_password": OTHER})).expect_error(403, "insufficient_role");
    let one = format!("{TOKENS}/{}", made["id"]);
    eve.post_empty(&format!("{one}/rotate")).expect_error(403, "insufficient_role");
    eve.put(&one, json!({"scopes": ["read", "config"]})).expect_error(403, "insufficient_role");
    admin.get("/api/v1/auth/session").expect(200);
    key.get("/api/v1/auth/session").expect(200);
    eve.delete(&one).expect(204);
    key.get("/api/v1/auth/session").expect_error(401, "invalid_token");
    admin.put(&format!("{USERS}/admin"), json!({"new_password": OTHER})).expect(200);
}

fn text(answer: Answer) -> String {
    String::from_utf8(answer.body).unwrap()
}

/// Each of the words that somebody may not see, wherever it stands in the answers.
fn demand_hidden(client: &Client, paths: &[&str]) {
    for path in paths {
        let shown = text(client.get(path));
        for word in ["GUESSME", "me:hunter"] {
            assert!(!shown.contains(word), "{path}: {shown}");
        }
    }
}

#[test]
fn who_may_not_see_commands_finds_them_in_no_log_and_no_change() {
    let mut daemon = RealDaemon::configured();
    std::fs::write(
        daemon.path("action.d/sec.conf"),
        "[Definition]\nactionban = echo me:hunter <word>; false\nactionunban = true\n[Init]\nword = none\n",
    )
    .unwrap();
    daemon.start_again();
    let log = daemon.path("f.log");
    let launch = Launch::for_real(&daemon).env("BANGUI_ALLOWED_LOG_DIRS", daemon.config().to_str().unwrap());
    let (server, admin) = launch.start().into_ready();
    let lab = "/api/v1/config/jails/lab";
    admin.put(lab, json!({"actions": ["sec[word=\"GUESSME\"]"]})).expect(200);
    admin.post_empty(&format!("{lab}/commit")).expect(200);
    admin.post("/api/v1/bans", json!({"jail": "lab", "ip": "203.0.113.9"})).expect(201);
    let hook = json!({"name": "n", "kind": "webhook", "preset": "ntfy", "url": "https://ntfy.sh/GUESSME"});
    admin.post("/api/v1/notifications", hook).expect(201);
    let list = "/api/v1/config/changes";
    let change = format!("{list}/{}", admin.get(list).expect(200).json()["items"][0]["id"]);
    let fail2ban_log = "/api/v1/config/fail2ban-log";
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !text(admin.get(fail2ban_log)).contains("me:hunter GUESSME") {
        assert!(std::time::Instant::now() < deadline, "{}", std::fs::read_to_string(&log).unwrap_or_default());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let shown = text(admin.get(&change));
    assert!(shown.contains("GUESSME"), "{shown}");
    let paths = [change.as_str(), fail2ban_log, "/api/v1/notifications", "/api/v1/config/service-status", list];
    for role in ["viewer", "operator"] {
        add_user(&admin, role, role);
        let user = login(&server, role, OTHER);
        demand_hidden(&user, &paths);
        assert!(text(user.get(fail2ban_log)).contains(" Ban 203.0.113.9"));
        user.get(&change).expect(200);
    }
    let (_, reads) = token(&server, &admin, json!({"name": "reads", "scopes": ["read"]}));
    demand_hidden(&reads, &paths);
    daemon.kill();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while admin.get("/api/v1/config/service-status").expect(200).json()["online"] == true {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    demand_hidden(&reads, &["/api/v1/config/service-status"]);
}

#[test]
fn who_may_ban_only_does_not_let_everybody_in() {
    let daemon = RealDaemon::configured();
    let (server, admin) = Launch::for_real(&daemon).start().into_ready();
    let all = json!({"entry": "0.0.0.0/0", "force": true});
    add_user(&admin, "eve", "operator");
    let eve = login(&server, "eve", OTHER);
    let refused = eve.post("/api/v1/never-ban", all.clone()).expect_error(403, "insufficient_role").json();
    assert_eq!(refused["metadata"]["required_role"], "admin");
    let (_, key) = token(&server, &admin, json!({"name": "bans", "scopes": ["bans"]}));
    key.post("/api/v1/never-ban", all.clone()).expect_error(403, "insufficient_scope");
    let made = eve.post("/api/v1/never-ban", json!({"entry": "203.0.113.0/28"})).expect(201).json();
    let own = format!("/api/v1/never-ban/{}", made["id"]);
    eve.put(&own, json!({"entry": "0.0.0.0/0", "force": true})).expect_error(403, "insufficient_role");
    admin.post("/api/v1/never-ban", json!({"entry": "0.0.0.0/0"})).expect_error(409, "conflict");
    admin.post("/api/v1/never-ban", all).expect(201);
}

#[test]
fn a_stolen_session_makes_no_key_and_no_user_without_the_password() {
    let mut shim = Shim::new();
    let (server, admin) = shim.launch(Launch::without_daemon()).start().into_ready();
    let wanted = |password: Option<&str>| {
        let mut body = json!({"name": "key", "scopes": ["read"]});
        if let Some(password) = password {
            body["password"] = json!(password);
        }
        body
    };
    shim.set_clock_off(601);
    admin.post(TOKENS, wanted(None)).expect_error(403, "reauthentication_required");
    let user = json!({"name": "eve", "role": "admin", "new_password": OTHER});
    admin.post(USERS, user).expect_error(403, "reauthentication_required");
    admin.delete(&format!("{TOKENS}/1")).expect_error(404, "token_not_found");
    admin.post(TOKENS, wanted(Some("wrong"))).expect_error(401, "authentication_required");
    let made = admin.post(TOKENS, wanted(Some(PASSWORD))).expect(201).json();
    admin.delete(&format!("{TOKENS}/{}", made["id"])).expect_error(403, "reauthentication_required");
    for _ in 0..4 {
        admin.post(TOKENS, wanted(Some("wrong"))).expect_error(401, "authentication_required");
    }
    let refused = admin.post(TOKENS, wanted(Some(PASSWORD))).expect_error(429, "rate_limit_exceeded").json();
    assert_eq!(refused["metadata"]["limit"], "login");
    drop(server);
}

#[test]
fn of_many_who_use_a_key_at_the_moment_it_is_rotated_none_gets_in_afterwards() {
    let (server, admin) = Launch::without_daemon().start().into_ready();
    let (made, key) = token(&server, &admin, json!({"name": "a", "scopes": ["read"]}));
    thread::scope(|scope| {
        let users: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let statuses = (0..30).map(|_| key.get("/api/v1/history/archive").status);
                    statuses.collect::<Vec<_>>()
                })
            })
            .collect();
        admin.post_empty(&format!("{TOKENS}/{}/rotate", made["id"])).expect(200);
        for statuses in users.into_iter().map(|user| user.join().unwrap()) {
            let first = statuses.iter().position(|status| *status == 401).unwrap_or(statuses.len());
            assert!(statuses[first..].iter().all(|status| *status == 401), "{statuses:?}");
        }
    });
    key.get("/api/v1/history/archive").expect_error(401, "invalid_token");
}

#[test]
fn the_table_of_the_documentation_is_the_programs_own() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/access.md");
    let text = std::fs::read_to_string(file).unwrap();
    let (before, rest) = text.split_once("<!-- routes -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    let mut table = "| route | role | scope of a token | a token for some jails |\n|---|---|---|---|\n".to_owned();
    for route in ROUTES.iter().filter(|route| is_guarded(route)) {
        let scope = if route.for_people { "none will do" } else { route.scope.as_str() };
        let jails = match route.for_jails() {
            _ if route.for_people => "",
            OfJails::All => "refused",
            OfJails::Named => "if it is one of them",
            OfJails::Seen => "sees its own",
            OfJails::None => "as any other",
        };
        let name = format!("{} {}", route.method.as_str(), route.path.trim_start_matches("/api/v1"));
        table.push_str(&format!("| `{name}` | {} | {scope} | {jails} |\n", route.role.as_str()));
    }
    let right = format!("{before}<!-- routes -->\n{table}<!-- end -->{after}");
    if std::env::var_os("BANGUI_REWRITE").is_some() {
        std::fs::write(file, &right).unwrap();
    }
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text == right, "docs/access.md is out of date: BANGUI_REWRITE=1 cargo test --test it access::the_table");
}
