//! The one error a client sees, and on one screen every way in which the errors below become it. The wire form is
//! `{code, detail, metadata}` and nothing else; what is internal goes to the log only.

use serde_json::{Map, Value, json};

use crate::conf;
use crate::domain::address::AddressError;
pub use crate::domain::as_read::FieldError;
use crate::domain::names::NameError;
use crate::domain::quota::wait_in_words;
use crate::fail2ban::database::DatabaseError;
use crate::fail2ban::{self, Reason};
use crate::fetch::FetchError;
use crate::files::{Kind, Trouble};
use crate::jobs::Failure;
use crate::jobs::refusal::Refusal;
use crate::server::body::BadBody;
use crate::server::request::BadHead;
use crate::server::response::Response;
use crate::server::turn::Problem;
use crate::store;

/// The code of an answer that our own database could not give.
pub const STORAGE: &str = "storage_unavailable";

/// What an error says that has nothing to say.
const INTERNAL: &str = "Something went wrong here. The log has the details; try once more.";

/// An error as the API tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// Stable, for programs.
    pub code: &'static str,
    /// One sentence, for people.
    pub detail: String,
    /// Facts a client can act on.
    pub metadata: Map<String, Value>,
    headers: Vec<(&'static str, String)>,
    /// What the log gets and the client does not.
    pub cause: Option<String>,
}

impl ApiError {
    /// Any error.
    pub fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), metadata: Map::new(), headers: Vec::new(), cause: None }
    }

    /// The same with a fact more.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }

    /// The same with a header more.
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// 400: a value that is not allowed.
    pub fn invalid_input(detail: impl Into<String>) -> Self {
        Self::new(400, "invalid_input", detail)
    }

    /// 400 that names the field.
    pub fn invalid_field(field: &str, detail: impl Into<String>) -> Self {
        Self::invalid_input(detail).with("field", field)
    }

    /// 422: a body of the wrong shape, with every field that is wrong.
    pub fn wrong_shape(errors: Vec<FieldError>) -> Self {
        let names: Vec<&str> = errors.iter().map(|error| error.source_field.as_str()).collect();
        Self::new(422, "invalid_input", format!("The request body is invalid: {}.", names.join(", ")))
            .with("errors", json!(errors))
    }

    /// 401.
    pub fn authentication_required() -> Self {
        Self::new(401, "authentication_required", "Not signed in, or the session has ended. Log in again.")
    }

    /// 404.
    pub fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(404, code, detail)
    }

    /// 409.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(409, code, detail)
    }

    /// 429.
    pub fn rate_limited(seconds: i64, detail: impl Into<String>) -> Self {
        let seconds = seconds.max(1);
        let detail = format!("{} Try again in {}.", detail.into(), wait_in_words(seconds));
        Self::new(429, "rate_limit_exceeded", detail)
            .with("retry_after_seconds", seconds)
            .with_header("retry-after", seconds.to_string())
    }

    /// 502: the daemon is not reached, for one of four reasons.
    pub fn unreachable(reason: &str, detail: impl Into<String>) -> Self {
        Self::new(502, "fail2ban_unreachable", detail).with("reason", reason).with_header("retry-after", "5")
    }

    /// 502 for a daemon that was not reached when it was last looked at.
    pub fn away(last: Option<&fail2ban::Error>) -> Self {
        let hangs =
            || Self::unreachable("timeout", "fail2ban cannot be reached: it does not answer.").with("remedy", RESTARTS);
        match last {
            Some(fail2ban::Error::Busy { .. }) => hangs(),
            Some(error) => error.clone().into(),
            None => Self::unreachable("absent", "fail2ban has not been looked for yet; try again in a second."),
        }
    }

    /// 503: something that passes by itself.
    pub fn busy(detail: impl Into<String>) -> Self {
        Self::new(503, "busy", detail).with_header("retry-after", "1")
    }

    /// 500: nothing internal is shown.
    pub fn internal(cause: impl ToString) -> Self {
        let mut error = Self::new(500, "internal_error", INTERNAL);
        error.cause = Some(cause.to_string());
        error
    }

    /// The same; one that can say nothing else names the request, so that it is found in the log.
    pub fn of_request(mut self, id: &str) -> Self {
        if self.detail == INTERNAL {
            self.detail = format!("Something went wrong here (request {id}). The log has the details; try once more.");
        }
        self
    }

    /// The answer.
    pub fn response(&self) -> Response {
        let body = json!({ "code": self.code, "detail": self.detail, "metadata": self.metadata });
        let mut response = Response::json(self.status, &body);
        response.headers.extend(self.headers.iter().cloned());
        response
    }
}

