//! Imports of blocklists: started by a client or by the schedule, watched, logged. One at a time.

use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::apply;
use crate::app::code::Code;
use crate::app::imports::Running;
use crate::app::{ApiError, Ctx, Job};
use crate::apply::Scope;
use crate::blocklist::schedule::Schedule;
use crate::domain::address::IpOrNet;
use crate::domain::audit::{Entry, What};
use crate::domain::client::Client;
use crate::domain::json;
use crate::domain::notification::Event;
use crate::domain::time;
use crate::fetch::Validators;
use crate::jobs::Task;
use crate::jobs::import::tend::{Tend, Tended};
use crate::jobs::import::{self, Outcome, SourceOutcome, read::Door};
use crate::machine;
use crate::server::response::Response;
use crate::store::blocklists::{Fetched, LogEntry, Source, State};
use crate::zones;

/// After the first failure that may pass, a schedule leaves a server alone for this long, in seconds; each further one doubles it.
const BACK_OFF: i64 = 600;
/// At most this long, in seconds.
const LONGEST_BACK_OFF: i64 = 86_400;
/// An import that did not end is completed not before this, in seconds: what ended it may be the import itself.
const COMPLETE_AFTER: i64 = 600;

/// How many addresses of a server are shown.
const MOST_ADDRESSES: usize = 8;
/// How often the set of imported addresses is looked after, and what went wrong is tried again.
const TEND: Duration = Duration::from_secs(600);
/// The same where fail2ban bans, and nothing has changed.
const NOTHING_TO_DO: Duration = Duration::from_secs(86_400);
/// How long a client waits for bans to be lifted by fail2ban, in seconds: about a thousand.
const LIFTS: u64 = 20;
/// How long they are lifted at a time where nobody waits, in seconds.
const LIFTS_BEHIND: u64 = 60;

/// An import of all enabled sources. `client` is who asks for it; the schedule leaves servers alone that wish it.
pub fn begin(ctx: &mut Ctx, client: Option<Client>) -> Result<Job, ApiError> {
    if ctx.import.is_some() {
        return Err(ApiError::new(
            Code::ImportRunning,
            "An import is already running. GET /api/v1/blocklists/import shows its progress.",
        ));
    }
    let now = time::now();
    let sources: Vec<Source> = ctx.store.blocklist_sources()?.into_iter().filter(|source| source.enabled).collect();
    let ban_seconds = ctx.config.blocklist_ban_seconds;
    // Bans are to last until the next run, and where runs are rarer than bans last, for half of their time.
    let half = now + i64::from(ban_seconds) / 2;
    let horizon = schedule(ctx)?.next_after(now, &zone(ctx)).map_or(now, |next| next.min(half));
    let task = Task::Import(Box::new(import::Import {
        apply: apply::apply_task(ctx, Scope::Jails(Vec::new()))?,
        sources: sources
            .iter()
            .map(|source| task_source(source, client.is_none() && source.state.not_before > now))
            .collect(),
        set: ctx.set_place(),
        door: door(ctx),
        ban_seconds,
        horizon,
        protected: protected(ctx, client)?,
    }));
    ctx.store.begin_import(now)?;
    ctx.import =
        Some(Running { started_at: now, progress: Value::Null, bans_before: ctx.snapshot.bans, tend_behind: false });
    Ok(Job::new(task, move |ctx, outcome| finish(ctx, &sources, outcome)).detached())
}

fn task_source(source: &Source, rests: bool) -> import::Source {
    let state = source.state.clone();
    import::Source {
        id: source.id,
        url: source.url.clone(),
        unban_removed: source.unban_removed,
        known: Validators { etag: state.etag, last_modified: state.last_modified },
        fingerprint: state.fingerprint,
        bans_until: state.bans_until,
        rests,
    }
}

/// What lists may be fetched from.
pub fn door(ctx: &Ctx) -> Door {
    Door { allow_private: ctx.config.allow_private_fetch, authorities: ctx.config.blocklist_ca_file.clone() }
}

