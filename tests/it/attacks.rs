//! Attacks on names, addresses, paths, sessions and limits. Each test is one idea of an attacker, and says what must not happen.

use serde_json::json;

use crate::harness::client::{Client, Identity, PASSWORD};
use crate::harness::fake_daemon::FakeDaemon;
use crate::harness::http::Wire;
use crate::harness::server::{Launch, Server};
use crate::operations::PROTECTED;

const LOGIN: &str = "/api/v1/auth/login";
const SESSION: &str = "/api/v1/auth/session";

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The daemon reads commands by position, so that a name that is one of its own words changes the command.
#[test]
fn hostile_jail_names_never_reach_the_daemon() {
    let daemon = FakeDaemon::start();
    let (_server, admin) = Server::ready_fake(&daemon);
    daemon.take_commands();
    let long = "a".repeat(300);
    let names = [
        "../x",
        "..",
        ".",
        "a/b",
        "a\0b",
        "a\nb",
        "a\r\nb",
        "-h",
        "--all",
        "all",
        "all-jails",
        &long,
        "ѕshd",
        "sshd]\n[evil",
        "sshd ",
        " sshd",
        "sshd;id",
        "$(id)",
        "loglevel",
        "logtarget",
        "dbfile",
        "dbpurgeage",
        "unban",
        "syslogsocket",
        "thread",
        "allowipv6",
        "%s",
        "a'b",
        "a\"b",
        "<F2B_END_COMMAND>",
        "\u{202e}dhss",
    ];
    for name in names {
        let path = encode(name);
        for (method, target, body) in [
            ("GET", format!("/api/v1/jails/{path}"), None),
            ("GET", format!("/api/v1/jails/{path}/banned"), None),
            ("GET", format!("/api/v1/jails/{path}/ignoreip"), None),
            (
                "POST",
                format!("/api/v1/jails/{path}/ignoreip"),
                Some(json!({"ip": "192.0.2.1"})),
            ),
            (
                "POST",
                format!("/api/v1/jails/{path}/idle"),
                Some(json!(true)),
            ),
            (
                "POST",
                format!("/api/v1/jails/{path}/ignoreself"),
                Some(json!(true)),
            ),
            ("POST", format!("/api/v1/jails/{path}/start"), None),
            ("POST", format!("/api/v1/jails/{path}/stop"), None),
            ("POST", format!("/api/v1/jails/{path}/reload"), None),
            (
                "POST",
                "/api/v1/bans".into(),
                Some(json!({"ip": "192.0.2.1", "jail": name})),
            ),
            (
                "DELETE",
                "/api/v1/bans".into(),
                Some(json!({"ip": "192.0.2.1", "jail": name})),
            ),
            (
                "DELETE",
                "/api/v1/bans".into(),
                Some(json!({"unban_all": true, "jail": name})),
            ),
            ("GET", format!("/api/v1/bans/active?jail={path}"), None),
        ] {
            let body = body.map(|body| body.to_string());
            let answer = admin.send(method, &target, body.as_deref().map(str::as_bytes));
            assert!(
                [400, 404, 422].contains(&answer.status),
                "{method} {target} {name:?}: {answer}"
            );
        }
    }
    let commands = daemon.take_commands();
    let harmless = |words: &&Vec<String>| {
        let line = words.join(" ");
        ["version", "ping", "status", "stats"].contains(&words[0].as_str())
            && !words.iter().any(|word| names.contains(&word.as_str()))
            || line.starts_with("get dbfile")
    };
    let bad: Vec<_> = commands.iter().filter(|words| !harmless(words)).collect();
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn hostile_addresses_are_never_banned() {
    let daemon = FakeDaemon::start();
    let (_server, admin) = Server::ready_fake(&daemon);
    for ip in [
        "",
        " ",
        "1.2.3.4;id",
        "1.2.3.4\n5.6.7.8",
        "1.2.3.4 5.6.7.8",
        "1.2.3.4,5.6.7.8",
        "0x7f.1",
        "0x7f000001",
        "127.1",
        "2130706433",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "01.2.3.4",
        "1.2.3.04",
        " 1.2.3.4",
        "1.2.3.4 ",
        "1.2.3.4/33",
        "1.2.3.4/-1",
        "1.2.3.4/",
        "1.2.3.4/24/24",
        "1.2.3.4/024",
        "1.2.3.4/255.255.255.0",
        "::1%eth0",
        "fe80::1%1",
        "::/129",
        ":::",
        "1::2::3",
        "host.example",
        "localhost",
        "--all",
        "-1.2.3.4",
        "١.٢.٣.٤",
        "1.2.3.4\0",
        "[::2]",
        "1.2.3.4:80",
        "<ip>",
        "$(id)",
    ] {
        admin
            .post("/api/v1/bans", json!({"ip": ip, "jail": "lab"}))
            .expect_error(400, "invalid_input");
        admin
            .post("/api/v1/jails/lab/ignoreip", json!({"ip": ip}))
            .expect_error(400, "invalid_input");
    }
    for ip in [json!(1), json!(null), json!(["1.2.3.4"]), json!({"a": 1})] {
        admin
            .post("/api/v1/bans", json!({"ip": ip, "jail": "lab"}))
            .expect_error(422, "invalid_input");
    }
    for ip in [
        "1.2.3.4/0",
        "::/0",
        "::ffff:127.0.0.1",
        "127.0.0.2",
        "0.0.0.0",
    ] {
        let answer = admin.post("/api/v1/bans", json!({"ip": ip, "jail": "lab"}));
        assert!([400, 409].contains(&answer.status), "{ip}: {answer}");
    }
    let huge = "1.2.3.4,".repeat(1_250_000);
    admin
        .post("/api/v1/bans", json!({"ip": huge, "jail": "lab"}))
        .expect_error(413, "payload_too_large");
    let sent: Vec<_> = daemon
        .take_commands()
        .into_iter()
        .filter(|words| words[0] == "set")
        .collect();
    assert!(sent.is_empty(), "{sent:?}");
}

#[test]
fn no_spelling_of_a_path_goes_round_the_session() {
    let daemon = FakeDaemon::start();
    let (server, admin) = Server::ready_fake(&daemon);
    let nobody = server.client();
    for target in [
        "//api/v1/jails",
        "/api/v1//jails",
        "/api/v1/../v1/jails",
        "/api/v1/./jails",
        "/api/v1/jails/",
        "/api/v1/jails.",
        "/api/v1/jails;x=y",
        "/api/v1%2fjails",
        "/api/v1/%6aails",
        "/API/v1/jails",
        "/api/v1/Jails",
        "/api/v1/jails%00",
        "/api/v1/setup/../jails",
        "/api/v1/setup/..%2fjails",
        "/api/v1/jails%20",
        "/api/v1/jails#x",
        "/api/v1/health/../jails",
        "/static/../api/v1/jails",
        "\\api\\v1\\jails",
    ] {
        let status = nobody.get(target).status;
        assert!([400, 401, 404].contains(&status), "{target}: {status}");
        // One spelling per route, or what a proxy checks is not what we serve. (%6a is the letter j, and may be decoded.)
        let status = admin.get(target).status;
        assert!(
            [400, 404].contains(&status) || target.contains("%6a"),
            "{target}: {status}"
        );
    }
    for override_header in [
        "X-HTTP-Method-Override",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Forwarded-Prefix",
    ] {
        nobody
            .with_header(override_header, "/api/v1/setup")
            .get("/api/v1/jails")
            .expect(401);
    }
}

#[test]
fn an_absolute_target_is_held_to_its_own_host() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    let ask = |target: &str| {
        let mut wire = Wire::connect(server.address());
        wire.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        wire.answer("GET", "/api/v1/setup").status
    };
    assert!([200, 400].contains(&ask("http://localhost/api/v1/setup")));
    assert!([400, 421].contains(&ask("http://evil.example/api/v1/setup")));
    assert!([400, 404].contains(&ask("*")));
    assert!([400, 404].contains(&ask("evil.example:443")));
}

