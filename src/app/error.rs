//! The one error a client sees, and on one screen every way in which the errors below become it. The wire form is
//! `{code, detail, metadata}` and nothing else; what is internal goes to the log only.

use serde_json::{Map, Value, json};

use super::code::Code;
use crate::domain::address::AddressError;
pub use crate::domain::as_read::FieldError;
use crate::domain::names::NameError;
use crate::domain::permission::{Role, Scope};
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

/// What an error says that has nothing to say.
const INTERNAL: &str = "Something went wrong here. The log has the details; try once more.";

/// An error as the API tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// Stable, for programs.
    pub code: Code,
    /// One sentence, for people.
    pub detail: String,
    /// Facts a client can act on.
    pub metadata: Map<String, Value>,
    headers: Vec<(&'static str, String)>,
    /// What the log gets and the client does not.
    pub cause: Option<String>,
}

impl ApiError {
    /// An error with the status its code usually goes with.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self::of_status(code.status(), code, detail)
    }

    /// An error with another of the statuses of its code.
    pub fn of_status(status: u16, code: Code, detail: impl Into<String>) -> Self {
        debug_assert!(code.statuses().contains(&status), "{code} does not go with {status}");
        Self { status, code, detail: sentence(detail.into()), metadata: Map::new(), headers: Vec::new(), cause: None }
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
        ApiError::new(Code::InvalidInput, detail)
    }

    /// 400 that names the field.
    pub fn invalid_field(field: &str, detail: impl Into<String>) -> Self {
        Self::invalid_input(detail).with("field", field)
    }

    /// 422: a body of the wrong shape, with every field that is wrong.
    pub fn wrong_shape(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [only] => only.detail.clone(),
            all => {
                let names: Vec<&str> = all.iter().map(|error| error.source_field.as_str()).collect();
                format!("The request body is invalid: {}.", names.join(", "))
            }
        };
        ApiError::of_status(422, Code::InvalidInput, detail).with("errors", json!(errors))
    }

    /// 404 for a change that is not kept.
    pub fn no_change(id: i64) -> Self {
        let detail =
            format!("No change has the number {id}, or it is no longer kept; GET /api/v1/config/changes lists them.");
        ApiError::new(Code::ChangeNotFound, detail)
    }

    /// 401.
    pub fn authentication_required() -> Self {
        let detail = "Not signed in. Send the session cookie, or \"Authorization: Bearer <token>\".";
        ApiError::new(Code::AuthenticationRequired, detail)
    }

    /// 403: the token lacks a scope.
    pub fn out_of_scope(scope: Scope, detail: impl Into<String>) -> Self {
        ApiError::new(Code::InsufficientScope, detail).with("required_scope", scope.as_str())
    }

    /// 403: the user's role is too little.
    pub fn out_of_role(needed: Role, detail: impl Into<String>) -> Self {
        ApiError::new(Code::InsufficientRole, detail).with("required_role", needed.as_str())
    }

    /// 404: a jail that does not run, or that this caller may not know of.
    pub fn no_jail(jail: &str) -> Self {
        ApiError::new(Code::JailNotFound, format!("fail2ban is not running a jail named {jail:?}.")).with("jail", jail)
    }

    /// 429.
    pub fn rate_limited(seconds: i64, detail: impl Into<String>) -> Self {
        let seconds = seconds.max(1);
        let detail = format!("{} Try again in {}.", detail.into(), wait_in_words(seconds));
        ApiError::new(Code::RateLimitExceeded, detail)
            .with("retry_after_seconds", seconds)
            .with_header("retry-after", seconds.to_string())
    }

    /// 502: the daemon is not reached, for one of four reasons.
    pub fn unreachable(reason: &str, detail: impl Into<String>) -> Self {
        ApiError::new(Code::Fail2banUnreachable, detail).with("reason", reason).with_header("retry-after", "5")
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
        ApiError::new(Code::Busy, detail).with_header("retry-after", "1")
    }

    /// 500: nothing internal is shown.
    pub fn internal(cause: impl ToString) -> Self {
        let mut error = ApiError::new(Code::InternalError, INTERNAL);
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
            UnknownJail(jail) => ApiError::no_jail(&jail),
            NameTaken(jail) => {
                ApiError::new(Code::Fail2banCommandFailed, format!("{detail}.")).with("jail", jail)
            }
            Refused { .. } => ApiError::new(Code::Fail2banCommandFailed, detail),
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
                    "fail2ban cannot be reached: what answers at its socket is not fail2ban, or the answer broke off.",
                );
                unreachable.cause = Some(detail);
                unreachable
            }
        }
    }
}

