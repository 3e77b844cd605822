//! Who is told what happens: channels and their secrets, storms, receivers that are slow, wrong, redirecting or gone, and what outlives a kill.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::contract::demand_seen;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::receiver::{Manner, Receiver};
use crate::harness::server::{Launch, Server};
use crate::harness::wait_until;
use crate::operations::{demand_documented, provoke_general_refusals};

const CHANNELS: &str = "/api/v1/notifications";
const TEST: &str = "/api/v1/notifications/test";
const LOG: &str = "/api/v1/notifications/log";
const SOON: Duration = Duration::from_secs(20);
/// What no answer, no log and no error may hold.
const SECRET: &str = "s3cr3t-Key-0123456789abcdef";
const TOKEN: &str = "t0ken-Abc-0123456789abcdef";

/// A channel to this receiver.
fn hook(receiver: &Receiver, events: &[&str]) -> Value {
    json!({"name": "Hook", "kind": "webhook", "url": receiver.url("/hook"), "allow_private": true, "events": events,
        "secret": SECRET})
}

fn add(admin: &Client, body: Value) -> Value {
    admin.post(CHANNELS, body).expect(201).json()
}

fn log(admin: &Client) -> Vec<Value> {
    admin.get(LOG).expect(200).json()["items"].as_array().unwrap().clone()
}

/// The kind of failure of a test of this channel.
fn failure(admin: &Client, body: Value) -> Value {
    let tested = admin.post(TEST, body).expect(200);
    assert!(!String::from_utf8_lossy(&tested.body).contains("secret"), "nothing of the answer is shown");
    let tested = tested.json();
    assert_eq!(tested["sent"], tested["failure"].is_null());
    tested["failure"].clone()
}

