//! What a page has to know before it shows anything.

use serde_json::json;

use crate::harness::client::Client;
use crate::harness::contract::demand_seen;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};

const META: &str = "/api/v1/meta";

#[test]
fn a_stranger_learns_what_a_login_page_needs_and_no_more() {
    let server = Launch::without_daemon().start();
    let nobody = server.client();
    let before = nobody.get(META).expect(200).json();
    assert_eq!((&before["setup_complete"], &before["authenticated"]), (&json!(false), &json!(false)));
    nobody.setup();
    let after = nobody.get(META).expect(200).json();
    assert_eq!(after["setup_complete"], true);
    assert_eq!(after["client"], json!({"address": "127.0.0.1", "is_proxy": false}));
    let fields: Vec<&String> = after.as_object().unwrap().keys().collect();
    let public = ["authenticated", "base_path", "client", "setup_complete", "time", "timezone", "users"];
    assert_eq!(fields, public);
    let now = after["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
    assert!((now - jiff::Timestamp::now().as_second()).abs() <= 2);
    demand_seen("GET /api/v1/meta", &[200]);
}

#[test]
fn the_owner_learns_what_may_be_done_and_how_much_room_there_is() {
    let launch = Launch::without_daemon().env("BANGUI_ALLOW_ACTION_EDIT", "1").env("BANGUI_BASE_PATH", "/guard");
    let server = launch.start();
    let nobody = server.client();
    nobody.post("/guard/api/v1/setup", json!({"master_password": crate::harness::client::PASSWORD})).expect(201);
    let login = json!({"password": crate::harness::client::PASSWORD, "return_token": true});
    let token = nobody.post("/guard/api/v1/auth/login", login).expect(200).json()["token"].as_str().unwrap().to_owned();
    let admin = nobody.with_identity(crate::harness::client::Identity::Bearer(token));
    let meta = admin.get("/guard/api/v1/meta").expect(200).json();
    assert_eq!(meta["base_path"], "/guard");
    assert_eq!(meta["version"], env!("CARGO_PKG_VERSION"));
    let scopes = ["read", "bans", "jails", "config", "actions", "metrics"];
    assert_eq!(meta["user"], json!({"name": "admin", "role": "admin", "scopes": scopes}));
    assert_eq!((&meta["read_only"], &meta["action_edit_allowed"]), (&json!(false), &json!(true)));
    assert_eq!(meta["limits"]["sessions"], json!({"limit": 100, "used": 1}));
    assert_eq!(meta["limits"]["sources"], json!({"limit": 100, "used": 0}));
    assert_eq!(meta["client"]["banned"], json!(null), "fail2ban is not there to be asked");
}

/// A client behind a trusted proxy.
fn from(server: &Server, admin: &Client, address: &str) -> serde_json::Value {
    let client = server.client().with_identity(admin.identity.clone()).with_header("X-Forwarded-For", address);
    client.get(META).expect(200).json()["client"].clone()
}

#[test]
fn whoever_is_banned_learns_where() {
    let daemon = RealDaemon::start();
    let launch = Launch::for_real(&daemon).args(&["--trusted-proxies", "127.0.0.1"]);
    let (server, admin) = launch.start().into_ready();
    admin.post("/api/v1/bans", json!({"ip": "198.51.100.7", "jail": "lab"})).expect(201);
    admin.get("/api/v1/jails").expect(200);
    let banned = from(&server, &admin, "198.51.100.7");
    let expected = json!({"address": "198.51.100.7", "is_proxy": false, "banned": ["lab"], "is_never_banned": false});
    assert_eq!(banned, expected);
    assert_eq!(from(&server, &admin, "::ffff:198.51.100.7")["banned"], json!(["lab"]), "by the way of IPv6, too");
    assert_eq!(from(&server, &admin, "198.51.100.8")["banned"], json!([]));
    let proxy = server.client().with_identity(admin.identity.clone()).get(META).expect(200).json();
    assert_eq!(proxy["client"]["is_proxy"], true, "{proxy}");
    assert_eq!(from(&server, &admin, "not an address")["address"], json!(null));
}
