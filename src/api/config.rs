//! The configuration as a whole: loaded again, the daemon restarted, the state of the service.

use std::path::Path;

use serde_json::{Value, json};

use super::server;
use crate::app::seen::Restarted;
use crate::app::{ApiError, Ctx, Job, Outcome, Request, dry_run, paths};
use crate::apply::{Check, Preview, Scope, Told};
use crate::domain::audit::{Entry, What};
use crate::domain::jail_values::JailValues;
use crate::domain::time;
use crate::domain::{json, secrets};
use crate::fail2ban::restart::{self, Report};
use crate::jobs::server_edits::{EditServer, ServerValues};
use crate::jobs::tail::LogFile;
use crate::jobs::why::{Found, Why};
use crate::jobs::{Task, mends, service};
use crate::server::response::Response;
use crate::services::apply::{applied as noted, files_task, installation, reload_job};

/// `POST /api/v1/config/reload`
pub fn reload(ctx: &mut Ctx, _request: &Request) -> Result<Job, ApiError> {
    reload_job(ctx, Scope::All, Entry::new(What::Reload, "*"), |_| Ok(Response::no_content()))
}

/// `POST /api/v1/config/restart`
pub fn restart_daemon(ctx: &mut Ctx, _request: &Request) -> Result<Outcome, ApiError> {
    if ctx.dry_run {
        return Ok(Outcome::Answer(dry_run::answer(&restart_preview(ctx))));
    }
    let start_command = ctx.config.start_command.clone();
    let task = Task::Restart(service::Restart {
        place: installation(ctx),
        start_command,
        known_pid: ctx.daemon.client().last_daemon_pid(),
        database: ctx.config.fail2ban_database.clone().or_else(|| ctx.known_database.clone()),
        journal: ctx.apply_journal(),
        is_busy: ctx.daemon_is_taken && !ctx.daemon.client().is_resting(),
    });
    Ok(Outcome::Job(Box::new(Job::new(task, restarted).detached())))
}

/// What a restart would do. The jails are those that were last seen.
fn restart_preview(ctx: &Ctx) -> Preview {
    let jails = ctx.known_jails.clone();
    let how = match ctx.daemon.client().is_resting() {
        true => "fail2ban does not answer: it would be ended as a process and started again.",
        false => "fail2ban would be stopped and started again with the files as they are.",
    };
    let bans = "Bans are out of force until it has restored them from its database.";
    let commands = Told { count: 1, restarted: jails.clone(), jails };
    Preview { commands, checks: vec![Check::warn(how), Check::warn(bans)], ..Preview::default() }
}

/// Notes what a restart has led to, and says what it has not put right.
fn restarted(ctx: &mut Ctx, report: Value) -> Result<Response, ApiError> {
    let report: Report = json::from_tree(report).map_err(ApiError::internal)?;
    let mut warnings = Vec::new();
    if report.was_hung {
        let how = if report.was_killed { "killed" } else { "ended" };
        log::warn!("fail2ban did not answer any more; it was {how} and started again");
        warnings.extend(drop_expressions(ctx)?);
    }
    if !report.left_behind.is_empty() {
        let bans = restart::shown(&report.left_behind);
        warnings.push(format!("The killed fail2ban has left rules behind that nobody will lift: {bans}."));
    }
    for warning in &warnings {
        log::warn!("{warning}");
    }
    let how = if report.was_hung { "It did not answer any more." } else { "" };
    ctx.note(&Entry::new(What::Restart, "fail2ban").saying(how));
    let at = time::rfc3339(time::now());
    ctx.last_restart = Some(Restarted { at, was_hung: report.was_hung, left_behind: report.left_behind });
    ctx.restarted = true;
    ctx.changed_while_hung.clear();
    Ok(Response::no_content().warning(&warnings.join(" ")))
}

/// Forgets pending expressions, which may be what the daemon hung with, unless they were given while it did. Says of which jails.
fn drop_expressions(ctx: &mut Ctx) -> Result<Option<String>, ApiError> {
    let mut jails = Vec::new();
    for (jail, text) in ctx.store.all_pending()? {
        let before: JailValues = json::read(&text).unwrap_or_default();
        let after =
            JailValues { fail_regex: None, ignore_regex: None, prefregex: None, date_pattern: None, ..before.clone() };
        if before == after || ctx.changed_while_hung.contains(&jail) {
            continue;
        }
        let text = json::text(&after).map_err(ApiError::internal)?;
        ctx.store.set_pending(&jail, (after != JailValues::default()).then_some(text.as_str()))?;
        jails.push(jail);
    }
    let told =
        format!("Pending expressions were dropped, since fail2ban may have hung with them: {}.", jails.join(", "));
    Ok((!jails.is_empty()).then_some(told))
}

