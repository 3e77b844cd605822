//! Work whose client does not wait for its end: it has its answer, 202, and asks for the rest by a name.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::run::MainLoop;
use crate::app::request::Long;
use crate::dispatch;
use crate::domain::time;
use crate::jobs::bulk::Done;
use crate::jobs::children::TaskId;
use crate::jobs::{Failure, Lane};
use crate::server::accepts::Accepts;
use crate::server::response::Response;
use crate::services::imports;

/// How long slow work is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

impl MainLoop {
    /// Answers the clients of slow work that they have waited long enough.
    pub(super) fn answer_the_slow(&mut self, now: Instant) {
        let is_slow = |admitted: &crate::app::Admitted| {
            admitted.route.is_some_and(|route| route.long == Long::Slow) && now >= admitted.started + PATIENCE
        };
        let slow = self.pending.iter().filter(|(_, one)| one.job.is_none() && is_slow(&one.admitted));
        for id in slow.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.answer_with_job(id);
        }
    }

    /// Answers the client of a task that has just begun, where it would rather not wait and need not.
    pub(super) fn answer_the_hasty(&mut self, id: TaskId) {
        let admitted = self.pending.get(&id).map(|pending| &pending.admitted);
        if admitted.is_some_and(|one| one.prefers_async && one.route.is_some_and(|route| route.long != Long::No)) {
            self.answer_with_job(id);
        }
    }

    /// Answers the client of a task that goes on. Where too many do already, the client waits for the end as any other.
    pub(super) fn answer_with_job(&mut self, id: TaskId) {
        let Some(pending) = self.pending.get_mut(&id).filter(|pending| !pending.streaming) else { return };
        let Some(route) = pending.admitted.route else { return };
        let name = self.ctx.request_ids.make();
        let request = format!("{} {}", route.method.as_str(), route.path);
        let can_cancel = matches!(pending.lane, Lane::Bulk | Lane::Import);
        if !self.ctx.long_jobs.begin(&name, request, pending.admitted.actor(), can_cancel, time::now()) {
            return;
        }
        pending.detached = true;
        let place = format!("{}/api/v1/jobs/{name}", self.ctx.config.base_path);
        let body = json!({
            "job": name,
            "state": "running",
            "message": "This takes a while and goes on by itself; GET /api/v1/jobs/{job} has its progress and its result.",
        });
        let mut response = Response::json(202, &body).with("location", place).with("retry-after", "1");
        if pending.admitted.prefers_async {
            response = response.with("preference-applied", "respond-async");
        }
        pending.job = Some(name);
        let response = dispatch::finish(&mut self.ctx, &pending.method, &pending.admitted, Ok(response));
        // Its result is kept as it is, and packed for whoever asks for it.
        pending.admitted.accepts = Accepts::default();
        if !pending.abandoned {
            self.connections.respond(pending.slot, response);
        }
    }

    /// A child has said how far it is.
    pub(super) fn on_progress(&mut self, id: TaskId, told: Value) {
        let pending = self.pending.get(&id);
        if let Some(job) = pending.and_then(|pending| pending.job.as_ref()) {
            self.ctx.long_jobs.note_progress(job, &told);
        }
        if pending.is_none_or(|pending| pending.lane == Lane::Import) {
            imports::note_progress(&mut self.ctx, told);
        }
    }

    /// Ends what somebody wants ended before its end.
    pub(super) fn cancel_jobs(&mut self) {
        for name in std::mem::take(&mut self.ctx.long_jobs.to_cancel) {
            let found = self.pending.iter().find(|(_, pending)| pending.job.as_ref() == Some(&name));
            match found.map(|(id, pending)| (*id, pending.lane)) {
                Some((id, Lane::Bulk)) => self.ask_to_end(id),
                Some((id, Lane::Import)) => {
                    let why = "it was cancelled; what it had banned by then stays";
                    imports::ended_early(&mut self.ctx, why, false);
                    self.children.cancel(id);
                    self.on_end(id, Err(Failure::Crashed));
                }
                _ => {}
            }
        }
    }

    /// The program is to stop: what was done of many bans stays.
    pub(super) fn stop_bulk(&mut self) {
        let bulk = self.pending.iter().filter(|(_, pending)| pending.lane == Lane::Bulk).map(|(id, _)| *id);
        for id in bulk.collect::<Vec<_>>() {
            self.ask_to_end(id);
        }
    }

    fn ask_to_end(&mut self, id: TaskId) {
        if self.children.ask_to_end(id) {
            self.on_end(id, Ok(json!(Done { is_cancelled: true, ..Done::default() })));
        }
    }
}
