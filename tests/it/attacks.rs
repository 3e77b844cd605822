//! Attacks through what a request says: names, addresses, paths, JSON. Each test is one idea of an attacker, and says what must not happen.

use std::time::Duration;

use serde_json::json;

use crate::harness::client::PASSWORD;
use crate::harness::fake_daemon::FakeDaemon;
use crate::harness::http::Wire;
use crate::harness::server::{Launch, Server};
use crate::harness::wait_until;

const LOGIN: &str = "/api/v1/auth/login";

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// What ends a command of the daemon's: a file may have a section of that name, but nothing can be said to it about one.
const END_OF_COMMAND: &str = "<F2B_END_COMMAND>";

/// Texts that no section of a file can be, or that the daemon takes for its own.
const NO_NAMES: &[&str] = &["a\0b", "a\nb", "a\r\nb", "--all", "sshd]\n[evil"];

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
        END_OF_COMMAND,
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
            let looks_into_files = target.ends_with("/start") || target.ends_with("/reload");
            let wanted = match target.ends_with("/stop") {
                _ if NO_NAMES.contains(&name) => 400,
                _ if name == END_OF_COMMAND && !looks_into_files => 400,
                true => 200,
                false => 404,
            };
            assert_eq!(answer.status, wanted, "{method} {target} {name:?}: {answer}");
        }
    }
    let commands = daemon.take_commands();
    // A name may be one that the daemon runs. It stands where a jail's name does, and never where it is a word or an option of the daemon's.
    let of_its_own = ["loglevel", "logtarget", "dbfile", "dbpurgeage", "syslogsocket", "thread"];
    let harmless = |words: &&Vec<String>| {
        let texts: Vec<&str> = words.iter().map(String::as_str).collect();
        let is_in_place = match texts[..] {
            ["version" | "ping" | "status" | "stats" | "banned"] | ["get", "dbfile" | "logtarget"] => true,
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
    for ip in ["1.2.3.4/0", "::/0"] {
        admin.post("/api/v1/bans", json!({"ip": ip, "jail": "lab"})).expect_error(400, "invalid_input");
    }
    for ip in ["::ffff:127.0.0.1", "127.0.0.2"] {
        admin.post("/api/v1/bans", json!({"ip": ip, "jail": "lab"})).expect_error(409, "conflict");
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
        // One spelling per route, or what a proxy checks is not what we serve. A backslash begins no path.
        let wanted = if target.starts_with('/') { 404 } else { 400 };
        for client in [&nobody, &admin] {
            client.get(target).expect(wanted);
        }
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
    assert_eq!(ask("http://localhost/api/v1/setup"), 200);
    assert_eq!(ask("http://evil.example/api/v1/setup"), 400, "the two names differ");
    assert_eq!(ask("*"), 404);
    assert_eq!(ask("evil.example:443"), 400);
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
        // What is JSON, and no object, is of the wrong shape.
        let wanted = if body == deep { 422 } else { 400 };
        assert_eq!((answer.status, answer.code().as_str()), (wanted, "invalid_input"), "{body:.60}");
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
    // The controls of one character that begin sequences of a terminal and lines, as the two bytes they are in UTF-8: legal in a target.
    let mut wire = Wire::connect(server.address());
    wire.send("GET /\u{9b}31m\u{85}FAKE HTTP/1.1\r\nHost: localhost\r\n\r\n".as_bytes());
    wire.answer("GET", "/nowhere").expect(404);
    wait_until("the line of the last request", Duration::from_secs(5), || server.log().contains("/??31m??FAKE 404 "));
    assert_clean(&server.log());
}

/// Nor does what the daemon says: it repeats what others have sent it.
#[test]
fn nothing_the_daemon_says_makes_a_line_of_log() {
    let daemon = FakeDaemon::start_version("1.0.2\nFAKE LINE\r\x1b[2J\u{9b}31m\u{85}FAKE");
    let server = Launch::for_fake(&daemon).start();
    wait_until("the daemon's version", Duration::from_secs(5), || server.log().contains("FAKE LINE"));
    assert_clean(&server.log());
}

/// Every line is one of the program's own, and holds nothing that a terminal obeys.
#[track_caller]
fn assert_clean(log: &str) {
    assert!(!log.lines().any(|line| line.starts_with("FAKE")), "{log}");
    assert!(!log.chars().any(|character| character.is_control() && character != '\n'), "{log:?}");
}

/// Features other managers have and this one has not: there is nothing to attack.
#[test]
fn what_does_not_exist_is_404() {
    let daemon = FakeDaemon::start();
    let (_server, admin) = Server::ready_fake(&daemon);
    for path in ["backup", "restore", "totp", "mail", "webhooks", "export.csv", "file", "ws", "metrics/../x"] {
        admin.get(&format!("/api/v1/{path}")).expect_error(404, "not_found");
    }
}