impl From<fail2ban::Error> for ApiError {
    fn from(error: fail2ban::Error) -> Self {
        use fail2ban::Error::*;
        let detail = error.to_string();
        match error {
            Busy { .. } => ApiError::busy(
                "fail2ban does not answer: it is busy, or hangs. Try again shortly; if that goes on, POST /api/v1/config/restart ends it and \
                 starts it again.",
            )
            .with("reason", "timeout"),
            UnknownJail(jail) => {
                ApiError::not_found("jail_not_found", format!("fail2ban is not running a jail named {jail:?}.")).with("jail", jail)
            }
            NameTaken(jail) => {
                ApiError::conflict("fail2ban_command_failed", format!("{detail}.")).with("jail", jail)
            }
            Refused { .. } => ApiError::conflict("fail2ban_command_failed", detail),
            Unsendable(_) => ApiError::invalid_input(detail),
            ShuttingDown => ApiError::unreachable("refused", "fail2ban is shutting down.").with_header("retry-after", "2"),
            Unreachable { path, reason, .. } => {
                let (reason, remedy) = match reason {
                    Reason::Absent => ("absent", STARTS),
                    Reason::Refused => ("refused", STARTS),
                    Reason::NotPermitted => ("not_permitted", "Run bangui as root, or give its user access to the socket."),
                    Reason::Timeout => ("timeout", RESTARTS),
                };
                let detail = format!("{}.", detail.replacen("cannot reach fail2ban", "fail2ban cannot be reached", 1));
                let mut error = ApiError::unreachable(reason, detail).with("socket", path.display().to_string());
                error = error.with("remedy", remedy);
                error
            }
            Untrusted { path, .. } => {
                ApiError::unreachable("refused", format!("fail2ban cannot be reached: {detail}."))
                    .with("socket", path.display().to_string())
            }
            Protocol(_) => {
                let mut unreachable = ApiError::unreachable(
                    "refused",
                    "fail2ban cannot be reached: what answers at its socket does not speak its language, or broke off.",
                );
                unreachable.cause = Some(detail);
                unreachable
            }
        }
    }
}

/// What to do about a daemon that is not there.
const STARTS: &str = "POST /api/v1/config/restart starts it; GET /api/v1/config/service-status and bangui check say why it does not run.";
/// What to do about one that does not answer.
const RESTARTS: &str = "POST /api/v1/config/restart ends it and starts it again.";
impl From<conf::Error> for ApiError {
    fn from(error: conf::Error) -> Self {
        // What stands there was not made by this request, and yet it is the name it asked for.
        let is_odd = error.trouble().is_some_and(|trouble| trouble.kind == Kind::NotAFile);
        let mut error = ApiError::from(Failure::from(error));
        if is_odd {
            error.status = 400;
        }
        error
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        let (status, code, detail) = match problem {
            Problem::Head(BadHead::Malformed(what)) => (400, "invalid_input", what),
            Problem::Head(BadHead::TooLarge) => {
                (431, "invalid_input", "The request head is larger than 16 KiB or has more than 64 headers.")
            }
            Problem::Head(BadHead::Expectation) => {
                (417, "invalid_input", "The only value of Expect that is supported is 100-continue.")
            }
            Problem::Body(BadBody::TooLarge) => {
                (413, "payload_too_large", "The body is larger than this request allows.")
            }
            Problem::Body(BadBody::Malformed) => (400, "invalid_input", "The chunked body is malformed."),
            Problem::NoRoom => {
                return ApiError::busy("The server is handling too many requests at once. Try again in a few seconds.");
            }
            Problem::Late => (408, "invalid_input", "The request did not arrive within 10 seconds."),
        };
        ApiError::new(status, code, detail)
    }
}

