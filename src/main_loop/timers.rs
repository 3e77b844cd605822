//! What happens by itself, in bounded steps: a look at the daemon, the archive, and the removal of what has expired.

use std::time::{Duration, Instant};

use super::archive::Archivist;
use crate::api::{Ctx, dispatch, imports};
use crate::domain::time;

/// How often a daemon that answers is looked at.
const LOOK: Duration = Duration::from_secs(30);
/// How often one that does not is looked for.
const LOOK_WHILE_AWAY: Duration = Duration::from_secs(1);
/// How long a look that is due waits at least for the next one.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How often expired rows are removed.
const EXPIRE: Duration = Duration::from_secs(600);
/// How often the schedule of imports is compared with the clock.
const SCHEDULE: Duration = Duration::from_secs(20);
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
    schedule_at: Instant,
}

impl Timers {
    /// Everything is due at once.
    pub fn new() -> Self {
        let now = Instant::now();
        let archive = Archivist::new(now);
        Self { tick_at: now, look_after: now, expire_at: now + EXPIRE, archive, schedule_at: now }
    }

    /// How long nothing is due, deadlines excepted.
    pub fn next(&self, ctx: &Ctx, now: Instant) -> Duration {
        let others = self.expire_at.min(self.archive.next()).min(self.schedule_at);
        self.look_at(ctx, now).min(others).saturating_duration_since(now)
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

    /// Does what is due. The daemon is left alone while a child of ours keeps it busy.
    pub fn run(&mut self, ctx: &mut Ctx, daemon_is_free: bool, now: Instant) {
        if now >= self.look_at(ctx, now) {
            self.look_after = now + LOOK_AGAIN;
            if daemon_is_free {
                let step = dispatch::guarded(|| Ok(ctx.take_snapshot().is_ok()));
                ctx.scheduler_runs = step.is_ok() && self.archive.is_stored;
            }
        }
        if now >= self.schedule_at {
            self.schedule_at = now + SCHEDULE;
            if let Err(error) = dispatch::guarded(|| imports::start_when_due(ctx)) {
                log::warn!("the schedule of imports: {}", error.cause.unwrap_or(error.detail));
            }
        }
        if let Err(error) = dispatch::guarded(|| imports::tend_when_due(ctx, now)) {
            log::warn!("the set of imported addresses: {}", error.cause.unwrap_or(error.detail));
        }
        let archive = &mut self.archive;
        let step = dispatch::guarded(|| {
            archive.run(ctx, daemon_is_free, now);
            Ok(())
        });
        if step.is_err() {
            self.archive = Archivist::new(now + EXPIRE);
        }
        if now >= self.expire_at {
            self.expire_at = now + EXPIRE;
            if let Err(error) = ctx.store.expire(time::now()) {
                log::warn!("{error}");
            }
        }
    }
}