#[test]
fn a_channel_is_made_changed_tried_and_removed_and_its_secrets_stay_inside() {
    let receiver = Receiver::start();
    let daemon = RealDaemon::configured();
    let (mut server, admin) = Launch::for_real(&daemon).start().into_ready();
    let url = format!("{}?key={TOKEN}", receiver.url("/hook"));
    let mut body = hook(&receiver, &["login"]);
    body["url"] = json!(url);
    let made = add(&admin, body.clone());
    assert_eq!((&made["has_secret"], &made["preset"]), (&json!(true), &json!("json")));
    assert_eq!(made["url"], url.replace(TOKEN, "***"));
    let own = format!("{CHANNELS}/{}", made["id"]);
    let shown = admin.get(CHANNELS).expect(200).json()["items"][0].clone();
    assert_eq!(admin.put(&own, shown.clone()).expect(200).json(), shown, "what was read changes nothing");
    assert_eq!(admin.post_empty(&format!("{own}/test")).expect(200).json(), json!({"sent": true, "failure": null}));
    let came = receiver.received().remove(0);
    assert_eq!((came.path.as_str(), &came.json()["event"]), (format!("/hook?key={TOKEN}").as_str(), &json!("test")));
    assert!(came.header("x-bangui-signature").unwrap().starts_with("sha256="), "{came:?}");
    assert!(admin.get("/api/v1/meta").json()["limits"]["channels"] == json!({"limit": 25, "used": 1}));
    // Another receiver does not learn the secret of this one.
    let other = admin.put(&own, json!({"url": receiver.url("/other")})).expect(200);
    assert!(other.header("x-bangui-warning").unwrap().contains("secret was forgotten"));
    assert_eq!(other.json()["has_secret"], false);
    admin.post_empty(&format!("{own}/test")).expect(200);
    assert_eq!(receiver.received()[1].header("x-bangui-signature"), None);
    admin.put(&own, json!({"secret": SECRET, "name": "Again", "enabled": false})).expect(200);
    for (body, field) in [
        (json!({}), "body"),
        (json!({"url": "http://127.0.0.1:1/***"}), "url"),
        (json!({"url": "gopher://example.org/"}), "url"),
        (json!({"url": format!("http://user:{TOKEN}@127.0.0.1/")}), "url"),
        (json!({"allow_private": false}), "url"),
        (json!({"preset": "pager"}), "preset"),
        (json!({"preset": "telegram"}), "chat_id"),
        (json!({"chat_id": "a b"}), "chat_id"),
        (json!({"events": []}), "events"),
        (json!({"events": ["lunch"]}), "events"),
        (json!({"jails": ["a/b\n"]}), "jails"),
        (json!({"countries": ["Germany"]}), "countries"),
        (json!({"secret": "a\r\nX-Evil: 1"}), "secret"),
        (json!({"token": ""}), "token"),
        (json!({"name": ""}), "name"),
        (json!({"kind": "pigeon"}), "kind"),
        (json!({"colour": "red"}), "colour"),
    ] {
        let refused = admin.put(&own, body.clone());
        assert!(!String::from_utf8_lossy(&refused.body).contains(TOKEN), "{body}");
        let errors = refused.expect_error(422, "invalid_input").json()["metadata"]["errors"].clone();
        assert!(errors.to_string().contains(&format!("\"source_field\":\"{field}\"")), "{body}: {errors}");
    }
    for number in 2..=25 {
        body["name"] = json!(format!("n{number}"));
        add(&admin, body.clone());
    }
    let full = admin.post(CHANNELS, body.clone()).expect_error(403, "limit_reached").json();
    assert_eq!(full["detail"], "Channel limit reached (25/25). Delete one that is not used.");
    admin.delete(&own).expect(204);
    admin.delete(&own).expect_error(404, "channel_not_found");
    admin.put(&own, json!({"name": "x"})).expect_error(404, "channel_not_found");
    admin.post_empty(&format!("{own}/test")).expect_error(404, "channel_not_found");
    for bad in ["0", "x", "99999999999999999999"] {
        admin.delete(&format!("{CHANNELS}/{bad}")).expect_error(400, "invalid_input");
        admin.put(&format!("{CHANNELS}/{bad}"), json!({"name": "x"})).expect_error(400, "invalid_input");
        admin.post_empty(&format!("{CHANNELS}/{bad}/test")).expect_error(400, "invalid_input");
    }
    admin.post(CHANNELS, json!({"name": "x", "kind": "webhook"})).expect_error(422, "invalid_input");
    admin.post(TEST, json!({"name": "x", "kind": "webhook"})).expect_error(422, "invalid_input");
    admin.post(TEST, json!({"name": "x", "kind": "email"})).expect_error(422, "invalid_input");
    server.kill();
    server.start_again();
    let admin = server.client().login();
    let all = admin.get(CHANNELS).expect(200);
    let text = String::from_utf8_lossy(&all.body).into_owned();
    assert_eq!(all.json()["items"].as_array().unwrap().len(), 24);
    assert!(!text.contains(SECRET) && !text.contains(TOKEN), "{text}");
    assert!(!server.log().contains(SECRET) && !server.log().contains(TOKEN));
    for list in [CHANNELS, LOG] {
        admin.get(&format!("{list}?sort=colour")).expect_error(400, "invalid_input");
        admin.get(&format!("{list}?colour=red")).expect_error(400, "invalid_input");
    }
    // Each of the 24 was told of the login after the start.
    let all = log(&admin);
    assert_eq!((all.len(), all.iter().all(|one| one["event"] == "login")), (24, true), "{all:?}");
    provoke_general_refusals(CHANNELS);
    demand_documented(CHANNELS);
}

