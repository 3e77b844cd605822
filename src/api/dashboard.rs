//! The dashboard: how the daemon is, and the bans of a range as a list, by country, by jail and over time. All four take the same
//! range, so that their totals agree.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::history;
use crate::app::{ApiError, Ctx, Job, Outcome, Request, Step};
use crate::domain::history::{Country, Cursor, Filter, Origin, PastBan, Question, Range, Slice, Source, Window};
use crate::domain::time::{now, rfc3339};
use crate::jobs::Task;
use crate::jobs::history::{push_ban, push_map};
use crate::server::response::Response;

/// How old a look at the daemon may be that is shown, where it can be looked at now.
const FRESH: Duration = Duration::from_secs(1);

/// `GET /api/v1/dashboard/status`: what is seen of the daemon now, or was when it was last free to answer.
pub fn status(ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    let is_old = ctx.snapshot.stale || ctx.snapshot.taken.is_none_or(|taken| taken.elapsed() >= FRESH);
    if ctx.snapshot.online && is_old && !ctx.daemon_is_taken {
        ctx.look_again();
    }
    let seen = &ctx.snapshot;
    if !seen.online {
        return Err(ApiError::away(ctx.away.as_ref()));
    }
    let status = json!({
        "online": seen.online,
        "version": seen.version,
        "active_jails": seen.jails,
        "total_bans": seen.bans,
        "total_failures": seen.failures,
        "as_of": rfc3339(now() - seen.taken.map_or(0, |taken| taken.elapsed().as_secs() as i64)),
    });
    Ok(Response::json(200, &json!({ "status": status })))
}

/// Bans beside the map where no country is asked for.
const MAP_BANS: u32 = 200;

/// What the four have in common: source, range and origin.
fn asked(request: &Request) -> Result<(Source, Range, Filter), ApiError> {
    let query = request.query();
    let range: Range = history::optional(query, "range")?.unwrap_or(Range::Day);
    let origin = history::optional(query, "origin")?;
    let filter = Filter { window: Some(range.window(now())), origin, ..Filter::default() };
    Ok((history::source(query)?, range, filter))
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
    let (source, range, filter) = asked(request)?;
    let slice = Slice { after: None, skip: 0, limit: MAP_BANS };
    match (history::optional(request.query(), "country_code")?, source) {
        (Some(country), Source::Archive) => {
            let window = filter.window.unwrap_or_else(|| range.window(now()));
            Ok(Outcome::Steps(Box::new(of_country(country, window, filter.origin))))
        }
        (Some(country), Source::Fail2ban) => {
            let mut ask = history::ask_fail2ban(ctx, filter, Question::ByCountry(slice))?;
            ask.country = Some(country);
            Ok(Outcome::Job(Box::new(Job::stream(Task::AskHistory(ask)))))
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
    move |ctx| {
        let mut body = Vec::new();
        if !is_begun {
            let (counts, total) = ctx.store.archive_by_country(window, origin)?;
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
    let (source, range, filter) = asked(request)?;
    let window = filter.window.unwrap_or_else(|| range.window(now()));
    let reply = move |_: &Ctx, answer: history::Answer| {
        let counts: BTreeMap<i64, u64> = answer.by_bucket.into_iter().collect();
        let bucket = |start| json!({ "timestamp": rfc3339(start), "count": counts.get(&start).copied().unwrap_or(0) });
        let buckets: Vec<_> = window.starts().map(bucket).collect();
        Response::json(200, &json!({ "buckets": buckets, "bucket_size": range.bucket_name() }))
    };
    history::ask(ctx, source, filter, Question::Trend, Box::new(reply))
}

/// `GET /api/v1/dashboard/bans/by-jail`
pub fn by_jail(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let (source, _, filter) = asked(request)?;
    let reply = |_: &Ctx, answer: history::Answer| {
        let jail = |(jail, count): &(String, u64)| json!({ "jail": jail, "count": count });
        let jails: Vec<_> = answer.by_jail.iter().map(jail).collect();
        Response::json(200, &json!({ "jails": jails, "total": answer.total }))
    };
    history::ask(ctx, source, filter, Question::ByJail, Box::new(reply))
}
