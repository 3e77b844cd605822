//! A request as the rest of the program sees it, and the reading of its head. Framing that two readers
//! could understand differently is refused here, so that nothing behind a proxy can be smuggled past it.
//! Bodies are read in `body.rs`; nothing here decides what a request may do.

use std::net::IpAddr;
use std::ops::Range;
use std::str::FromStr;

use tiny_http::Method;

/// The longest head, in bytes: request line and headers together.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;
/// The most headers a head may have.
const MAX_HEADERS: usize = 64;

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A TCP connection.
    Tcp(IpAddr),
    /// A connection over a unix socket: a proxy on this machine, trusted to say who the client is.
    Unix,
    /// A command of ours, run by root or by this server's own user.
    Console,
}

/// How the body of a request is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Exactly this many bytes; 0 where the head announces none.
    Length(u64),
    /// Chunked transfer coding.
    Chunked,
}

/// The head of one request.
#[derive(Debug)]
pub struct Head {
    bytes: Vec<u8>,
    headers: Vec<(Range<u16>, Range<u16>)>,
    target: Range<u16>,
    query: Range<u16>,
    /// The method; never `NonStandard` where a route exists for it.
    pub method: Method,
    /// How the body is delimited.
    pub framing: Framing,
    /// Whether the client keeps the connection open after the answer.
    pub keep_alive: bool,
    /// Whether the client can read a chunked answer: HTTP/1.1.
    pub http11: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

/// Why a head was refused. The connection is closed after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHead {
    /// Not HTTP/1.x, or framing that is ambiguous; the text says which.
    Malformed(&'static str),
    /// Longer than `MAX_HEAD_BYTES` or more headers than allowed.
    TooLarge,
    /// An `Expect` that is not `100-continue`.
    Expectation,
}

impl Head {
    /// Reads a head from the start of `buffer`. `Ok(None)` while it is incomplete, else the head and its length in bytes.
    pub fn parse(buffer: &[u8]) -> Result<Option<(Head, usize)>, BadHead> {
        let mut storage = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut storage);
        let length = match parsed.parse(buffer) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(BadHead::TooLarge),
            Err(_) => return Err(BadHead::Malformed("the request head is not valid HTTP/1.1")),
        };
        if length > MAX_HEAD_BYTES {
            return Err(BadHead::TooLarge);
        }
        if buffer[..length].iter().zip(&buffer[1..length]).any(|(before, byte)| *byte == b'\n' && *before != b'\r') {
            return Err(BadHead::Malformed("a line of the request head ends in a bare line feed"));
        }
        let bytes = buffer[..length].to_vec();
        let place = |text: &[u8]| {
            let start = text.as_ptr() as usize - buffer.as_ptr() as usize;
            start as u16..(start + text.len()) as u16
        };
        let headers: Vec<_> =
            parsed.headers.iter().map(|header| (place(header.name.as_bytes()), place(header.value))).collect();
        let method = Method::from_str(parsed.method.unwrap_or_default())
            .map_err(|()| BadHead::Malformed("the method is not a token"))?;
        let whole = place(parsed.path.unwrap_or_default().as_bytes());
        let http11 = parsed.version == Some(1);
        let mut head = Head {
            bytes,
            headers,
            target: whole.clone(),
            query: whole.end..whole.end,
            method,
            framing: Framing::Length(0),
            keep_alive: http11,
            http11,
            expects_continue: false,
        };
        head.split_target(whole)?;
        head.read_framing()?;
        head.read_connection()?;
        Ok(Some((head, length)))
    }

    /// Origin form (`/path?query`), or absolute form for the host the `Host` header names.
    fn split_target(&mut self, whole: Range<u16>) -> Result<(), BadHead> {
        let mut start = whole.start;
        let text = self.text(&whole);
        if !text.starts_with('/') && text != "*" {
            let rest = text
                .strip_prefix("http://")
                .or_else(|| text.strip_prefix("https://"))
                .ok_or(BadHead::Malformed("the request target is neither a path nor an http URL"))?;
            let authority_end = rest.find('/').unwrap_or(rest.len());
            if !self.header("host").is_some_and(|host| host.eq_ignore_ascii_case(&rest[..authority_end])) {
                return Err(BadHead::Malformed("the request target and the Host header name different hosts"));
            }
            start += (text.len() - rest.len() + authority_end) as u16;
        }
        let path = self.text(&(start..whole.end));
        let path_length = path.find('?').unwrap_or(path.len()) as u16;
        self.target = start..start + path_length;
        self.query = (start + path_length + 1).min(whole.end)..whole.end;
        Ok(())
    }

    fn read_framing(&mut self) -> Result<(), BadHead> {
        let mut length = None;
        for value in self.all("content-length") {
            if length.is_some() || value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
                return Err(BadHead::Malformed("Content-Length must be one number"));
            }
            let digits = std::str::from_utf8(value).unwrap_or_default();
            // A length that no u64 holds is still a length: too large, and refused as such.
            length = Some(digits.parse::<u64>().unwrap_or(u64::MAX));
        }
        let mut chunked = false;
        for value in self.all("transfer-encoding") {
            if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(BadHead::Malformed("the only transfer coding understood is chunked, once"));
            }
            chunked = true;
        }
        self.framing = match (length, chunked) {
            (Some(_), true) => {
                return Err(BadHead::Malformed("Content-Length and Transfer-Encoding exclude each other"));
            }
            (None, true) if !self.http11 => return Err(BadHead::Malformed("HTTP/1.0 has no transfer codings")),
            (None, true) => Framing::Chunked,
            (length, false) => Framing::Length(length.unwrap_or(0)),
        };
        Ok(())
    }

    fn read_connection(&mut self) -> Result<(), BadHead> {
        if self.all("host").count() != 1 && (self.http11 || self.all("host").count() > 1) {
            return Err(BadHead::Malformed("exactly one Host header is needed"));
        }
        let (mut close, mut keep) = (false, false);
        for value in self.all("connection") {
            for option in value.split(|byte| *byte == b',') {
                let option = option.trim_ascii();
                close |= option.eq_ignore_ascii_case(b"close");
                keep |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        }
        self.keep_alive = !close && (self.http11 || keep);
        let expectation = self.all("expect").next().map(|value| value.eq_ignore_ascii_case(b"100-continue"));
        match expectation {
            Some(false) => return Err(BadHead::Expectation),
            Some(true) => self.expects_continue = self.http11,
            None => {}
        }
        Ok(())
    }

    fn text(&self, range: &Range<u16>) -> &str {
        let bytes = &self.bytes[usize::from(range.start)..usize::from(range.end)];
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// Every value of a header, in order. `name` in lower case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(field, _)| self.text(field).eq_ignore_ascii_case(name))
            .map(|(_, value)| &self.bytes[usize::from(value.start)..usize::from(value.end)])
    }

    /// The first value of a header, where it is text. `name` in lower case.
    pub fn header<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next().and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The path as sent: nothing decoded, no segment removed.
    pub fn path(&self) -> &str {
        self.text(&self.target)
    }

    /// What follows the first `?`, as sent.
    pub fn query(&self) -> &str {
        self.text(&self.query)
    }
}

