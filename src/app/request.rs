//! The row of a route, and a request as its handler sees it. They stand together because each names the other.

use std::fmt;
use std::str::FromStr;
use std::time::Instant;

use super::acting::Acting;
use super::csv::Columns;
use super::error::ApiError;
use super::input::{Fields, Query, percent_decode};
use super::revision::Sources;
use super::state::{Ctx, Job, Outcome};
use crate::domain::actor::Actor;
use crate::domain::client::Client;
use crate::domain::names::{JailName, Running};
use crate::domain::permission::{Role, Scope};
use crate::domain::quota::Quota;
use crate::page::Page;
use crate::server::accepts::Accepts;
use crate::server::request::Head;
use crate::server::response::Response;
use crate::store::{OWNER_ID, Session, Token, User};

/// One endpoint.
#[derive(Debug)]
pub struct Route {
    /// The method; HEAD is answered wherever GET is, unless `changes` is set.
    pub method: Verb,
    /// The path; `{name}` stands for one segment.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What it touches: what a program's key needs to name.
    pub scope: Scope,
    /// Whether it is for people only, and no program's key opens it.
    pub for_people: bool,
    /// What a key that is for some jails finds there, where the path names none.
    pub of_jails: OfJails,
    /// The least that a person must be.
    pub role: Role,
    /// Whether it changes something: then a cookie needs the CSRF header, and read-only mode refuses it.
    pub changes: bool,
    /// The longest body, in bytes.
    pub body_limit: usize,
    /// Whether it asks the daemon on the loop: then it waits while a child of ours keeps the daemon busy.
    pub asks_daemon: bool,
    /// The counter it counts against, beside the general one.
    pub limit: Option<Limit>,
    /// Whether its client need not wait for its end.
    pub long: Long,
    /// The parameters it takes behind the `?`; any other is refused.
    pub takes: &'static [&'static str],
    /// What its answer is made of, where counters tell each change of it: whoever has it already is told so without making it.
    pub sources: Option<Sources>,
    /// The list that it gives as CSV, too.
    pub csv: Option<Columns>,
    /// The type of its answer, where that is lines of text.
    pub text: Option<&'static str>,
    /// What answers it.
    pub handler: Handler,
}

/// The methods in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are HTTP's own")]
pub enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody, before setup too, and without a limit.
    Unlimited,
    /// Anybody, before setup too.
    Public,
    /// Anybody, once setup is done: the login.
    AfterSetup,
    /// Whoever has a session, or comes from the networks that may read metrics.
    Metrics,
    /// Whoever has a session.
    Session,
    /// As `Session`, and allowed in read-only mode: what concerns the session itself.
    SessionAlways,
}

/// What a program's key that is for some jails only finds at a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfJails {
    /// Nothing: it acts on all of them, or tells of all.
    All,
    /// The jail that the path names, where it is one of them.
    Named,
    /// Those jails, and the others left out: its handler sees to that.
    Seen,
    /// What has nothing to do with jails.
    None,
}

/// Why a key is no identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It is nobody's, or over.
    Unknown,
    /// The one of this name may not be used from where it comes.
    FromHere(String),
}

/// Whether the client of a route need not wait for its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Long {
    /// It is answered at its end.
    No,
    /// The same, unless the client prefers not to wait: `Prefer: respond-async`.
    OnDemand,
    /// The same, and after five seconds it is not waited for any longer.
    Slow,
}

/// Counters of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Bans and unbans a minute.
    Ban,
    /// Configuration changes a minute.
    Config,
    /// Blocklist imports an hour.
    Import,
    /// Looks at blocklists that are no sources, an hour.
    Preview,
}

impl Route {
    /// Whether it changes the configuration, and so tells on demand what it would do and does nothing: those that only try something out
    /// may be called by anybody who may look.
    pub fn takes_dry_run(&self) -> bool {
        self.changes && self.path.starts_with("/api/v1/config/") && self.role > Role::Viewer
    }
}

/// Where answers may carry a secret, or tell of one.
const SECRET: [&str; 4] = ["/api/v1/auth/", "/api/v1/setup", "/api/v1/tokens", "/api/v1/users"];

impl Route {
    /// Whether pages ask for it again and again: its answers have a tag, and a client that has one already is told so.
    pub fn is_polled(&self) -> bool {
        let is_read = self.method == Verb::Get && !self.changes && !self.tells_secrets();
        is_read && (self.access == Access::Session || self.path == "/api/v1/meta")
    }

    /// What a key that is for some jails finds there.
    pub fn for_jails(&self) -> OfJails {
        let names_one =
            ["/api/v1/jails/{name}", "/api/v1/config/jails/{name}"].iter().any(|path| self.path.starts_with(path));
        if names_one { OfJails::Named } else { self.of_jails }
    }

    /// Whether its answers may carry a secret: they are neither kept nor packed, for the length of what is packed tells of it.
    pub fn tells_secrets(&self) -> bool {
        SECRET.iter().any(|path| self.path.starts_with(path))
    }
}

impl Verb {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Put => "PUT",
            Verb::Delete => "DELETE",
        }
    }
}

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

/// The longest body of a request without a session, in bytes.
pub const BODY_WITHOUT_SESSION: usize = 16 * 1024;