/// What is never banned: who asks and who is logged in, this machine, its gateways, the proxies in front.
fn protected(ctx: &Ctx, client: Option<Client>) -> Result<Vec<IpOrNet>, ApiError> {
    let mut all: Vec<IpOrNet> = client.and_then(Client::address).map(IpOrNet::from).into_iter().collect();
    all.extend(ctx.store.session_clients()?.iter().filter_map(|text| text.parse::<IpOrNet>().ok()));
    all.extend(machine::own_addresses().into_iter().chain(machine::gateways()).map(IpOrNet::from));
    all.extend(&ctx.config.trusted_proxies);
    all.extend(ctx.never_ban.kept_in(&[]).into_iter().map(|(net, _)| net));
    Ok(all)
}

/// No import is under way any more.
fn end(ctx: &mut Ctx) -> Option<Running> {
    let running = ctx.import.take();
    if running.as_ref().is_some_and(|running| running.tend_behind) {
        ctx.tending.hurry();
    }
    running
}

/// Writes what became of an import, and tells it.
fn finish(ctx: &mut Ctx, sources: &[Source], outcome: Value) -> Result<Response, ApiError> {
    end(ctx);
    let outcome: Outcome = json::from_tree(outcome).map_err(ApiError::internal)?;
    let now = time::now();
    let rows: Vec<(LogEntry, Option<State>)> = outcome
        .sources
        .iter()
        .map(|done| {
            let before = sources.iter().find(|source| source.id == done.id);
            (log_entry(done, now), before.map(|source| new_state(done, &source.state, now)))
        })
        .collect();
    let errors_count = outcome.sources.iter().filter(|done| done.error.is_some()).count();
    let total = |count: fn(&SourceOutcome) -> u64| outcome.sources.iter().map(count).sum::<u64>();
    let entry = Entry::new(What::Import, "").saying(format!(
        "{} lists: {} banned, {} lifted, {errors_count} with errors.",
        outcome.sources.len(),
        total(|done| done.imported),
        total(|done| done.unbanned)
    ));
    ctx.noted(|ctx| Ok((ctx.store.finish_import(&rows, Some(errors_count > 0))?, entry)))?;
    if let Some(applied) = &outcome.loaded {
        apply::remember(ctx, applied, None)?;
    }
    ctx.snapshot.stale = true;
    let body = json!({
        "results": outcome.sources.iter().map(result).collect::<Vec<_>>(),
        "total_imported": total(|done| done.imported),
        "total_skipped": total(skipped),
        "errors_count": errors_count,
    });
    for done in &outcome.sources {
        if let Some(error) = &done.error {
            let name = sources.iter().find(|source| source.id == done.id).map_or("", |source| &source.name);
            ctx.tell(Event::ImportFailed, &format!("The blocklist \"{name}\" could not be imported: {error}."));
        }
    }
    log::info!(
        "import of {} blocklists: {} banned, {} lifted, {errors_count} with errors",
        outcome.sources.len(),
        total(|done| done.imported),
        total(|done| done.unbanned)
    );
    Ok(Response::json(200, &body))
}

fn skipped(done: &SourceOutcome) -> u64 {
    done.skipped.values().sum()
}

/// `ImportSourceResult` of the contract.
fn result(done: &SourceOutcome) -> Value {
    json!({
        "source_id": done.id,
        "source_url": done.url,
        "ips_imported": done.imported,
        "ips_skipped": skipped(done),
        "error": done.error,
        "unchanged": done.unchanged,
        "ips_unbanned": done.unbanned,
        "skipped": done.skipped,
        "lines": done.lines,
        "named": done.named,
        "networks_expanded": done.expanded.0,
        "addresses_from_networks": done.expanded.1,
        "note": done.note,
    })
}

fn log_entry(done: &SourceOutcome, at: i64) -> LogEntry {
    LogEntry {
        id: 0,
        source_id: Some(done.id),
        source_url: done.url.clone(),
        at,
        imported: done.imported,
        skipped: skipped(done),
        error: done.error.clone(),
        details: Some(json!({ "skipped": done.skipped, "lines": done.lines, "note": done.note }).to_string()),
    }
}

