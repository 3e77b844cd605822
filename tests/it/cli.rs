//! The program from the command line: options and their precedence, and setup, password and check without a browser.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::client::{Client, PASSWORD};
use crate::harness::left_out;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::release::Release;
use crate::harness::server::Launch;

const OTHER: &str = "Another2!horse";

/// Runs the program to its end with a clean environment and this standard input.
fn run(arguments: &[&str], input: &str) -> Output {
    // A command that wrongly goes on, as a server would, must end some time.
    let mut child = Command::new("timeout")
        .args(["--kill-after=1", "20", env!("CARGO_BIN_EXE_bangui")])
        .args(arguments)
        .env_clear()
        .env("PATH", Release::under_test().search_path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments does not read what comes in.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Runs a command of the program on this database; whether it went well, and what it said.
fn on_database(command: &str, database: &Path, input: &str) -> (bool, String) {
    let output = run(&[command, "--database", database.to_str().unwrap()], input);
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

fn login(client: &Client, password: &str) -> u16 {
    client.post("/api/v1/auth/login", json!({"password": password})).status
}

#[test]
fn version_and_help_go_to_standard_output() {
    let version = run(&["--version"], "");
    assert!(version.status.success());
    assert!(String::from_utf8_lossy(&version.stdout).contains(env!("CARGO_PKG_VERSION")));
    let help = run(&["--help"], "");
    assert!(help.status.success());
    let help = String::from_utf8(help.stdout).unwrap();
    for word in ["serve", "check", "setup", "set-password", "--listen", "--database", "--fail2ban-socket", "--config"] {
        assert!(help.contains(word), "{word} is not in the help");
    }
}

#[test]
fn wrong_arguments_are_one_line_and_exit_code_2() {
    for arguments in [
        &["--nonsense"][..],
        &["nonsense"],
        &["serve", "--listen", "nowhere"],
        &["serve", "--listen", "127.0.0.1:99999"],
        &["serve", "--listen"],
        &["serve", "--trusted-proxies", "10.0.0.0/99"],
        &["serve", "--log-level", "shouting"],
        &["serve", "--timezone", "Mars/Olympus"],
        &["serve", "--config", "/nonexistent/bangui.conf"],
    ] {
        let output = run(arguments, "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{arguments:?}: {said}");
    }
}

#[test]
fn options_beat_the_environment_which_beats_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bangui.conf");
    fs::write(&file, "timezone = Europe/Paris\nread_only = 1\n").unwrap();
    let file = file.to_str().unwrap();
    let timezone = |launch: Launch| {
        let server = launch.args(&["--config", file]).start();
        server.client().get("/api/v1/setup/timezone").expect(200).json()["timezone"].clone()
    };
    let from_file = Launch::without_daemon();
    assert_eq!(timezone(from_file), "Europe/Paris");
    let from_environment = Launch::without_daemon().env("BANGUI_TIMEZONE", "Europe/Rome");
    assert_eq!(timezone(from_environment), "Europe/Rome");
    let from_option =
        Launch::without_daemon().env("BANGUI_TIMEZONE", "Europe/Rome").args(&["--timezone", "Europe/Oslo"]);
    assert_eq!(timezone(from_option), "Europe/Oslo");
}

#[test]
fn setup_works_while_a_server_runs_and_while_none_does() {
    for running in [true, false] {
        let mut server = Launch::without_daemon().start();
        if !running {
            server.kill();
        }
        let (well, said) = on_database("setup", &server.database(), "weak\n");
        assert!(!well, "a weak password was taken: {said}");
        let (well, said) = on_database("setup", &server.database(), &format!("{PASSWORD}\n"));
        assert!(well, "{said}");
        let (again, said) = on_database("setup", &server.database(), &format!("{OTHER}\n"));
        assert!(!again, "{said}");
        if !running {
            server.start_again();
        }
        assert_eq!(login(&server.client(), PASSWORD), 200);
        assert_eq!(login(&server.client(), OTHER), 401);
        assert!(!said.contains(OTHER));
    }
}

#[test]
fn a_new_password_ends_every_session() {
    for running in [true, false] {
        let (mut server, admin) = Launch::without_daemon().start().into_ready();
        if !running {
            server.kill();
        }
        let (well, said) = on_database("set-password", &server.database(), &format!("{OTHER}\n"));
        assert!(well, "running {running}: {said}");
        if !running {
            server.start_again();
        }
        let before = server.client().with_identity(admin.identity.clone());
        before.get("/api/v1/auth/session").expect_error(401, "authentication_required");
        assert_eq!(login(&server.client(), PASSWORD), 401);
        assert_eq!(login(&server.client(), OTHER), 200);
    }
}

#[test]
fn two_servers_on_one_database_are_refused() {
    let server = Launch::without_daemon().start();
    let database = server.database();
    let second = run(&["serve", "--listen", "127.0.0.1:0", "--database", database.to_str().unwrap()], "");
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(!second.status.success() && second.status.code() != Some(124), "{said}");
    assert!(said.contains("bangui.db"), "it says which database: {said}");
    server.client().get("/api/v1/setup").expect(200);
}

#[test]
fn check_says_what_is_usable_and_what_to_do_if_not() {
    let daemon = RealDaemon::start();
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("bangui.db");
    let check = |socket: &Path| {
        run(
            &[
                "check",
                "--database",
                database.to_str().unwrap(),
                "--fail2ban-socket",
                socket.to_str().unwrap(),
                "--fail2ban-config",
                daemon.config().to_str().unwrap(),
            ],
            "",
        )
    };
    let good = check(daemon.socket());
    let said = String::from_utf8([good.stdout, good.stderr].concat()).unwrap();
    assert!(good.status.success(), "{said}");
    assert!(said.contains(&Release::under_test().version()), "the daemon's version: {said}");
    let absent = directory.path().join("absent.sock");
    let bad = check(&absent);
    let said = String::from_utf8([bad.stdout, bad.stderr].concat()).unwrap();
    assert!(!bad.status.success(), "{said}");
    assert!(said.contains("absent.sock"), "{said}");
}

/// What fail2ban's files come to, without a server or a daemon: the installed fail2ban prints the same.
#[test]
fn dump_config_prints_the_commands_of_fail2bans_files_as_its_own_client_does() {
    let daemon = RealDaemon::configured();
    let configuration = daemon.config().to_str().unwrap();
    let dumped = |more: &[&str]| run(&[&["dump-config", "--fail2ban-config", configuration], more].concat(), "");
    let commands = |output: &Output| -> Vec<Value> {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let ours = dumped(&[]);
    assert!(ours.status.success(), "{}", String::from_utf8_lossy(&ours.stderr));
    let theirs = Release::under_test().program("fail2ban-client").args(["-c", configuration, "-d"]).output().unwrap();
    assert!(theirs.status.success());
    let ours = commands(&ours);
    assert!(ours.len() > 20, "{ours:?}");
    assert_eq!(ours, crate::conf_parity::as_json(&theirs.stdout));
    // As another release would read them: 0.9 divides what stands between jails otherwise, but knows no jail that is named here less.
    let old = commands(&dumped(&["--as-version", "0.11.2"]));
    assert!(old.contains(&json!(["start", "lab"])) && old != ours, "the version makes a difference");
    // What fail2ban refuses is refused with a reason, and prints nothing.
    fs::write(daemon.path("jail.local"), "no section\n").unwrap();
    let refused = dumped(&[]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && refused.stdout.is_empty());
    assert!(said.contains("jail.local:1") && said.trim_end().lines().count() == 1, "{said}");
}

/// OpenWrt has neither TZ in the environment nor /etc/localtime, and says its zone in /etc/TZ.
#[test]
fn the_zone_of_a_router_is_read_from_its_own_file() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("filter.d")).unwrap();
    fs::write(directory.path().join("filter.d/lab.conf"), "[Definition]\nfailregex = ^ failed from <HOST>$\n").unwrap();
    fs::write(directory.path().join("log"), "2026-07-22 03:00:00 failed from 203.0.113.9\n").unwrap();
    let script = "mount -t tmpfs none /etc && printf '%s\\n' \"$1\" > /etc/TZ || exit 77; shift; exec \"$@\"";
    for (zone, expected) in [("CET-1CEST,M3.5.0,M10.5.0/3", "2026-07-22T01:00:00Z"), ("UTC", "2026-07-22T03:00:00Z")] {
        let output = Command::new("unshare")
            .args(["-m", "sh", "-c", script, "sh", zone, env!("CARGO_BIN_EXE_bangui"), "test-filter", "lab", "--json"])
            .arg(directory.path().join("log"))
            .arg("--fail2ban-config")
            .arg(directory.path())
            .env_remove("TZ")
            .output()
            .unwrap();
        let why = String::from_utf8_lossy(&output.stderr);
        if output.stdout.is_empty() && (output.status.code() == Some(77) || why.contains("unshare")) {
            return left_out(&format!("the zone in /etc/TZ: no other /etc can be mounted here ({why})"));
        }
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{why}"));
        assert_eq!(said["timestamp"], expected, "{zone}");
    }
}

#[test]
fn a_date_without_a_zone_is_in_the_zone_of_the_machine() {
    let line = "2026-11-22 03:00:00 failed from 203.0.113.9\n";
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("filter.d")).unwrap();
    fs::write(directory.path().join("filter.d/lab.conf"), "[Definition]\nfailregex = ^ failed from <HOST>$\n").unwrap();
    let log = directory.path().join("log");
    fs::write(&log, line).unwrap();
    let tested = |zone: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_bangui"))
            .args(["test-filter", "lab", "--json", log.to_str().unwrap(), "--fail2ban-config"])
            .arg(directory.path())
            .env_clear()
            .env("TZ", zone)
            .output()
            .unwrap();
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        said["timestamp"].as_str().unwrap().to_owned()
    };
    assert_eq!(tested("Europe/Berlin"), "2026-11-22T02:00:00Z");
    assert_eq!(tested("CET-1CEST,M3.5.0,M10.5.0/3"), "2026-11-22T02:00:00Z");
    assert_eq!(tested("Asia/Kathmandu"), "2026-11-21T21:15:00Z");
    assert_eq!(tested("UTC"), "2026-11-22T03:00:00Z");
}
