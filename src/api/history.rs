//! The history: every ban that is remembered, by list and by address. `source=fail2ban` is read from the daemon's database in a
//! child, `archive` from ours on the loop; the dashboards ask in the same way.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::app::code::Code;
use crate::app::input::{Parameter, Query};
use crate::app::{ApiError, Ctx, Job, Outcome, Request, Step};
use crate::domain::address::IpOrNet;
pub use crate::domain::history::Answer;
use crate::domain::history::{Cursor, Filter, PastBan, Question, Range, Slice, Source, Window};
use crate::domain::history_order::Order;
use crate::domain::json;
use crate::domain::page::{Page, Pagination, Position, Rows, from_the_end};
use crate::domain::time::{Moment, now, rfc3339};
use crate::fail2ban::database::{Ban, DatabaseError};
use crate::geo::GeoDetail;
use crate::jobs::history::{ShownOurs, push_past};
use crate::jobs::their_database::{ReadTheirs, Theirs, Wanted};
use crate::jobs::{Task, history};
use crate::server::response::Response;
use crate::store::archive::{Asked, Summary};

/// Behind all times that are believed, in Unix seconds.
const FOREVER: i64 = 1 << 40;
/// The longest text that is searched for, in bytes.
const LONGEST_SEARCH: usize = 256;
/// Events on the timeline of an address; its totals count all.
const TIMELINE: u32 = 500;
/// How long a child may take to read the few rows of one address.
const READS: Duration = Duration::from_secs(2);

/// Where a ban came from: the country that was noted, and what is known besides.
pub fn geo_of(ctx: &Ctx, ban: &PastBan) -> GeoDetail {
    let mut place = ctx.place_of(&ban.ip);
    place.country = ban.country.or(place.country);
    place.into()
}

/// A parameter that may be left out or empty.
pub fn optional<T: Parameter>(query: Query<'_>, name: &str) -> Result<Option<T>, ApiError> {
    match query.text(name)? {
        Some(text) if text.is_empty() => Ok(None),
        _ => query.get(name),
    }
}

/// `source`; `fail2ban` where it is left out.
pub fn source(query: Query<'_>) -> Result<Source, ApiError> {
    Ok(optional(query, "source")?.unwrap_or(Source::Fail2ban))
}

/// A part of a list that a client asked for, by number or by place.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    page: Page,
    /// Rows before it.
    before: u64,
    /// What is looked for.
    pub slice: Slice,
}

/// `page`, `page_size` and `cursor`.
pub fn part(query: Query<'_>) -> Result<Part, ApiError> {
    let page = query.page()?;
    let limit = page.size();
    // A place tells where to begin; the number of the page says nothing then.
    Ok(match optional::<Position<Cursor>>(query, "cursor")? {
        Some(place) => Part { page, before: place.rows, slice: Slice { after: Some(place.behind), skip: 0, limit } },
        None => Part { page, before: page.offset(), slice: Slice { after: None, skip: page.offset(), limit } },
    })
}

fn text(query: Query<'_>, name: &str) -> Result<Option<String>, ApiError> {
    let found = query.text(name)?.filter(|text| !text.is_empty());
    if found.as_ref().is_some_and(|text| text.len() > LONGEST_SEARCH || text.chars().any(char::is_control)) {
        return Err(ApiError::invalid_field(name, format!("{name} is at most {LONGEST_SEARCH} bytes of plain text.")));
    }
    Ok(found)
}

fn filter(query: Query<'_>) -> Result<Filter, ApiError> {
    Ok(Filter {
        window: window(query)?,
        jail: text(query, "jail")?,
        // Addresses are stored in lower case.
        ip_prefix: text(query, "ip")?.map(|ip| ip.to_ascii_lowercase()),
        origin: optional(query, "origin")?,
        country: optional(query, "country")?,
        search: text(query, "q")?.map(|search| search.to_lowercase()),
        user: text(query, "user")?,
    })
}

/// The time that `range`, or `from` and `to`, name; `None` where none of them is given. What `from` or `to` leaves open goes to the
/// beginning of time, or to its end.
pub fn window(query: Query<'_>) -> Result<Option<Window>, ApiError> {
    let range: Option<Range> = optional(query, "range")?;
    let [from, to] = ["from", "to"].map(|name| optional::<Moment>(query, name));
    let (from, to) = (from?, to?);
    if range.is_some() && (from.is_some() || to.is_some()) {
        let detail = "Give either range, or from and to: both together name two different times.";
        return Err(ApiError::invalid_field("range", detail));
    }
    demand_earlier(from.as_ref(), to.as_ref())?;
    if from.is_none() && to.is_none() {
        return Ok(range.map(|range| range.window(now())));
    }
    let start = from.map_or(0, |from| from.0.max(0));
    Ok(Some(Window::between(start, to.map_or(FOREVER, |to| to.0).max(start))))
}