/// A text with a full stop at its end, and a capital where a common word begins it: many begin with a name, which stays as it is.
fn sentence(mut text: String) -> String {
    if ["the ", "there ", "this ", "it ", "nothing "].iter().any(|word| text.starts_with(word)) {
        text[..1].make_ascii_uppercase();
    }
    if !text.ends_with(['.', '!', '?', ')']) && !text.is_empty() {
        text.push('.');
    }
    text
}

/// What to do about a daemon that is not there.
const STARTS: &str = "POST /api/v1/config/restart starts it; GET /api/v1/config/service-status and bangui check say why it does not run.";
/// What to do about one that does not answer.
const RESTARTS: &str = "POST /api/v1/config/restart ends it and starts it again.";
impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        let (status, code, detail) = match problem {
            Problem::Head(BadHead::Malformed(what)) => (400, Code::InvalidInput, what),
            Problem::Head(BadHead::TooLarge) => {
                (431, Code::InvalidInput, "The request head is larger than 16 KiB or has more than 64 headers.")
            }
            Problem::Head(BadHead::Expectation) => {
                (417, Code::InvalidInput, "The only value of Expect that is supported is 100-continue.")
            }
            Problem::Body(BadBody::TooLarge) => {
                (413, Code::PayloadTooLarge, "The body is larger than this request allows.")
            }
            Problem::Body(BadBody::Malformed) => (400, Code::InvalidInput, "The chunked body is malformed."),
            Problem::NoRoom => {
                return ApiError::busy("The server is handling too many requests at once. Try again in a few seconds.");
            }
            Problem::Late => (408, Code::InvalidInput, "The request did not arrive within 10 seconds."),
        };
        ApiError::of_status(status, code, detail)
    }
}

