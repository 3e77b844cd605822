//! Work that nobody asked for: an apply that died is undone, and after a restart of the daemon what held at run time only is set again.

use std::time::Instant;

use serde_json::Value;

use super::run::MainLoop;
use crate::jobs::{Failure, Task, apply};

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
        match outcome {
            Ok(_) => log::info!("the interrupted apply is undone"),
            Err(failure) => log::error!("the interrupted apply cannot be undone, restart to try again: {failure:?}"),
        }
        self.after_daemon_task(outcome.as_ref().err());
    }

    /// The daemon was away: a child sets again what it cannot have kept. What it refuses is in its own log.
    pub(super) fn set_again(&mut self) {
        self.ctx.restarted = false;
        match self.ctx.run_time() {
            Ok(run_time) if run_time.is_empty() => {}
            Ok(run_time) => {
                let task = Task::SetAgain(apply::SetAgain { socket: self.ctx.fail2ban_socket().to_owned(), run_time });
                // Where no place is left, it is tried again in the next turn of the loop.
                self.ctx.restarted = self.children.submit(task, true, Instant::now()).is_err();
                self.children.start_waiting(self.poll.registry());
            }
            Err(error) => log::warn!("{error}"),
        }
    }
}
