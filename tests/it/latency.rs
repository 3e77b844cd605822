//! No request keeps others waiting: every route of the table with its largest legal body, beside which `/health` is polled all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bangui::app::request::Route;
use bangui::routes::ROUTES;
use serde_json::{Value, json};

use crate::harness::http::{Address, Wire};
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server, is_release};

/// How long `/health` may take beside any other request. The limit is the release build's: the aim is 50 ms, the slowest, `POST
/// bans/bulk` with 10 000, took from 54 to 140, and what else the machine does adds to it. A debug build is some ten times slower.
fn bound() -> Duration {
    Duration::from_millis(if is_release() { 150 } else { 500 })
}

/// How often a route that seems slow is tried: the rest of the machine may be what was slow.
const TRIES: usize = 5;
/// The most expressions that fit the longest value of a file.
const EXPRESSIONS: usize = 900;

/// Different expressions that together are nearly as long as a value may be.
fn expressions(word: &str) -> Vec<String> {
    let part =
        |number: usize| format!("^(?:{word} {number:03} [a-z]{{1,20}} )?(?:from|by) \\w+ {} <HOST>$", "x".repeat(200));
    (0..EXPRESSIONS).map(part).collect()
}

/// Asks for the health of the server, one time after the other on one connection, until told to stop; gives the longest wait.
fn poll(address: &Address, stop: &AtomicBool) -> Duration {
    let mut wire = Wire::connect(address);
    let mut longest = Duration::ZERO;
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        wire.send("GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n");
        wire.try_answer("GET").unwrap();
        longest = longest.max(start.elapsed());
        std::thread::sleep(Duration::from_millis(2));
    }
    longest
}

