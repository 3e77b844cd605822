//! Who is never banned: in force in every jail at once and after restarts of everything, beside what others have written; let out; for as long as
//! was said.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::client::{Client, Identity};
use crate::harness::contract::demand_seen;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::wait_until;
use crate::operations::{demand_documented, provoke_general_refusals};

const LIST: &str = "/api/v1/never-ban";
const NET: &str = "203.0.113.0/24";
const IP: &str = "203.0.113.7";
const FILE: &str = "jail.d/zzz-bangui-never-ban.local";
const FIRST: &str = "jail.d/00-bangui-never-ban.conf";
const SOON: Duration = Duration::from_secs(15);

/// What a running jail ignores, in order.
fn ignores(daemon: &RealDaemon, jail: &str) -> Vec<String> {
    let told = daemon.client(&["get", jail, "ignoreip"]);
    let words = told.lines().filter_map(|line| line.strip_prefix("|- ").or_else(|| line.strip_prefix("`- ")));
    let mut all: Vec<String> = words.map(str::to_owned).collect();
    all.sort();
    all
}

#[track_caller]
fn expect_ignored(daemon: &RealDaemon, jail: &str, what: &[&str]) {
    let mut wanted: Vec<&str> = what.to_vec();
    wanted.sort_unstable();
    wait_until(&format!("{jail} ignores {what:?}"), SOON, || ignores(daemon, jail) == wanted);
}

fn own(admin: &Client) -> Vec<Value> {
    let list = admin.get(LIST).expect(200).json();
    list["items"].as_array().unwrap().iter().filter(|item| !item["id"].is_null()).cloned().collect()
}

/// Somebody fails three times in the log of a jail.
fn fail(daemon: &RealDaemon, ip: &str) {
    let now = jiff::Zoned::now().strftime("%b %e %H:%M:%S").to_string();
    for _ in 0..3 {
        let line = format!("{now} host sshd[1]: Failed password for root from {ip} port 4 ssh2");
        daemon.append_log("auth.log", &line);
    }
}

