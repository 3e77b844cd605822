//! Many bans made or lifted with one request, and what became of each.

use std::collections::HashSet;
use std::rc::Rc;
use std::time::Instant;

use serde::Serialize;
use serde_json::{Value, json};

use super::bans::{listed, note_field, unbanned_in, waits_for_archive};
use crate::app::guard::Guard;
use crate::app::input::Fields;
use crate::app::own_bans::{Noted, Settled};
use crate::app::{ApiError, Ctx, Job, Outcome, Request, Step};
use crate::domain::address::IpOrNet;
use crate::domain::audit::{self, Entry};
use crate::domain::json;
use crate::domain::names::{JailName, Running};
use crate::domain::own_ban::{NEVER, OwnBan};
use crate::domain::time::{self, rfc3339};
use crate::jobs::Task;
use crate::jobs::bulk::{Bulk, Done, What, fate};
use crate::server::response::Response;

/// The most addresses that one request may name.
const MOST: usize = 10_000;
/// Bans that are noted in one step: with notes of 500 characters, 250 kept the others waiting for 55 ms.
const NOTED: usize = 100;
/// The longest part of what was sent for an address that an answer shows, in characters.
const SHOWN: usize = 60;

/// `BulkResult` of the contract: what became of one address.
#[derive(Debug, Serialize)]
struct Item {
    ip: String,
    /// Empty until it is known.
    result: &'static str,
    reason: Option<&'static str>,
    detail: Option<String>,
}

impl Item {
    fn open(ip: String) -> Item {
        Item { ip, result: "", reason: None, detail: None }
    }

    fn invalid(at: usize, text: &str, why: &str) -> Item {
        let ip: String = text.chars().take(SHOWN).collect();
        Item { ip, result: "invalid", reason: None, detail: Some(format!("ips.{at}: {why}")) }
    }
}

/// `POST /api/v1/bans/bulk`
pub fn ban(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let mut fields = request.fields()?;
    let texts = texts(&mut fields);
    let jail: Option<String> = fields.required("jail");
    let force = fields.optional("force").unwrap_or(false);
    let duration = fields.duration("duration");
    let note: Rc<str> = note_field(&mut fields).into();
    fields.finish()?;
    let Running(jail) = jail.unwrap_or_default().parse()?;
    request.admitted.demand_jail(jail.as_str())?;
    let guard = Guard::new(ctx, request.admitted.client, &[jail.as_str()]);
    let judge = |(at, text): (usize, &String)| match text.parse().and_then(IpOrNet::bannable) {
        Err(error) => Item::invalid(at, text, &ApiError::from(error).detail),
        Ok(net) => match guard.refuses(&net).filter(|_| !force) {
            None => Item::open(net.to_string()),
            Some((reason, what)) => {
                let detail = Some(format!("{what}."));
                Item { result: "protected", reason: Some(reason), detail, ip: net.to_string() }
            }
        },
    };
    let items: Vec<Item> = texts.iter().enumerate().map(judge).collect();
    // Nothing is noted where there is no such jail.
    ctx.daemon.counters(&jail)?;
    let at = time::now();
    let until = duration.map(|seconds| if seconds < 0 { NEVER } else { at + seconds });
    let is_paused = ctx.store.jail_idle(jail.as_str())?.unwrap_or(false);
    let actor = request.admitted.actor();
    let name = jail.to_string();
    let notes = move |ctx: &mut Ctx, ips: &[String]| {
        let own = |ip: &String| OwnBan {
            jail: name.clone(),
            ip: ip.clone(),
            at,
            until,
            note: Rc::clone(&note),
            actor: actor.clone(),
        };
        Noted { gone: ctx.note_own_bans(ips.iter().map(own).collect()), lifts: Vec::new() }
    };
    let what = What::Ban { jail: jail.to_string(), until, is_paused, force };
    let work = Work { items, jail: Some(jail.to_string()), until, is_ban: true };
    Ok(steps(work, what, Box::new(notes)))
}

/// `POST /api/v1/bans/bulk/remove`
pub fn remove(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let mut fields = request.fields()?;
    let texts = texts(&mut fields);
    let jail: Option<String> = fields.optional::<Option<String>>("jail").flatten();
    let note = note_field(&mut fields);
    fields.finish()?;
    let jail = unbanned_in(request, jail.as_deref())?;
    let judge = |(at, text): (usize, &String)| match listed(text) {
        Ok(text) => Item::open(text),
        Err(error) => Item::invalid(at, text, &error.detail),
    };
    let items: Vec<Item> = texts.iter().enumerate().map(judge).collect();
    if waits_for_archive(ctx, request) {
        return Ok(Outcome::AfterArchive);
    }
    // Before they are lifted: whatever is killed in between, they are not made again.
    let of_jail = jail.as_ref().filter(|jail| !jail.is_taken()).map(JailName::to_string);
    let notes = move |ctx: &mut Ctx, ips: &[String]| ctx.note_lift(of_jail.as_deref(), Some(ips), &note);
    let what = What::Lift { jail: jail.as_ref().map(JailName::to_string), set: ctx.set_place() };
    let work = Work { items, jail: jail.map(|jail| jail.to_string()), until: None, is_ban: false };
    Ok(steps(work, what, Box::new(notes)))
}

