//! A tiny blocking HTTP/1.1 reader and writer for the tests, on raw sockets so that hostile bytes can be sent as well.
//!
//! `Wire` is one connection and sends anything; every answer it reads is held against the contract. It knows no TLS, no redirects and
//! no cache. Well-formed requests in somebody's name are the business of `client`.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::contract;

/// How long a read or write may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One connection to a server.
pub struct Wire {
    stream: Stream,
    /// Bytes that were read but belong to a later answer.
    rest: Vec<u8>,
}

impl Wire {
    /// Connects, or panics.
    #[track_caller]
    pub fn connect(address: &Address) -> Wire {
        Wire::try_connect(address).unwrap_or_else(|error| panic!("connect {address:?}: {error}"))
    }

    /// Connects, or says why not.
    pub fn try_connect(address: &Address) -> io::Result<Wire> {
        let stream = match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, PATIENCE)?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
            Address::Unix(path) => Stream::Unix(UnixStream::connect(path)?),
        };
        let wire = Wire { stream, rest: Vec::new() };
        wire.set_patience(PATIENCE);
        Ok(wire)
    }

    /// How long each read and write may take.
    pub fn set_patience(&self, patience: Duration) {
        match &self.stream {
            Stream::Tcp(stream) => {
                stream.set_read_timeout(Some(patience)).unwrap();
                stream.set_write_timeout(Some(patience)).unwrap();
            }
            Stream::Unix(stream) => {
                stream.set_read_timeout(Some(patience)).unwrap();
                stream.set_write_timeout(Some(patience)).unwrap();
            }
        }
    }

    /// Sends bytes as they are, or panics.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the server reads what we send");
    }

    /// Sends bytes as they are. An error means that the server has closed, which hostile input may well provoke.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Closes the connection with a reset instead of an orderly end (TCP only).
    pub fn reset(self) {
        if let Stream::Tcp(stream) = &self.stream {
            socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
    }

    /// Reads one answer and holds it against the contract, or panics with the whole exchange.
    ///
    /// `method` and `target` are those of the request: HEAD has no body, and the target picks the schema.
    #[track_caller]
    pub fn answer(&mut self, method: &str, target: &str) -> Answer {
        let mut answer =
            self.try_answer(method).unwrap_or_else(|error| panic!("no answer to {method} {target}: {error}"));
        if answer.header("content-encoding") == Some("gzip") && method != "HEAD" {
            let mut plain = Vec::new();
            io::copy(&mut flate2::read::GzDecoder::new(answer.body.as_slice()), &mut plain).expect("gzip");
            answer.body = plain;
        }
        answer.hold_against_contract(method, target);
        answer
    }

    /// Reads one answer, unchecked. `UnexpectedEof` means that the server closed without one.
    pub fn try_answer(&mut self, method: &str) -> io::Result<Answer> {
        loop {
            let head_end = self.read_until(b"\r\n\r\n")?;
            let head = String::from_utf8_lossy(&self.rest[..head_end]).into_owned();
            self.rest.drain(..head_end + 4);
            let mut answer = Answer::from_head(&head)?;
            if (100..200).contains(&answer.status) {
                continue;
            }
            answer.body = self.read_body(method, &answer)?;
            return Ok(answer);
        }
    }

    /// Reads the next bytes up to an empty line, as they come; for interim answers such as `100 Continue`.
    pub fn head(&mut self) -> io::Result<String> {
        let end = self.read_until(b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&self.rest[..end]).into_owned();
        self.rest.drain(..end + 4);
        Ok(head)
    }

    /// Whether the server closes the connection within `limit`; whatever it still sends is thrown away.
    pub fn closes_within(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut buffer = [0; 65536];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.set_patience(left);
            match self.stream.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 65536];
        match self.stream.read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.rest.extend_from_slice(&buffer[..count]);
                Ok(())
            }
        }
    }

    fn read_until(&mut self, mark: &[u8]) -> io::Result<usize> {
        let mut from = 0;
        loop {
            if let Some(at) = self.rest[from..].windows(mark.len()).position(|part| part == mark) {
                return Ok(from + at);
            }
            from = self.rest.len().saturating_sub(mark.len());
            self.read_more()?;
        }
    }

    fn read_exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.rest.len() < count {
            self.read_more()?;
        }
        Ok(self.rest.drain(..count).collect())
    }

    fn read_body(&mut self, method: &str, answer: &Answer) -> io::Result<Vec<u8>> {
        if method == "HEAD" || matches!(answer.status, 204 | 304) {
            return Ok(Vec::new());
        }
        let chunked = answer.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        if chunked {
            return self.read_chunks();
        }
        match answer.header("content-length") {
            Some(length) => {
                let length = length.parse().map_err(|_| bad("Content-Length"))?;
                self.read_exactly(length)
            }
            None => {
                while self.read_more().is_ok() {}
                Ok(std::mem::take(&mut self.rest))
            }
        }
    }

    fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = self.read_until(b"\r\n")?;
            let line = String::from_utf8_lossy(&self.rest[..end]).into_owned();
            self.rest.drain(..end + 2);
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| bad("chunk size"))?;
            body.extend(self.read_exactly(size)?);
            if self.read_exactly(2)? != b"\r\n" {
                return Err(bad("chunk end"));
            }
            if size == 0 {
                return Ok(body);
            }
        }
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("bad {what}"))
}

/// One answer as it came.
#[derive(Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
    /// From the first byte sent to the last byte read; zero for answers read from a `Wire`.
    pub elapsed: Duration,
}

impl Answer {
    fn from_head(head: &str) -> io::Result<Answer> {
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.split(' ').next())
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| bad(&format!("status line {status_line:?}")))?;
        let mut headers = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or_else(|| bad(&format!("header line {line:?}")))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_string()));
        }
        Ok(Answer { status, headers, body: Vec::new(), elapsed: Duration::ZERO })
    }

    /// An answer that no server gave, to test the checks themselves.
    pub fn for_tests(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        Answer {
            status,
            headers: headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            body: body.to_vec(),
            elapsed: Duration::ZERO,
        }
    }

    /// Every value of a header, in order.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// The first header of this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON, or a panic.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self}"))
    }

    /// The `code` of an error body; empty when there is none.
    pub fn code(&self) -> String {
        serde_json::from_slice::<Value>(&self.body)
            .ok()
            .and_then(|body| body["code"].as_str().map(str::to_string))
            .unwrap_or_default()
    }

    /// Panics with the whole answer unless the status is this one; hands the answer on.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// Like `expect`, and the error code has to be this one as well.
    #[track_caller]
    pub fn expect_error(self, status: u16, code: &str) -> Answer {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{self}");
        self
    }

    /// The value of the session cookie this answer sets; empty when it clears it.
    pub fn session_cookie(&self) -> Option<String> {
        self.headers
            .iter()
            .filter(|(name, _)| name == "set-cookie")
            .filter_map(|(_, value)| value.strip_prefix("bangui_session="))
            .map(|value| value.split(';').next().unwrap_or_default().to_string())
            .next()
    }

    #[track_caller]
    fn hold_against_contract(&self, method: &str, target: &str) {
        if let Err(wrong) = contract::check(method, target, self) {
            panic!("{method} {target} breaks the contract:\n{wrong}\n{self}");
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        writeln!(out, "answer {}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(out, "{name}: {value}")?;
        }
        let body = String::from_utf8_lossy(&self.body);
        write!(out, "\n{}", body.chars().take(4000).collect::<String>())
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}
