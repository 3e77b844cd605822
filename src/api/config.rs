//! The configuration as a whole: loaded again, the daemon restarted, the state of the service.

use serde_json::json;

use super::{ApiError, Ctx, Request};
use crate::server::response::Response;

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
