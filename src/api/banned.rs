//! Lists of what is banned now, from the table in memory and from the set of imported addresses: whole, or a page that is filtered, searched
//! and sorted. A step at a time, since there may be 100 000 of them.

use serde::Serialize;

use crate::app::banned::Readiness;
use crate::app::code::Code;
use crate::app::{ApiError, Ctx, Outcome, Request, Step};
use crate::blocklist::held::{Entry, HeldFile};
use crate::domain::history::{BLOCKLIST_JAIL, Country, Origin};
use crate::domain::names::{JailName, Running};
use crate::domain::page::{Page, Pagination};
use crate::domain::time::{self, rfc3339};
use crate::held::pick::{self, Field, Place, SET, Sort, View, Wanted};
use crate::held::row::{EndKey, Row};
use crate::server::response::Response;

/// Bans that are written in one step.
const WRITTEN: usize = 500;
/// Entries of the set that are looked at in one step.
const LOOKED_AT: usize = 20_000;
/// The same, where the country of each is looked up.
const LOOKED_UP: usize = 2_000;

/// `ActiveBan` of the contract.
#[derive(Debug, Serialize)]
struct ActiveBan<'a> {
    ip: &'a str,
    jail: &'a str,
    banned_at: Option<String>,
    expires_at: Option<String>,
    ban_count: i64,
    country: Option<Country>,
    origin: Origin,
    note: Option<&'a str>,
    actor: Option<ShownActor<'a>>,
    own_end: bool,
}

/// `Actor` of the contract.
#[derive(Debug, Serialize)]
struct ShownActor<'a> {
    kind: &'a str,
    name: &'a str,
}

/// `GET /api/v1/bans/active`
pub fn active(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let query = request.query();
    let jail = request.jail_asked()?;
    let page = match (query.text("page_size")?, query.text("page")?) {
        (None, None) => None,
        _ => Some(query.page()?),
    };
    let set = ctx.held().filter(|_| jail.as_ref().is_none_or(|jail| jail.as_str() == BLOCKLIST_JAIL));
    let set = set.filter(|_| request.admitted.sees(BLOCKLIST_JAIL));
    let wanted = Wanted {
        jail: jail.as_ref().map(JailName::to_string),
        among: request.admitted.jails().map(<[String]>::to_vec),
        search: search(query.text("q")?),
        searches_jails: true,
        country: query.get("country")?,
        origin: query.get("origin")?,
    };
    let list = List { page, sort: query.get("sort")?, set, wanted, ..List::default() };
    match ctx.ready_bans(jail.as_ref(), request) {
        Ok(Readiness::Ready) => {}
        Ok(Readiness::Reading) => return Ok(Outcome::Again),
        // There need not be such a jail where a set stands for it, nor a daemon to know what the set holds.
        Err(error) if list.is_of_set() && matches!(error.code, Code::JailNotFound | Code::Fail2banUnreachable) => {}
        Err(error) => return Err(error),
    }
    Ok(list.outcome())
}

/// `GET /api/v1/jails/{name}/banned`
pub fn of_jail(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let Running(name) = request.parameter()?;
    let query = request.query();
    let page = if request.wants_all() { None } else { Some(query.page()?) };
    let wanted = Wanted {
        jail: Some(name.to_string()),
        search: search(query.text("search")?.or(query.text("q")?)),
        country: query.get("country")?,
        ..Wanted::default()
    };
    let list = List { page, sort: query.get("sort")?, wanted, ..List::default() };
    match ctx.ready_bans(Some(&name), request)? {
        Readiness::Ready => Ok(list.outcome()),
        Readiness::Reading => Ok(Outcome::Again),
    }
}

fn search(text: Option<String>) -> Option<String> {
    text.map(|text| text.to_lowercase()).filter(|text| !text.is_empty())
}

