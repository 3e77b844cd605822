//! The states of what answers are made of, as numbers that rise with every change: whoever has an answer of the same numbers has it still.

use std::hash::{BuildHasher, Hash};

use super::state::Ctx;
use crate::domain::time;

/// What a list is made of, where counters tell each change of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sources {
    /// Our own database, and the files that know countries. What is of a range moves with the hours.
    Database,
    /// The same, and what is banned now.
    Bans,
}

/// Seconds after which a range has moved on.
const BUCKET: i64 = 3600;

impl Ctx {
    /// A number of their state; `None` where a part of them changes without a sign.
    pub fn revision(&self, sources: Sources) -> Option<u64> {
        let bans = match sources {
            Sources::Database => 0,
            // What a set holds ends by the clock.
            Sources::Bans if self.held().is_some() => return None,
            Sources::Bans => self.banned.held.revision(),
        };
        let places = (self.geo.revision(), self.asking.revision());
        Some(self.number(&(self.store.revision(), places, bans, time::now() / BUCKET)))
    }

    /// A number of some bytes and what belongs to them. Others come out after the next start.
    pub fn number(&self, of: &impl Hash) -> u64 {
        self.numbers.hash_one(of)
    }
}
