//! The dashboard: how the daemon is, and the bans of a range as a list, by country, by jail and over time. All four take the same
//! range, so that their totals agree.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::history;
use crate::app::{ApiError, Ctx, Job, Outcome, Request, Step};
use crate::domain::history::{Country, Cursor, Filter, Origin, PastBan, Question, Range, Slice, Source, Window};
use crate::domain::time::{Moment, now, rfc3339};
use crate::geo::countries;
use crate::jobs::Task;
use crate::jobs::history::{push_ban, push_map};
use crate::server::response::Response;
use crate::store::archive::{Asked, Counting, Of};

/// How old a look at the daemon may be that is shown, where it can be looked at now.
const FRESH: Duration = Duration::from_secs(1);

/// `GET /api/v1/dashboard/status`: what is seen of the daemon now, or was when it was last free to answer.
pub fn status(ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    Ok(Response::json(200, &json!({ "status": status_now(ctx)? })))
}

/// `DashboardStatus` of the contract.
fn status_now(ctx: &mut Ctx) -> Result<Value, ApiError> {
    let is_old = ctx.snapshot.stale || ctx.snapshot.is_older(FRESH);
    if ctx.snapshot.online && is_old && !ctx.daemon_is_taken {
        ctx.look_again();
    }
    let seen = &ctx.snapshot;
    if !seen.online {
        return Err(ApiError::away(ctx.away.as_ref()));
    }
    Ok(json!({
        "online": seen.online,
        "version": seen.version,
        "active_jails": seen.jails,
        "total_bans": seen.bans,
        "total_failures": seen.failures,
        "restoring": ctx.restoring.of_all(),
        "as_of": rfc3339(now() - seen.taken.map_or(0, |taken| taken.elapsed().as_secs() as i64)),
    }))
}

/// Seconds of a day.
const DAY: i64 = 86_400;
/// Bans beside the map where no country is asked for.
const MAP_BANS: u32 = 200;

/// What the dashboards have in common: source, time and origin. Without a time it is the last day, or the day before `to`; behind now
/// there is nothing to show.
fn asked(request: &Request) -> Result<(Source, Window, Filter), ApiError> {
    let query = request.query();
    let today = Range::Day.window(now());
    let window = match history::window(query)? {
        None => today,
        Some(window) if history::optional::<Range>(query, "range")?.is_some() => window,
        Some(window) => {
            let end = window.end.min(today.end);
            let is_begun = history::optional::<Moment>(query, "from")?.is_some();
            let start = if is_begun { window.start.min(end) } else { (end - DAY).max(0) };
            Window::between(start, end)
        }
    };
    let origin = history::optional(query, "origin")?;
    let filter = Filter { window: Some(window), origin, ..Filter::default() };
    Ok((history::source(query)?, window, filter))
}

fn push(ctx: &Ctx, body: &mut Vec<u8>, ban: PastBan) {
    let geo = history::geo_of(ctx, &ban);
    push_ban(body, ban, geo);
}

/// `GET /api/v1/dashboard/bans`
pub fn bans(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let (source, _, filter) = asked(request)?;
    let part = history::part(request.query())?;
    let reply = move |ctx: &Ctx, answer| history::page_of(ctx, part, answer, push);
    history::ask(ctx, source, filter, Question::List(part.slice), Box::new(reply))
}

/// `GET /api/v1/dashboard/bans/by-country`: the newest bans beside the map, or every ban of one country.
pub fn by_country(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let (source, window, filter) = asked(request)?;
    let slice = Slice { after: None, skip: 0, limit: MAP_BANS };
    match (history::optional(request.query(), "country_code")?, source) {
        (Some(country), Source::Archive) => Ok(Outcome::Steps(Box::new(of_country(country, window, filter.origin)))),
        (Some(country), Source::Fail2ban) => {
            let mut ask = history::ask_fail2ban(ctx, filter, Question::ByCountry(slice))?;
            ask.country = Some(country);
            ask.packed = request.admitted.accepts.gzip;
            let packed = ask.packed;
            Ok(Outcome::Job(Box::new(Job::stream(Task::AskHistory(ask), packed))))
        }
        (None, _) => {
            let reply = |ctx: &Ctx, answer: history::Answer| {
                let mut body = Vec::new();
                push_map(&mut body, &answer.by_country, answer.total);
                history::push_all(ctx, &mut body, answer.listing.bans, push);
                body.extend_from_slice(b"]}");
                Response::json_bytes(200, body)
            };
            history::ask(ctx, source, filter, Question::ByCountry(slice), Box::new(reply))
        }
    }
}

