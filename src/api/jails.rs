//! The jails the daemon runs: seen and commanded. What the files say of jails is in `config.rs`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::bans::command_done;
use super::jail_config::keep_ignored;
use crate::app::code::Code;
use crate::app::listed::Listed;
use crate::app::{ApiError, Ctx, Job, Outcome, Request};
use crate::apply::Scope;
use crate::domain::address::IpOrNet;
use crate::domain::audit::{Entry, What};
use crate::domain::json;
use crate::domain::names::{JailName, Running};
use crate::domain::never_ban::Who;
use crate::domain::time;
use crate::fail2ban::Error;
use crate::fail2ban::commands::jail::JailSettings;
use crate::fail2ban::commands::{Counters, JailCounters};
use crate::jobs::jail_config::ReadBackends;
use crate::jobs::jail_edits::Ignored;
use crate::jobs::{Task, service};
use crate::server::response::Response;
use crate::services::apply;

/// The longest entry of an ignore list that can be removed, in bytes.
const LONGEST_ENTRY: usize = 256;

/// `GET /api/v1/jails`
pub fn list(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let fields = ["name", "enabled", "running", "idle", "backend", "find_time", "ban_time", "max_retry"];
    let listed = Listed::read(request.query(), &fields)?;
    let mut items = Vec::new();
    let seen = ctx.daemon.all_counters()?;
    ctx.note_restoring(&seen);
    for JailCounters { jail, backend, counters } in
        seen.into_iter().filter(|one| request.admitted.sees(one.jail.as_str()))
    {
        let limits = match ctx.daemon.jail_limits(&jail) {
            // It stopped between the two questions.
            Err(Error::UnknownJail(_)) => continue,
            Err(error @ Error::NameTaken(_)) => {
                items.push(taken(&jail, backend, &counters, &error, &["find_time", "ban_time", "max_retry"]));
                continue;
            }
            other => other?,
        };
        items.push(json!({
            "name": jail.as_str(),
            "enabled": true,
            "running": true,
            "idle": ctx.store.jail_idle(jail.as_str())?,
            "paused_until": ctx.pauses.end(jail.as_str()),
            "backend": backend,
            "find_time": limits.find_time,
            "ban_time": limits.ban_time,
            "max_retry": limits.max_retry,
            "status": status(&counters),
            "restoring": ctx.restoring.of_jail(jail.as_str()),
        }));
    }
    let total = items.len();
    Ok(with_backends(ctx, json!({ "items": items, "total": total }), Some(listed)))
}

/// Adds to jails the backend that the files give them, where the daemon does not tell. A child reads the files.
fn with_backends(ctx: &Ctx, body: Value, listed: Option<Listed>) -> Outcome {
    let reply = move |mut body: Value| {
        if let Some(listed) = &listed {
            listed.shape(&mut body);
        }
        Response::json(200, &body)
    };
    let all = body["items"].as_array().map_or(std::slice::from_ref(&body["jail"]), Vec::as_slice);
    if all.iter().all(|jail| !jail["backend"].is_null()) {
        return Outcome::Answer(reply(body));
    }
    if let Some(backends) = ctx.backends() {
        return Outcome::Answer(reply(named_backends(body, backends)));
    }
    let task = Task::ReadBackends(ReadBackends { config_dir: ctx.config.fail2ban_config.clone() });
    Outcome::Job(Box::new(Job::new(task, move |ctx, read| {
        let backends: BTreeMap<String, String> = json::from_tree(read).map_err(ApiError::internal)?;
        let body = named_backends(body, &backends);
        ctx.set_backends(backends);
        Ok(reply(body))
    })))
}

fn named_backends(mut body: Value, backends: &BTreeMap<String, String>) -> Value {
    let add = |jail: &mut Value| {
        let known = jail["name"].as_str().and_then(|name| backends.get(name)).filter(|backend| !backend.is_empty());
        if let (true, Some(backend)) = (jail["backend"].is_null(), known) {
            jail["backend"] = backend.as_str().into();
        }
    };
    match body.get_mut("items").and_then(Value::as_array_mut) {
        Some(items) => items.iter_mut().for_each(add),
        None => add(&mut body["jail"]),
    }
    body
}

fn status(counters: &Counters) -> Value {
    json!({
        "currently_banned": counters.currently_banned,
        "total_banned": counters.total_banned,
        "currently_failed": counters.currently_failed,
        "total_failed": counters.total_failed,
    })
}

/// `GET /api/v1/jails/{name}`
pub fn detail(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let Running(name) = request.parameter()?;
    let seen = ctx.daemon.counters(&name)?;
    let settings = match ctx.daemon.jail_settings(&name) {
        Err(error @ Error::NameTaken(_)) => {
            let jail = taken(&name, seen.backend, &seen.counters, &error, &UNKNOWN);
            return Ok(with_backends(ctx, json!({ "jail": jail, "ignore_list": null, "ignore_self": null }), None));
        }
        other => other?,
    };
    let ignored = ctx.daemon.ignore_list(&name)?;
    let idle = ctx.store.jail_idle(name.as_str())?;
    let mut shown = jail(&name, idle, &seen, &settings);
    shown["paused_until"] = json!(ctx.pauses.end(name.as_str()));
    let body = json!({
        "jail": shown,
        "ignore_list": ignored,
        "ignore_self": settings.ignore_self,
    });
    Ok(with_backends(ctx, body, None))
}

