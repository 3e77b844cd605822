//! The configuration as a whole: loaded again, the daemon restarted, the state of the service.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{ApiError, Ctx, Job, Request};
use crate::fail2ban::reload::{Installation, Scope};
use crate::jobs::{Task, service};
use crate::server::response::Response;

/// The setting that holds the commands of the last reload that went well: they outlive us, as the daemon does.
pub(super) const LAST_GOOD: &str = "last_good_stream";

/// `POST /api/v1/config/reload`
pub fn reload(ctx: &mut Ctx, _request: &Request) -> Result<Job, ApiError> {
    reload_job(ctx, Scope::All, |ctx| {
        ctx.store.set_jail_idle(None, None)?;
        Ok(Response::no_content())
    })
}

/// A reload, and what follows when it went well.
pub fn reload_job(
    ctx: &mut Ctx,
    scope: Scope,
    then: impl FnOnce(&mut Ctx) -> Result<Response, ApiError> + 'static,
) -> Result<Job, ApiError> {
    let last_good = ctx.store.setting(LAST_GOOD)?.and_then(|text| serde_json::from_str(&text).ok());
    let task = Task::Reload(service::Reload { place: installation(ctx), scope, last_good });
    Ok(Job::new(task, move |ctx, stream: Value| {
        ctx.store.set_settings(&[(LAST_GOOD, &stream.to_string())])?;
        then(ctx)
    })
    .detached())
}

/// Where the daemon, its files and its client are.
pub(super) fn installation(ctx: &Ctx) -> Installation {
    Installation {
        socket: ctx.fail2ban_socket().to_owned(),
        config_dir: ctx.config.fail2ban_config.clone(),
        pid_file: None,
        client: PathBuf::from("fail2ban-client"),
    }
}

/// `POST /api/v1/config/restart`
pub fn restart(ctx: &mut Ctx, _request: &Request) -> Result<Job, ApiError> {
    let start_command = ctx.config.start_command.clone();
    let task = Task::Restart(service::Restart { place: installation(ctx), start_command });
    Ok(Job::new(task, |ctx, _| {
        ctx.store.set_jail_idle(None, None)?;
        Ok(Response::no_content())
    })
    .detached())
}

/// `GET /api/v1/config/service-status`
pub fn service_status(ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    ctx.take_snapshot()?;
    let settings = ctx.daemon.server_settings()?;
    let seen = &ctx.snapshot;
    let body = json!({
        "online": seen.online,
        "version": seen.version,
        "jail_count": seen.jails,
        "total_bans": seen.bans,
        "total_failures": seen.failures,
        "log_level": settings.log_level,
        "log_target": settings.log_target,
        "bangui_version": env!("CARGO_PKG_VERSION"),
    });
    Ok(Response::json(200, &body))
}
