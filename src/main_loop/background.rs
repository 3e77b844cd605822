//! Tasks that no client waits for: timers and recovery want them, and their outcome goes to the database and the log. And what an
//! import needs of the loop, whoever started it.

use std::time::Instant;

use serde_json::Value;

use super::run::MainLoop;
use super::waiters::{Background, TOO_MANY};
use crate::app::acting::Acting;
use crate::app::{ApiError, Then};
use crate::dispatch;
use crate::fail2ban;
use crate::jobs::children::Full;
use crate::jobs::{Failure, Lane};
use crate::services::imports;

impl MainLoop {
    /// Starts what timers want done.
    pub(super) fn submit_background(&mut self) {
        for job in std::mem::take(&mut self.ctx.background) {
            let lane = job.task.lane();
            let (reads_bans, unsettles) = (job.task.reads_bans(), job.task.unsettles_bans());
            let finish = match job.then {
                Then::Finish(finish) => Some(finish),
                Then::Stream(_) => None,
            };
            match self.children.submit(job.task, job.urgent, Instant::now()) {
                Ok(id) => drop(self.background.insert(id, Background { lane, finish, reads_bans, unsettles })),
                Err(Full) if reads_bans => self.ctx.banned.read_ended(Some(ApiError::busy(TOO_MANY))),
                Err(Full) if lane == Lane::Import => imports::not_started(&mut self.ctx),
                Err(Full) => log::warn!("a task of a timer found no place; it is tried again when it is due again"),
            }
            self.children.start_waiting(self.poll.registry());
        }
    }

    pub(super) fn on_background_end(&mut self, task: Background, outcome: Result<Value, Failure>) {
        let Background { lane, finish, reads_bans, unsettles } = task;
        if unsettles {
            self.ctx.distrust_bans();
        }
        if reads_bans {
            if let Err(Failure::Fail2ban(fail2ban::Error::Busy { .. })) = &outcome {
                self.after_daemon_task(outcome.as_ref().err());
            }
            return self.ctx.banned.read_ended(outcome.err().map(ApiError::from));
        }
        if lane == Lane::Daemon {
            self.after_daemon_task(outcome.as_ref().err());
        }
        self.note_failed_import(lane, &outcome);
        let ctx = &mut self.ctx;
        let done = match (outcome, finish) {
            (Ok(value), Some(finish)) => dispatch::go_on(ctx, Acting::SYSTEM, |ctx| finish(ctx, value)).map(drop),
            (Ok(_), None) => Ok(()),
            (Err(failure), _) => Err(failure.into()),
        };
        if let Err(error) = done {
            log::warn!("a task of a timer failed: {}", error.cause.unwrap_or(error.detail));
        }
    }

    pub(super) fn note_failed_import(&mut self, lane: Lane, outcome: &Result<Value, Failure>) {
        if let (Lane::Import, Err(failure)) = (lane, outcome) {
            let error = ApiError::from(failure.clone());
            imports::ended_early(&mut self.ctx, error.cause.as_deref().unwrap_or(&error.detail), false);
            // It may have been about to make its jail. Another apply that is under way is waited for.
            if matches!(failure, Failure::Crashed | Failure::TimedOut) && self.stopping.is_none() {
                self.recover();
            }
        }
    }

    /// Ends the import under way: what it has banned stays, and the next one completes it.
    pub(super) fn stop_import(&mut self) {
        imports::ended_early(&mut self.ctx, "the server was stopped; the next import completes this one", true);
        let of_client = self.pending.iter().filter(|(_, pending)| pending.lane == Lane::Import).map(|(id, _)| *id);
        let of_timer = self.background.iter().filter(|(_, task)| task.lane == Lane::Import).map(|(id, _)| *id);
        for id in of_client.chain(of_timer).collect::<Vec<_>>() {
            self.children.cancel(id);
            self.on_end(id, Err(Failure::Crashed));
        }
    }
}