fn new_state(done: &SourceOutcome, before: &State, now: i64) -> State {
    let (failures, not_before) = match done.passing {
        None => (0, 0),
        Some(wish) => {
            let own = BACK_OFF << before.failures.clamp(0, 10);
            let wait = own.max(i64::try_from(wish).unwrap_or(i64::MAX)).min(LONGEST_BACK_OFF);
            (before.failures.saturating_add(1), now + wait)
        }
    };
    State {
        etag: done.known.etag.clone(),
        last_modified: done.known.last_modified.clone(),
        fingerprint: done.fingerprint.clone(),
        bans_until: done.bans_until,
        failures,
        not_before,
        fetched: match &done.fetched {
            Some(place) => Some(Fetched {
                url: place.url.clone(),
                addresses: place.addresses.iter().take(MOST_ADDRESSES).map(ToString::to_string).collect(),
                at: now,
            }),
            None => before.fetched.clone(),
        },
    }
}

/// Looks after what is imported, now and then where a set of our own holds it, for others may empty the packet filter, and when a change wants
/// it. At the start the set is put in force as it is kept, and what another mode has left is taken away.
pub fn tend_when_due(ctx: &mut Ctx, now: Instant) -> Result<(), ApiError> {
    let first = ctx.tending.due.is_none();
    if ctx.tending.due.is_some_and(|due| now < due) || keeps_daemon_busy(ctx) {
        return Ok(());
    }
    ctx.tending.due = Some(now + TEND);
    let place = ctx.set_place();
    if !place.has_any() && !place.has_lists() {
        return Ok(());
    }
    let task = Tend { anew: first, seconds: LIFTS_BEHIND, ..tend_task(ctx, None)? };
    ctx.background.push(Job::new(Task::Tend(task), |ctx, done| {
        tended(ctx, json::from_tree(done).map_err(ApiError::internal)?);
        ctx.snapshot.stale = true;
        Ok(Response::no_content())
    }));
    Ok(())
}

/// What looks after imported addresses, `without` a source that is about to go.
pub fn tend_task(ctx: &Ctx, without: Option<i64>) -> Result<Tend, ApiError> {
    let sources = ctx.store.blocklist_sources()?.into_iter().map(|source| source.id);
    Ok(Tend {
        place: apply::installation(ctx),
        set: ctx.set_place(),
        sources: sources.filter(|id| Some(*id) != without).collect(),
        newest: ctx.store.newest_blocklist_source()?,
        anew: false,
        never: protected(ctx, None)?,
        seconds: LIFTS,
    })
}

/// Remembers how looking after imported addresses went, and when it is done again; gives what is to be said of it.
pub fn tended(ctx: &mut Ctx, done: Tended) -> Option<String> {
    if let Some(problem) = done.problem.as_ref().filter(|_| done.problem != ctx.tending.problem) {
        log::warn!("imported addresses: {problem}");
    }
    let said = match (&done.problem, done.left) {
        (Some(problem), _) => Some(format!("Imported addresses are not yet banned as they should be: {problem}.")),
        (None, 0) => None,
        (None, left) => Some(format!("{left} imported addresses are still being unbanned.")),
    };
    if let Some(running) = &mut ctx.import {
        running.tend_behind = true;
    }
    let wait = match (&said, ctx.config.blocklist_way) {
        _ if done.left > 0 => Duration::from_secs(1),
        (None, None) => NOTHING_TO_DO,
        _ => TEND,
    };
    ctx.tending.due = Some(Instant::now() + wait);
    ctx.tending.problem = done.problem;
    said
}

/// The process of the import told how far it is.
pub fn note_progress(ctx: &mut Ctx, progress: Value) {
    let is_daemons = keeps_daemon_busy(ctx);
    if let Some(running) = &mut ctx.import {
        // The daemon is not asked meanwhile.
        if is_daemons {
            ctx.snapshot.bans = running.bans_before + progress["banned"].as_u64().unwrap_or(0);
        }
        running.progress = progress;
    }
}

/// Whether an import has the daemon ban: then the daemon answers, though later than the loop may wait.
pub fn keeps_daemon_busy(ctx: &Ctx) -> bool {
    ctx.import.is_some() && ctx.config.blocklist_way.is_none()
}

