//! Who comes back: the addresses, networks or operators with more than one ban in the archive.

use serde_json::{Value, json};

use super::history;
use crate::app::{ApiError, Ctx, Outcome, Request, Step};
use crate::domain::history::By;
use crate::domain::page::Page;
use crate::domain::time::rfc3339;
use crate::geo::GeoDetail;
use crate::server::response::Response;
use crate::store::repeaters::{Repeater, Repeats};

/// `GET /api/v1/history/repeaters`
pub fn list(_ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let query = request.query();
    let by = history::optional(query, "by")?.unwrap_or(By::Address);
    let page = query.page()?;
    let (window, origin) = (history::window(query)?, history::optional(query, "origin")?);
    let size = if request.wants_all() { Page::MAX_SIZE } else { page.size() };
    let of = move |skip| Repeats::new(by, window, origin, skip, size);
    let (is_whole, mut skip) = (request.wants_all(), page.offset());
    let mut repeats = of(skip);
    Ok(Outcome::Steps(Box::new(move |ctx| {
        // Nobody has asked about these addresses: looking them up counts for nothing.
        let operator = |ip: &str| ctx.geo.look_up_text(ip).asn;
        let Some((found, total)) = ctx.store.repeaters_some(&mut repeats, &operator)? else { return Ok(Step::More) };
        if !is_whole {
            return Ok(Step::Done(page_of(ctx, by, page, &found, total)));
        }
        let items: Vec<String> = found.iter().map(|(one, jails)| shown(ctx, by, one, jails).to_string()).collect();
        let begin = if skip == 0 { "{\"items\":[" } else { "," };
        skip += u64::from(size);
        repeats = of(skip);
        let is_end = skip >= total;
        let part = format!("{begin}{}{}", items.join(","), if is_end { "]}" } else { "" }).into_bytes();
        Ok(if is_end { Step::Done(Response::json_bytes(200, part)) } else { Step::Part(part) })
    })))
}

fn page_of(ctx: &Ctx, by: By, page: Page, found: &[(Repeater, Vec<String>)], total: u64) -> Response {
    let items: Vec<Value> = found.iter().map(|(one, jails)| shown(ctx, by, one, jails)).collect();
    Response::json(200, &json!({ "items": items, "pagination": page.describe(total) }))
}

/// `Repeater` of the contract.
fn shown(ctx: &Ctx, by: By, one: &Repeater, jails: &[String]) -> Value {
    let mut place = ctx.place_of(&one.ip);
    if by == By::Operator {
        // It may have networks anywhere.
        place.country = None;
    }
    let mut item = json!(GeoDetail::from(place));
    item["name"] = json!(one.name.0);
    item["bans"] = json!(one.bans);
    item["addresses"] = json!(one.addresses);
    item["first_ban_at"] = json!(rfc3339(one.first));
    item["last_ban_at"] = json!(rfc3339(one.last));
    item["jails"] = json!(jails);
    item
}
