//! The one door to the outside: GET and POST over HTTP or HTTPS, guarded. The address is checked after its name was looked up, and the
//! connection goes to that very address, at every redirect; time and bytes are limited; no proxy of the environment is used.
//!
//! It waits for the network, so it is meant for a child process of ours. What a file says is none of its business.

mod error;
mod tls;

use std::fmt;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use ureq::config::Config;
use ureq::http::header::{ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION, RETRY_AFTER};
use ureq::http::{HeaderMap, HeaderName, Response, Uri};
use ureq::tls::TlsConfig;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Connector, NextTimeout, RustlsConnector, TcpConnector};
use ureq::{Agent, Body, Timeout};

use crate::domain::address::IpOrNet;
pub use error::FetchError;
use error::MAX_REDIRECTS;

/// The longest URL, in bytes: the contract's.
const LONGEST_URL: usize = 2048;
/// How long a name or a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a server may think before it answers.
const ANSWER: Duration = Duration::from_secs(30);
/// The longest ETag or date that is remembered, in bytes.
const LONGEST_VALIDATOR: usize = 256;

/// What may be fetched, and how much of it.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Addresses that are not public are fine, on any port.
    pub allow_private: bool,
    /// This machine's own addresses, which are not fetched from either.
    pub own: Vec<IpAddr>,
    /// Bytes at most, after unpacking.
    pub bytes: u64,
    /// How long all of it may take.
    pub time: Duration,
    /// A file of certificates of the authorities that are trusted instead of those that are built in.
    pub authorities: Option<PathBuf>,
}

/// Whom to trust over https: the authorities of this file of certificates, else those that are built in.
pub fn trust(authorities: Option<&Path>) -> Result<TlsConfig, FetchError> {
    tls::config(authorities)
}

/// Has libraries that ask for the cryptography of the process use ours.
pub fn use_own_cryptography() {
    tls::install();
}

/// What of a failed handshake is about the certificate; `None` where it is about something else.
pub fn distrust(text: &str) -> Option<FetchError> {
    tls::distrust(text)
}

impl Rules {
    fn tls(&self) -> Result<TlsConfig, FetchError> {
        tls::config(self.authorities.as_deref())
    }
}

/// What the server said of the content, for the next time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// Its ETag.
    pub etag: Option<String>,
    /// Its Last-Modified.
    pub last_modified: Option<String>,
}

/// Where content came from in the end, behind all redirects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its URL.
    pub url: String,
    /// The addresses of its host, those that were looked up for the request.
    pub addresses: Vec<IpAddr>,
}

/// An answer.
#[derive(Debug)]
pub enum Answer {
    /// The content is what the validators were given with.
    NotModified,
    /// The content, to be read.
    Content(Download),
}

/// Checks the text of a URL: http or https, a host that is a name or a proper public address, no user, the default port.
/// Where names lead is not known before they are looked up.
pub fn check_url(text: &str, allow_private: bool) -> Result<Uri, FetchError> {
    let bad = |why: &str| FetchError::BadUrl(why.to_owned());
    if text.len() > LONGEST_URL || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad("it is too long, or has letters that need encoding"));
    }
    let uri: Uri = text.parse().map_err(|_| bad("it is not a URL"))?;
    let default_port = match uri.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => return Err(bad("it must begin with http:// or https://")),
    };
    let authority = uri.authority().ok_or_else(|| bad("it names no host"))?;
    if authority.as_str().contains('@') {
        return Err(bad("it carries a user name or password"));
    }
    let host = authority.host();
    let has_port = authority.as_str().len() > host.len();
    match authority.port_u16() {
        Some(port) if port != default_port && !allow_private => {
            return Err(bad("its port is not the default one; BANGUI_ALLOW_PRIVATE_FETCH=1 allows any"));
        }
        None if has_port => return Err(bad("its port is not a number")),
        _ => {}
    }
    if let Some(v6) = host.strip_prefix('[') {
        let address = v6.trim_end_matches(']').parse().map_err(|_| bad("its host is not an address"))?;
        check_address(host, IpAddr::V6(address), allow_private, &[])?;
    } else if let Ok(address) = host.parse::<IpAddr>() {
        check_address(host, address, allow_private, &[])?;
    } else if !is_name(host) {
        return Err(bad("its host is neither a name nor an address in the usual form"));
    }
    Ok(uri)
}

