//! What could not be noted of bans while our database took no writes: it is kept here, and noted when the database takes writes again. So
//! whoever is to be let out, or kept out, does not wait for room on a disk. A restart forgets it, and whoever asked is told so. What notes it
//! is in `note_late.rs`.

use std::collections::VecDeque;

use crate::domain::actor::Actor;

/// What is kept at most: as many as two of the largest requests lift.
const MOST: usize = 20_000;
/// What is said while something waits to be noted.
const NOT_NOTED: &str = "This is done, but bangui's own database takes no writes (bangui check says why), so it is noted later. If bangui is \
                         restarted before that, it forgets it: a ban that was made here and lifted may then be made again.";

/// What waits to be noted, in the order in which it happened.
#[derive(Debug, Default)]
pub struct Late {
    pub(super) waiting: VecDeque<Entry>,
    pub(super) lifts: i64,
}

/// One thing that waits.
#[derive(Debug)]
pub(super) enum Entry {
    /// A ban of ours of this jail and address was made or forgotten: what is noted of it is made what it is now.
    Ban { jail: String, ip: String, is_new: bool },
    /// Something was lifted.
    Lift { number: i64, jail: Option<String>, ip: Option<String>, actor: Actor, note: String, at: i64 },
}

impl Late {
    /// Whether something waits.
    pub fn any(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// What is to be said with an answer while something waits; empty where nothing does.
    pub fn warning(&self) -> &'static str {
        if self.any() { NOT_NOTED } else { "" }
    }

    /// Takes back lifts that lifted nothing, by the numbers that `note_lifts_later` gave.
    pub(super) fn take_back(&mut self, numbers: &[i64]) {
        if numbers.iter().any(|number| *number < 0) {
            self.waiting.retain(|one| !matches!(one, Entry::Lift { number, .. } if numbers.contains(number)));
        }
    }

    pub(super) fn put(&mut self, entry: Entry) {
        if self.waiting.len() < MOST {
            self.waiting.push_back(entry);
        }
    }
}