#[test]
fn a_test_tells_the_kind_of_failure_and_nothing_that_the_receiver_says() {
    let receiver = Receiver::start();
    let daemon = RealDaemon::configured();
    let (server, admin) = Launch::for_real(&daemon).start().into_ready();
    let at = |url: &str| json!({"name": "x", "kind": "webhook", "url": url, "allow_private": true, "token": TOKEN});
    let own = receiver.url(&format!("/hook?key={TOKEN}"));
    assert_eq!(failure(&admin, at(&own)), Value::Null);
    for status in [403, 404, 429, 500] {
        receiver.answers_status(status);
        let failed = failure(&admin, at(&own));
        assert_eq!((&failed["kind"], &failed["status"]), (&json!("status"), &json!(status)), "{failed}");
    }
    let before = receiver.received().len();
    receiver.answers(Manner::Says(format!("HTTP/1.1 302 X\r\nLocation: {own}\r\nContent-Length: 0\r\n\r\n")));
    assert_eq!(failure(&admin, at(&own))["kind"], "redirect");
    assert_eq!(receiver.received().len(), before + 1, "it is not followed");
    receiver.answers(Manner::Says("no HTTP\r\n\r\n".to_owned()));
    assert_eq!(failure(&admin, at(&own))["kind"], "unreachable");
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(failure(&admin, at(&format!("http://{gone}/?key={TOKEN}")))["kind"], "refused");
    assert_eq!(failure(&admin, at("http://no-such-host.invalid/"))["kind"], "unresolved");
    assert_eq!(failure(&admin, at(&own.replace("http:", "https:")))["kind"], "unreachable");
    // Only what was looked up tells that this name leads home.
    let public = json!({"name": "x", "kind": "webhook", "url": "http://localhost/", "token": TOKEN});
    assert_eq!(failure(&admin, public)["kind"], "not_public");
    assert!(!server.log().contains(TOKEN));
    demand_seen("POST /api/v1/notifications/test", &[200]);
}

#[test]
fn a_storm_of_bans_is_one_message_and_bans_of_before_are_none() {
    let receiver = Receiver::start();
    let mut daemon = RealDaemon::configured();
    std::fs::write(daemon.path("jail.local"), "[lab]\naction =\nbantime = 1h\n[slow]\naction =\n").unwrap();
    daemon.start_again();
    daemon.client(&["set", "slow", "banip", "198.51.100.9"]);
    let (_server, admin) = Server::ready(&daemon);
    add(&admin, hook(&receiver, &["ban"]));
    add(
        &admin,
        json!({"name": "Other", "kind": "webhook", "url": receiver.url("/other"), "allow_private": true,
        "events": ["ban"], "jails": ["slow"]}),
    );
    // A ban that is made here is told once, whoever confirms it.
    admin.post("/api/v1/bans", json!({"ip": "203.0.113.7", "jail": "lab"})).expect(201);
    wait_until("the ban is told", SOON, || !receiver.received().is_empty());
    let first = receiver.received().remove(0);
    assert_eq!((first.path.as_str(), &first.json()["count"]), ("/hook", &json!(1)));
    assert_eq!(first.json()["bans"][0]["ip"], "203.0.113.7");
    let addresses: Vec<String> = (0..5000).map(|n| format!("10.{}.{}.{}", n / 2500, n % 2500 / 250, n % 250)).collect();
    let words = ["set", "lab", "banip"].into_iter().chain(addresses.iter().map(String::as_str));
    let words: Vec<&str> = words.collect();
    daemon.client(&words);
    let start = Instant::now();
    let told = || receiver.events("ban").iter().map(|json| json["count"].as_u64().unwrap()).sum::<u64>() - 1;
    wait_until("the storm is told", SOON, || told() == 5000);
    println!("5000 bans were told {:.1} s after the last", start.elapsed().as_secs_f64());
    let storm = receiver.events("ban");
    assert_eq!(storm.len(), 2, "one message: {storm:#?}");
    assert_eq!(storm[1]["jails"], json!({"lab": 5000}));
    assert_eq!(storm[1]["bans"].as_array().unwrap().len(), 10);
    // A daemon that restores its bans tells of none that is new.
    daemon.stop();
    daemon.start_again();
    daemon.client(&["set", "slow", "banip", "198.51.100.77"]);
    wait_until("a ban after the start is told", SOON, || receiver.received().iter().any(|one| one.path == "/other"));
    wait_until("the same", SOON, || receiver.events("ban").len() == 4);
    let last = receiver.events("ban").pop().unwrap();
    assert_eq!((&last["count"], &last["bans"][0]["ip"]), (&json!(1), &json!("198.51.100.77")), "{last}");
}