/// A foreign page can make a browser send the cookie, but not a header of its own.
#[test]
fn a_foreign_page_can_change_nothing() {
    let daemon = FakeDaemon::start();
    let (_server, admin) = Server::ready_fake(&daemon);
    daemon.take_commands();
    let victim = admin.with_identity(Identity::CookieOnly(admin.token().into()));
    for origin in [
        "https://evil.example",
        "null",
        "http://sub.localhost",
        "http://localhost",
    ] {
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json",
        ] {
            let page = victim
                .with_header("Origin", origin)
                .with_header("Content-Type", kind);
            for operation in PROTECTED.iter().filter(|operation| operation.writes()) {
                let answer = operation
                    .send(&page)
                    .expect_error(403, "csrf_header_required");
                assert_eq!(answer.header("access-control-allow-origin"), None);
            }
        }
        let read = victim.with_header("Origin", origin).get("/api/v1/jails");
        assert_eq!(read.header("access-control-allow-origin"), None);
    }
    victim
        .with_header("X-BanGUI-Request", "0")
        .post_empty("/api/v1/server/flush-logs")
        .expect(403);
    let wrote = daemon
        .take_commands()
        .into_iter()
        .any(|words| ["set", "unban", "stop", "flushlogs", "reload"].contains(&words[0].as_str()));
    assert!(!wrote);
}

