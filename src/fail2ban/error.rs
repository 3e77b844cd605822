//! What can go wrong between us and the daemon, in words that say what to do.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::encode::EncodeError;
use super::pickle::PickleError;
use super::value::Value;

/// Why nobody is reached at a socket, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is no such socket.
    Absent,
    /// There is one, and nobody listens, or whoever does is not to be trusted or talks no language of fail2ban's.
    Refused,
    /// We may not connect to it.
    NotPermitted,
    /// Somebody listens, and does not answer.
    Timeout,
}

/// Why the daemon did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Error {
    /// Nobody answers at the socket.
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// Which kind of trouble it is.
        reason: Reason,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// The daemon is there and did not answer in time: it runs one command at a time for all its clients.
    Busy {
        /// How long it was waited for; zero where the client rested instead of asking.
        waited: Duration,
    },
    /// The process behind the socket belongs to neither root nor us, so nothing was sent to it.
    Untrusted {
        /// The socket.
        path: PathBuf,
        /// The user the process behind it runs as.
        uid: u32,
    },
    /// What came back is no answer of fail2ban's, or broke off.
    Protocol(String),
    /// The request holds what cannot be sent; nothing was sent.
    Unsendable(String),
    /// The daemon has no such jail.
    UnknownJail(String),
    /// The daemon has such a jail, and takes its name for a word of its own in the command; nothing was sent.
    NameTaken(String),
    /// The daemon refused.
    Refused {
        /// The Python class of its exception, `ValueError` for example.
        class: String,
        /// Its text.
        message: String,
    },
    /// The daemon is going down.
    ShuttingDown,
}

impl Error {
    /// Whether no daemon answers at the socket. One that is busy, or refuses, is there.
    pub fn is_away(&self) -> bool {
        matches!(self, Error::Unreachable { .. } | Error::Untrusted { .. } | Error::ShuttingDown | Error::Protocol(_))
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Unreachable { path, why, .. } => {
                write!(f, "cannot reach fail2ban at {}: {why}", path.display())
            }
            Error::Busy { waited } if waited.is_zero() => {
                write!(f, "fail2ban is busy: it did not answer the last call; try again shortly")
            }
            Error::Busy { waited } => {
                let ms = waited.as_millis();
                write!(f, "fail2ban is busy: no answer within {ms} ms; try again shortly")
            }
            Error::Untrusted { path, uid } => {
                write!(
                    f,
                    "the process behind {} runs as user {uid}, neither root nor us: check who made that socket",
                    path.display()
                )
            }
            Error::Protocol(what) => write!(f, "{what}: check that the socket is fail2ban's"),
            Error::Unsendable(what) => write!(f, "{what}"),
            Error::UnknownJail(name) => write!(f, "fail2ban has no jail '{name}': check the name, or start it"),
            Error::NameTaken(name) => write!(
                f,
                "fail2ban takes '{name}' for a word of its own, so nothing can be asked or changed about the jail of that name: give \
                 the jail another name in fail2ban's files. Its addresses can be unbanned, which lifts them in all jails"
            ),
            Error::Refused { class, message } => write!(f, "fail2ban refused: {message} ({class})"),
            Error::ShuttingDown => write!(f, "fail2ban is shutting down: start it again, or wait"),
        }
    }
}

impl std::error::Error for Error {}

impl From<PickleError> for Error {
    fn from(error: PickleError) -> Error {
        Error::Protocol(error.to_string())
    }
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Error {
        Error::Unsendable(error.to_string())
    }
}

/// Turns a reply into its payload or into the error it reports.
pub(super) fn unwrap_reply(reply: Value) -> Result<Value, Error> {
    match reply {
        Value::Tuple(mut parts) if parts.len() == 2 => {
            let payload = parts.pop().unwrap_or(Value::None);
            match parts[0].as_i64() {
                Some(0) => Ok(payload),
                Some(1) => Err(reported(&payload)),
                _ => Err(not_a_reply()),
            }
        }
        Value::Str(text) => match text.strip_prefix("ERROR:") {
            Some(message) => Err(Error::Refused { class: "ERROR".to_owned(), message: message.trim().to_owned() }),
            None => Err(not_a_reply()),
        },
        Value::List(items) if items.first().and_then(Value::as_str) == Some("SHUTDOWN") => Err(Error::ShuttingDown),
        _ => Err(not_a_reply()),
    }
}

fn not_a_reply() -> Error {
    Error::Protocol("the reply is not in fail2ban's format".to_owned())
}

/// The error an exception stands for.
fn reported(exception: &Value) -> Error {
    let Value::Object { name, args, .. } = exception else {
        return Error::Refused { class: "unknown".to_owned(), message: exception.shown() };
    };
    let args = args.items().unwrap_or_default();
    if name == "UnknownJailException" {
        return Error::UnknownJail(args.first().map(Value::shown).unwrap_or_default());
    }
    let message = match args {
        // File errors are (errno, text, path); on Python 2 the path is missing.
        [Value::Int(_), Value::Str(text), Value::Str(path)] => format!("{text}: {path}"),
        [Value::Int(_), Value::Str(text)] => text.clone(),
        [first, ..] => first.shown(),
        [] => name.clone(),
    };
    Error::Refused { class: name.clone(), message }
}

/// The shape of an answer is not what this version of the daemon gives.
pub(super) fn unexpected(what: &str) -> Error {
    Error::Protocol(format!("fail2ban's answer about {what} has an unknown form"))
}
