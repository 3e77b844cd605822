//! Applies as the server makes them: with its settings and what holds at run time only, and what is remembered of each for the next.

use std::path::PathBuf;

use serde_json::Value;

use crate::app::code::Code;
use crate::app::{ApiError, Ctx, Job};
use crate::apply::{Applied, Apply, Scope};
use crate::domain::audit::Entry;
use crate::domain::json;
use crate::fail2ban::reload::Installation;
use crate::jobs::Task;
use crate::server::response::Response;
use crate::services::changes;

/// The setting that holds the commands of the last reload that went well: they outlive us, as the daemon does.
pub const LAST_GOOD: &str = "last_good_stream";

/// A reload, told by `entry`, and what follows when it went well.
pub fn reload_job(
    ctx: &mut Ctx,
    scope: Scope,
    entry: Entry,
    then: impl FnOnce(&mut Ctx) -> Result<Response, ApiError> + 'static,
) -> Result<Job, ApiError> {
    let task = Apply { stops: false, ..apply_task(ctx, scope)? };
    let finish = move |ctx: &mut Ctx, outcome: Value| {
        let warnings = applied(ctx, outcome)?.warnings.join(" ");
        ctx.note(&entry);
        Ok(then(ctx)?.warning(&warnings))
    };
    Ok(Job::new(Task::Apply(Box::new(task)), finish).detached())
}

/// The task of an apply that loads these jails; its files are filled in by whoever computes them.
pub fn apply_task(ctx: &Ctx, scope: Scope) -> Result<Apply, ApiError> {
    let (last_good, run_time) = (ctx.store.setting(LAST_GOOD)?, ctx.run_time()?);
    Ok(Apply { scope, last_good, run_time, ..files_task(ctx) })
}

/// The task of an apply that loads nothing: where files and daemon are.
pub fn files_task(ctx: &Ctx) -> Apply {
    Apply {
        place: installation(ctx),
        journal: ctx.apply_journal(),
        actor: ctx.acting.actor.clone(),
        changes: Vec::new(),
        scope: Scope::Jails(Vec::new()),
        stops: true,
        last_good: None,
        run_time: Vec::new(),
        asks: false,
        daemon_hangs: ctx.daemon.client().is_resting(),
        dry_run: ctx.dry_run,
        never_ban: Some(ctx.never_ban.told()),
    }
}

/// What an apply has done, remembered for the next one.
pub fn applied(ctx: &mut Ctx, outcome: Value) -> Result<Applied, ApiError> {
    let applied: Applied = json::from_tree(outcome).map_err(ApiError::internal)?;
    remember(ctx, &applied, None)?;
    Ok(applied)
}

/// Remembers what an apply has done for the next one, and as a change where files were changed: of that it gives the number. `undoes` is the
/// change that was taken back with it.
pub fn remember(ctx: &mut Ctx, applied: &Applied, undoes: Option<i64>) -> Result<i64, ApiError> {
    for warning in &applied.warnings {
        log::warn!("{warning}");
    }
    for restarted in &applied.restarted {
        log::info!("{restarted}");
    }
    if applied.reloaded {
        ctx.tending.hurry();
        ctx.never_ban.hurry();
    }
    write_down(ctx, applied, undoes).map_err(in_force_all_the_same)
}

fn write_down(ctx: &mut Ctx, applied: &Applied, undoes: Option<i64>) -> Result<i64, ApiError> {
    let number = if applied.changes.is_empty() { 0 } else { changes::note(ctx, applied, undoes)? };
    if let Some(stream) = &applied.stream {
        ctx.store.set_settings(&[(LAST_GOOD, stream)])?;
    }
    Ok(number)
}

/// What our own database could not take has been done: whoever reads only that it failed would do it once more.
pub fn in_force_all_the_same(error: ApiError) -> ApiError {
    let is_storage = error.code == Code::StorageUnavailable;
    let error = told_with(error, "The change is in force, but it could not be added to the list of changes");
    if is_storage { error.with("in_force", true) } else { error }
}

/// The same of values that are only set where the jail runs.
pub fn perhaps_in_force(error: ApiError) -> ApiError {
    told_with(error, "fail2ban may have the values by now, but they could not be noted as pending")
}

fn told_with(mut error: ApiError, what: &str) -> ApiError {
    if error.code == Code::StorageUnavailable {
        error.detail = format!("{what}: {}", error.detail);
    }
    error
}

/// Where the daemon, its files and its client are.
pub fn installation(ctx: &Ctx) -> Installation {
    Installation {
        socket: ctx.fail2ban_socket().to_owned(),
        config_dir: ctx.config.fail2ban_config.clone(),
        pid_file: None,
        client: PathBuf::from("fail2ban-client"),
        version: ctx.snapshot.version.clone(),
    }
}
