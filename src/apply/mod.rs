//! Changes configuration files without ever disarming the machine: everything is checked first, the files are swapped, the daemon loads
//! them, and when that costs a jail or fails, files and daemon are put back.
//!
//! A journal is written before the first file is touched and removed behind the last step, so that a process which dies in between leaves
//! behind what [`recover`] needs to undo it. One change is made at a time, whoever makes it, and the next one first undoes what a dead one
//! has left. It takes seconds and runs other programs: it is meant for a child process of ours. It knows
//! nothing of HTTP and computes no change: texts of files come from whoever asks.

pub mod check;
mod hearing;
pub mod journal;
mod read_back;
pub mod run_time;
mod steps;
mod turn;
pub mod values;

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::conf::{self, LocalFile};
use crate::domain::jail_values::JailValues;
use crate::fail2ban;
use crate::fail2ban::keep::Restarted;
use crate::fail2ban::reload::{Installation, ReloadError};
use crate::fail2ban::stream::Stream;

pub use check::Problem;
pub use journal::recover;
pub use turn::take as take_turn;

/// A file to be written or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// The directory below the configuration directory, `filter.d` for example.
    pub folder: String,
    /// The name in it.
    pub name: String,
    /// What it held when the change was computed; `None` for no file. Where it holds something else by now, nothing is done.
    pub before: Option<String>,
    /// What it is to hold; `None` removes it.
    pub after: Option<String>,
}

impl FileChange {
    /// A change of one of our own files.
    pub fn new(file: &LocalFile, before: Option<String>, after: Option<String>) -> FileChange {
        FileChange { folder: file.folder.to_owned(), name: file.name.clone(), before, after }
    }
}

/// What is loaded into the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// Everything.
    All,
    /// These jails; none of them for files that no jail uses.
    Jails(Vec<String>),
}

/// What holds in a jail at run time only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunTime {
    /// The jail.
    pub jail: String,
    /// Whether it rests.
    pub idle: Option<bool>,
    /// Values that were set and are not in the files.
    pub values: JailValues,
}

/// An apply as a task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Apply {
    /// Where the daemon, its files and its client are.
    pub place: Installation,
    /// Where the journal is kept: a path on a file system that survives a crash.
    pub journal: PathBuf,
    /// The files.
    pub changes: Vec<FileChange>,
    /// What is loaded.
    pub scope: Scope,
    /// Whether a jail of the scope that the files do not enable is stopped; else that is an error.
    pub stops: bool,
    /// The commands of the last reload that went well.
    pub last_good: Option<Stream>,
    /// What is set again in jails that were reloaded.
    pub run_time: Vec<RunTime>,
    /// The daemon was just found not to answer, so that it is not waited for again.
    #[serde(default)]
    pub daemon_hangs: bool,
}

/// What an apply has done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// Whether there was a daemon that has loaded the files.
    pub reloaded: bool,
    /// The jails that run now.
    pub jails: Vec<String>,
    /// The commands of all files: what to give to the next apply as the last good ones.
    pub stream: Option<Stream>,
    /// What did not go as it should, each in one sentence: values that could not be set again, for example.
    pub warnings: Vec<String>,
    /// The jails that had to be restarted, and how long their bans were out of force.
    pub restarted: Vec<Restarted>,
}

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
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApplyError::Invalid(problem) => write!(f, "nothing was changed: {problem}"),
            ApplyError::WasInvalid(problem) => {
                write!(f, "nothing was changed, because the configuration is wrong already: {problem}")
            }
            ApplyError::Changed(file) => {
                write!(f, "nothing was changed: {file} was edited meanwhile; look at it and try again")
            }
            ApplyError::Files(error) => write!(f, "nothing was changed: {error}"),
            ApplyError::InProgress => {
                f.write_str("Another change of the configuration is being applied; try again shortly.")
            }
            ApplyError::Journal(why) => write!(f, "nothing was changed, the journal cannot be written: {why}"),
            ApplyError::Reload(error) => write!(f, "the files are as before: {error}"),
            ApplyError::HalfUndone { why, undo } => write!(f, "{why}; putting it back failed: {undo}"),
            ApplyError::Daemon(error) => error.fmt(f),
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