impl From<Trouble> for ApiError {
    fn from(trouble: Trouble) -> Self {
        let (code, remedy) = match trouble.kind {
            Kind::Absent => (
                Code::ConfigNotInstalled,
                "Install fail2ban, or name the directory of its configuration with BANGUI_FAIL2BAN_CONFIG_DIR.",
            ),
            Kind::NotPermitted => (
                Code::ConfigNotPermitted,
                "Run bangui as root, or give its user the right to it; a file system may also be mounted read-only.",
            ),
            Kind::Full => (Code::ConfigDiskFull, "Free some space on that disk."),
            Kind::NotAFile => (Code::ConfigNotAFile, "Put a regular file in its place, or remove it."),
            Kind::Other => (Code::ConfigUnusable, "Check that file and its disk."),
        };
        let detail = match trouble.cause.strip_prefix("cannot read ") {
            Some(rest) => format!("Cannot read {rest}. {remedy}"),
            None => format!("Nothing was changed: {}. {remedy}", trouble.cause),
        };
        let mut error = Self::new(code, detail);
        error.metadata.extend(trouble.path.map(|path| ("file".to_owned(), Value::from(path))));
        error.cause = Some(trouble.cause);
        error
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Fail2ban(error) => error.into(),
            Failure::Conflict(detail) => ApiError::new(Code::Conflict, detail),
            Failure::Moved { detail, files } => ApiError::new(Code::Conflict, detail).with("files", json!(files)),
            Failure::Interrupted(detail) => ApiError::busy(detail).with("reason", "timeout"),
            Failure::InProgress(detail) => ApiError::new(Code::ApplyInProgress, detail),
            Failure::CommandFailed(detail) => ApiError::new(Code::Fail2banCommandFailed, detail),
            Failure::WouldLoseJails(detail) => ApiError::new(Code::WouldLoseJails, detail),
            Failure::Refused(refusal) => refusal.into(),
            Failure::Invalid(problem) => about(Code::ConfigValidationFailed, problem),
            Failure::Broken(problem) => about(Code::Fail2banCommandFailed, problem),
            Failure::Files(trouble) => trouble.into(),
            // It was not made by this request, and yet it is the name that was asked for.
            Failure::OddFile(trouble) => ApiError { status: 400, ..trouble.into() },
            Failure::NotBack(detail) => ApiError::new(Code::Fail2banNotBack, detail).with_header("retry-after", "10"),
            Failure::NoJail(name) => {
                ApiError::new(Code::JailNotFound, format!("The configuration has no jail {name:?}.")).with("jail", name)
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
            Failure::Barren { reason, detail } => ApiError::new(Code::Conflict, detail).with("reason", reason),
            Failure::Forbidden(detail) => ApiError::new(Code::ActionEditDisabled, detail),
            Failure::OutOfScope(detail) => ApiError::out_of_scope(Scope::Actions, detail),
            Failure::NotSet { field, error, left } => not_set(&field, error, left),
            Failure::NotPutBack { why, left } => not_put_back(ApiError::from(*why), left),
            Failure::DryRun(_) => ApiError::internal("what a dry run would do was taken for a failure"),
            Failure::NoFile(detail) => ApiError::new(Code::ConfigFileNotFound, detail),
            Failure::Database(error) => error.into(),
            Failure::Upstream(detail) => {
                ApiError::new(Code::UpstreamUnreachable, detail).with_header("retry-after", "60")
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

/// Something that is wrong with the configuration, or would be.
fn about(code: Code, problem: crate::apply::Problem) -> ApiError {
    let mut error = ApiError::new(code, problem.to_string());
    let facts = [("jail", problem.jail), ("file", problem.file), ("reason", Some(problem.reason))];
    for (key, value) in facts {
        error.metadata.extend(value.map(|value| (key.to_owned(), Value::from(value))));
    }
    error.metadata.extend(problem.line.map(|line| ("line".to_owned(), Value::from(line))));
    error
}

/// A jail that did not take all of its new values. What the daemon refuses is a bad value.
fn not_set(field: &str, error: fail2ban::Error, left: Vec<String>) -> ApiError {
    let mut answer = match &error {
        fail2ban::Error::Refused { message, .. } => {
            ApiError::invalid_field(field, format!("fail2ban refused this {field}: {message}. No value was changed."))
        }
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
            _ => ApiError::new(Code::UpstreamUnreachable, detail).with_header("retry-after", "60"),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let invalid = |detail: &str| ApiError::new(Code::ConfigValidationFailed, detail);
        match refusal {
            Refusal::NoFilter(name) => {
                ApiError::new(Code::FilterNotFound, format!("There is no filter {name:?}.")).with("name", name)
            }
            Refusal::NoAction(name) => {
                ApiError::new(Code::ActionNotFound, format!("There is no action {name:?}.")).with("name", name)
            }
            Refusal::Log(detail) => ApiError::invalid_field("log_path", detail),
            Refusal::Exists(name) => {
                ApiError::new(Code::Conflict, format!("{name} already exists.")).with("name", name)
            }
            Refusal::Shipped(name) => {
                let detail = format!("{name} was not created by bangui and cannot be deleted.");
                ApiError::new(Code::Conflict, detail).with("name", name)
            }
            Refusal::Ignored { jail, ip, entry } => {
                let detail =
                    format!("{ip} is on the ignore list of {jail} ({entry}); use force to ban it all the same.");
                ApiError::new(Code::Conflict, detail).with("ip", ip).with("jail", jail).with("reason", "ignored")
            }
            Refusal::Used(name, jails) => {
                let detail =
                    format!("{name} is used by these enabled jails: {}. Disable them first.", jails.join(", "));
                ApiError::new(Code::Conflict, detail).with("name", name).with("used_by_jails", jails)
            }
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
            Refusal::Unjudged { field, expression, detail } => {
                let error = FieldError { source_field: field, rule: "cost".into(), detail: detail.clone() };
                invalid(&detail).with("errors", json!([error])).with("expression", expression)
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
    ApiError::new(Code::ConfigValidationFailed, detail).with("errors", json!(errors))
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
        let mut unreadable = ApiError::new(Code::Fail2banDatabaseUnreadable, detail).with_header("retry-after", "5");
        unreadable.cause = Some(error.to_string());
        unreadable
    }
}

impl From<store::Error> for ApiError {
    fn from(error: store::Error) -> Self {
        // Where it lies is added for those who may know it.
        let detail = match &error {
            store::Error::Key(..) => "The key file of the second factors cannot be used; the log says which and why.",
            _ => error.trouble().told(),
        };
        let mut unavailable = ApiError::new(Code::StorageUnavailable, detail).with_header("retry-after", "5");
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

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
