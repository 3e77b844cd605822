//! The list of what is never banned: entries are added, changed and taken away, and fail2ban is kept in line with it.
//!
//! An entry is written down first; then a child brings files, running jails and bans in line with the whole list. So whatever is killed in
//! between, the next look completes it. To put somebody on the list from elsewhere, `add` is enough: what it lifts comes with its outcome.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{apply, imports};
use crate::app::code::Code;
use crate::app::{ApiError, Ctx, Job};
use crate::domain::address::IpOrNet;
use crate::domain::audit::{Entry, What};
use crate::domain::json;
use crate::domain::never_ban::{MOST, NeverBan, State, Told, Who};
use crate::domain::time;
use crate::jobs::Task;
use crate::jobs::never_ban::{KeepNeverBan, Kept};
use crate::server::response::Response;
use crate::store;

/// How often names are looked up again, and files and jails compared.
const LOOK: Duration = Duration::from_secs(600);
/// How soon it is tried again, where it is not in force as it should be.
const AGAIN: Duration = Duration::from_secs(20);

/// An entry as somebody wants it.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Who.
    pub who: Who,
    /// In which jails; none for all.
    pub jails: Vec<String>,
    /// Why; one line.
    pub note: String,
    /// Until when, in Unix seconds; `None` for ever.
    pub until: Option<i64>,
}

/// What became of a change of the list.
#[derive(Debug)]
pub struct Outcome {
    /// The entry, as it is now, or as it was.
    pub entry: NeverBan,
    /// Jail and address of the bans that were lifted.
    pub lifted: Bans,
    /// What is to be said, a sentence each.
    pub warnings: Vec<String>,
}

/// Jail and address of bans.
type Bans = Vec<(String, String)>;

/// What follows a change.
type Then = Box<dyn FnOnce(&mut Ctx, Outcome) -> Result<Response, ApiError>>;

/// 409 for an entry that would let in everybody, or whole parts of the world.
pub fn demand_narrow(who: &Who) -> Result<(), ApiError> {
    let Who::Net(net) = who else { return Ok(()) };
    match net.too_much() {
        Some(("too_wide", what)) => {
            let detail =
                format!("{net} is {what}: nobody in it would ever be banned. Use force to add it all the same.");
            Err(ApiError::new(Code::Conflict, detail).with("entry", net.to_string()).with("reason", "too_wide"))
        }
        _ => Ok(()),
    }
}

/// Puts somebody on the list, in the name of whoever is acting, and lets him out.
pub fn add(ctx: &mut Ctx, wanted: Wanted, then: Then) -> Result<Job, ApiError> {
    demand_new(ctx, &wanted, None)?;
    if ctx.never_ban.is_full() {
        let detail = format!("Never-ban limit reached ({MOST}/{MOST}). Delete an entry that is not used.");
        return Err(ApiError::new(Code::LimitReached, detail));
    }
    let mut entry = NeverBan {
        id: 0,
        entry: wanted.who.to_string(),
        jails: wanted.jails,
        note: wanted.note,
        until: wanted.until,
        at: time::now(),
        actor: ctx.acting.actor.clone(),
        state: State::New,
    };
    entry.id = ctx.store.add_never_ban(&entry)?;
    ctx.never_ban.put(entry.clone());
    let id = entry.id;
    let told = Entry::new(What::NeverBanAdded, &entry.entry).differing(&Value::Null, &told_of(&entry), &["entry"]);
    Ok(job(ctx, entry, told, then)?.undone_by(move |ctx| undone(ctx, id, None)))
}

/// The same of somebody who may be on the list already: then the entry holds in all of the jails, the old and the new, and for the longer time;
/// and he is let out all the same.
pub fn add_or_widen(ctx: &mut Ctx, mut wanted: Wanted, then: Then) -> Result<Job, ApiError> {
    let Some(entry) = ctx.never_ban.named(&wanted.who.to_string()).cloned() else { return add(ctx, wanted, then) };
    if entry.jails.is_empty() || wanted.jails.is_empty() {
        wanted.jails.clear();
    } else {
        let others = entry.jails.into_iter().filter(|jail| !wanted.jails.contains(jail));
        wanted.jails.extend(others.collect::<Vec<_>>());
    }
    wanted.until = entry.until.zip(wanted.until).map(|(one, other)| one.max(other));
    if wanted.note.is_empty() {
        wanted.note = entry.note;
    }
    changed(ctx, entry.id, wanted, true, then)
}

