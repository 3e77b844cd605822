//! Why an apply has changed nothing, in one sentence each.

use std::fmt;

use super::check::Problem;
use super::outlook::Preview;
use crate::conf;
use crate::fail2ban;
use crate::fail2ban::reload::ReloadError;

/// Why nothing has changed.
#[derive(Debug)]
pub enum ApplyError {
    /// The change makes the configuration wrong.
    Invalid(Problem),
    /// The configuration was wrong before the change.
    WasInvalid(Problem),
    /// A file is not what the change was computed from.
    Changed(String),
    /// Files cannot be read or written.
    Files(conf::Error),
    /// Another change is being applied, and did not end in time.
    InProgress,
    /// One that was interrupted is to be undone first, and the daemon does not answer.
    Interrupted,
    /// The journal cannot be written.
    Journal(String),
    /// Nothing was loaded, or it was undone.
    Reload(ReloadError),
    /// It failed, and so did part of putting it back.
    HalfUndone {
        /// Why it failed.
        why: String,
        /// What could not be put back.
        undo: String,
    },
    /// The daemon did not answer as it should.
    Daemon(fail2ban::Error),
    /// It leaves a jail that can ban nobody, and nobody has said that this is meant.
    Barren {
        /// Why, in a word.
        reason: &'static str,
        /// Which, and why.
        sentence: String,
    },
    /// Nothing was to be changed: only what the change would do was wanted.
    DryRun(Box<Preview>),
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApplyError::Invalid(problem) => write!(f, "Nothing was changed: {problem}"),
            ApplyError::WasInvalid(problem) => {
                write!(f, "Nothing was changed, because the configuration is wrong already: {problem}")
            }
            ApplyError::Changed(file) => {
                write!(f, "Nothing was changed: {file} was edited meanwhile; look at it and try again")
            }
            ApplyError::Files(error) => write!(f, "Nothing was changed: {error}"),
            ApplyError::InProgress => {
                f.write_str("Another change of the configuration is being applied; try again shortly.")
            }
            ApplyError::Interrupted => f.write_str(
                "Nothing was changed: a change that was interrupted has to be undone first, and fail2ban, which is to load what was before it, \
                 does not answer. POST /api/v1/config/restart ends it and starts it again; then send this once more.",
            ),
            ApplyError::Journal(why) => write!(f, "Nothing was changed, because the journal cannot be written: {why}"),
            ApplyError::Reload(error) => write!(f, "The files are as before: {error}"),
            ApplyError::HalfUndone { why, undo } => write!(f, "{why}; putting it back failed: {undo}"),
            ApplyError::Daemon(error) => error.fmt(f),
            ApplyError::Barren { sentence, .. } => {
                write!(
                    f,
                    "No file was changed: {sentence} Send \"force\": true to save it all the same; what is tried already ends with a rollback."
                )
            }
            ApplyError::DryRun(_) => f.write_str("Nothing was changed: this was a dry run"),
        }
    }
}

impl std::error::Error for ApplyError {}

impl From<conf::Error> for ApplyError {
    fn from(error: conf::Error) -> ApplyError {
        ApplyError::Files(error)
    }
}

impl From<fail2ban::Error> for ApplyError {
    fn from(error: fail2ban::Error) -> ApplyError {
        ApplyError::Daemon(error)
    }
}

impl From<ReloadError> for ApplyError {
    fn from(error: ReloadError) -> ApplyError {
        match error {
            ReloadError::Daemon(error) => ApplyError::Daemon(error),
            other => ApplyError::Reload(other),
        }
    }
}
