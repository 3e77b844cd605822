//! Bans: made and removed; listed in `banned.rs`.

use serde_json::{Value, json};

use crate::app::banned::CatchUp;
use crate::app::code::Code;
use crate::app::guard::Guard;
use crate::app::input::Fields;
use crate::app::{ApiError, Ctx, Job, Outcome, Request};
use crate::domain::address::IpOrNet;
use crate::domain::audit::{Entry, What};
use crate::domain::json;
use crate::domain::names::{JailName, Running};
use crate::domain::own_ban::{LONGEST_NOTE, NEVER, OwnBan};
use crate::domain::time::{self, rfc3339};
use crate::fail2ban;
use crate::jobs::own_bans::{self, Made};
use crate::jobs::{Task, bans};
use crate::server::response::Response;

/// The longest text that can be the name of something banned, in bytes.
const LONGEST_BANNED: usize = 256;

/// The most jails that one request may ban in.
const MOST_JAILS: usize = 100;

/// What the body of a ban asks for.
struct Wanted {
    target: IpOrNet,
    jails: Vec<JailName>,
    force: bool,
    /// Seconds, -1 for ever.
    duration: Option<i64>,
    note: String,
}

/// `POST /api/v1/bans`
pub fn ban(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let Wanted { target, jails, force, duration, note } = wanted(request, true)?;
    jails.iter().try_for_each(|jail| request.admitted.demand_jail(jail.as_str()))?;
    if !force {
        Guard::new(ctx, request.admitted.client, &names_of(&jails)).check(&target)?;
    }
    let (at, ip) = (time::now(), target.to_string());
    let until = duration.map(|seconds| if seconds < 0 { NEVER } else { at + seconds });
    let own = |jail: &JailName| OwnBan {
        jail: jail.to_string(),
        ip: ip.clone(),
        at,
        until,
        note: note.as_str().into(),
        actor: request.admitted.actor(),
    };
    let noted: Vec<OwnBan> = jails.iter().map(own).collect();
    let names: Vec<(String, String)> = noted.iter().map(|ban| (ban.jail.clone(), ip.clone())).collect();
    let mut paused = Vec::new();
    for jail in &jails {
        paused.push((jail.to_string(), ctx.store.jail_idle(jail.as_str())?.unwrap_or(false)));
    }
    let before = ctx.note_own_bans(noted);
    let socket = ctx.fail2ban_socket().to_owned();
    let task = Task::Ban(own_bans::Ban { socket, jails: paused, ip: ip.clone(), force, seconds: duration });
    let (undone, kept) = (names.clone(), before.clone());
    let finish = move |ctx: &mut Ctx, made| {
        let made: Vec<Made> = json::from_tree(made).map_err(ApiError::internal)?;
        let failed = |name: &str| made.iter().any(|one| one.jail == name && one.failure.is_some());
        let (undone, done): (Vec<_>, Vec<_>) = names.into_iter().partition(|(jail, _)| failed(jail));
        let before = before.into_iter().filter(|ban| failed(&ban.jail)).collect();
        ctx.restore_own_bans(&undone, before);
        // One that was there already and has no time of its own now is as it was.
        let was_banned = |name: &str| made.iter().any(|one| one.jail == name && one.was_banned);
        let (unchanged, done): (Vec<_>, Vec<_>) =
            done.into_iter().partition(|(jail, _)| until.is_none() && was_banned(jail));
        ctx.own_bans_unchanged(&unchanged);
        ctx.own_bans_made(&done);
        for one in &made {
            ctx.banned.held.distrust_jail(&one.jail);
        }
        if !done.is_empty() {
            let names: Vec<&str> = done.iter().map(|(jail, _)| jail.as_str()).collect();
            ctx.note(&Entry::new(What::Ban, &ip).saying(banned_in(&names, until, &note)));
        }
        Ok(banned_answer(&ip, until, made)?.warning(ctx.late.warning()))
    };
    Ok(Job::new(task, finish).undone_by(move |ctx| ctx.restore_own_bans(&undone, kept)).detached())
}