/// A list that is being made.
#[derive(Debug, Default)]
struct List {
    wanted: Wanted,
    sort: Option<Sort>,
    /// `None` is everything.
    page: Option<Page>,
    /// The set of imported addresses, where it is part of the list.
    set: Option<HeldFile>,
    /// The entry of the set to go on with.
    set_at: usize,
    /// Entries of the set that are wanted.
    set_count: u64,
    /// Those of them that may be on the page.
    set_rows: Vec<Row>,
    /// Bans that are written, of a whole list.
    written: u64,
    /// Where a whole list goes on: behind this ban of this jail.
    behind: Option<(String, EndKey)>,
    jails_are_done: bool,
    is_begun: bool,
    /// What is still to be written of a list that was picked.
    picked: Option<std::vec::IntoIter<Picked>>,
    /// The names of the jails, by the numbers that what was picked has.
    names: Vec<String>,
}

/// A ban that is still to be written.
#[derive(Debug)]
struct Picked {
    row: Row,
    /// The number of its jail; `None` where it is of the set.
    jail: Option<u32>,
    /// What is banned and no address.
    text: Option<Box<str>>,
}

impl List {
    /// Whether it is of the jail that the set stands for, and of no other.
    fn is_of_set(&self) -> bool {
        self.set.is_some() && self.wanted.jail.is_some()
    }

    fn outcome(mut self) -> Outcome {
        Outcome::Steps(Box::new(move |ctx| match self.page {
            Some(page) => self.page_step(ctx, page),
            None => self.whole_step(ctx),
        }))
    }

    /// Since when all of what is shown is as it is here.
    fn as_of(&self, ctx: &Ctx) -> String {
        let held = &ctx.banned.held;
        rfc3339(pick::of_jails(held, &self.wanted).map(|(_, jail)| jail.as_of()).min().unwrap_or_else(time::now))
    }

    fn page_step(&mut self, ctx: &Ctx, page: Page) -> Result<Step, ApiError> {
        let needs_set = self.set.is_some() && self.wanted.takes_jail(BLOCKLIST_JAIL);
        let (skip, limit) = (page.offset(), page.size() as usize);
        let is_plain = self.sort.is_none() && self.wanted.is_all();
        let (held, places) = (&ctx.banned.held, |list: &List| pick::wanted(&ctx.banned.held, &list.wanted));
        let end = usize::try_from(skip).unwrap_or(usize::MAX).saturating_add(limit);
        let by_end = self.sort.and_then(|sort| pick::first_to_end(held, &self.wanted, sort, end));
        let (total, mut on_page) = match (by_end, self.sort) {
            (Some(found), _) => found,
            (None, None) if is_plain => pick::plain_page(held, &self.wanted, skip, limit),
            _ => {
                let places = places(self);
                (places.len() as u64, places)
            }
        };
        if needs_set && !self.look_at_set(ctx, skip.saturating_sub(total), limit)? {
            return Ok(Step::More);
        }
        let view = View { held, set: &self.set_rows };
        let of_set = (0..self.set_rows.len()).map(|row| (SET, row as u32));
        let total = total + self.set_count;
        on_page = match self.sort {
            Some(sort) => {
                on_page.extend(of_set);
                view.sorted_page(&on_page, sort, skip, limit)
            }
            None if is_plain => on_page.into_iter().chain(of_set).take(limit).collect(),
            None => {
                let rest = on_page.into_iter().skip(usize::try_from(skip).unwrap_or(usize::MAX));
                rest.chain(of_set).take(limit).collect()
            }
        };
        let mut body = br#"{"items":["#.to_vec();
        for (index, place) in on_page.iter().enumerate() {
            push(ctx, view, *place, index == 0, &mut body);
        }
        self.end(ctx, &mut body, total, Some(page));
        Ok(Step::Done(Response::json_bytes(200, body)))
    }