impl From<Trouble> for ApiError {
    fn from(trouble: Trouble) -> Self {
        let (code, remedy) = match trouble.kind {
            Kind::Absent => (
                "config_not_installed",
                "Install fail2ban, or name the directory of its configuration with BANGUI_FAIL2BAN_CONFIG_DIR.",
            ),
            Kind::NotPermitted => (
                "config_not_permitted",
                "Run bangui as root, or give its user the right to it; a file system may also be mounted read-only.",
            ),
            Kind::Full => ("config_disk_full", "Make room on that disk."),
            Kind::NotAFile => ("config_not_a_file", "Put a regular file in its place, or remove it."),
            Kind::Other => ("config_unusable", "Look at that file and its disk."),
        };
        let mut error = Self::new(500, code, format!("Nothing was changed: {}. {remedy}", trouble.cause));
        error.metadata.extend(trouble.path.map(|path| ("file".to_owned(), Value::from(path))));
        error.cause = Some(trouble.cause);
        error
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Fail2ban(error) => error.into(),
            Failure::Conflict(detail) => ApiError::conflict("conflict", detail),
            Failure::InProgress(detail) => ApiError::conflict("apply_in_progress", detail),
            Failure::CommandFailed(detail) => ApiError::conflict("fail2ban_command_failed", detail),
            Failure::WouldLoseJails(detail) => ApiError::conflict("would_lose_jails", detail),
            Failure::Refused(refusal) => refusal.into(),
            Failure::Invalid(problem) => {
                let mut error = ApiError::new(422, "config_validation_failed", problem.to_string());
                let facts = [("jail", problem.jail), ("file", problem.file), ("reason", Some(problem.reason))];
                for (key, value) in facts {
                    error.metadata.extend(value.map(|value| (key.to_owned(), Value::from(value))));
                }
                error.metadata.extend(problem.line.map(|line| ("line".to_owned(), Value::from(line))));
                error
            }
            Failure::Files(trouble) => trouble.into(),
            // It was not made by this request, and yet it is the name that was asked for.
            Failure::OddFile(trouble) => ApiError { status: 400, ..trouble.into() },
            Failure::NotBack(detail) => {
                ApiError::new(503, "fail2ban_not_back", detail).with_header("retry-after", "10")
            }
            Failure::NoJail(name) => {
                ApiError::not_found("jail_not_found", format!("The configuration has no jail {name:?}."))
                    .with("jail", name)
            }
            Failure::BadValue { field, detail } if field.is_empty() => ApiError::invalid_input(detail),
            Failure::BadValue { field, detail } => ApiError::invalid_field(&field, detail),
            Failure::Expressions(wrong) => {
                let field = wrong.first().and_then(|(field, _)| field.split('.').next()).unwrap_or_default().to_owned();
                let error = |(field, detail)| FieldError { source_field: field, rule: "regex".into(), detail };
                bad_expressions(wrong.into_iter().take(100).map(error).collect()).with("field", field)
            }
            Failure::WrongFields(errors) => {
                let sentences: Vec<&str> = errors.iter().map(|error| error.detail.as_str()).collect();
                let detail = sentences.join(" ");
                ApiError { detail, ..ApiError::wrong_shape(errors) }
            }
            Failure::Forbidden(detail) => ApiError::new(403, "action_edit_disabled", detail),
            Failure::NotSet { field, error, left } => not_set(&field, error, left),
            Failure::NotPutBack { why, left } => not_put_back(ApiError::from(*why), left),
            Failure::NoFile(detail) => ApiError::not_found("config_file_not_found", detail),
            Failure::Database(error) => error.into(),
            Failure::Upstream(detail) => {
                ApiError::new(502, "upstream_unreachable", detail).with_header("retry-after", "60")
            }
            Failure::NoMemory(detail) => ApiError::busy(detail),
            Failure::TimedOut => ApiError::busy("This took too long and was stopped. Try again later."),
            Failure::Crashed => {
                let mut error =
                    ApiError::busy("The work ended without a result, perhaps because memory ran out. Try again.");
                error.cause = Some("a child process crashed, or was killed for want of memory".into());
                error
            }
        }
    }
}

/// A jail that did not take all of its new values. What the daemon refuses is a bad value.
fn not_set(field: &str, error: fail2ban::Error, left: Vec<String>) -> ApiError {
    let mut answer = match &error {
        fail2ban::Error::Refused { message, .. } => ApiError::invalid_field(
            field,
            format!("fail2ban does not take this {field}: {message}. No value was changed."),
        ),
        _ => error.into(),
    };
    if !left.is_empty() {
        answer.detail = answer.detail.replace(" No value was changed.", "");
        answer = not_put_back(answer, left);
    }
    answer
}

/// An error after which some values are not as they were.
fn not_put_back(mut error: ApiError, left: Vec<String>) -> ApiError {
    let names = left.join(", ");
    error.detail = format!(
        "{} These could not be put back and are not as before: {names}. A reload puts them right.",
        error.detail
    );
    error.with("not_restored", left)
}