/// Gives an entry other values.
pub fn change(ctx: &mut Ctx, id: i64, wanted: Wanted, then: Then) -> Result<Job, ApiError> {
    changed(ctx, id, wanted, false, then)
}

/// Gives an entry other values; `lets_out`: whoever is on it is let out although it says the same.
fn changed(ctx: &mut Ctx, id: i64, wanted: Wanted, lets_out: bool, then: Then) -> Result<Job, ApiError> {
    let before = one(ctx, id)?;
    demand_new(ctx, &wanted, Some(id))?;
    let mut entry = before.clone();
    (entry.entry, entry.jails) = (wanted.who.to_string(), wanted.jails);
    (entry.note, entry.until) = (wanted.note, wanted.until);
    let is_told = before.told() != entry.told();
    if is_told || lets_out {
        entry.state = State::New;
    }
    let going = ctx.store.change_never_ban(&entry, is_told.then_some(&before))?;
    ctx.never_ban.put(entry.clone());
    if let Some(going) = going {
        ctx.never_ban.put(NeverBan { id: going, state: State::Going, ..before.clone() });
    }
    let told = Entry::new(What::NeverBanAdded, &before.entry).differing(&told_of(&before), &told_of(&entry), &[]);
    Ok(job(ctx, entry, told, then)?.undone_by(move |ctx| undone(ctx, id, Some(before))))
}

/// Takes an entry off the list: whoever it names can be banned again.
pub fn remove(ctx: &mut Ctx, id: i64, then: Then) -> Result<Job, ApiError> {
    let entry = one(ctx, id)?;
    set_state(ctx, &[id], State::Going)?;
    // What no child has done is done by the next look.
    let told = Entry::new(What::NeverBanRemoved, &entry.entry);
    job(ctx, entry, told, then)
}

/// What the audit tells of an entry.
fn told_of(entry: &NeverBan) -> Value {
    let until = entry.until.map(time::rfc3339);
    serde_json::json!({ "entry": entry.entry, "jails": entry.jails, "note": entry.note, "until": until })
}

/// The entry of this number.
pub fn one(ctx: &Ctx, id: i64) -> Result<NeverBan, ApiError> {
    ctx.never_ban.get(id).cloned().ok_or_else(|| unknown(&id.to_string()))
}

/// 404.
pub fn unknown(text: &str) -> ApiError {
    let detail = format!("No entry {text} is on the never-ban list; GET /api/v1/never-ban has all of them.");
    ApiError::new(Code::NeverBanNotFound, detail)
}

/// The entry that keeps `target` from being banned in one of these jails, or in any where none is named.
pub fn keeps<'a>(ctx: &'a Ctx, target: &'a IpOrNet, jails: &[&str]) -> Option<&'a NeverBan> {
    let holds = |entry: &&NeverBan| entry.jails.is_empty() || jails.iter().any(|jail| entry.holds_in(jail));
    ctx.never_ban.covering(target).find(holds)
}

/// 409 where the list has it already.
fn demand_new(ctx: &Ctx, wanted: &Wanted, id: Option<i64>) -> Result<(), ApiError> {
    match ctx.never_ban.named(&wanted.who.to_string()) {
        Some(entry) if Some(entry.id) != id => {
            let detail = format!("{} is on the never-ban list already; change that entry.", entry.entry);
            Err(ApiError::new(Code::Conflict, detail).with("id", entry.id).with("reason", "exists"))
        }
        _ => Ok(()),
    }
}