#[test]
fn only_configured_origins_are_let_in() {
    let daemon = FakeDaemon::start();
    let (_server, admin) = Launch::for_fake(&daemon)
        .env("BANGUI_CORS_ALLOWED_ORIGINS", "https://ui.example")
        .start()
        .into_ready();
    let origin = |origin: &str| {
        admin
            .with_header("Origin", origin)
            .get("/api/v1/jails")
            .expect(200)
            .header("access-control-allow-origin")
            .map(str::to_string)
    };
    assert_eq!(
        origin("https://ui.example").as_deref(),
        Some("https://ui.example")
    );
    for other in [
        "https://evil.example",
        "null",
        "https://ui.example.evil.example",
        "http://ui.example",
    ] {
        assert_eq!(origin(other), None, "{other}");
    }
}

/// A name of the attacker's that resolves to us would make his page our own origin.
#[test]
fn rebound_host_names_are_refused() {
    let (server, _) = Launch::without_daemon()
        .env("BANGUI_ALLOWED_HOSTS", "fw.example")
        .start()
        .into_ready();
    let host = |host: &str| {
        server
            .client()
            .with_header("Host", host)
            .get("/api/v1/setup")
    };
    for good in [
        "localhost",
        "localhost:8000",
        "LOCALHOST",
        "127.0.0.1",
        "127.0.0.1:8000",
        "[::1]:8000",
        "192.168.1.1",
        "fw.example",
        "fw.example:443",
    ] {
        host(good).expect(200);
    }
    for bad in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "fw.example.evil.example",
        "xfw.example",
    ] {
        host(bad).expect_error(421, "unknown_host");
    }
    for broken in [
        "",
        "a b",
        "localhost@evil.example",
        "localhost/evil",
        "[::1",
    ] {
        let status = host(broken).status;
        assert!([400, 421].contains(&status), "{broken:?}: {status}");
    }
}

