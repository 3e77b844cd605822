//! The dashboard.

use serde_json::json;

use super::{ApiError, Ctx, Request};
use crate::server::response::Response;

/// `GET /api/v1/dashboard/status`: what was last seen of the daemon, at most 30 s ago.
pub fn status(ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    let seen = &ctx.snapshot;
    if !seen.online {
        return Err(ApiError::new(502, "fail2ban_unreachable", "fail2ban cannot be reached; is it running?"));
    }
    let status = json!({
        "online": seen.online,
        "version": seen.version,
        "active_jails": seen.jails,
        "total_bans": seen.bans,
        "total_failures": seen.failures,
    });
    Ok(Response::json(200, &json!({ "status": status })))
}
