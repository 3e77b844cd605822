//! The daily work from the command line: through the server that runs, through none, and at another machine's; each against a real
//! fail2ban.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::real_daemon::RealDaemon;
use crate::harness::release::Release;
use crate::harness::server::{Launch, Server};

/// The program with the settings of a test, as a person would call it.
struct Caller {
    database: PathBuf,
    settings: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Caller {
    fn new(daemon: &RealDaemon, database: &Path) -> Caller {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let settings = vec![
            "--fail2ban-socket".to_owned(),
            text(daemon.socket()),
            "--fail2ban-config".to_owned(),
            text(daemon.config()),
            "--allowed-log-dirs".to_owned(),
            text(&daemon.path("")),
        ];
        Caller { database: database.to_owned(), settings, environment: Vec::new() }
    }

    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new("timeout")
            .args(["--kill-after=1", "30", env!("CARGO_BIN_EXE_bangui")])
            .args(arguments)
            .arg("--database")
            .arg(&self.database)
            .args(&self.settings)
            .env_clear()
            .env("PATH", Release::under_test().search_path())
            .env("TZ", "UTC")
            .envs(self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// What it prints, when all is well.
    #[track_caller]
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments, "");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && error.is_empty(), "{arguments:?}: {} {error}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.says(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// The exit code and the line on standard error, when all is not well.
    #[track_caller]
    fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments, "");
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(error.lines().count(), 1, "{arguments:?}: {error}");
        (output.status.code().unwrap(), error)
    }
}

/// The daily work, the same whoever answers.
fn a_day(daemon: &RealDaemon, caller: &Caller) {
    let status = caller.says(&["status"]);
    assert!(status.starts_with("fail2ban 1."), "{status}");
    assert!(status.contains("3 jails, 0 addresses banned, 0 failing.") && status.contains("\nlab "), "{status}");
    assert_eq!(caller.json(&["status"])["jails"]["items"].as_array().unwrap().len(), 3);
    let values = caller.says(&["jails", "lab"]);
    assert!(values.lines().any(|line| line.split_whitespace().eq(["ban", "time", "1h"])), "{values}");

    let banned = caller.says(&["ban", "198.51.100.7", "--jail", "lab"]);
    assert_eq!(banned, "198.51.100.7 is banned in lab.\n");
    assert!(daemon.banned("lab").contains(&"198.51.100.7".to_owned()));
    let (code, line) = caller.fails(&["ban", "198.51.100.8"]);
    assert_eq!((code, line.contains("--jail is one of")), (2, true), "{line}");
    let (code, line) = caller.fails(&["ban", "198.51.100.999", "--jail", "lab"]);
    assert_eq!((code, line.contains("198.51.100.999")), (1, true), "{line}");
    a_list(daemon, caller);

    let bans = caller.says(&["bans", "lab"]);
    assert!(bans.starts_with("ADDRESS") && bans.contains("2001:db8::7 "), "{bans}");
    assert_eq!(caller.json(&["bans"])["total"], 4);
    assert_eq!(caller.says(&["bans", "sshd"]), "Nobody is banned.\n");
    let found = caller.says(&["find", "198.51.100.7"]);
    assert!(found.starts_with("198.51.100.7 is banned until ") && found.contains("\nJAIL "), "{found}");
    assert_eq!(caller.says(&["find", "192.0.2.200"]), "192.0.2.200 is not banned, and was never seen here.\n");
    assert_eq!(caller.json(&["find", "198.51.100.7"])["banned"][0]["jail"], "lab");
    assert_eq!(caller.fails(&["find", "example.org"]).0, 1);
    assert!(caller.says(&["history"]).contains("198.51.100.21"));
    assert_eq!(caller.json(&["history", "--jail", "lab", "--number", "2"])["pagination"]["total"], 4);
    assert!(caller.says(&["log", "--filter", "Ban 198.51.100.7"]).contains("[lab] Ban 198.51.100.7"));

    assert_eq!(caller.says(&["unban", "198.51.100.7"]), "198.51.100.7 is no longer banned.\n");
    caller.says(&["unban", "198.51.100.21", "198.51.100.22", "--jail", "lab"]);
    assert_eq!(daemon.banned("lab"), ["2001:db8::7"]);
    caller.says(&["unban", "--all"]);
    assert!(daemon.banned("lab").is_empty());
    assert_eq!(caller.says(&["import"]), "There is no list to import.\n");
    never_again(daemon, caller);
    a_rest(caller);
}