/// The path and the body with which a route has the most to do. A route that is not named here gets blanks, which are legal JSON.
fn largest(route: &Route, directory: &str) -> (String, Option<Value>) {
    let method = route.method.as_str();
    let path = route.path.replace("{ip}", "203.0.113.7").replace("{source_id}", "1").replace("{id}", "1");
    let definition = if route.path.contains("/actions") { "noop" } else { "lab" };
    let name = if route.path.contains("filters") || route.path.contains("actions") { definition } else { "lab" };
    let mut path = path.replace("{name}", name);
    if (method, route.path) == ("DELETE", "/api/v1/audit") {
        path += "?before=20200101";
    }
    let address = json!({"ip": "203.0.113.7", "jail": "lab"});
    let values = json!({"fail_regex": expressions("put"), "ignore_regex": expressions("ignored"), "max_retry": 7,
        "log_paths": [format!("{directory}/lab.log"), format!("{directory}/slow*.log")]});
    let vars: serde_json::Map<String, Value> = (0..200).map(|n| (format!("v{n}"), json!("x".repeat(2000)))).collect();
    let lines: Vec<String> = (0..1000).map(|n| format!("{n} {}", "y".repeat(900))).collect();
    let body = match (method, route.path) {
        ("GET", _) => None,
        (_, path) if path.ends_with("/auth/login") => Some(json!({"password": "w".repeat(256)})),
        (_, path) if path.ends_with("/setup") => Some(json!({"master_password": "Correct1!horse"})),
        (_, "/api/v1/bans" | "/api/v1/bans/check") => Some(address),
        (_, path) if path.starts_with("/api/v1/bans/bulk") => {
            let ips: Vec<String> = (0..10_000).map(|n| format!("2001:db8:aaaa:bbbb:cccc:dddd:eeee:{n:x}")).collect();
            let mut body = json!({"ips": ips, "jail": "lab"});
            if !path.ends_with("/remove") {
                body["duration"] = json!(60);
                body["note"] = json!("ü".repeat(500));
            }
            Some(body)
        }
        (_, path) if path.ends_with("/idle") || path.ends_with("/ignoreself") => Some(json!(false)),
        (_, path) if path.ends_with("/ignoreip") => Some(json!({"ip": "198.51.100.0/24"})),
        ("POST", path) if path.ends_with("/pause") => Some(json!({"for": "2h"})),
        ("POST", "/api/v1/never-ban") => Some(json!({"entry": "198.51.100.0/24", "note": "n".repeat(500)})),
        ("POST", "/api/v1/addresses/{ip}/release") => {
            Some(json!({"never_again": true, "note": "n".repeat(500), "jails": ["lab", "sshd", "slow"]}))
        }
        ("PUT", "/api/v1/never-ban/{id}") => Some(json!({"note": "n".repeat(500)})),
        ("POST", "/api/v1/notifications" | "/api/v1/notifications/test") => Some(
            json!({"name": "n".repeat(100), "kind": "webhook", "url": "http://127.0.0.1:9/", "allow_private": true,
                "secret": "s".repeat(500)}),
        ),
        ("PUT", "/api/v1/notifications/{id}") => Some(json!({"name": "n"})),
        ("PUT", path) if path.ends_with("/rest") => Some(json!({"note": "n".repeat(500)})),
        ("POST", "/api/v1/blocklists") => Some(json!({"name": "list", "url": "https://9.9.9.9/list.txt"})),
        ("POST", "/api/v1/blocklists/preview") => Some(json!({"url": "https://9.9.9.9/list.txt"})),
        ("PUT", "/api/v1/blocklists/{source_id}") => Some(json!({"enabled": false})),
        ("PUT", "/api/v1/blocklists/schedule") => Some(json!({"frequency": "daily"})),
        (_, path) if path.ends_with("/auth/challenge") => Some(json!({"challenge": "c".repeat(64), "code": "1"})),
        (_, path) if path.ends_with("/totp/enrol") => Some(json!({"password": "w".repeat(256)})),
        (_, path) if path.contains("/auth/totp/") => {
            let mut body = json!({"code": "1".repeat(64)});
            if !path.ends_with("/confirm") {
                body["password"] = json!("w".repeat(256));
            }
            Some(body)
        }
        ("PUT", "/api/v1/auth/password") => {
            Some(json!({"current_password": "w".repeat(256), "new_password": "n".repeat(256)}))
        }
        ("POST", "/api/v1/users") => {
            Some(json!({"name": "u".repeat(64), "role": "viewer", "new_password": "n".repeat(256)}))
        }
        ("PUT", "/api/v1/users/{name}") => Some(json!({"role": "viewer"})),
        ("POST", "/api/v1/notifications/{id}/test") => None,
        ("POST" | "PUT", path) if path.starts_with("/api/v1/tokens") && !path.ends_with("/rotate") => {
            let networks: Vec<String> = (0..50).map(|n| format!("2001:db8:{n:x}::/48")).collect();
            let jails: Vec<String> = (0..50).map(|n| format!("{n}{}", "j".repeat(60))).collect();
            Some(json!({"name": "t".repeat(64), "scopes": ["read"], "jails": jails, "allowed_ips": networks}))
        }
        ("PUT", "/api/v1/settings") => {
            Some(json!({"metrics_networks": (0..2000).map(|n| format!("2001:db8:{n:x}::/48")).collect::<Vec<_>>()}))
        }
        ("PUT", path) if path.ends_with("/settings") || path.ends_with("/global") => Some(json!({"log_level": "INFO"})),
        (_, path) if path.ends_with("/map-color-thresholds") => {
            Some(json!({"threshold_high": 3, "threshold_medium": 2, "threshold_low": 1}))
        }
        (_, path) if path.ends_with("/regex-test") => Some(
            json!({"log_line": "z".repeat(60_000), "fail_regex": format!("^(?:z+ )?{} <HOST>$", "z".repeat(16_000))}),
        ),
        (_, path) if path.ends_with("/preview-log") => {
            Some(json!({"log_path": format!("{directory}/lab.log"), "fail_regex": "^x <HOST>$", "num_lines": 2000}))
        }
        (_, path) if path.ends_with("/test") => Some(json!({"lines": lines})),
        ("POST", "/api/v1/config/filters") => Some(json!({"name": "made", "failregex": expressions("filter")})),
        ("PUT", path) if path.contains("/filters/") => Some(json!({"failregex": expressions("changed")})),
        ("POST", "/api/v1/config/actions") => Some(json!({"name": "made", "actionban": "true", "init_vars": vars})),
        ("PUT", path) if path.contains("/actions/") => Some(json!({"definition_vars": vars})),
        ("POST", "/api/v1/config/jails") => {
            let mut made = values;
            made["name"] = json!("made");
            Some(made)
        }
        ("PUT", "/api/v1/config/jails/{name}") => Some(values),
        ("PUT", "/api/v1/config/default") => Some(json!({"max_retry": 8, "ignore_ips": ["198.51.100.0/24"]})),
        _ => None,
    };
    (path, body)
}