    /// Looks at some more entries of the set: those that are wanted are counted, and kept where they may be on the page. `skip` of them are
    /// before it where the list is not sorted. True at the end.
    fn look_at_set(&mut self, ctx: &Ctx, skip: u64, limit: usize) -> Result<bool, ApiError> {
        let Some(set) = &self.set else { return Ok(true) };
        let by_country = self.wanted.country.is_some() || self.sort.is_some_and(|sort| sort.field == Field::Country);
        let end = self.set_at + if by_country { LOOKED_UP } else { LOOKED_AT };
        let (now, needle) = (time::now(), self.wanted.search.as_deref().unwrap_or_default().to_owned());
        let finder = memchr::memmem::Finder::new(needle.as_bytes());
        let is_named = needle.is_empty() || self.wanted.names(BLOCKLIST_JAIL);
        let (wanted, sort) = (&self.wanted, self.sort);
        let (count, rows, mut next) = (&mut self.set_count, &mut self.set_rows, None);
        let mut text = Vec::new();
        let visit = &mut |index: usize, entry: Entry| {
            if index >= end {
                next = Some(index);
                return false;
            }
            let country = if by_country { ctx.place_of(&entry.net.to_string()).country } else { None };
            let row = Row::of_net(&entry.net, entry.since, entry.until, country);
            let is_in_force = i64::from(entry.until) > now;
            text.clear();
            row.write(&mut text);
            if is_in_force && wanted.is_from(&row) && (is_named || finder.find(&text).is_some()) {
                if sort.is_some() || (*count >= skip && rows.len() < limit) {
                    rows.push(row);
                }
                *count += 1;
            }
            true
        };
        set.each(self.set_at, visit).map_err(|error| ApiError::internal(error.to_string()))?;
        self.set_at = next.unwrap_or(usize::MAX);
        Ok(next.is_none())
    }

