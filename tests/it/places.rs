//! Asking a server outside where addresses are, and fetching a country database now and then, from servers of our own on loopback.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::geo::country_file;
use crate::harness::client::Client;
use crate::harness::real_daemon::RealDaemon;
use crate::harness::server::{Launch, Server};
use crate::harness::wait_until;
use crate::history::{keeper, made_database, wait_for_archive};

const LIMIT: Duration = Duration::from_secs(20);
const STATS: &str = "/api/v1/geo/stats";
const MAP: &str = "/api/v1/dashboard/bans/by-country";

/// How the server answers.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Well,
    TooOften,
    Garbage,
    /// Well, and that was the last one for now.
    LastOne,
}

/// A server that speaks like ip-api.com: it knows some countries, and remembers what it was asked.
struct PlaceServer {
    url: String,
    asked: Arc<Mutex<Vec<Vec<String>>>>,
    manner: Arc<Mutex<Manner>>,
}

impl PlaceServer {
    /// Addresses whose first number is here are known.
    fn start(known: &[(u8, &'static str)]) -> PlaceServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/batch?key=secret-of-the-account", listener.local_addr().unwrap());
        let known: HashMap<u8, &str> = known.iter().copied().collect();
        let (asked, manner) = (Arc::<Mutex<Vec<Vec<String>>>>::default(), Arc::new(Mutex::new(Manner::Well)));
        let (seen, ordered) = (asked.clone(), manner.clone());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let Some((head, body)) = request(&mut BufReader::new(&stream)) else { continue };
                assert!(head.starts_with("POST /batch?key=secret-of-the-account&fields=status,"), "{head}");
                let addresses: Vec<String> = serde_json::from_slice(&body).unwrap();
                let manner = *ordered.lock().unwrap();
                seen.lock().unwrap().push(addresses.clone());
                let entries: Vec<Value> = addresses.iter().map(|ip| entry(ip, &known)).collect();
                let (status, limits, body) = match manner {
                    Manner::Well => ("200 OK", "X-Rl: 14\r\nX-Ttl: 60\r\n", json!(entries).to_string()),
                    Manner::LastOne => ("200 OK", "X-Rl: 0\r\nX-Ttl: 3000\r\n", json!(entries).to_string()),
                    Manner::TooOften => ("429 Too Many Requests", "X-Rl: 0\r\nX-Ttl: 3000\r\n", String::new()),
                    Manner::Garbage => ("200 OK", "", "<html>".to_owned()),
                };
                let length = body.len();
                let _ = write!(stream, "HTTP/1.1 {status}\r\n{limits}Content-Length: {length}\r\n\r\n{body}");
            }
        });
        PlaceServer { url, asked, manner }
    }

    fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// The requests so far, each with its addresses.
    fn asked(&self) -> Vec<Vec<String>> {
        self.asked.lock().unwrap().clone()
    }

    fn launch(&self, launch: Launch) -> Launch {
        launch.env("BANGUI_GEOIP_ONLINE", &self.url).env("BANGUI_ALLOW_PRIVATE_FETCH", "1")
    }
}

fn entry(ip: &str, known: &HashMap<u8, &str>) -> Value {
    let first = ip.split('.').next().and_then(|first| first.parse().ok()).unwrap_or(0);
    match known.get(&first) {
        Some(code) => {
            json!({"status": "success", "countryCode": code, "as": "AS64500 Example Net", "org": "", "isp": "Example", "query": ip})
        }
        None => json!({"status": "fail", "query": ip}),
    }
}