#[test]
fn an_entry_is_in_force_at_once_and_after_restarts_of_everything_and_goes_again() {
    let mut daemon = RealDaemon::configured();
    fs::write(daemon.path("jail.local"), "[lab]\nignoreip = 10.9.9.9 host.invalid\n").unwrap();
    let by_hand = "[DEFAULT]\nbantime.maxtime = 1w\n[slow]\nignoreip = %(known/bantime)s\n";
    fs::write(daemon.path("jail.d/by-hand.local"), by_hand.replace("%(known/bantime)s", "10.8.8.8")).unwrap();
    let kept = fs::read(daemon.path("jail.local")).unwrap();
    daemon.start_again();
    let logs = daemon.path("");
    let launch = Launch::for_real(&daemon).args(&["--allowed-log-dirs", logs.to_str().unwrap()]);
    let (mut server, admin) = launch.start().into_ready();
    for jail in ["lab", "sshd", "slow"] {
        daemon.client(&["set", jail, "banip", IP]);
    }
    daemon.client(&["set", "lab", "banip", "203.0.112.0/23"]);
    daemon.client(&["set", "lab", "banip", "198.51.100.1"]);
    admin.post("/api/v1/bans", json!({"ip": "203.0.113.9", "jail": "lab", "duration": "4w"})).expect(201);
    let made = admin.post(LIST, json!({"entry": "203.0.113.77/24", "note": "The office"})).expect(201);
    assert_eq!(made.header("x-bangui-warning"), None, "{made}");
    let made = made.json();
    assert_eq!((&made["entry"], &made["kind"], &made["in_force"]), (&json!(NET), &json!("network"), &json!(true)));
    assert_eq!(made["actor"], json!({"kind": "user", "name": "admin"}));
    assert_eq!(made["lifted"].as_array().unwrap().len(), 5, "{made}");
    assert_eq!(daemon.banned("lab"), ["198.51.100.1"]);
    assert!(daemon.banned("sshd").is_empty() && daemon.banned("slow").is_empty());
    // Beside what others have written, in the running jails and in the files.
    let demand = |daemon: &RealDaemon| {
        expect_ignored(daemon, "lab", &["10.9.9.9", "host.invalid", NET]);
        expect_ignored(daemon, "sshd", &[NET]);
        expect_ignored(daemon, "slow", &["10.8.8.8", NET]);
    };
    demand(&daemon);
    daemon.client(&["reload"]);
    demand(&daemon);
    admin.post_empty("/api/v1/config/reload").expect(204);
    demand(&daemon);
    fail(&daemon, IP);
    fail(&daemon, "198.51.100.2");
    wait_until("who is not ignored", SOON, || daemon.banned("sshd").contains(&"198.51.100.2".to_owned()));
    assert!(!daemon.banned("sshd").contains(&IP.to_owned()));
    // The guard, unless it is forced.
    let refused = admin.post("/api/v1/bans", json!({"ip": IP, "jail": "lab"})).expect(409).json();
    assert_eq!((&refused["metadata"]["reason"], &refused["metadata"]["entry"]), (&json!("never_ban"), &json!(NET)));
    let why =
        "203.0.113.7 is on the never-ban list as 203.0.113.0/24: \"The office\"; use force to ban it all the same.";
    assert_eq!((&refused["detail"], &refused["metadata"]["note"]), (&json!(why), &json!("The office")));
    let whole = admin.post("/api/v1/bans", json!({"ip": NET, "jail": "lab"})).expect(409).json();
    assert!(whole["detail"].as_str().unwrap().starts_with("203.0.113.0/24 is on the never-ban list: \"The"), "{whole}");
    assert_eq!(admin.post("/api/v1/bans/check", json!({"ip": IP})).expect(200).json()["reason"], "never_ban");
    let other = admin.delete_with("/api/v1/jails/lab/ignoreip", json!({"ip": NET}));
    assert!(other.expect_error(409, "conflict").to_string().contains("never-ban list"));
    // Restarts: of the daemon, of this program, of both.
    daemon.stop();
    daemon.start_again();
    demand(&daemon);
    server.kill();
    daemon.kill();
    daemon.start_again();
    demand(&daemon);
    assert_eq!(fs::read(daemon.path("jail.local")).unwrap(), kept);
    server.start_again();
    let admin = server.client().with_identity(admin.identity.clone());
    assert_eq!(own(&admin)[0]["note"], "The office");
    // A jail that is made later, by this program and by hand.
    let new = json!({"name": "later", "filter": "lab", "log_paths": [daemon.path("lab.log")], "enabled": true});
    admin.post("/api/v1/config/jails", new).expect(201);
    expect_ignored(&daemon, "later", &[NET]);
    let text = format!("[hand]\nenabled = true\nfilter = lab\nlogpath = {}\n", daemon.path("lab.log").display());
    fs::write(daemon.path("jail.d/hand.local"), text).unwrap();
    admin.post_empty("/api/v1/config/reload").expect(204);
    expect_ignored(&daemon, "hand", &[NET]);
    admin.delete("/api/v1/config/jails/later").expect(204);
    let jails = admin.get("/api/v1/config/jails").expect(200).json().to_string();
    assert!(!jails.contains("\"later\""), "its section goes with it: {jails}");
    // Off the list, by what it names.
    admin.delete(&format!("{LIST}/203.0.113.0%2F24")).expect(204);
    expect_ignored(&daemon, "lab", &["10.9.9.9", "host.invalid"]);
    expect_ignored(&daemon, "hand", &[]);
    assert!(!daemon.path(FILE).exists() && !daemon.path(FIRST).exists());
    daemon.client(&["reload"]);
    expect_ignored(&daemon, "slow", &["10.8.8.8"]);
    let changes = admin.get("/api/v1/config/changes").expect(200).json();
    let mut newest = changes["items"].as_array().unwrap().iter();
    let of_list = newest.find(|item| item["paths"].as_array().unwrap().iter().any(|path| path == FILE)).unwrap();
    assert_eq!(of_list["actor"], json!({"kind": "user", "name": "admin"}), "{changes}");
    // The files follow the list: what brought an entry into them is taken back by taking the entry off.
    let undo = format!("/api/v1/config/changes/{}/undo", of_list["id"]);
    let refused = admin.post_empty(&undo).expect_error(409, "conflict").json();
    assert!(refused["detail"].as_str().unwrap().contains("bangui never-ban"), "{refused}");
    assert!(!daemon.path(FILE).exists());
}