/// `GET /api/v1/config/service-status`: of one that is away, what its files and its log say about that.
pub fn service_status(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let looked = ctx.take_snapshot().and_then(|()| ctx.daemon.server_settings());
    let error = match looked {
        Ok(settings) => {
            let mut body = status_of(ctx);
            body["log_level"] = json!(settings.log_level);
            body["log_target"] = json!(settings.log_target);
            return Ok(Outcome::Answer(Response::json(200, &body)));
        }
        Err(error) => error,
    };
    // Without files there is nothing to tell beyond that.
    let files = ctx.server_files().ok_or_else(|| ApiError::from(error.clone()))?;
    let log = paths::allowed(&ctx.config, Path::new(&files.log_target)).ok();
    let log = log.map(|path| LogFile { path, allowed: ctx.config.allowed_log_dirs.clone() });
    let shows_commands = request.admitted.sees_commands();
    let task = Task::WhyAway(Why { config_dir: ctx.config.fail2ban_config.clone(), log });
    Ok(Outcome::Job(Box::new(Job::new(task, move |ctx, found: Value| {
        let found: Found = json::from_tree(found).map_err(ApiError::internal)?;
        let away = ApiError::away(Some(&error));
        let mut body = status_of(ctx);
        body["online"] = json!(false);
        body["log_level"] = json!(files.log_level);
        body["log_target"] = json!(files.log_target);
        body["reason"] = away.metadata.get("reason").cloned().unwrap_or_default();
        body["problem"] = json!(away.detail);
        let problems = found.problems.iter().map(|problem| {
            json!({ "detail": problem.to_string(), "jail": problem.jail, "file": problem.file, "line": problem.line })
        });
        body["config_problems"] = problems.collect();
        let is_away = ["absent", "refused", "timeout"].iter().any(|reason| body["reason"] == *reason);
        let start = (found.problems.is_empty() && is_away).then(|| mends::start(body["reason"] == "timeout"));
        body["mends"] = found.mends.into_iter().chain(start).collect();
        body["log_errors"] =
            if shows_commands { json!(found.log_errors) } else { json!(secrets::log_lines(&found.log_errors)) };
        Ok(Response::json(200, &body))
    }))))
}

/// What is known of the daemon without asking it.
fn status_of(ctx: &Ctx) -> Value {
    let seen = &ctx.snapshot;
    // What was committed or taken back meanwhile is not missing any more.
    let holds_any = ctx.run_time().is_ok_and(|all| !all.is_empty());
    let not_in_force = if holds_any { ctx.not_in_force.as_slice() } else { &[] };
    json!({
        "online": seen.online,
        "version": seen.version,
        "jail_count": seen.jails,
        "total_bans": seen.bans,
        "total_failures": seen.failures,
        "bangui_version": env!("CARGO_PKG_VERSION"),
        "reason": null,
        "problem": null,
        "config_problems": [],
        "mends": [],
        "log_errors": [],
        "last_restart": ctx.last_restart,
        "not_in_force": not_in_force,
    })
}

/// `GET /api/v1/config/global`
pub fn global(ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    let settings = ctx.daemon.server_settings()?;
    Ok(Response::json(200, &server::changeable(&settings)))
}

/// What is said of settings that are in the file only, because the daemon hangs.
const NOT_SET: &str = "The file is written, and not yet in force: fail2ban does not answer. POST /api/v1/config/restart ends it and starts \
                       it with these settings.";

/// `PUT /api/v1/config/global`: at once in the daemon, and in a file of ours for its next start.
///
/// In a body with every field, what is as the daemon has it is no wish: it was read. A field alone is written even then, unless the files
/// say so already.
pub fn change_global(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let mut fields = request.fields()?.not_empty();
    if let Ok(before) = ctx.daemon.server_settings() {
        let shown = server::changeable(&before);
        let is_whole = shown.as_object().is_some_and(|shown| fields.has_all(shown.keys()));
        fields.drop_unchanged(|name, value| shown[name] == *value && (is_whole || value.is_null()));
    }
    let values = server::values_of(ctx, fields)?;
    if values == ServerValues::default() && ctx.dry_run {
        return Ok(Outcome::Answer(dry_run::answer(&dry_run::nothing())));
    }
    if values == ServerValues::default() {
        return Ok(Outcome::Answer(Response::no_content()));
    }
    let task = Task::EditServer(Box::new(EditServer { values, apply: files_task(ctx) }));
    let job = Job::new(task, |ctx, mut outcome: Value| {
        let hangs = outcome["hangs"] == true;
        let applied = outcome["applied"].take();
        let mut warnings = if applied.is_null() { Vec::new() } else { noted(ctx, applied)?.warnings };
        warnings.extend(hangs.then(|| NOT_SET.to_owned()));
        Ok(Response::no_content().warning(&warnings.join(" ")))
    });
    Ok(Outcome::Job(Box::new(job.detached())))
}
