//! Endpoints, one file per router of the contract, and what they all share: the state of the program, the request as
//! a handler sees it, and the two kinds of handler.

pub mod actions;
pub mod auth;
pub mod bans;
pub mod blocklists;
pub mod config;
pub mod context;
pub mod dashboard;
pub mod dispatch;
pub mod error;
pub mod filters;
pub mod geo;
pub mod health;
pub mod history;
pub mod imports;
pub mod input;
pub mod jail_config;
pub mod jail_values;
pub mod jails;
pub mod limits;
pub mod logs;
pub mod map;
pub mod meta;
pub mod paths;
pub mod regex;
pub mod server;
pub mod setup;
pub(crate) mod wording;

use std::fmt;
use std::str::FromStr;
use std::time::Instant;

use serde_json::Value;

pub use self::context::Ctx;
use self::dispatch::Outcome;
pub use self::error::ApiError;
use self::input::{Fields, Query, percent_decode};
use crate::domain::client::Client;
use crate::domain::quota::Quota;
use crate::jobs::Task;
use crate::routes::Route;
use crate::server::request::Head;
use crate::server::response::Response;
use crate::store::Session;

/// What answers a route.
#[derive(Clone, Copy)]
pub enum Handler {
    /// Done within milliseconds, on the loop.
    Now(fn(&mut Ctx, &Request) -> Result<Response, ApiError>),
    /// Checks its input on the loop and hands a task to a child process.
    Later(fn(&mut Ctx, &Request) -> Result<Job, ApiError>),
    /// One or the other, as the request asks.
    Either(fn(&mut Ctx, &Request) -> Result<Outcome, ApiError>),
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Handler::Now(_) => "Now",
            Handler::Later(_) => "Later",
            Handler::Either(_) => "Either",
        })
    }
}

/// Work for a child, and what becomes of its outcome.
pub struct Job {
    /// What the child does.
    pub task: Task,
    /// Waits before others of its lane.
    pub urgent: bool,
    /// Goes on when the client leaves.
    pub detached: bool,
    /// How its outcome becomes an answer.
    pub then: Then,
}

/// Turns the result of a child into an answer, on the loop.
pub type Finish = Box<dyn FnOnce(&mut Ctx, Value) -> Result<Response, ApiError>>;

/// How the outcome of a task becomes an answer.
pub enum Then {
    /// From its result.
    Finish(Finish),
    /// What it sends is the JSON of the answer.
    Stream,
}

/// What a step of long work on our own database led to.
#[derive(Debug)]
pub enum Step {
    /// There is more to do.
    More,
    /// A part of the JSON of the answer; more follows.
    Part(Vec<u8>),
    /// The answer, or the last part of its JSON.
    Done(Response),
}

/// Work on our own database that may be too long for one turn of the loop: a few milliseconds each time it is called, until it is done.
pub type Steps = Box<dyn FnMut(&mut Ctx) -> Result<Step, ApiError>>;

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("task", &self.task).finish_non_exhaustive()
    }
}

impl Job {
    /// A task whose result `finish` turns into the answer.
    pub fn new(task: Task, finish: impl FnOnce(&mut Ctx, Value) -> Result<Response, ApiError> + 'static) -> Self {
        Self { task, urgent: false, detached: false, then: Then::Finish(Box::new(finish)) }
    }

    /// A task that writes the answer itself.
    pub fn stream(task: Task) -> Self {
        Self { task, urgent: false, detached: false, then: Then::Stream }
    }

    /// The same, to its end even when the client leaves.
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }
}

/// What was found out about a request from its head, before its body was read.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// The route; `None` for a CORS preflight, which is answered without one.
    pub route: Option<&'static Route>,
    /// What the log calls a path that leads nowhere; `-` where none was read.
    pub unknown_path: String,
    /// The segments of the path that the route's parameters stand for, decoded.
    pub parameters: Vec<String>,
    /// The client behind all trusted proxies.
    pub client: Client,
    /// The session, where there is a good one.
    pub session: Option<Session>,
    /// Whether the client came by HTTPS, as a trusted proxy says.
    pub is_https: bool,
    /// Names the request in the log and in the answer.
    pub request_id: String,
    /// Where the client stands with the tightest limit this request counted against.
    pub quota: Quota,
    /// The origin to allow in the answer.
    pub cors_origin: Option<String>,
    /// When the head was there.
    pub started: Instant,
}

/// A whole request, as a handler sees it.
#[derive(Debug)]
pub struct Request {
    /// Its head.
    pub head: Head,
    /// Its body.
    pub body: Vec<u8>,
    /// What is known about it.
    pub admitted: Admitted,
}

impl Request {
    /// The query.
    pub fn query(&self) -> Query<'_> {
        Query(self.head.query())
    }

    /// The first parameter of the path, as a checked type.
    pub fn parameter<T>(&self) -> Result<T, ApiError>
    where
        T: FromStr,
        ApiError: From<T::Err>,
    {
        let text = self.admitted.parameters.first().map(String::as_str).unwrap_or_default();
        Ok(text.parse()?)
    }

    /// The body as a JSON object.
    pub fn fields(&self) -> Result<Fields, ApiError> {
        Fields::parse(self.json_body()?)
    }

    /// The body, once it is said to be JSON.
    pub fn json_body(&self) -> Result<&[u8], ApiError> {
        let is_json = self.head.header("content-type").is_some_and(|value| {
            let kind = value.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("application/json")
        });
        if is_json {
            Ok(&self.body)
        } else {
            Err(ApiError::invalid_input("Send the body as JSON, with the header Content-Type: application/json."))
        }
    }
}

/// Decodes the path's parameters.
pub(crate) fn decode_parameters(segments: &[&str]) -> Result<Vec<String>, ApiError> {
    segments
        .iter()
        .map(|segment| {
            percent_decode(segment)
                .ok_or_else(|| ApiError::invalid_input("The path is not valid percent-encoded UTF-8."))
        })
        .collect()
}