#[test]
fn the_list_is_sorted_searched_and_given_as_csv() {
    let mut daemon = RealDaemon::configured();
    fs::write(daemon.path("jail.local"), "[lab]\nignoreip = 10.9.9.9\n").unwrap();
    daemon.start_again();
    let (_server, admin) = Server::ready(&daemon);
    for (entry, note) in [("198.51.100.9", "b, the \"second\""), ("192.0.2.0/24", "=A"), ("host.invalid", "c")] {
        admin.post(LIST, json!({"entry": entry, "note": note})).expect(201);
    }
    let entries = |query: &str| -> Vec<String> {
        let list = admin.get(&format!("{LIST}{query}")).expect(200).json();
        list["items"].as_array().unwrap().iter().map(|item| item["entry"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(entries(""), ["host.invalid", "192.0.2.0/24", "198.51.100.9", "10.9.9.9"]);
    assert_eq!(entries("?sort=entry"), ["10.9.9.9", "192.0.2.0/24", "198.51.100.9", "host.invalid"]);
    assert_eq!(entries("?sort=-id&page_size=2"), ["host.invalid", "192.0.2.0/24"]);
    assert_eq!(entries("?q=SECOND"), ["198.51.100.9"]);
    assert_eq!(entries("?q=jail.local"), ["10.9.9.9"]);
    let refused = admin.get(&format!("{LIST}?sort=x")).expect_error(400, "invalid_input").json();
    assert_eq!(refused["metadata"]["allowed"][1], "entry");
    let csv = admin.with_header("Accept", "text/csv").get(LIST).expect(200);
    let text = String::from_utf8(csv.body.clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("id,entry,kind,jails,note,") && lines.len() == 5, "{text}");
    assert!(
        lines[2].contains("192.0.2.0/24,network,,'=A,") && lines[3].contains("\"b, the \"\"second\"\"\""),
        "{text}"
    );
    assert!(lines[4].contains("10.9.9.9") && lines[4].contains("jail.local"), "{text}");
    // A jail that is nowhere is a mistake; one that only stands in the files is not.
    let unknown = admin.post(LIST, json!({"entry": IP, "jails": ["lab", "nojail"]})).expect_error(422, "invalid_input");
    let error = unknown.json()["metadata"]["errors"][0].clone();
    assert_eq!((&error["source_field"], &error["rule"]), (&json!("jails.1"), &json!("unknown")), "{error}");
    assert!(error["detail"].as_str().unwrap().contains("there are blocklist-import, lab, off, slow, sshd."), "{error}");
    assert_eq!(entries("").len(), 4, "it is not on the list");
    expect_ignored(&daemon, "lab", &["10.9.9.9", "192.0.2.0/24", "198.51.100.9", "host.invalid"]);
    let one = admin.post(LIST, json!({"entry": IP, "jails": ["off"]})).expect(201).json();
    let path = format!("{LIST}/{}", one["id"]);
    admin.put(&path, json!({"jails": ["nojail"]})).expect_error(422, "invalid_input");
    assert_eq!(own(&admin)[0]["jails"], json!(["off"]));
    admin.put(&path, json!({"jails": ["off", "sshd"]})).expect(200);
    expect_ignored(&daemon, "sshd", &["192.0.2.0/24", "198.51.100.9", IP, "host.invalid"]);
}

#[test]
fn the_list_shows_what_files_ignore_and_leaves_it_alone() {
    let mut daemon = RealDaemon::configured();
    fs::write(
        daemon.path("jail.local"),
        "# ours\n[DEFAULT]\nignoreip = 127.0.0.1/8\n[lab]\nignoreip = %(known/ignoreip)s 10.9.9.9\n",
    )
    .unwrap();
    daemon.start_again();
    let (_server, admin) = Server::ready(&daemon);
    let one = admin.post(LIST, json!({"entry": "192.0.2.1", "jails": ["lab"], "duration": "2h"})).expect(201).json();
    let items = admin.get(LIST).expect(200).json()["items"].clone();
    let found: Vec<(Value, Value, Value)> = items
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["entry"].clone(), item["jails"].clone(), item["source"]["file"].clone()))
        .collect();
    let file = json!("jail.local");
    assert_eq!(found[0], (json!("192.0.2.1"), json!(["lab"]), json!(null)));
    assert!(found.contains(&(json!("127.0.0.1/8"), json!(["sshd", "slow"]), file.clone())), "{found:?}");
    assert!(found.contains(&(json!("10.9.9.9"), json!(["lab"]), file.clone())), "{found:?}");
    expect_ignored(&daemon, "lab", &["10.9.9.9", "127.0.0.0/8", "192.0.2.1"]);
    expect_ignored(&daemon, "sshd", &["127.0.0.0/8"]);
    daemon.client(&["reload"]);
    expect_ignored(&daemon, "lab", &["10.9.9.9", "127.0.0.0/8", "192.0.2.1"]);
    let refused = admin.delete(&format!("{LIST}/10.9.9.9")).expect_error(409, "conflict").json();
    assert_eq!(refused["metadata"]["file"], "jail.local", "{refused}");
    admin.put(&format!("{LIST}/10.9.9.9"), json!({"note": "x"})).expect_error(409, "conflict");
    // What a jail's configuration shows is what others have written, and can be sent back.
    let jail = admin.get("/api/v1/config/jails/lab").expect(200).json();
    assert_eq!(jail["jail"]["ignore_ips"], json!(["127.0.0.1/8", "10.9.9.9"]));
    let values = json!({"jail": {"ignore_ips": ["127.0.0.1/8", "10.7.7.7"]}});
    admin.put("/api/v1/config/jails/lab", values).expect(200);
    expect_ignored(&daemon, "lab", &["10.7.7.7", "127.0.0.0/8", "192.0.2.1"]);
    admin.post_empty("/api/v1/config/jails/lab/commit").expect(200);
    expect_ignored(&daemon, "lab", &["10.7.7.7", "127.0.0.0/8", "192.0.2.1"]);
    // Somebody else has the same: it stays ignored when it leaves the list.
    admin.post("/api/v1/jails/slow/ignoreip", json!({"ip": "192.0.2.1"})).expect(201);
    let put = admin.put(&format!("{LIST}/{}", one["id"]), json!({"jails": []})).expect(200).json();
    assert_eq!((&put["jails"], &put["until"]), (&json!([]), &one["until"]));
    expect_ignored(&daemon, "sshd", &["127.0.0.0/8", "192.0.2.1"]);
    let shown = own(&admin)[0].clone();
    admin.put(&format!("{LIST}/{}", one["id"]), shown).expect(200);
    admin.delete(&format!("{LIST}/{}", one["id"])).expect(204);
    expect_ignored(&daemon, "sshd", &["127.0.0.0/8"]);
    expect_ignored(&daemon, "slow", &["127.0.0.0/8", "192.0.2.1"]);
    admin.get(&format!("{LIST}?q=OFFICE")).expect(200);
}

#[test]
fn an_entry_ends_when_its_time_is_over_whoever_was_away_meanwhile() {
    let mut daemon = RealDaemon::start();
    let (mut server, admin) = Server::ready(&daemon);
    admin.post(LIST, json!({"entry": "192.0.2.1", "duration": 2})).expect(201);
    expect_ignored(&daemon, "lab", &["192.0.2.1"]);
    expect_ignored(&daemon, "lab", &[]);
    assert!(own(&admin).is_empty() && !daemon.path(FILE).exists());
    admin.post(LIST, json!({"entry": "192.0.2.2", "duration": 2})).expect(201);
    admin.post(LIST, json!({"entry": "192.0.2.3", "duration": "1h"})).expect(201);
    let end = jiff::Timestamp::now() + Duration::from_secs(3);
    server.kill();
    daemon.stop();
    wait_until("the end", SOON, || jiff::Timestamp::now() > end);
    daemon.start_again();
    expect_ignored(&daemon, "lab", &["192.0.2.2", "192.0.2.3"]);
    server.start_again();
    expect_ignored(&daemon, "lab", &["192.0.2.3"]);
    // The clock that was wrong when it was made: a time to come is to come.
    let admin = server.client().with_identity(admin.identity.clone());
    for until in ["1970-01-01T00:00:10Z", "tomorrow", "2030-01-01"] {
        admin.post(LIST, json!({"entry": "192.0.2.9", "until": until})).expect_error(422, "invalid_input");
    }
}

#[test]
fn what_was_killed_in_between_is_completed() {
    let daemon = RealDaemon::start();
    let (mut server, admin) = Server::ready(&daemon);
    admin.post(LIST, json!({"entry": "192.0.2.3"})).expect(201);
    server.kill();
    let database = rusqlite::Connection::open(server.database()).unwrap();
    let add = "INSERT INTO never_ban (entry, jails, note, at, actor_kind, actor, state) VALUES ('192.0.2.1', '[]', '', 1, 'console', '', 1)";
    database.execute_batch(&format!("{add}; UPDATE never_ban SET state = 2 WHERE entry = '192.0.2.3'")).unwrap();
    drop(database);
    daemon.client(&["set", "lab", "banip", "192.0.2.1"]);
    server.start_again();
    wait_until("the new one is let out", SOON, || daemon.banned("lab").is_empty());
    expect_ignored(&daemon, "lab", &["192.0.2.1"]);
    let admin = server.client().with_identity(admin.identity.clone());
    wait_until("it is in force", SOON, || own(&admin).len() == 1 && own(&admin)[0]["in_force"] == true);
    let file = fs::read_to_string(daemon.path(FILE)).unwrap();
    assert!(file.contains("192.0.2.1") && !file.contains("192.0.2.3"), "{file}");
    // Somebody has spoilt the file: it is as it was with the next load.
    fs::write(daemon.path(FILE), "[lab\nignoreip = 0.0.0.0/0\n").unwrap();
    admin.post_empty("/api/v1/config/reload").expect(204);
    assert_eq!(fs::read_to_string(daemon.path(FILE)).unwrap(), file);
    expect_ignored(&daemon, "lab", &["192.0.2.1"]);
}

#[test]
fn a_host_is_let_out_under_the_addresses_that_it_has_and_gets() {
    let daemon = RealDaemon::start();
    let hosts = daemon.path("hosts");
    fs::write(&hosts, "127.0.0.1 localhost\n198.51.100.5 office.bangui-test.example\n").unwrap();
    let launch = Launch::for_real(&daemon).seeing(&hosts, "/etc/hosts".as_ref());
    let (mut server, admin) = launch.start().into_ready();
    for ip in ["198.51.100.5", "198.51.100.6", "198.51.100.7"] {
        daemon.client(&["set", "lab", "banip", ip]);
    }
    let made = admin.post(LIST, json!({"entry": "Office.bangui-test.example."})).expect(201).json();
    assert_eq!((&made["kind"], &made["addresses"]), (&json!("name"), &json!(["198.51.100.5"])));
    assert_eq!(daemon.banned("lab"), ["198.51.100.6", "198.51.100.7"]);
    expect_ignored(&daemon, "lab", &["office.bangui-test.example"]);
    let refused = admin.post("/api/v1/bans", json!({"ip": "198.51.100.5", "jail": "lab"})).expect(409).json();
    assert_eq!(refused["metadata"]["reason"], "never_ban");
    // It moves: found by the next look, of which there is one at each start.
    fs::write(&hosts, "127.0.0.1 localhost\n198.51.100.6 office.bangui-test.example\n").unwrap();
    server.kill();
    server.start_again();
    wait_until("its new address", SOON, || daemon.banned("lab") == ["198.51.100.7"]);
    // One that nobody knows is kept, and said.
    let admin = server.client().with_identity(admin.identity.clone());
    let unknown = admin.post(LIST, json!({"entry": "nowhere.bangui-test.invalid"})).expect(201);
    assert!(unknown.header("x-bangui-warning").unwrap().contains("has no address"), "{unknown}");
    assert_eq!(unknown.json()["addresses"], json!([]));
    daemon.client(&["reload"]);
    expect_ignored(&daemon, "lab", &["nowhere.bangui-test.invalid", "office.bangui-test.example"]);
}

#[test]
fn nothing_in_an_entry_or_a_note_gets_into_files_or_commands_as_anything_else() {
    let daemon = RealDaemon::start();
    let (server, admin) = Server::ready(&daemon);
    let names = [
        "[DEFAULT]",
        "a;b",
        "x %(bantime)s",
        "$(touch /tmp/x)",
        "file:/etc/shadow",
        "192.0.2.1\nenabled=false",
        "-x",
        "x\u{0}",
        "1.2.3",
        "",
    ];
    for entry in names {
        admin.post(LIST, json!({"entry": entry})).expect_error(422, "invalid_input");
    }
    for note in ["two\nlines", "a\u{1b}[31m", &"x".repeat(501)] {
        let refused = admin.post(LIST, json!({"entry": IP, "note": note})).expect_error(422, "invalid_input").json();
        assert_eq!(refused["metadata"]["errors"][0]["source_field"], "note");
    }
    let notes = [
        "[sshd] enabled = false",
        "; $(reboot) `id` %(known/x)s",
        "['set','lab','bantime',1]",
        "bui_0123456789abcdef0123456789abcdef",
        "=cmd|' /C calc'!A0",
        "\u{202e}gnp.exe",
    ];
    for (number, note) in notes.iter().enumerate() {
        let made = admin.post(LIST, json!({"entry": format!("192.0.2.{number}"), "note": note})).expect(201);
        assert_eq!(made.json()["note"], *note);
    }
    let text = fs::read_to_string(daemon.path(FILE)).unwrap();
    assert!(
        !text.contains("reboot") && !text.contains("bui_") && !text.contains("calc"),
        "no note is in a file: {text}"
    );
    assert!(!server.log().contains("bui_"), "nor in the log");
    assert_eq!(daemon.client(&["get", "lab", "bantime"]), "3600");
    // What would let in everybody.
    for entry in ["0.0.0.0/0", "::/0", "10.0.0.0/7", "2000::/3"] {
        let refused = admin.post(LIST, json!({"entry": entry})).expect_error(409, "conflict").json();
        assert_eq!(refused["metadata"]["reason"], "too_wide", "{refused}");
    }
    let wide = admin.post(LIST, json!({"entry": "0.0.0.0/0", "force": true, "jails": ["slow"]})).expect(201).json();
    expect_ignored(
        &daemon,
        "slow",
        &["0.0.0.0", "192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"],
    );
    admin.put(&format!("{LIST}/{}", wide["id"]), json!({"entry": "::/0"})).expect_error(409, "conflict");
    admin.delete(&format!("{LIST}/{}", wide["id"])).expect(204);
    expect_ignored(&daemon, "slow", &ignores(&daemon, "lab").iter().map(String::as_str).collect::<Vec<_>>());
    let again = admin.post(LIST, json!({"entry": "192.0.2.1/32"})).expect_error(409, "conflict").json();
    assert_eq!(again["metadata"]["reason"], "exists");
}

#[test]
fn there_is_room_for_a_thousand_and_no_more() {
    let daemon = RealDaemon::start();
    let (mut server, admin) = Server::ready(&daemon);
    server.kill();
    let mut database = rusqlite::Connection::open(server.database()).unwrap();
    let transaction = database.transaction().unwrap();
    for number in 0..999 {
        let entry = format!("198.18.{}.{}", number / 250, number % 250);
        let add = "INSERT INTO never_ban (entry, jails, note, at, actor_kind, actor, state) VALUES (?1, '[]', '', 1, 'console', '', 1)";
        transaction.execute(add, [entry]).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    server.start_again();
    let admin = server.client().with_identity(admin.identity.clone());
    wait_until("a thousand entries", SOON, || ignores(&daemon, "lab").len() == 999);
    let last = admin.post(LIST, json!({"entry": IP})).expect(201);
    assert!(last.elapsed < Duration::from_secs(10), "{:?}", last.elapsed);
    let full = admin.post(LIST, json!({"entry": "203.0.113.8"})).expect_error(403, "limit_reached").json();
    assert!(full["detail"].as_str().unwrap().contains("1000/1000"), "{full}");
    let meta = admin.get("/api/v1/meta").expect(200).json();
    assert_eq!(meta["limits"]["never_ban"], json!({"limit": 1000, "used": 1000}));
    assert_eq!(meta["client"]["is_never_banned"], false);
    daemon.client(&["reload"]);
    assert_eq!(ignores(&daemon, "sshd").len(), 1000);
    let page = admin.get(&format!("{LIST}?page=2&page_size=400")).expect(200).json();
    assert_eq!((page["items"].as_array().unwrap().len(), &page["pagination"]["total"]), (400, &json!(1000)));
}

#[test]
fn without_a_daemon_the_next_one_starts_with_it_and_a_broken_configuration_is_told() {
    let mut daemon = RealDaemon::start();
    let (_server, admin) = Server::ready(&daemon);
    daemon.client(&["set", "lab", "banip", IP]);
    daemon.stop();
    let made = admin.post(LIST, json!({"entry": IP})).expect(201);
    assert_eq!(made.json()["in_force"], false, "{made}");
    assert!(fs::read_to_string(daemon.path(FILE)).unwrap().contains(IP));
    daemon.start_again();
    expect_ignored(&daemon, "sshd", &[IP]);
    wait_until("it is let out", SOON, || daemon.banned("lab").is_empty() && own(&admin)[0]["in_force"] == true);
    fs::write(daemon.path("jail.d/broken.local"), "[lab\n").unwrap();
    let told = admin.post(LIST, json!({"entry": "192.0.2.1"})).expect(201);
    assert!(told.header("x-bangui-warning").is_some_and(|text| text.contains("is not written")), "{told}");
    expect_ignored(&daemon, "sshd", &["192.0.2.1", IP]);
    assert!(admin.get(LIST).expect(200).json()["problem"].is_string());
}

#[test]
fn every_documented_status() {
    let mut daemon = RealDaemon::configured();
    fs::write(daemon.path("jail.local"), "[lab]\nignoreip = 10.9.9.9\n").unwrap();
    daemon.start_again();
    let (server, admin) = Server::ready(&daemon);
    let one = admin.post(LIST, json!({"entry": "127.0.0.1"})).expect(201).json();
    assert_eq!(admin.get("/api/v1/meta").expect(200).json()["client"]["is_never_banned"], true);
    assert_eq!(admin.get(LIST).expect(200).json()["pagination"]["total"], 2);
    admin.delete(&format!("{LIST}/10.9.9.9")).expect_error(409, "conflict");
    let path = format!("{LIST}/{}", one["id"]);
    admin.put(&path, json!({"note": "this machine", "until": null})).expect(200);
    admin.put(&path, json!({})).expect(422);
    admin.put(&path, json!({"id": 77})).expect(422);
    admin.put(&path, json!({"duration": 5, "until": "2030-01-01T00:00:00Z"})).expect(422);
    for (method, target) in [("GET", format!("{LIST}?page=0")), ("GET", format!("{LIST}?jail=lab"))] {
        admin.send(method, &target, None).expect_error(400, "invalid_input");
    }
    admin.put(&format!("{LIST}/a%20b"), json!({"note": "x"})).expect_error(400, "invalid_input");
    admin.delete(&format!("{LIST}/a%0Ab")).expect_error(400, "invalid_input");
    for id in ["999", "192.0.2.99", "other.example"] {
        admin.delete(&format!("{LIST}/{id}")).expect_error(404, "never_ban_not_found");
        admin.put(&format!("{LIST}/{id}"), json!({"note": "x"})).expect_error(404, "never_ban_not_found");
    }
    admin.post(LIST, json!({"entry": "127.0.0.1"})).expect_error(409, "conflict");
    admin.put(&path, json!({"entry": "::/0"})).expect_error(409, "conflict");
    admin.post(LIST, json!({"note": "x"})).expect_error(422, "invalid_input");
    admin.delete(&path).expect(204);
    let limited = server.with_env("BANGUI_RATE_LIMIT_BAN", "1");
    let admin = limited.client().with_identity(Identity::Bearer(admin.token().to_string()));
    for (method, target, body) in [
        ("POST", LIST, json!({"entry": IP})),
        ("PUT", "/api/v1/never-ban/1", json!({"note": ""})),
        ("DELETE", "/api/v1/never-ban/1", Value::Null),
    ] {
        admin.send(method, target, Some(body.to_string().as_bytes()));
        admin.send(method, target, Some(body.to_string().as_bytes())).expect_error(429, "rate_limit_exceeded");
    }
    provoke_general_refusals(LIST);
    demand_documented(LIST);
    demand_seen("POST /api/v1/never-ban", &[403, 409, 422]);
}

/// Whether a jail bans who fails in its log: only one that does not rest reads it.
fn hears(daemon: &RealDaemon, ip: &str) -> bool {
    fail(daemon, ip);
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        if daemon.banned("sshd").contains(&ip.to_owned()) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

#[test]
fn a_pause_holds_over_restarts_and_ends_by_itself() {
    let mut daemon = RealDaemon::start();
    let (mut server, admin) = Server::ready(&daemon);
    let pause =
        |admin: &Client, time: Value| admin.post("/api/v1/jails/sshd/pause", json!({"for": time})).expect(200).json();
    let until = |admin: &Client| admin.get("/api/v1/jails/sshd").expect(200).json()["jail"]["paused_until"].clone();
    let told = pause(&admin, json!("2h"));
    assert_eq!(told["paused_until"], until(&admin));
    let listed = admin.get("/api/v1/jails").expect(200).json();
    assert!(listed["items"].as_array().unwrap().iter().any(|jail| jail["paused_until"] == told["paused_until"]));
    daemon.stop();
    daemon.start_again();
    wait_until("the daemon is seen again", SOON, || server.log().matches("answers").count() > 1);
    // An address each time: one that was banned before the pause was set again stays so.
    let mut others = 10..;
    wait_until("it rests again", SOON, || !hears(&daemon, &format!("198.51.100.{}", others.next().unwrap_or(250))));
    admin.post_empty("/api/v1/jails/sshd/resume").expect(200);
    assert_eq!(until(&admin), json!(null));
    wait_until("a ban after it", SOON, || hears(&daemon, "198.51.100.6"));
    // By itself, and where it was over while nobody looked.
    pause(&admin, json!(2));
    wait_until("its end", SOON, || until(&admin).is_null());
    wait_until("a ban after its end", SOON, || hears(&daemon, "198.51.100.4"));
    pause(&admin, json!(2));
    server.kill();
    let end = jiff::Timestamp::now() + Duration::from_secs(3);
    wait_until("the end", SOON, || jiff::Timestamp::now() > end);
    server.start_again();
    let admin = server.client().with_identity(admin.identity.clone());
    wait_until("its end", SOON, || until(&admin).is_null());
    wait_until("a ban after a missed end", SOON, || hears(&daemon, "198.51.100.5"));
    for body in [json!({}), json!({"for": 0}), json!({"for": "soon"}), json!({"for": "2h", "x": 1})] {
        admin.post("/api/v1/jails/sshd/pause", body).expect_error(422, "invalid_input");
    }
    admin.post("/api/v1/jails/nojail/pause", json!({"for": 5})).expect_error(404, "jail_not_found");
    admin.post_empty("/api/v1/jails/nojail/resume").expect_error(404, "jail_not_found");
}