/// What is unknown of a jail that the daemon cannot be asked about.
const UNKNOWN: [&str; 12] = [
    "log_paths",
    "fail_regex",
    "ignore_regex",
    "date_pattern",
    "log_encoding",
    "find_time",
    "ban_time",
    "max_retry",
    "use_dns",
    "prefregex",
    "actions",
    "bantime_escalation",
];

/// A jail whose name the daemon takes for a word of its own: its counters, and why there is no more.
fn taken(name: &JailName, backend: Option<String>, counters: &Counters, why: &Error, unknown: &[&str]) -> Value {
    let mut jail = json!({
        "name": name.as_str(),
        "enabled": true,
        "running": true,
        "idle": null,
        "backend": backend,
        "status": status(counters),
        "problem": format!("{why}."),
    });
    for field in unknown {
        jail[*field] = Value::Null;
    }
    jail
}

fn jail(name: &JailName, idle: Option<bool>, seen: &JailCounters, settings: &JailSettings) -> Value {
    let mut jail = json!({
        "name": name.as_str(),
        "enabled": true,
        "running": true,
        "idle": idle,
        "backend": seen.backend,
        "log_paths": settings.log_paths,
        "fail_regex": settings.fail_regex,
        "ignore_regex": settings.ignore_regex,
        "date_pattern": settings.date_pattern,
        "log_encoding": settings.log_encoding,
        "find_time": settings.find_time,
        "ban_time": settings.ban_time,
        "max_retry": settings.max_retry,
        "use_dns": settings.use_dns,
        "prefregex": settings.prefregex,
        "actions": settings.actions,
        "bantime_escalation": settings.escalation,
        "status": status(&seen.counters),
        "journal_match": settings.journal_match,
    });
    if let Some(count) = settings.max_matches {
        jail["max_matches"] = count.into();
    }
    if let Some(count) = settings.max_lines {
        jail["max_lines"] = count.into();
    }
    jail
}

/// `POST /api/v1/jails/reload-all`
pub fn reload_all(ctx: &mut Ctx, _request: &Request) -> Result<Job, ApiError> {
    let entry = Entry::new(What::Reload, "*");
    apply::reload_job(ctx, Scope::All, entry, |_| Ok(command_done(200, "All jails were reloaded.".into(), "*")))
}

/// `POST /api/v1/jails/{name}/start`
pub fn start(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let Running(name) = request.parameter()?;
    let entry = Entry::new(What::JailStarted, name.as_str());
    apply::reload_job(ctx, Scope::Jails(vec![name.to_string()]), entry, move |_| {
        Ok(command_done(200, format!("{name} runs."), name.as_str()))
    })
}

/// `POST /api/v1/jails/{name}/reload`
pub fn reload(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let Running(name) = request.parameter()?;
    let entry = Entry::new(What::Reload, name.as_str());
    apply::reload_job(ctx, Scope::Jails(vec![name.to_string()]), entry, move |_| {
        Ok(command_done(200, format!("{name} was reloaded."), name.as_str()))
    })
}

/// `POST /api/v1/jails/{name}/stop`
pub fn stop(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let Running(name) = request.parameter()?;
    let task = Task::StopJail(service::StopJail { socket: ctx.fail2ban_socket().to_owned(), jail: name.to_string() });
    Ok(Job::new(task, move |ctx, stopped| {
        ctx.note_pause(name.as_str(), None, None)?;
        if stopped == Value::Bool(true) {
            ctx.note(&Entry::new(What::JailStopped, name.as_str()));
        }
        let message = if stopped == Value::Bool(true) { "was stopped" } else { "was not running" };
        Ok(command_done(200, format!("{name} {message}."), name.as_str()))
    })
    .detached())
}

/// `POST /api/v1/jails/{name}/idle`
pub fn idle(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let Running(name) = request.parameter()?;
    let on = switch(request)?;
    ctx.pause(&name, on, None)?;
    let message = if on { "is paused" } else { "watches its logs" };
    ctx.note(&Entry::new(What::JailPaused, name.as_str()).saying(format!("It {message}.")));
    Ok(command_done(200, format!("{name} {message}."), name.as_str()))
}

/// `POST /api/v1/jails/{name}/pause`: it rests, and watches its logs again when the time is over.
pub fn pause(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let Running(name) = request.parameter()?;
    let mut fields = request.fields()?;
    let is_there = fields.has_all([&"for".to_owned()]);
    fields.check(is_there, "for", "required", "The field \"for\" is missing.");
    let seconds = fields.duration("for");
    fields.finish()?;
    let until = seconds.filter(|seconds| *seconds >= 0).map(|seconds| time::now().saturating_add(seconds));
    ctx.pause(&name, true, until)?;
    let until = until.map(time::rfc3339);
    let end = until.as_ref().map_or_else(String::new, |until| format!(" until {until}"));
    ctx.note(&Entry::new(What::JailPaused, name.as_str()).saying(format!("It is paused{end}.")));
    let body = json!({ "message": format!("{name} is paused{end}."), "success": true, "jail": name.as_str(), "paused_until": until });
    Ok(Response::json(200, &body))
}

