//! The history: every ban that is remembered, by list and by address. `source=fail2ban` is read from the daemon's database in a
//! child, `archive` from ours on the loop; the dashboards ask in the same way.

use serde::Serialize;
use serde_json::{Value, json};

use super::dispatch::Outcome;
use super::input::Query;
use super::{ApiError, Ctx, Job, Request};
use crate::domain::address::IpOrNet;
use crate::domain::history::{Answer, Filter, Listing, Origin, PastBan, Question, Range, Slice, Source};
use crate::domain::page::Page;
use crate::domain::time::{now, rfc3339};
use crate::fail2ban::database::{Database, DatabaseError};
use crate::geo::{Place, countries};
use crate::jobs::{Task, history};
use crate::server::response::Response;

/// The longest text that is searched for, in bytes.
const LONGEST_SEARCH: usize = 256;
/// Events on the timeline of an address; its totals count all.
const TIMELINE: u32 = 500;
/// How long the loop waits for the daemon's own writing when it reads the few rows of one address.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(5);

/// `HistoryBanItem` of the contract.
#[derive(Debug, Serialize)]
struct HistoryItem {
    ip: String,
    jail: String,
    banned_at: String,
    ban_count: i64,
    failures: i64,
    matches: Vec<String>,
    #[serde(flatten)]
    geo: GeoDetail,
    ban_time: Option<f64>,
    origin: Origin,
}

/// `GeoDetail` of the contract.
#[derive(Debug, Clone, Serialize)]
pub struct GeoDetail {
    country_code: Option<String>,
    country_name: Option<&'static str>,
    asn: Option<String>,
    org: Option<String>,
}

impl From<Place> for GeoDetail {
    fn from(place: Place) -> Self {
        GeoDetail {
            country_code: place.country.map(String::from),
            country_name: place.country.and_then(countries::name),
            asn: place.asn,
            org: place.org,
        }
    }
}

/// Where a ban came from: the country that was noted, and what the files say besides.
pub fn geo_of(ctx: &Ctx, ban: &PastBan) -> GeoDetail {
    let mut place = ctx.geo.look_up_text(&ban.ip);
    place.country = ban.country.or(place.country);
    place.into()
}

/// A parameter that may be left out or empty.
pub fn optional<T: std::str::FromStr>(query: Query<'_>, name: &str) -> Result<Option<T>, ApiError> {
    match query.text(name)? {
        Some(text) if text.is_empty() => Ok(None),
        _ => query.get(name),
    }
}

/// `source`; `fail2ban` where it is left out.
pub fn source(query: Query<'_>) -> Result<Source, ApiError> {
    Ok(optional(query, "source")?.unwrap_or(Source::Fail2ban))
}

/// `page`, `page_size` and `cursor`.
pub fn slice(query: Query<'_>) -> Result<(Page, Slice), ApiError> {
    let page = query.page()?;
    let after = optional(query, "cursor")?;
    // A position tells where to begin; the number of the page says nothing then.
    let skip = if after.is_some() { 0 } else { page.offset() };
    Ok((page, Slice { after, skip, limit: page.size() }))
}

fn text(query: Query<'_>, name: &str) -> Result<Option<String>, ApiError> {
    let found = query.text(name)?.filter(|text| !text.is_empty());
    if found.as_ref().is_some_and(|text| text.len() > LONGEST_SEARCH || text.chars().any(char::is_control)) {
        return Err(ApiError::invalid_field(name, format!("{name} is at most {LONGEST_SEARCH} bytes of plain text.")));
    }
    Ok(found)
}

fn filter(query: Query<'_>) -> Result<Filter, ApiError> {
    let range: Option<Range> = optional(query, "range")?;
    Ok(Filter {
        window: range.map(|range| range.window(now())),
        jail: text(query, "jail")?,
        // Addresses are stored in lower case.
        ip_prefix: text(query, "ip")?.map(|ip| ip.to_ascii_lowercase()),
        origin: optional(query, "origin")?,
        country: None,
    })
}

/// Asks whoever is the source, and answers with what `reply` makes of it.
pub fn ask(
    ctx: &mut Ctx,
    source: Source,
    filter: Filter,
    question: Question,
    reply: impl FnOnce(&Ctx, Answer) -> Response + 'static,
) -> Result<Outcome, ApiError> {
    if source == Source::Archive {
        let answer = ctx.store.past(&filter, question)?;
        return Ok(Outcome::Answer(reply(ctx, answer)));
    }
    let database = ctx.fail2ban_database()?.ok_or(DatabaseError::NotKept)?;
    let task = Task::AskHistory(history::Ask {
        database,
        set: ctx.set_place().file(),
        geo: ctx.geo.paths(),
        filter,
        question,
    });
    Ok(Outcome::Job(Box::new(Job::new(task, |ctx, answer: Value| {
        let answer = serde_json::from_value(answer).map_err(ApiError::internal)?;
        Ok(reply(ctx, answer))
    }))))
}