/// Whether it is a host's name. One whose last part is a number would be taken for an address by some resolvers: 127.1, 0x7f.1, 2130706433.
fn is_name(host: &str) -> bool {
    let letters = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let is_number = last.starts_with(|first: char| first.is_ascii_digit())
        && (last.bytes().all(|byte| byte.is_ascii_digit()) || last[1..].starts_with(['x', 'X']));
    letters && !last.is_empty() && host.len() <= 253 && !is_number
}

/// Checks where a name leads: it must be public and none of `own`, unless any address is fine.
pub fn check_address(host: &str, address: IpAddr, allow_private: bool, own: &[IpAddr]) -> Result<(), FetchError> {
    if allow_private || (IpOrNet::from(address).is_public() && !own.contains(&address.to_canonical())) {
        return Ok(());
    }
    Err(FetchError::NotPublic { host: host.to_owned(), address })
}

/// Looks names up and refuses where any of the answers is not public: the connection goes to what is returned here.
#[derive(Debug)]
struct Guard {
    allow_private: bool,
    own: Vec<IpAddr>,
    /// The addresses of every host that was asked.
    hosts: Hosts,
}

type Hosts = Arc<Mutex<Vec<IpAddr>>>;

/// Carries an error of ours through those of the library.
#[derive(Debug)]
struct Refused(FetchError);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refused {}

impl Resolver for Guard {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = DefaultResolver::default().resolve(uri, config, timeout).map_err(|error| match error {
            // What the system says of it is different on each.
            ureq::Error::Io(_) => ureq::Error::HostNotFound,
            other => other,
        })?;
        for place in found.iter() {
            check_address(uri.host().unwrap_or_default(), place.ip(), self.allow_private, &self.own)
                .map_err(|refused| ureq::Error::Io(io::Error::other(Refused(refused))))?;
        }
        if let Ok(mut hosts) = self.hosts.lock() {
            hosts.extend(found.iter().map(|place| place.ip()));
        }
        Ok(found)
    }
}

/// Asks for a URL and follows up to three redirects, each checked like the first.
pub fn open(url: &str, known: &Validators, rules: &Rules) -> Result<Answer, FetchError> {
    let until = Instant::now() + rules.time;
    let mut uri = check_url(url, rules.allow_private)?;
    let tls = rules.tls()?;
    let hosts = Hosts::default();
    for _ in 0..=MAX_REDIRECTS {
        let left = until.saturating_duration_since(Instant::now());
        let before = hosts.lock().map_or(0, |hosts| hosts.len());
        let response = ask(&uri, known, agent(rules, &tls, left, &hosts))?;
        let status = response.status().as_u16();
        match status {
            200 => {
                let mut download = Download::new(response, rules.bytes, &hosts);
                let addresses = download.hosts.get(before..).unwrap_or_default().to_vec();
                download.place = Place { url: uri.to_string(), addresses };
                return Ok(Answer::Content(download));
            }
            304 if *known != Validators::default() => return Ok(Answer::NotModified),
            301 | 302 | 303 | 307 | 308 => uri = redirected(&uri, header(&response, &LOCATION), rules)?,
            _ => {
                let retry_after = header(&response, &RETRY_AFTER).and_then(|text| text.trim().parse().ok());
                return Err(FetchError::Status { status, retry_after });
            }
        }
    }
    Err(FetchError::TooManyRedirects)
}

fn ask(uri: &Uri, known: &Validators, agent: Agent) -> Result<Response<Body>, FetchError> {
    let mut request = agent.get(uri.clone());
    if let Some(etag) = &known.etag {
        request = request.header(IF_NONE_MATCH, etag);
    }
    if let Some(date) = &known.last_modified {
        request = request.header(IF_MODIFIED_SINCE, date);
    }
    request.call().map_err(FetchError::from)
}

/// What can speak to servers under these rules. It follows no redirect by itself.
fn agent(rules: &Rules, tls: &TlsConfig, left: Duration, hosts: &Hosts) -> Agent {
    let config = Agent::config_builder()
        .tls_config(tls.clone())
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .timeout_global(Some(left.max(Duration::from_millis(1))))
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(ANSWER))
        .user_agent(concat!("bangui/", env!("CARGO_PKG_VERSION")))
        .accept("text/plain, */*;q=0.5")
        .max_idle_connections(0)
        .build();
    let guard = Guard { allow_private: rules.allow_private, own: rules.own.clone(), hosts: hosts.clone() };
    // Without the connectors for proxies, which are never used.
    Agent::with_parts(config, TcpConnector::default().chain(RustlsConnector::default()), guard)
}

