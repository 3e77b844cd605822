//! What has been done, noted in the name of whoever does it. Refusals are summed up in memory, and written by a timer once a second at most:
//! whoever is refused can neither wear the flash nor push out what others have done.

use std::time::Instant;

use super::acting::Acting;
use super::error::ApiError;
use super::request::Admitted;
use super::state::Ctx;
use crate::domain::audit::{Entry, What};
use crate::domain::time;
use crate::store::audit::Doer;

impl Ctx {
    /// Notes what somebody has done where that is in force already: what cannot be noted is in the log, and undoes nothing.
    pub fn note(&mut self, entry: &Entry) {
        if self.dry_run {
            return;
        }
        if let Err(error) = self.store.add_event(entry, &self.acting.doer(), time::now()) {
            log::warn!("{} ({}) is not in the audit: {error}", entry.what.as_str(), entry.target.escape_debug());
            self.storage_fails = true;
        }
    }

    /// Writes something of ours, and the entry that `work` makes of it, in one transaction: both, or neither.
    pub fn noted<T>(&mut self, work: impl FnOnce(&mut Ctx) -> Result<(T, Entry), ApiError>) -> Result<T, ApiError> {
        self.store.begin_noted()?;
        match work(self) {
            Ok((done, entry)) => {
                self.store.end_noted(Some((&entry, &self.acting.doer(), time::now())))?;
                Ok(done)
            }
            Err(error) => {
                self.store.end_noted(None)?;
                Err(error)
            }
        }
    }

    /// Deletes some of the events before this, in Unix seconds, up to the one of this number, and notes that where there is an entry; gives how many went.
    pub fn delete_events(&mut self, before: i64, last: i64, entry: Option<&Entry>) -> Result<usize, ApiError> {
        let doer = self.acting.doer();
        Ok(self.store.delete_events(before, last, entry.map(|entry| (entry, &doer, time::now())))?)
    }

    /// Notes that a client was refused.
    pub fn note_refusal(&mut self, what: What, admitted: &Admitted, target: &str) {
        self.note_refused(what, admitted.acting(), target);
    }

    /// The same of whoever acts in this turn of the loop.
    pub fn note_refused_here(&mut self, what: What, target: &str) {
        self.note_refused(what, self.acting.clone(), target);
    }

    fn note_refused(&mut self, what: What, who: Acting, target: &str) {
        let client = who.client.map(|client| client.key().to_string()).unwrap_or_default();
        let doer = Doer { actor: who.actor, client };
        self.refusals.count(Entry::new(what, target), doer, time::now());
    }

    /// Writes down what was refused, where that is due.
    pub fn write_refusals(&mut self, now: Instant) {
        if self.refusals.due(now).is_some_and(|due| due <= now) {
            self.flush_refusals(now);
        }
    }

    /// Writes it down at once: the program is to end.
    pub fn flush_refusals(&mut self, now: Instant) {
        let mut open = self.refusals.open();
        if open.is_empty() {
            return;
        }
        let written = self.store.note_refusals(&mut open);
        self.refusals.close(written.is_ok(), now);
        if let Err(error) = written {
            log::warn!("what was refused is not in the audit: {error}");
            self.storage_fails = true;
        }
    }
}