/// `GET /api/v1/history`
pub fn list(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let query = request.query();
    let (page, slice) = slice(query)?;
    let (source, filter) = (source(query)?, filter(query)?);
    ask(ctx, source, filter, Question::List(slice), move |ctx, answer| page_of(ctx, page, answer.listing))
}

/// `GET /api/v1/history/archive`
pub fn archive(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let query = request.query();
    let (page, slice) = slice(query)?;
    let answer = ctx.store.past(&filter(query)?, Question::List(slice))?;
    Ok(page_of(ctx, page, answer.listing))
}

fn page_of(ctx: &Ctx, page: Page, listing: Listing) -> Response {
    let mut pagination = page.describe(listing.total);
    pagination.next_cursor = listing.next.map(|next| next.to_string());
    let items: Vec<HistoryItem> = listing.bans.into_iter().map(|ban| item(ctx, ban)).collect();
    Response::json(200, &json!({ "items": items, "pagination": pagination }))
}

fn item(ctx: &Ctx, ban: PastBan) -> HistoryItem {
    HistoryItem {
        geo: geo_of(ctx, &ban),
        origin: Origin::of(&ban.jail),
        ip: ban.ip,
        jail: ban.jail,
        banned_at: rfc3339(ban.banned_at),
        ban_count: ban.count.max(1),
        failures: ban.failures.max(0),
        matches: ban.matches,
        ban_time: ban.ban_time,
    }
}

/// `GET /api/v1/history/{ip}`: what the archive has, and what the daemon remembers and the archive has not seen yet. An archive
/// that knows the address is an answer without the daemon, too.
pub fn of_ip(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let net: IpOrNet = request.parameter()?;
    let ip = net.to_string();
    let (mut summary, mut bans) = ctx.store.archive_of_ip(&ip, TIMELINE)?;
    match fresh(ctx, &net) {
        Ok(fresh) => {
            for ban in fresh {
                let is_same = |known: &&PastBan| known.jail == ban.jail && known.banned_at == ban.banned_at;
                if bans.iter().find(is_same).is_none() && !ctx.store.has_archived(&ban)? {
                    summary.bans += 1;
                    summary.failures += ban.failures.max(0) as u64;
                    bans.push(ban);
                }
            }
        }
        Err(error) if summary.bans == 0 => return Err(error),
        Err(_) => {}
    }
    bans.sort_by_key(|ban| std::cmp::Reverse(ban.banned_at));
    bans.truncate(TIMELINE as usize);
    let Some(newest) = bans.first() else {
        return Err(ApiError::not_found("not_found", format!("No ban of {ip} is known.")).with("ip", ip));
    };
    let last_ban_at = rfc3339(newest.banned_at);
    let timeline: Vec<Value> = bans.iter().map(event).collect();
    let mut body = json!(geo_of(ctx, newest));
    body["ip"] = json!(ip);
    body["total_bans"] = json!(summary.bans);
    body["total_failures"] = json!(summary.failures);
    body["last_ban_at"] = json!(last_ban_at);
    body["timeline"] = json!(timeline);
    Ok(Response::json(200, &body))
}

/// What the archive may not have yet of an address. What the set of imported addresses holds is known without the daemon.
fn fresh(ctx: &mut Ctx, net: &IpOrNet) -> Result<Vec<PastBan>, ApiError> {
    let held = ctx.held().and_then(|held| held.find(net).ok().flatten());
    let held = held.map(|entry| history::past_held(&entry, &ctx.geo));
    match (remembered(ctx, &net.to_string()), held) {
        (Ok(mut bans), held) => {
            bans.extend(held);
            Ok(bans)
        }
        (Err(_), Some(held)) => Ok(vec![held]),
        (Err(error), None) => Err(error),
    }
}

/// What the daemon's database has of an address.
fn remembered(ctx: &mut Ctx, ip: &str) -> Result<Vec<PastBan>, ApiError> {
    let path = ctx.fail2ban_database()?.ok_or(DatabaseError::NotKept)?;
    let bans = Database::open(&path, PATIENCE)?.history_for_ip(ip, TIMELINE as usize)?;
    Ok(bans.into_iter().map(|ban| history::past(ban, &ctx.geo)).collect())
}

fn event(ban: &PastBan) -> Value {
    json!({
        "jail": ban.jail,
        "banned_at": rfc3339(ban.banned_at),
        "ban_count": ban.count.max(1),
        "failures": ban.failures.max(0),
        "matches": ban.matches,
        "ban_time": ban.ban_time,
    })
}
