//! Bans that were made here are noted before they are made, and seen to when the daemon may have lost or shortened them.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::error::ApiError;
use super::own_bans::{Noted, Settled};
use super::state::{Ctx, Job};
use crate::domain::json;
use crate::domain::own_ban::OwnBan;
use crate::domain::time;
use crate::jobs::Task;
use crate::jobs::own_bans::{Found, KeepEnds, Kept};
use crate::server::response::Response;
use crate::store::{self, archive::NewLift};

/// When it is tried again, where it did not come to an end.
const AGAIN: Duration = Duration::from_secs(2);
/// How many are taken back in one turn of the loop.
const SOME: usize = 100;
/// How often a jail that does not run is looked for.
const LOOKED_FOR: u32 = 20;
/// How far the daemon's times of a ban may be from ours, in seconds.
const CLOCKS: i64 = 2;

impl Ctx {
    /// Notes bans before they are made, in the archive as well; later, where the database takes no writes. Gives what was noted of the same
    /// addresses before.
    pub fn note_own_bans(&mut self, bans: Vec<OwnBan>) -> Vec<OwnBan> {
        let placed = |ban: OwnBan| {
            let country = self.place_of(&ban.ip).country;
            (ban, country)
        };
        let bans: Vec<_> = bans.into_iter().map(placed).collect();
        let noted = self.store.note_bans(&bans, time::now());
        let before = bans.iter().filter_map(|(ban, _)| self.own_bans.get(&ban.jail, &ban.ip).cloned()).collect();
        let names: Vec<_> = bans.iter().map(|(ban, _)| (ban.jail.clone(), ban.ip.clone())).collect();
        bans.into_iter().for_each(|(ban, _)| self.own_bans.put(ban));
        match noted {
            Ok(gone) => gone.iter().for_each(|(jail, ip)| drop(self.own_bans.take(jail, ip))),
            Err(error) => self.note_bans_later(&names, true, &error),
        }
        before
    }

    /// The bans that were noted of these, by jail and address, have been made.
    pub fn own_bans_made(&mut self, names: &[(String, String)]) {
        if let Err(error) = self.store.bans_made(names) {
            log::warn!("that a ban was made cannot be noted: {error}");
        }
    }

    /// These were banned already, and are as they were: that is no other ban.
    pub fn own_bans_unchanged(&mut self, names: &[(String, String)]) {
        if !names.is_empty()
            && let Err(error) = self.store.bans_not_made(names, time::now())
        {
            log::warn!("that a ban was none cannot be noted: {error}");
        }
    }

    /// Takes back what was noted of bans that were not made, and notes again what was there before.
    pub fn restore_own_bans(&mut self, names: &[(String, String)], before: Vec<OwnBan>) {
        self.forget_named(names);
        self.put_back(before);
        if let Err(error) = self.store.bans_not_made(names, time::now()) {
            log::warn!("what is noted of a ban that was not made cannot be taken back: {error}");
        }
    }

    fn put_back(&mut self, bans: Vec<OwnBan>) {
        if bans.is_empty() {
            return;
        }
        let (names, added) = (names_of(&bans), self.store.add_own_bans(&bans));
        bans.into_iter().for_each(|ban| self.own_bans.put(ban));
        match added {
            Ok(gone) => gone.iter().for_each(|(jail, ip)| drop(self.own_bans.take(jail, ip))),
            Err(error) => self.note_bans_later(&names, false, &error),
        }
    }