/// 400 where a time would end before it begins.
pub fn demand_earlier(from: Option<&Moment>, to: Option<&Moment>) -> Result<(), ApiError> {
    match from.zip(to) {
        Some((from, to)) if from.0 >= to.0 => Err(ApiError::invalid_field("from", "from must be earlier than to.")),
        _ => Ok(()),
    }
}

/// Makes the answer of what was found.
pub type Reply = Box<dyn Fn(&Ctx, Answer) -> Response>;

/// Asks whoever is the source, and answers with what `reply` makes of it.
pub fn ask(
    ctx: &mut Ctx,
    source: Source,
    filter: Filter,
    question: Question,
    reply: Reply,
) -> Result<Outcome, ApiError> {
    if source == Source::Archive {
        let mut asked = Asked::new(filter, question, now());
        return Ok(Outcome::Steps(Box::new(move |ctx| {
            let answer = ctx.store.answer_some(&mut asked)?;
            Ok(answer.map_or(Step::More, |answer| Step::Done(reply(ctx, answer))))
        })));
    }
    let task = Task::AskHistory(ask_fail2ban(ctx, filter, question)?);
    Ok(Outcome::Job(Box::new(Job::new(task, move |ctx, answer: Value| {
        let answer = json::from_tree(answer).map_err(ApiError::internal)?;
        Ok(reply(ctx, answer))
    }))))
}

/// A question to fail2ban's database, for a child.
pub fn ask_fail2ban(ctx: &mut Ctx, filter: Filter, question: Question) -> Result<history::Ask, ApiError> {
    let database = ctx.fail2ban_database()?.ok_or(DatabaseError::NotKept)?;
    Ok(history::Ask {
        database,
        set: ctx.set_place().file(),
        geo: ctx.geo_source()?,
        filter,
        question,
        oldest_first: false,
        order: None,
        country: None,
        packed: false,
        whole: false,
    })
}

/// Writes bans with commas between them; `push` writes one.
pub fn push_all(ctx: &Ctx, body: &mut Vec<u8>, bans: Vec<PastBan>, push: fn(&Ctx, &mut Vec<u8>, PastBan)) {
    for (number, ban) in bans.into_iter().enumerate() {
        if number > 0 {
            body.push(b',');
        }
        push(ctx, body, ban);
    }
}

/// A page of a list, written without a tree in between; `push` writes one ban.
pub fn page_of(ctx: &Ctx, part: Part, answer: Answer, push: fn(&Ctx, &mut Vec<u8>, PastBan)) -> Response {
    let rows = Rows { before: part.before, count: answer.listing.bans.len(), last: answer.listing.next };
    let pagination = part.page.describe_rows(answer.listing.total, rows);
    page_with(ctx, pagination, answer.listing.bans, push)
}

fn page_with(ctx: &Ctx, pagination: Pagination, bans: Vec<PastBan>, push: fn(&Ctx, &mut Vec<u8>, PastBan)) -> Response {
    let mut body = b"{\"items\":[".to_vec();
    push_all(ctx, &mut body, bans, push);
    body.extend_from_slice(b"],\"pagination\":");
    body.extend_from_slice(json!(pagination).to_string().as_bytes());
    body.push(b'}');
    Response::json_bytes(200, body)
}

/// `GET /api/v1/history`
pub fn list(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    list_of(ctx, request, source(request.query())?)
}

/// `GET /api/v1/history/archive`
pub fn archive(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    list_of(ctx, request, Source::Archive)
}

fn list_of(ctx: &mut Ctx, request: &Request, source: Source) -> Result<Outcome, ApiError> {
    let part = part(request.query())?;
    let filter = filter(request.query())?;
    match order(request)? {
        Arranged::NewestFirst => {}
        Arranged::OldestFirst => return oldest(ctx, source, filter, part),
        Arranged::By(order) => return in_order(ctx, source, filter, part, order),
    }
    if request.wants_all() && source == Source::Archive {
        return Ok(Outcome::Steps(Box::new(whole(filter))));
    }
    if request.wants_all() {
        let mut ask = ask_fail2ban(ctx, filter, Question::List(part.slice))?;
        ask.whole = true;
        return Ok(Outcome::Job(Box::new(Job::stream(Task::AskHistory(ask), false))));
    }
    let reply = move |ctx: &Ctx, answer| page_of(ctx, part, answer, push);
    ask(ctx, source, filter, Question::List(part.slice), Box::new(reply))
}

