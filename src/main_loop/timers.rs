//! What happens by itself, in bounded steps: a look at the daemon, the archive, and the removal of what has expired.

use std::time::{Duration, Instant};

use super::archive::Archivist;
use super::geography::Geographer;
use crate::app::acting::Acting;
use crate::app::banned::CatchUp;
use crate::app::uses::Uses;
use crate::app::{Ctx, Job};
use crate::dispatch;
use crate::domain::time;
use crate::server::response::Response;
use crate::services::digest::Digest;
use crate::services::{changes, imports, never_ban, notify, protection};
use crate::store;

/// How often a daemon that answers is looked at.
const LOOK: Duration = Duration::from_secs(30);
/// How often one that does not is looked for.
const LOOK_WHILE_AWAY: Duration = Duration::from_secs(1);
/// How long a look that is due waits at least for the next one.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long it rests where what is to be sent finds no place.
const TELL_AGAIN: Duration = Duration::from_millis(20);
/// How often expired rows are removed.
const EXPIRE: Duration = Duration::from_secs(600);
/// How often the schedule of imports is compared with the clock, and the database looked after.
const SCHEDULE: Duration = Duration::from_secs(20);
/// How often the configuration files are looked at for changes by hand.
const LOOK_AT_FILES: Duration = Duration::from_secs(600);
/// How soon a database that took no writes is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// How long it rests between a step and bringing what was written into the file.
const REST: Duration = Duration::from_millis(2);
/// How often deadlines are compared with the clock.
const TICK: Duration = Duration::from_millis(250);

/// When what is due.
#[derive(Debug)]
pub struct Timers {
    tick_at: Instant,
    /// Not before this, after a look that failed or could not be taken.
    look_after: Instant,
    expire_at: Instant,
    archive: Archivist,
    geography: Geographer,
    schedule_at: Instant,
    digest: Digest,
    /// When the files are looked at again: somebody may have changed them.
    files_at: Instant,
    /// Not before this, what was found of them is written down.
    found_after: Instant,
    storage_at: Instant,
    /// Not before this, what has been written is brought into the file of the database.
    checkpoint_at: Instant,
}

impl Timers {
    /// Everything is due at once.
    pub fn new() -> Self {
        let now = Instant::now();
        let (archive, geography) = (Archivist::new(now), Geographer::new(now));
        Self {
            tick_at: now,
            look_after: now,
            expire_at: now + EXPIRE,
            archive,
            geography,
            schedule_at: now,
            digest: Digest::default(),
            files_at: now,
            found_after: now,
            storage_at: now,
            checkpoint_at: now + SCHEDULE,
        }
    }

    /// How long nothing is due, deadlines excepted.
    pub fn next(&self, ctx: &mut Ctx, now: Instant) -> Duration {
        let notification = ctx.notification_due(now).unwrap_or(now + SCHEDULE).max(now + TELL_AGAIN);
        let steps =
            self.checkpoint_at.min(self.archive.next(ctx, now)).min(self.geography.next(ctx)).min(self.expire_at);
        let found = if ctx.by_hand.is_some() { self.found_after } else { self.files_at };
        let digest = if self.digest.is_under_way() { now + REST } else { self.schedule_at };
        let others = digest.min(self.schedule_at).min(self.storage_at).min(self.files_at).min(found);
        // While the daemon is away or taken, its return wakes the loop.
        let own_ends = ctx.own_bans.due().filter(|_| ctx.snapshot.online);
        let others = own_ends.map_or(others, |due| others.min(due.max(now + LOOK_AGAIN)));
        let never_ban = ctx.never_ban.next(now, time::now()).map(|due| due.max(now + LOOK_AGAIN));
        let pause = ctx.pauses.next(now, time::now()).filter(|_| ctx.snapshot.online);
        let others = pause.map_or(others, |due| others.min(due.max(now + LOOK_AGAIN)));
        let others = never_ban.map_or(others, |due| others.min(due));
        let others = ctx.refusals.due(now).map_or(others, |due| others.min(due));
        let others = protection::due(ctx).map_or(others, |due| others.min(due.max(now + LOOK_AGAIN)));
        self.look_at(ctx, now).min(steps).min(others).min(notification).saturating_duration_since(now)
    }

    /// The same while one command is served: only what that needs happens.
    pub fn next_for_one(&self, ctx: &mut Ctx, now: Instant) -> Duration {
        let look = self.look_at(ctx, now);
        let is_wanted = ctx.daemon_log.catch_up != CatchUp::Idle;
        let next = if is_wanted { look.min(self.archive.next_copy(ctx, now)) } else { look };
        next.saturating_duration_since(now)
    }

    /// When the daemon is to be looked at: at once where nothing is known, soon where it was away, else now and then.
    fn look_at(&self, ctx: &Ctx, now: Instant) -> Instant {
        let seen = &ctx.snapshot;
        let period = match (seen.stale, seen.online) {
            (true, _) => Duration::ZERO,
            (false, true) => LOOK,
            (false, false) => LOOK_WHILE_AWAY,
        };
        seen.taken.map_or(now, |taken| taken + period).max(self.look_after)
    }

    /// Whether deadlines are to be compared now.
    pub fn tick(&mut self, now: Instant) -> bool {
        let is_due = now >= self.tick_at;
        if is_due {
            self.tick_at = now + TICK;
        }
        is_due
    }

    /// Looks at the daemon where that is due, and it is not kept busy by a child of ours.
    fn look(&mut self, ctx: &mut Ctx, daemon_is_free: bool, now: Instant) {
        if now >= self.look_at(ctx, now) {
            self.look_after = now + LOOK_AGAIN;
            if daemon_is_free {
                // Whether it answers is in the snapshot.
                let _ = ctx.take_snapshot();
            }
        }
    }