/// Several addresses go in one request, and each has a result of its own.
fn a_list(daemon: &RealDaemon, caller: &Caller) {
    let text = "198.51.100.21, 198.51.100.22 # two\n\n2001:db8::7\n";
    let list = caller.run(&["ban", "-", "--jail", "lab", "--json"], text);
    let results: Value = serde_json::from_slice(&list.stdout).unwrap();
    assert!(results["results"].as_array().unwrap().iter().all(|one| one["success"] == true), "{results}");
    assert_eq!((&results["counts"]["banned"], daemon.banned("lab").len()), (&json!(3), 4), "{results}");
    let mixed = caller.run(&["ban", "-", "--jail", "lab"], "198.51.100.21\n127.0.0.1\nnobody\n198.51.100.23\n");
    let (out, error) = (String::from_utf8(mixed.stdout).unwrap(), String::from_utf8(mixed.stderr).unwrap());
    assert_eq!(mixed.status.code(), Some(1), "{error}");
    assert!(out.starts_with("198.51.100.21 was banned in lab already.\n198.51.100.23 is banned in lab.\n"), "{out}");
    let lines: Vec<&str> = error.lines().collect();
    assert!(lines[0].contains("127.0.0.1") && lines[1].contains("nobody"), "{error}");
    assert_eq!((lines.len(), lines[2]), (3, "bangui: 2 of 4 were left as they were"));
    let out = caller.says(&["unban", "198.51.100.23", "198.51.100.99", "--note", "a slip"]);
    assert!(out.starts_with("198.51.100.23 is no longer banned.\n198.51.100.99 was not banned.\n"), "{out}");
    assert_eq!(daemon.banned("lab").len(), 4);
    caller.says(&["ban", "127.0.0.1", "198.51.100.24", "--jail", "lab", "--force", "--note", "all of them"]);
    assert_eq!(daemon.banned("lab").len(), 6);
    caller.says(&["unban", "127.0.0.1", "--note", "only one"]);
    caller.says(&["unban", "198.51.100.24"]);
    // Why it was let out stands in the history.
    let lifted = |ip: &str| caller.json(&["find", ip])["history"]["recent"][0].clone();
    for (ip, note) in
        [("198.51.100.23", json!("a slip")), ("127.0.0.1", json!("only one")), ("198.51.100.24", json!(null))]
    {
        let past = lifted(ip);
        assert_eq!(past["lifted_note"], note, "{past}");
        assert!(past["lifted_by"].is_string(), "{past}");
    }
}

