//! What happens by itself, in bounded steps: a look at the daemon, and the removal of what has expired.

use std::time::{Duration, Instant};

use crate::api::{Ctx, dispatch};
use crate::domain::time;

/// How often a daemon that answers is looked at.
const LOOK: Duration = Duration::from_secs(30);
/// How often one that does not is looked for.
const LOOK_WHILE_AWAY: Duration = Duration::from_secs(1);
/// How often expired rows are removed.
const EXPIRE: Duration = Duration::from_secs(600);
/// How often deadlines are compared with the clock.
const TICK: Duration = Duration::from_millis(250);

/// When what is due.
#[derive(Debug)]
pub struct Timers {
    tick_at: Instant,
    look_at: Instant,
    expire_at: Instant,
}

impl Timers {
    /// Everything is due at once.
    pub fn new() -> Self {
        let now = Instant::now();
        Self { tick_at: now, look_at: now, expire_at: now + EXPIRE }
    }

    /// How long nothing is due, deadlines excepted.
    pub fn next(&self, now: Instant) -> Duration {
        self.look_at.min(self.expire_at).saturating_duration_since(now)
    }

    /// Whether deadlines are to be compared now.
    pub fn tick(&mut self, now: Instant) -> bool {
        let is_due = now >= self.tick_at;
        if is_due {
            self.tick_at = now + TICK;
        }
        is_due
    }

    /// What is known of the daemon is out of date.
    pub fn look_at_daemon_now(&mut self) {
        self.look_at = Instant::now();
    }

    /// Does what is due. The daemon is left alone while a child of ours keeps it busy.
    pub fn run(&mut self, ctx: &mut Ctx, daemon_is_free: bool, now: Instant) {
        if ctx.snapshot.taken.is_none() {
            // Somebody else has seen it come or go.
            self.look_at = self.look_at.min(now);
        }
        if now >= self.look_at {
            self.look_at = now + LOOK_WHILE_AWAY;
            if daemon_is_free {
                let step = dispatch::guarded(|| Ok(ctx.take_snapshot().is_ok()));
                if step == Ok(true) {
                    self.look_at = now + LOOK;
                }
                ctx.scheduler_runs = step.is_ok();
            }
        }
        if now >= self.expire_at {
            self.expire_at = now + EXPIRE;
            if let Err(error) = ctx.store.expire(time::now()) {
                log::warn!("{error}");
            }
        }
    }
}
