//! Imports of blocklists: started, watched, planned, looked up in their log.

use serde_json::{Value, json};

use crate::app::listed::Listed;
use crate::app::{ApiError, Ctx, Job, Outcome, Request, Step};
use crate::blocklist::schedule::{Frequency, Schedule};
use crate::domain::audit::{Entry, What};
use crate::domain::json;
use crate::domain::page::{Page, Position, Rows};
use crate::domain::time::{self, rfc3339};
use crate::server::response::Response;
use crate::services::imports::{begin, next_run, schedule};
use crate::store::blocklists::LogEntry;

/// `POST /api/v1/blocklists/import`
pub fn import(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    begin(ctx, Some(request.admitted.client))
}

/// `GET /api/v1/blocklists/import`
pub fn progress(ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let (progress, started_at) = match &ctx.import {
        Some(running) => (&running.progress, Some(rfc3339(running.started_at))),
        None => (&Value::Null, None),
    };
    let body = json!({
        "running": started_at.is_some(),
        "source_url": progress["source_url"],
        "bytes": number(&progress["bytes"]),
        "lines": number(&progress["lines"]),
        "banned": number(&progress["banned"]),
        "started_at": started_at,
        "mode": mode(ctx),
        "problem": ctx.tending.problem,
    });
    Ok(Response::json(200, &body))
}

/// How imported addresses are banned, as the setting names it.
fn mode(ctx: &Ctx) -> Value {
    ctx.config.blocklist_way.map_or_else(|| json!("fail2ban"), |way| json!(way))
}

/// `GET /api/v1/blocklists/schedule`
pub fn schedule_info(ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    let runs = ctx.store.blocklist_runs()?;
    let next = next_run(ctx, time::now())?;
    let body = json!({
        "config": schedule(ctx)?,
        "next_run_at": next.map(rfc3339),
        "last_run_at": runs.last.map(rfc3339),
        "last_run_errors": runs.last_errors,
    });
    Ok(Response::json(200, &body))
}

/// `PUT /api/v1/blocklists/schedule`: what is not given stays as it is.
pub fn change_schedule(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let mut fields = request.fields()?;
    let old = schedule(ctx)?;
    // The times that go with what was read.
    for name in ["next_run_at", "last_run_at", "last_run_errors"] {
        fields.optional::<Value>(name);
    }
    let mut fields = fields.within("config");
    let frequency: Option<Frequency> = fields.required("frequency");
    let enabled = fields.optional("enabled").unwrap_or(old.enabled);
    let mut number = |name: &str, least: u32, most: u32, old: u32| {
        let value = fields.optional(name).unwrap_or(old);
        let rule = format!("A number from {least} to {most} is expected.");
        fields.check((least..=most).contains(&value), name, "range", &rule);
        value
    };
    let interval_hours = number("interval_hours", 1, 168, old.interval_hours);
    let hour = number("hour", 0, 23, old.hour);
    let minute = number("minute", 0, 59, old.minute);
    let day_of_week = number("day_of_week", 0, 6, old.day_of_week);
    fields.finish()?;
    let frequency = frequency.unwrap_or(old.frequency);
    let schedule = Schedule { enabled, frequency, interval_hours, hour, minute, day_of_week };
    if schedule == old {
        return schedule_info(ctx, request);
    }
    let entry = Entry::new(What::BlocklistChanged, "schedule").differing(&json!(old), &json!(schedule), &[]);
    ctx.noted(|ctx| Ok((ctx.store.set_blocklist_schedule(&json!(schedule).to_string(), time::now())?, entry)))?;
    schedule_info(ctx, request)
}

/// What the log can be sorted by.
const FIELDS: &[&str] = &["id", "timestamp", "source_id", "ips_imported", "ips_skipped"];
/// Entries that are looked at in one step.
const LOOKED_AT: u32 = 1000;

/// `GET /api/v1/blocklists/log`
pub fn log(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let query = request.query();
    let page = query.page()?;
    let source: Option<i64> = query.get("source_id")?;
    let place: Option<Position<i64>> = query.get("cursor")?;
    let listed = Listed::read(query, FIELDS)?;
    if !listed.is_plain() {
        if place.is_some() {
            let detail = "cursor: a list that is sorted or searched is given by page and page_size.";
            return Err(ApiError::invalid_field("cursor", detail));
        }
        return Ok(Outcome::Steps(Box::new(found_in_log(source, listed, page))));
    }
    let (before, skip) = place.map_or((page.offset(), page.offset()), |place| (place.rows, 0));
    // One more than the page holds says whether more follow.
    let behind = place.map(|place| place.behind);
    let (mut entries, total) = ctx.store.blocklist_log(source, behind, skip, page.size() + 1)?;
    let has_more = entries.len() > page.size() as usize;
    entries.truncate(page.size() as usize);
    let last = entries.last().filter(|_| has_more).map(|entry| entry.id);
    let rows = Rows { before, count: entries.len(), last };
    let items: Vec<Value> = entries.iter().map(logged).collect();
    let body = json!({ "items": items, "pagination": page.describe_rows(total, rows) });
    Ok(Outcome::Answer(Response::json(200, &body)))
}

/// `ImportLogEntry` of the contract.
fn logged(entry: &LogEntry) -> Value {
    let details: Value = entry.details.as_deref().and_then(|text| json::read(text).ok()).unwrap_or_default();
    json!({
        "id": entry.id,
        "source_id": entry.source_id,
        "source_url": entry.source_url,
        "timestamp": rfc3339(entry.at),
        "ips_imported": entry.imported,
        "ips_skipped": entry.skipped,
        "errors": entry.error,
        "skipped": details["skipped"],
        "lines": details["lines"],
        "note": details["note"],
    })
}

/// A page of what is found in the log, in another order than that of time perhaps: gone through some at a time, of which numbers are kept.
fn found_in_log(source: Option<i64>, listed: Listed, page: Page) -> impl FnMut(&mut Ctx) -> Result<Step, ApiError> {
    let (mut behind, mut found): (_, Vec<(i64, i64)>) = (None, Vec::new());
    move |ctx| {
        let some = ctx.store.blocklist_log_behind(source, behind, LOOKED_AT)?;
        for entry in &some {
            let item = logged(entry);
            if listed.has(&item) {
                let key = match listed.field() {
                    Some("source_id") => entry.source_id.unwrap_or(0),
                    Some("ips_imported") => entry.imported as i64,
                    Some("ips_skipped") => entry.skipped as i64,
                    _ => entry.id,
                };
                found.push((key, entry.id));
            }
        }
        behind = some.last().map(|entry| entry.id);
        if some.len() == LOOKED_AT as usize {
            return Ok(Step::More);
        }
        found.sort_unstable();
        if listed.falls() {
            found.reverse();
        }
        let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
        let mut items = Vec::new();
        for (_, id) in found.iter().skip(skip).take(page.size() as usize) {
            items.extend(ctx.store.blocklist_log_entry(*id)?.as_ref().map(logged));
        }
        let body = json!({ "items": items, "pagination": page.describe(found.len() as u64) });
        Ok(Step::Done(Response::json(200, &body)))
    }
}