#[test]
fn a_receiver_that_was_away_gets_it_once_when_it_is_back_after_a_kill_too() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut daemon = RealDaemon::start();
    let (mut server, admin) = Server::ready(&daemon);
    let url = format!("http://{address}/hook?key={TOKEN}");
    let body = json!({"name": "Hook", "kind": "webhook", "url": url, "allow_private": true, "secret": SECRET,
        "events": ["login", "config_changed", "daemon_down", "daemon_up", "login_blocked"]});
    let own = format!("{CHANNELS}/{}", add(&admin, body)["id"]);
    server.client().login();
    wait_until("it was tried", SOON, || log(&admin).first().is_some_and(|one| !one["failure"].is_null()));
    let waiting = log(&admin).remove(0);
    assert_eq!((&waiting["state"], &waiting["event"]), (&json!("waiting"), &json!("login")), "{waiting}");
    assert_eq!(waiting["failure"]["kind"], "refused");
    // What happens meanwhile is one message of its kind.
    let admin_again = server.client().login();
    server.client().login();
    assert_eq!(admin_again.get(LOG).json()["pagination"]["total"], 2);
    admin_again.put("/api/v1/config/default", json!({"max_retry": 8})).expect(200);
    daemon.stop();
    wait_until("that fail2ban is away is noted", Duration::from_secs(40), || {
        log(&admin_again).iter().any(|one| one["event"] == "daemon_down")
    });
    server.kill();
    server.start_again();
    let admin = server.client().login();
    let receiver = Receiver::on(TcpListener::bind(address).unwrap());
    // A change of the channel has what waits for it tried at once.
    admin.put(&own, json!({"name": "Back"})).expect(200);
    let start = Instant::now();
    while receiver.received().len() < 4 {
        assert!(start.elapsed() < SOON, "{:#?} of {:#?}", receiver.received(), log(&admin));
        std::thread::sleep(Duration::from_millis(50));
    }
    daemon.start_again();
    wait_until("fail2ban is back", SOON, || !receiver.events("daemon_up").is_empty());
    wait_until("all is done", SOON, || log(&admin).iter().all(|one| one["state"] == "sent"));
    let logins: u64 = receiver.events("login").iter().map(|json| json["count"].as_u64().unwrap()).sum();
    assert_eq!(logins, 4, "each login is told once");
    assert_eq!(receiver.events("config_changed").len(), 1);
    assert_eq!((receiver.events("daemon_down").len(), receiver.events("daemon_up").len()), (1, 1));
    let mut deliveries: Vec<String> =
        receiver.received().iter().map(|one| one.header("x-bangui-delivery").unwrap().to_owned()).collect();
    let all = deliveries.len();
    deliveries.sort();
    deliveries.dedup();
    assert_eq!(deliveries.len(), all, "nothing came twice");
    for _ in 0..5 {
        server.client().post("/api/v1/auth/login", json!({"password": "wrong"}));
    }
    wait_until("a blocked client is told", SOON, || receiver.events("login_blocked").len() == 1);
    let log = String::from_utf8_lossy(&admin.get(LOG).body).into_owned();
    for text in [server.log(), log] {
        assert!(!text.contains(TOKEN) && !text.contains(SECRET), "{text}");
    }
}

#[test]
fn a_receiver_that_never_answers_keeps_nobody_waiting() {
    let (silent, quick) = (Receiver::start(), Receiver::start());
    silent.answers(Manner::Silent);
    let daemon = RealDaemon::configured();
    let (server, admin) = Launch::for_real(&daemon).start().into_ready();
    add(&admin, hook(&silent, &["login"]));
    add(&admin, hook(&quick, &["login"]));
    let start = Instant::now();
    let _ = server.client().login();
    wait_until("the quick one is told", SOON, || !quick.received().is_empty());
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let asked = Instant::now();
    admin.get("/api/v1/health");
    assert!(asked.elapsed() < Duration::from_secs(2), "the loop goes on");
    wait_until("the silent one was asked", SOON, || !silent.received().is_empty());
}
