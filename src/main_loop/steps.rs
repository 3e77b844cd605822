//! Long work on our own database: one step in a turn of the loop, whoever has waited longest first, so that nobody waits for more than
//! one step of somebody else's.

use std::time::{Duration, Instant};

use super::run::MainLoop;
use super::waiters::Stepping;
use crate::app::csv::Csv;
use crate::app::{ApiError, Request, Step, Steps};
use crate::dispatch;
use crate::renewal;
use crate::server::response::Response;
use crate::server::token::Slot;

/// Requests that are worked on this way at a time: what each remembers is bounded, and so are they.
const MAX_STEPPING: usize = 16;
/// How long it may take until an answer begins.
const PATIENCE: Duration = Duration::from_secs(60);

impl MainLoop {
    /// Does the first step, which often is the last one, too. Only what needs another one needs a place.
    pub(super) fn begin_steps(&mut self, slot: Slot, request: Request, steps: Steps) {
        let (method, admitted) = (request.head.method, request.admitted);
        let csv = admitted.csv().map(Csv::new);
        let until = Instant::now() + PATIENCE;
        let has_place = self.stepping.len() < MAX_STEPPING;
        self.step(Stepping { slot, method, admitted, steps, csv, streaming: false, until }, has_place);
    }

    /// The place of the first that can go on: a client that takes nothing of its answer is waited for.
    pub(super) fn next_step(&mut self) -> Option<usize> {
        let connections = &mut self.connections;
        self.stepping.iter().position(|one| !one.streaming || connections.stream_room(one.slot))
    }

    /// Does one step.
    pub(super) fn serve_steps(&mut self) {
        if let Some(one) = self.next_step().and_then(|place| self.stepping.remove(place)) {
            self.step(one, true);
        }
    }

    fn step(&mut self, mut one: Stepping, may_go_on: bool) {
        self.answering(one.slot, &one.method, &one.admitted.request_id);
        let stepped = dispatch::go_on(&mut self.ctx, one.admitted.acting(), |ctx| (one.steps)(ctx));
        renewal::answered();
        let result = match stepped {
            Ok(Step::More | Step::State(_) | Step::Part(_)) if !may_go_on => {
                Err(ApiError::busy("Too many long questions are being answered; try again shortly."))
            }
            Ok(Step::More) if Instant::now() < one.until => return self.stepping.push_back(one),
            Ok(Step::More) => Err(ApiError::busy("It took too long and was given up; narrow the search.")),
            Ok(Step::State(number)) => {
                one.admitted.state = Some(number);
                if !one.admitted.accepts.has(&dispatch::dress::tag(number)) {
                    return self.stepping.push_back(one);
                }
                Ok(Response::not_modified())
            }
            Ok(Step::Part(bytes)) => return self.send_part(one, &bytes),
            Ok(Step::Job(job)) => return self.submit(one.slot, one.method, one.admitted, *job),
            Ok(Step::Done(response)) => Ok(response),
            Err(error) => Err(error),
        };
        if !one.streaming {
            return self
                .connections
                .respond(one.slot, dispatch::finish(&mut self.ctx, &one.method, &one.admitted, result));
        }
        match &result {
            Ok(response) => self.stream(&mut one, &response.body),
            Err(error) => {
                let cause = error.cause.as_deref().unwrap_or(&error.detail);
                log::warn!("{} the answer broke off: {cause}", one.admitted.request_id);
            }
        }
        self.connections.stream_end(one.slot, result.is_ok());
    }

    fn send_part(&mut self, mut one: Stepping, bytes: &[u8]) {
        if !one.streaming {
            one.streaming = true;
            let head = dispatch::finish(
                &mut self.ctx,
                &one.method,
                &one.admitted,
                Ok(Response::json_bytes(200, b"".as_slice())),
            );
            if !self.connections.stream_head(one.slot, &head) {
                // A HEAD request has its answer: nothing more is wanted.
                return;
            }
        }
        self.stream(&mut one, bytes);
        self.stepping.push_back(one);
    }

    fn stream(&mut self, one: &mut Stepping, bytes: &[u8]) {
        match &mut one.csv {
            Some(csv) => self.connections.stream_part(one.slot, &csv.take(bytes)),
            None => self.connections.stream_part(one.slot, bytes),
        }
    }
}
