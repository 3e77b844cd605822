//! The API of a bangui, as a command asks for it: over a unix socket that takes requests, or at a URL.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::config::{Config, ConfigBuilder};
use ureq::http::Request;
use ureq::typestate::AgentScope;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, RustlsConnector, TcpConnector, Transport,
};

use crate::domain::json;
use crate::fetch;

/// How long an answer may take: an import of large lists is the longest.
const PATIENCE: Duration = Duration::from_secs(900);
/// The longest answer, in bytes.
const LONGEST: u64 = 256 * 1024 * 1024;

/// A server that can be asked.
pub struct Remote {
    agent: Agent,
    /// What stands before `/api/v1`.
    base: String,
    token: Option<String>,
}

/// What it answers.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body; null where there is none.
    pub body: Value,
    /// What is to be said of it: what is not in force yet, or not noted.
    pub warning: Option<String>,
}

impl Remote {
    /// One that is reached over connections that `connect` makes.
    pub fn over(connect: impl Fn() -> io::Result<UnixStream> + Send + Sync + 'static) -> Remote {
        let agent = Agent::with_parts(settings().build(), Local(Box::new(connect)), DefaultResolver::default());
        Remote { agent, base: "http://127.0.0.1".to_owned(), token: None }
    }

    /// One at a URL, with a token. `authorities` is a file of certificates that are trusted instead of those that are built in.
    pub fn at(url: &str, token: String, authorities: Option<&Path>) -> Result<Remote, String> {
        let url = url.trim_end_matches('/');
        let base = url.strip_suffix("/api/v1").unwrap_or(url);
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(format!("{base}: a URL such as https://bangui.example is expected"));
        }
        let tls = fetch::trust(authorities).map_err(|error| error.to_string())?;
        let connector = TcpConnector::default().chain(RustlsConnector::default());
        let agent = Agent::with_parts(settings().tls_config(tls).build(), connector, DefaultResolver::default());
        Ok(Remote { agent, base: base.to_owned(), token: Some(token) })
    }

    /// Sends a request; `path` begins behind `/api/v1`. An error is one line: there is no answer.
    pub fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Reply, String> {
        let mut request = Request::builder().method(method).uri(format!("{}/api/v1{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answered = match body {
            Some(body) => {
                let text = json::text(body).map_err(|error| error.to_string())?;
                let request = request.header("content-type", "application/json").body(text);
                self.agent.run(request.map_err(|error| error.to_string())?)
            }
            None => self.agent.run(request.body(()).map_err(|error| error.to_string())?),
        };
        let mut response = answered.map_err(|error| match self.token {
            Some(_) => format!("{} does not answer: {error}", self.base),
            None => format!("the running server does not answer: {error}"),
        })?;
        let status = response.status().as_u16();
        let warning = response.headers().get("x-bangui-warning").and_then(|text| text.to_str().ok()).map(str::to_owned);
        let text = response.body_mut().with_config().limit(LONGEST).read_to_vec().map_err(|error| error.to_string())?;
        let body = if text.is_empty() { Value::Null } else { serde_json::from_slice(&text).unwrap_or_default() };
        Ok(Reply { status, body, warning })
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("base", &self.base).finish_non_exhaustive()
    }
}

fn settings() -> ConfigBuilder<AgentScope> {
    Agent::config_builder()
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .timeout_global(Some(PATIENCE))
        .user_agent(concat!("bangui/", env!("CARGO_PKG_VERSION")))
}

type Connect = dyn Fn() -> io::Result<UnixStream> + Send + Sync;

/// Connects to a server at this machine.
struct Local(Box<Connect>);

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Local")
    }
}

impl Connector<()> for Local {
    type Out = Line;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Line>, ureq::Error> {
        let config: &Config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Line { stream: (self.0)()?, buffers }))
    }
}

/// A connection to it. The time an answer may take is the server's affair: it has limits for everything that it does.
#[derive(Debug)]
struct Line {
    stream: UnixStream,
    buffers: LazyBuffers,
}

impl Transport for Line {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        let count = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    fn is_open(&mut self) -> bool {
        true
    }
}