#[test]
fn sessions_cannot_be_fixed_guessed_or_read_from_the_disk() {
    let (server, admin) = Launch::without_daemon().start().into_ready();
    let token = admin.token().to_string();
    assert!(token.len() >= 22, "128 bits at least");
    // A token in the address would end up in logs and histories.
    server
        .client()
        .get(&format!("{SESSION}?token={token}&bangui_session={token}"))
        .expect(401);
    // A cookie planted before the login does not become the session.
    let planted = server
        .client()
        .with_identity(Identity::Cookie("planted".into()));
    let fresh = planted
        .post(LOGIN, json!({"password": PASSWORD}))
        .expect(200);
    assert_ne!(fresh.session_cookie().unwrap(), "planted");
    planted.get(SESSION).expect(401);
    for wrong in [
        "",
        &token[1..],
        &format!("{token}x"),
        &token.to_uppercase(),
        "' OR 1=1 --",
    ] {
        if wrong != token {
            let identity = Identity::Bearer(wrong.to_string());
            server
                .client()
                .with_identity(identity)
                .get(SESSION)
                .expect(401);
        }
    }
    for entry in std::fs::read_dir(server.database().parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        for secret in [&token, PASSWORD] {
            let found = bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "a secret is in {}", path.display());
        }
        use std::os::unix::fs::PermissionsExt;
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
    let log = server.log();
    assert!(!log.contains(&token) && !log.contains(PASSWORD), "{log}");
    let arguments = std::fs::read_to_string(format!("/proc/{}/cmdline", server.pid())).unwrap();
    assert!(!arguments.contains(&token));
}

fn fail(client: &Client) -> u16 {
    client.post(LOGIN, json!({"password": "wrong"})).status
}

#[test]
fn login_failures_are_counted_whatever_the_client_claims_and_over_a_restart() {
    let (mut server, _) = Launch::without_daemon().start().into_ready();
    for number in 0..5 {
        let liar = server
            .client()
            .with_header("X-Forwarded-For", &format!("198.51.100.{number}"))
            .with_header("Forwarded", &format!("for=198.51.100.{number}"))
            .with_header("X-Real-IP", &format!("198.51.100.{number}"));
        assert_eq!(fail(&liar), 401);
    }
    assert_eq!(fail(&server.client()), 429);
    server.kill();
    server.start_again();
    let refused = server.client().post(LOGIN, json!({"password": PASSWORD}));
    let first = retry_after(&refused.expect(429));
    assert!((1..=900).contains(&first), "{first}");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let again = retry_after(
        &server
            .client()
            .post(LOGIN, json!({"password": PASSWORD}))
            .expect(429),
    );
    assert!(
        again < first,
        "{first} -> {again}: asking again does not prolong the wait"
    );
}

fn retry_after(answer: &crate::harness::http::Answer) -> u64 {
    answer.header("retry-after").unwrap().parse().unwrap()
}

#[test]
fn one_ipv6_network_is_one_client_and_another_is_another() {
    let (server, _) = proxied().into_ready();
    for number in 1..=5 {
        assert_eq!(
            fail(&from(&server, &format!("2001:db8:0:1::{number}"))),
            401
        );
    }
    assert_eq!(fail(&from(&server, "2001:db8:0:1:ffff::9")), 429);
    assert_eq!(fail(&from(&server, "2001:db8:0:2::1")), 401);
}

/// Strangers at many addresses spend the global budget, but not the administrator's.
#[test]
fn strangers_cannot_lock_the_administrator_out() {
    let (server, _) = proxied().into_ready();
    let admin = from(&server, "192.0.2.10");
    let right = json!({"password": PASSWORD});
    admin.post(LOGIN, right.clone()).expect(200);
    let mut refused_after = None;
    for number in 0..400 {
        let stranger = from(
            &server,
            &format!("198.51.{}.{}", number / 250, number % 250),
        );
        if fail(&stranger) == 429 {
            refused_after = Some(number);
            break;
        }
    }
    assert!(
        refused_after.is_some(),
        "400 addresses guessed without a limit"
    );
    admin.post(LOGIN, right).expect(200);
}

fn proxied() -> Server {
    Launch::without_daemon()
        .args(&["--trusted-proxies", "127.0.0.1"])
        .start()
}

fn from(server: &Server, address: &str) -> Client {
    server.client().with_header("X-Forwarded-For", address)
}

