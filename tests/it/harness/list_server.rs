//! A server of blocklists that serves every kind of list and every misbehaviour, and the few requests that tests of imports begin with.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::client::Client;

/// The path of the sources.
pub const LISTS: &str = "/api/v1/blocklists";
/// The path of the import.
pub const IMPORT: &str = "/api/v1/blocklists/import";
/// The jail of imported addresses.
pub const JAIL: &str = "blocklist-import";

/// What the server of lists answers to a path.
#[derive(Clone)]
pub enum Reply {
    /// 200 with this body.
    List(String),
    /// These bytes, and the end of the connection.
    Raw(Vec<u8>),
    /// 200 with an ETag, 304 to whoever knows it.
    Tagged(String, &'static str),
    /// 200 with a Last-Modified, 304 to whoever knows it.
    Dated(String, &'static str),
    /// The head of a list, then a line every 50 ms for ever.
    Drip,
    /// A list that never ends.
    Endless,
    /// The list in this many seconds.
    Late(u64, String),
}

type Replies = Arc<Mutex<HashMap<String, Reply>>>;

/// A server of lists. It ends with the process of the test.
pub struct ListServer {
    address: SocketAddr,
    replies: Replies,
    requests: Arc<Mutex<Vec<String>>>,
}

impl ListServer {
    /// One on loopback.
    pub fn start() -> ListServer {
        ListServer::on(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// One that listens here already.
    pub fn on(listener: TcpListener) -> ListServer {
        let address = listener.local_addr().unwrap();
        let (replies, requests) = (Replies::default(), Arc::<Mutex<Vec<String>>>::default());
        let (served, seen) = (replies.clone(), requests.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (served, seen) = (served.clone(), seen.clone());
                // Whoever hangs up early has had enough; that is what some tests are about.
                std::thread::spawn(move || drop(serve(stream, &served, &seen)));
            }
        });
        ListServer { address, replies, requests }
    }

    /// What it answers to a path from now on.
    pub fn set(&self, path: &str, reply: Reply) {
        self.replies.lock().unwrap().insert(path.to_string(), reply);
    }

    /// It answers a path with these lines.
    pub fn list(&self, path: &str, lines: &[String]) {
        self.set(path, Reply::List(lines.join("\n") + "\n"));
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The heads of the requests since the last call.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    /// How many requests there were since the last call of `take_requests`.
    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// Whether nobody has asked since the last call of `take_requests`.
    pub fn has_no_request(&self) -> bool {
        self.requests.lock().unwrap().is_empty()
    }
}

fn serve(mut stream: TcpStream, replies: &Replies, requests: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone()?);
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_string();
    requests.lock().unwrap().push(head.clone());
    let reply = replies.lock().unwrap().get(&path).cloned();
    let header = |wanted: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
    };
    let ok = |length: usize, more: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{more}\r\n");
    match reply {
        None => stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        Some(Reply::List(body)) => write!(stream, "{}{body}", ok(body.len(), "")),
        Some(Reply::Raw(bytes)) => stream.write_all(&bytes),
        // As strict as any server: a path that is asked for by GET, for one host.
        _ if !head.starts_with("GET /") || header("host").is_none() => {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        }
        Some(Reply::Tagged(_, tag)) if header("if-none-match") == Some(tag) => {
            stream.write_all(b"HTTP/1.1 304 Not Modified\r\n\r\n")
        }
        Some(Reply::Dated(_, date)) if header("if-modified-since") == Some(date) => {
            stream.write_all(b"HTTP/1.1 304 Not Modified\r\n\r\n")
        }
        Some(Reply::Dated(body, date)) => {
            write!(stream, "{}{body}", ok(body.len(), &format!("Last-Modified: {date}\r\n")))
        }
        Some(Reply::Tagged(body, tag)) => write!(stream, "{}{body}", ok(body.len(), &format!("ETag: {tag}\r\n"))),
        Some(Reply::Late(seconds, body)) => {
            std::thread::sleep(Duration::from_secs(seconds));
            write!(stream, "{}{body}", ok(body.len(), ""))
        }
        Some(Reply::Drip) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            loop {
                stream.write_all(b"45.1.1.1\n")?;
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Some(Reply::Endless) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            let piece = b"# nothing but remarks\n".repeat(1000);
            loop {
                stream.write_all(&piece)?;
            }
        }
    }
}

/// Subscribes to a list and gives its number.
#[track_caller]
pub fn add(client: &Client, url: &str, unban_removed: bool) -> i64 {
    let body = json!({"name": "list", "url": url, "unban_removed": unban_removed});
    client.post(LISTS, body).expect(201).json()["id"].as_i64().unwrap()
}

/// Imports all lists and gives the answer.
#[track_caller]
pub fn import(client: &Client) -> Value {
    client.post_empty(IMPORT).expect(200).json()
}

/// So many public addresses.
pub fn addresses(count: u32) -> Vec<String> {
    (0..count).map(|number| std::net::Ipv4Addr::from(0x2d40_0000 + number * 7).to_string()).collect()
}
