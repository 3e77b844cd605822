//! Blocklists: sources kept, lists of every kind and misbehaviour fetched from a server of our own, imports into a real daemon.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::client::Client;
use crate::harness::contract::demand_seen;
use crate::harness::http::Wire;
use crate::harness::list_server::{IMPORT, JAIL, LISTS, ListServer, Reply, add, addresses, import};
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::{median, wait_until};
use crate::operations::{demand_documented, provoke_general_refusals};

/// Stands between the program and the daemon and records what the program sends.
struct Tap {
    socket: PathBuf,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    fn before(daemon: &RealDaemon) -> Tap {
        let (socket, target) = (daemon.path("tap.sock"), daemon.socket().to_path_buf());
        let listener = UnixListener::bind(&socket).unwrap();
        let sent = Arc::<Mutex<Vec<u8>>>::default();
        let all = sent.clone();
        std::thread::spawn(move || {
            for mut ours in listener.incoming().map_while(Result::ok) {
                let Ok(mut theirs) = UnixStream::connect(&target) else { continue };
                let (mut back, mut there) = (theirs.try_clone().unwrap(), ours.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut back, &mut there);
                    let _ = there.shutdown(std::net::Shutdown::Both);
                });
                let all = all.clone();
                std::thread::spawn(move || {
                    let mut buffer = [0; 65536];
                    while let Ok(count @ 1..) = ours.read(&mut buffer) {
                        all.lock().unwrap().extend_from_slice(&buffer[..count]);
                        if theirs.write_all(&buffer[..count]).is_err() {
                            break;
                        }
                    }
                    let _ = theirs.shutdown(std::net::Shutdown::Both);
                });
            }
        });
        Tap { socket, sent }
    }

    /// How often a word was sent since the last call.
    fn take(&self, words: &[&str]) -> Vec<usize> {
        let sent = std::mem::take(&mut *self.sent.lock().unwrap());
        let text = String::from_utf8_lossy(&sent);
        words.iter().map(|word| text.matches(word).count()).collect()
    }
}

fn ready(daemon: &RealDaemon) -> (Server, Client) {
    Launch::for_real(daemon).env("BANGUI_ALLOW_PRIVATE_FETCH", "1").start().into_ready()
}

#[test]
fn every_documented_status_of_blocklists() {
    let daemon = RealDaemon::with_action("noop", "true");
    let lists = ListServer::start();
    lists.list("/list", &addresses(3));
    let (server, admin) = ready(&daemon);
    let id = add(&admin, &lists.url("/list"), false);
    let one = format!("{LISTS}/{id}");
    for url in ["ftp://example.org/", "x", "http://user@example.org/", "file:///etc/passwd"] {
        let answer = admin.post(LISTS, json!({"name": "n", "url": url}));
        answer.expect_error(400, "invalid_input");
        admin.put(&one, json!({"url": url})).expect_error(400, "invalid_input");
    }
    admin.post(LISTS, json!({"name": "", "url": 1, "x": 2})).expect_error(422, "invalid_input");
    let nameless = admin.post(LISTS, json!({"url": "https://example.org/"})).expect_error(422, "invalid_input").json();
    assert_eq!(nameless["metadata"]["errors"].as_array().unwrap().len(), 1, "{nameless}");
    admin.put(&one, json!({})).expect_error(422, "invalid_input");
    assert_eq!(admin.get(&one).expect(200).json()["enabled"], true);
    assert_eq!(admin.put(&one, json!({"name": "other"})).expect(200).json()["name"], "other");
    assert_eq!(admin.get(LISTS).expect(200).json()["total"], 1);
    let preview = admin.get(&format!("{one}/preview")).expect(200).json();
    assert_eq!((&preview["valid_count"], &preview["total_lines"]), (&json!(3), &json!(3)));
    a_list_that_is_no_source(&admin, &lists);
    let schedule = admin.get("/api/v1/blocklists/schedule").expect(200).json();
    assert_eq!(schedule["config"]["hour"], 3);
    let weekly = json!({"frequency": "weekly", "day_of_week": 6, "hour": 4});
    let changed = admin.put("/api/v1/blocklists/schedule", weekly).expect(200).json();
    assert_eq!(changed["config"]["day_of_week"], 6);
    assert!(changed["next_run_at"].as_str().unwrap().ends_with("T04:00:00Z"));
    admin
        .put("/api/v1/blocklists/schedule", json!({"frequency": "daily", "hour": 24}))
        .expect_error(422, "invalid_input");
    assert_eq!(admin.get(IMPORT).expect(200).json()["running"], false);
    assert_eq!(import(&admin)["total_imported"], 3);
    let log = admin.get("/api/v1/blocklists/log?source_id=1").expect(200).json();
    assert_eq!(log["items"][0]["ips_imported"], 3);
    lists.set("/list", Reply::Late(2, "45.1.1.1\n".into()));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| import(&admin));
        wait_until("the import", Duration::from_secs(5), || admin.get(IMPORT).json()["running"] == true);
        admin.post_empty(IMPORT).expect_error(409, "import_running");
        first.join().unwrap();
    });
    lists.set("/list", Reply::Raw(Vec::new()));
    admin.get(&format!("{one}/preview")).expect_error(502, "upstream_unreachable");
    for path in [format!("{LISTS}/99"), format!("{LISTS}/99/preview")] {
        admin.get(&path).expect_error(404, "blocklist_source_not_found");
    }
    admin.put(&format!("{LISTS}/99"), json!({"enabled": false})).expect_error(404, "blocklist_source_not_found");
    admin.get(&format!("{LISTS}/x")).expect_error(400, "invalid_input");
    admin.delete(&one).expect(204);
    admin.delete(&one).expect_error(404, "blocklist_source_not_found");
    let server = server.with_env("BANGUI_RATE_LIMIT_IMPORT", "1");
    let admin = server.client().with_identity(admin.identity.clone());
    admin.post_empty(IMPORT).expect(200);
    admin.post_empty(IMPORT).expect_error(429, "rate_limit_exceeded");
    for _ in 0..5 {
        admin.post(PREVIEW, json!({"url": "http://127.0.0.1:9/"})).expect_error(502, "upstream_unreachable");
    }
    let told = admin.post(PREVIEW, json!({"url": "http://127.0.0.1:9/"})).expect_error(429, "rate_limit_exceeded");
    assert_eq!(told.json()["metadata"]["limit"], "preview");
    provoke_general_refusals(LISTS);
    demand_documented(LISTS);
    demand_seen("GET /api/v1/blocklists/{source_id}/preview", &[502]);
    demand_seen("POST /api/v1/blocklists/preview", &[502]);
}