/// The list of a body: texts, and not too many.
fn texts(fields: &mut Fields) -> Vec<String> {
    let values: Vec<Value> = fields.required("ips").unwrap_or_default();
    let is_fitting = (1..=MOST).contains(&values.len());
    fields.check(is_fitting, "ips", "length", "ips: from 1 to 10000 addresses are expected.");
    let mut texts = Vec::new();
    if is_fitting {
        for (at, value) in values.into_iter().enumerate() {
            match value {
                Value::String(text) => texts.push(text),
                _ => fields.check(false, &format!("ips.{at}"), "type", &format!("ips.{at}: a text is expected.")),
            }
        }
    }
    texts
}

/// A request under way.
struct Work {
    items: Vec<Item>,
    jail: Option<String>,
    until: Option<i64>,
    is_ban: bool,
}

/// Notes that some are made or lifted; gives what was noted of them before.
type Notes = Box<dyn FnMut(&mut Ctx, &[String]) -> Noted>;

/// Notes them a few at a time, then has a child do it.
fn steps(work: Work, what: What, mut notes: Notes) -> Outcome {
    let sent = work.items.iter().filter(|item| item.result.is_empty());
    let mut sent: Vec<String> = sent.map(|item| item.ip.clone()).collect();
    let (mut at, mut before, mut is_begun) = (0, Noted::default(), sent.len() <= NOTED);
    let mut rest = Some((work, what));
    Outcome::Steps(Box::new(move |ctx| {
        // Where there is no place for another step, nothing is noted yet.
        if !std::mem::replace(&mut is_begun, true) {
            return Ok(Step::More);
        }
        let some = &sent[at..sent.len().min(at + NOTED)];
        before.add(notes(ctx, some));
        at += some.len();
        if at < sent.len() {
            return Ok(Step::More);
        }
        let Some((work, what)) = rest.take() else { return Err(ApiError::internal("a step too many")) };
        let (sent, before) = (std::mem::take(&mut sent), std::mem::take(&mut before));
        Ok(Step::Job(Box::new(work.job(ctx, sent, what, before))))
    }))
}

impl Work {
    /// Jail and address of bans.
    fn names(&self, ips: &[String]) -> Vec<(String, String)> {
        let jail = self.jail.as_deref().filter(|_| self.is_ban);
        ips.iter().filter_map(|ip| Some((jail?.to_owned(), ip.clone()))).collect()
    }

    fn job(self, ctx: &Ctx, sent: Vec<String>, what: What, before: Noted) -> Job {
        let kept = before.gone.clone();
        let task = Task::Bulk(Bulk { socket: ctx.fail2ban_socket().to_owned(), texts: sent.clone(), what });
        Job::new(task, move |ctx, done| {
            let done: Done = json::from_tree(done).map_err(ApiError::internal)?;
            let ignored: HashSet<usize> = done.ignored.iter().map(|(at, _)| *at).collect();
            let fate = |at: usize| done.fates.as_bytes().get(at).copied().unwrap_or(fate::NOT_DONE);
            let is_done = |at: &usize| fate(*at) != fate::NOT_DONE && !ignored.contains(at);
            let (made, not_made): (Vec<usize>, Vec<usize>) = (0..sent.len()).partition(is_done);
            let of = |places: &[usize]| places.iter().map(|at| sent[*at].clone()).collect::<Vec<String>>();
            // One that was there already and has no time of its own now is as it was.
            let is_as_it_was = |at: &usize| self.until.is_none() && fate(*at) == fate::WAS_BANNED;
            let (unchanged, made): (Vec<usize>, Vec<usize>) = made.into_iter().partition(is_as_it_was);
            let (made, unchanged, not_made) = (of(&made), of(&unchanged), of(&not_made));
            // What lifted nothing leaves no note.
            let lifted_nothing = |(at, id): (usize, i64)| (fate(at) != fate::LIFTED).then_some(id);
            let lifts = before.lifts.into_iter().enumerate().filter_map(lifted_nothing).collect();
            let among: HashSet<&str> = not_made.iter().map(String::as_str).collect();
            let gone = before.gone.into_iter().filter(|ban| among.contains(ban.ip.as_str())).collect();
            ctx.settle_many_own_bans(Settled {
                not_made: self.names(&not_made),
                made: self.names(&made),
                unchanged: self.names(&unchanged),
                before: Noted { lifts, gone },
            });
            match &self.jail {
                Some(jail) => ctx.banned.held.distrust_jail(jail),
                None => ctx.distrust_bans(),
            }
            Ok(self.answer(ctx, done)?.warning(ctx.late.warning()))
        })
        // What it has done before it failed is not known: what is noted is compared with what the daemon has.
        .undone_by(|ctx| {
            let before = Noted { lifts: Vec::new(), gone: kept };
            ctx.settle_many_own_bans(Settled { before, ..Settled::default() });
            ctx.own_bans.look_again(Instant::now());
        })
        .detached()
    }

