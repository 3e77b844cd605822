//! The slow lane: work that may take longer than a few milliseconds runs in a short-lived child process. The child
//! gets plain data on its standard input, sends frames on its standard output, opens no database of ours and owns
//! no state; the memory it took goes back to the system with it.

pub mod apply;
pub mod bans;
pub mod children;
pub mod definitions;
pub mod edits;
pub mod expressions;
pub mod frames;
pub mod geo_update;
pub mod held_set;
pub mod history;
pub mod import;
pub mod jail_config;
pub mod jail_edits;
pub mod jail_rules;
pub mod log_paths;
pub mod logs;
pub mod password;
pub mod patterns;
pub mod places;
pub mod preview;
pub mod service;
pub mod tail;
pub mod their_database;
pub mod why;

use std::io::{Read, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::frames::FrameWriter;
use crate::apply::run_time::NotSet;
use crate::conf;
use crate::domain::as_read::FieldError;
use crate::domain::json;
use crate::fail2ban;
use crate::fail2ban::database::DatabaseError;
use crate::fail2ban::restart::RestartError;
use crate::files::Trouble;

/// Which of the few children at a time a task counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Reading files, testing filters: two at a time.
    General,
    /// Keeps the daemon busy: one at a time, and quick commands of the loop wait meanwhile.
    Daemon,
    /// Restarting the daemon: one at a time, and it waits for nobody, because what keeps the daemon may be what is wrong.
    Restart,
    /// Reading a little of fail2ban's database: one at a time, and others need not wait where it hangs.
    Theirs,
    /// Hashing a password: one at a time.
    Password,
    /// A blocklist import: one at a time.
    Import,
    /// Fetching a country database, however slow its server is: one at a time.
    Geo,
}

/// What a child is to do.
#[derive(Debug, Serialize, Deserialize)]
pub enum Task {
    /// Hash a password.
    HashPassword(password::Hash),
    /// Compare a password with a hash.
    VerifyPassword(password::Verify),
    /// Ban addresses in a jail.
    Ban(bans::Ban),
    /// Remove bans.
    Unban(bans::Unban),
    /// Stream the bans in force.
    ListBans(bans::List),
    /// A page of one jail's bans.
    PageOfBans(bans::PageOf),
    /// Change configuration files and load them; without a change, load them.
    Apply(Box<crate::apply::Apply>),
    /// Undo an apply that died.
    Recover(apply::Recover),
    /// Read a little of fail2ban's database for the loop.
    ReadTheirs(their_database::ReadTheirs),
    /// Ask fail2ban's database about the past.
    AskHistory(history::Ask),
    /// Change a jail: its values at once, or its file.
    EditJail(Box<jail_edits::EditJail>),
    /// Set values again after a restart of the daemon.
    SetAgain(apply::SetAgain),
    /// What the files say of all jails.
    JailConfigs(jail_config::JailConfigs),
    /// Find out why the daemon does not run.
    WhyAway(why::Why),
    /// How the files have logs watched, by jail.
    ReadBackends(jail_config::ReadBackends),
    /// Restart the daemon.
    Restart(service::Restart),
    /// Stop a jail.
    StopJail(service::StopJail),
    /// Show filters or actions.
    ShowDefinitions(definitions::Show),
    /// Change a filter or an action.
    EditDefinition(Box<edits::EditDefinition>),
    /// Test a whole filter.
    TestFilter(patterns::TestFilter),
    /// Try one expression on one line.
    TestRegex(patterns::TestRegex),
    /// Try one expression on the end of a log.
    PreviewLog(patterns::PreviewLog),
    /// Read the end of a log.
    ReadLog(logs::ReadLog),
    /// Import blocklists.
    Import(Box<import::Import>),
    /// Look at a blocklist.
    Preview(preview::Preview),
    /// Ask a server outside where addresses are.
    AskPlaces(places::AskPlaces),
    /// Fetch a country database.
    UpdateGeo(geo_update::UpdateGeo),
    /// Look after the set of imported addresses.
    TendSet(held_set::Tend),
}

/// Why a child did not do it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Failure {
    /// The daemon did not do what it was asked.
    Fail2ban(fail2ban::Error),
    /// The request contradicts the state of things: the text says how.
    Conflict(String),
    /// Another change of the configuration is being applied.
    InProgress(String),
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
    Refused(patterns::Refusal),
    /// The change would make the configuration wrong.
    Invalid(crate::apply::Problem),
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

