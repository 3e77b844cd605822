//! Requests that need the daemon while a child of ours keeps it busy: they wait for their turn, and not for long.

use std::time::{Duration, Instant};

use super::run::MainLoop;
use super::waiters::Parked;
use crate::app::{ApiError, Request};
use crate::dispatch;
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
        self.parked.push(Parked { slot, request, until: Instant::now() + PARK });
    }

    /// The request wants to see what a child has yet to read of the daemon.
    pub(super) fn park_again(&mut self, slot: Slot, mut request: Request) {
        // The child begins now: the request would else be taken for one that has waited.
        self.submit_background();
        request.has_waited = true;
        self.park(slot, request);
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
            if (is_free && !(has_waited && self.ctx.banned.is_read())) || (is_over && has_waited) {
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
