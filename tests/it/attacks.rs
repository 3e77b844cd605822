//! Attacks through what a request says: names, addresses, paths, JSON. Each test is one idea of an attacker, and says what must not happen.

use serde_json::json;

use crate::harness::client::PASSWORD;
use crate::harness::fake_daemon::FakeDaemon;
use crate::harness::http::Wire;
use crate::harness::server::{Launch, Server};

const LOGIN: &str = "/api/v1/auth/login";

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The daemon reads commands by position, so that a name that is one of its own words changes the command.
#[test]
fn hostile_jail_names_are_no_words_of_the_daemons() {
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
            ("POST", format!("/api/v1/jails/{path}/ignoreip"), Some(json!({"ip": "203.0.113.1"}))),
            ("POST", format!("/api/v1/jails/{path}/idle"), Some(json!(true))),
            ("POST", format!("/api/v1/jails/{path}/ignoreself"), Some(json!(true))),
            ("POST", format!("/api/v1/jails/{path}/start"), None),
            ("POST", format!("/api/v1/jails/{path}/stop"), None),
            ("POST", format!("/api/v1/jails/{path}/reload"), None),
            ("POST", "/api/v1/bans".into(), Some(json!({"ip": "203.0.113.1", "jail": name}))),
            ("DELETE", "/api/v1/bans".into(), Some(json!({"ip": "203.0.113.1", "jail": name}))),
            ("DELETE", "/api/v1/bans".into(), Some(json!({"unban_all": true, "jail": name}))),
            ("GET", format!("/api/v1/bans/active?jail={path}"), None),
        ] {
            let body = body.map(|body| body.to_string());
            let answer = admin.send(method, &target, body.as_deref().map(str::as_bytes));
            // To stop what does not run is no failure.
            let is_stopped = target.ends_with("/stop") && answer.status == 200;
            assert!(is_stopped || [400, 404, 422].contains(&answer.status), "{method} {target} {name:?}: {answer}");
        }
    }
    let commands = daemon.take_commands();
    // A name may be one that the daemon runs. It stands where a jail's name does, and never where it is a word or an option of the daemon's.
    let of_its_own = ["loglevel", "logtarget", "dbfile", "dbpurgeage", "syslogsocket", "thread"];
    let harmless = |words: &&Vec<String>| {
        let texts: Vec<&str> = words.iter().map(String::as_str).collect();
        let is_in_place = match texts[..] {
            ["version" | "ping" | "status" | "stats" | "banned"] | ["get", "dbfile"] => true,
            ["set", name, ..] => name != "allowipv6" && !of_its_own.contains(&name),
            ["get", name, ..] => !of_its_own.contains(&name),
            ["status" | "stop", ref names @ ..] => !names.is_empty(),
            _ => false,
        };
        let is_alone = !texts.iter().skip(2).any(|word| names.contains(word));
        is_in_place && is_alone && !texts.iter().any(|word| *word == "--all" || word.contains(char::is_control))
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
        admin.post("/api/v1/bans", json!({"ip": ip, "jail": "lab"})).expect_error(400, "invalid_input");
        admin.post("/api/v1/jails/lab/ignoreip", json!({"ip": ip})).expect_error(400, "invalid_input");
    }
    for ip in [json!(1), json!(null), json!(["1.2.3.4"]), json!({"a": 1})] {
        admin.post("/api/v1/bans", json!({"ip": ip, "jail": "lab"})).expect_error(422, "invalid_input");
    }
    for ip in ["1.2.3.4/0", "::/0", "::ffff:127.0.0.1", "127.0.0.2"] {
        let answer = admin.post("/api/v1/bans", json!({"ip": ip, "jail": "lab"}));
        assert!([400, 409].contains(&answer.status), "{ip}: {answer}");
    }
    let huge = "1.2.3.4,".repeat(1_250_000);
    admin.post("/api/v1/bans", json!({"ip": huge, "jail": "lab"})).expect_error(413, "payload_too_large");
    let sent: Vec<_> = daemon.take_commands().into_iter().filter(|words| words[0] == "set").collect();
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
        assert!([400, 404].contains(&status) || target.contains("%6a"), "{target}: {status}");
    }
    for override_header in ["X-HTTP-Method-Override", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix"] {
        nobody.with_header(override_header, "/api/v1/setup").get("/api/v1/jails").expect(401);
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
        "{\"ip\": \"203.0.113.1\"",
        "{'ip': 1}",
        "\u{feff}{}",
        "{\"ip\":\"\\ud800\",\"jail\":\"lab\"}",
        "1e999999",
        "{\"ip\":\"203.0.113.1\",\"ip\":\"203.0.113.2\",\"jail\":\"lab\"}",
        "{\"ip\":\"203.0.113.1\",\"jail\":\"lab\"} x",
    ] {
        let answer = admin.send("POST", "/api/v1/bans", Some(body.as_bytes()));
        assert!([400, 422].contains(&answer.status), "{:.60}: {answer}", body);
    }
    let answer = admin.send("POST", "/api/v1/bans", Some(b"{\"ip\":\"\xff\xfe\",\"jail\":\"lab\"}"));
    assert_eq!(answer.status, 400);
    // A body somebody has compressed is not one of ours.
    let answer = admin.with_header("Content-Encoding", "gzip").send("POST", "/api/v1/bans", Some(&[0x1f, 0x8b, 8, 0]));
    assert_eq!(answer.status, 400);
    let commands = daemon.take_commands();
    assert!(!commands.iter().any(|words| words.contains(&"banip".into())), "{commands:?}");
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
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(statuses.contains(&200), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 429, 503].contains(status)), "{statuses:?}");
    let after_kib = server.rss_kib();
    assert!(after_kib < before_kib + 4096, "{before_kib} -> {after_kib} KiB");
}

#[test]
fn nothing_a_client_sends_makes_a_line_of_log() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    let client = server.client();
    client.get("/api/v1/%0aFAKE%20LINE").expect(404);
    client.with_header("X-Request-ID", "a\x1b[31mred").send("GET", "/api/v1/setup", None);
    client.with_header("User-Agent", "FAKE\tLINE").get("/api/v1/setup").expect(200);
    let log = server.log();
    assert!(!log.lines().any(|line| line.starts_with("FAKE")), "{log}");
    assert!(!log.contains('\x1b'), "{log}");
}

/// Features other managers have and this one has not: there is nothing to attack.
#[test]
fn what_does_not_exist_is_404() {
    let daemon = FakeDaemon::start();
    let (_server, admin) = Server::ready_fake(&daemon);
    for path in ["backup", "restore", "totp", "mail", "webhooks", "export.csv", "file", "users", "ws", "metrics/../x"] {
        admin.get(&format!("/api/v1/{path}")).expect_error(404, "not_found");
    }
}
