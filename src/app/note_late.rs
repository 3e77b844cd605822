//! Notes what became of bans once our database takes writes again, see `late.rs`.

use super::late::Entry;
use super::state::Ctx;
use crate::domain::time;
use crate::store::{self, archive::NewLift};

/// How many are noted in one turn of the loop.
const SOME: usize = 5;

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

    /// Whether there is something to note of what has become of bans, and the database seems to take it.
    pub fn has_to_note(&self) -> bool {
        self.own_bans.any_settled() || (self.late.any() && !self.storage_fails)
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
