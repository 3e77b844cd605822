//! Work that nobody asked for: an apply that died is undone, and after a restart of the daemon what held at run time only is set again.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::run::MainLoop;
use crate::app::error::ApiError;
use crate::domain::json;
use crate::jobs::{Failure, Task, apply};

/// How long after a failure it is tried again to set what held at run time only.
const AGAIN: Duration = Duration::from_secs(3);

impl MainLoop {
    /// Has a child undo the apply that a killed process has left half done, where there is one.
    pub(super) fn recover(&mut self) {
        let journal = self.ctx.apply_journal();
        if self.recovery.is_none() && journal.exists() {
            log::warn!("an apply was interrupted and is being undone");
            let task = Task::Recover(apply::Recover { journal });
            self.recovery = self.children.submit(task, true, Instant::now()).ok();
            self.children.start_waiting(self.poll.registry());
        }
    }

    pub(super) fn after_recovery(&mut self, outcome: &Result<Value, Failure>) {
        self.recovery_waits = matches!(outcome, Err(Failure::Fail2ban(_)));
        match outcome {
            Err(Failure::Fail2ban(error)) => {
                log::warn!("the interrupted apply is undone once fail2ban answers again: {error}");
            }
            Ok(_) => log::info!("the interrupted apply is undone"),
            Err(failure) => log::error!("the interrupted apply cannot be undone, restart to try again: {failure:?}"),
        }
        self.after_daemon_task(outcome.as_ref().err());
    }

    /// The daemon was away: a child sets again what it cannot have kept. One that fails is tried again.
    pub(super) fn set_again(&mut self) {
        let now = Instant::now();
        if self.setting_again.is_some() || self.set_again_at.is_some_and(|at| now < at) {
            return;
        }
        self.ctx.restarted = false;
        // It has restored what it had banned, and its files may name more to be ignored.
        self.ctx.tending.hurry();
        self.ctx.never_ban.hurry();
        match self.ctx.run_time() {
            Ok(run_time) if run_time.is_empty() => self.ctx.not_in_force.clear(),
            Ok(run_time) => {
                let task = Task::SetAgain(apply::SetAgain { socket: self.ctx.fail2ban_socket().to_owned(), run_time });
                self.setting_again = self.children.submit(task, true, now).ok();
                // Where no place is left, it is tried again in the next turn of the loop.
                self.ctx.restarted = self.setting_again.is_none();
                self.children.start_waiting(self.poll.registry());
            }
            Err(error) => log::warn!("{error}"),
        }
    }

    pub(super) fn after_set_again(&mut self, outcome: Result<Value, Failure>) {
        self.after_daemon_task(outcome.as_ref().err());
        let missing = match outcome {
            Ok(warnings) => {
                self.set_again_at = None;
                json::from_tree(warnings).unwrap_or_default()
            }
            Err(failure) => {
                self.ctx.restarted = true;
                self.set_again_at = Some(Instant::now() + AGAIN);
                let jails: Vec<String> =
                    self.ctx.run_time().unwrap_or_default().into_iter().map(|one| one.jail).collect();
                let why = ApiError::from(failure).detail;
                vec![format!(
                    "What was set at run time in {} is not in force since fail2ban was started; it is tried again. {why}",
                    jails.join(", ")
                )]
            }
        };
        // What is tried again and fails for the same reason is told once.
        for sentence in missing.iter().filter(|sentence| !self.ctx.not_in_force.contains(sentence)) {
            log::warn!("{sentence}");
        }
        self.ctx.not_in_force = missing;
    }
}
