//! Everything that can be wrong with a configuration, in one enum.
//!
//! It deliberately knows nothing of HTTP: the conversion into an answer stands with all the others in `api`.

use std::fmt;
use std::io;

use crate::files::Trouble;

/// Why a configuration cannot be read, computed or written.
#[derive(Debug)]
pub enum Error {
    /// The operating system refused something that had to work.
    Io {
        /// What was tried, as a verb: "read", "create".
        action: &'static str,
        /// The file or directory it was tried on.
        path: String,
        /// The reason the system gave.
        source: io::Error,
    },
    /// A file is not in the configuration language, so fail2ban refuses the whole configuration.
    Syntax {
        /// The file.
        file: String,
        /// Its line, counted from 1.
        line: u32,
        /// What is wrong there and what to do.
        message: String,
    },
    /// A `%(…)s` cannot be resolved, so fail2ban refuses the whole configuration.
    Interpolation {
        /// File and line of the value, where known, as `file:line`.
        place: String,
        /// The section of the option.
        section: String,
        /// The option whose value was being expanded.
        option: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// A filter, an action or a reference to one makes no sense, so fail2ban refuses the whole configuration.
    Definition {
        /// The jail that it is wrong in, where it is one jail's.
        jail: Option<String>,
        /// The file, or the part of the jail; empty for the jail as a whole.
        subject: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// A jail, filter or action of this name is not in the configuration.
    Missing {
        /// "jail", "filter" or "action".
        kind: &'static str,
        /// The name asked for.
        name: String,
    },
    /// Something is larger or deeper than any real configuration.
    Limit {
        /// What is too large, and the limit.
        message: String,
    },
    /// A name or a value cannot be written without changing its meaning.
    Refused {
        /// What cannot be written and why.
        message: String,
    },
}

impl Error {
    /// An [`Error::Io`] for `path`; `action` is the verb of what was tried.
    pub(crate) fn io(action: &'static str, path: &str, source: io::Error) -> Error {
        Error::Io { action, path: path.to_owned(), source }
    }

    /// What the system refused, where it is that.
    pub fn trouble(&self) -> Option<Trouble> {
        match self {
            Error::Io { action, path, source } => Some(Trouble::of(action, path, source)),
            _ => None,
        }
    }

    /// An [`Error::Refused`] with this message.
    pub(crate) fn refused(message: impl Into<String>) -> Error {
        Error::Refused { message: message.into() }
    }

    /// An [`Error::Limit`] with this message.
    pub(crate) fn limit(message: impl Into<String>) -> Error {
        Error::Limit { message: message.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { action, path, source } => write!(out, "cannot {action} {path}: {source}"),
            Error::Syntax { file, line, message } => write!(out, "{file}:{line}: {message}"),
            Error::Interpolation { place, section, option, message } => {
                if !place.is_empty() {
                    write!(out, "{place}: ")?;
                }
                write!(out, "option '{option}' of [{section}]: {message}")
            }
            Error::Definition { jail: None, subject, message } => write!(out, "{subject}: {message}"),
            Error::Definition { jail: Some(jail), subject, message } if subject.is_empty() => {
                write!(out, "jail '{jail}': {message}")
            }
            Error::Definition { jail: Some(jail), subject, message } => {
                write!(out, "jail '{jail}', {subject}: {message}")
            }
            Error::Missing { kind, name } => {
                write!(out, "there is no {kind} '{name}'; its name is case-sensitive")
            }
            Error::Limit { message } | Error::Refused { message } => out.write_str(message),
        }
    }
}

impl std::error::Error for Error {}
