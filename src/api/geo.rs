//! Geography: where an address is, how much is known, and looking up again what is not.

use serde_json::json;

use super::history::GeoDetail;
use super::{ApiError, Ctx, Request};
use crate::domain::address::IpOrNet;
use crate::domain::history::BLOCKLIST_JAIL;
use crate::domain::time::{now, rfc3339};
use crate::geo::Geo;
use crate::server::response::Response;

/// Rows that one request looks up again; the rest follows by itself, in steps.
const AT_ONCE: usize = 500;

/// `GET /api/v1/geo/lookup/{ip}`
pub fn look_up(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let ip: IpOrNet = request.parameter()?;
    let mut jails: Vec<String> = ctx.daemon.jails_banning(&ip.to_string())?.iter().map(ToString::to_string).collect();
    let is_held = ctx.held().is_some_and(|held| held.covers(&ip, now()).unwrap_or(false));
    if is_held && !jails.iter().any(|jail| jail == BLOCKLIST_JAIL) {
        jails.push(BLOCKLIST_JAIL.to_owned());
    }
    // Of a private address nothing can be known, which is not the same as not knowing.
    let geo = Geo::is_eligible(&ip).then(|| GeoDetail::from(ctx.geo.look_up(&ip)));
    Ok(Response::json(200, &json!({ "ip": ip.to_string(), "currently_banned_in": jails, "geo": geo })))
}

/// `GET /api/v1/geo/stats`: what the archive knows of its rows, and how lookups went since the start. There is no cache beside the
/// file, so nothing waits to be written and no failure is remembered.
pub fn stats(ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    let (hits, misses) = ctx.geo.counts();
    let (rows, unresolved) = (ctx.store.archive_rows()?, ctx.store.archive_unresolved()?);
    let database = ctx.geo.file().map(
        |file| json!({ "path": file.path().to_string_lossy(), "type": file.kind(), "built_at": rfc3339(file.built_at()) }),
    );
    let body = json!({
        "cache_size": rows.saturating_sub(unresolved),
        "unresolved": unresolved,
        "neg_cache_size": 0,
        "dirty_size": 0,
        "hits": hits,
        "misses": misses,
        "database": database,
    });
    Ok(Response::json(200, &body))
}

/// `POST /api/v1/geo/re-resolve`: opens the files again and looks up what has no country. Some of it at once; where there is more,
/// `pending` says so, and the rest follows in the background.
pub fn re_resolve(ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    ctx.geo.refresh();
    let total = ctx.store.archive_unresolved()?;
    let (geo, store) = (&ctx.geo, &mut ctx.store);
    let country = |ip: &str| geo.look_up_text(ip).country;
    let (resolved, next) = store.resolve_countries((0, 0), AT_ONCE, now(), &country)?;
    ctx.resolve_from = next;
    Ok(Response::json(200, &json!({ "resolved": resolved, "total": total, "pending": next.is_some() })))
}
