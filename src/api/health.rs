//! `/health`: answered from memory, so that it says how things are even while they are bad.

use serde_json::json;

use crate::app::seen::TheirDatabase;
use crate::app::{ApiError, Ctx, Request};
use crate::server::response::Response;

/// `GET /api/v1/health`
pub fn get(ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    let fail2ban = ctx.snapshot.online;
    let database = ctx.store.is_healthy() && !ctx.storage_fails;
    let cache = ctx.snapshot.taken.is_some();
    let states = [
        ("fail2ban", fail2ban),
        ("fail2ban_database", ctx.their_database != TheirDatabase::Error),
        ("database", database),
        ("cache", cache),
    ];
    let ailing: Vec<&str> = states.iter().filter(|(_, fine)| !fine).map(|(name, _)| *name).collect();
    let status = match (ailing.is_empty(), fail2ban) {
        (true, _) => "ok",
        (false, true) => "degraded",
        (false, false) => "unavailable",
    };
    let body = json!({
        "status": status,
        "fail2ban": if fail2ban { "online" } else { "offline" },
        "fail2ban_database": ctx.their_database,
        "database": if database { "ok" } else { "error" },
        // It is the loop that gives this answer.
        "scheduler": "running",
        "cache": if cache { "initialised" } else { "uninitialised" },
        "components": ailing,
    });
    Ok(Response::json(if ailing.is_empty() { 200 } else { 503 }, &body))
}