    /// Does what the one command needs that is served.
    pub fn run_for_one(&mut self, ctx: &mut Ctx, daemon_is_free: bool, now: Instant) {
        self.look(ctx, daemon_is_free, now);
        let is_due = self.archive.next_copy(ctx, now) <= now;
        if ctx.daemon_log.catch_up != CatchUp::Idle && is_due {
            self.archive.copy(ctx, daemon_is_free, now);
        }
    }

    /// Does what is due: of the longer steps, one at a time. The daemon is left alone while a child of ours keeps it busy.
    pub fn run(&mut self, ctx: &mut Ctx, daemon_is_free: bool, now: Instant) {
        self.look(ctx, daemon_is_free, now);
        ctx.end_pauses(daemon_is_free, now);
        ctx.keep_ends_when_due(daemon_is_free, now);
        if now >= self.schedule_at {
            self.schedule_at = now + SCHEDULE;
            if let Err(error) = imports::start_when_due(ctx) {
                log::warn!("the schedule of imports: {}", error.cause.unwrap_or(error.detail));
            }
            self.go_on_with_digest(ctx);
        } else if self.digest.is_under_way() {
            self.go_on_with_digest(ctx);
        }
        if let Err(error) = imports::tend_when_due(ctx, now) {
            log::warn!("the set of imported addresses: {}", error.cause.unwrap_or(error.detail));
        }
        if let Err(error) = never_ban::tend_when_due(ctx, daemon_is_free, now) {
            log::warn!("the never-ban list: {}", error.cause.unwrap_or(error.detail));
        }
        if let Err(error) = protection::look_when_due(ctx, now) {
            log::warn!("a look at the protection: {}", error.cause.unwrap_or(error.detail));
        }
        if let Err(error) = notify::send_when_due(ctx, now) {
            log::warn!("notifications: {}", error.cause.unwrap_or(error.detail));
        }
        ctx.write_refusals(now);
        self.heed_files(ctx, now);
        if now >= self.storage_at {
            watch_storage(ctx);
            self.storage_at = now + if ctx.storage_fails { TRY_AGAIN } else { SCHEDULE };
        }
        if ctx.late.any() {
            // What happened before is noted before: the archive would else have a ban twice.
            return;
        }
        let done = dispatch::go_on(ctx, Acting::SYSTEM, |ctx| Ok(self.step(ctx, daemon_is_free, now)?));
        if let Err(error) = done {
            log::warn!("a step of a timer failed: {}", error.cause.unwrap_or(error.detail));
        }
    }

    /// Has a child look at the configuration files, and writes down what such looks have found.
    fn heed_files(&mut self, ctx: &mut Ctx, now: Instant) {
        if ctx.by_hand.is_some() && now >= self.found_after {
            self.found_after = now + TRY_AGAIN;
            if let Err(error) = dispatch::go_on(ctx, Acting::SYSTEM, changes::write_found) {
                log::warn!("changes by hand: {}", error.cause.unwrap_or(error.detail));
            }
        }
        if now < self.files_at {
            return;
        }
        self.files_at = now + LOOK_AT_FILES;
        let noted = ctx.changes_noted;
        match changes::look(ctx) {
            Ok(Some(task)) => {
                let keep = move |ctx: &mut Ctx, found| {
                    changes::looked(ctx, found, noted)?;
                    Ok(Response::no_content())
                };
                ctx.background.push(Job::new(task, keep));
            }
            // Something of ours is changing them.
            Ok(None) => self.files_at = now + LOOK_WHILE_AWAY,
            Err(error) => log::warn!("changes by hand: {}", error.cause.unwrap_or(error.detail)),
        }
    }

    fn go_on_with_digest(&mut self, ctx: &mut Ctx) {
        if let Err(error) = self.digest.step(ctx) {
            log::warn!("the digest: {}", error.cause.unwrap_or(error.detail));
        }
    }

    /// One of the longer steps.
    fn step(&mut self, ctx: &mut Ctx, daemon_is_free: bool, now: Instant) -> Result<(), store::Error> {
        if now >= self.checkpoint_at {
            self.checkpoint_at = now + SCHEDULE;
            if ctx.store.is_checkpoint_due()? {
                return ctx.store.checkpoint();
            }
        }
        if now >= self.archive.next(ctx, now) {
            self.archive.run(ctx, daemon_is_free, now);
        } else if now >= self.geography.next(ctx) {
            self.geography.run(ctx, now);
        } else if now >= self.expire_at {
            self.expire_at = now + EXPIRE;
            write_uses(ctx)?;
            ctx.store.expire(time::now())?;
            ctx.store.expire_places(time::now())?;
            ctx.store.expire_notifications(time::now())?;
            ctx.store.expire_events(time::now())?;
        } else {
            return Ok(());
        }
        if ctx.store.is_checkpoint_due()? {
            self.checkpoint_at = Instant::now() + REST;
        }
        Ok(())
    }
}

/// Writes when sessions and keys were last used, where one was.
fn write_uses(ctx: &mut Ctx) -> Result<(), store::Error> {
    if !ctx.uses.is_empty() {
        ctx.store.note_uses(&ctx.uses.sessions(), &ctx.uses.tokens())?;
        ctx.uses = Uses::default();
    }
    Ok(())
}

/// Finds out whether our database takes writes, when there is reason to doubt it: nothing is written merely to know.
fn watch_storage(ctx: &mut Ctx) {
    if !ctx.storage_fails && !ctx.store.looks_unwritable() {
        return;
    }
    let tried = ctx.store.try_to_write(time::now());
    match (&tried, ctx.storage_fails) {
        (Ok(()), true) => log::info!("the database takes writes again"),
        (Err(error), false) => log::warn!("{error}"),
        _ => {}
    }
    ctx.storage_fails = tried.is_err();
}