/// Who is never banned: let out by one word, shown, and taken off the list.
fn never_again(daemon: &RealDaemon, caller: &Caller) {
    caller.says(&["ban", "198.51.100.7", "--jail", "lab"]);
    let said = caller.says(&["unban", "198.51.100.7", "--never-again", "--note", "a friend", "--for", "4w"]);
    assert_eq!(said, "198.51.100.7 is let out of lab. It is on the never-ban list.\n");
    assert!(daemon.banned("lab").is_empty());
    assert!(daemon.client(&["get", "sshd", "ignoreip"]).contains("198.51.100.7"));
    let (code, line) = caller.fails(&["ban", "198.51.100.7", "--jail", "lab"]);
    assert_eq!((code, line.contains("never-ban list")), (1, true), "{line}");
    let found = caller.says(&["find", "198.51.100.7"]);
    assert!(found.contains("198.51.100.7 is on the never-ban list: a friend.\n"), "{found}");
    caller.says(&["never-ban", "add", "192.0.2.0/24", "--jail", "lab"]);
    let listed = caller.says(&["never-ban"]);
    assert!(listed.starts_with("ID") && listed.contains("192.0.2.0/24") && listed.contains("a friend"), "{listed}");
    let items = caller.json(&["never-ban"])["items"].clone();
    assert_eq!((&items[0]["jails"], &items[1]["note"]), (&json!(["lab"]), &json!("a friend")), "{items}");
    assert_eq!(caller.says(&["never-ban", "remove", "192.0.2.0/24"]), "192.0.2.0/24 is off the list.\n");
    caller.says(&["never-ban", "clear"]);
    assert!(!daemon.client(&["get", "sshd", "ignoreip"]).contains("198.51.100.7"));
    assert_eq!(caller.fails(&["unban", "198.51.100.7", "--for", "3d"]).0, 2);
    assert_eq!(caller.fails(&["unban", "--all", "--never-again"]).0, 2);
    assert_eq!(caller.fails(&["never-ban", "add", "a b"]).0, 1);
}

/// A jail rests, and watches its logs again.
fn a_rest(caller: &Caller) {
    let said = caller.says(&["pause", "lab", "--for", "2h"]);
    assert!(said.starts_with("lab is paused until "), "{said}");
    assert!(caller.json(&["jails", "lab"])["jail"]["paused_until"].is_string());
    assert_eq!(caller.json(&["resume", "lab"])["paused_until"], Value::Null);
    assert!(caller.json(&["jails", "lab"])["jail"]["paused_until"].is_null());
    assert_eq!(caller.fails(&["pause", "lab"]).0, 2);
    assert_eq!(caller.fails(&["pause", "nojail", "--for", "2h"]).0, 1);
}

#[test]
fn a_change_is_listed_shown_and_taken_back() {
    let daemon = RealDaemon::start();
    let (server, admin) = Server::ready(&daemon);
    let caller = beside(&server, &daemon);
    assert_eq!(caller.says(&["changes"]), "Nothing was changed yet.\n");
    admin.put("/api/v1/config/jails/lab", json!({"max_retry": 7})).expect(200);
    admin.post_empty("/api/v1/config/jails/lab/commit").expect(200);
    let listed = caller.says(&["changes"]);
    assert!(listed.starts_with("ID") && listed.contains("admin") && listed.contains(" lab "), "{listed}");
    let id = caller.json(&["changes"])["items"][0]["id"].to_string();
    let shown = caller.says(&["changes", &id]);
    assert!(shown.contains("lab: max retry 3 -> 7\n") && shown.contains("\n+maxretry = 7\n"), "{shown}");
    let undone = caller.says(&["undo", &id]);
    assert!(undone.contains(", console\n") && undone.contains("lab: max retry 7 -> 3\n"), "{undone}");
    assert_eq!(daemon.client(&["get", "lab", "maxretry"]).trim(), "3");
    assert!(caller.says(&["changes"]).contains(&format!("(undoes {id})")));
    assert_eq!(caller.fails(&["undo", "x"]).0, 2);
    assert_eq!(caller.fails(&["undo", "999"]).0, 1);
}

#[test]
fn a_ban_lasts_as_long_as_was_said_and_says_why() {
    let daemon = RealDaemon::start();
    let (server, admin) = Server::ready(&daemon);
    let caller = beside(&server, &daemon);
    let said = caller.says(&["ban", "198.51.100.7", "--jail", "lab", "--for", "3d", "--note", "a scanner"]);
    assert!(said.starts_with("198.51.100.7 is banned in lab until "), "{said}");
    let ends = daemon.client(&["get", "lab", "banip", "--with-time"]);
    assert!(ends.contains("+ 259200 ="), "{ends}");
    assert_eq!(daemon.client(&["get", "lab", "bantime"]).trim(), "3600", "the jail's own is as it was");
    let bans = admin.get("/api/v1/bans/active").expect(200).json();
    assert_eq!(
        (&bans["items"][0]["note"], &bans["items"][0]["actor"]["kind"]),
        (&json!("a scanner"), &json!("console"))
    );
    assert_eq!(caller.fails(&["ban", "198.51.100.8", "--jail", "lab", "--for", "soon"]).0, 1);
}