#[test]
fn general_limits_hold_for_each_client() {
    let daemon = FakeDaemon::start();
    let (server, admin) = Launch::for_fake(&daemon)
        .args(&["--trusted-proxies", "127.0.0.1"])
        .env("BANGUI_RATE_LIMIT_ANONYMOUS", "30")
        .env("BANGUI_RATE_LIMIT_SESSION", "60")
        .start()
        .into_ready();
    let limited =
        |client: &Client, most: usize| (0..most).any(|_| client.get("/api/v1/setup").status == 429);
    assert!(limited(&from(&server, "198.51.100.1"), 40));
    assert!(
        !limited(&from(&server, "198.51.100.2"), 20),
        "others are not affected"
    );
    let admin = admin.with_header("X-Forwarded-For", "198.51.100.3");
    assert!(!(0..50).any(|_| admin.get(SESSION).status == 429));
    assert!((0..30).any(|_| admin.get(SESSION).status == 429));
}

#[test]
fn hostile_json_is_refused_and_survived() {
    let daemon = FakeDaemon::start();
    let (server, admin) = Server::ready_fake(&daemon);
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_objects = format!("{}1{}", "{\"a\":".repeat(8_000), "}".repeat(8_000));
    for body in [
        deep.as_str(),
        &deep_objects,
        "",
        "nul",
        "{\"ip\": \"192.0.2.1\"",
        "{'ip': 1}",
        "\u{feff}{}",
        "{\"ip\":\"\\ud800\",\"jail\":\"lab\"}",
        "1e999999",
        "{\"ip\":\"192.0.2.1\",\"ip\":\"192.0.2.2\",\"jail\":\"lab\"}",
        "{\"ip\":\"192.0.2.1\",\"jail\":\"lab\"} x",
    ] {
        let answer = admin.send("POST", "/api/v1/bans", Some(body.as_bytes()));
        assert!(
            [400, 422].contains(&answer.status),
            "{:.60}: {answer}",
            body
        );
    }
    let answer = admin.send(
        "POST",
        "/api/v1/bans",
        Some(b"{\"ip\":\"\xff\xfe\",\"jail\":\"lab\"}"),
    );
    assert_eq!(answer.status, 400);
    // A body somebody has compressed is not one of ours.
    let answer = admin.with_header("Content-Encoding", "gzip").send(
        "POST",
        "/api/v1/bans",
        Some(&[0x1f, 0x8b, 8, 0]),
    );
    assert_eq!(answer.status, 400);
    let commands = daemon.take_commands();
    assert!(
        !commands.iter().any(|words| words.contains(&"banip".into())),
        "{commands:?}"
    );
    assert_eq!(server.threads(), 1);
}

#[test]
fn ten_logins_at_once_take_one_hash_worth_of_memory() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    let before_kib = server.rss_kib();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..10)
            .map(|_| {
                let client = server.client();
                scope.spawn(move || client.post(LOGIN, json!({"password": PASSWORD})).status)
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(statuses.contains(&200), "{statuses:?}");
    assert!(
        statuses.iter().all(|status| [200, 503].contains(status)),
        "{statuses:?}"
    );
    let after_kib = server.rss_kib();
    assert!(
        after_kib < before_kib + 4096,
        "{before_kib} -> {after_kib} KiB"
    );
}

#[test]
fn nothing_a_client_sends_makes_a_line_of_log() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    let client = server.client();
    client.get("/api/v1/%0aFAKE%20LINE").expect(404);
    client
        .with_header("X-Request-ID", "a\x1b[31mred")
        .send("GET", "/api/v1/setup", None);
    client
        .with_header("User-Agent", "FAKE\tLINE")
        .get("/api/v1/setup")
        .expect(200);
    let log = server.log();
    assert!(!log.lines().any(|line| line.starts_with("FAKE")), "{log}");
    assert!(!log.contains('\x1b'), "{log}");
}

/// Features other managers have and this one has not: there is nothing to attack.
#[test]
fn what_does_not_exist_is_404() {
    let daemon = FakeDaemon::start();
    let (_server, admin) = Server::ready_fake(&daemon);
    for path in [
        "backup",
        "restore",
        "totp",
        "mail",
        "webhooks",
        "export.csv",
        "file",
        "users",
        "ws",
        "metrics/../x",
    ] {
        admin
            .get(&format!("/api/v1/{path}"))
            .expect_error(404, "not_found");
    }
}
