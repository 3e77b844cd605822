//! Work whose client does not wait for its end: it is told a name, under which progress and result are kept in memory for a while. What does
//! the work, and when it ends, is the loop's matter.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::domain::actor::Actor;
use crate::domain::time::rfc3339;
use crate::server::response::Response;

/// How many are kept, those at work among them.
const MOST: usize = 32;
/// How long one is kept after its end, in seconds.
const KEPT: i64 = 3600;
/// How much all results may take, in bytes; the latest is kept whatever it takes.
const RESULTS: usize = 4 * 1024 * 1024;

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits for its turn or is at work.
    Running,
    /// It is to end, and does so as soon as it can.
    Cancelling,
    /// It was done to its end.
    Done,
    /// It failed.
    Failed,
    /// It ended before its end, because it was asked to.
    Cancelled,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Cancelling => "cancelling",
            State::Done => "done",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
        }
    }
}

/// Some work.
#[derive(Debug)]
pub struct LongJob {
    id: String,
    request: String,
    actor: Actor,
    can_cancel: bool,
    state: State,
    started_at: i64,
    ended_at: Option<i64>,
    progress: Value,
    status: u16,
    body: Vec<u8>,
}

/// All of it.
#[derive(Debug, Default)]
pub struct LongJobs {
    all: VecDeque<LongJob>,
    /// Those that are to be cancelled: the loop does it.
    pub to_cancel: Vec<String>,
}

impl LongJobs {
    /// Some work has begun whose client does not wait. False where too much is under way already.
    pub fn begin(&mut self, id: &str, request: String, actor: Actor, can_cancel: bool, now: i64) -> bool {
        self.expire(now);
        if self.all.len() >= MOST {
            let Some(oldest) = self.all.iter().position(|job| job.ended_at.is_some()) else { return false };
            self.all.remove(oldest);
        }
        self.all.push_back(LongJob {
            id: id.to_owned(),
            request,
            actor,
            can_cancel,
            state: State::Running,
            started_at: now,
            ended_at: None,
            progress: Value::Null,
            status: 0,
            body: Vec::new(),
        });
        true
    }

    fn expire(&mut self, now: i64) {
        self.all.retain(|job| job.ended_at.is_none_or(|ended| ended + KEPT > now));
    }

    /// The one of this name.
    pub fn get(&mut self, id: &str, now: i64) -> Option<&LongJob> {
        self.expire(now);
        self.all.iter().find(|job| job.id == id)
    }

    /// Who began it, where there is one of this name.
    pub fn actor(&self, id: &str) -> Option<&Actor> {
        self.all.iter().find(|job| job.id == id).map(|job| &job.actor)
    }

    /// How far one is, where what is told has numbers for it.
    pub fn note_progress(&mut self, id: &str, told: &Value) {
        let Some(job) = self.all.iter_mut().find(|job| job.id == id) else { return };
        if told["total"].is_u64() {
            job.progress = json!({ "done": told["done"], "total": told["total"] });
        }
    }

    /// One has ended with this answer.
    pub fn end(&mut self, id: &str, response: Response, now: i64) {
        let Some(job) = self.all.iter_mut().find(|job| job.id == id) else { return };
        let is_good = response.status.0 < 400;
        job.state = match (job.state, is_good) {
            (State::Cancelling, _) => State::Cancelled,
            (_, true) => State::Done,
            (_, false) => State::Failed,
        };
        (job.ended_at, job.status) = (Some(now), response.status.0);
        // What a killed child has to say of its end is not why it ended.
        if job.state != State::Cancelled || is_good {
            job.body = response.body.into_owned();
        }
        if let (true, Some(total)) = (is_good, job.progress["total"].as_u64().filter(|_| job.state == State::Done)) {
            job.progress["done"] = total.into();
        }
        let mut bytes: usize = self.all.iter().map(|job| job.body.len()).sum();
        while bytes > RESULTS {
            let oldest = self.all.iter().position(|job| job.ended_at.is_some() && job.id != id);
            let Some(gone) = oldest.and_then(|oldest| self.all.remove(oldest)) else { return };
            bytes -= gone.body.len();
        }
    }