fn beside(server: &Server, daemon: &RealDaemon) -> Caller {
    Caller::new(daemon, &server.database())
}

#[test]
fn a_day_through_the_server_that_runs() {
    let daemon = RealDaemon::start();
    let logs = daemon.path("");
    let (server, _) =
        Launch::for_real(&daemon).args(&["--allowed-log-dirs", logs.to_str().unwrap()]).start().into_ready();
    a_day(&daemon, &beside(&server, &daemon));
    let log = server.log();
    assert!(log.contains("POST /api/v1/bans 201"), "the server does it, and says so: {log}");
}

#[test]
fn a_day_without_a_server_leaves_nothing_running() {
    let daemon = RealDaemon::start();
    let directory = tempfile::tempdir().unwrap();
    let caller = Caller::new(&daemon, &directory.path().join("bangui.db"));
    a_day(&daemon, &caller);
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".ctl")), "{left:?}");
}

#[test]
fn a_day_at_another_machine_with_a_token() {
    let daemon = RealDaemon::start();
    let logs = daemon.path("");
    let launch = Launch::for_real(&daemon).listen(&["127.0.0.1:0"]);
    let (server, admin) = launch.args(&["--allowed-log-dirs", logs.to_str().unwrap()]).start().into_ready();
    let file = daemon.path("token");
    std::fs::write(&file, format!("{}\n", admin.token())).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut caller = Caller::new(&daemon, &directory.path().join("none.db"));
    let crate::harness::http::Address::Tcp(address) = server.address() else { panic!("it listens on TCP") };
    let url = format!("http://{address}");
    caller.settings = vec!["--server".into(), url.clone(), "--token".into(), file.to_str().unwrap().into()];
    a_day(&daemon, &caller);
    assert!(!directory.path().join("none.db").exists(), "nothing is kept here");
    let wrong = daemon.path("wrong");
    std::fs::write(&wrong, "0".repeat(64)).unwrap();
    caller.settings = vec!["--server".into(), url.clone(), "--token".into(), wrong.to_str().unwrap().into()];
    assert_eq!(caller.fails(&["status"]).0, 1);
    caller.settings = vec!["--server".into(), url];
    assert_eq!(caller.fails(&["status"]).0, 2, "a token is needed");
    caller.settings =
        vec!["--server".into(), "http://127.0.0.1:9".into(), "--token".into(), wrong.to_str().unwrap().into()];
    let (code, line) = caller.fails(&["status"]);
    assert_eq!((code, line.contains("127.0.0.1:9 does not answer")), (3, true), "{line}");
}

#[test]
fn where_one_comes_from_is_not_banned_by_a_slip_and_is_let_out_by_one_word() {
    let daemon = RealDaemon::start();
    let (server, _) = Server::ready(&daemon);
    let mut caller = beside(&server, &daemon);
    assert_eq!(caller.fails(&["unban", "--me"]).0, 2, "this is no SSH session");
    caller.environment.push(("SSH_CONNECTION".into(), "198.51.100.7 50000 192.0.2.1 22".into()));
    for address in ["198.51.100.7", "198.51.100.0/24"] {
        let (code, line) = caller.fails(&["ban", address, "--jail", "lab"]);
        assert_eq!((code, line.contains("is where you come from")), (1, true), "{line}");
    }
    assert!(daemon.banned("lab").is_empty());
    caller.says(&["ban", "198.51.100.7", "--jail", "lab", "--force"]);
    assert_eq!(daemon.banned("lab"), ["198.51.100.7"]);
    caller.says(&["unban", "--me"]);
    assert!(daemon.banned("lab").is_empty());
}

