//! Well-formed requests in somebody's name: nobody's, a bearer token's or a cookie's.
//!
//! Each request goes over a connection of its own, so that one test never disturbs another by what a connection remembers.
//! Keep-alive, pipelining and anything malformed are tested on `http::Wire` instead.

use std::time::Instant;

use serde_json::{Value, json};

use super::http::{Address, Answer, Wire};

/// How a client says who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// No session.
    Nobody,
    /// `Authorization: Bearer`, exempt from the CSRF header.
    Bearer(String),
    /// The session cookie together with the CSRF header.
    Cookie(String),
    /// The session cookie without the CSRF header, as a foreign page would make a browser send it.
    CookieOnly(String),
}

/// Sends requests to one server as one identity.
#[derive(Clone)]
pub struct Client {
    /// Where the server listens.
    pub address: Address,
    /// Who asks.
    pub identity: Identity,
    headers: Vec<(String, String)>,
}

impl Client {
    /// A client without a session.
    pub fn new(address: Address) -> Client {
        Client { address, identity: Identity::Nobody, headers: Vec::new() }
    }

    /// The same client as somebody else.
    pub fn with_identity(&self, identity: Identity) -> Client {
        Client { identity, ..self.clone() }
    }

    /// The same client with one more header on every request. A `Host` given here replaces the usual one.
    pub fn with_header(&self, name: &str, value: &str) -> Client {
        let mut client = self.clone();
        client.headers.push((name.to_string(), value.to_string()));
        client
    }

    /// The session token, or a panic for nobody.
    #[track_caller]
    pub fn token(&self) -> &str {
        match &self.identity {
            Identity::Nobody => panic!("this client has no session"),
            Identity::Bearer(token) | Identity::Cookie(token) | Identity::CookieOnly(token) => token,
        }
    }

    /// `GET`.
    #[track_caller]
    pub fn get(&self, target: &str) -> Answer {
        self.send("GET", target, None)
    }

    /// `HEAD`.
    #[track_caller]
    pub fn head(&self, target: &str) -> Answer {
        self.send("HEAD", target, None)
    }

    /// `POST` with a JSON body.
    #[track_caller]
    pub fn post(&self, target: &str, body: Value) -> Answer {
        self.send("POST", target, Some(body.to_string().as_bytes()))
    }

    /// `POST` without a body.
    #[track_caller]
    pub fn post_empty(&self, target: &str) -> Answer {
        self.send("POST", target, None)
    }

    /// `PUT` with a JSON body.
    #[track_caller]
    pub fn put(&self, target: &str, body: Value) -> Answer {
        self.send("PUT", target, Some(body.to_string().as_bytes()))
    }

    /// `DELETE` without a body.
    #[track_caller]
    pub fn delete(&self, target: &str) -> Answer {
        self.send("DELETE", target, None)
    }

    /// `DELETE` with a JSON body.
    #[track_caller]
    pub fn delete_with(&self, target: &str, body: Value) -> Answer {
        self.send("DELETE", target, Some(body.to_string().as_bytes()))
    }

    /// Any method, with the body as bytes and, when there is one, `Content-Type: application/json` unless a header says otherwise.
    #[track_caller]
    pub fn send(&self, method: &str, target: &str, body: Option<&[u8]>) -> Answer {
        let start = Instant::now();
        let mut wire = Wire::connect(&self.address);
        let mut request = self.head_of(method, target, body.map(<[u8]>::len)).into_bytes();
        request.extend_from_slice(body.unwrap_or_default());
        // A server may answer and close before it has read everything; then the answer says why.
        let _ = wire.try_send(&request);
        let mut answer = wire.answer(method, target);
        answer.elapsed = start.elapsed();
        answer
    }

