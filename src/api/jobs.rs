//! Work that goes on behind an answer 202: how far it is, its result, and its early end.

use crate::app::code::Code;
use crate::app::{ApiError, Ctx, Request};
use crate::domain::time;
use crate::server::response::Response;

/// `GET /api/v1/jobs/{id}`
pub fn get(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    demand_own(ctx, request)?;
    shown(ctx, id(request))
}

/// `DELETE /api/v1/jobs/{id}`
pub fn cancel(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    demand_own(ctx, request)?;
    if !ctx.long_jobs.cancel(id(request)) {
        let detail =
            "This work cannot be cancelled: fail2ban or its files would be left half changed. Wait for its end.";
        return Err(ApiError::new(Code::Conflict, detail));
    }
    shown(ctx, id(request))
}

fn id(request: &Request) -> &str {
    request.admitted.parameters.first().map(String::as_str).unwrap_or_default()
}

/// 404 for the work of others, where it is somebody who may not see every jail: what they do may be about one of the others.
fn demand_own(ctx: &Ctx, request: &Request) -> Result<(), ApiError> {
    let is_others = || ctx.long_jobs.actor(id(request)).is_some_and(|actor| *actor != request.admitted.actor());
    if request.admitted.jails().is_some() && is_others() { Err(not_found()) } else { Ok(()) }
}

fn shown(ctx: &mut Ctx, id: &str) -> Result<Response, ApiError> {
    ctx.long_jobs.get(id, time::now()).map(|job| job.response()).ok_or_else(not_found)
}

fn not_found() -> ApiError {
    let detail = "There is no such job: one is kept in memory for an hour after its end, and none outlives a restart of this server.";
    ApiError::new(Code::JobNotFound, detail)
}
