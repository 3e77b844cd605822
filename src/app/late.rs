//! What could not be noted of bans while our database took no writes: it is kept here, and noted when the database takes writes again. So
//! whoever is to be let out, or kept out, does not wait for room on a disk. A restart forgets it, and whoever asked is told so.

use std::collections::VecDeque;

use super::state::Ctx;
use crate::domain::actor::Actor;
use crate::domain::time;
use crate::store::{self, archive::NewLift};

/// What is kept at most: as many as two of the largest requests lift.
const MOST: usize = 20_000;
/// How many are noted in one turn of the loop.
const SOME: usize = 5;
/// What is said while something waits to be noted.
const NOT_NOTED: &str = "This is done, but bangui's own database takes no writes (bangui check says why), so it is noted later. If bangui is \
                         restarted before that, it forgets it: a ban that was made here and lifted may then be made again.";

/// What waits to be noted, in the order in which it happened.
#[derive(Debug, Default)]
pub struct Late {
    waiting: VecDeque<Entry>,
    lifts: i64,
}

#[derive(Debug)]
enum Entry {
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

    fn put(&mut self, entry: Entry) {
        if self.waiting.len() < MOST {
            self.waiting.push_back(entry);
        }
    }
}

impl Ctx {
    /// Bans of ours, by jail and address, are other than the database knows. `is_new`: the archive does not have them yet.
    pub(super) fn note_bans_later(&mut self, names: &[(String, String)], is_new: bool, error: &store::Error) {
        self.complain_of(error);
        names.iter().for_each(|(jail, ip)| self.late.put(Entry::Ban { jail: jail.clone(), ip: ip.clone(), is_new }));
    }

    /// These are lifted, by whoever acts. Gives a number below zero for each.
    pub(super) fn note_lifts_later(&mut self, lifts: &[NewLift<'_>], note: &str, error: &store::Error) -> Vec<i64> {
        self.complain_of(error);
        let (actor, at) = (self.acting.actor.clone(), time::now());
        let note_one = |lift: &NewLift<'_>| {
            self.late.lifts -= 1;
            let (jail, ip) = (lift.jail.map(str::to_owned), lift.ip.map(str::to_owned));
            let number = self.late.lifts;
            self.late.put(Entry::Lift { number, jail, ip, actor: actor.clone(), note: note.to_owned(), at });
            number
        };
        lifts.iter().map(note_one).collect()
    }

    fn complain_of(&mut self, error: &store::Error) {
        if !std::mem::replace(&mut self.storage_fails, true) {
            log::warn!("what was done to bans is noted once the database takes writes: {error}");
        }
    }

    /// Notes some of what waits, where the database seems to take writes.
    pub fn note_what_waits(&mut self) {
        for _ in 0..SOME {
            if self.storage_fails {
                return;
            }
            let Some(entry) = self.late.waiting.pop_front() else { return };
            if let Err(error) = self.note_late(&entry) {
                log::warn!("what waits to be noted waits on: {error}");
                self.storage_fails = true;
                self.late.waiting.push_front(entry);
            }
        }
    }

    fn note_late(&mut self, entry: &Entry) -> Result<(), store::Error> {
        match entry {
            Entry::Lift { jail, ip, actor, note, at, .. } => {
                let lift = NewLift { jail: jail.as_deref(), ip: ip.as_deref() };
                self.store.note_lifts(&[lift], actor, note, &[], *at).map(drop)
            }
            Entry::Ban { jail, ip, is_new } => {
                let name = [(jail.clone(), ip.clone())];
                match self.own_bans.get(jail, ip).cloned() {
                    None => self.store.remove_own_bans(&name),
                    Some(ban) if *is_new => {
                        let country = self.place_of(ip).country;
                        self.store.note_bans(&[(ban, country)], time::now())?;
                        self.store.bans_made(&name)
                    }
                    Some(ban) => self.store.add_own_bans(&[ban]).map(drop),
                }
            }
        }
    }
}
