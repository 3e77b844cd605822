//! What is known of what is being told to people: what is under way, when the next is due, what was told and not taken back.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::domain::json;
use crate::store;

/// The setting that holds what was told and not yet taken back.
pub(super) const SETTING: &str = "notified_state";
/// A child that sends and is not back after this is lost.
const LOST: Duration = Duration::from_secs(60);

/// What was told and not yet taken back: it is told once, over restarts, too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// fail2ban does not answer.
    pub down: bool,
    /// This machine is not protected.
    pub bad: bool,
}

/// What is known of what is being told.
#[derive(Debug, Default)]
pub struct Notifying {
    /// Channels through which something is being sent, and since when.
    busy: Vec<(i64, Instant)>,
    /// Since when fail2ban has been away.
    pub down_since: Option<Instant>,
    pub(super) told: Told,
    /// When the next message is due, as it was reckoned at a revision of the database.
    pub(super) next: Option<(u64, Option<i64>)>,
}

impl Notifying {
    /// What is stored.
    pub fn of(store: &store::Store) -> Result<Notifying, store::Error> {
        let stored = store.setting(SETTING)?;
        // What this program wrote it can read.
        let told = stored.and_then(|text| json::read(&text).ok()).unwrap_or_default();
        Ok(Notifying { told, ..Notifying::default() })
    }

    /// Channels through which something is being sent.
    pub fn busy(&mut self, now: Instant) -> Vec<i64> {
        let before = self.busy.len();
        self.busy.retain(|(_, since)| now < *since + LOST);
        if self.busy.len() != before {
            self.next = None;
        }
        self.busy.iter().map(|(channel, _)| *channel).collect()
    }

    /// Something is being sent through a channel.
    pub fn begin(&mut self, channel: i64, now: Instant) {
        self.busy.push((channel, now));
        self.next = None;
    }

    /// It has been, or could not be.
    pub fn end(&mut self, channel: i64) {
        self.busy.retain(|(own, _)| *own != channel);
        self.next = None;
    }

    /// When a channel that is lost is free again; `None` where none is in use.
    pub(super) fn freed(&self) -> Option<Instant> {
        self.busy.iter().map(|(_, since)| *since + LOST).min()
    }
}
