//! The way out: fail2ban hung, dead or killed, each brought back by `POST /config/restart`, and its files edited meanwhile.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::harness::client::{Client, Identity};
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::wait_until;

const RESTART: &str = "/api/v1/config/restart";
/// On this a daemon hangs with the expression below.
const EVIL_LINE: &str = "lab: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const EVIL: &str = "[Definition]\nfailregex = ^lab: (?:a|aa)+b <HOST>$\nignoreregex =\n";

/// A server for the daemon, which its own script starts again.
fn launch(daemon: &RealDaemon) -> (Server, Client) {
    let command = daemon.start_command().display().to_string();
    let logs = daemon.config().display().to_string();
    Launch::for_real(daemon)
        .env("BANGUI_FAIL2BAN_START_COMMAND", &command)
        .env("BANGUI_ALLOWED_LOG_DIRS", &logs)
        .start()
        .into_ready()
}

fn pid(daemon: &RealDaemon) -> i32 {
    fs::read_to_string(daemon.path("f.pid")).unwrap().trim().parse().unwrap()
}

fn signal(pid: i32, signal: i32) {
    // SAFETY: kill takes two numbers; the process is the daemon of this test.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

/// It is another process, it answers, and everything works again at once.
#[track_caller]
fn is_well_again(daemon: &RealDaemon, admin: &Client, former: i32) {
    assert_ne!(pid(daemon), former, "it is another process");
    daemon.wait_for_pong();
    admin.post_empty("/api/v1/config/reload").expect(204);
    admin.get("/api/v1/jails").expect(200);
}

#[test]
fn a_stopped_process_is_restarted_and_what_it_left_is_told() {
    let daemon = RealDaemon::start();
    let (server, admin) = launch(&daemon);
    admin.post("/api/v1/bans", json!({"ip": "203.0.113.9", "jail": "lab"})).expect(201);
    let former = pid(&daemon);
    signal(former, libc::SIGSTOP);
    // A few questions fill its queue of connections.
    wait_until("it is found to hang", Duration::from_secs(10), || admin.get("/api/v1/jails").status == 503);
    let refused = admin.post_empty("/api/v1/config/reload").expect_error(503, "busy").json();
    assert!(refused["detail"].as_str().unwrap().contains("/config/restart"), "{refused}");
    assert_eq!(refused["metadata"]["reason"], "timeout");
    admin.post_empty(RESTART).expect(204);
    is_well_again(&daemon, &admin, former);
    assert!(server.log().contains("did not answer any more"), "{}", server.log());
    wait_until("the ban is back", Duration::from_secs(10), || daemon.banned("lab") == ["203.0.113.9"]);
}

#[test]
fn an_expression_that_hangs_the_daemon_is_mended_and_the_daemon_restarted() {
    let mut daemon = RealDaemon::configured();
    fs::write(daemon.path("filter.d/lab.conf"), EVIL).unwrap();
    daemon.start_again();
    let (_server, admin) = launch(&daemon);
    admin.get("/api/v1/jails").expect(200);
    let former = pid(&daemon);
    daemon.append_log("lab.log", EVIL_LINE);
    wait_until("it hangs", Duration::from_secs(20), || admin.get("/api/v1/jails").status == 503);
    // Files are edited all the same, and the answer says that nothing of it is in force.
    let filter = admin.put("/api/v1/config/filters/lab", json!({"failregex": ["^lab: bad <HOST>$"]})).expect(200);
    assert!(filter.header("x-bangui-warning").unwrap().contains("not yet in force"), "{filter}");
    let warnings = filter.json()["warnings"].to_string();
    assert!(warnings.contains("not yet in force"), "{warnings}");
    let text = fs::read_to_string(daemon.path("filter.d/lab.local")).unwrap();
    assert!(text.contains("^lab: bad <HOST>$"), "{text}");
    let global = admin.put("/api/v1/config/global", json!({"log_level": "NOTICE"})).expect(204);
    assert!(global.header("x-bangui-warning").is_some(), "{global}");
    let made = admin.post(
        "/api/v1/config/jails",
        json!({"name": "made", "filter": "lab", "enabled": true,
        "log_paths": [daemon.path("off.log")], "backend": "polling"}),
    );
    assert!(made.expect(201).header("x-bangui-warning").is_some());
    let set = admin.put("/api/v1/config/jails/lab", json!({"max_retry": 7})).expect(200);
    assert!(set.header("x-bangui-warning").is_some(), "{set}");
    admin.post_empty("/api/v1/config/reload").expect_error(503, "busy");
    let restarted = admin.post_empty(RESTART).expect(204);
    assert!(restarted.elapsed < Duration::from_secs(60), "{:?}", restarted.elapsed);
    is_well_again(&daemon, &admin, former);
    assert!(daemon.client(&["status"]).contains("made"));
    assert_eq!(daemon.client(&["get", "loglevel"]), "Current logging level is 'NOTICE'");
    wait_until("pending values are set again", Duration::from_secs(10), || {
        daemon.client(&["get", "lab", "maxretry"]) == "7"
    });
}

#[test]
fn a_pending_expression_that_hangs_the_daemon_does_not_outlive_the_restart() {
    let daemon = RealDaemon::start();
    let (_server, admin) = launch(&daemon);
    admin.put("/api/v1/config/jails/lab", json!({"max_retry": 8})).expect(200);
    // Whatever is judged of expressions before they are taken, one may get through.
    daemon.client(&["set", "lab", "addfailregex", "^lab: (?:a|aa)+b <HOST>$"]);
    admin.put("/api/v1/config/jails/lab", json!({"ignore_regex": ["^lab: fine$"]})).expect(200);
    let former = pid(&daemon);
    daemon.append_log("lab.log", EVIL_LINE);
    wait_until("it hangs", Duration::from_secs(20), || admin.get("/api/v1/jails").status == 503);
    let answer = admin.post_empty(RESTART).expect(204);
    assert!(answer.header("x-bangui-warning").unwrap().contains("lab"), "{answer}");
    is_well_again(&daemon, &admin, former);
    let pending = admin.get("/api/v1/config/jails/lab").expect(200).json()["jail"]["pending_changes"].clone();
    assert_eq!(pending, json!(["max_retry"]));
}

#[test]
fn a_dead_daemon_is_started_however_it_ended() {
    let mut daemon = RealDaemon::configured();
    let (_server, admin) = launch(&daemon);
    admin.get("/api/v1/jails").expect_error(502, "fail2ban_unreachable");
    admin.post_empty(RESTART).expect(204);
    is_well_again(&daemon, &admin, 0);
    let former = pid(&daemon);
    daemon.client(&["stop"]);
    wait_until("its end", Duration::from_secs(20), || !daemon.socket().exists());
    admin.post_empty(RESTART).expect(204);
    is_well_again(&daemon, &admin, former);
    let former = pid(&daemon);
    daemon.kill();
    assert!(daemon.socket().exists(), "a killed one leaves its socket");
    admin.post_empty(RESTART).expect(204);
    is_well_again(&daemon, &admin, former);
    // One that runs on, though somebody has removed its socket.
    let former = pid(&daemon);
    fs::remove_file(daemon.socket()).unwrap();
    admin.post_empty(RESTART).expect(204);
    is_well_again(&daemon, &admin, former);
}

#[test]
fn rules_that_a_killed_daemon_left_are_named() {
    let mut daemon = RealDaemon::start();
    let (_server, admin) = launch(&daemon);
    admin.post("/api/v1/bans", json!({"ip": "203.0.113.7", "jail": "lab"})).expect(201);
    wait_until("the ban is on disk", Duration::from_secs(10), || daemon.client(&["banned"]).contains("203.0.113.7"));
    daemon.kill();
    // The files no longer have the jail, so that nobody will take its bans up.
    fs::write(daemon.path("jail.local"), "[lab]\nenabled = false\n").unwrap();
    let answer = admin.post_empty(RESTART).expect(204);
    assert!(answer.header("x-bangui-warning").unwrap().contains("lab: 203.0.113.7"), "{answer}");
}

#[test]
fn what_the_start_said_is_told() {
    let mut daemon = RealDaemon::start();
    let script = daemon.path("bad.sh");
    fs::write(&script, "#!/bin/sh\necho 'no such device, said the start' >&2\nexit 1\n").unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (_server, admin) =
        Launch::for_real(&daemon).env("BANGUI_FAIL2BAN_START_COMMAND", script.to_str().unwrap()).start().into_ready();
    daemon.stop();
    let error = admin.post_empty(RESTART).expect_error(503, "fail2ban_not_back").json();
    assert!(error["detail"].as_str().unwrap().contains("no such device, said the start"), "{error}");
    // Nothing is there that could start it: only then it is out of reach.
    let (_other, admin) =
        Launch::for_real(&daemon).env("BANGUI_FAIL2BAN_START_COMMAND", "/nonexistent/start").start().into_ready();
    let error = admin.post_empty(RESTART).expect_error(502, "fail2ban_unreachable").json();
    assert_eq!(error["metadata"]["reason"], "absent");
    // And it is not started with files it would refuse.
    let (_third, admin) = launch(&daemon);
    fs::write(daemon.path("jail.local"), "[lab]\nbantime = soon\n").unwrap();
    let error = admin.post_empty(RESTART).expect_error(409, "fail2ban_command_failed").json();
    assert!(error["detail"].as_str().unwrap().contains("bantime"), "{error}");
}

#[test]
fn its_log_its_past_and_its_state_are_told_while_it_is_away() {
    let mut daemon = RealDaemon::start();
    daemon.client(&["set", "lab", "banip", "203.0.113.5"]);
    wait_until("the ban is on disk", Duration::from_secs(10), || {
        fs::read(daemon.path("f.sqlite3-wal")).map_or(0, |log| log.len()) > 0
            || daemon.log().contains("Ban 203.0.113.5")
    });
    daemon.stop();
    // A server that has never seen it.
    let (_server, admin) = launch(&daemon);
    let log = admin.get("/api/v1/config/fail2ban-log").expect(200).json();
    assert!(log["lines"].to_string().contains("Exiting Fail2ban"), "{log}");
    for target in ["/api/v1/history", "/api/v1/dashboard/bans"] {
        let found = admin.get(&format!("{target}?source=fail2ban")).expect(200).json();
        assert_eq!(found["items"][0]["ip"], "203.0.113.5", "{target}: {found}");
    }
    let by_jail = admin.get("/api/v1/dashboard/bans/by-jail").expect(200).json();
    assert_eq!(by_jail["jails"], json!([{"jail": "lab", "count": 1}]));
    admin.get("/api/v1/history/203.0.113.5").expect(200);
    let status = admin.get("/api/v1/config/service-status").expect(200).json();
    assert_eq!((&status["online"], &status["reason"]), (&json!(false), &json!("absent")));
    assert_eq!(status["log_target"], json!(daemon.path("f.log")));
    assert_eq!(status["config_problems"], json!([]));
}

#[test]
fn why_it_does_not_start_is_told_with_file_and_line() {
    let daemon = RealDaemon::configured();
    fs::write(daemon.path("f.log"), "2026-11-27 01:00:00,000 fail2ban [1]: ERROR   no such thing\n").unwrap();
    fs::write(daemon.path("jail.local"), "[lab]\nbantime = soon\n[slow]\nlogpath = /nonexistent/slow.log\n").unwrap();
    let (_server, admin) = launch(&daemon);
    let status = admin.get("/api/v1/config/service-status").expect(200).json();
    let problems = status["config_problems"].as_array().unwrap();
    let of = |jail: &str| problems.iter().find(|problem| problem["jail"] == jail).unwrap_or_else(|| panic!("{status}"));
    assert_eq!((&of("lab")["file"], &of("lab")["line"]), (&json!(daemon.path("jail.local")), &json!(2)));
    assert!(of("slow")["detail"].as_str().unwrap().contains("log"), "{status}");
    assert!(status["log_errors"][0].as_str().unwrap().contains("no such thing"));
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_bangui"))
        .args(["check", "--fail2ban-socket"])
        .arg(daemon.socket())
        .arg("--fail2ban-config")
        .arg(daemon.config())
        .arg("--database")
        .arg(daemon.path("b.db"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    for part in ["jail.local:2", "jail 'slow'", "no such thing"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_pipe_among_the_filters_costs_nobody_any_time() {
    let daemon = RealDaemon::configured();
    for name in ["filter.d/pipe.conf", "action.d/pipe.conf"] {
        assert!(std::process::Command::new("mkfifo").arg(daemon.path(name)).status().unwrap().success());
    }
    let (_server, admin) = launch(&daemon);
    for kind in ["filters", "actions"] {
        let listed = admin.get(&format!("/api/v1/config/{kind}")).expect(200);
        assert!(listed.elapsed < Duration::from_secs(5), "{:?}", listed.elapsed);
        let one = admin.get(&format!("/api/v1/config/{kind}/pipe"));
        assert!(one.elapsed < Duration::from_secs(5), "{:?}", one.elapsed);
        let body = json!({"failregex": ["^x <HOST>$"], "actionban": "true"});
        let put = admin.put(&format!("/api/v1/config/{kind}/pipe"), body);
        assert_ne!(put.code(), "internal_error", "{put}");
    }
}

/// The daemon's own client would wait for each of them for half a minute.
#[test]
fn what_is_no_file_among_the_files_is_named_before_a_load_or_a_restart() {
    let daemon = RealDaemon::start();
    let (_server, admin) = launch(&daemon);
    fs::write(daemon.path("filter.d/lab.local"), "[INCLUDES]\nbefore = deep.inc\n").unwrap();
    let refused = |name: &str, kind: &str| {
        for target in ["/api/v1/config/reload", "/api/v1/config/restart"] {
            let answer = admin.post_empty(target);
            assert!(answer.elapsed < Duration::from_secs(5), "{target}: {name}: {:?}", answer.elapsed);
            let said = answer.expect_error(500, "config_not_a_file").json();
            assert!(said["metadata"]["file"].as_str().unwrap().ends_with(name), "{target}: {said}");
            assert!(said["detail"].as_str().unwrap().contains(kind), "{target}: {said}");
        }
        // Nor does an edit wait.
        let edited = admin.put("/api/v1/config/filters/sshd", json!({"failregex": ["^x <HOST>$"]}));
        assert!(edited.elapsed < Duration::from_secs(5), "{name}: {:?}", edited.elapsed);
        edited.expect_error(500, "config_not_a_file");
    };
    let names =
        ["jail.d/x.conf", "jail.d/x.local", "filter.d/deep.inc", "action.d/noop.local", "jail.local", "fail2ban.local"];
    for name in names {
        let path = daemon.path(name);
        let was = fs::read(&path).ok();
        let _ = fs::remove_file(&path);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        refused(name, "named pipe");
        fs::remove_file(&path).unwrap();
        was.into_iter().for_each(|bytes| fs::write(&path, bytes).unwrap());
    }
    let listener = std::os::unix::net::UnixListener::bind(daemon.path("jail.d/x.conf")).unwrap();
    refused("jail.d/x.conf", "socket");
    drop(listener);
    fs::remove_file(daemon.path("jail.d/x.conf")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", daemon.path("jail.d/x.conf")).unwrap();
    refused("jail.d/x.conf", "device");
    fs::remove_file(daemon.path("jail.d/x.conf")).unwrap();
    admin.post_empty("/api/v1/config/reload").expect(204);
}

#[test]
fn what_is_not_installed_or_not_permitted_has_a_code_of_its_own() {
    const DAC_OVERRIDE: u64 = 1;
    let daemon = RealDaemon::start();
    let (server, _) = launch(&daemon);
    let server = server.without_capability(DAC_OVERRIDE);
    let admin = server.client().login();
    fs::set_permissions(daemon.path("filter.d"), std::os::unix::fs::PermissionsExt::from_mode(0o555)).unwrap();
    let put = admin.put("/api/v1/config/filters/lab", json!({"failregex": ["^x <HOST>$"]}));
    let refused = put.expect_error(500, "config_not_permitted").json();
    assert!(refused["detail"].as_str().unwrap().contains("as root"), "{refused}");
    let absent = Launch::new("/nonexistent/f.sock".as_ref(), "/nonexistent".as_ref()).start().into_ready();
    let refused = absent.1.get("/api/v1/config/jails").expect_error(500, "config_not_installed").json();
    assert!(refused["detail"].as_str().unwrap().contains("Install fail2ban"), "{refused}");
    let away = absent.1.get("/api/v1/server/settings").expect_error(502, "fail2ban_unreachable");
    assert_eq!(away.header("retry-after"), Some("5"));
    assert_eq!(away.json()["metadata"]["reason"], "absent");
    assert_eq!(away.json()["metadata"]["socket"], "/nonexistent/f.sock");
}

/// Tables as the daemon's, but that looking at a row never ends: a generated column would not do, so the rows lie in a view.
const ENDLESS: &str = "CREATE TABLE bips (ip, jail, timeofban, bantime, bancount, data);
    CREATE VIEW bans AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
    SELECT x AS rowid, 'lab' AS jail, 'x' AS ip, 0 AS timeofban, 1 AS bantime, 1 AS bancount, NULL AS data FROM n;";

#[test]
fn a_database_whose_rows_never_end_stops_nobody() {
    let daemon = RealDaemon::start();
    let path = daemon.path("endless.sqlite3");
    rusqlite::Connection::open(&path).unwrap().execute_batch(ENDLESS).unwrap();
    let (server, admin) = Launch::for_real(&daemon)
        .env("BANGUI_FAIL2BAN_DATABASE_PATH", path.to_str().unwrap())
        .env("BANGUI_ARCHIVE_SECONDS", "1")
        .start()
        .into_ready();
    let other = server.client();
    for target in ["/api/v1/history/203.0.113.5", "/api/v1/history?source=fail2ban", "/api/v1/dashboard/bans"] {
        admin.get(target).expect_error(502, "fail2ban_database_unreadable");
        let elapsed = other.get("/api/v1/setup").expect(200).elapsed;
        assert!(elapsed < Duration::from_millis(500), "{target}: {elapsed:?}");
    }
    wait_until("health says so", Duration::from_secs(10), || {
        other.get("/api/v1/health").json()["fail2ban_database"] == "error"
    });
    assert_eq!(server.threads(), 1);
}

/// Runs `check` on a database, and gives what it said.
fn check(database: &std::path::Path) -> String {
    let output = std::process::Command::new("timeout")
        .args(["20", env!("CARGO_BIN_EXE_bangui"), "check", "--fail2ban-socket", "/nonexistent/s", "--database"])
        .arg(database)
        .output()
        .unwrap();
    assert_ne!(output.status.code(), Some(124), "it hangs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_database_of_another_program_is_refused_untouched_and_a_pipe_at_once() {
    let directory = tempfile::tempdir().unwrap();
    for mode in ["DELETE", "WAL"] {
        let path = directory.path().join(format!("{mode}.db"));
        let other = rusqlite::Connection::open(&path).unwrap();
        other.execute_batch(&format!("PRAGMA journal_mode = {mode}; CREATE TABLE theirs (a);")).unwrap();
        let all = || -> Vec<(std::ffi::OsString, Vec<u8>)> {
            let entries = fs::read_dir(directory.path()).unwrap().flatten();
            let mut all: Vec<_> = entries.map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap())).collect();
            all.sort();
            all
        };
        let before = all();
        let said = check(&path);
        assert!(said.contains("is a database of another program"), "{said}");
        assert!(before == all(), "{mode}: it was touched");
    }
    let pipe = directory.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let said = check(&pipe);
    assert!(said.contains("named pipe"), "{said}");
}

#[test]
fn a_database_that_others_may_read_or_change_is_closed_to_them_and_that_is_said() {
    use std::os::unix::fs::PermissionsExt;
    let mode_of = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (mut server, _) = Launch::without_daemon().start().into_ready();
    for mode in [0o644, 0o666, 0o660, 0o640, 0o602] {
        // Killed, it leaves a log that is read at the next start.
        server.kill();
        let path = server.database();
        let log = path.with_extension("db-wal");
        for file in [&path, &log] {
            fs::set_permissions(file, PermissionsExt::from_mode(mode)).unwrap();
        }
        server.start_again();
        assert_eq!((mode_of(&path), mode_of(&log)), (0o600, 0o600), "{mode:o}");
        assert_eq!(server.log().matches("its mode was put right").count(), 2, "{}", server.log());
    }
}

#[test]
fn a_log_beside_the_database_that_is_no_file_is_refused() {
    let (mut server, _) = Launch::without_daemon().start().into_ready();
    server.kill();
    let log = server.database().with_extension("db-wal");
    fs::remove_file(&log).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&log).status().unwrap().success());
    let said = check(&server.database());
    assert!(said.contains("bangui.db-wal: it is a named pipe"), "{said}");
    fs::remove_file(&log).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &log).unwrap();
    let said = check(&server.database());
    assert!(said.contains("bangui.db-wal: it is a link"), "{said}");
}

#[test]
fn a_database_that_was_cut_short_is_not_taken_for_an_empty_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bangui.db");
    check(&path);
    let whole = fs::read(&path).unwrap();
    assert!(whole.len() > 8192);
    for length in [1, 15, 16, 50, 99, 100, 111, 112, 512, 4095, 4096, 4097, 8192, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        let said = check(&path);
        assert!(said.contains("database of bangui") && said.contains("left as it is"), "{length}: {said}");
        assert!(fs::read(&path).unwrap() == whole[..length], "{length}: it was touched");
    }
    // An empty file was made for us.
    fs::write(&path, "").unwrap();
    check(&path);
    assert_eq!(fs::read(&path).unwrap().len(), whole.len());
}

#[test]
fn a_logout_on_a_full_disk_ends_the_session() {
    if !crate::storage::can_mount() {
        return;
    }
    let (server, admin) = Launch::without_daemon().on_disk("1m").start().into_ready();
    let other = server.client().login();
    let filler = server.disk().join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[0x55; 4096]).is_ok() {}
    drop(file);
    wait_until("the database takes no writes", Duration::from_secs(30), || {
        admin
            .put(
                "/api/v1/config/map-color-thresholds",
                json!({"threshold_high": 90, "threshold_medium": 50, "threshold_low": 20}),
            )
            .status
            == 503
    });
    let answer = admin.post_empty("/api/v1/auth/logout").expect(200);
    assert!(answer.header("x-bangui-warning").is_none(), "{answer}");
    admin.get("/api/v1/auth/session").expect(401);
    // What is on the full disk is what a kill would leave. The session stays over, and the other one good.
    let (mut after, _) = Launch::without_daemon().start().into_ready();
    after.kill();
    for ending in ["", "-wal", ".ended"] {
        let of = |path: std::path::PathBuf| format!("{}{ending}", path.display());
        fs::copy(of(server.disk().join("bangui.db")), of(after.database())).unwrap();
    }
    after.start_again();
    let session = |of: &Client| after.client().with_identity(Identity::Cookie(of.token().to_owned()));
    session(&other).get("/api/v1/auth/session").expect(200);
    session(&admin).get("/api/v1/auth/session").expect(401);
    fs::remove_file(&filler).unwrap();
    wait_until("the database knows it, too", Duration::from_secs(30), || server.log().contains("takes writes again"));
    admin.get("/api/v1/auth/session").expect(401);
    other.get("/api/v1/auth/session").expect(200);
}

