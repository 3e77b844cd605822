//! An apply as data: the files, what is loaded, and what became of it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::effect::Effect;
use crate::conf::LocalFile;
use crate::domain::actor::Actor;
use crate::domain::jail_values::JailValues;
use crate::domain::never_ban::Told;
use crate::fail2ban::keep::Restarted;
use crate::fail2ban::reload::Installation;

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

    /// The path below the configuration directory.
    pub fn path(&self) -> String {
        if self.folder.is_empty() { self.name.clone() } else { format!("{}/{}", self.folder, self.name) }
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
    /// Who wants it.
    #[serde(default)]
    pub actor: Actor,
    /// The files.
    pub changes: Vec<FileChange>,
    /// What is loaded.
    pub scope: Scope,
    /// Whether a jail of the scope that the files do not enable is stopped; else that is an error.
    pub stops: bool,
    /// The commands of the last reload that went well, as the JSON that was given: whoever keeps them need not read them.
    pub last_good: Option<String>,
    /// What is set again in jails that were reloaded.
    pub run_time: Vec<RunTime>,
    /// Whether a change that leaves a jail which can ban nobody is refused; else it is only told.
    #[serde(default)]
    pub asks: bool,
    /// The daemon was just found not to answer, so that it is not waited for again.
    #[serde(default)]
    pub daemon_hangs: bool,
    /// Only what it would do is wanted: nothing is written, and the daemon is told nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// What is never banned: its file is written with the change. `None` leaves that as it is.
    #[serde(default)]
    pub never_ban: Option<Vec<Told>>,
}

/// What an apply has done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// The files that were changed.
    pub changes: Vec<FileChange>,
    /// Whether there was a daemon that has loaded the files.
    pub reloaded: bool,
    /// The jails that run now.
    pub jails: Vec<String>,
    /// The commands of all files, as JSON: what to give to the next apply as the last good ones.
    pub stream: Option<String>,
    /// What did not go as it should, each in one sentence: values that could not be set again, for example.
    pub warnings: Vec<String>,
    /// The jails that had to be restarted, and how long their bans were out of force.
    pub restarted: Vec<Restarted>,
    /// The values that are others than before.
    #[serde(default)]
    pub effect: Vec<Effect>,
    /// What was done, in its order.
    #[serde(default)]
    pub report: Vec<Done>,
}

/// A step that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Which: `check`, `write`, `load`, `restart`, `read_back` or `note`.
    pub step: String,
    /// What came of it, in a sentence.
    pub sentence: String,
}

impl Done {
    /// A step with its sentence.
    pub fn new(step: &str, sentence: impl Into<String>) -> Done {
        Done { step: step.to_owned(), sentence: sentence.into() }
    }
}
