//! Changes of the configuration, in a child: an apply, its undo after a crash, and values set in a running jail.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::bans::{answering, checked};
use super::expressions;
use super::failure::Failure;
use super::service::names_jail;
use crate::apply::{self, Apply, ApplyError, RunTime, Scope, run_time};
use crate::fail2ban::Error;
use crate::fail2ban::reload::ReloadError;
use crate::files::Trouble;

/// How long values may take: each expression is compiled, and a changed ban time is written into running bans.
const SETS: Duration = Duration::from_secs(30);

/// How long the jails of a daemon that has just started may take to be there.
const JAILS_ARE_THERE: Duration = Duration::from_secs(5);

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        let text = error.to_string();
        match error {
            ApplyError::Invalid(problem) => Failure::Invalid(problem),
            ApplyError::WasInvalid(problem) if problem.jail.is_some() => Failure::WouldLoseJails(text),
            ApplyError::WasInvalid(_) => Failure::CommandFailed(text),
            ApplyError::Changed(_) => Failure::Conflict(text),
            ApplyError::Barren { reason, .. } => Failure::Barren { reason: reason.to_owned(), detail: text },
            ApplyError::InProgress => Failure::InProgress(text),
            ApplyError::Interrupted => Failure::Interrupted(text),
            ApplyError::Files(error) => error.into(),
            ApplyError::Journal(why) => Failure::Files(Trouble::other(format!("the journal cannot be written: {why}"))),
            ApplyError::Reload(ReloadError::WouldLose { .. } | ReloadError::Lost { .. })
            | ApplyError::HalfUndone { .. } => Failure::WouldLoseJails(text),
            ApplyError::Reload(_) => Failure::CommandFailed(text),
            ApplyError::Daemon(error) => Failure::Fail2ban(error),
            ApplyError::DryRun(preview) => Failure::DryRun(preview),
        }
    }
}

/// How long somebody who waits for an answer waits for another change of the configuration.
pub(super) const TURN: Duration = Duration::from_secs(5);

/// How long the expressions of the files are looked at after a load.
const LOOKS_AT_COSTS: Duration = Duration::from_secs(2);
/// How many of them are named.
const MOST_COSTS: usize = 5;

/// What was applied.
pub(super) fn apply(task: Apply) -> Result<Value, Failure> {
    if let (Scope::Jails(jails), false) = (&task.scope, task.stops) {
        let mut daemon = answering(&task.place.socket, SETS)?;
        let running = daemon.jail_names()?;
        for name in jails {
            if !running.contains(&checked(name)?) && !names_jail(&task.place.config_dir, name) {
                return Err(Error::UnknownJail(name.clone()).into());
            }
        }
    }
    let mut applied = task.run(TURN)?;
    let mut costs = expressions::hanging(&task.place.config_dir, LOOKS_AT_COSTS);
    if costs.len() > MOST_COSTS {
        let more = costs.len() - MOST_COSTS;
        costs.truncate(MOST_COSTS);
        costs.push(format!("{more} more expressions can stop fail2ban; `bangui check` names them."));
    }
    applied.warnings.extend(costs);
    Ok(json!(applied))
}

/// Undo the apply whose journal is there.
#[derive(Debug, Serialize, Deserialize)]
pub struct Recover {
    /// The journal.
    pub journal: PathBuf,
}

impl Recover {
    /// Whether there was one.
    pub fn run(self) -> Result<Value, Failure> {
        Ok(json!(apply::recover(&self.journal)?))
    }
}

/// Set again what holds at run time only, after the daemon has started.
#[derive(Debug, Serialize, Deserialize)]
pub struct SetAgain {
    /// fail2ban's socket.
    pub socket: PathBuf,
    /// What is set.
    pub run_time: Vec<RunTime>,
}

impl SetAgain {
    /// What could not be set, a sentence each. The daemon answers before its jails are there, so they are waited for.
    pub fn run(self) -> Result<Value, Failure> {
        let mut daemon = answering(&self.socket, SETS)?;
        let mut warnings = Vec::new();
        let start = Instant::now();
        for again in &self.run_time {
            let jail = checked(&again.jail)?;
            let mut runs = daemon.jail_names()?.contains(&jail);
            while !runs && start.elapsed() < JAILS_ARE_THERE {
                std::thread::sleep(Duration::from_millis(50));
                runs = daemon.jail_names()?.contains(&jail);
            }
            if runs {
                warnings.extend(run_time::set_again(&mut daemon, &jail, again)?);
            } else {
                warnings.push(format!("{} does not run, so what was set in it is not in force.", again.jail));
            }
        }
        Ok(json!(warnings))
    }
}