/// There was no place for the import.
pub fn not_started(ctx: &mut Ctx) {
    ctx.import = None;
}

/// The import did not come to its end: a row of the log says so. `again`: it is completed as soon as that can be.
pub fn ended_early(ctx: &mut Ctx, why: &str, again: bool) {
    let Some(running) = end(ctx) else { return };
    let progress = &running.progress;
    let entry = LogEntry {
        id: 0,
        source_id: progress["source_id"].as_i64(),
        source_url: progress["source_url"].as_str().unwrap_or_default().to_owned(),
        at: time::now(),
        imported: progress["banned"].as_u64().unwrap_or(0),
        skipped: 0,
        error: Some(why.to_owned()),
        details: None,
    };
    if !again {
        ctx.tell(Event::ImportFailed, &format!("The import of blocklists did not come to its end: {why}."));
    }
    if let Err(error) = ctx.store.finish_import(&[(entry, None)], (!again).then_some(true)) {
        log::warn!("{error}");
    }
}

/// The schedule; the default where none was set.
pub fn schedule(ctx: &Ctx) -> Result<Schedule, ApiError> {
    let stored = ctx.store.blocklist_schedule()?;
    Ok(stored.and_then(|text| json::read(&text).ok()).unwrap_or_default())
}

fn zone(ctx: &Ctx) -> TimeZone {
    zones::named(ctx.timezone()).unwrap_or(TimeZone::UTC)
}

/// When the next scheduled run is. One that was missed is in the past.
pub fn next_run(ctx: &Ctx, now: i64) -> Result<Option<i64>, ApiError> {
    let runs = ctx.store.blocklist_runs()?;
    let schedule = schedule(ctx)?;
    if let (true, Some(last), None) = (schedule.enabled, runs.last, runs.last_errors)
        && ctx.import.is_none()
    {
        // It did not come to its end: this program was ended meanwhile.
        return Ok(Some(last.min(now) + COMPLETE_AFTER));
    }
    // A time in the future was written before the clock was set back.
    let base = runs.last.max(runs.since).map_or(now, |base| base.min(now));
    Ok(schedule.next_after(base, &zone(ctx)))
}

/// Starts an import when it is due. One that was missed, however often, is made up for once.
pub fn start_when_due(ctx: &mut Ctx) -> Result<(), ApiError> {
    if ctx.import.is_some() || ctx.config.read_only || !ctx.is_set_up() {
        return Ok(());
    }
    let now = time::now();
    let seed = ctx.host_name.bytes().fold(7_u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let is_due = next_run(ctx, now)?.is_some_and(|next| next + Schedule::jitter(seed) <= now);
    if is_due && ctx.store.blocklist_sources()?.iter().any(|source| source.enabled) {
        let job = begin(ctx, None)?;
        ctx.background.push(job);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_in_trouble_is_left_alone_ever_longer() {
        let failed = |passing| SourceOutcome {
            id: 1,
            url: "u".into(),
            imported: 0,
            unbanned: 0,
            skipped: Default::default(),
            lines: None,
            named: 0,
            expanded: (0, 0),
            note: None,
            error: Some("e".into()),
            passing,
            unchanged: false,
            known: Validators::default(),
            fingerprint: None,
            bans_until: 0,
            fetched: None,
        };
        let mut state = State::default();
        let mut waits = Vec::new();
        for _ in 0..12 {
            state = new_state(&failed(Some(0)), &state, 1000);
            waits.push(state.not_before - 1000);
        }
        assert_eq!(waits[..4], [600, 1200, 2400, 4800]);
        assert_eq!(waits[11], LONGEST_BACK_OFF);
        // What the server wishes counts where it is longer, up to a day; any other end of an import forgets it all.
        assert_eq!(new_state(&failed(Some(7200)), &State::default(), 1000).not_before, 8200);
        assert_eq!(new_state(&failed(Some(u64::MAX)), &State::default(), 1000).not_before, 1000 + LONGEST_BACK_OFF);
        let healed = new_state(&failed(None), &state, 1000);
        assert_eq!((healed.failures, healed.not_before), (0, 0));
    }
}