const PREVIEW: &str = "/api/v1/blocklists/preview";

/// What it would bring is told, and nothing is kept of it.
fn a_list_that_is_no_source(admin: &Client, lists: &ListServer) {
    let before = admin.get(LISTS).expect(200).json();
    let of_source = admin.get(&format!("{LISTS}/1/preview")).expect(200).json();
    let preview = admin.post(PREVIEW, json!({"url": lists.url("/list")})).expect(200).json();
    assert_eq!((&preview, &preview["valid_count"]), (&of_source, &json!(3)));
    assert_eq!(admin.get(LISTS).expect(200).json(), before);
    lists.set("/html", Reply::List("<html>we moved</html>".into()));
    for gone in ["/nothing", "/html"] {
        admin.post(PREVIEW, json!({"url": lists.url(gone)})).expect_error(502, "upstream_unreachable");
    }
    for url in ["ftp://example.org/", "x", "http://user@example.org/", "file:///etc/passwd"] {
        admin.post(PREVIEW, json!({"url": url})).expect_error(400, "invalid_input");
    }
    for body in [json!({}), json!({"url": 1}), json!({"url": lists.url("/list"), "name": "x"})] {
        admin.post(PREVIEW, body).expect_error(422, "invalid_input");
    }
    admin.get(PREVIEW).expect_error(405, "method_not_allowed");
}

#[test]
fn a_source_shows_where_its_content_came_from() {
    let daemon = RealDaemon::with_action("noop", "true");
    let lists = ListServer::start();
    lists.set("/list", Reply::Tagged("45.1.1.1\n".into(), "\"one\""));
    let to = format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", lists.url("/list"));
    lists.set("/moved", Reply::Raw(to.into_bytes()));
    let (mut server, admin) = ready(&daemon);
    let id = add(&admin, &lists.url("/moved"), false);
    let from = |admin: &Client| admin.get(&format!("{LISTS}/{id}")).expect(200).json()["fetched_from"].clone();
    assert!(from(&admin).is_null());
    assert_eq!(import(&admin)["total_imported"], 1);
    let first = from(&admin);
    assert_eq!((&first["url"], &first["addresses"]), (&json!(lists.url("/list")), &json!(["127.0.0.1"])), "{first}");
    // Nothing is fetched where nothing has changed, and what is known outlives a restart.
    assert_eq!(import(&admin)["results"][0]["unchanged"], true);
    server.kill();
    server.start_again();
    let admin = server.client().with_identity(admin.identity.clone());
    assert_eq!(from(&admin), first);
    // What GET shows can be sent back; another URL is another list.
    let shown = admin.get(&format!("{LISTS}/{id}")).expect(200).json();
    assert_eq!(admin.put(&format!("{LISTS}/{id}"), shown.clone()).expect(200).json(), shown);
    admin.put(&format!("{LISTS}/{id}"), json!({"url": lists.url("/other")})).expect(200);
    assert!(from(&admin).is_null());
}

