//! The dashboard: how the daemon is, and the bans of a range as a list, by country, by jail and over time. All four take the same
//! range, so that their totals agree.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::dispatch::Outcome;
use super::history::{self, GeoDetail};
use super::{ApiError, Ctx, Request};
use crate::domain::history::{Country, Filter, Origin, PastBan, Question, Range, Slice, Source};
use crate::domain::time::{now, rfc3339};
use crate::geo::countries;
use crate::server::response::Response;

/// `GET /api/v1/dashboard/status`: what was last seen of the daemon, at most 30 s ago.
pub fn status(ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    let seen = &ctx.snapshot;
    if !seen.online {
        return Err(ApiError::new(502, "fail2ban_unreachable", "fail2ban cannot be reached; is it running?"));
    }
    let status = json!({
        "online": seen.online,
        "version": seen.version,
        "active_jails": seen.jails,
        "total_bans": seen.bans,
        "total_failures": seen.failures,
    });
    Ok(Response::json(200, &json!({ "status": status })))
}

/// Bans beside the map where no country is asked for.
const MAP_BANS: u32 = 200;
/// Bans of one country at most; `complete` in the answer says whether these are all.
const COUNTRY_BANS: u32 = 2000;

/// `DashboardBanItem` of the contract.
#[derive(Debug, Serialize)]
struct BanItem {
    ip: String,
    jail: String,
    banned_at: String,
    service: Option<String>,
    #[serde(flatten)]
    geo: GeoDetail,
    ban_count: i64,
    origin: Origin,
}

/// What the four have in common: source, range and origin.
fn asked(request: &Request) -> Result<(Source, Range, Filter), ApiError> {
    let query = request.query();
    let range: Range = history::optional(query, "range")?.unwrap_or(Range::Day);
    let origin = history::optional(query, "origin")?;
    let filter = Filter { window: Some(range.window(now())), origin, ..Filter::default() };
    Ok((history::source(query)?, range, filter))
}

fn items(ctx: &Ctx, bans: Vec<PastBan>) -> Vec<BanItem> {
    let item = |ban: PastBan| BanItem {
        geo: history::geo_of(ctx, &ban),
        origin: Origin::of(&ban.jail),
        ip: ban.ip,
        jail: ban.jail,
        banned_at: rfc3339(ban.banned_at),
        service: ban.matches.into_iter().next(),
        ban_count: ban.count.max(1),
    };
    bans.into_iter().map(item).collect()
}

/// `GET /api/v1/dashboard/bans`
pub fn bans(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let (source, _, filter) = asked(request)?;
    let (page, slice) = history::slice(request.query())?;
    history::ask(ctx, source, filter, Question::List(slice), move |ctx, answer| {
        let mut pagination = page.describe(answer.listing.total);
        pagination.next_cursor = answer.listing.next.map(|next| next.to_string());
        Response::json(200, &json!({ "items": items(ctx, answer.listing.bans), "pagination": pagination }))
    })
}

/// `GET /api/v1/dashboard/bans/by-country`
pub fn by_country(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let (source, _, filter) = asked(request)?;
    let country: Option<Country> = history::optional(request.query(), "country_code")?;
    let limit = if country.is_some() { COUNTRY_BANS } else { MAP_BANS };
    let slice = Slice { after: None, skip: 0, limit };
    let filter = Filter { country, ..filter };
    history::ask(ctx, source, filter, Question::ByCountry(slice), move |ctx, answer| {
        let named =
            |(country, _): &(Country, u64)| countries::name(*country).map(|name| (country.as_str().to_owned(), name));
        let names: BTreeMap<String, &str> = answer.by_country.iter().filter_map(named).collect();
        let counts: BTreeMap<String, u64> =
            answer.by_country.into_iter().map(|(country, count)| (country.into(), count)).collect();
        let is_complete = country.is_none() || answer.listing.total <= u64::from(limit);
        let bans = items(ctx, answer.listing.bans);
        let body = json!({
            "countries": counts,
            "country_names": names,
            "bans": bans,
            "total": answer.total,
            "complete": is_complete,
        });
        Response::json(200, &body)
    })
}

/// `GET /api/v1/dashboard/bans/trend`
pub fn trend(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let (source, range, filter) = asked(request)?;
    let window = filter.window.unwrap_or_else(|| range.window(now()));
    history::ask(ctx, source, filter, Question::Trend, move |_, answer| {
        let counts: BTreeMap<i64, u64> = answer.by_bucket.into_iter().collect();
        let bucket = |start| json!({ "timestamp": rfc3339(start), "count": counts.get(&start).copied().unwrap_or(0) });
        let buckets: Vec<_> = window.starts().map(bucket).collect();
        Response::json(200, &json!({ "buckets": buckets, "bucket_size": range.bucket_name() }))
    })
}

/// `GET /api/v1/dashboard/bans/by-jail`
pub fn by_jail(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let (source, _, filter) = asked(request)?;
    history::ask(ctx, source, filter, Question::ByJail, |_, answer| {
        let jail = |(jail, count): &(String, u64)| json!({ "jail": jail, "count": count });
        let jails: Vec<_> = answer.by_jail.iter().map(jail).collect();
        Response::json(200, &json!({ "jails": jails, "total": answer.total }))
    })
}