    fn whole_step(&mut self, ctx: &Ctx) -> Result<Step, ApiError> {
        let mut body = Vec::new();
        if !std::mem::replace(&mut self.is_begun, true) {
            body.extend_from_slice(br#"{"items":["#);
        }
        if self.sort.is_some() || !self.wanted.is_all() {
            return self.whole_picked(ctx, body);
        }
        if !self.jails_are_done {
            self.jails_are_done = self.push_some(ctx, &mut body);
        } else if self.push_some_of_set(ctx, &mut body)? {
            self.end(ctx, &mut body, self.written, None);
            return Ok(Step::Done(Response::json_bytes(200, body)));
        }
        Ok(Step::Part(body))
    }

    /// A whole list that is filtered or sorted. What is in it is copied first, for the table goes on changing.
    fn whole_picked(&mut self, ctx: &Ctx, mut body: Vec<u8>) -> Result<Step, ApiError> {
        if self.picked.is_none() {
            let needs_set = self.set.is_some() && self.wanted.takes_jail(BLOCKLIST_JAIL);
            if needs_set && !self.look_at_set(ctx, 0, usize::MAX)? {
                self.is_begun = false;
                return Ok(Step::More);
            }
            self.picked = Some(self.pick_all(ctx).into_iter());
        }
        let picked = self.picked.as_mut().expect("it was just filled");
        for one in picked.by_ref().take(WRITTEN) {
            let name = one.jail.and_then(|at| self.names.get(at as usize)).map_or(BLOCKLIST_JAIL, String::as_str);
            push_ban(ctx, &one.row, name, one.text.as_deref().unwrap_or_default(), self.written == 0, &mut body);
            self.written += 1;
        }
        if picked.len() > 0 {
            return Ok(Step::Part(body));
        }
        self.end(ctx, &mut body, self.written, None);
        Ok(Step::Done(Response::json_bytes(200, body)))
    }

    fn pick_all(&mut self, ctx: &Ctx) -> Vec<Picked> {
        let view = View { held: &ctx.banned.held, set: &self.set_rows };
        self.names = view.held.jails().iter().map(|jail| jail.name().to_owned()).collect();
        let of_set = (0..self.set_rows.len()).map(|row| (SET, row as u32));
        let mut places: Vec<Place> = pick::wanted(view.held, &self.wanted).into_iter().chain(of_set).collect();
        if let Some(sort) = self.sort {
            places = view.sorted_page(&places, sort, 0, usize::MAX);
        }
        let pick = |place: &Place| {
            let (row, jail) = (*view.row(*place), view.jail(*place));
            let text = jail.filter(|_| row.text().is_some()).map(|jail| jail.text(&row).into());
            Picked { row, jail: jail.map(|_| place.0), text }
        };
        places.iter().map(pick).collect()
    }

    /// Writes some more bans of the jails. True at the end.
    fn push_some(&mut self, ctx: &Ctx, body: &mut Vec<u8>) -> bool {
        let view = View { held: &ctx.banned.held, set: &[] };
        let mut left = WRITTEN;
        for (at, jail) in pick::of_jails(view.held, &self.wanted) {
            let from = match &self.behind {
                Some((name, key)) if name == jail.name() => jail.rows().partition_point(|row| row.end_key() <= *key),
                // Jails that were written before it are in front of it in the table.
                Some((name, _)) if view.held.jails()[at..].iter().any(|other| other.name() == name) => continue,
                _ => 0,
            };
            for (index, row) in jail.rows().iter().enumerate().skip(from) {
                if left == 0 {
                    return false;
                }
                push(ctx, view, (at as u32, index as u32), self.written == 0, body);
                self.behind = Some((jail.name().to_owned(), row.end_key()));
                (left, self.written) = (left - 1, self.written + 1);
            }
        }
        true
    }

    /// Writes some more entries of the set. True at the end.
    fn push_some_of_set(&mut self, ctx: &Ctx, body: &mut Vec<u8>) -> Result<bool, ApiError> {
        let Some(set) = self.set.as_ref().filter(|_| self.wanted.takes_jail(BLOCKLIST_JAIL)) else { return Ok(true) };
        let (now, end) = (time::now(), self.set_at + WRITTEN);
        let (mut next, mut rows) = (None, Vec::new());
        let visit = &mut |index: usize, entry: Entry| {
            if index >= end {
                next = Some(index);
                return false;
            }
            if i64::from(entry.until) > now {
                rows.push(Row::of_net(&entry.net, entry.since, entry.until, None));
            }
            true
        };
        set.each(self.set_at, visit).map_err(|error| ApiError::internal(error.to_string()))?;
        let view = View { held: &ctx.banned.held, set: &rows };
        for index in 0..rows.len() {
            push(ctx, view, (SET, index as u32), self.written == 0, body);
            self.written += 1;
        }
        self.set_at = next.unwrap_or(usize::MAX);
        Ok(next.is_none())
    }

    fn end(&self, ctx: &Ctx, body: &mut Vec<u8>, total: u64, page: Option<Page>) {
        let mut end = serde_json::json!({ "total": total, "as_of": self.as_of(ctx) });
        let pagination = page.map_or_else(|| Pagination::whole(total), |page| page.describe(total));
        end["pagination"] = serde_json::json!(pagination);
        body.extend_from_slice(b"],");
        body.extend_from_slice(&end.to_string().as_bytes()[1..]);
    }
}

fn push(ctx: &Ctx, view: View<'_>, place: Place, is_first: bool, body: &mut Vec<u8>) {
    let (row, jail) = (view.row(place), view.jail(place));
    let name = jail.map_or(BLOCKLIST_JAIL, |jail| jail.name());
    push_ban(ctx, row, name, jail.map_or("", |jail| jail.text(row)), is_first, body);
}

/// Writes a ban; `text` is what it bans where that is no address.
fn push_ban(ctx: &Ctx, row: &Row, jail: &str, text: &str, is_first: bool, body: &mut Vec<u8>) {
    let ip = row.net().map_or_else(|| text.to_owned(), |net| net.to_string());
    if !is_first {
        body.push(b',');
    }
    let own = ctx.own_bans.get(jail, &ip);
    let ban = ActiveBan {
        note: own.map(|own| &*own.note).filter(|note| !note.is_empty()),
        actor: own.map(|own| ShownActor { kind: own.actor.kind(), name: own.actor.name() }),
        own_end: own.is_some_and(|own| own.until.is_some()),
        jail,
        banned_at: row.since().map(rfc3339),
        expires_at: row.until().map(rfc3339),
        ban_count: row.count(),
        country: row.country().or_else(|| ctx.place_of(&ip).country),
        origin: Origin::of(jail),
        ip: &ip,
    };
    serde_json::to_writer(body, &ban).expect("texts and numbers are JSON, and a Vec takes them");
}