/// Every ban of a country in the archive, a few at a time.
fn of_country(
    country: Country,
    window: Window,
    origin: Option<Origin>,
) -> impl FnMut(&mut Ctx) -> Result<Step, ApiError> {
    let mut after: Option<Cursor> = None;
    let (mut is_begun, mut is_first) = (false, true);
    let mut counting = Counting::new(Of::Countries, window, origin);
    move |ctx| {
        let mut body = Vec::new();
        if !is_begun {
            if !ctx.store.count_some(&mut counting, now())? {
                return Ok(Step::More);
            }
            let (counts, total) = counting.countries();
            push_map(&mut body, &counts, total);
        }
        let (bans, next) = ctx.store.bans_of_country(country, window, origin, after)?;
        if !bans.is_empty() && !std::mem::take(&mut is_first) {
            body.push(b',');
        }
        history::push_all(ctx, &mut body, bans, push);
        (is_begun, after) = (true, next);
        if next.is_some() {
            return Ok(Step::Part(body));
        }
        body.extend_from_slice(b"]}");
        Ok(Step::Done(Response::json_bytes(200, body)))
    }
}

/// `GET /api/v1/dashboard/bans/trend`
pub fn trend(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let (source, window, filter) = asked(request)?;
    let reply = move |_: &Ctx, answer: history::Answer| Response::json(200, &shown_trend(window, answer.by_bucket));
    history::ask(ctx, source, filter, Question::Trend, Box::new(reply))
}

/// `BanTrendResponse` of the contract.
fn shown_trend(window: Window, by_bucket: Vec<(i64, u64)>) -> Value {
    let counts: BTreeMap<i64, u64> = by_bucket.into_iter().collect();
    let bucket = |start| json!({ "timestamp": rfc3339(start), "count": counts.get(&start).copied().unwrap_or(0) });
    let buckets: Vec<_> = window.starts().map(bucket).collect();
    json!({ "buckets": buckets, "bucket_size": window.bucket_name() })
}

/// `GET /api/v1/dashboard/bans/by-jail`
pub fn by_jail(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let (source, _, filter) = asked(request)?;
    let reply = |_: &Ctx, answer: history::Answer| {
        Response::json(200, &json!({ "jails": shown_jails(&answer.by_jail), "total": answer.total }))
    };
    history::ask(ctx, source, filter, Question::ByJail, Box::new(reply))
}

fn shown_jails(by_jail: &[(String, u64)]) -> Vec<Value> {
    by_jail.iter().map(|(jail, count)| json!({ "jail": jail, "count": count })).collect()
}

/// Bans that the summary shows.
const LATEST: u32 = 10;

/// `GET /api/v1/dashboard/summary`: all that a first page shows, from the archive and from what is seen of the daemon. A daemon that is
/// away keeps nobody from the rest.
pub fn summary(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let (_, window, filter) = asked(request)?;
    let (status, problem) = match status_now(ctx) {
        Ok(status) => (status, None),
        Err(error) => (Value::Null, Some(error.detail)),
    };
    let origin = filter.origin;
    let count = |of, window| Counting::new(of, window, origin);
    let mut parts = [
        count(Of::Jails, window),
        count(Of::Countries, window),
        count(Of::Buckets, window),
        count(Of::Jails, window.before()),
    ];
    let mut latest = Asked::new(filter, Question::List(Slice { after: None, skip: 0, limit: LATEST }), now());
    Ok(Outcome::Steps(Box::new(move |ctx| {
        for part in &mut parts {
            if !ctx.store.count_some(part, now())? {
                return Ok(Step::More);
            }
        }
        let Some(answer) = ctx.store.answer_some(&mut latest)? else { return Ok(Step::More) };
        let [jails, countries, buckets, before] = &parts;
        let (jails, before) = (ctx.store.counted_jails(jails)?, ctx.store.counted_jails(before)?);
        let sum = |jails: &[(String, u64)]| jails.iter().map(|(_, count)| count).sum::<u64>();
        let mut by_country = countries.countries().0;
        by_country.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let country = |(country, count): &(Country, u64)| json!({ "country_code": country, "country_name": countries::name(*country), "count": count });
        let head = json!({
            "status": status,
            "problem": problem,
            "from": rfc3339(window.start),
            "to": rfc3339(window.end),
            "sums": { "bans": sum(&jails), "bans_before": sum(&before) },
            "trend": shown_trend(window, buckets.buckets()),
            "by_jail": shown_jails(&jails),
            "by_country": by_country.iter().map(country).collect::<Vec<_>>(),
        });
        let mut body = head.to_string().into_bytes();
        body.pop();
        body.extend_from_slice(b",\"latest\":[");
        history::push_all(ctx, &mut body, answer.listing.bans, push);
        body.extend_from_slice(b"]}");
        Ok(Step::Done(Response::json_bytes(200, body)))
    })))
}
