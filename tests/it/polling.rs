//! What a page needs that asks again and again: tags of states and 304, gzip, and a write that shows in the next look.

use serde_json::{Value, json};

use crate::harness::client::{Client, Identity};
use crate::harness::http::Answer;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::wait_until;

/// What a page polls.
const POLLED: &[&str] = &[
    "/api/v1/meta",
    "/api/v1/dashboard/summary",
    "/api/v1/dashboard/status",
    "/api/v1/dashboard/bans",
    "/api/v1/dashboard/bans/by-jail?source=archive",
    "/api/v1/bans/active",
    "/api/v1/bans/failing",
    "/api/v1/bans.txt",
    "/api/v1/bans/active?page_size=50&sort=-ip",
    "/api/v1/jails",
    "/api/v1/jails/lab",
    "/api/v1/jails/lab/banned",
    "/api/v1/history",
    "/api/v1/history?source=archive",
    "/api/v1/history/archive",
    "/api/v1/history/repeaters",
    "/api/v1/blocklists",
    "/api/v1/blocklists/log",
    "/api/v1/config/jails",
    // Not filters: which of them could not be judged in time is another answer on a slow machine.
    "/api/v1/config/actions",
    "/api/v1/config/changes",
    "/api/v1/server/settings",
];

fn tag_of(answer: &Answer) -> String {
    let tag = answer.header("etag").unwrap_or_else(|| panic!("no tag: {answer}")).to_owned();
    assert!(tag.starts_with("W/\"") && tag.ends_with('"'), "{tag}");
    tag
}

#[track_caller]
fn again(client: &Client, target: &str, tag: &str) -> Answer {
    client.with_header("If-None-Match", tag).get(target)
}

fn left(answer: &Answer) -> u32 {
    answer.header("x-ratelimit-remaining").unwrap().parse().unwrap()
}

/// A server on a daemon with some bans, once its archive has them and it has found its files.
fn settled(daemon: &RealDaemon) -> (Server, Client) {
    let (server, admin) = Launch::for_real(daemon)
        .env("BANGUI_ARCHIVE_SECONDS", "1")
        .env("BANGUI_RATE_LIMIT_SESSION", "5000")
        .start()
        .into_ready();
    let addresses: Vec<String> = (1..60).map(|number| format!("203.0.113.{number}")).collect();
    let mut words = vec!["set", "lab", "banip"];
    words.extend(addresses.iter().map(String::as_str));
    daemon.client(&words);
    crate::history::wait_for_archive(&admin, 59);
    (server, admin)
}

#[test]
fn what_has_not_changed_is_not_sent_again_and_every_write_shows_at_once() {
    let daemon = RealDaemon::start();
    let (server, admin) = settled(&daemon);
    let other = server.client().login();
    for target in POLLED {
        // A child may still look at the files, or the daemon lengthen a ban: what was seen twice stands still.
        let mut first = admin.get(target).expect(200);
        wait_until(target, std::time::Duration::from_secs(20), || {
            let before = std::mem::replace(&mut first, admin.get(target).expect(200));
            before.header("etag") == first.header("etag")
        });
        let tag = tag_of(&first);
        let same = again(&admin, target, &format!("\"x\", {tag}")).expect(304);
        assert!(
            same.body.is_empty() && same.header("content-type").is_none() && same.header("content-length").is_none()
        );
        assert_eq!(tag_of(&same), tag, "{target}");
        assert_eq!(left(&same), left(&first) - 1, "{target}: it counts like any other");
        let head = admin.with_header("If-None-Match", &tag).head(target).expect(304);
        assert_eq!(tag_of(&head), tag);
        again(&admin, target, "W/\"0\"").expect(200);
        assert_ne!(tag_of(&other.get(target).expect(200)), tag, "{target}: somebody else's is another");
        if *target != "/api/v1/meta" {
            again(&admin.with_identity(Identity::Nobody), target, &tag).expect_error(401, "authentication_required");
        }
        again(&admin, &format!("{target}{}x=1", if target.contains('?') { '&' } else { '?' }), &tag).expect(400);
    }
    assert_eq!(admin.get("/api/v1/auth/session").expect(200).header("cache-control"), Some("no-store"));

    // Each write shows in the next look at every list, count and summary.
    let shown = [
        "/api/v1/bans/active",
        "/api/v1/bans/active?page_size=10",
        "/api/v1/jails/lab/banned",
        "/api/v1/jails",
        "/api/v1/dashboard/summary",
        "/api/v1/dashboard/status",
        "/api/v1/history",
    ];
    let look = || shown.map(|target| tag_of(&admin.get(target).expect(200)));
    let count = |answer: &Value| answer["total"].as_u64().or(answer["status"]["total_bans"].as_u64()).unwrap();
    let tags = look();
    admin.post("/api/v1/bans", json!({"ip": "198.51.100.7", "jail": "lab"})).expect(201);
    for (target, tag) in shown.iter().zip(&tags) {
        let now = again(&admin, target, tag).expect(200);
        match *target {
            "/api/v1/jails" | "/api/v1/history" => assert!(now.body.len() > 2, "{target}"),
            "/api/v1/dashboard/status" => assert_eq!(now.json()["status"]["total_bans"], 60),
            _ => assert_eq!(count(&now.json()), 60, "{target}"),
        }
    }
    let tags = look();
    admin.delete_with("/api/v1/bans", json!({"ip": "198.51.100.7", "jail": "lab"})).expect(200);
    for (target, tag) in shown.iter().zip(&tags) {
        again(&admin, target, tag).expect(200);
    }
    for (target, write) in [
        ("/api/v1/blocklists", ("POST", "/api/v1/blocklists", json!({"name": "a", "url": "https://example.org/a"}))),
        ("/api/v1/config/jails", ("PUT", "/api/v1/config/jails/lab", json!({"max_retry": 9}))),
        ("/api/v1/jails", ("POST", "/api/v1/jails/lab/idle", json!(true))),
        (
            "/api/v1/config/filters",
            ("POST", "/api/v1/config/filters", json!({"name": "a", "failregex": ["^a <HOST>$"]})),
        ),
        ("/api/v1/config/changes", ("DELETE", "/api/v1/config/filters/a", Value::Null)),
    ] {
        let tag = tag_of(&admin.get(target).expect(200));
        let (method, path, body) = write;
        let answer =
            admin.send(method, path, (!body.is_null()).then(|| body.to_string()).as_deref().map(str::as_bytes));
        assert!((200..300).contains(&answer.status), "{answer}");
        again(&admin, target, &tag).expect(200);
    }
}