/// A change that no child has brought into force is none.
fn undone(ctx: &mut Ctx, id: i64, before: Option<NeverBan>) {
    let done = match before {
        Some(before) => ctx.store.change_never_ban(&before, None).map(|_| ctx.never_ban.put(before)),
        None => set_state(ctx, &[id], State::Going),
    };
    ctx.never_ban.due = Some(Instant::now());
    if let Err(error) = done {
        log::warn!("a change of the never-ban list that was not made cannot be taken back: {error}");
    }
}

fn set_state(ctx: &mut Ctx, ids: &[i64], state: State) -> Result<(), store::Error> {
    ctx.store.set_never_ban_state(ids, state)?;
    for id in ids {
        if let Some(entry) = ctx.never_ban.get(*id).cloned() {
            ctx.never_ban.put(NeverBan { state, ..entry });
        }
    }
    Ok(())
}

/// A job that brings the list into force, which is told by `told`; `then` answers for `entry`.
fn job(ctx: &mut Ctx, entry: NeverBan, told: Entry, then: Then) -> Result<Job, ApiError> {
    let names = match entry.entry.parse() {
        Ok(Who::Name(name)) if entry.state == State::New => vec![name],
        _ => Vec::new(),
    };
    forget_own_bans(ctx, &entry);
    let named = if entry.state == State::New { entry.jails.clone() } else { Vec::new() };
    let (task, moving) = task(ctx, names, named)?;
    Ok(Job::new(task, move |ctx, outcome| {
        let kept = json::from_tree(outcome).map_err(ApiError::internal)?;
        let (lifted, mut warnings) = finished(ctx, moving, kept)?;
        ctx.note(&told);
        if ctx.never_ban.not_found.contains(&entry.entry) {
            warnings.push(format!("{} has no address now; it is looked up again.", entry.entry));
        }
        let entry = ctx.never_ban.get(entry.id).cloned().unwrap_or(entry);
        then(ctx, Outcome { entry, lifted, warnings })
    })
    .detached())
}

/// What is let out is not made again: it is forgotten before it is lifted.
fn forget_own_bans(ctx: &mut Ctx, entry: &NeverBan) {
    let Ok(Who::Net(net)) = entry.entry.parse() else { return };
    if entry.state == State::New {
        for (jail, ip) in ctx.own_bans.names() {
            if entry.holds_in(&jail) && ip.parse::<IpOrNet>().is_ok_and(|banned| banned.overlaps(&net)) {
                ctx.note_lift(Some(&jail), Some(&[ip.to_string()]), "It is never banned now.");
            }
        }
    }
}

/// The numbers of what is on its way while a child works.
struct Moving {
    new: Vec<i64>,
    going: Vec<i64>,
}

/// The task, with what is on its way.
fn task(ctx: &mut Ctx, names: Vec<String>, named: Vec<String>) -> Result<(Task, Moving), ApiError> {
    let (new, going) = (ctx.never_ban.moving(State::New), ctx.never_ban.moving(State::Going));
    let moving =
        Moving { new: new.iter().map(|own| own.id).collect(), going: going.iter().map(|own| own.id).collect() };
    let mut pending = BTreeMap::new();
    for one in ctx.run_time()? {
        if let Some(list) = one.values.ignore_ips {
            pending.insert(one.jail, list);
        }
    }
    let told = |list: Vec<NeverBan>| list.iter().map(NeverBan::told).collect::<Vec<Told>>();
    // What is lifted by fail2ban is lifted there; an import goes on meanwhile and looks after the rest.
    let tend = if new.is_empty() { None } else { Some(imports::tend_task(ctx, None)?) };
    let task = Task::KeepNeverBan(Box::new(KeepNeverBan {
        apply: apply::files_task(ctx),
        gone: told(going),
        new: told(new),
        known: ctx.never_ban.addresses.clone(),
        names,
        pending,
        named,
        tend,
    }));
    ctx.never_ban.jails = ctx.known_jails.clone();
    // Where it comes to no end, it is tried again.
    ctx.never_ban.due = Some(Instant::now() + AGAIN);
    Ok((task, moving))
}