/// Where and for how long, for the audit, and why where that was said.
fn banned_in(jails: &[&str], until: Option<i64>, note: &str) -> String {
    format!("In {}{}.{}", jails.join(", "), end_of(until), because(note))
}

/// Until when, in words; nothing where the jail says it.
fn end_of(until: Option<i64>) -> String {
    match until {
        Some(NEVER) => " for ever".to_owned(),
        Some(until) => format!(" until {}", rfc3339(until)),
        None => String::new(),
    }
}

/// A note in the audit.
pub(super) fn because(note: &str) -> String {
    if note.is_empty() { String::new() } else { format!(" Note: {note}") }
}

/// What a body asks for; without a jail where none is needed.
fn wanted(request: &Request, needs_jail: bool) -> Result<Wanted, ApiError> {
    let mut fields = request.fields()?;
    let ip: Option<String> = fields.required("ip");
    let jails: Option<Option<Vec<String>>> = fields.optional("jails");
    let mut names = jails.flatten().unwrap_or_default();
    let jail: Option<String> = if names.is_empty() && needs_jail {
        fields.required("jail")
    } else {
        fields.optional::<Option<String>>("jail").flatten()
    };
    names.extend(jail);
    fields.check(names.len() <= MOST_JAILS, "jails", "length", "jails: at most 100 jails can be named.");
    let force = fields.optional("force").unwrap_or(false);
    let note = note_field(&mut fields);
    let duration = fields.duration("duration");
    fields.finish()?;
    let target: IpOrNet = ip.unwrap_or_default().parse()?;
    let mut jails = Vec::new();
    for name in names {
        let Running(jail) = name.parse()?;
        if !jails.contains(&jail) {
            jails.push(jail);
        }
    }
    Ok(Wanted { target: target.bannable()?, jails, force, duration, note })
}

/// Why something is done, in the words of whoever does it; empty where nobody says.
pub(super) fn note_field(fields: &mut Fields) -> String {
    let note: String = fields.optional::<Option<String>>("note").flatten().unwrap_or_default();
    let is_plain = note.chars().count() <= LONGEST_NOTE && !note.chars().any(char::is_control);
    fields.check(is_plain, "note", "format", "note: at most 500 characters in one line are expected.");
    note.trim().to_owned()
}

/// The answer to a ban, by what became of it in each jail. Where it failed in all, it has failed.
fn banned_answer(ip: &str, until: Option<i64>, made: Vec<Made>) -> Result<Response, ApiError> {
    let end = end_of(until);
    let (mut names, mut sentences, mut results, mut first) = (Vec::new(), Vec::new(), Vec::new(), None);
    let is_one = made.len() == 1;
    for Made { jail, was_banned, ignored_by, failure } in made {
        let Some(failure) = failure else {
            sentences.push(match (was_banned, until) {
                (true, None) => format!("{ip} was already banned in {jail}."),
                _ => format!("{ip} is banned in {jail}{end}."),
            });
            results
                .push(json!({ "jail": jail, "banned": true, "was_banned": was_banned, "detail": null, "code": null }));
            names.push(jail);
            continue;
        };
        let mut error = ApiError::from(failure);
        if let Some(entry) = ignored_by {
            error = error.with("ip", ip).with("reason", "ignored").with("entry", entry);
        }
        sentences.push(format!("{jail}: {}", error.detail));
        let code = error.code.as_str();
        results
            .push(json!({ "jail": jail, "banned": false, "was_banned": false, "detail": error.detail, "code": code }));
        first = first.or(Some(error));
    }
    match first {
        Some(error) if names.is_empty() => Err(error),
        _ if is_one => {
            let body =
                json!({ "message": sentences.concat(), "success": true, "jail": names.concat(), "results": results });
            Ok(Response::json(201, &body))
        }
        _ => {
            let body = json!({ "message": sentences.join(" "), "success": true, "jail": "*", "results": results });
            Ok(Response::json(201, &body))
        }
    }
}

