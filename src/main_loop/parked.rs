//! Requests that need the daemon while a child of ours keeps it busy: they wait for their turn, and not for long.

use std::time::{Duration, Instant};

use super::run::MainLoop;
use super::waiters::Parked;
use crate::app::banned::CatchUp;
use crate::app::{ApiError, Request};
use crate::dispatch;
use crate::jobs::children::TaskId;
use crate::server::token::Slot;

/// How long a request waits for the daemon while a child of ours keeps it busy.
const PARK: Duration = Duration::from_secs(5);
/// Requests that wait for the daemon at a time.
const MAX_PARKED: usize = 32;

impl MainLoop {
    pub(super) fn park(&mut self, slot: Slot, request: Request) {
        if self.parked.len() >= MAX_PARKED {
            return self.refuse_busy(slot, &request);
        }
        self.parked.push(Parked { slot, request, for_archive: false, until: Instant::now() + PARK });
    }

    /// The request wants the archive to have everything first. It goes on without, rather than wait for long.
    pub(super) fn park_for_archive(&mut self, slot: Slot, mut request: Request) {
        request.has_waited = true;
        if self.parked.len() >= MAX_PARKED {
            return self.handle(slot, request);
        }
        self.parked.push(Parked { slot, request, for_archive: true, until: Instant::now() + PARK });
    }

    /// The request wants to see what a child has yet to read of the daemon.
    pub(super) fn park_again(&mut self, slot: Slot, mut request: Request) {
        // The child begins now: the request would else be taken for one that has waited.
        self.submit_background();
        request.has_waited = true;
        self.park(slot, request);
    }

    /// The client of a request went away.
    pub(super) fn abandon(&mut self, slot: Slot) {
        self.parked.retain(|parked| parked.slot != slot);
        // A change that is begun is done to its end.
        self.stepping.retain(|stepping| stepping.slot != slot || stepping.changes());
        let tasks: Vec<TaskId> =
            self.pending.iter().filter(|(_, pending)| pending.slot == slot).map(|(id, _)| *id).collect();
        for id in tasks {
            let Some(pending) = self.pending.get_mut(&id) else { continue };
            if pending.detached {
                pending.abandoned = true;
            } else {
                self.pending.remove(&id);
                self.children.cancel(id);
            }
        }
    }

    fn refuse_busy(&mut self, slot: Slot, request: &Request) {
        let busy = ApiError::busy("fail2ban is busy with another request; try again shortly.");
        let response = dispatch::finish(&mut self.ctx, &request.head.method, &request.admitted, Err(busy));
        self.connections.respond(slot, response);
    }

    pub(super) fn serve_parked(&mut self) {
        if self.parked.is_empty() {
            return;
        }
        let is_free = !self.children.daemon_is_taken();
        let now = Instant::now();
        let mut index = 0;
        while index < self.parked.len() {
            // Whoever has waited is shown what is known.
            let is_over = now >= self.parked[index].until;
            let has_waited = self.parked[index].request.has_waited;
            let is_ready = if self.parked[index].for_archive {
                self.ctx.daemon_log.catch_up == CatchUp::Idle
            } else {
                is_free && !(has_waited && (self.ctx.banned.is_read() || self.ctx.failing_is_behind()))
            };
            if is_ready || (is_over && has_waited) {
                self.ctx.daemon_is_taken = self.children.daemon_is_taken();
                let parked = self.parked.remove(index);
                self.handle(parked.slot, parked.request);
            } else if is_over {
                let parked = self.parked.remove(index);
                self.refuse_busy(parked.slot, &parked.request);
            } else {
                index += 1;
            }
        }
    }
}