/// Remembers what a child has done; gives the bans that it has lifted, and what is to be said.
fn finished(ctx: &mut Ctx, moving: Moving, kept: Kept) -> Result<(Bans, Vec<String>), ApiError> {
    let mut warnings = kept.problems.clone();
    if let Some(applied) = &kept.applied {
        apply::remember(ctx, applied, None)?;
        warnings.extend(applied.warnings.clone());
    }
    let names = ctx.never_ban.names();
    let is_named = |name: &String| names.contains(name);
    if kept.addresses != ctx.never_ban.addresses {
        ctx.tending.hurry();
    }
    ctx.never_ban.addresses = kept.addresses.into_iter().filter(|(name, _)| is_named(name)).collect();
    ctx.never_ban.not_found = kept.not_found.into_iter().filter(is_named).collect();
    if kept.jails.is_some() {
        let new: Vec<i64> = moving.new.into_iter().filter(|id| ctx.never_ban.get(*id).is_some()).collect();
        set_state(ctx, &new, State::InForce)?;
    }
    if kept.problems.is_empty() {
        ctx.store.forget_never_ban(&moving.going)?;
        moving.going.iter().for_each(|id| ctx.never_ban.take(*id));
    }
    for (jail, ip) in &kept.lifted {
        ctx.note_lift(Some(jail), Some(&[ip.to_string()]), "It is never banned now.");
        ctx.banned.held.distrust_jail(jail);
    }
    if let Some(tended) = kept.tended {
        warnings.extend(imports::tended(ctx, tended));
    }
    let problem = kept.problems.first().cloned();
    if let Some(problem) = problem.as_ref().filter(|_| problem != ctx.never_ban.problem) {
        log::warn!("the never-ban list: {problem}");
    }
    let wait = if problem.is_some() { AGAIN } else { LOOK };
    let is_wanted = problem.is_some() || ctx.never_ban.entries().next().is_some();
    ctx.never_ban.due = is_wanted.then(|| Instant::now() + wait);
    ctx.never_ban.problem = problem;
    Ok((kept.lifted, warnings))
}

/// Ends entries whose time is over, and has a child compare fail2ban with the list, where that is due or the jails are others.
pub fn tend_when_due(ctx: &mut Ctx, daemon_is_free: bool, now: Instant) -> Result<(), ApiError> {
    let over = ctx.never_ban.over(time::now());
    if !over.is_empty() {
        set_state(ctx, &over, State::Going)?;
        ctx.never_ban.due = Some(now);
    }
    let are_others = ctx.snapshot.online && ctx.never_ban.jails != ctx.known_jails;
    let is_due = ctx.never_ban.due.is_some_and(|due| due <= now || are_others);
    if !is_due || !daemon_is_free || imports::keeps_daemon_busy(ctx) {
        return Ok(());
    }
    let names = ctx.never_ban.names();
    let (task, moving) = task(ctx, names, Vec::new())?;
    ctx.background.push(Job::new(task, |ctx, outcome| {
        let kept = json::from_tree::<Kept>(outcome).map_err(ApiError::internal)?;
        finished(ctx, moving, kept)?;
        Ok(Response::no_content())
    }));
    Ok(())
}

/// The list for an answer: an entry as the API shows it.
pub fn described(ctx: &Ctx, entry: &NeverBan) -> Value {
    let who = entry.entry.parse();
    let kind = match &who {
        Ok(Who::Net(net)) if net.is_network() => "network",
        Ok(Who::Net(_)) => "address",
        _ => "name",
    };
    let addresses = match &who {
        Ok(Who::Name(name)) => ctx.never_ban.addresses.get(name).cloned().unwrap_or_default(),
        _ => Vec::new(),
    };
    let actor = serde_json::json!({ "kind": entry.actor.kind(), "name": entry.actor.name() });
    serde_json::json!({
        "id": entry.id,
        "entry": entry.entry,
        "kind": kind,
        "jails": entry.jails,
        "note": entry.note,
        "until": entry.until.map(time::rfc3339),
        "created_at": time::rfc3339(entry.at),
        "actor": actor,
        "addresses": addresses,
        "in_force": entry.state == State::InForce && ctx.never_ban.problem.is_none(),
        "source": null,
    })
}
