//! Keeps up what is known of places: stores what a server outside has told, asks it about addresses that no file knows, and fetches a new
//! country database when that is due. Each only where the settings say so, and one short step at a time.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::app::{ApiError, Ctx, Job};
use crate::domain::history::Cursor;
use crate::domain::json;
use crate::domain::time;
use crate::geo::Geo;
use crate::jobs::Task;
use crate::jobs::geo_update::UpdateGeo;
use crate::server::response::Response;
use crate::services::geo;
use crate::store;

/// Rows of the archive that one step gives a country, and those it looks through for addresses to ask about.
const ROWS: usize = 64;
const LOOKED_THROUGH: usize = 256;
/// How long it rests between two steps, and while it waits for its next request.
const REST: Duration = Duration::from_millis(5);
const WAIT: Duration = Duration::from_secs(1);
/// How often it is looked whether a new country database is due; and how long storing rests after it went wrong.
const LOOK: Duration = Duration::from_secs(60);
/// How often the whole archive is looked through for addresses without a country.
const LOOK_THROUGH: Duration = Duration::from_secs(86_400);
/// The setting that says when a country database was last fetched.
const LAST_UPDATE: &str = "geo_update";
/// After the first fetch that failed, the next one waits this long, in seconds; each further one doubles it.
const BACK_OFF: i64 = 3600;
/// At most this long, in seconds.
const LONGEST_BACK_OFF: i64 = 7 * 86_400;
const DAY: i64 = 86_400;

/// When what is due.
#[derive(Debug)]
pub struct Geographer {
    /// Not before this.
    step_at: Instant,
    update_at: Instant,
    look_through_at: Instant,
    /// Where looking through the archive goes on, from the newest ban back.
    looks_from: Option<Cursor>,
}

/// What is remembered of fetching a country database.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Updates {
    /// When one came, Unix seconds; 0 = never.
    last: i64,
    /// Fetches in a row that did not come to their end.
    failures: u32,
    /// None is begun before this, Unix seconds.
    not_before: i64,
}

impl Geographer {
    /// Everything is due at once.
    pub fn new(now: Instant) -> Self {
        Self { step_at: now, update_at: now, look_through_at: now, looks_from: None }
    }

    /// When the next step is due.
    pub fn next(&self, ctx: &Ctx) -> Instant {
        let has_work = self.looks_from.is_some() || ctx.asking.has_work();
        if has_work { self.step_at.min(self.update_at) } else { self.update_at }
    }

    /// Does one step, if one is due.
    pub fn run(&mut self, ctx: &mut Ctx, now: Instant) {
        if now >= self.update_at {
            self.update_at = now + LOOK;
            if let Err(error) = update_when_due(ctx, time::now()) {
                log::warn!("{error}");
            }
            if now >= self.look_through_at {
                self.look_through_at = now + LOOK_THROUGH;
                ctx.asking.look_again();
            }
        }
        if now < self.step_at {
            return;
        }
        let step = store_some(ctx).and_then(|stored| Ok(self.look_for_some(ctx, now)? || stored));
        ask_about_some(ctx, now);
        self.step_at = now
            + match step {
                Ok(true) => now.elapsed() + REST,
                Ok(false) => WAIT,
                Err(error) => {
                    log::warn!("what was told of places waits: {error}");
                    LOOK
                }
            };
    }

    /// Looks through a part of the archive for addresses to ask about. False: there is none to look through now.
    fn look_for_some(&mut self, ctx: &mut Ctx, now: Instant) -> Result<bool, store::Error> {
        if ctx.config.geoip_online.is_none() {
            return Ok(false);
        }
        if self.looks_from.is_none() && ctx.asking.take_look_again() {
            self.looks_from = Some(Cursor { time: i64::MAX, id: i64::MAX });
        }
        let Some(from) = self.looks_from.filter(|_| !ctx.asking.has_batch()) else { return Ok(false) };
        let (addresses, next) = ctx.store.without_country(from, LOOKED_THROUGH)?;
        self.looks_from = next;
        for ip in addresses.iter().filter(|ip| Geo::is_askable(ip)) {
            ctx.asking.want(ip, now);
        }
        Ok(true)
    }
}