/// What was found out about a request from its head, before its body was read.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// The route; `None` for a CORS preflight, which is answered without one.
    pub route: Option<&'static Route>,
    /// What of the page it asks for; then there is no route.
    pub page: Option<Page>,
    /// What the log calls a path that leads nowhere; `-` where none was read.
    pub unknown_path: String,
    /// The segments of the path that the route's parameters stand for, decoded.
    pub parameters: Vec<String>,
    /// The client behind all trusted proxies.
    pub client: Client,
    /// The session, where there is a good one.
    pub session: Option<Session>,
    /// The program's key, where there is a good one.
    pub token: Option<Box<Token>>,
    /// Why the key that was sent is none.
    pub refused: Option<Refused>,
    /// It is a command of ours at this machine, whose user owns all of this anyway.
    pub is_console: bool,
    /// Whether the client came by HTTPS, as a trusted proxy says.
    pub is_https: bool,
    /// The client would rather not wait for long work.
    pub prefers_async: bool,
    /// Names the request in the log and in the answer.
    pub request_id: String,
    /// Where the client stands with the tightest limit this request counted against.
    pub quota: Quota,
    /// The origin to allow in the answer.
    pub cors_origin: Option<String>,
    /// What the client can take, and what it has.
    pub accepts: Accepts,
    /// A number of who asks and for what.
    pub seed: u64,
    /// A number of the state that the answer shows, where counters tell it.
    pub state: Option<u64>,
    /// When the head was there.
    pub started: Instant,
}

impl Admitted {
    /// For whom the loop works while it works for this request.
    pub fn acting(&self) -> Acting {
        Acting { actor: self.actor(), client: (!self.is_console).then_some(self.client) }
    }

    /// Who asks. Without an identity it is nobody in particular, and what is done then the program does by itself.
    pub fn actor(&self) -> Actor {
        match (&self.session, &self.token) {
            _ if self.is_console => Actor::Console,
            (Some(session), _) => Actor::User(session.user.name.clone()),
            (None, Some(token)) => Actor::Token(token.may.name.clone()),
            (None, None) => Actor::System,
        }
    }

    /// The person it is, or whose key it is. Who sits at the machine is none in particular and may do all that the owner may.
    pub fn user(&self) -> Option<&User> {
        let of_token = || self.token.as_ref().map(|token| &token.user);
        self.session.as_ref().map(|session| &session.user).or_else(of_token)
    }

    /// That person; at the machine, the owner.
    pub fn user_or_owner(&self) -> User {
        self.user().cloned().unwrap_or_else(User::owner)
    }

    /// The number of that person; at the machine, the owner's.
    pub fn user_id(&self) -> i64 {
        self.user().map_or(OWNER_ID, |user| user.id)
    }

    /// What that person may do now.
    pub fn role(&self) -> Role {
        match self.user() {
            _ if self.is_console => Role::Admin,
            Some(user) => user.role,
            None => Role::Viewer,
        }
    }

    /// Whether a key names this scope; whoever comes with none has them all.
    pub fn holds(&self, scope: Scope) -> bool {
        self.token.as_ref().is_none_or(|token| token.may.scopes.contains(&scope))
    }

    /// Whether commands that root runs may be shown, and their parameters: keys and passwords stand in them, and no guess finds each.
    pub fn sees_commands(&self) -> bool {
        self.role() == Role::Admin && self.holds(Scope::Config)
    }

    /// The jails that it is for; `None` for all.
    pub fn jails(&self) -> Option<&[String]> {
        self.token.as_ref().map(|token| token.may.jails.as_slice()).filter(|jails| !jails.is_empty())
    }

    /// 404 for a jail that it is not for, as for one that does not run.
    pub fn demand_jail(&self, jail: &str) -> Result<(), ApiError> {
        if self.sees(jail) { Ok(()) } else { Err(ApiError::no_jail(jail)) }
    }

    /// The jail that something acts on where none is named: the only one that it is for. `None` is all of them, and 403 where it is for
    /// several, of which one has to be named.
    pub fn only_jail(&self) -> Result<Option<&str>, ApiError> {
        match self.jails() {
            None => Ok(None),
            Some([one]) => Ok(Some(one)),
            Some(several) => {
                let detail = format!("Name the jail: this token is for {} only.", several.join(", "));
                Err(ApiError::out_of_scope(Scope::Bans, detail).with("jails", several))
            }
        }
    }

    /// Whether it is for this jail, too.
    pub fn sees(&self, jail: &str) -> bool {
        self.jails().is_none_or(|jails| jails.iter().any(|own| own == jail))
    }

    /// The list that is wanted as CSV; `None` where JSON is.
    pub fn csv(&self) -> Option<Columns> {
        self.route.and_then(|route| route.csv).filter(|_| self.accepts.csv)
    }

    /// Whether it is known who asks.
    pub fn has_identity(&self) -> bool {
        self.session.is_some() || self.token.is_some() || self.is_console
    }
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
    /// It was handled before, and has waited for the daemon since.
    pub has_waited: bool,
}

impl Request {
    /// The query.
    pub fn query(&self) -> Query<'_> {
        Query(self.head.query())
    }

    /// Whether all of a list is wanted: as CSV, and no page of it.
    pub fn wants_all(&self) -> bool {
        let asks = |name| self.query().text(name).is_ok_and(|found| found.is_none());
        self.admitted.csv().is_some() && ["page", "page_size", "cursor"].into_iter().all(asks)
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

    /// The number of a row that the path names; `what` it is of, as a refusal begins.
    pub fn row_id(&self, field: &str, what: &str) -> Result<i64, ApiError> {
        let text = self.admitted.parameters.first().map(String::as_str).unwrap_or_default();
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| *number >= 1 && is_plain);
        number.ok_or_else(|| ApiError::invalid_field(field, format!("{what} is named by its number.")))
    }

    /// The jail that the query names; 404 for one that this caller may not know of.
    pub fn jail_asked(&self) -> Result<Option<JailName>, ApiError> {
        let Some(text) = self.query().text("jail")? else { return Ok(None) };
        let Running(jail) = text.parse()?;
        self.admitted.demand_jail(jail.as_str())?;
        Ok(Some(jail))
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