/// `POST /api/v1/bans/check`: what the guard says of a ban that is not made.
pub fn check(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let Wanted { target, jails, .. } = wanted(request, false)?;
    jails.iter().try_for_each(|jail| request.admitted.demand_jail(jail.as_str()))?;
    let refused = Guard::new(ctx, request.admitted.client, &names_of(&jails)).check(&target).err();
    let mut jails = if jails.is_empty() { ctx.daemon.jail_names()? } else { jails };
    jails.retain(|jail| request.admitted.sees(jail.as_str()));
    let mut results = Vec::new();
    for jail in &jails {
        let ignored = match ctx.daemon.ignore_list(jail) {
            Err(fail2ban::Error::NameTaken(_)) => Vec::new(),
            other => other?,
        };
        let entry = target.ignored_by(&ignored);
        let ignored = entry.map(|entry| format!("{target} is on the ignore list of {jail} ({entry})."));
        let reason = entry.map(|_| "ignored");
        results.push(json!({ "jail": jail.as_str(), "reason": reason, "detail": ignored, "entry": entry }));
    }
    let ignoring = results.iter().find(|result| !result["reason"].is_null());
    let (reason, detail) = match (&refused, ignoring) {
        (Some(error), _) => (error.metadata["reason"].clone(), error.detail.clone().into()),
        (None, Some(result)) => (result["reason"].clone(), result["detail"].clone()),
        (None, None) => (Value::Null, Value::Null),
    };
    let body = json!({
        "ip": target.to_string(),
        "allowed": reason.is_null(),
        "reason": reason,
        "detail": detail,
        "jails": results,
    });
    Ok(Response::json(200, &body))
}

fn names_of(jails: &[JailName]) -> Vec<&str> {
    jails.iter().map(JailName::as_str).collect()
}

pub(super) const NO_ADDRESS: &str = "ip must be an IP address, a network, or exactly what fail2ban lists as banned.";

/// `DELETE /api/v1/bans`
pub fn unban(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let Unwanted { ip, jail, everything, note } = unban_input(request)?;
    let jail = unbanned_in(request, jail.as_deref())?;
    let ip = match ip {
        Some(_) if everything => return Err(ApiError::invalid_input("Give ip or unban_all, not both.")),
        None if !everything => {
            return Err(ApiError::of_status(422, Code::InvalidInput, "Give ip, or unban_all to remove every ban.")
                .with(
                    "errors",
                    json!([{ "source_field": "ip", "rule": "required", "detail": "The field \"ip\" is missing." }]),
                ));
        }
        ip => ip.as_deref().map(listed).transpose()?,
    };
    if waits_for_archive(ctx, request) {
        return Ok(Outcome::AfterArchive);
    }
    let task = Task::Unban(bans::Unban {
        socket: ctx.fail2ban_socket().to_owned(),
        jail: jail.as_ref().map(JailName::to_string),
        ip: ip.clone(),
        set: ctx.set_place(),
    });
    let of_jail = jail.as_ref().filter(|jail| !jail.is_taken()).map(JailName::as_str);
    let noted = ctx.note_lift(of_jail, ip.as_ref().map(std::slice::from_ref), &note);
    let undone = noted.clone();
    let done = Job::new(task, move |ctx, count| {
        let place = jail.as_ref().map_or("*", JailName::as_str);
        let count = count.as_u64().unwrap_or(0);
        if count == 0 {
            ctx.undo_lift(noted, false);
        } else {
            let place = if place == "*" { "in all jails" } else { place };
            let detail = format!("Let out of {place}: {count}.{}", because(&note));
            ctx.note(&Entry::new(What::Unban, ip.as_deref().unwrap_or("*")).saying(detail));
        }
        let message = match ip {
            // What the daemon lists can be lifted, whatever it is; what it does not list has to be an address.
            Some(ip) if count == 0 && ip.parse::<IpOrNet>().is_err() => {
                return Err(ApiError::invalid_field("ip", NO_ADDRESS));
            }
            Some(ip) if count == 0 => format!("{ip} was not banned."),
            Some(ip) => format!("{ip} is no longer banned."),
            None => format!("{count} bans were removed."),
        };
        let message = match &jail {
            Some(jail) if jail.is_taken() => {
                format!("{message} This was done in all jails: fail2ban takes '{jail}' for a word of its own.")
            }
            _ => message,
        };
        Ok(command_done(200, message, place).warning(ctx.late.warning()))
    });
    Ok(Outcome::Job(Box::new(done.undone_by(|ctx| ctx.undo_lift(undone, true)).detached())))
}