/// What `sort` asks for.
enum Arranged {
    NewestFirst,
    OldestFirst,
    By(Order),
}

/// A list that has no end is in no other order than that of time, and a place in the list is one of that order.
fn order(request: &Request) -> Result<Arranged, ApiError> {
    let query = request.query();
    let wanted = match query.text("sort")?.as_deref() {
        None | Some("" | "-banned_at") => return Ok(Arranged::NewestFirst),
        Some("banned_at") => Arranged::OldestFirst,
        Some(_) => match query.get("sort")? {
            Some(order) => Arranged::By(order),
            None => return Ok(Arranged::NewestFirst),
        },
    };
    if request.wants_all() || query.text("cursor")?.is_some_and(|text| !text.is_empty()) {
        let detail = "sort: in any order but -banned_at, the history is given by page and page_size.";
        return Err(ApiError::invalid_field("sort", detail));
    }
    Ok(wanted)
}

/// A page of the list in another order than that of time.
fn in_order(ctx: &mut Ctx, source: Source, filter: Filter, part: Part, order: Order) -> Result<Outcome, ApiError> {
    if source == Source::Fail2ban {
        let mut ask = ask_fail2ban(ctx, filter, Question::List(part.slice))?;
        ask.order = Some(order);
        return Ok(by_child(ask, part));
    }
    let mut asked = Asked::in_order(filter, part.slice, order, now());
    Ok(Outcome::Steps(Box::new(move |ctx| {
        let Some(answer) = ctx.store.answer_some(&mut asked)? else { return Ok(Step::More) };
        Ok(Step::Done(page_with(ctx, part.page.describe(answer.total), answer.listing.bans, push)))
    })))
}

/// A page in an order that knows no places.
fn by_child(ask: history::Ask, part: Part) -> Outcome {
    Outcome::Job(Box::new(Job::new(Task::AskHistory(ask), move |ctx, answer: Value| {
        let Answer { listing, .. } = json::from_tree(answer).map_err(ApiError::internal)?;
        Ok(page_with(ctx, part.page.describe(listing.total), listing.bans, push))
    })))
}

/// A page of the list, the oldest first: counted from its other end.
fn oldest(ctx: &mut Ctx, source: Source, filter: Filter, part: Part) -> Result<Outcome, ApiError> {
    if source == Source::Fail2ban {
        let mut ask = ask_fail2ban(ctx, filter, Question::List(part.slice))?;
        ask.oldest_first = true;
        return Ok(by_child(ask, part));
    }
    let first = Question::List(Slice { skip: 0, limit: 1, ..part.slice });
    let (mut asked, mut is_counted) = (Asked::new(filter.clone(), first, now()), false);
    Ok(Outcome::Steps(Box::new(move |ctx| {
        let Some(mut answer) = ctx.store.answer_some(&mut asked)? else { return Ok(Step::More) };
        if !std::mem::replace(&mut is_counted, true) {
            let (skip, limit) = from_the_end(part.slice.skip, part.slice.limit, answer.total);
            if limit > 0 {
                let question = Question::List(Slice { after: None, skip, limit });
                asked = Asked::new(filter.clone(), question, now());
                return Ok(Step::More);
            }
            answer.listing.bans.clear();
        }
        answer.listing.bans.reverse();
        Ok(Step::Done(page_with(ctx, part.page.describe(answer.total), answer.listing.bans, push)))
    })))
}

fn push(ctx: &Ctx, body: &mut Vec<u8>, ban: PastBan) {
    let geo = geo_of(ctx, &ban);
    push_past(body, ban, geo);
}