/// Sends one request while others ask for the health; gives its status and how long the slowest of the others waited.
fn beside(server: &Server, token: &str, route: &Route, directory: &str) -> (u16, Duration) {
    let stop = Arc::new(AtomicBool::new(false));
    let pollers: Vec<_> = (0..2)
        .map(|_| {
            let (address, stop) = (server.address().clone(), Arc::clone(&stop));
            std::thread::spawn(move || poll(&address, &stop))
        })
        .collect();
    let (path, body) = largest(route, directory);
    let mut body = body.map(|body| body.to_string()).unwrap_or_default();
    if !body.is_empty() {
        body.push_str(&" ".repeat(route.body_limit.saturating_sub(body.len())));
    }
    let mut wire = Wire::connect(server.address());
    wire.set_patience(Duration::from_secs(120));
    let method = route.method.as_str();
    wire.send(format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let status = wire.try_answer(method).unwrap().status;
    stop.store(true, Ordering::Relaxed);
    let waits = pollers.into_iter().map(|poller| poller.join().unwrap());
    (status, waits.max().unwrap_or_default())
}

/// The files of a package, and one filter and one jail as large as they may be.
fn large_daemon() -> RealDaemon {
    let daemon = RealDaemon::configured();
    let stock = crate::harness::release::Release::under_test().stock();
    for folder in ["filter.d", "action.d"] {
        for entry in std::fs::read_dir(stock.join(folder)).unwrap().flatten().filter(|entry| entry.path().is_file()) {
            std::fs::copy(entry.path(), daemon.path(folder).join(entry.file_name())).unwrap();
        }
    }
    let jails: String = (0..100)
        .map(|n| {
            format!("[off{n}]\nenabled = false\nfilter = sshd\nlogpath = {}\n\n", daemon.path("lab.log").display())
        })
        .collect();
    std::fs::write(daemon.path("jail.d/many.conf"), jails).unwrap();
    daemon
}

#[test]
fn no_request_keeps_others_waiting() {
    let mut daemon = large_daemon();
    daemon.start_again();
    let directory = daemon.config().display().to_string();
    let launch = Launch::for_real(&daemon).env("BANGUI_ALLOWED_LOG_DIRS", &directory);
    let (server, admin) = launch.start().into_ready();
    admin.put("/api/v1/config/jails/slow", json!({"fail_regex": expressions("slow")})).expect(200);
    admin.post_empty("/api/v1/config/jails/slow/commit").expect(200);
    // Something stays pending, so that every load has it to set again.
    admin.put("/api/v1/config/jails/slow", json!({"ignore_regex": expressions("pending")})).expect(200);
    let addresses: Vec<String> = (1..250).map(|n| format!("203.0.113.{n}")).collect();
    let mut words = vec!["set", "sshd", "banip"];
    words.extend(addresses.iter().map(String::as_str));
    daemon.client(&words);
    // 10 000 bans would take minutes with an action, and be nobody's wait: they are noted, found to be ignored, and forgotten.
    daemon.client(&["set", "lab", "addignoreip", "2001:db8:aaaa::/48"]);
    let mut slow = Vec::new();
    let mut refused = Vec::new();
    // What stops something comes last: the others need it.
    let is_end = |route: &&Route| {
        ["/stop", "/restart", "/logout", "/start"].iter().any(|end| route.path.ends_with(end))
            || route.method.as_str() == "DELETE"
    };
    for route in ROUTES.iter().filter(|route| !is_end(route)).chain(ROUTES.iter().filter(is_end)) {
        let ends_session = route.path.ends_with("/logout");
        let (mut best, mut seen) = (Duration::MAX, 0);
        for _ in 0..TRIES {
            let token =
                if ends_session { server.client().login().token().to_owned() } else { admin.token().to_owned() };
            let (status, wait) = beside(&server, &token, route, &directory);
            best = best.min(wait);
            seen = if seen == 0 { status } else { seen };
            if best < bound() {
                break;
            }
        }
        let name = format!("{} {}", route.method.as_str(), route.path);
        println!("{seen} {best:>12.1?} {name}");
        if best >= bound() {
            slow.push(format!("{name}: {best:?}"));
        }
        // A login with a wrong password, a second setup and a list that is no more are answers, too; a body that is not taken is none.
        if [400, 411, 413, 422, 429, 500, 503].contains(&seen) {
            refused.push(format!("{name}: {seen}"));
        }
    }
    assert!(slow.is_empty(), "others waited longer than {:?}:\n{}", bound(), slow.join("\n"));
    assert!(refused.is_empty(), "these bodies were not taken:\n{}", refused.join("\n"));
}