#[test]
fn a_fail2ban_that_is_away_is_exit_code_3_and_one_line() {
    let mut daemon = RealDaemon::start();
    let (server, _) = Server::ready(&daemon);
    daemon.stop();
    let caller = beside(&server, &daemon);
    for arguments in [&["status"][..], &["jails"], &["bans"], &["ban", "198.51.100.7", "--jail", "lab"]] {
        let (code, line) = caller.fails(arguments);
        assert_eq!((code, line.contains("fail2ban")), (3, true), "{arguments:?}: {line}");
    }
}

#[test]
fn nobody_but_the_owner_gets_in_by_the_control_socket() {
    use std::os::unix::fs::PermissionsExt;
    let daemon = RealDaemon::start();
    let (server, _) = Server::ready(&daemon);
    let mut socket = server.database().into_os_string();
    socket.push(".ctl");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // What an intruder could send as a header changes nothing: the console is a connection, not a claim.
    let forged = server.client().with_header("X-Forwarded-For", "127.0.0.1");
    forged.get("/api/v1/jails").expect_error(401, "authentication_required");
}

#[test]
fn what_the_console_does_counts_against_no_limit_and_needs_no_setup() {
    let daemon = RealDaemon::start();
    let server = Launch::for_real(&daemon).env("BANGUI_RATE_LIMIT_BAN", "1").start();
    let caller = beside(&server, &daemon);
    for number in 1..=3 {
        caller.says(&["ban", &format!("198.51.100.{number}"), "--jail", "lab"]);
    }
    assert_eq!(daemon.banned("lab").len(), 3);
    server.client().get("/api/v1/jails").expect_error(503, "setup_required");
}

#[test]
fn the_program_alone_prints_its_help_and_every_command_has_one() {
    let alone = Command::new(env!("CARGO_BIN_EXE_bangui")).output().unwrap();
    let help = String::from_utf8(alone.stdout).unwrap();
    assert!(alone.status.success() && help.contains("\nCommands:\n"));
    let section = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let commands: Vec<&str> = section.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.contains(&"unban") && commands.len() > 15, "{commands:?}");
    for command in commands {
        let own = Command::new(env!("CARGO_BIN_EXE_bangui")).args([command, "--help"]).output().unwrap();
        assert!(String::from_utf8(own.stdout).unwrap().starts_with(&format!("bangui {command} - ")));
    }
}

#[test]
fn the_completions_are_read_by_their_shell_and_the_manual_by_man() {
    let print =
        |arguments: &[&str]| Command::new(env!("CARGO_BIN_EXE_bangui")).args(arguments).output().unwrap().stdout;
    let script = String::from_utf8(print(&["completions", "bash"])).unwrap();
    let asked = script
        + "\nCOMP_WORDS=(bangui unb); COMP_CWORD=1; _bangui; echo ${COMPREPLY[@]}\nCOMP_WORDS=(bangui unban --m); COMP_CWORD=2; _bangui; echo ${COMPREPLY[@]}\n";
    let output = Command::new("bash").args(["-c", &asked]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "unban\n--me\n", "{}", String::from_utf8_lossy(&output.stderr));
    let page = String::from_utf8(print(&["man"])).unwrap();
    assert!(page.starts_with(".TH BANGUI 1") && page.contains(".SS \"unban [ADDRESS...|\\-]\"\n"), "{page}");
    assert!(page.lines().all(|line| !line.starts_with('\'')), "nothing is taken for a request");
    for shell in ["zsh", "fish"] {
        let script = String::from_utf8(print(&["completions", shell])).unwrap();
        assert!(script.contains("unban") && script.contains("remove-set"), "{script}");
    }
}
