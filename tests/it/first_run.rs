//! The first minutes: what `bangui serve` says and to whom, the setup link, and that nobody from far away sets up without it.

use std::fs::File;
use std::io::Read;
use std::os::fd::FromRawFd;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::client::{Client, PASSWORD};
use crate::harness::server::{Launch, Server};
use crate::harness::wait_until;

const SETUP: &str = "/api/v1/setup";

/// `bangui setup-link` beside a server, or beside none.
fn setup_link(database: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bangui"));
    command.arg("setup-link").arg("--database").arg(database).env_clear().env("USER", "anna");
    command.env("SSH_CONNECTION", "203.0.113.9 50022 192.0.2.1 2222").output().unwrap()
}

#[track_caller]
fn link_of(server: &Server) -> String {
    let output = setup_link(&server.database());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Why there is no link, in one line.
#[track_caller]
fn refused(database: &Path) -> String {
    let output = setup_link(database);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn code_of(link: &str) -> String {
    let (_, code) = link.split_once("/#/setup?code=").unwrap_or_else(|| panic!("no code in {link}"));
    code.to_owned()
}

fn behind_a_proxy() -> Launch {
    Launch::without_daemon().args(&["--trusted-proxies", "127.0.0.1"])
}

fn from(server: &Server, address: &str) -> Client {
    server.client().with_header("X-Forwarded-For", address)
}

#[test]
fn from_far_away_setup_takes_the_code_of_the_link_and_takes_it_once() {
    let server = behind_a_proxy().start();
    let with = |code: &str| json!({"master_password": PASSWORD, "code": code});
    let stranger = from(&server, "203.0.113.9");
    for body in [json!({"master_password": PASSWORD}), json!({"code": 5}), json!({})] {
        let refused = stranger.post(SETUP, body).expect_error(403, "setup_local_only").json();
        assert!(refused["detail"].as_str().unwrap().contains("bangui setup-link"), "{refused}");
    }
    let code = code_of(&link_of(&server));
    assert!(code.len() == 16 && code.bytes().all(|byte| byte.is_ascii_hexdigit()), "{code}");
    // Guesses are failed logins: five of them, then nothing is compared any more, be it right.
    let near = format!("{}{}", &code[..15], if code.ends_with('0') { '1' } else { '0' });
    for guess in ["", &code[..15], &near, &code.to_uppercase().repeat(2), "0"] {
        stranger.post(SETUP, with(guess)).expect_error(403, "setup_local_only");
    }
    let waits = stranger.post(SETUP, with(&code)).expect_error(429, "rate_limit_exceeded");
    assert_eq!(waits.json()["metadata"]["limit"], "login");
    // Whom nobody can tell apart share a budget, and are no neighbours.
    let unknown = server.client().with_header("X-Forwarded-For", "unknown");
    unknown.post(SETUP, json!({"master_password": PASSWORD})).expect_error(403, "setup_local_only");
    // What else is wrong with the body is told to whoever has the code only.
    let other = from(&server, "198.51.100.7");
    other.post(SETUP, json!({"master_password": "short", "code": code})).expect_error(400, "invalid_input");
    other.post(SETUP, with(&code)).expect(201);
    from(&server, "198.51.100.8").post(SETUP, with(&code)).expect_error(409, "setup_already_complete");
    assert!(refused(&server.database()).contains("setup has been done already"));
    other.post("/api/v1/auth/login", json!({"password": PASSWORD})).expect(200);
    let log = server.log();
    assert_eq!(log.matches("[WARN] 203.0.113.9 failed to log in: wrong setup code").count(), 5, "{log}");
    assert!(!log.contains(&code), "the code is in the log");
}

#[test]
fn the_code_is_another_one_after_a_start_and_neighbours_need_none() {
    let mut server = behind_a_proxy().start();
    let first = code_of(&link_of(&server));
    server.kill();
    server.start_again();
    assert_ne!(code_of(&link_of(&server)), first);
    let old = json!({"master_password": PASSWORD, "code": first});
    from(&server, "203.0.113.9").post(SETUP, old.clone()).expect_error(403, "setup_local_only");
    // A neighbour's code is not looked at.
    from(&server, "192.168.1.20").post(SETUP, old).expect(201);
}

#[test]
fn the_link_leads_to_where_the_page_is() {
    let server = Launch::without_daemon().start();
    let link = link_of(&server);
    assert!(link.starts_with(&format!("http://{}/#/setup?code=", tcp(&server))), "{link}");
    let port = tcp(&server).rsplit(':').next().unwrap().to_owned();
    let hint = String::from_utf8(setup_link(&server.database()).stderr).unwrap();
    assert!(hint.contains(&format!("ssh -p 2222 -L {port}:127.0.0.1:{port} anna@192.0.2.1")), "{hint}");
    let named = behind_a_proxy().args(&["--allowed-hosts", "ban.example.org", "--base-path", "/f2b"]).start();
    let link = link_of(&named);
    assert!(link.starts_with("https://ban.example.org/f2b/#/setup?code="), "{link}");
    // Where there is no page, or nobody knows its address, the console sets up.
    let bare = Launch::without_daemon().env("BANGUI_UI", "0").start();
    assert!(refused(&bare.database()).contains("shows no page"));
    let directory = tempfile::tempdir().unwrap();
    let hidden = Launch::without_daemon().listen(&[&format!("unix:{}", directory.path().join("h.sock").display())]);
    assert!(refused(&hidden.start().database()).contains("allowed_hosts"));
    assert!(refused(&directory.path().join("none.db")).contains("no server runs"));
}

fn tcp(server: &Server) -> String {
    match server.address() {
        crate::harness::http::Address::Tcp(address) => address.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_log_says_where_the_page_is_and_not_the_code() {
    let server = Launch::without_daemon().env("USER", "anna").start();
    let says = |server: &Server, text: &str| {
        wait_until("the line in the log", Duration::from_secs(10), || server.log().contains(text));
        server.log()
    };
    let log = says(&server, "bangui setup-link");
    assert_eq!(log.matches("no password is set yet: open http://127.0.0.1:").count(), 1, "{log}");
    assert!(log.contains("bangui setup-link") && !log.contains("code="), "{log}");
    assert!(!log.contains("beyond this machine"), "{log}");
    let mut open = Launch::without_daemon().listen(&["0.0.0.0:0"]).start();
    says(&open, "reached from beyond this machine");
    let port = tcp(&open).rsplit(':').next().unwrap().to_owned();
    Client::new(crate::harness::http::Address::Tcp(format!("127.0.0.1:{port}").parse().unwrap())).setup();
    open.kill();
    open.start_again();
    assert!(!says(&open, "open http://").contains("beyond this machine"));
}

/// A server whose standard error is a terminal, and that terminal's other end.
struct AtTerminal {
    child: Child,
    terminal: File,
    shown: String,
}

impl AtTerminal {
    fn start(directory: &Path, listen: &str) -> AtTerminal {
        let (mut ours, mut its) = (0, 0);
        // SAFETY: the two numbers are written, and nothing else is passed.
        let made =
            unsafe { libc::openpty(&mut ours, &mut its, std::ptr::null_mut(), std::ptr::null(), std::ptr::null()) };
        assert_eq!(made, 0, "{}", std::io::Error::last_os_error());
        // SAFETY: both descriptors are new and given up here.
        let (terminal, its) = unsafe { (File::from_raw_fd(ours), File::from_raw_fd(its)) };
        let mut command = Command::new(env!("CARGO_BIN_EXE_bangui"));
        command.args(["serve", "--listen", listen, "--fail2ban-socket", "/nonexistent/f.sock", "--database"]);
        command.arg(directory.join("t.db")).env_clear().env("USER", "root").env("SUDO_USER", "anna");
        command.env("SSH_CONNECTION", "203.0.113.9 50022 192.0.2.1 22");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(its);
        crate::harness::die_with_us(&mut command);
        let child = command.spawn().unwrap();
        AtTerminal { child, terminal, shown: String::new() }
    }

    /// What it shows, up to a text.
    #[track_caller]
    fn shows(&mut self, wanted: &str) -> &str {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut bytes = [0; 4096];
        while !self.shown.contains(wanted) {
            assert!(Instant::now() < deadline, "no {wanted:?} at the terminal: {}", self.shown);
            let count = self.terminal.read(&mut bytes).unwrap_or_else(|error| panic!("{error}: {}", self.shown));
            self.shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        &self.shown
    }
}

impl Drop for AtTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn at_a_terminal_the_link_and_the_way_from_another_machine_are_shown() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = AtTerminal::start(directory.path(), "127.0.0.1:0");
    let shown = first.shows("anna@192.0.2.1").to_owned();
    let word =
        |mark: &str| shown.split_whitespace().find(|word| word.contains(mark)).unwrap_or_else(|| panic!("{shown}"));
    let link = word("#/setup?code=").to_owned();
    assert_eq!(format!("{link}\n"), String::from_utf8(setup_link(&directory.path().join("t.db")).stdout).unwrap());
    let address = link.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let port = address.rsplit(':').next().unwrap();
    assert!(shown.contains(&format!("ssh -L {port}:127.0.0.1:{port} anna@192.0.2.1")), "{shown}");
    Client::new(crate::harness::http::Address::Tcp(address.parse().unwrap())).setup();
    drop(first);
    // With a password it is an address, and a warning is none.
    let mut second = AtTerminal::start(directory.path(), "0.0.0.0:0");
    let shown = second.shows("in a browser").to_owned();
    assert!(shown.contains("Open http://") && !shown.contains("code=") && !shown.contains("beyond"), "{shown}");
    drop(second);
    let other = tempfile::tempdir().unwrap();
    let mut open = AtTerminal::start(other.path(), "0.0.0.0:0");
    let shown = open.shows("#/setup?code=").to_owned();
    assert!(shown.contains("reached from beyond this machine") && !shown.contains("ssh -L"), "{shown}");
}
