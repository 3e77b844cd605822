//! Why a child did not do what it was asked, as data for the loop.

use serde::{Deserialize, Serialize};

use super::password;
use super::refusal::Refusal;
use crate::apply::Preview;
use crate::apply::diffs::FileDiff;
use crate::apply::run_time::NotSet;
use crate::conf;
use crate::domain::as_read::FieldError;
use crate::domain::permission::Commands;
use crate::fail2ban;
use crate::fail2ban::database::DatabaseError;
use crate::fail2ban::restart::RestartError;
use crate::files::Trouble;

/// Why a child did not do it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Failure {
    /// The daemon did not do what it was asked.
    Fail2ban(fail2ban::Error),
    /// The request contradicts the state of things: the text says how.
    Conflict(String),
    /// The files are no longer as they were left: the text says so, and the diffs what they are now.
    Moved {
        /// What it is about.
        detail: String,
        /// The diffs.
        files: Vec<FileDiff>,
    },
    /// The change leaves a jail that can ban nobody.
    Barren {
        /// Why, in a word.
        reason: String,
        /// What to do.
        detail: String,
    },
    /// Nothing was to be changed: what the change would do. A child sends it as its result.
    DryRun(Box<Preview>),
    /// Another change of the configuration is being applied.
    InProgress(String),
    /// One that was interrupted cannot be undone yet; the text says what to do.
    Interrupted(String),
    /// fail2ban's database cannot be read.
    Database(DatabaseError),
    /// It took longer than it may.
    TimedOut,
    /// The child ended without an answer: it crashed, or was killed for memory.
    Crashed,
    /// The machine does not have the memory for it; the text says how much that is.
    NoMemory(String),
    /// A command beside the daemon failed, or cannot be run; the text says which and what to do.
    CommandFailed(String),
    /// Reload: jails were lost, and what was there before has been restored as far as possible; the text says more.
    WouldLoseJails(String),
    /// Restart: the daemon did not come back.
    NotBack(String),
    /// A server outside did not give what was asked; the text says what.
    Upstream(String),
    /// What was asked for cannot be done with what there is.
    Refused(Refusal),
    /// The change would make the configuration wrong.
    Invalid(crate::apply::Problem),
    /// The configuration is wrong already.
    Broken(crate::apply::Problem),
    /// Files cannot be read or written.
    Files(Trouble),
    /// What stands where a file of ours belongs is none.
    OddFile(Trouble),
    /// There is no such file.
    NoFile(String),
    /// The files have no such jail.
    NoJail(String),
    /// A value that is not taken.
    BadValue {
        /// The field of the request; empty where it is none of its own.
        field: String,
        /// What is wrong with it, in a sentence.
        detail: String,
    },
    /// Expressions that are not taken, each with its field.
    Expressions(Vec<(String, String)>),
    /// Fields of the body that cannot be as they were sent.
    WrongFields(Vec<FieldError>),
    /// The owner does not allow it.
    Forbidden(String),
    /// The token does not have the scope `actions`.
    OutOfScope(String),
    /// It failed, and the daemon has not got all of its own settings back.
    NotPutBack {
        /// Why it failed.
        why: Box<Failure>,
        /// The settings that could not be put back.
        left: Vec<String>,
    },
    /// A running jail took not all of its new values, so that it has the old ones.
    NotSet {
        /// The value that was not taken.
        field: String,
        /// Why.
        error: fail2ban::Error,
        /// The values that could not be put back.
        left: Vec<String>,
    },
}

impl Failure {
    /// What would be changed becomes a command that root runs, and who asks may not change those.
    pub fn commands(detail: &str, commands: Commands) -> Failure {
        match commands {
            Commands::OutOfScope => Failure::OutOfScope(format!("{detail} It takes a token with the scope actions.")),
            _ => Failure::Forbidden(format!("{detail} BANGUI_ALLOW_ACTION_EDIT=1 allows it.")),
        }
    }
}

/// The one way in which an error of the configuration becomes an answer, whatever asked for it. What the files hold already is not the
/// client's mistake; `of_change` is for what its own change makes of them.
impl From<conf::Error> for Failure {
    fn from(error: conf::Error) -> Self {
        if let Some(trouble) = error.trouble() {
            return Failure::Files(trouble);
        }
        match error {
            conf::Error::Missing { kind: "jail", name } => Failure::NoJail(name),
            conf::Error::Missing { kind: "filter", name } => Failure::Refused(Refusal::NoFilter(name)),
            conf::Error::Missing { kind: "action", name } => Failure::Refused(Refusal::NoAction(name)),
            conf::Error::Missing { .. } => Failure::NoFile(error.to_string()),
            conf::Error::Refused { message } => Failure::BadValue { field: String::new(), detail: message },
            other => Failure::Broken(other.into()),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure::Refused(refusal)
    }
}

impl Failure {
    /// What is wrong with the files as a change would make them.
    pub fn of_change(error: conf::Error) -> Self {
        match error.into() {
            Failure::Broken(problem) => Failure::Invalid(problem),
            other => other,
        }
    }
}

impl From<NotSet> for Failure {
    fn from(not_set: NotSet) -> Self {
        let NotSet { field, error, left } = not_set;
        let left: Vec<String> = left.into_iter().map(str::to_owned).collect();
        match error {
            error if field.is_empty() => error.into(),
            error => Failure::NotSet { field: field.to_owned(), error, left },
        }
    }
}

impl From<RestartError> for Failure {
    fn from(error: RestartError) -> Self {
        match error {
            RestartError::NotBack(_) => Failure::NotBack(error.to_string()),
            RestartError::OutOfReach(error) => Failure::Fail2ban(error),
            other => Failure::CommandFailed(other.to_string()),
        }
    }
}

impl From<password::NoMemory> for Failure {
    fn from(error: password::NoMemory) -> Self {
        Failure::NoMemory(error.to_string())
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        Failure::Database(error)
    }
}

impl From<fail2ban::Error> for Failure {
    fn from(error: fail2ban::Error) -> Self {
        Failure::Fail2ban(error)
    }
}