/// Whether `buffer` holds the empty line that ends a head; looks only at what came after `from`.
pub fn has_end(buffer: &[u8], from: usize) -> bool {
    let start = from.saturating_sub(3);
    let tail = &buffer[start.min(buffer.len())..];
    tail.windows(2).any(|two| two == b"\n\n") || tail.windows(3).any(|three| three == b"\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Head, BadHead> {
        Head::parse(text.as_bytes()).map(|found| found.expect("a whole head").0)
    }

    fn refused(text: &str) {
        assert!(parse(text).is_err(), "{text:?}");
    }

    #[test]
    fn a_plain_head() {
        let head = parse("GET /a/b?c=d&e HTTP/1.1\r\nHost: x\r\nX-Y:  z \r\n\r\n").unwrap();
        assert_eq!((head.path(), head.query()), ("/a/b", "c=d&e"));
        assert_eq!(head.header("x-y"), Some("z"));
        assert_eq!(head.framing, Framing::Length(0));
        assert!(head.keep_alive);
    }

    #[test]
    fn incomplete_is_not_an_error() {
        assert!(Head::parse(b"GET / HTT").unwrap().is_none());
        assert!(Head::parse(b"").unwrap().is_none());
    }

    #[test]
    fn ambiguous_framing_is_refused() {
        refused("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n");
        refused("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\n");
        refused("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n");
        refused("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
        refused("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n");
        refused("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n");
        refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
        refused("GET / HTTP/1.1\r\n\r\n");
        refused("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n");
        refused("GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n");
        refused("GET / HTTP/1.1\r\nHost: x\r\nA\0: b\r\n\r\n");
        refused("GET / HTTP/1.1\nHost: x\n\n");
        refused("GET http://y/ HTTP/1.1\r\nHost: x\r\n\r\n");
    }

    #[test]
    fn absolute_form_of_the_same_host_is_its_path() {
        let head = parse("GET http://x/p?q HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!((head.path(), head.query()), ("/p", "q"));
        let bare = parse("GET http://x HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!((bare.path(), bare.query()), ("", ""));
    }

    #[test]
    fn an_enormous_length_is_a_length() {
        let head = parse("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n").unwrap();
        assert_eq!(head.framing, Framing::Length(u64::MAX));
    }

    #[test]
    fn http_10_closes_unless_asked() {
        assert!(!parse("GET / HTTP/1.0\r\n\r\n").unwrap().keep_alive);
        assert!(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").unwrap().keep_alive);
        assert!(!parse("GET / HTTP/1.1\r\nHost: x\r\nConnection: a, close\r\n\r\n").unwrap().keep_alive);
    }

    #[test]
    fn other_expectations_are_refused() {
        assert!(matches!(parse("GET / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n"), Err(BadHead::Expectation)));
    }
}