/// The jail that a lift is for; `None` for all.
pub(super) fn unbanned_in(request: &Request, jail: Option<&str>) -> Result<Option<JailName>, ApiError> {
    if let Some(jail) = jail {
        request.admitted.demand_jail(jail)?;
    }
    let jail = jail.map_or_else(|| request.admitted.only_jail(), |jail| Ok(Some(jail)))?;
    Ok(jail.map(JailName::from_daemon).transpose()?)
}

/// Whether a lift has to wait: it takes with it what the daemon's database has of the address, which the archive is to have first. An archive
/// that takes no writes is not waited for.
pub(super) fn waits_for_archive(ctx: &mut Ctx, request: &Request) -> bool {
    let waits = !request.has_waited && ctx.snapshot.online && !ctx.storage_fails;
    if waits {
        ctx.daemon_log.catch_up = CatchUp::Wanted;
    }
    waits
}

/// What is to be lifted.
struct Unwanted {
    ip: Option<String>,
    jail: Option<String>,
    everything: bool,
    note: String,
}

/// From the body or, where a proxy drops bodies of DELETE, from the query.
fn unban_input(request: &Request) -> Result<Unwanted, ApiError> {
    if request.body.is_empty() {
        let query = request.query();
        let everything = query.get::<bool>("unban_all")?.unwrap_or(false);
        return Ok(Unwanted { ip: query.text("ip")?, jail: query.text("jail")?, everything, note: String::new() });
    }
    let mut fields = request.fields()?;
    let ip: Option<Option<String>> = fields.optional("ip");
    let jail: Option<Option<String>> = fields.optional("jail");
    let everything: Option<Option<bool>> = fields.optional("unban_all");
    let note = note_field(&mut fields);
    fields.finish()?;
    Ok(Unwanted { ip: ip.flatten(), jail: jail.flatten(), everything: everything.flatten().unwrap_or(false), note })
}

/// What to send for a text that is listed as banned: the canonical form of an address, anything else as it is, since
/// whatever somebody had the daemon ban must be removable.
pub(super) fn listed(text: &str) -> Result<String, ApiError> {
    if let Ok(address) = text.parse::<IpOrNet>() {
        return Ok(address.to_string());
    }
    let is_plain = !text.trim().is_empty() && text.len() <= LONGEST_BANNED && !text.chars().any(char::is_control);
    if is_plain && !text.starts_with('-') {
        Ok(text.to_owned())
    } else {
        Err(ApiError::invalid_field("ip", NO_ADDRESS))
    }
}

/// `DELETE /api/v1/bans/all`
pub fn unban_all(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    if waits_for_archive(ctx, request) {
        return Ok(Outcome::AfterArchive);
    }
    let task = Task::Unban(bans::Unban {
        socket: ctx.fail2ban_socket().to_owned(),
        jail: None,
        ip: None,
        set: ctx.set_place(),
    });
    let noted = ctx.note_lift(None, None, "");
    let undone = noted.clone();
    let done = Job::new(task, |ctx, count| {
        let count = count.as_u64().unwrap_or(0);
        if count == 0 {
            ctx.undo_lift(noted, false);
        } else {
            ctx.note(&Entry::new(What::Unban, "*").saying(format!("All bans were removed: {count}.")));
        }
        let body = json!({ "message": format!("{count} bans were removed."), "count": count });
        Ok(Response::json(200, &body).warning(ctx.late.warning()))
    });
    Ok(Outcome::Job(Box::new(done.undone_by(|ctx| ctx.undo_lift(undone, true)).detached())))
}

/// `JailCommandResponse` of the contract.
pub fn command_done(status: u16, message: String, jail: &str) -> Response {
    Response::json(status, &json!({ "message": message, "success": true, "jail": jail }))
}
