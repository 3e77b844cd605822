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
    let origin = history::optional(query, "origin")?;
    let mut repeats = Repeats::new(by, history::window(query)?, origin, page.offset(), page.size());
    Ok(Outcome::Steps(Box::new(move |ctx| {
        // Nobody has asked about these addresses: looking them up counts for nothing.
        let operator = |ip: &str| ctx.geo.look_up_text(ip).asn;
        let found = ctx.store.repeaters_some(&mut repeats, &operator)?;
        Ok(found.map_or(Step::More, |(found, total)| Step::Done(page_of(ctx, by, page, &found, total))))
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