/// What a server answered to a POST.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    headers: HeaderMap,
}

impl Reply {
    /// A header that is a whole number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.headers.get(name)?.to_str().ok()?.trim().parse().ok()
    }
}

/// Sends something to a URL; what is answered is not read, but for its head. A redirect is an answer like any other: what is sent is meant
/// for one server.
pub fn send(url: &str, body: &[u8], headers: &[(&str, String)], rules: &Rules) -> Result<Reply, FetchError> {
    let response = posted(url, body, headers, rules)?;
    Ok(Reply { status: response.status().as_u16(), body: Vec::new(), headers: response.headers().clone() })
}

fn posted(url: &str, body: &[u8], headers: &[(&str, String)], rules: &Rules) -> Result<Response<Body>, FetchError> {
    let uri = check_url(url, rules.allow_private)?;
    let mut request = agent(rules, &rules.tls()?, rules.time, &Hosts::default()).post(uri);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    Ok(request.send(body)?)
}

/// Sends JSON to a URL, and reads what is answered, whatever its status. Redirects are as with `send`.
pub fn post(url: &str, json: &[u8], rules: &Rules) -> Result<Reply, FetchError> {
    let response = posted(url, json, &[("content-type", "application/json".to_owned())], rules)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    Download::new(response, rules.bytes, &Hosts::default()).each(|bytes, _| {
        body.extend_from_slice(bytes);
        Ok::<(), FetchError>(())
    })?;
    Ok(Reply { status, body, headers })
}

fn header<'r>(response: &'r Response<Body>, name: &HeaderName) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

/// Where a redirect leads. From https never to http: what is banned must not be anybody's on the way to say.
fn redirected(from: &Uri, location: Option<&str>, rules: &Rules) -> Result<Uri, FetchError> {
    let location = location.ok_or_else(|| FetchError::Unreachable("a redirect without a target".to_owned()))?;
    let location = location.split('#').next().unwrap_or_default();
    let scheme = from.scheme_str().unwrap_or("https");
    let host = from.authority().map_or("", |authority| authority.as_str());
    let text = if location.contains("://") {
        location.to_owned()
    } else if let Some(rest) = location.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if location.starts_with('/') {
        format!("{scheme}://{host}{location}")
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{host}{folder}/{location}")
    };
    let uri = check_url(&text, rules.allow_private)?;
    if scheme == "https" && uri.scheme_str() == Some("http") {
        return Err(FetchError::BadUrl("it leads from https to http".to_owned()));
    }
    Ok(uri)
}

/// Content on its way.
#[derive(Debug)]
pub struct Download {
    validators: Validators,
    body: Body,
    limit: u64,
    read: u64,
    hosts: Vec<IpAddr>,
    place: Place,
}

impl Download {
    fn new(response: Response<Body>, limit: u64, hosts: &Hosts) -> Download {
        let hosts = hosts.lock().map_or_else(|_| Vec::new(), |hosts| hosts.clone());
        let keep = |name| header(&response, name).filter(|text| text.len() <= LONGEST_VALIDATOR).map(str::to_owned);
        let validators = Validators { etag: keep(&ETAG), last_modified: keep(&LAST_MODIFIED) };
        Download { validators, body: response.into_body(), limit, read: 0, hosts, place: Place::default() }
    }

    /// What the server said of it.
    pub fn validators(&self) -> &Validators {
        &self.validators
    }

    /// The addresses of the hosts that were asked for it, those that redirected included.
    pub fn hosts(&self) -> &[IpAddr] {
        &self.hosts
    }

    /// Where it comes from.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Bytes read so far, unpacked.
    pub fn bytes(&self) -> u64 {
        self.read
    }

    /// Hands over all of it, piece by piece, as long as `take` goes well.
    pub fn each<E: From<FetchError>>(&mut self, mut take: impl FnMut(&[u8], u64) -> Result<(), E>) -> Result<(), E> {
        let mut buffer = vec![0; 64 * 1024];
        let mut reader = self.body.as_reader();
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    self.read += count as u64;
                    if self.read > self.limit {
                        return Err(FetchError::TooLarge(self.limit).into());
                    }
                    take(&buffer[..count], self.read)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(FetchError::from(ureq::Error::from(error)).into()),
            }
        }
    }
}