    /// The head of a request as this client sends it, up to and including the empty line.
    pub fn head_of(&self, method: &str, target: &str, length: Option<usize>) -> String {
        let mut headers = self.headers.clone();
        match &self.identity {
            Identity::Nobody => {}
            Identity::Bearer(token) => {
                headers.push(("Authorization".into(), format!("Bearer {token}")));
            }
            Identity::Cookie(token) => {
                headers.push(("Cookie".into(), format!("bangui_session={token}")));
                headers.push(("X-BanGUI-Request".into(), "1".into()));
            }
            Identity::CookieOnly(token) => {
                headers.push(("Cookie".into(), format!("bangui_session={token}")));
            }
        }
        let has = |headers: &[(String, String)], wanted: &str| {
            headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        if !has(&headers, "Host") {
            headers.push(("Host".into(), "localhost".into()));
        }
        if let Some(length) = length {
            headers.push(("Content-Length".into(), length.to_string()));
            if !has(&headers, "Content-Type") {
                headers.push(("Content-Type".into(), "application/json".into()));
            }
        } else if matches!(method, "POST" | "PUT") {
            headers.push(("Content-Length".into(), "0".into()));
        }
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{method} {target} HTTP/1.1\r\n{lines}\r\n")
    }

    /// Does the setup with `PASSWORD`, or panics.
    #[track_caller]
    pub fn setup(&self) {
        self.post("/api/v1/setup", json!({"master_password": PASSWORD})).expect(201);
    }

    /// Logs in with `PASSWORD` and gives a client with the new session, by bearer token.
    #[track_caller]
    pub fn login(&self) -> Client {
        let answer = self.post("/api/v1/auth/login", json!({"password": PASSWORD})).expect(200);
        let token = answer.session_cookie().expect("a login sets the session cookie");
        self.with_identity(Identity::Bearer(token))
    }
}

/// The password the tests set up; it meets the contract's rules.
pub const PASSWORD: &str = "Correct1!horse";

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    const HEADERS: &str = "Content-Type: application/json\r\nContent-Security-Policy: x\r\nReferrer-Policy: x\r\n\
        X-Request-ID: 1\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n";

    /// A server that sends these bytes to its first client and hands back what that one sent.
    fn canned(answer: String) -> (Address, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut seen = vec![0; 4096];
            let count = stream.read(&mut seen).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&seen[..count]).into_owned()
        });
        (address, thread)
    }

    #[test]
    fn a_request_carries_who_asks_and_an_answer_is_read_whole() {
        let body = r#"{"valid":true,"expires_at":"2026-01-01T00:00:00Z"}"#;
        let (address, thread) =
            canned(format!("HTTP/1.1 200 OK\r\n{HEADERS}Content-Length: {}\r\n\r\n{body}", body.len()));
        let client = Client::new(address).with_identity(Identity::Cookie("t".into()));
        let answer = client.get("/api/v1/auth/session").expect(200);
        assert_eq!(answer.json()["valid"], true);
        let seen = thread.join().unwrap();
        assert!(seen.starts_with("GET /api/v1/auth/session HTTP/1.1\r\n"));
        assert!(seen.contains("Cookie: bangui_session=t\r\nX-BanGUI-Request: 1\r\n"));
        assert!(seen.contains("Host: localhost\r\n"));
    }

    #[test]
    fn chunks_are_joined() {
        let (address, thread) = canned(format!(
            "HTTP/1.1 200 OK\r\n{HEADERS}Transfer-Encoding: chunked\r\n\r\n9\r\n{{\"complet\r\nb;x=y\r\ned\": false}}\r\n0\r\n\r\n"
        ));
        let answer = Client::new(address).get("/api/v1/setup");
        assert_eq!(answer.json(), json!({"completed": false}));
        thread.join().unwrap();
    }

    #[test]
    #[should_panic(expected = "breaks the contract")]
    fn an_answer_against_the_contract_fails_the_test() {
        let (address, _thread) = canned(format!("HTTP/1.1 200 OK\r\n{HEADERS}Content-Length: 2\r\n\r\n{{}}"));
        Client::new(address).get("/api/v1/setup");
    }

    #[test]
    #[should_panic(expected = "no answer to GET /api/v1/setup")]
    fn a_body_cut_short_fails_the_test() {
        let (address, _thread) = canned(format!("HTTP/1.1 200 OK\r\n{HEADERS}Content-Length: 20\r\n\r\n{{}}"));
        Client::new(address).get("/api/v1/setup");
    }
}