    /// Notes what is about to be lifted, by whoever acts, and forgets the bans of ours that go with it: a jail or all, these addresses or
    /// everything. Before it is lifted: whatever is killed in between, it is not made again. Where the database takes no writes, it is lifted
    /// all the same, and noted later: nobody stays locked out because a disk is full.
    pub fn note_lift(&mut self, jail: Option<&str>, ips: Option<&[String]>, note: &str) -> Noted {
        let lifts: Vec<NewLift<'_>> = match ips {
            Some(ips) => ips.iter().map(|ip| NewLift { jail, ip: Some(ip) }).collect(),
            None => vec![NewLift { jail, ip: None }],
        };
        let gone = match ips {
            Some(ips) => ips.iter().flat_map(|ip| self.own_bans.of_address(jail, ip)).cloned().collect(),
            None => self.own_bans.matching(jail, None),
        };
        let names = names_of(&gone);
        names.iter().for_each(|(jail, ip)| drop(self.own_bans.take(jail, ip)));
        let noted = self.store.note_lifts(&lifts, &self.acting.actor, note, &names, time::now());
        let lifts = noted.unwrap_or_else(|error| {
            self.note_bans_later(&names, false, &error);
            self.note_lifts_later(&lifts, note, &error)
        });
        Noted { lifts, gone }
    }

    /// Nothing was lifted: the notes go, and what was forgotten with them comes back where `is_banned` says so.
    pub fn undo_lift(&mut self, noted: Noted, is_banned: bool) {
        self.put_back(if is_banned { noted.gone } else { Vec::new() });
        self.late.take_back(&noted.lifts);
        if let Err(error) = self.store.lifts_not_made(&noted.lifts) {
            log::warn!("what is noted of a ban that was not lifted cannot be taken back: {error}");
        }
    }

    fn forget_named(&mut self, names: &[(String, String)]) {
        names.iter().for_each(|(jail, ip)| drop(self.own_bans.take(jail, ip)));
        if let Err(error) = self.store.remove_own_bans(names) {
            self.note_bans_later(names, false, &error);
        }
    }

    /// What has become of many that were noted: a few are dealt with in each turn of the loop.
    pub fn settle_many_own_bans(&mut self, settled: Settled) {
        self.own_bans.settled.add(settled);
    }

    /// Deals with a few of them.
    pub fn settle_some_own_bans(&mut self) {
        let settled = &mut self.own_bans.settled;
        let not_made = last(&mut settled.not_made);
        // What was there before is noted again once all is forgotten that came in its place.
        let before = if settled.not_made.is_empty() { last(&mut settled.before.gone) } else { Vec::new() };
        let (made, unchanged, lifts) =
            (last(&mut settled.made), last(&mut settled.unchanged), last(&mut settled.before.lifts));
        self.restore_own_bans(&not_made, before);
        self.own_bans_made(&made);
        self.own_bans_unchanged(&unchanged);
        if !lifts.is_empty() {
            self.undo_lift(Noted { lifts, gone: Vec::new() }, false);
        }
    }

    /// Has a child compare them with what the daemon has, if that is due, and make again what is missing or ends too early.
    pub fn keep_ends_when_due(&mut self, daemon_is_free: bool, now: Instant) {
        if let Some(by) = self.own_bans.moves_by(time::now()) {
            match self.store.move_own_bans(time::NOT_SET_BEFORE, by) {
                Ok(()) => log::info!("the clock was set: bans that were made here before it last as long as was said"),
                Err(error) => log::warn!("bans that were made before the clock was set cannot be moved: {error}"),
            }
            self.own_bans.move_early(by);
            self.own_bans.doubt(now);
        }
        // What is noted of bans that are being made is none that was lost.
        if !daemon_is_free
            || self.bulk_is_under_way
            || !self.snapshot.online
            || self.own_bans.due().is_none_or(|due| due > now)
        {
            return;
        }
        let bans = self.own_bans.matching(None, None);
        let lost = std::mem::take(&mut self.own_bans.lost);
        let kept = |ban: OwnBan| {
            let name = (ban.jail, ban.ip);
            let is_lost = lost.contains(&name);
            Kept { jail: name.0, ip: name.1, at: ban.at, until: ban.until, is_lost }
        };
        let paused = self.store.all_idle().unwrap_or_default();
        let task = Task::KeepEnds(KeepEnds {
            socket: self.fail2ban_socket().to_owned(),
            database: self.config.fail2ban_database.clone(),
            bans: bans.into_iter().map(kept).collect(),
            paused: paused.into_iter().filter(|(_, idle)| *idle).map(|(jail, _)| jail).collect(),
            is_restart: self.own_bans.is_restart,
        });
        // Where it comes to no end, it is tried again.
        self.own_bans.due = Some(now + AGAIN);
        let asked_at = time::now();
        self.background.push(Job::new(task, move |ctx, found| {
            ctx.note_found(json::from_tree(found).map_err(ApiError::internal)?, asked_at)?;
            Ok(Response::no_content())
        }));
    }

    fn note_found(&mut self, found: Found, asked_at: i64) -> Result<(), store::Error> {
        let own = &mut self.own_bans;
        own.looked_for = if found.absent.is_empty() { 0 } else { own.looked_for + 1 };
        if found.absent.is_empty() || own.looked_for > LOOKED_FOR {
            (own.due, own.is_restart) = (None, false);
        }
        for (jail, ip) in &found.again {
            log::info!("{ip} is banned again in {jail}, to the end that was set here");
            self.banned.held.distrust_jail(jail);
            self.store.ban_made_again(jail, ip, asked_at - CLOCKS, time::now() + CLOCKS)?;
        }
        let looked_up = found.missing.len().min(SOME);
        let (mut lost, mut lifted) = (HashSet::new(), Vec::new());
        for (jail, ip) in found.missing.iter().take(looked_up) {
            let was_written = self.store.own_ban_was_written(jail, ip)?;
            let name = (jail.clone(), ip.clone());
            if was_written {
                lifted.push(name);
            } else {
                lost.insert(name);
            }
        }
        if !lost.is_empty() || looked_up < found.missing.len() {
            (self.own_bans.due, self.own_bans.is_restart) = (Some(Instant::now()), true);
            self.own_bans.lost = lost;
        }
        let own = &self.own_bans;
        // One that was noted since is another ban of that address.
        let is_same = |(jail, ip): &&(String, String)| own.get(jail, ip).is_none_or(|ban| ban.at < asked_at);
        let gone: Vec<_> = found.gone.iter().chain(&lifted).filter(is_same).cloned().collect();
        self.forget_named(&gone);
        if gone.is_empty() { Ok(()) } else { self.store.bans_not_made(&gone, time::now()) }
    }
}

fn names_of(bans: &[OwnBan]) -> Vec<(String, String)> {
    bans.iter().map(|ban| (ban.jail.clone(), ban.ip.clone())).collect()
}

/// Takes the last few away.
fn last<T>(all: &mut Vec<T>) -> Vec<T> {
    all.split_off(all.len().saturating_sub(SOME))
}