impl From<ureq::Error> for FetchError {
    fn from(error: ureq::Error) -> FetchError {
        match error {
            ureq::Error::Timeout(Timeout::Resolve) | ureq::Error::HostNotFound => FetchError::Unresolved,
            ureq::Error::Timeout(_) => FetchError::TooSlow,
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => FetchError::Refused,
            ureq::Error::Io(error) => {
                if let Some(Refused(refused)) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
                    return refused.clone();
                }
                if error.kind() == io::ErrorKind::TimedOut {
                    return FetchError::TooSlow;
                }
                let text = error.to_string();
                tls::distrust(&text).unwrap_or(FetchError::Unreachable(text))
            }
            other => {
                let text = other.to_string();
                tls::distrust(&text).unwrap_or(FetchError::Unreachable(text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_are_refused() {
        for url in [
            "",
            "x",
            "/list",
            "file:///etc/passwd",
            "gopher://example.org/",
            "ftp://example.org/list",
            "http://user@example.org/",
            "http://user:secret@example.org/",
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://[::]/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[64:ff9b::10.0.0.1]/",
            "http://[2002:a00:1::]/",
            "http://[2001:0:a00:1::]/",
            "http://[fe80::1%25eth0]/",
            "http://[fe80::1]/",
            "http://169.254.169.254/latest/meta-data",
            "http://100.64.0.1/",
            "http://10.0.0.1/",
            "http://example.org:22/",
            "https://example.org:80/",
            "http://example.org:/",
            "http://exa mple.org/",
            "http://example.org/\r\nX: y",
            "http://ex\u{e4}mple.org/",
            "http:///list",
        ] {
            assert!(check_url(url, false).is_err(), "{url}");
        }
        assert!(check_url(&format!("https://example.org/{}", "a".repeat(2048)), false).is_err());
        for url in [
            "http://example.org/list.txt",
            "https://example.org:443/a?b=c",
            "https://8.8.8.8/",
            "http://[2606:4700::1]/",
        ] {
            assert!(check_url(url, false).is_ok(), "{url}");
        }
        assert!(check_url("http://127.0.0.1:8080/", true).is_ok());
        assert!(check_url("file:///etc/passwd", true).is_err());
    }

    #[test]
    fn redirects_are_resolved_and_checked() {
        let rules = Rules { allow_private: false, own: Vec::new(), bytes: 1, time: CONNECT, authorities: None };
        let from: Uri = "https://example.org/a/list?x=1".parse().unwrap();
        let to = |location| redirected(&from, Some(location), &rules).map(|uri| uri.to_string());
        assert_eq!(to("/b").unwrap(), "https://example.org/b");
        assert_eq!(to("c#d").unwrap(), "https://example.org/a/c");
        assert_eq!(to("//example.net/b").unwrap(), "https://example.net/b");
        assert_eq!(to("https://example.net/").unwrap(), "https://example.net/");
        for bad in [
            "http://example.org/",
            "https://127.0.0.1/",
            "file:///etc/passwd",
            "https://example.org:8443/",
            "https://a@b/",
        ] {
            assert!(to(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_server_that_only_drips_is_given_up_in_time() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut said = io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n");
                while said.is_ok() {
                    std::thread::sleep(Duration::from_millis(20));
                    said = io::Write::write_all(&mut stream, b"x");
                }
            }
        });
        let time = Duration::from_millis(400);
        let rules = Rules { allow_private: true, own: Vec::new(), bytes: 1 << 20, time, authorities: None };
        let start = Instant::now();
        let Ok(Answer::Content(mut download)) = open(&url, &Validators::default(), &rules) else { panic!("no answer") };
        let error = download.each(|_, _| Ok::<(), FetchError>(())).unwrap_err();
        assert_eq!(error, FetchError::TooSlow);
        assert!(error.is_passing());
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }

    #[test]
    fn names_that_lead_home_are_refused_after_the_lookup() {
        let rules = Rules { allow_private: false, own: Vec::new(), bytes: 1, time: CONNECT, authorities: None };
        let error = open("http://localhost/", &Validators::default(), &rules).unwrap_err();
        assert!(matches!(error, FetchError::NotPublic { .. }), "{error}");
    }
}