impl From<conf::Error> for Failure {
    fn from(error: conf::Error) -> Self {
        if let Some(trouble) = error.trouble() {
            return Failure::Files(trouble);
        }
        let detail = error.to_string();
        match error {
            conf::Error::Missing { kind: "jail", name } => Failure::NoJail(name),
            conf::Error::Missing { kind: "filter", name } => Failure::Refused(patterns::Refusal::NoFilter(name)),
            conf::Error::Missing { kind: "action", name } => Failure::Refused(patterns::Refusal::NoAction(name)),
            conf::Error::Missing { .. } => Failure::NoFile(detail),
            conf::Error::Refused { .. } | conf::Error::Limit { .. } => {
                Failure::BadValue { field: String::new(), detail }
            }
            // Told above.
            conf::Error::Io { .. } => Failure::CommandFailed(detail),
            // What is in the files already is not the client's mistake.
            conf::Error::Syntax { .. } | conf::Error::Interpolation { .. } | conf::Error::Definition { .. } => {
                Failure::CommandFailed(detail)
            }
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

impl Task {
    /// The children it counts against.
    pub fn lane(&self) -> Lane {
        match self {
            Task::HashPassword(_) | Task::VerifyPassword(_) => Lane::Password,
            Task::TestFilter(_) | Task::TestRegex(_) | Task::PreviewLog(_) => Lane::General,
            Task::ReadLog(_) | Task::ShowDefinitions(_) | Task::AskHistory(_) => Lane::General,
            Task::JailConfigs(_) | Task::ReadBackends(_) | Task::WhyAway(_) => Lane::General,
            Task::ReadTheirs(_) => Lane::Theirs,
            Task::Import(_) => Lane::Import,
            Task::Preview(_) | Task::AskPlaces(_) | Task::TendSet(_) => Lane::General,
            Task::UpdateGeo(_) => Lane::Geo,
            Task::Restart(_) => Lane::Restart,
            _ => Lane::Daemon,
        }
    }

    /// How long it may take before it is killed.
    pub fn deadline(&self) -> Duration {
        match self {
            Task::HashPassword(_) | Task::VerifyPassword(_) => Duration::from_secs(30),
            Task::JailConfigs(_) | Task::ReadBackends(_) => Duration::from_secs(30),
            Task::Ban(_) | Task::Unban(_) => Duration::from_secs(70),
            // A load, and another one to undo it.
            Task::Apply(_) | Task::EditDefinition(_) | Task::EditJail(_) | Task::Recover(_) => Duration::from_secs(400),
            Task::TestFilter(_) | Task::TestRegex(_) | Task::PreviewLog(_) => Duration::from_secs(20),
            Task::ReadLog(_) | Task::ShowDefinitions(_) | Task::WhyAway(_) => Duration::from_secs(20),
            Task::ListBans(_) | Task::PageOfBans(_) | Task::AskHistory(_) => Duration::from_secs(60),
            Task::SetAgain(_) => Duration::from_secs(60),
            Task::ReadTheirs(_) => their_database::DEADLINE,
            Task::StopJail(_) => Duration::from_secs(180),
            // Its end, and two starts, each with a limit of its own.
            Task::Restart(_) => Duration::from_secs(400),
            // A hundred slow servers, and 50 000 bans at 60 a second: then something is wrong.
            Task::Import(_) => Duration::from_secs(4 * 3600),
            // Many calls of other programs, each with a limit of its own.
            Task::TendSet(_) => Duration::from_secs(300),
            Task::Preview(_) => Duration::from_secs(150),
            Task::AskPlaces(_) => Duration::from_secs(30),
            Task::UpdateGeo(_) => geo_update::PATIENCE + Duration::from_secs(30),
        }
    }

    /// Whether it changes the configuration: one at a time, and none waits.
    pub fn applies(&self) -> bool {
        matches!(self, Task::Apply(_) | Task::EditDefinition(_) | Task::Recover(_) | Task::EditJail(_))
    }

    /// Whether it does its part without a daemon that answers: files are changed all the same.
    pub fn does_without_daemon(&self) -> bool {
        match self {
            Task::Apply(apply) => !apply.changes.is_empty(),
            Task::EditDefinition(_) | Task::EditJail(_) => true,
            _ => false,
        }
    }

    fn run(self, out: &mut FrameWriter<'_>) -> Result<Value, Failure> {
        match self {
            Task::HashPassword(task) => Ok(Value::String(task.run()?)),
            Task::VerifyPassword(task) => Ok(Value::Bool(task.run()?)),
            Task::Ban(task) => task.run(),
            Task::Unban(task) => task.run(),
            Task::ListBans(task) => task.run(out),
            Task::PageOfBans(task) => task.run(),
            Task::Apply(task) => apply::apply(*task),
            Task::Recover(task) => task.run(),
            Task::JailConfigs(task) => task.run(),
            Task::SetAgain(task) => task.run(),
            Task::EditJail(task) => task.run(),
            Task::ReadBackends(task) => task.run(),
            Task::AskHistory(task) => task.run(out),
            Task::ReadTheirs(task) => task.run(),
            Task::WhyAway(task) => task.run(),
            Task::Restart(task) => task.run(),
            Task::StopJail(task) => task.run(),
            Task::EditDefinition(task) => task.run(),
            Task::ShowDefinitions(task) => task.run(),
            Task::TestFilter(task) => task.run(),
            Task::TestRegex(task) => task.run(),
            Task::PreviewLog(task) => task.run(),
            Task::ReadLog(task) => task.run(),
            Task::Import(task) => task.run(out),
            Task::Preview(task) => task.run(),
            Task::AskPlaces(task) => Ok(task.run()),
            Task::UpdateGeo(task) => task.run(),
            Task::TendSet(task) => task.run(),
        }
    }
}

/// The whole life of a child: one task in, frames out. Errors are those of its pipes; then nobody listens any more.
pub fn child_main(input: &mut dyn Read, output: &mut dyn Write) -> std::io::Result<()> {
    let mut text = Vec::new();
    input.read_to_end(&mut text)?;
    let task: Task = json::read(text)?;
    let mut frames = FrameWriter::new(output);
    match task.run(&mut frames) {
        Ok(value) => frames.done(&value),
        Err(failure) => frames.failed(&failure),
    }
}