#[test]
fn a_limit_of_the_size_of_files_is_an_error_and_not_the_end() {
    let (mut server, admin) = Launch::without_daemon().start().into_ready();
    let limit = libc::rlimit { rlim_cur: 1, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: prlimit reads one struct, and writes nowhere.
    let done = unsafe { libc::prlimit(server.pid() as i32, libc::RLIMIT_FSIZE, &limit, std::ptr::null_mut()) };
    assert_eq!(done, 0);
    let colors = json!({"threshold_high": 90, "threshold_medium": 50, "threshold_low": 20});
    admin.put("/api/v1/config/map-color-thresholds", colors).expect_error(503, "storage_unavailable");
    // What is as it was is not written.
    let same = json!({"threshold_high": 100, "threshold_medium": 50, "threshold_low": 20});
    admin.put("/api/v1/config/map-color-thresholds", same).expect(200);
    assert!(server.is_running());
}

#[test]
fn a_ban_of_half_the_world_or_of_nobody_needs_force() {
    let daemon = RealDaemon::start();
    let (_server, admin) = launch(&daemon);
    for (ip, reason) in [
        ("2000::/3", "too_wide"),
        ("64.0.0.0/2", "too_wide"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("239.1.0.0/16", "multicast"),
    ] {
        let refused = admin.post("/api/v1/bans", json!({"ip": ip, "jail": "lab"})).expect_error(409, "conflict");
        assert_eq!(refused.json()["metadata"]["reason"], reason, "{ip}");
    }
    admin.post("/api/v1/bans", json!({"ip": "224.0.0.1", "jail": "lab", "force": true})).expect(201);
    admin.post("/api/v1/bans", json!({"ip": "45.0.0.0/8", "jail": "lab"})).expect(201);
}

#[test]
fn fail2ban_never_logs_into_files_that_are_something_else() {
    let daemon = RealDaemon::start();
    let (server, _) = launch(&daemon);
    let logs = format!("{},{}", daemon.config().display(), server.database().parent().unwrap().display());
    let server = server.with_env("BANGUI_ALLOWED_LOG_DIRS", &logs);
    let admin = server.client().login();
    admin.get("/api/v1/history").expect(200);
    for path in [
        daemon.path("jail.local"),
        daemon.path("jail.d/x.log"),
        daemon.path("f.sqlite3"),
        daemon.path("f.sqlite3-journal"),
        server.database(),
        server.database().with_file_name("bangui.db-wal"),
    ] {
        let refused = admin.put("/api/v1/server/settings", json!({"log_target": path}));
        assert_eq!(refused.status, 400, "{}: {refused}", path.display());
    }
    admin.put("/api/v1/server/settings", json!({"log_target": daemon.path("f.log")})).expect(204);
}
