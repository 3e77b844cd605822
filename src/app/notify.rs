//! What is told to people: noted here for all who want to know, in one call that never fails. Sending it is elsewhere.

use std::time::{Duration, Instant};

use super::notifying::{SETTING, Told};
use super::state::Ctx;
use crate::domain::json;
use crate::domain::notification::{Event, Message};
use crate::domain::time;

impl Ctx {
    /// Tells those who want to know. What cannot be noted is in the log, and stops nobody.
    pub fn tell(&mut self, event: Event, line: &str) {
        self.tell_all(&Message::new(event, line, time::now()));
    }

    /// The same, of more than one line.
    pub fn tell_all(&mut self, message: &Message) {
        if let Err(error) = self.store.tell(message, time::now()) {
            log::warn!("a notification ({}) cannot be noted: {error}", message.event.as_str());
        }
    }

    /// What was told and not taken back.
    pub fn told(&self) -> Told {
        self.notifying.told
    }

    /// Remembers it.
    pub fn set_told(&mut self, told: Told) {
        if told == self.notifying.told {
            return;
        }
        self.notifying.told = told;
        let text = json::text(&told).unwrap_or_default();
        if let Err(error) = self.store.set_settings(&[(SETTING, &text)]) {
            log::warn!("what was told cannot be noted: {error}");
        }
    }

    /// When there is something to send next; `None` where there is nothing.
    pub fn notification_due(&mut self, now: Instant) -> Option<Instant> {
        if self.store.channels().is_empty() {
            return None;
        }
        let busy = self.notifying.busy(now);
        let unix_now = time::now();
        let revision = self.store.revision();
        let due = match self.notifying.next {
            Some((known, due)) if known == revision => due,
            _ => {
                // What cannot be read is not sent: whoever writes next says what is wrong with the database.
                let due = self.store.notification_due(&busy, unix_now).ok().flatten();
                self.notifying.next = Some((revision, due));
                due
            }
        };
        let due = due.map(|due| now + Duration::from_secs(due.saturating_sub(unix_now).clamp(0, 3600) as u64));
        [due, self.notifying.freed()].into_iter().flatten().min()
    }
}
