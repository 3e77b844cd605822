//! Who is failing now: the failures that count against somebody who is not banned yet, and how many more make a ban.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::app::banned::Readiness;
use crate::app::failing::Known;
use crate::app::listed::Listed;
use crate::app::{ApiError, Ctx, Job, Outcome, Request};
use crate::domain::names::JailName;
use crate::domain::time::{self, rfc3339};
use crate::server::response::Response;

/// What the list can be sorted by.
const FIELDS: &[&str] = &["ip", "jail", "failures", "left", "user", "first_at", "last_at", "forgotten_at", "country"];

/// `GET /api/v1/bans/failing`
pub fn list(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let query = request.query();
    let jail = request.jail_asked()?;
    let listed = Listed::read(query, FIELDS)?.in_pages(request)?;
    let known = ctx.failures_known()?;
    if let Readiness::Reading = ctx.ready_bans(jail.as_ref(), request)? {
        return Ok(Outcome::Again);
    }
    if ctx.failing_is_behind() && !request.has_waited {
        return Ok(Outcome::Again);
    }
    ctx.count_failures()?;
    let Some(task) = ctx.look_at_failing(&known)? else {
        return Ok(Outcome::Answer(shown(ctx, &listed, jail.as_ref())?));
    };
    Ok(Outcome::Job(Box::new(Job::new(task, move |ctx, found| {
        ctx.take_failing(found)?;
        shown(ctx, &listed, jail.as_ref())
    }))))
}

fn shown(ctx: &mut Ctx, listed: &Listed, jail: Option<&JailName>) -> Result<Response, ApiError> {
    let known = ctx.failures_known()?;
    let (kind, reason) = match &known {
        Known::Log => ("log", None),
        Known::Journal => ("journal", None),
        Known::Not(reason) => ("none", Some(reason)),
    };
    let mut items = if reason.is_none() { items(ctx, jail, None) } else { Vec::new() };
    // Who is nearest to a ban comes first, and then who has failed last.
    items.sort_by_key(|(nearness, _)| *nearness);
    let items: Vec<Value> = items.into_iter().map(|(_, item)| item).collect();
    let mut body = json!({
        "items": items,
        "total": 0,
        "pagination": null,
        "is_complete": !ctx.failing.now.is_cut,
        "source": { "kind": kind, "reason": reason },
    });
    listed.shape(&mut body);
    Ok(Response::json(200, &body))
}

/// Those who fail, each with what it is sorted by: in one jail or in all, one address or all.
pub fn items(ctx: &Ctx, jail: Option<&JailName>, ip: Option<&str>) -> Vec<((i64, i64), Value)> {
    let now = time::now();
    let mut items = Vec::new();
    for (name, counting) in ctx.counting().filter(|(name, _)| jail.is_none_or(|jail| jail.as_str() == *name)) {
        let failing = ctx.failing.now.of_jail(name, ip, counting, now);
        let addresses: Vec<IpAddr> = failing.iter().filter_map(|one| one.ip.parse().ok()).collect();
        let out = banned(ctx, name, addresses);
        for one in failing {
            if one.ip.parse().is_ok_and(|address: IpAddr| out.contains(&address)) {
                continue;
            }
            let left = (counting.max_retry - i64::from(one.failures)).max(1);
            let item = json!({
                "ip": one.ip,
                "jail": one.jail,
                "failures": one.failures,
                "of": counting.max_retry,
                "left": left,
                "user": one.users.last(),
                "users": one.users,
                "first_at": rfc3339(one.first),
                "last_at": rfc3339(one.last),
                "forgotten_at": rfc3339(one.last.saturating_add(counting.find_time as i64)),
                "country": one.country,
            });
            items.push(((left, -one.last), item));
        }
    }
    items
}

/// Which of these are banned in a jail: whoever fails while it is banned is nobody to look out for.
fn banned(ctx: &Ctx, jail: &str, mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let Some(jail) = ctx.banned.held.jail(jail).filter(|_| !addresses.is_empty()) else { return Vec::new() };
    addresses.sort_unstable();
    let nets = jail.rows().iter().filter_map(|row| row.net()).filter(|net| !net.is_network());
    nets.map(|net| net.address()).filter(|address| addresses.binary_search(address).is_ok()).collect()
}
