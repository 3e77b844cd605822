//! Applies as the server makes them: with its settings and what holds at run time only, and what is remembered of each for the next.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::app::{ApiError, Ctx, Job};
use crate::apply::{Applied, Apply, FileChange, Scope};
use crate::domain::{json, time};
use crate::fail2ban::reload::Installation;
use crate::jobs::Task;
use crate::server::response::Response;

/// The setting that holds the commands of the last reload that went well: they outlive us, as the daemon does.
pub const LAST_GOOD: &str = "last_good_stream";

/// A reload, and what follows when it went well.
pub fn reload_job(
    ctx: &mut Ctx,
    scope: Scope,
    then: impl FnOnce(&mut Ctx) -> Result<Response, ApiError> + 'static,
) -> Result<Job, ApiError> {
    let task = Apply { stops: false, ..apply_task(ctx, Vec::new(), scope)? };
    Ok(apply_as_job(task, move |ctx, _| then(ctx)))
}

/// The task of an apply, to be changed before it becomes a job.
pub fn apply_task(ctx: &Ctx, changes: Vec<FileChange>, scope: Scope) -> Result<Apply, ApiError> {
    Ok(Apply {
        place: installation(ctx),
        journal: ctx.apply_journal(),
        actor: ctx.acting.clone(),
        changes,
        scope,
        stops: true,
        last_good: ctx.store.setting(LAST_GOOD)?,
        run_time: ctx.run_time()?,
        daemon_hangs: ctx.daemon.client().is_resting(),
    })
}

/// The task of an apply that loads nothing: where files and daemon are.
pub fn files_task(ctx: &Ctx) -> Apply {
    Apply {
        place: installation(ctx),
        journal: ctx.apply_journal(),
        actor: ctx.acting.clone(),
        changes: Vec::new(),
        scope: Scope::Jails(Vec::new()),
        stops: true,
        last_good: None,
        run_time: Vec::new(),
        daemon_hangs: ctx.daemon.client().is_resting(),
    }
}

/// The job of an apply whose parts are all known.
pub fn apply_as_job(task: Apply, then: impl FnOnce(&mut Ctx, Applied) -> Result<Response, ApiError> + 'static) -> Job {
    Job::new(Task::Apply(Box::new(task)), move |ctx, outcome: Value| {
        let applied = applied(ctx, outcome)?;
        let warnings = applied.warnings.join(" ");
        Ok(then(ctx, applied)?.warning(&warnings))
    })
    .detached()
}

/// What an apply has done, remembered for the next one.
pub fn applied(ctx: &mut Ctx, outcome: Value) -> Result<Applied, ApiError> {
    let applied: Applied = json::from_tree(outcome).map_err(ApiError::internal)?;
    remember(ctx, &applied)?;
    Ok(applied)
}

/// Remembers what an apply has done for the next one.
pub fn remember(ctx: &mut Ctx, applied: &Applied) -> Result<(), ApiError> {
    for warning in &applied.warnings {
        log::warn!("{warning}");
    }
    for restarted in &applied.restarted {
        log::info!("{restarted}");
    }
    if !applied.changes.is_empty() {
        let files = json::text(&applied.changes).map_err(ApiError::internal)?;
        let effect = json!({ "reloaded": applied.reloaded, "warnings": applied.warnings }).to_string();
        let actor = ctx.acting.clone();
        ctx.store.add_change(time::now(), &actor, &files, &effect)?;
    }
    if let Some(stream) = &applied.stream {
        ctx.store.set_settings(&[(LAST_GOOD, stream)])?;
    }
    Ok(())
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