#[test]
fn an_answer_is_packed_for_whoever_takes_it_so_and_says_the_same() {
    let daemon = RealDaemon::start();
    let (_server, admin) = settled(&daemon);
    let packing = admin.with_header("Accept-Encoding", "br;q=1, gzip;q=0.8");
    let without_time = |answer: &Answer| {
        let mut json = answer.json();
        json.as_object_mut().map(|map| map.remove("as_of"));
        json
    };
    for target in [
        "/api/v1/bans/active?page_size=50",
        "/api/v1/history?page_size=50",
        "/api/v1/history/archive?page_size=50",
        "/api/v1/dashboard/summary",
        "/api/v1/dashboard/bans/by-country?source=fail2ban",
        // By a child, as it comes.
        "/api/v1/dashboard/bans/by-country?source=fail2ban&country_code=SE",
    ] {
        let (plain, packed) = (admin.get(target).expect(200), packing.get(target).expect(200));
        assert_eq!(
            (plain.header("content-encoding"), packed.header("content-encoding")),
            (None, Some("gzip")),
            "{target}"
        );
        assert_eq!(without_time(&plain), without_time(&packed));
        assert_eq!(plain.header("etag"), packed.header("etag"), "the state is the same however it is packed");
        assert_eq!(packed.header("vary"), Some("Cookie, Authorization, Accept-Encoding, Origin"));
        if let Some(length) = packed.header("content-length") {
            assert!(length.parse::<usize>().unwrap() * 2 < plain.body.len(), "{target}");
            let head = packing.head(target).expect(200);
            // When it was looked at may be packed into another length.
            let same = ["content-encoding", "etag", "vary", "content-type"];
            assert_eq!(same.map(|name| head.header(name)), same.map(|name| packed.header(name)), "{target}");
            assert!(head.header("content-length").is_some() && head.body.is_empty());
        }
        for refused in ["gzip;q=0", "identity", "identity, gzip;q=0.5", "br"] {
            let plain = admin.with_header("Accept-Encoding", refused).get(target).expect(200);
            assert_eq!(plain.header("content-encoding"), None, "{target} {refused}");
        }
    }
    // Nothing that carries a secret, and nothing that is too short to be worth it.
    let login = packing
        .with_identity(Identity::Nobody)
        .post("/api/v1/auth/login", json!({"password": crate::harness::client::PASSWORD, "return_token": true}));
    assert_eq!(login.expect(200).header("content-encoding"), None);
    assert_eq!(packing.get("/api/v1/auth/session").expect(200).header("content-encoding"), None);
    assert_eq!(packing.get("/api/v1/dashboard/status").expect(200).header("content-encoding"), None);
}

#[test]
fn a_ban_shows_in_the_next_look_while_others_look_too() {
    let daemon = RealDaemon::start();
    let (server, admin) = Server::ready(&daemon);
    let other = server.client().login();
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                other.get("/api/v1/bans/active").expect(200);
            }
        });
        let missed: Vec<u64> = (1..=40u64)
            .filter(|number| {
                admin.post("/api/v1/bans", json!({"ip": format!("203.0.113.{number}"), "jail": "lab"})).expect(201);
                admin.get("/api/v1/bans/active").expect(200).json()["total"] != *number
            })
            .collect();
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(missed.is_empty(), "{missed:?}");
    });
}
