//! Geography: where an address is, how much is known, and looking up again what is not.

use std::time::Instant;

use serde_json::json;

use crate::app::{ApiError, Ctx, Job, Outcome, Request};
use crate::domain::address::IpOrNet;
use crate::domain::history::Place;
use crate::domain::time::{now, rfc3339};
use crate::geo::{Geo, GeoDetail};
use crate::server::response::Response;
use crate::services::geo::{ask_task, note_told};

/// Rows that one request looks up again; the rest follows by itself, in steps.
const AT_ONCE: usize = 500;

/// `GET /api/v1/geo/lookup/{ip}`: what is known, and where a server outside may be asked, what that says. What is learned so waits in
/// memory, for a GET writes nothing.
pub fn look_up(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let ip: IpOrNet = request.parameter()?;
    let jails = ctx.jails_banning(&ip)?;
    let text = ip.to_string();
    let place = ctx.place_of(&text);
    if place.country.is_none() && ctx.config.geoip_online.is_some() && Geo::is_askable(&text) {
        let addresses = vec![text];
        if ctx.asking.begin_one(&addresses[0], Instant::now())
            && let Some(task) = ask_task(ctx, addresses.clone())
        {
            let finish = move |ctx: &mut Ctx, told| {
                note_told(ctx, &addresses, told)?;
                let place = ctx.place_of(&addresses[0]);
                Ok(looked_up(&ip, &jails, place))
            };
            return Ok(Outcome::Job(Box::new(Job::new(task, finish))));
        }
    }
    Ok(Outcome::Answer(looked_up(&ip, &jails, place)))
}

fn looked_up(ip: &IpOrNet, jails: &[String], place: Place) -> Response {
    // Of a private address nothing can be known, which is not the same as not knowing.
    let geo = Geo::is_eligible(ip).then(|| GeoDetail::from(place));
    Response::json(200, &json!({ "ip": ip.to_string(), "currently_banned_in": jails, "geo": geo }))
}

/// `GET /api/v1/geo/stats`: what is kept of a server's answers and what waits to be, whose failure is remembered, what the archive does not
/// know of its rows, and how lookups went since the start. What files say is never kept: they are asked again in no time.
pub fn stats(ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    let (hits, misses) = ctx.geo.counts();
    let (failed, dirty) = ctx.asking.sizes(Instant::now());
    let database = ctx.geo.file().map(
        |file| json!({ "path": file.path().to_string_lossy(), "type": file.kind(), "built_at": rfc3339(file.built_at()) }),
    );
    let body = json!({
        "cache_size": ctx.store.places()? + dirty as u64,
        "unresolved": ctx.store.archive_unresolved()?,
        "neg_cache_size": failed,
        "dirty_size": dirty,
        "hits": hits,
        "misses": misses,
        "database": database,
    });
    Ok(Response::json(200, &body))
}

/// `POST /api/v1/geo/re-resolve`: forgets which addresses nobody knew, opens the files again and looks up what has no country. Some of it at
/// once; where there is more, `pending` says so, and the rest follows in the background, as does what is to be asked outside.
pub fn re_resolve(ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    ctx.geo.refresh();
    ctx.asking.forget_failures();
    let total = ctx.store.archive_unresolved()?;
    let (geo, store) = (&ctx.geo, &mut ctx.store);
    let country = |ip: &str| geo.look_up_text(ip).country;
    let (resolved, next) = store.resolve_countries((0, 0), AT_ONCE, now(), &country)?;
    ctx.resolve_from = next;
    let is_asked = ctx.config.geoip_online.is_some() && (resolved as u64) < total;
    if is_asked {
        ctx.asking.look_again();
    }
    Ok(Response::json(200, &json!({ "resolved": resolved, "total": total, "pending": next.is_some() || is_asked })))
}
