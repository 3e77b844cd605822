//! The audit: that it tells what was done, by whom and from where, together with what was done or not at all; and that nobody who is refused can
//! fill it, wear the disk, or say something in it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bulk::done;
use crate::harness::client::{Client, Identity, PASSWORD};
use crate::harness::contract::demand_seen;
use crate::harness::http::Wire;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server, program};
use crate::harness::wait_until;
use crate::operations::{demand_documented, provoke_general_refusals};

const AUDIT: &str = "/api/v1/audit";
const LOGIN: &str = "/api/v1/auth/login";
const USERS: &str = "/api/v1/users";
const TOKENS: &str = "/api/v1/tokens";
const OTHER: &str = "correct horse battery";
const SOON: Duration = Duration::from_secs(10);

fn events(client: &Client, query: &str) -> Vec<Value> {
    client.get(&format!("{AUDIT}?{query}")).expect(200).json()["items"].as_array().unwrap().clone()
}

/// The kinds of the latest events, the latest first.
fn kinds(client: &Client, count: usize) -> Vec<String> {
    let latest = events(client, &format!("page_size={count}"));
    latest.iter().map(|event| event["event_type"].as_str().unwrap().to_owned()).collect()
}

fn bearer(server: &Server, token: &Value) -> Client {
    server.client().with_identity(Identity::Bearer(token.as_str().unwrap().to_owned()))
}

fn login(server: &Server, name: &str) -> Client {
    let body = json!({"username": name, "password": OTHER, "return_token": true});
    bearer(server, &server.client().post(LOGIN, body).expect(200).json()["token"])
}