#[test]
fn a_thousand_addresses_are_imported_once_and_followed() {
    let daemon = RealDaemon::with_action("noop", "true");
    let tap = Tap::before(&daemon);
    let lists = ListServer::start();
    let mut all = addresses(1000);
    lists.list("/list", &all);
    let (_server, admin) =
        Launch::new(&tap.socket, daemon.config()).env("BANGUI_ALLOW_PRIVATE_FETCH", "1").start().into_ready();
    let id = add(&admin, &lists.url("/list"), true);
    let start = Instant::now();
    let first = import(&admin);
    println!("1000 addresses with an action that does nothing: {:?}", start.elapsed());
    assert_eq!((&first["total_imported"], &first["errors_count"]), (&json!(1000), &json!(0)), "{first}");
    let mut banned = daemon.banned(JAIL);
    banned.sort();
    let mut expected = all.clone();
    expected.sort();
    assert_eq!(banned, expected);
    // The same again: not one command.
    let words = ["banip", "ignoreip", "reload", "add"];
    tap.take(&words);
    let again = import(&admin);
    assert_eq!((&again["total_imported"], &again["results"][0]["unchanged"]), (&json!(0), &json!(true)));
    // Other order and other remarks are no other list.
    all.reverse();
    all.push("# made at another time".into());
    lists.list("/list", &all);
    assert_eq!(import(&admin)["results"][0]["unchanged"], true);
    assert_eq!(tap.take(&words), [0, 0, 0, 0]);
    // Ten leave, five come.
    all = addresses(1000).split_off(10);
    all.extend((0..5).map(|number| format!("46.9.9.{number}")));
    lists.list("/list", &all);
    let third = import(&admin);
    assert_eq!((&third["total_imported"], &third["results"][0]["ips_unbanned"]), (&json!(5), &json!(10)), "{third}");
    let (mut banned, mut expected) = (daemon.banned(JAIL), all.clone());
    banned.sort();
    expected.sort();
    assert_eq!(banned, expected);
    // Without the setting what left stays banned.
    admin.put(&format!("{LISTS}/{id}"), json!({"unban_removed": false})).expect(200);
    lists.list("/list", &all[10..]);
    let fourth = import(&admin);
    assert_eq!(fourth["results"][0]["ips_unbanned"], 0);
    assert_eq!(daemon.banned(JAIL).len(), 995);
    // A reload keeps the jail and what is banned.
    daemon.client(&["reload"]);
    assert_eq!(daemon.banned(JAIL).len(), 995);
    let active = admin.get("/api/v1/bans/active?jail=blocklist-import").expect(200).json();
    assert_eq!(active["total"], 995);
}

#[test]
fn a_list_that_its_server_calls_unchanged_costs_nothing() {
    let daemon = RealDaemon::with_action("noop", "true");
    let lists = ListServer::start();
    let date = "Sun, 22 Nov 2026 04:05:08 GMT";
    lists.set("/tagged", Reply::Tagged("45.1.1.1\n45.1.1.2\n".into(), "\"one\""));
    lists.set("/dated", Reply::Dated("45.1.1.3\n".into(), date));
    let (_server, admin) = ready(&daemon);
    add(&admin, &lists.url("/tagged"), false);
    add(&admin, &lists.url("/dated"), false);
    assert_eq!(import(&admin)["total_imported"], 3);
    lists.take_requests();
    let again = import(&admin);
    assert_eq!(again["total_imported"], 0);
    assert!(again["results"].as_array().unwrap().iter().all(|result| result["unchanged"] == true), "{again}");
    let requests = lists.take_requests();
    assert!(requests[0].to_lowercase().contains("if-none-match: \"one\""), "{requests:?}");
    assert!(requests[1].contains(date), "{requests:?}");
}

#[test]
fn what_must_not_be_banned_is_not() {
    let daemon = RealDaemon::with_action("noop", "true");
    let lists = ListServer::start();
    let (_server, admin) = Launch::for_real(&daemon)
        .env("BANGUI_ALLOW_PRIVATE_FETCH", "1")
        .args(&["--trusted-proxies", "127.0.0.1,45.7.7.7"])
        .start()
        .into_ready();
    let admin = admin.with_header("X-Forwarded-For", "45.8.8.8");
    let text = "45.1.1.1\n45.7.7.7\n45.8.8.8\n10.0.0.1\n127.0.0.1\n192.168.0.0/16\n0.0.0.0/0\n169.254.169.254\n\
                ::1\n45.9.0.0/16\nnonsense\n45.1.1.1\n";
    lists.set("/list", Reply::List(text.into()));
    add(&admin, &lists.url("/list"), false);
    lists.set("/other", Reply::List("45.1.1.1\n45.1.1.2\n".into()));
    add(&admin, &lists.url("/other"), false);
    let done = import(&admin);
    let skipped = &done["results"][0]["skipped"];
    let expected = json!({"duplicate": 1, "invalid": 1, "network": 1, "not_public": 5, "protected": 2, "too_wide": 1});
    assert_eq!(skipped, &expected);
    assert_eq!(done["results"][1]["skipped"], json!({"in_another_list": 1}));
    let mut banned = daemon.banned(JAIL);
    banned.sort();
    assert_eq!(banned, ["45.1.1.1", "45.1.1.2"]);
    // What the jail ignores is not banned either.
    daemon.client(&["set", JAIL, "addignoreip", "45.2.0.0/16"]);
    lists.set("/list", Reply::List("45.2.3.4\n45.3.3.3\n45.5.5.0/30\n".into()));
    daemon.client(&["set", JAIL, "addignoreip", "45.5.5.1"]);
    let done = import(&admin);
    assert_eq!(done["results"][0]["skipped"], json!({"protected": 2}), "a network around an ignored address, too");
    assert_eq!(done["total_imported"], 1);
}

fn served(body: &[u8]) -> Reply {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    Reply::Raw([head.as_bytes(), body].concat())
}