/// `POST /api/v1/jails/{name}/resume`
pub fn resume(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let Running(name) = request.parameter()?;
    ctx.pause(&name, false, None)?;
    ctx.note(&Entry::new(What::JailPaused, name.as_str()).saying("It watches its logs."));
    Ok(command_done(200, format!("{name} watches its logs."), name.as_str()))
}

/// `POST /api/v1/jails/{name}/ignoreself`
pub fn ignore_self(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let Running(name) = request.parameter()?;
    let on = switch(request)?;
    ctx.daemon.set_ignore_self(&name, on)?;
    let message = if on { "ignores" } else { "no longer ignores" };
    let answer = command_done(200, format!("{name} {message} this machine's own addresses."), name.as_str());
    keep_ignored(ctx, &name, Ignored::Own(on), answer)
}

/// `true`, or `{"on": true}`.
fn switch(request: &Request) -> Result<bool, ApiError> {
    if let Ok(on) = json::read::<bool>(request.json_body()?) {
        return Ok(on);
    }
    let mut fields = request.fields()?;
    let on: Option<bool> = fields.required("on");
    fields.finish()?;
    Ok(on.unwrap_or_default())
}

/// `GET /api/v1/jails/{name}/ignoreip`
pub fn ignore_list(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let Running(name) = request.parameter()?;
    let listed = Listed::read(request.query(), &[])?;
    let items = match ctx.daemon.ignore_list(&name) {
        // Nothing is in conflict with a question.
        Err(error @ Error::NameTaken(_)) => {
            return Err(ApiError::invalid_input(format!("{error}.")).with("jail", name.as_str()));
        }
        other => other?,
    };
    let total = items.len();
    let mut body = json!({ "items": items, "total": total });
    listed.shape(&mut body);
    Ok(Response::json(200, &body))
}

/// `POST /api/v1/jails/{name}/ignoreip`
pub fn add_ignore(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let Running(name) = request.parameter()?;
    let mut fields = request.fields()?;
    let ip: Option<String> = fields.required("ip");
    fields.finish()?;
    let entry: IpOrNet = ip.unwrap_or_default().parse()?;
    ctx.daemon.add_ignore(&name, &entry.to_string())?;
    let answer = command_done(201, format!("{name} ignores {entry}."), name.as_str());
    keep_ignored(ctx, &name, Ignored::Added(entry.to_string()), answer)
}

/// `DELETE /api/v1/jails/{name}/ignoreip`
pub fn remove_ignore(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let Running(name) = request.parameter()?;
    let ip = if request.body.is_empty() {
        request.query().required("ip")?
    } else {
        let mut fields = request.fields()?;
        let ip: Option<String> = fields.required("ip");
        fields.finish()?;
        ip.unwrap_or_default()
    };
    let listed = ctx.daemon.ignore_list(&name)?;
    let entry = entry_of(&listed, &ip)?;
    let kept = entry.as_ref().and_then(|entry| entry.parse::<Who>().ok()).map(|who| who.to_string());
    if let Some(own) = kept.and_then(|entry| ctx.never_ban.named(&entry)).filter(|own| own.holds_in(name.as_str())) {
        let detail =
            format!("{} is on the never-ban list; DELETE /api/v1/never-ban/{} takes it off.", own.entry, own.id);
        return Err(ApiError::new(Code::Conflict, detail).with("id", own.id).with("ip", ip));
    }
    match entry {
        Some(entry) => {
            ctx.daemon.remove_ignore(&name, &entry)?;
            let answer = command_done(200, format!("{name} no longer ignores {entry}."), name.as_str());
            keep_ignored(ctx, &name, Ignored::Removed(entry), answer)
        }
        None => Err(ApiError::new(
            Code::Fail2banCommandFailed,
            format!("{ip} is not on the ignore list of {name}; GET the list for its entries."),
        )
        .with("jail", name.as_str())
        .with("ip", ip)),
    }
}

/// The entry of the list that a text means: the very text, or the same address in another form.
fn entry_of(listed: &[String], text: &str) -> Result<Option<String>, ApiError> {
    if text.is_empty() || text.len() > LONGEST_ENTRY || text.chars().any(char::is_control) {
        return Err(ApiError::invalid_field("ip", "Give an entry of the jail's ignore list."));
    }
    if let Some(entry) = listed.iter().find(|entry| *entry == text) {
        return Ok(Some(entry.clone()));
    }
    let address: IpOrNet = text.parse()?;
    Ok(listed.iter().find(|entry| entry.parse() == Ok(address)).cloned())
}