/// Runs `bangui` on this database.
fn command(database: &Path, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(program())
        .args(arguments)
        .args(["--database", database.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_documented_status_of_the_audit() {
    let (server, admin) = Launch::without_daemon().start().into_ready();
    assert_eq!(kinds(&admin, 10), ["login", "setup"]);
    let user = |name: &str, role: &str| json!({"name": name, "role": role, "new_password": OTHER});
    admin.post(USERS, user("eve", "operator")).expect(201);
    login(&server, "eve").get(AUDIT).expect_error(403, "insufficient_role");
    // A program may read it, where it may read all of the configuration, and delete nothing.
    let key = |scope: &str, jails: Value| {
        let body =
            json!({"name": format!("k{scope}{}", jails.as_array().unwrap().len()), "scopes": [scope], "jails": jails});
        bearer(&server, &admin.post(TOKENS, body).expect(201).json()["token"])
    };
    let config = key("config", json!([]));
    config.get(AUDIT).expect(200);
    config.delete(&format!("{AUDIT}?before=20200101")).expect_error(403, "session_required");
    key("read", json!([])).get(AUDIT).expect_error(403, "insufficient_scope");
    key("config", json!(["lab"])).get(AUDIT).expect_error(403, "insufficient_scope");
    // Filters, and what is none.
    assert_eq!(events(&admin, "event_type=login,%20user_created").len(), 3);
    assert_eq!(events(&admin, "event_type=login&actor=eve").len(), 1);
    assert_eq!(events(&admin, "actor=system").len(), 1, "setup has no user yet");
    assert_eq!(events(&admin, "q=OPERATOR&event_type=user_created").len(), 1);
    assert_eq!(
        events(&admin, "client=127.0.0.1").len() + events(&admin, "client=unknown").len(),
        events(&admin, "").len()
    );
    assert_eq!(events(&admin, "client=192.0.2.1&actor=eve&to=2020-01-01T00:00:00Z"), Vec::<Value>::new());
    assert_eq!(events(&admin, "from=2020-01-01T00:00:00Z&page_size=2&page=2").len(), 2);
    let found = admin.get(&format!("{AUDIT}?q=k&page_size=1&page=2")).expect(200).json();
    assert_eq!((found["items"].as_array().unwrap().len(), &found["pagination"]["has_prev_page"]), (1, &json!(true)));
    let refused = admin.get(&format!("{AUDIT}?event_type=login,hacked")).expect_error(400, "invalid_input").json();
    assert!(refused["metadata"]["allowed"].as_array().unwrap().contains(&json!("token_refused")), "{refused}");
    for wrong in
        ["from=yesterday", "from=2024-01-02T00:00:00Z&to=2024-01-01T00:00:00Z", "page=0", "actor=%01", "sort=id"]
    {
        admin.get(&format!("{AUDIT}?{wrong}")).expect_error(400, "invalid_input");
    }
    for wrong in ["", "2024-01-01", "20241301", "0", "-20240101", "99999999999"] {
        let refused = admin.delete(&format!("{AUDIT}?before={wrong}")).expect_error(400, "invalid_input").json();
        assert_eq!(refused["detail"], "before must be a YYYYMMDD integer.");
    }
    let refused = admin.delete(AUDIT).expect_error(400, "invalid_input").json();
    assert_eq!(refused["detail"], "The parameter \"before\" is missing.");
    assert_eq!(admin.delete(&format!("{AUDIT}?before=20200101")).expect(200).json(), json!({"deleted": 0}));
    let before = events(&admin, "page_size=500").len();
    assert_eq!(admin.delete(&format!("{AUDIT}?before=21000101")).expect(200).json(), json!({"deleted": before}));
    let left = events(&admin, "");
    assert_eq!(
        (left.len(), &left[0]["event_type"], &left[0]["actor"]["name"]),
        (1, &json!("audit_deleted"), &json!("admin"))
    );
    provoke_general_refusals(AUDIT);
    demand_documented(AUDIT);
    demand_seen("GET /api/v1/audit", &[403]);
    demand_seen("DELETE /api/v1/audit", &[403]);
}

#[test]
fn what_people_do_with_access_is_told_with_who_and_from_where() {
    let (mut server, admin) = Launch::without_daemon().start().into_ready();
    let user = json!({"name": "@SUM.A1", "role": "viewer", "new_password": OTHER});
    admin.post(USERS, user).expect(201);
    let own = format!("{USERS}/@SUM.A1");
    admin.put(&own, json!({"role": "admin"})).expect(200);
    admin.put(&own, json!({"role": "admin"})).expect(200);
    assert_eq!(kinds(&admin, 2), ["user_changed", "user_created"], "what changes nothing is none");
    let changed = events(&admin, "event_type=user_changed").remove(0);
    assert_eq!(changed["changes"], json!([{"field": "role", "before": "viewer", "after": "admin"}]));
    assert_eq!((&changed["target"], &changed["actor"]), (&json!("@SUM.A1"), &json!({"kind": "user", "name": "admin"})));
    let other = login(&server, "@SUM.A1");
    let made = other.post(TOKENS, json!({"name": "key", "scopes": ["config"]})).expect(201).json();
    let one = format!("{TOKENS}/{}", made["id"]);
    let key = bearer(&server, &made["token"]);
    other.put(&one, json!({"scopes": ["config", "bans"]})).expect(200);
    let rotated = other.post_empty(&format!("{one}/rotate")).expect(200).json();
    key.get("/api/v1/jails").expect_error(401, "invalid_token");
    let key = bearer(&server, &rotated["token"]);
    let settings = |days: u32| json!({"archive_days": days});
    key.put("/api/v1/settings", settings(100)).expect_error(403, "session_required");
    key.post("/api/v1/blocklists", json!({"name": "=cmd()", "url": "https://9.9.9.9/list?token=hunter2"})).expect(201);
    other.put("/api/v1/settings", settings(100)).expect(200);
    other.put("/api/v1/settings", settings(100)).expect(200);
    let channel =
        json!({"name": "hook", "kind": "webhook", "url": "https://example.org/?key=hunter2", "secret": "hunter2"});
    let channel = other.post("/api/v1/notifications", channel).expect(201).json();
    other.put(&format!("/api/v1/notifications/{}", channel["id"]), json!({"secret": "hunter3"})).expect(200);
    other.delete(&format!("/api/v1/notifications/{}", channel["id"])).expect(204);
    other.delete(&one).expect(204);
    other.put("/api/v1/auth/password", json!({"current_password": OTHER, "new_password": PASSWORD})).expect(204);
    other.post_empty("/api/v1/auth/logout").expect(200);
    admin.delete(&own).expect(204);
    let told = events(
        &admin,
        "event_type=token_created,token_changed,token_rotated,token_deleted,blocklist_changed,\
        settings_changed,password_changed,logout,user_deleted",
    );
    let kinds: Vec<&str> = told.iter().rev().map(|event| event["event_type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "token_created",
            "token_changed",
            "token_rotated",
            "blocklist_changed",
            "settings_changed",
            "settings_changed",
            "settings_changed",
            "settings_changed",
            "token_deleted",
            "password_changed",
            "logout",
            "user_deleted"
        ]
    );
    let by: Vec<&str> = told.iter().rev().map(|event| event["actor"]["name"].as_str().unwrap()).collect();
    assert_eq!((by[3], by[4], by[11]), ("key", "@SUM.A1", "admin"));
    let text = json!(events(&admin, "page_size=500")).to_string();
    for secret in ["hunter", PASSWORD, OTHER, &made["token"].as_str().unwrap()[8..], "argon2"] {
        assert!(!text.contains(secret), "{secret} is told");
    }
    // None of it is a formula where a spreadsheet opens it.
    let csv = admin.with_header("Accept", "text/csv").get(AUDIT).expect(200);
    let csv = String::from_utf8(csv.body).unwrap();
    assert!(csv.contains(",'@SUM.A1,") && csv.contains(",'=cmd(),"), "{csv}");
    assert!(csv.split(['\n', ',']).all(|cell| !cell.starts_with(['=', '@', '+'])), "{csv}");
    assert_eq!(csv.lines().count(), events(&admin, "page_size=500").len() + 1);
    // At the machine, beside a server and without one.
    let database = server.database();
    assert!(command(&database, &["audit", "--search", "@sum", "--number", "5"], "").contains("user_deleted"));
    command(&database, &["unlock"], "");
    let stored = events(&admin, "")[0].clone();
    assert_eq!((&stored["event_type"], &stored["actor"]["kind"]), (&json!("unlock"), &json!("console")));
    server.kill();
    command(&database, &["set-password"], &format!("{OTHER}\n"));
    let shown: Value =
        serde_json::from_str(&command(&database, &["audit", "--json", "--actor", "console", "--number", "2"], ""))
            .unwrap();
    let latest = &shown["items"][0];
    assert_eq!((&latest["event_type"], &latest["target"]), (&json!("password_changed"), &json!("admin")));
    assert_eq!(shown["items"][1], stored, "a kill loses nothing");
}

#[test]
fn what_is_done_to_fail2ban_is_told_when_it_is_in_force() {
    let daemon = RealDaemon::start();
    let (_server, admin) = Launch::for_real(&daemon).start().into_ready();
    let latest = |query: &str| events(&admin, query).into_iter().next().unwrap_or_default();
    let nothing_else = |what: &str| assert_eq!(kinds(&admin, 1), [what]);
    admin.post("/api/v1/bans", json!({"ip": "203.0.113.9", "jail": "none"})).expect_error(404, "jail_not_found");
    nothing_else("login");
    admin
        .post("/api/v1/bans", json!({"ip": "203.0.113.9", "jail": "lab", "duration": -1, "note": "scans"}))
        .expect(201);
    let ban = latest("");
    assert_eq!((&ban["event_type"], &ban["target"]), (&json!("ban"), &json!("203.0.113.9")));
    assert_eq!(ban["detail"], "In lab for ever. Note: scans");
    admin.delete_with("/api/v1/bans", json!({"ip": "203.0.113.9"})).expect(200);
    nothing_else("unban");
    admin.delete_with("/api/v1/bans", json!({"ip": "203.0.113.9"})).expect(200);
    assert_eq!(kinds(&admin, 2), ["unban", "ban"], "what lifts nothing is none");
    // A thousand bans are one event.
    let ips: Vec<String> = (0..200).map(|n| format!("10.0.0.{n}")).collect();
    done(&admin, "/api/v1/bans/bulk", json!({"ips": ips, "jail": "lab", "duration": "1h"}));
    assert_eq!(kinds(&admin, 2), ["ban", "unban"]);
    let bulk = latest("");
    assert_eq!(
        (&bulk["target"], bulk["detail"].as_str().unwrap().contains("200 banned in lab")),
        (&json!("10.0.0.0 and 199 more"), true)
    );
    admin.post("/api/v1/addresses/10.0.0.1/release", json!({})).expect(200);
    assert_eq!(latest("")["detail"], "Let out of lab.");
    admin.delete("/api/v1/bans/all").expect(200);
    assert_eq!(latest("")["target"], "*");
    // What the daemon does by itself is in its history.
    daemon.client(&["set", "lab", "banip", "203.0.113.10"]);
    let kept =
        admin.post("/api/v1/never-ban", json!({"entry": "198.51.100.0/24", "jails": ["lab"]})).expect(201).json();
    admin.put(&format!("/api/v1/never-ban/{}", kept["id"]), json!({"note": "ours"})).expect(200);
    admin.delete(&format!("/api/v1/never-ban/{}", kept["id"])).expect(204);
    let kept: Vec<Value> = events(&admin, "event_type=never_ban_added,never_ban_removed");
    assert_eq!(
        (kept.len(), &kept[0]["target"], &kept[1]["changes"][0]["after"]),
        (3, &json!("198.51.100.0/24"), &json!("ours"))
    );
    for (path, body, what) in [
        ("jails/lab/pause", json!({"for": "1h"}), "jail_paused"),
        ("jails/lab/resume", Value::Null, "jail_paused"),
        ("jails/lab/stop", Value::Null, "jail_stopped"),
        ("jails/lab/start", Value::Null, "jail_started"),
        ("jails/lab/reload", Value::Null, "reload"),
    ] {
        let target = format!("/api/v1/{path}");
        let answer = if body.is_null() { admin.post_empty(&target) } else { admin.post(&target, body) };
        answer.expect(200);
        let event = latest("");
        assert_eq!((event["event_type"].as_str().unwrap(), &event["target"]), (what, &json!("lab")));
    }
    admin.post("/api/v1/config/reload?dry_run=true", json!({})).expect(200);
    nothing_else("reload");
    // The configuration: pending, written, taken back.
    let jail = "/api/v1/config/jails/lab";
    admin.put(jail, json!({"max_retry": 7})).expect(200);
    let pending = latest("");
    assert_eq!((&pending["event_type"], &pending["changes"][0]["after"]), (&json!("config_changed"), &json!(7)));
    admin.post_empty(&format!("{jail}/commit")).expect(200);
    let written = latest("");
    assert_eq!((&written["event_type"], &written["target"]), (&json!("config_changed"), &json!("lab")));
    assert_eq!(written["changes"][0]["field"], "lab.max_retry");
    let change = admin.get("/api/v1/config/changes").expect(200).json()["items"][0]["id"].clone();
    admin.post_empty(&format!("/api/v1/config/changes/{change}/undo")).expect(200);
    nothing_else("config_undone");
    admin.put("/api/v1/server/settings", json!({"log_level": "DEBUG"})).expect(204);
    assert_eq!(latest("")["changes"], json!([{"field": "log_level", "before": "INFO", "after": "DEBUG"}]));
    admin.post_empty("/api/v1/blocklists/import").expect(200);
    nothing_else("import");
    assert!(events(&admin, "page_size=500").iter().all(|event| event["target"] != "203.0.113.10"));
}

/// Transactions in the log of a database: the frames that end one.
fn transactions(database: &Path) -> usize {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    let bytes = fs::read(log).unwrap_or_default();
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    if bytes.len() < 32 {
        return 0;
    }
    // A log is begun anew at its front, with another salt: what lies behind is of the one before.
    let (page, salt) = (number(8) as usize, number(16));
    let frames = (32..bytes.len().saturating_sub(24)).step_by(page + 24);
    frames.take_while(|at| number(at + 8) == salt).filter(|at| number(at + 4) > 0).count()
}

/// From many addresses, by way of a proxy that says from which.
fn refused_logins(server: &Server, range: std::ops::Range<usize>) -> [usize; 2] {
    let body = json!({"password": "wrong", "username": "hunter2"}).to_string();
    let (mut wire, mut seen) = (Wire::connect(server.address()), [0, 0]);
    wire.set_patience(Duration::from_secs(60));
    for number in range {
        wire.send(format!(
            "POST {LOGIN} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 198.18.{}.{}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            number / 250 % 20,
            number % 250,
            body.len()
        ));
        match wire.try_answer("POST").unwrap().status {
            401 => seen[0] += 1,
            429 => seen[1] += 1,
            other => panic!("{other}"),
        }
    }
    seen
}

#[test]
fn ten_thousand_refused_logins_from_five_thousand_addresses_fill_neither_audit_nor_disk() {
    let launch = Launch::without_daemon().env("BANGUI_TRUSTED_PROXIES", "127.0.0.0/8").env("BANGUI_LOG_LEVEL", "error");
    let (mut server, admin) = launch.start().into_ready();
    server.kill();
    // The first hundred wrong passwords are counted one by one, until strangers have to wait. They have been.
    let database = rusqlite::Connection::open(server.database()).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    let strangers = "INSERT INTO login_failures (client, failures, window_start, blocked_until, blocks) VALUES ('*', 100, ?1, 0, 0)";
    database.execute(strangers, [now]).unwrap();
    drop(database);
    server.start_again();
    let admin = server.client().with_identity(Identity::Bearer(admin.token().to_owned()));
    let (before, began) = (transactions(&server.database()), Instant::now());
    let [wrong, blocked] = refused_logins(&server, 0..10_000);
    assert_eq!((wrong, blocked), (0, 10_000));
    wait_until("all of them are told", SOON, || {
        let refused = events(&admin, "event_type=login_blocked&page_size=500");
        refused.iter().map(|event| event["count"].as_u64().unwrap()).sum::<u64>() == 10_000
    });
    let seconds = began.elapsed().as_secs_f64();
    let written = transactions(&server.database()).saturating_sub(before);
    assert!(written as f64 <= seconds + 2.0, "{written} transactions in {seconds:.1} s");
    let blocked = events(&admin, "event_type=login_blocked&page_size=500");
    // 64 and the others, in each of the minutes that it took.
    let minutes = seconds as usize / 60 + 2;
    assert!((65..=65 * minutes).contains(&blocked.len()), "{} rows", blocked.len());
    assert!(blocked.iter().any(|event| event["client"] == "others" && event["count"].as_u64().unwrap() > 4000));
    assert!(!json!(blocked).to_string().contains("hunter2"), "what was typed as a name may be a password");
    assert_eq!(events(&admin, "event_type=setup,login").len(), 2, "what was done before is still there");
    eprintln!("10 000 refused logins: {written} transactions in {seconds:.1} s, {} rows", blocked.len());
}
