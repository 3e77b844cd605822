//! A receiver of webhooks that keeps what it is sent, and answers as the test wishes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// One request that came in.
#[derive(Debug, Clone)]
pub struct Received {
    /// The path.
    pub path: String,
    /// The lines of its head, names in lower case.
    pub head: Vec<String>,
    /// Its body.
    pub body: String,
}

impl Received {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// How it answers.
#[derive(Debug, Clone)]
pub enum Manner {
    /// With this head and body.
    Says(String),
    /// Never.
    Silent,
}

/// The receiver. It ends with the process of the test.
pub struct Receiver {
    address: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    /// One that takes everything.
    pub fn start() -> Receiver {
        Receiver::on(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// One that listens here already.
    pub fn on(listener: TcpListener) -> Receiver {
        let address = listener.local_addr().unwrap();
        let manner = Arc::new(Mutex::new(Manner::Says("HTTP/1.1 204 No Content\r\n\r\n".to_owned())));
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let (kept, seen) = (manner.clone(), received.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (kept, seen) = (kept.clone(), seen.clone());
                // Whoever hangs up early has had enough.
                std::thread::spawn(move || drop(serve(stream, &kept, &seen)));
            }
        });
        Receiver { address, manner, received }
    }

    /// How it answers from now on.
    pub fn answers(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// The same, with a status and nothing else.
    pub fn answers_status(&self, status: u16) {
        let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret");
        self.answers(Manner::Says(text));
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What came in so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// What came in, with this event.
    pub fn events(&self, event: &str) -> Vec<Value> {
        self.received().iter().map(Received::json).filter(|json| json["event"] == event).collect()
    }
}

fn serve(stream: TcpStream, manner: &Mutex<Manner>, seen: &Mutex<Vec<Received>>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        let (name, value) = line.trim().split_once(": ").unwrap_or((line.trim(), ""));
        let name = name.to_ascii_lowercase();
        if name == "content-length" {
            length = value.parse().unwrap_or(0);
        }
        head.push(format!("{name}: {value}"));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    seen.lock().unwrap().push(Received { path, head, body: String::from_utf8(body).unwrap() });
    let manner = manner.lock().unwrap().clone();
    match manner {
        Manner::Says(text) => (&stream).write_all(text.as_bytes()),
        Manner::Silent => {
            std::thread::sleep(Duration::from_secs(60));
            Ok(())
        }
    }
}