#[test]
fn every_form_of_the_documentation_is_read_and_its_numbers_add_up() {
    let daemon = RealDaemon::with_action("noop", "true");
    let lists = ListServer::start();
    let (_server, admin) = ready(&daemon);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/blocklists.md")).unwrap();
    let mut documented = Vec::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let name = cells[1].trim_matches('`');
        let numbers: Vec<u64> = cells[3..cells.len() - 1].iter().map(|cell| cell.parse().unwrap()).collect();
        lists.set("/form", served(&std::fs::read(root.join("tests/data/blocklists").join(name)).unwrap()));
        let id = add(&admin, &lists.url("/form"), false);
        let shown = admin.get(&format!("{LISTS}/{id}/preview")).expect(200).json();
        let kind = |key: &str| shown["lines"][key].as_u64().unwrap();
        let count = |key: &str| shown[key].as_u64().unwrap();
        let (with_entries, remarks) = (kind("with_entries"), kind("comment") + kind("blank"));
        let passed_over = count("skipped_count") - kind("invalid") - kind("too_long");
        let found =
            [count("total_lines"), with_entries, remarks, kind("invalid"), count("named_count"), count("valid_count")];
        assert_eq!(found[..], numbers[..], "{name}: {shown}");
        assert_eq!(count("total_lines"), with_entries + remarks + kind("invalid") + kind("too_long"), "{name}");
        assert_eq!(count("named_count"), count("valid_count") + passed_over, "{name}: {shown}");
        admin.delete(&format!("{LISTS}/{id}")).expect(204);
        documented.push(name.to_owned());
    }
    documented.sort();
    let files = std::fs::read_dir(root.join("tests/data/blocklists")).unwrap();
    let mut files: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    assert_eq!(documented, files, "the table has a row for each file");
}

#[test]
fn networks_that_the_jail_cannot_take_are_taken_apart_or_said_to_be_left_out() {
    let daemon = RealDaemon::with_action("noop", "true");
    let lists = ListServer::start();
    let (_server, admin) = ready(&daemon);
    lists.set("/list", Reply::List("45.1.0.0/20 ; SBL1\n45.2.0.0/16 ; SBL2\n".into()));
    add(&admin, &lists.url("/list"), false);
    // Also when it is imported again.
    for _ in 0..2 {
        let done = import(&admin);
        let result = &done["results"][0];
        assert_eq!((&result["skipped"], &done["errors_count"]), (&json!({"network": 2}), &json!(1)), "{done}");
        assert!(result["error"].as_str().unwrap().contains("BANGUI_BLOCKLIST_MODE=nft"), "{done}");
    }
    lists.set("/list", Reply::List("45.1.0.0/20\n45.3.3.0/30\n45.3.3.1\n45.4.4.4\n".into()));
    let done = import(&admin);
    let result = &done["results"][0];
    assert_eq!((&result["ips_imported"], &result["error"]), (&json!(5), &json!(null)), "{done}");
    assert_eq!(result["skipped"], json!({"network": 1, "duplicate": 1}));
    assert_eq!((&result["networks_expanded"], &result["addresses_from_networks"]), (&json!(1), &json!(4)));
    assert!(result["note"].as_str().unwrap().contains("1 of the 2 networks"), "{done}");
    let log = admin.get("/api/v1/blocklists/log").expect(200).json();
    let newest = &log["items"][0];
    assert_eq!((&newest["skipped"], &newest["lines"]["with_entries"]), (&result["skipped"], &json!(4)), "{log}");
    let mut banned = daemon.banned(JAIL);
    banned.sort();
    assert_eq!(banned, ["45.3.3.0", "45.3.3.1", "45.3.3.2", "45.3.3.3", "45.4.4.4"]);
}