/// Head and body of a request.
fn request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head
        .to_lowercase()
        .split_once("content-length: ")
        .map_or(0, |(_, rest)| rest.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn stats(admin: &Client) -> Value {
    admin.get(STATS).expect(200).json()
}

#[test]
fn a_server_outside_tells_what_no_file_knows() {
    let outside = PlaceServer::start(&[(5, "DE"), (6, "SE")]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f.sqlite3");
    let mut bans: Vec<(&str, String, i64)> = (0..250).map(|number| ("sshd", format!("6.6.6.{number}"), 60)).collect();
    // Known by the file, not asked about; each once, however often it was banned; and what nobody is told about.
    bans.extend((0..20).map(|number| ("lab", format!("5.0.0.{number}"), 60)));
    bans.extend((1..4).map(|number| ("lab", "6.6.6.7".to_owned(), 3600 * number)));
    bans.extend(
        ["10.0.0.1", "192.168.1.1", "6.6.7.0/24", "fe80::1", "host.example", "9.9.9.9"]
            .map(|ip| ("lab", ip.to_owned(), 60)),
    );
    let bans: Vec<(&str, &str, i64)> = bans.iter().map(|(jail, ip, ago)| (*jail, ip.as_str(), *ago)).collect();
    let _fail2ban = made_database(&path, &bans);
    let (_files, file) = country_file();
    let launch = outside.launch(keeper(&path)).env("BANGUI_GEOIP_DB_PATH", file.to_str().unwrap());
    let (server, admin) = launch.start().into_ready();
    wait_for_archive(&admin, 279);
    let ours = format!("{MAP}?source=archive");
    // Three requests, four seconds apart at least where the minute is not over.
    wait_until("all of them", Duration::from_secs(60), || {
        admin.get(&ours).expect(200).json()["countries"]["SE"] == 253
    });
    let map = admin.get(&ours).expect(200).json();
    assert_eq!((&map["countries"], &map["total"]), (&json!({"DE": 20, "SE": 253}), &json!(279)));
    let theirs = admin.get(&format!("{MAP}?source=fail2ban")).expect(200).json();
    assert_eq!(theirs["countries"], map["countries"], "both sources know it");
    let all = admin.get(&format!("{MAP}?source=fail2ban&country_code=SE")).expect(200).json();
    assert_eq!(all["bans"].as_array().unwrap().len(), 253);
    let ban = &admin.get("/api/v1/history/archive?ip=6.6.6.8").expect(200).json()["items"][0];
    assert_eq!(
        (&ban["country_name"], &ban["asn"], &ban["org"]),
        (&json!("Sweden"), &json!("AS64500"), &json!("Example"))
    );
    let asked = outside.asked();
    let mut addresses: Vec<&String> = asked.iter().flatten().collect();
    assert!(asked.iter().all(|batch| batch.len() <= 100) && asked.len() <= 6, "{} requests", asked.len());
    assert!(addresses.iter().all(|ip| ip.starts_with("6.6.6.") || *ip == "9.9.9.9"), "{addresses:?}");
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), asked.iter().flatten().count(), "none is asked about twice");
    wait_until("all of it stored", LIMIT, || stats(&admin)["dirty_size"] == 0);
    let known = stats(&admin);
    assert_eq!(
        (&known["cache_size"], &known["neg_cache_size"], &known["unresolved"]),
        (&json!(250), &json!(1), &json!(6))
    );
    assert!(!server.log().contains("secret-of-the-account"), "{}", server.log());
}

#[test]
fn what_a_look_at_an_address_learns_is_kept_and_a_failure_is_remembered() {
    let outside = PlaceServer::start(&[(6, "SE")]);
    let daemon = RealDaemon::start();
    let (mut server, admin) = outside.launch(Launch::for_real(&daemon)).start().into_ready();
    let look =
        |admin: &Client, ip: &str| admin.get(&format!("/api/v1/geo/lookup/{ip}")).expect(200).json()["geo"].clone();
    let sweden = json!({"country_code": "SE", "country_name": "Sweden", "asn": "AS64500", "org": "Example"});
    assert_eq!(look(&admin, "6.1.2.3"), sweden);
    assert_eq!(look(&admin, "6.1.2.3"), sweden);
    assert_eq!(look(&admin, "9.9.9.9")["country_code"], Value::Null);
    assert_eq!(look(&admin, "9.9.9.9")["country_code"], Value::Null);
    assert_eq!(look(&admin, "10.0.0.1"), Value::Null);
    assert_eq!(outside.asked(), [["6.1.2.3"], ["9.9.9.9"]], "each once");
    assert_eq!(stats(&admin)["neg_cache_size"], 1);
    // Asking again anew: what failed is forgotten.
    let answer = admin.post_empty("/api/v1/geo/re-resolve").expect(200).json();
    assert_eq!((&answer["resolved"], &answer["total"]), (&json!(0), &json!(0)));
    assert_eq!(stats(&admin)["neg_cache_size"], 0);
    look(&admin, "9.9.9.9");
    assert_eq!(outside.asked().len(), 3);
    wait_until("it is stored", LIMIT, || stats(&admin)["dirty_size"] == 0);
    server.kill();
    server.start_again();
    let admin = server.client().with_identity(admin.identity);
    assert_eq!(stats(&admin)["cache_size"], 1);
    assert_eq!(look(&admin, "6.1.2.3"), sweden);
    assert_eq!(outside.asked().len(), 3, "kept over a restart");
}