/// All bans of the archive that a filter takes, some at a time.
fn whole(filter: Filter) -> impl FnMut(&mut Ctx) -> Result<Step, ApiError> {
    let slice = Slice { after: None, skip: 0, limit: Page::MAX_SIZE };
    let mut asked = Asked::new(filter, Question::List(slice), now());
    let mut is_begun = false;
    move |ctx| {
        let Some(answer) = ctx.store.answer_some(&mut asked)? else { return Ok(Step::More) };
        let (bans, next) = (answer.listing.bans, answer.listing.next);
        let mut body = match (std::mem::replace(&mut is_begun, true), bans.is_empty()) {
            (false, _) => b"{\"items\":[".to_vec(),
            (true, false) => b",".to_vec(),
            (true, true) => Vec::new(),
        };
        push_all(ctx, &mut body, bans, push);
        if let Some(next) = next {
            asked.go_on_behind(next);
            return Ok(Step::Part(body));
        }
        body.extend_from_slice(b"]}");
        Ok(Step::Done(Response::json_bytes(200, body)))
    }
}

/// `GET /api/v1/history/{ip}`: what the archive has, and what the daemon remembers and the archive has not seen yet. An archive
/// that knows the address is an answer without the daemon, too.
pub fn of_ip(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let net: IpOrNet = request.parameter()?;
    let ip = net.to_string();
    let remembered = remembered(ctx, &ip);
    let until = Instant::now() + READS;
    let (mut summary, mut after) = (Summary::default(), Some(Summary::START));
    Ok(Outcome::Steps(Box::new(move |ctx| {
        if let Some(start) = after {
            after = ctx.store.sum_up_ip(&ip, start, &mut summary)?;
        }
        let is_read = remembered.as_ref().is_err() || remembered.as_ref().is_ok_and(|read| read.borrow().is_some());
        if after.is_some() || (!is_read && Instant::now() < until) {
            return Ok(Step::More);
        }
        let bans = match &remembered {
            Ok(read) => read.take().unwrap_or(Err(DatabaseError::Locked)).map_err(ApiError::from),
            Err(error) => Err(error.clone()),
        };
        detail(ctx, &ip, std::mem::take(&mut summary), fresh(ctx, &net, bans)).map(Step::Done)
    })))
}

/// What the archive and the daemon know of an address together.
fn detail(
    ctx: &Ctx,
    ip: &str,
    mut summary: Summary,
    fresh: Result<Vec<PastBan>, ApiError>,
) -> Result<Response, ApiError> {
    let mut bans = ctx.store.archive_of_ip(ip, TIMELINE)?;
    match fresh {
        Ok(fresh) => {
            for ban in fresh {
                let is_same = |known: &PastBan| known.jail == ban.jail && known.banned_at == ban.banned_at;
                if !bans.iter().any(is_same) && !ctx.store.has_archived(&ban)? {
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
        return Err(ApiError::new(Code::NotFound, format!("No ban of {ip} is known.")).with("ip", ip));
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
fn fresh(ctx: &Ctx, net: &IpOrNet, remembered: Result<Vec<Ban>, ApiError>) -> Result<Vec<PastBan>, ApiError> {
    let held = ctx.held().and_then(|held| held.find(net).ok().flatten());
    let held = held.map(|entry| history::past_held(&entry));
    match (remembered, held) {
        (Ok(bans), held) => Ok(bans.into_iter().map(history::past_ban).chain(held).collect()),
        (Err(_), Some(held)) => Ok(vec![held]),
        (Err(error), None) => Err(error),
    }
}

/// What a child is reading; nothing before it is there.
type Reading = Rc<RefCell<Option<Theirs<Vec<Ban>>>>>;

/// Has a child read what the daemon's database has of an address.
fn remembered(ctx: &mut Ctx, ip: &str) -> Result<Reading, ApiError> {
    let path = ctx.fail2ban_database()?.ok_or(DatabaseError::NotKept)?;
    let reading = Reading::default();
    let read = Rc::clone(&reading);
    let wanted = Wanted::OfAddress(ip.to_owned(), TIMELINE as usize);
    let mut job = Job::new(Task::ReadTheirs(ReadTheirs { path, wanted }), move |_, bans| {
        *read.borrow_mut() = Some(json::from_tree(bans).map_err(ApiError::internal)?);
        Ok(Response::no_content())
    });
    job.urgent = true;
    ctx.background.push(job);
    Ok(reading)
}

fn event(ban: &PastBan) -> Value {
    let mut event = json!(ShownOurs::from(ban.ours.clone()));
    let other = json!({
        "jail": ban.jail,
        "banned_at": rfc3339(ban.banned_at),
        "ban_count": ban.count.max(1),
        "failures": ban.failures.max(0),
        "matches": ban.matches,
        "ban_time": ban.ban_time,
    });
    if let (Value::Object(event), Value::Object(other)) = (&mut event, other) {
        event.extend(other);
    }
    event
}
