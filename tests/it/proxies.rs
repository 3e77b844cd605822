//! Who a client is when proxies stand in front, or pretend to: `X-Forwarded-For` and `Forwarded`, cookies, base paths; and what that is worth
//! to whoever guesses passwords.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::harness::client::{Client, Identity, PASSWORD};
use crate::harness::http::{Answer, Wire};
use crate::harness::server::{Launch, Server, program};
use crate::harness::{die_with_us, wait_until};

const LOGIN: &str = "/api/v1/auth/login";
const SESSION: &str = "/api/v1/auth/session";
const SETUP: &str = "/api/v1/setup";

fn behind_a_proxy() -> Launch {
    Launch::without_daemon().args(&["--trusted-proxies", "127.0.0.1,10.9.0.0/16"])
}

/// Sends a request whose headers need not be text.
fn raw(server: &Server, method: &str, target: &str, headers: &[&[u8]], body: &str) -> Answer {
    let mut request =
        format!("{method} {target} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", body.len())
            .into_bytes();
    for header in headers {
        request.extend_from_slice(header);
        request.extend_from_slice(b"\r\n");
    }
    if !headers.iter().any(|header| header.to_ascii_lowercase().starts_with(b"host:")) {
        request.extend_from_slice(b"Host: localhost\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(body.as_bytes());
    let mut wire = Wire::connect(server.address());
    wire.send(&request);
    wire.answer(method, target)
}

/// What the log calls the client of a request with these headers.
fn client_of(server: &Server, headers: &[&[u8]]) -> String {
    let id = format!("id{}", server.log().len());
    let mut headers = headers.to_vec();
    let name = format!("X-Request-ID: {id}");
    headers.push(name.as_bytes());
    raw(server, "GET", SETUP, &headers, "").expect(200);
    let mut found = None;
    wait_until("the line in the log", Duration::from_secs(5), || {
        let log = server.log();
        let line = log.lines().find(|line| line.contains(&format!(" {id} GET ")));
        found = line.and_then(|line| line.rsplit(' ').next()).map(str::to_owned);
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn a_forwarded_address_is_read_in_every_form_and_what_cannot_be_read_is_nobody() {
    let server = behind_a_proxy().start();
    let cases: &[(&[u8], &str)] = &[
        (b"X-Forwarded-For: 198.51.100.7", "198.51.100.7"),
        (b"X-Forwarded-For: 198.51.100.7:4711", "198.51.100.7"),
        (b"X-Forwarded-For: [2001:db8::7]", "2001:db8::7"),
        (b"X-Forwarded-For: [2001:db8::7]:4711", "2001:db8::7"),
        (b"X-Forwarded-For: \"198.51.100.7\"", "198.51.100.7"),
        (b"X-Forwarded-For: 203.0.113.1, 198.51.100.7", "198.51.100.7"),
        (b"X-Forwarded-For: 203.0.113.1, 198.51.100.7, 10.9.1.1", "198.51.100.7"),
        (b"X-Forwarded-For: 203.0.113.1\xff, 198.51.100.7", "198.51.100.7"),
        (b"X-Forwarded-For: 198.51.100.7\xff", "unknown"),
        (b"X-Forwarded-For: 198.51.100.7,", "unknown"),
        (b"X-Forwarded-For: 198.51.100.7, unknown", "unknown"),
        (b"X-Forwarded-For: unknown, 10.9.1.1", "unknown"),
        (b"X-Forwarded-For: ", "unknown"),
        (b"Forwarded: for=198.51.100.7;proto=https", "198.51.100.7"),
        (b"Forwarded: for=203.0.113.1, for=\"[2001:db8::7]:4711\"", "2001:db8::7"),
        (b"Forwarded: proto=https", "unknown"),
        (b"Forwarded: for=_hidden", "unknown"),
        (b"Forwarded: for=127.0.0.1;x=\", for=198.51.100.7", "198.51.100.7"),
        (b"Forwarded: for=127.0.0.1;x=\", for=\"[2001:db8::7]:4711\"", "2001:db8::7"),
        (b"Forwarded: for=198.51.100.7;host=\"a, for=127.0.0.1;x=\"", "unknown"),
    ];
    for (header, client) in cases {
        assert_eq!(client_of(&server, &[header]), *client, "{}", String::from_utf8_lossy(header));
    }
    // A proxy sets one of the two, and hands on what a client sends of the other.
    let (ours, lie) = (&b"X-Forwarded-For: 198.51.100.7"[..], &b"Forwarded: for=127.0.0.1"[..]);
    assert_eq!(client_of(&server, &[ours, lie]), "unknown");
    assert_eq!(client_of(&server, &[ours, b"Forwarded: for=198.51.100.7"]), "198.51.100.7");
    let two_lines: [&[u8]; 2] = [b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-For: 198.51.100.7"];
    assert_eq!(client_of(&server, &two_lines), "198.51.100.7");
}

#[test]
fn an_unreadable_client_is_not_local_and_may_not_set_up() {
    let body = json!({"master_password": PASSWORD}).to_string();
    for (launch, header) in [
        (behind_a_proxy(), &b"X-Forwarded-For: 192.168.1.2\xff"[..]),
        (behind_a_proxy(), b"X-Forwarded-For: 192.168.1.2, "),
        // A proxy on this machine that nobody told us of.
        (Launch::without_daemon(), b"X-Forwarded-For: 192.168.1.2"),
        (Launch::without_daemon(), b"Forwarded: for=127.0.0.1"),
        (Launch::without_daemon(), b"X-Real-IP: 127.0.0.1"),
        (Launch::without_daemon(), b"X-Forwarded-Proto: https"),
        (Launch::without_daemon(), b"Via: 1.1 front"),
        // A quote that the stranger leaves open, before what the proxy appends.
        (behind_a_proxy(), b"Forwarded: for=127.0.0.1;x=\", for=203.0.113.9, for=unknown"),
    ] {
        let server = launch.start();
        raw(&server, "POST", SETUP, &[header], &body).expect_error(403, "setup_local_only");
        assert_eq!(client_of(&server, &[header]), "unknown");
        // Whoever is here and says nothing is local.
        raw(&server, "POST", SETUP, &[], &body).expect(201);
    }
}

#[test]
fn a_header_of_a_stranger_and_a_proxy_that_says_nothing_are_told_once() {
    let server = Launch::without_daemon().start();
    for _ in 0..3 {
        client_of(&server, &[b"X-Forwarded-For: 198.51.100.7"]);
    }
    let log = server.log();
    assert_eq!(log.matches("is no trusted proxy").count(), 1, "{log}");
    let server = behind_a_proxy().start();
    for _ in 0..3 {
        client_of(&server, &[]);
    }
    let log = server.log();
    assert_eq!(log.matches("does not say who its clients are").count(), 1, "{log}");
}

#[test]
fn a_list_of_protocols_a_host_that_is_no_text_and_foreign_bytes_in_cookies() {
    let (server, admin) = behind_a_proxy().start().into_ready();
    let body = json!({"password": PASSWORD}).to_string();
    for (header, is_secure) in [
        (&b"X-Forwarded-Proto: https, http"[..], true),
        (b"X-Forwarded-Proto: HTTPS", true),
        (b"X-Forwarded-Proto: http, https", false),
        (b"Forwarded: for=127.0.0.1;proto=https", true),
    ] {
        let answer = raw(&server, "POST", LOGIN, &[header], &body).expect(200);
        assert_eq!(answer.header("set-cookie").unwrap().contains("; Secure"), is_secure, "{header:?}");
    }
    raw(&server, "GET", SETUP, &[b"Host: local\xffhost"], "").expect_error(421, "unknown_host");
    let token = admin.token();
    let cookies = [
        format!("Cookie: bangui_session=stale; bangui_session={token}"),
        format!("Cookie: a=b; bangui_session={token}; bangui_session=stale"),
    ];
    for cookie in cookies {
        raw(&server, "GET", SESSION, &[cookie.as_bytes()], "").expect(200);
    }
    let foreign = [&b"Cookie: theirs=\xff\xfe; bangui_session="[..], token.as_bytes()].concat();
    raw(&server, "GET", SESSION, &[&foreign], "").expect(200);
    let apart = [&b"Cookie: theirs=\xff"[..], &format!("Cookie: bangui_session={token}").into_bytes()];
    raw(&server, "GET", SESSION, &apart, "").expect(200);
}

#[test]
fn two_servers_of_one_host_keep_their_cookies_apart_by_their_base_paths() {
    let cookie_of = |base: &str| {
        let (server, _) = Launch::without_daemon().args(&["--base-path", base]).start().into_ready();
        let answer = server.client().post(LOGIN, json!({"password": PASSWORD})).expect(200);
        // The path as a proxy sends it that does not remove the base, and as one that does.
        let token = answer.session_cookie().unwrap();
        let known = server.client().with_identity(Identity::Cookie(token));
        known.get(SESSION).expect(200);
        let wire = |target: &str| {
            let mut wire = Wire::connect(server.address());
            wire.send(known.head_of("GET", target, None));
            wire.try_answer("GET").unwrap().status
        };
        assert_eq!(wire(&format!("{base}{SESSION}")), 200);
        assert_eq!(wire(&format!("{base}x{SESSION}")), 404);
        answer.header("set-cookie").unwrap().to_owned()
    };
    assert!(cookie_of("/one").contains("; Path=/one;"));
    assert!(cookie_of("/two").contains("; Path=/two;"));
}

fn fail(client: &Client) -> u16 {
    client.post(LOGIN, json!({"password": "wrong"})).status
}

fn from(server: &Server, address: &str) -> Client {
    server.client().with_header("X-Forwarded-For", address)
}

/// Strangers at many addresses spend the budget of all of them.
fn attack(server: &Server) {
    let refused =
        (0..400).any(|number| fail(&from(server, &format!("198.51.{}.{}", number / 250, number % 250))) == 429);
    assert!(refused, "400 addresses guessed without a limit");
}

fn device_cookie(answer: &Answer) -> String {
    let all = answer.headers("set-cookie");
    let device = all.iter().find_map(|value| value.strip_prefix("bangui_device="));
    device.expect("a device is remembered").split(';').next().unwrap().to_owned()
}

#[test]
fn wrong_passwords_of_strangers_keep_no_known_device_out_and_unlock_lifts_them() {
    let (mut server, _) = behind_a_proxy().start().into_ready();
    let right = json!({"password": PASSWORD});
    let home = from(&server, "203.0.113.10").post(LOGIN, right.clone()).expect(200);
    let device = device_cookie(&home);
    assert!(home.headers("set-cookie").iter().any(|value| value.starts_with("bangui_device=")
        && value.contains("HttpOnly")
        && value.contains("SameSite=Lax")
        && value.contains("Max-Age=7776000")));
    // The owner logs out, and goes to another network.
    let away = from(&server, "192.0.2.77").with_header("Cookie", &format!("bangui_device={device}"));
    let owner = from(&server, "203.0.113.10").with_identity(Identity::Cookie(home.session_cookie().unwrap()));
    owner.post_empty("/api/v1/auth/logout").expect(200);
    attack(&server);
    from(&server, "192.0.2.78").post(LOGIN, right.clone()).expect_error(429, "rate_limit_exceeded");
    assert_eq!(device_cookie(&away.post(LOGIN, right.clone()).expect(200)), device);
    // Neither is whoever sits at this machine.
    server.client().post(LOGIN, right.clone()).expect(200);
    // A device is no identity, and has a small budget of its own, also after a restart.
    away.get(SESSION).expect_error(401, "authentication_required");
    for _ in 0..5 {
        assert_eq!(fail(&away), 401);
    }
    assert_eq!(fail(&away), 429);
    server.kill();
    server.start_again();
    let away = from(&server, "192.0.2.77").with_header("Cookie", &format!("bangui_device={device}"));
    assert_eq!(fail(&away), 429);
    command(&server, "unlock", "");
    away.post(LOGIN, right.clone()).expect(200);
    from(&server, "192.0.2.78").post(LOGIN, right.clone()).expect(200);
    // A new password ends what is known of devices, and lifts all locks.
    attack(&server);
    command(&server, "set-password", "Other2!horse\n");
    let other = json!({"password": "Other2!horse"});
    from(&server, "192.0.2.78").post(LOGIN, other.clone()).expect(200);
    attack(&server);
    away.post(LOGIN, other).expect_error(429, "rate_limit_exceeded");
}

/// Another server on this host may set cookies for it, as many as a browser keeps.
#[test]
fn invented_cookies_before_the_real_ones_do_not_hide_them() {
    let (server, _) = behind_a_proxy().start().into_ready();
    let right = json!({"password": PASSWORD});
    let home = from(&server, "203.0.113.10").post(LOGIN, right.clone()).expect(200);
    let invented = |name: &str, digits: usize, count: usize| -> String {
        (0..count).map(|number| format!("{name}={number:0digits$x}; {name}=short{number}; ")).collect()
    };
    let session = format!("{}bangui_session={}", invented("bangui_session", 64, 120), home.session_cookie().unwrap());
    let known = from(&server, "192.0.2.77").with_header("Cookie", &session);
    let elapsed = known.get(SESSION).expect(200).elapsed;
    assert!(elapsed < Duration::from_millis(200), "{elapsed:?}");
    attack(&server);
    let device = format!("{}bangui_device={}", invented("bangui_device", 32, 150), device_cookie(&home));
    let away = from(&server, "192.0.2.77").with_header("Cookie", &device);
    assert_eq!(device_cookie(&away.post(LOGIN, right).expect(200)), device_cookie(&home));
}

/// Runs a command of the program on the server's database.
fn command(server: &Server, name: &str, input: &str) {
    use std::io::Write;
    let mut child = Command::new(program())
        .args([name, "--database", server.database().to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    assert!(child.wait_with_output().unwrap().status.success(), "{name}");
}

#[test]
fn unknown_clients_share_one_budget_that_is_not_the_machines() {
    let (server, _) = Launch::without_daemon().start().into_ready();
    for number in 0..5 {
        assert_eq!(fail(&from(&server, &format!("198.51.100.{number}"))), 401);
    }
    assert_eq!(fail(&from(&server, "198.51.100.200")), 429);
    server.client().post(LOGIN, json!({"password": PASSWORD})).expect(200);
    // A session of one of them makes none of the others known.
    let liar = from(&server, "198.51.100.201");
    liar.post(LOGIN, json!({"password": PASSWORD})).expect_error(429, "rate_limit_exceeded");
}

#[test]
fn failed_logins_are_warnings_that_begin_with_the_address() {
    let (server, _) = behind_a_proxy().start().into_ready();
    for _ in 0..6 {
        fail(&from(&server, "198.51.100.7"));
    }
    fail(&from(&server, "no address 192.0.2.1"));
    let log = server.log();
    let warned = |text: &str| log.lines().filter(|line| line.ends_with(&format!("[WARN] {text}"))).count();
    assert_eq!(warned("198.51.100.7 failed to log in: wrong password"), 5, "{log}");
    assert_eq!(warned("198.51.100.7 failed to log in: too many attempts"), 1, "{log}");
    assert_eq!(warned("unknown failed to log in: wrong password"), 1, "{log}");
    assert!(!log.contains("192.0.2.1"), "{log}");
    filter_of_the_documentation(&log, 6);
}

/// The filter that docs/locked-out.md gives finds these lines, by fail2ban's own tool.
fn filter_of_the_documentation(log: &str, lines: usize) {
    let text = include_str!("../../docs/locked-out.md");
    let filter = text.split("```ini\n").find(|part| part.starts_with("# filter.d/bangui.conf")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (conf, written) = (directory.path().join("bangui.conf"), directory.path().join("bangui.log"));
    std::fs::write(&conf, filter.split("```").next().unwrap()).unwrap();
    // As it stands in a file, and as the journal and syslog put it.
    let syslog: String = log.lines().map(|line| format!("Nov 27 02:00:00 host bangui[7]: {line}\n")).collect();
    for log in [log.to_owned(), syslog] {
        std::fs::write(&written, log).unwrap();
        let Ok(output) = Command::new("fail2ban-regex").args([&written, &conf]).output() else {
            return crate::harness::not_installed("what needs fail2ban-regex: it is not installed");
        };
        let output = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.contains(&format!("{lines} matched")), "{output}");
    }
}

#[test]
fn a_path_that_leads_nowhere_is_logged_as_one_clean_word() {
    let server = Launch::without_daemon().env("BANGUI_LOG_LEVEL", "INFO").start();
    let client = server.client();
    client.get("/wp-login.php?password=secret").expect(404);
    client.get(&format!("/{}", "x".repeat(500))).expect(404);
    let log = server.log();
    assert!(log.contains(" GET /wp-login.php 404 ") && !log.contains("secret"), "{log}");
    let long = log.lines().find(|line| line.contains("/xxx")).unwrap();
    assert!(long.len() < 250 && long.contains("x... 404"), "{long}");
}

#[test]
fn a_log_that_nobody_reads_stops_nothing_and_says_how_much_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("b.sock");
    let listen = format!("unix:{}", socket.display());
    let mut child = Command::new(program());
    die_with_us(&mut child);
    let mut child = child
        .args(["serve", "--listen", &listen, "--database"])
        .arg(directory.path().join("b.db"))
        .env("BANGUI_RATE_LIMIT_ANONYMOUS", "0")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the socket", Duration::from_secs(10), || socket.exists());
    let client = Client::new(crate::harness::http::Address::Unix(socket));
    // A pipe holds 64 KiB; each request is a line of some 80 bytes.
    for _ in 0..2_000 {
        client.get(SETUP).expect(200);
    }
    let mut log = child.stderr.take().unwrap();
    let mut read = vec![0; 65_536];
    let mut text = String::new();
    for _ in 0..2 {
        let count = log.read(&mut read).unwrap();
        text += &String::from_utf8_lossy(&read[..count]);
        client.get(SETUP).expect(200);
    }
    let count = log.read(&mut read).unwrap();
    text += &String::from_utf8_lossy(&read[..count]);
    let missing =
        text.lines().find_map(|line| line.strip_suffix(" lines of the log were dropped, since nobody read it"));
    let missing: usize = missing.unwrap_or_else(|| panic!("{text}")).parse().unwrap();
    let lines = text.lines().filter(|line| line.contains(" GET /api/v1/setup 200 ")).count();
    assert_eq!(missing + lines, 2_002, "{text}");
    child.kill().unwrap();
    child.wait().unwrap();
}