/// Stores some of what was told. False: there is nothing.
fn store_some(ctx: &mut Ctx) -> Result<bool, store::Error> {
    let places = ctx.asking.some_learned(ROWS);
    if places.is_empty() {
        return Ok(false);
    }
    for ip in ctx.store.learn_places(&places, ROWS, time::now())? {
        ctx.asking.forget_learned(&ip);
    }
    Ok(true)
}

/// Has a child ask about what waits, when it may.
fn ask_about_some(ctx: &mut Ctx, now: Instant) {
    if ctx.config.geoip_online.is_none() {
        return;
    }
    if let Some(addresses) = ctx.asking.batch(now) {
        let Some(task) = geo::ask_task(ctx, addresses.clone()) else { return };
        let finish = move |ctx: &mut Ctx, told| {
            ctx.asking.end_batch();
            geo::note_told(ctx, &addresses, told)?;
            Ok(Response::no_content())
        };
        ctx.background.push(Job::new(task, finish));
    }
}

/// Has a child fetch a country database, when the settings want one now and then and it is time.
fn update_when_due(ctx: &mut Ctx, now: i64) -> Result<(), store::Error> {
    let days = i64::from(ctx.config.geoip_update_days);
    let text = ctx.store.setting(LAST_UPDATE)?.unwrap_or_default();
    let known: Updates = json::read(&text).unwrap_or_default();
    if days == 0 || !is_due(&known, days, now) {
        return Ok(());
    }
    // Written before it begins: one that never ends has failed.
    let begun = Updates { failures: known.failures + 1, not_before: now + back_off(known.failures), ..known };
    ctx.store.set_settings(&[(LAST_UPDATE, &json!(begun).to_string())])?;
    let finish = move |ctx: &mut Ctx, kind| {
        ctx.geo.refresh();
        let done = Updates { last: now, ..Updates::default() };
        ctx.store.set_settings(&[(LAST_UPDATE, &json!(done).to_string())])?;
        log::info!("a new country database has come: {kind}");
        Ok::<_, ApiError>(Response::no_content())
    };
    ctx.background.push(Job::new(Task::UpdateGeo(UpdateGeo::new(&ctx.config)), finish));
    Ok(())
}

/// Whether the last one is too old and no failure is too young. A time far in the future was written by a clock that went wrong.
fn is_due(known: &Updates, days: i64, now: i64) -> bool {
    let is_resting = known.not_before > now && known.not_before <= now + LONGEST_BACK_OFF;
    let is_believable = known.last > 0 && known.last <= now + DAY;
    !is_resting && (!is_believable || now >= known.last + days * DAY)
}

fn back_off(failures: u32) -> i64 {
    (BACK_OFF << failures.min(10)).min(LONGEST_BACK_OFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_320_308;

    #[test]
    fn a_country_database_is_fetched_when_it_is_time() {
        let never = Updates::default();
        assert!(is_due(&never, 30, NOW));
        let done = Updates { last: NOW, ..Updates::default() };
        assert!(!is_due(&done, 30, NOW + 30 * DAY - 1) && is_due(&done, 30, NOW + 30 * DAY));
        // The clock was ahead when it came: by hours, or by a year.
        assert!(!is_due(&Updates { last: NOW + DAY, ..Updates::default() }, 30, NOW));
        assert!(is_due(&Updates { last: NOW + 365 * DAY, ..Updates::default() }, 30, NOW));
        let failed = Updates { last: NOW - 40 * DAY, failures: 1, not_before: NOW + BACK_OFF };
        assert!(!is_due(&failed, 30, NOW) && !is_due(&failed, 30, NOW + BACK_OFF - 1));
        assert!(is_due(&failed, 30, NOW + BACK_OFF));
        // No clock set back makes it rest for longer than any failure does.
        assert!(is_due(&failed, 30, NOW - 9 * DAY));
    }

    #[test]
    fn failures_are_followed_by_ever_longer_rests() {
        assert_eq!([0, 1, 2].map(back_off), [3600, 7200, 14_400]);
        assert_eq!([8, 40, u32::MAX].map(back_off), [LONGEST_BACK_OFF; 3]);
    }
}