impl From<FetchError> for ApiError {
    fn from(error: FetchError) -> Self {
        let detail = error.to_string();
        match error {
            FetchError::BadUrl(_) | FetchError::NotPublic { .. } => ApiError::invalid_field("url", detail),
            _ => ApiError::new(502, "upstream_unreachable", detail).with_header("retry-after", "60"),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let invalid = |detail: &str| ApiError::new(422, "config_validation_failed", detail);
        match refusal {
            Refusal::NoFilter(name) => {
                ApiError::not_found("filter_not_found", format!("There is no filter {name:?}.")).with("name", name)
            }
            Refusal::NoAction(name) => {
                ApiError::not_found("action_not_found", format!("There is no action {name:?}.")).with("name", name)
            }
            Refusal::Log(detail) => ApiError::invalid_field("log_path", detail),
            Refusal::Exists(name) => {
                ApiError::conflict("conflict", format!("{name} already exists.")).with("name", name)
            }
            Refusal::Shipped(name) => {
                let detail = format!("{name} was not created by bangui and cannot be deleted.");
                ApiError::conflict("conflict", detail).with("name", name)
            }
            Refusal::Used(name, jails) => {
                let detail =
                    format!("{name} is used by these enabled jails: {}. Disable them first.", jails.join(", "));
                ApiError::conflict("conflict", detail).with("name", name).with("used_by_jails", jails)
            }
            Refusal::File(trouble) => trouble.into(),
            Refusal::Configuration(detail) => invalid(&detail),
            Refusal::TooSlow(slow) => {
                let error = FieldError { source_field: slow.field, rule: "cost".into(), detail: slow.detail.clone() };
                invalid(&slow.detail)
                    .with("errors", json!([error]))
                    .with("expression", slow.expression)
                    .with("construct", slow.construct)
                    .with("position", slow.position)
                    .with("attack_line", slow.line)
                    .with("seconds", slow.seconds)
            }
            Refusal::Expression { field, detail } => {
                bad_expressions(vec![FieldError { source_field: field, rule: "regex".into(), detail }])
            }
            Refusal::Expressions(errors) => {
                let error = |(field, detail)| FieldError { source_field: field, rule: "regex".into(), detail };
                bad_expressions(errors.into_iter().map(error).collect())
            }
        }
    }
}

/// 422 for expressions that the daemon would refuse, or that cannot be judged: each by its field and its place in it.
pub fn bad_expressions(errors: Vec<FieldError>) -> ApiError {
    let detail = match errors.as_slice() {
        [only] => only.detail.clone(),
        [first, ..] => format!("{} expressions are wrong; the first: {}", errors.len(), first.detail),
        [] => String::new(),
    };
    ApiError::new(422, "config_validation_failed", detail).with("errors", json!(errors))
}

impl From<DatabaseError> for ApiError {
    fn from(error: DatabaseError) -> Self {
        // Where the file lies is for the log; why it cannot be read is the caller's business, too.
        let detail = match &error {
            DatabaseError::NotKept => {
                "fail2ban is set up without a database. What bangui saw is in the archive: source=archive."
            }
            DatabaseError::Absent(_) => {
                "fail2ban's database was not found. Set BANGUI_FAIL2BAN_DATABASE_PATH to where it is."
            }
            DatabaseError::Unreadable(..) => {
                "fail2ban's database cannot be read. Check that bangui may read the file; the log says why."
            }
            DatabaseError::Locked => "fail2ban is writing to its database. Try again in a few seconds.",
            DatabaseError::Damaged(..) => "fail2ban's database is damaged; fail2ban repairs it when it restarts.",
        };
        let mut unreadable = ApiError::new(502, "fail2ban_database_unreadable", detail).with_header("retry-after", "5");
        unreadable.cause = Some(error.to_string());
        unreadable
    }
}

impl From<store::Error> for ApiError {
    fn from(error: store::Error) -> Self {
        let mut unavailable =
            ApiError::new(503, STORAGE, "bangui's own database cannot be used just now; the log says why.")
                .with_header("retry-after", "5");
        unavailable.cause = Some(error.to_string());
        unavailable
    }
}

impl From<NameError> for ApiError {
    fn from(error: NameError) -> Self {
        ApiError::invalid_field("name", format!("The name is not allowed: {error}."))
    }
}

impl From<AddressError> for ApiError {
    fn from(error: AddressError) -> Self {
        ApiError::invalid_field("ip", format!("Not a usable address: {error}."))
    }
}