    /// What became of each, and how many of each kind.
    fn answer(mut self, ctx: &mut Ctx, done: Done) -> Result<Response, ApiError> {
        let mut fates = done.fates.bytes().enumerate();
        let mut ignored = done.ignored.into_iter().peekable();
        for (place, item) in self.items.iter_mut().enumerate() {
            if !item.result.is_empty() {
                continue;
            }
            let (at, fate) = fates.next().unwrap_or((0, fate::NOT_DONE));
            item.result = match fate {
                fate::BANNED => "banned",
                fate::WAS_BANNED => "was_banned",
                fate::LIFTED => "unbanned",
                fate::IGNORED => "protected",
                fate::NOT_BANNED => "not_banned",
                _ => "not_done",
            };
            if let Some((_, entry)) = ignored.next_if(|(ignored, _)| *ignored == at) {
                let jail = self.jail.as_deref().unwrap_or_default();
                item.reason = Some("ignored");
                item.detail = Some(format!("{} is on the ignore list of {jail} ({entry}).", item.ip));
            }
            // What the daemon lists can be lifted, whatever it is; what it does not list has to be an address.
            if fate == fate::NOT_BANNED && item.ip.parse::<IpOrNet>().is_err() {
                *item = Item::invalid(place, &item.ip, super::bans::NO_ADDRESS);
            }
        }
        let kinds: &[&str] = match self.is_ban {
            true => &["banned", "was_banned", "protected", "invalid", "not_done"],
            false => &["unbanned", "not_banned", "invalid", "not_done"],
        };
        let count = |kind: &str| self.items.iter().filter(|item| item.result == kind).count();
        let counts: Vec<(&str, usize)> = kinds.iter().map(|kind| (*kind, count(kind))).collect();
        let stopped = done.failure.map(ApiError::from);
        let sentence = self.sentence(&counts, stopped.as_ref(), done.is_cancelled);
        // One event, however many they are.
        if counts.first().is_some_and(|(_, count)| *count > 0) {
            let what = if self.is_ban { audit::What::Ban } else { audit::What::Unban };
            let names: Vec<&str> = self.items.iter().map(|item| item.ip.as_str()).take(2).collect();
            let target = match self.items.len() {
                0..=2 => names.join(", "),
                count => format!("{} and {} more", names[0], count - 1),
            };
            ctx.note(&Entry::new(what, target).saying(&sentence));
        }
        let counts: serde_json::Map<String, Value> =
            counts.into_iter().map(|(kind, count)| (kind.to_owned(), count.into())).collect();
        let mut body = json!({
            "message": sentence,
            "jail": self.jail.as_deref().unwrap_or("*"),
            "total": self.items.len(),
            "counts": counts,
            "cancelled": done.is_cancelled,
            "stopped": stopped.map(|error| json!({ "code": error.code, "detail": error.detail })),
        });
        if self.is_ban {
            let until = self.until.filter(|until| *until != NEVER).map(rfc3339);
            body["until"] = json!(until);
        }
        let mut text = body.to_string().into_bytes();
        text.pop();
        text.extend_from_slice(br#","results":"#);
        serde_json::to_writer(&mut text, &self.items).expect("texts are JSON, and a Vec takes them");
        text.push(b'}');
        Ok(Response::json_bytes(200, text))
    }

    fn sentence(&self, counts: &[(&str, usize)], stopped: Option<&ApiError>, is_cancelled: bool) -> String {
        let place = self.jail.as_ref().map_or_else(String::new, |jail| format!(" in {jail}"));
        let end = match self.until {
            Some(NEVER) => " for ever".to_owned(),
            Some(until) => format!(" until {}", rfc3339(until)),
            None => String::new(),
        };
        let told = |(kind, count): &(&str, usize)| match *kind {
            "banned" => Some(format!("{count} banned{place}{end}")),
            "unbanned" => Some(format!("{count} let out{place}")),
            _ if *count == 0 => None,
            "was_banned" => Some(format!("{count} banned already")),
            "not_banned" => Some(format!("{count} not banned")),
            "not_done" => Some(format!("{count} left as they were")),
            kind => Some(format!("{count} {kind}")),
        };
        let parts: Vec<String> = counts.iter().filter_map(told).collect();
        let end = match (stopped, is_cancelled) {
            (Some(error), _) => format!(" It stopped early: {}", error.detail),
            (None, true) => " It was cancelled.".to_owned(),
            (None, false) => String::new(),
        };
        let noun = if self.items.len() == 1 { "address" } else { "addresses" };
        format!("{} {noun}: {}.{end}", self.items.len(), parts.join(", "))
    }
}