#[test]
fn a_server_that_wants_rest_or_talks_nonsense_is_left_alone() {
    for (manner, warns) in [(Manner::TooOften, false), (Manner::Garbage, true), (Manner::LastOne, false)] {
        let outside = PlaceServer::start(&[]);
        outside.behave(manner);
        let daemon = RealDaemon::start();
        let (server, admin) = outside.launch(Launch::for_real(&daemon)).start().into_ready();
        for host in 1..6 {
            let answer = admin.get(&format!("/api/v1/geo/lookup/9.9.9.{host}")).expect(200).json();
            assert_eq!(answer["geo"]["country_code"], Value::Null);
        }
        assert_eq!(outside.asked().len(), 1);
        assert_eq!(server.log().matches("asking where addresses are").count(), usize::from(warns), "{}", server.log());
    }
}

#[test]
fn nobody_is_asked_unless_the_settings_say_so() {
    let outside = PlaceServer::start(&[(6, "SE")]);
    let daemon = RealDaemon::start();
    let launch = Launch::for_real(&daemon).env("BANGUI_ALLOW_PRIVATE_FETCH", "1").env("BANGUI_GEOIP_ONLINE", "0");
    let (_server, admin) = launch.start().into_ready();
    admin.get("/api/v1/geo/lookup/6.1.2.3").expect(200);
    // A server that is not public is not asked either, unless that is allowed.
    let launch = Launch::for_real(&daemon).env("BANGUI_GEOIP_ONLINE", &outside.url);
    let (server, admin) = launch.start().into_ready();
    admin.get("/api/v1/geo/lookup/6.1.2.3").expect(200);
    assert_eq!(outside.asked(), Vec::<Vec<String>>::new());
    assert!(server.log().contains("BANGUI_ALLOW_PRIVATE_FETCH"), "{}", server.log());
}

/// A server that hands this file out, or 500 without one. Gives its URL and the number of requests.
fn file_server(file: Option<Vec<u8>>) -> (String, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/country.mmdb", listener.local_addr().unwrap());
    let count = Arc::<Mutex<usize>>::default();
    let seen = count.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            if request(&mut BufReader::new(&stream)).is_some() {
                *seen.lock().unwrap() += 1;
                let status = if file.is_some() { "200 OK" } else { "500 Oops" };
                let body = file.as_deref().unwrap_or_default();
                let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
                let _ = stream.write_all(body);
            }
        }
    });
    (url, count)
}

fn updater(url: &str) -> Launch {
    Launch::without_daemon()
        .env("BANGUI_GEOIP_UPDATE_URL", url)
        .env("BANGUI_GEOIP_UPDATE_DAYS", "30")
        .env("BANGUI_ALLOW_PRIVATE_FETCH", "1")
}

/// Whether the timer has had its turn since the start: the first thing it does is this.
fn restart(server: &mut Server, admin: &Client) -> Client {
    server.kill();
    server.start_again();
    let admin = server.client().with_identity(admin.identity.clone());
    admin.get(STATS).expect(200);
    admin
}

#[test]
fn a_country_database_comes_by_itself_once_in_thirty_days() {
    let (_files, file) = country_file();
    let (url, requests) = file_server(Some(std::fs::read(file).unwrap()));
    let (mut server, admin) = updater(&url).start().into_ready();
    wait_until("the file", LIMIT, || stats(&admin)["database"]["type"] == "Test");
    for _ in 0..3 {
        let admin = restart(&mut server, &admin);
        assert_eq!(stats(&admin)["database"]["type"], "Test");
    }
    assert_eq!(*requests.lock().unwrap(), 1, "it is remembered over restarts");
}

#[test]
fn a_country_database_that_does_not_come_is_not_asked_for_all_the_time() {
    let (url, requests) = file_server(None);
    let (mut server, admin) = updater(&url).start().into_ready();
    wait_until("the attempt", LIMIT, || *requests.lock().unwrap() == 1);
    wait_until("the line in the log", LIMIT, || server.log().contains("the file in use is kept"));
    for _ in 0..3 {
        restart(&mut server, &admin);
    }
    assert_eq!(*requests.lock().unwrap(), 1, "an hour is waited, over restarts too");
}