#[test]
fn what_left_one_list_stays_banned_while_another_has_it_or_may_have_it() {
    let daemon = RealDaemon::with_action("noop", "true");
    let lists = ListServer::start();
    let (_server, admin) = ready(&daemon);
    lists.set("/one", Reply::List("45.1.1.1\n45.1.1.2\n45.1.1.3\n".into()));
    lists.set("/other", Reply::List("45.1.1.3\n".into()));
    add(&admin, &lists.url("/one"), true);
    add(&admin, &lists.url("/other"), true);
    assert_eq!(import(&admin)["total_imported"], 3);
    lists.set("/one", Reply::List("45.1.1.1\n".into()));
    // What this one lists is not known.
    lists.set("/down", Reply::Raw(b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n".to_vec()));
    add(&admin, &lists.url("/down"), true);
    assert_eq!(import(&admin)["results"][0]["ips_unbanned"], 0);
    assert_eq!(daemon.banned(JAIL).len(), 3);
    lists.set("/down", Reply::List("45.1.1.9\n".into()));
    assert_eq!(import(&admin)["results"][0]["ips_unbanned"], 1);
    let mut banned = daemon.banned(JAIL);
    banned.sort();
    assert_eq!(banned, ["45.1.1.1", "45.1.1.3", "45.1.1.9"]);
}

#[test]
fn networks_are_banned_where_the_action_takes_them() {
    let daemon = RealDaemon::with_action("iptables-lab", "true");
    let lists = ListServer::start();
    lists.set("/list", Reply::List("45.9.0.0 255.255.255.0\n45.10.0.0-45.10.0.127\n2606:4700::/48\n".into()));
    let (_server, admin) = ready(&daemon);
    add(&admin, &lists.url("/list"), false);
    assert_eq!(import(&admin)["total_imported"], 3);
    let mut banned = daemon.banned(JAIL);
    banned.sort();
    assert_eq!(banned, ["2606:4700::/48", "45.10.0.0/25", "45.9.0.0/24"]);
}

#[test]
fn every_misbehaviour_ends_in_a_clear_error_and_stops_nobody_else() {
    let daemon = RealDaemon::with_action("noop", "true");
    let lists = ListServer::start();
    let redirect = |to: &str| {
        Reply::Raw(format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes())
    };
    let whole = |body: &[u8], more: &str| {
        Reply::Raw(
            [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{more}\r\n", body.len()).as_bytes(), body].concat(),
        )
    };
    let utf16: Vec<u8> = "\u{feff}45.1.1.1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bomb = gzip(&b"# a remark that says nothing at all, again and again\n".repeat(1_500_000));
    let cases = [
        ("/html", whole(b"<!DOCTYPE html><html>45.1.1.1</html>", ""), "web page"),
        ("/empty", whole(b"", ""), "no usable address"),
        ("/remarks", whole(b"# nothing\n", ""), "no usable address"),
        ("/utf16", whole(&utf16, ""), "UTF-16"),
        ("/packed", whole(b"PK\x03\x04\0\0", ""), "not text"),
        ("/half-gz", whole(&bomb[..bomb.len() / 200], ""), "cut off"),
        ("/bomb-gz", whole(&bomb, ""), "larger than"),
        ("/four", redirect("/to-good"), "redirects more than 3 times"),
        ("/not-asked", Reply::Raw(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n".to_vec()), "304"),
        ("/bomb", whole(&bomb, "Content-Encoding: gzip\r\n"), "larger than"),
        ("/half-packed", whole(&bomb[..bomb.len() / 200], "Content-Encoding: gzip\r\n"), "reached"),
        ("/half", Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n45.1.1.1\n".to_vec()), "reached"),
        (
            "/half-chunk",
            Reply::Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n45.1.1.1\n\r\n".to_vec()),
            "reached",
        ),
        ("/garbage", Reply::Raw(b"\0\x01\x02 what is this?\r\n\r\n".to_vec()), "reached"),
        ("/endless", Reply::Endless, "larger than"),
        ("/missing", Reply::Raw(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec()), "404"),
        ("/busy", Reply::Raw(b"HTTP/1.1 429 Slow\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n".to_vec()), "429"),
        ("/down", Reply::Raw(b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n".to_vec()), "503"),
        ("/loop", redirect("/loop"), "redirects more than 3 times"),
        ("/to-file", redirect("file:///etc/passwd"), "cannot be used"),
        ("/to-user", redirect("http://a:b@127.0.0.1/"), "user name"),
        ("/to-nowhere", Reply::Raw(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n".to_vec()), "without a target"),
    ];
    let (server, admin) = ready(&daemon);
    for (path, reply, _) in &cases {
        lists.set(path, reply.clone());
        add(&admin, &lists.url(path), true);
    }
    add(&admin, "http://127.0.0.1:1/", false);
    lists.set("/to-good", redirect("/two"));
    lists.set("/two", redirect("/one"));
    lists.set("/one", redirect("/good"));
    lists.list("/good", &addresses(5));
    add(&admin, &lists.url("/to-good"), false);
    let before = server.rss_kib();
    let done = import(&admin);
    let after = server.rss_kib();
    let results = done["results"].as_array().unwrap();
    for ((path, _, expected), result) in cases.iter().zip(results) {
        let error = result["error"].as_str().unwrap_or_default();
        assert!(error.contains(expected), "{path}: {result}");
        assert_eq!(result["ips_imported"], 0, "{path}");
    }
    assert_eq!(results.last().unwrap()["ips_imported"], 5);
    assert_eq!(done["errors_count"], cases.len() + 1);
    assert_eq!(daemon.banned(JAIL).len(), 5);
    assert!(after < before + 2048, "{before} KiB before, {after} KiB after");
    let log = admin.get("/api/v1/blocklists/log").expect(200).json();
    assert_eq!(log["pagination"]["total"], cases.len() + 2);
    assert_eq!(admin.get("/api/v1/blocklists/schedule").json()["last_run_errors"], true);
}

/// Packs bytes with the program of the machine.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::process::{Command, Stdio};
    let mut child = Command::new("gzip").arg("-9").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let mut packed = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut packed).unwrap();
    writer.join().unwrap().unwrap();
    child.wait().unwrap();
    packed
}

#[test]
fn a_list_that_breaks_keeps_what_was_imported() {
    let daemon = RealDaemon::with_action("noop", "true");
    let lists = ListServer::start();
    lists.list("/list", &addresses(20));
    let (_server, admin) = ready(&daemon);
    add(&admin, &lists.url("/list"), true);
    assert_eq!(import(&admin)["total_imported"], 20);
    lists.set("/list", Reply::List("<html>we moved</html>".into()));
    assert_eq!(import(&admin)["errors_count"], 1);
    lists.set("/list", Reply::List("# empty\n".into()));
    assert_eq!(import(&admin)["errors_count"], 1);
    assert_eq!(daemon.banned(JAIL).len(), 20);
    lists.list("/list", &addresses(20));
    assert_eq!(import(&admin)["results"][0]["unchanged"], true);
}

#[test]
fn a_list_for_which_there_is_no_room_is_left_out_and_others_are_not() {
    let daemon = RealDaemon::with_action("noop", "true");
    let lists = ListServer::start();
    lists.list("/large", &addresses(50_001));
    lists.list("/small", &addresses(3));
    let (_server, admin) = ready(&daemon);
    add(&admin, &lists.url("/large"), true);
    add(&admin, &lists.url("/small"), false);
    let done = import(&admin);
    let error = done["results"][0]["error"].as_str().unwrap();
    assert!(error.contains("1 entries too many: at most 50000 fit"), "{done}");
    assert_eq!((&done["results"][1]["ips_imported"], &done["errors_count"]), (&json!(3), &json!(1)), "{done}");
    assert_eq!(daemon.banned(JAIL).len(), 3);
}

#[test]
fn addresses_of_ones_own_network_need_permission() {
    let daemon = RealDaemon::with_action("noop", "true");
    let lists = ListServer::start();
    lists.list("/list", &addresses(2));
    let (server, admin) = ready(&daemon);
    add(&admin, &lists.url("/list"), false);
    // The permission is withdrawn: what was saved before is not fetched either, and no proxy is asked instead.
    let server = server.with_env("BANGUI_ALLOW_PRIVATE_FETCH", "0").with_env("http_proxy", &lists.url("/"));
    let admin = server.client().with_identity(admin.identity.clone());
    let refused = admin.post(LISTS, json!({"name": "n", "url": "http://127.0.0.1/list"}));
    refused.expect_error(400, "invalid_input");
    admin.post(PREVIEW, json!({"url": "http://127.0.0.1/list"})).expect_error(400, "invalid_input");
    let hidden = admin.post(PREVIEW, json!({"url": "http://localhost/list"}));
    assert!(hidden.expect_error(502, "upstream_unreachable").to_string().contains("public"));
    let added = admin.post(LISTS, json!({"name": "n", "url": "http://localhost/list"})).expect(201).json();
    let path = format!("{LISTS}/{}/preview", added["id"]);
    admin.get(&path).expect_error(502, "upstream_unreachable");
    let done = import(&admin);
    assert_eq!(done["errors_count"], 2, "{done}");
    assert!(done["results"][1]["error"].as_str().unwrap().contains("public"), "{done}");
    assert!(lists.take_requests().is_empty());
}

#[test]
fn an_import_that_is_killed_is_completed_by_the_next() {
    let daemon = RealDaemon::with_action("late", "sleep 0.02");
    let lists = ListServer::start();
    lists.list("/list", &addresses(300));
    let (mut server, admin) = ready(&daemon);
    add(&admin, &lists.url("/list"), false);
    std::thread::scope(|scope| {
        let client = &admin;
        scope.spawn(move || std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(client.post_empty(IMPORT)))));
        wait_until("a few bans", Duration::from_secs(20), || banned_in(&admin) >= 20);
        server.kill();
    });
    let some = daemon.banned(JAIL).len();
    assert!((20..300).contains(&some), "{some}");
    server.start_again();
    let admin = server.client().with_identity(admin.identity.clone());
    let done = import(&admin);
    let before = done["results"][0]["skipped"]["already_banned"].as_u64().unwrap();
    assert_eq!(done["total_imported"].as_u64().unwrap() + before, 300, "{done}");
    assert!(before >= some as u64, "{done}");
    assert_eq!(daemon.banned(JAIL).len(), 300);
}

fn banned_in(admin: &Client) -> u64 {
    admin.get(IMPORT).expect(200).json()["banned"].as_u64().unwrap()
}

#[test]
fn an_import_leaves_everybody_free_and_ends_with_the_server() {
    let daemon = RealDaemon::with_action("late", "sleep 0.015");
    let lists = ListServer::start();
    lists.list("/list", &addresses(1000));
    let (mut server, admin) = ready(&daemon);
    add(&admin, &lists.url("/list"), false);
    let health = server.client();
    std::thread::scope(|scope| {
        let stopped = scope.spawn(|| admin.post_empty(IMPORT));
        wait_until("a few bans", Duration::from_secs(20), || banned_in(&admin) >= 20);
        let progress = admin.get(IMPORT).json();
        assert_eq!((&progress["running"], &progress["lines"]), (&json!(true), &json!(1000)));
        let (mut pings, mut healths) = (Vec::new(), Vec::new());
        for _ in 0..60 {
            pings.push(ping(daemon.socket()));
            healths.push(health.get("/api/v1/health").expect(200).elapsed);
            std::thread::sleep(Duration::from_millis(20));
        }
        // Half of them: other tests keep the machine busy, too. The bench tells the slowest.
        let (half_ping, half_health) = (median(pings), median(healths));
        println!("during an import: ping {half_ping:?}, /health {half_health:?} in half");
        assert!(half_ping < Duration::from_millis(250), "{half_ping:?}");
        assert!(half_health < Duration::from_millis(100), "{half_health:?}");
        let start = Instant::now();
        assert_eq!(server.terminate(Duration::from_secs(8)), Some(0));
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        stopped.join().unwrap().expect(503);
    });
    server.start_again();
    let admin = server.client().with_identity(admin.identity.clone());
    let log = admin.get("/api/v1/blocklists/log").expect(200).json();
    let entry = &log["items"][0];
    assert!(entry["errors"].as_str().unwrap().contains("stopped"), "{entry}");
    assert!(entry["ips_imported"].as_u64().unwrap() >= 20);
    // What was interrupted is due soon, not tomorrow.
    let schedule = admin.get("/api/v1/blocklists/schedule").json();
    let next: jiff::Timestamp = schedule["next_run_at"].as_str().unwrap().parse().unwrap();
    assert!(next.as_second() <= jiff::Timestamp::now().as_second() + 700, "{schedule}");
}

/// How long a daemon takes to answer a ping.
fn ping(socket: &Path) -> Duration {
    let start = Instant::now();
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(b"\x80\x02]X\x04\0\0\0pinga.<F2B_END_COMMAND>").unwrap();
    let mut answer = [0; 256];
    assert!(stream.read(&mut answer).unwrap() > 0);
    start.elapsed()
}

#[test]
fn an_import_goes_on_when_the_client_leaves() {
    let daemon = RealDaemon::with_action("noop", "true");
    let lists = ListServer::start();
    lists.set("/list", Reply::Late(1, "45.1.1.1\n45.1.1.2\n".into()));
    let (server, admin) = ready(&daemon);
    add(&admin, &lists.url("/list"), false);
    let mut wire = Wire::connect(server.address());
    wire.send(admin.head_of("POST", IMPORT, None));
    wait_until("the import", Duration::from_secs(10), || admin.get(IMPORT).json()["running"] == true);
    wire.reset();
    wait_until("its end", Duration::from_secs(20), || admin.get(IMPORT).json()["running"] == false);
    let log = admin.get("/api/v1/blocklists/log").expect(200).json();
    assert_eq!((&log["items"][0]["ips_imported"], &log["items"][0]["errors"]), (&json!(2), &json!(null)), "{log}");
    assert_eq!(daemon.banned(JAIL).len(), 2);
}

#[test]
fn a_jail_that_cannot_be_made_says_what_to_do() {
    // Without any action for all ports.
    let daemon = RealDaemon::start();
    let lists = ListServer::start();
    lists.list("/list", &addresses(2));
    let (_server, admin) = ready(&daemon);
    add(&admin, &lists.url("/list"), false);
    let refused = admin.post_empty(IMPORT).expect_error(409, "fail2ban_command_failed").json();
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("banaction_allports = "), "{detail}");
    assert_eq!(detail.matches("zz-bangui-blocklist-import.local").count(), 1, "{detail}");
    assert!(!daemon.path("jail.d/zz-bangui-blocklist-import.local").exists());
    assert_eq!(admin.get("/api/v1/blocklists/log").json()["items"][0]["errors"], *detail);
}

#[test]
fn bans_about_to_end_are_renewed_also_when_the_import_before_failed() {
    let daemon = RealDaemon::with_action("noop", "true");
    let tap = Tap::before(&daemon);
    let lists = ListServer::start();
    lists.list("/list", &addresses(20));
    let (mut server, admin) =
        Launch::new(&tap.socket, daemon.config()).env("BANGUI_ALLOW_PRIVATE_FETCH", "1").start().into_ready();
    add(&admin, &lists.url("/list"), false);
    assert_eq!(import(&admin)["total_imported"], 20);
    let mut again = |change: &str| {
        server.kill();
        let database = rusqlite::Connection::open(server.database()).unwrap();
        assert_eq!(database.execute(&format!("UPDATE blocklist_sources SET {change}"), []).unwrap(), 1);
        drop(database);
        server.start_again();
        let admin = server.client().with_identity(admin.identity.clone());
        tap.take(&[]);
        let done = import(&admin);
        // An address is only sent to be banned.
        (tap.take(&[&addresses(20)[1]])[0], done["results"][0]["skipped"]["already_banned"].clone())
    };
    // What could not be remembered of the list is read again, and nothing of it is banned again while the bans last.
    let (sent, already) = again("fingerprint = NULL, etag = NULL");
    assert_eq!((sent, already), (0, json!(20)));
    // They end in a minute: they are made again, whether or not the list is remembered.
    for forgotten in ["", ", fingerprint = NULL"] {
        let change = format!("bans_until = {}{forgotten}", jiff::Timestamp::now().as_second() + 60);
        let (sent, already) = again(&change);
        assert!(sent > 0 && already.is_null(), "{change}: {sent} {already}");
    }
    assert_eq!(daemon.banned(JAIL).len(), 20);
}

/// Lets the server wake up days later, for its schedule.
fn sleep_for_days(server: &mut Server, days: i64) {
    server.kill();
    let database = rusqlite::Connection::open(server.database()).unwrap();
    let sql = "UPDATE settings SET value = CAST(value AS INTEGER) - ?1 WHERE key IN ('blocklist_since', 'blocklist_last_run')";
    database.execute(sql, [days * 86_400]).unwrap();
    drop(database);
    server.start_again();
}

#[test]
fn a_schedule_leaves_a_server_alone_that_is_in_trouble_and_a_person_does_not() {
    let daemon = RealDaemon::with_action("noop", "true");
    let lists = ListServer::start();
    lists.set("/busy", Reply::Raw(b"HTTP/1.1 429 Slow\r\nRetry-After: 7200\r\nContent-Length: 0\r\n\r\n".to_vec()));
    lists.set("/down", Reply::Raw(b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n".to_vec()));
    lists.set("/gone", Reply::Raw(b"HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n".to_vec()));
    let (mut server, admin) = ready(&daemon);
    for path in ["/busy", "/down", "/gone"] {
        add(&admin, &lists.url(path), false);
    }
    assert_eq!(import(&admin)["errors_count"], 3);
    lists.take_requests();
    sleep_for_days(&mut server, 5);
    let admin = server.client().with_identity(admin.identity.clone());
    let log = || admin.get("/api/v1/blocklists/log").expect(200).json();
    wait_until("the scheduled import", Duration::from_secs(30), || log()["pagination"]["total"] == 6);
    // What is missing is no trouble that passes, so it is asked for again.
    let asked = lists.take_requests();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].starts_with("GET /gone "), "{asked:?}");
    // Whoever asks for it by hand gets it.
    lists.list("/busy", &addresses(2));
    assert_eq!(import(&admin)["total_imported"], 2);
    assert_eq!(lists.take_requests().len(), 3);
    the_log_is_walked_by_its_cursor(&admin);
}

/// Nine entries: the last page says that it is one, and each says its number.
fn the_log_is_walked_by_its_cursor(admin: &Client) {
    let log = |query: &str| admin.get(&format!("/api/v1/blocklists/log?page_size=3{query}")).expect(200).json();
    let total = log("")["pagination"]["total"].as_u64().unwrap();
    let mut page = log("");
    let mut seen = 0;
    for number in 1..=total.div_ceil(3) {
        assert_eq!(page, log(&format!("&page={number}")));
        assert_eq!(page["pagination"]["page"], number);
        assert_eq!(page["pagination"]["has_next_page"], number < total.div_ceil(3), "{page}");
        seen += page["items"].as_array().unwrap().len() as u64;
        let Some(cursor) = page["pagination"]["next_cursor"].as_str().map(str::to_owned) else { break };
        page = log(&format!("&cursor={cursor}"));
    }
    assert_eq!(seen, total);
    assert!(total > 6, "several pages: {total}");
    let ids = |query: &str| -> Vec<u64> {
        log(query)["items"].as_array().unwrap().iter().map(|entry| entry["id"].as_u64().unwrap()).collect()
    };
    assert_eq!(ids("&sort=id"), [1, 2, 3]);
    assert_eq!(ids("&sort=-id&page=2"), ids("&page=2"));
    assert_eq!(ids("&sort=timestamp&page=2"), [4, 5, 6]);
    let some = log("&q=HTTP://&sort=-ips_skipped");
    assert_eq!(some["pagination"]["total"], total, "{some}");
    assert_eq!(log("&q=nothing%20like%20it")["pagination"]["total"], 0);
    for odd in ["&sort=url", "&sort=id&cursor=3.2", "&q=x&cursor=3.2"] {
        admin.get(&format!("/api/v1/blocklists/log?page_size=3{odd}")).expect_error(400, "invalid_input");
    }
}

#[test]
fn a_run_that_was_missed_is_made_up_for_once() {
    let daemon = RealDaemon::with_action("noop", "true");
    let lists = ListServer::start();
    lists.list("/list", &addresses(10));
    let (mut server, admin) = ready(&daemon);
    add(&admin, &lists.url("/list"), false);
    sleep_for_days(&mut server, 5);
    let admin = server.client().with_identity(admin.identity.clone());
    wait_until("the import", Duration::from_secs(30), || {
        admin.get("/api/v1/blocklists/schedule").json()["last_run_errors"] == false
    });
    assert_eq!(daemon.banned(JAIL).len(), 10);
    let schedule = admin.get("/api/v1/blocklists/schedule").expect(200).json();
    let next: jiff::Timestamp = schedule["next_run_at"].as_str().unwrap().parse().unwrap();
    assert!(next > jiff::Timestamp::now(), "{schedule}");
    assert_eq!(admin.get("/api/v1/blocklists/log").json()["pagination"]["total"], 1);
}

#[test]
fn a_slow_list_ends_with_the_client_that_only_looks_at_it() {
    let daemon = RealDaemon::with_action("noop", "true");
    let lists = ListServer::start();
    lists.set("/list", Reply::Drip);
    let (server, admin) = ready(&daemon);
    let id = add(&admin, &lists.url("/list"), false);
    let address = match server.address() {
        crate::harness::http::Address::Tcp(address) => *address,
        other => panic!("{other:?}"),
    };
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {LISTS}/{id}/preview HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        admin.token()
    )
    .unwrap();
    wait_until("the request", Duration::from_secs(10), || !lists.has_no_request());
    let children = || {
        let path = format!("/proc/{0}/task/{0}/children", server.pid());
        std::fs::read_to_string(path).unwrap().split_whitespace().count()
    };
    wait_until("the end of other children", Duration::from_secs(5), || children() == 1);
    // A reset: one that only stops sending may still read.
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    wait_until("the end of the child", Duration::from_secs(5), || children() == 0);
}