    /// One is to end before its end. False where it cannot: it has no place to stop at.
    pub fn cancel(&mut self, id: &str) -> bool {
        let Some(job) = self.all.iter_mut().find(|job| job.id == id) else { return true };
        if job.state == State::Running && job.can_cancel {
            job.state = State::Cancelling;
            self.to_cancel.push(id.to_owned());
        }
        job.can_cancel || job.state != State::Running
    }
}

impl LongJob {
    /// The answer that tells of it.
    pub fn response(&self) -> Response {
        let is_good = self.status < 400;
        let body = json!({
            "job": self.id,
            "state": self.state.word(),
            "request": self.request,
            "actor": { "kind": self.actor.kind(), "name": self.actor.name() },
            "can_cancel": self.can_cancel && self.ended_at.is_none(),
            "started_at": rfc3339(self.started_at),
            "ended_at": self.ended_at.map(rfc3339),
            "kept_until": self.ended_at.map(|ended| rfc3339(ended + KEPT)),
            "progress": self.progress,
            "status": self.ended_at.map(|_| self.status),
        });
        let mut text = body.to_string().into_bytes();
        text.pop();
        for (name, is_this) in [("result", is_good), ("error", !is_good)] {
            text.extend_from_slice(format!(",\"{name}\":").as_bytes());
            text.extend_from_slice(if is_this && !self.body.is_empty() { &self.body } else { b"null" });
        }
        text.push(b'}');
        Response::json_bytes(200, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(jobs: &mut LongJobs, id: &str, now: i64) -> bool {
        jobs.begin(id, "POST /x".to_owned(), Actor::System, true, now)
    }

    fn state(jobs: &mut LongJobs, id: &str, now: i64) -> Option<State> {
        jobs.get(id, now).map(|job| job.state)
    }

    #[test]
    fn of_too_many_the_oldest_that_has_ended_goes_and_none_at_work() {
        let mut jobs = LongJobs::default();
        assert!((0..MOST).all(|n| begun(&mut jobs, &n.to_string(), 0)));
        assert!(!begun(&mut jobs, "more", 0));
        jobs.end("5", Response::no_content(), 1);
        assert!(begun(&mut jobs, "more", 2));
        assert_eq!(state(&mut jobs, "5", 2), None);
        assert_eq!(state(&mut jobs, "0", KEPT * 9), Some(State::Running));
    }

    #[test]
    fn results_are_kept_for_a_while_and_all_together_within_a_limit() {
        let mut jobs = LongJobs::default();
        for id in ["a", "b", "c"] {
            begun(&mut jobs, id, 0);
            jobs.end(id, Response::json_bytes(200, vec![b'1'; RESULTS / 2 - 1]), 10);
        }
        assert_eq!((state(&mut jobs, "a", 11), state(&mut jobs, "c", 11)), (None, Some(State::Done)));
        assert_eq!(state(&mut jobs, "c", 10 + KEPT), None);
    }

    #[test]
    fn what_is_cancelled_says_so_and_what_has_ended_stays_as_it_is() {
        let mut jobs = LongJobs::default();
        begun(&mut jobs, "a", 0);
        assert!(jobs.cancel("a") && jobs.cancel("a"));
        assert_eq!(std::mem::take(&mut jobs.to_cancel), ["a"]);
        jobs.end("a", Response::json(503, &Value::Null), 1);
        assert_eq!(state(&mut jobs, "a", 1), Some(State::Cancelled));
        jobs.begin("b", String::new(), Actor::System, false, 0);
        assert!(!jobs.cancel("b"));
        jobs.end("b", Response::json(409, &Value::Null), 1);
        assert!(jobs.cancel("b") && jobs.to_cancel.is_empty());
        assert_eq!(state(&mut jobs, "b", 1), Some(State::Failed));
    }
}
