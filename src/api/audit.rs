//! What people and programs have done: looked through, and what is old deleted.

use serde_json::{Value, json};

use super::history::{demand_earlier, optional};
use crate::app::input::Query;
use crate::app::listed::Listed;
use crate::app::{ApiError, Ctx, Outcome, Request, Step};
use crate::domain::address::IpOrNet;
use crate::domain::audit::{Entry, What};
use crate::domain::client::ClientKey;
use crate::domain::json;
use crate::domain::page::Page;
use crate::domain::time::{self, Moment, rfc3339};
use crate::server::response::Response;
use crate::store::audit::{Event, Wanted};

/// The longest name that is looked for, in bytes.
const LONGEST: usize = 256;
/// Events that are looked at in one step.
const LOOKED_AT: u32 = 500;
/// What is said of a day that is none.
const NO_DAY: &str = "before must be a YYYYMMDD integer.";

/// `GET /api/v1/audit`
pub fn list(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let query = request.query();
    let (page, wanted, listed) = (query.page()?, wanted(query)?, Listed::read(query, &[])?);
    if request.wants_all() {
        return Ok(Outcome::Steps(Box::new(whole(wanted, listed))));
    }
    if !listed.is_plain() {
        return Ok(Outcome::Steps(Box::new(found(wanted, listed, page))));
    }
    let total = ctx.store.count_events(&wanted)?;
    let events = ctx.store.events(&wanted, None, page.offset(), page.size())?;
    Ok(Outcome::Answer(answer(events.iter().map(shown).collect(), page, total)))
}

fn answer(items: Vec<Value>, page: Page, total: u64) -> Response {
    Response::json(200, &json!({ "items": items, "pagination": page.describe(total) }))
}

/// Which events the query narrows the list to.
fn wanted(query: Query<'_>) -> Result<Wanted, ApiError> {
    let [from, to] = ["from", "to"].map(|name| optional::<Moment>(query, name));
    let (from, to) = (from?, to?);
    demand_earlier(from.as_ref(), to.as_ref())?;
    let mut events = Vec::new();
    for name in text(query, "event_type")?.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty())
    {
        let known = What::ALL.iter().find(|(_, known)| *known == name);
        events.push(known.ok_or_else(unknown_event)?.1);
    }
    let clients = match text(query, "client")? {
        None => Vec::new(),
        Some(text) => clients(text),
    };
    Ok(Wanted { events, actor: text(query, "actor")?, clients, from: from.map(|from| from.0), to: to.map(|to| to.0) })
}

/// A text that may be left out or empty.
fn text(query: Query<'_>, name: &str) -> Result<Option<String>, ApiError> {
    let found = query.text(name)?.filter(|text| !text.is_empty());
    // All kinds of events together are longer than a name.
    let most = if name == "event_type" { 4 * LONGEST } else { LONGEST };
    if found.as_ref().is_some_and(|text| text.len() > most || text.chars().any(char::is_control)) {
        return Err(ApiError::invalid_field(name, format!("{name} is at most {most} bytes of plain text.")));
    }
    Ok(found)
}

fn unknown_event() -> ApiError {
    let names: Vec<&str> = What::ALL.iter().map(|(_, name)| *name).collect();
    let detail = format!("event_type: kinds of events are expected, with commas between them: {}.", names.join(", "));
    ApiError::invalid_field("event_type", detail).with("allowed", names)
}

/// As what a client stands in events: by its address, and where it was refused by what limits know it by.
fn clients(text: String) -> Vec<String> {
    let Ok(net) = text.parse::<IpOrNet>() else { return vec![text] };
    let mut all = vec![net.to_string()];
    if let Ok(address) = text.parse() {
        all.push(ClientKey::of(address).to_string());
    }
    all.dedup();
    all
}

/// `AuditEvent` of the contract.
fn shown(event: &Event) -> Value {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    // What this program wrote it can read.
    let changes: Value = json::read(&event.changes).unwrap_or_else(|_| json!([]));
    json!({
        "id": event.id,
        "at": rfc3339(event.at),
        "event_type": event.event,
        "actor": { "kind": event.actor.kind(), "name": event.actor.name() },
        "client": some(&event.client),
        "target": some(&event.target),
        "detail": event.detail,
        "changes": changes,
        "count": event.refusals.max(1),
    })
}

/// All of them, some at a time.
fn whole(wanted: Wanted, listed: Listed) -> impl FnMut(&mut Ctx) -> Result<Step, ApiError> {
    let (mut behind, mut lead): (Option<i64>, &[u8]) = (None, b"{\"items\":[");
    move |ctx| {
        let events = ctx.store.events(&wanted, behind, 0, LOOKED_AT)?;
        let mut body = Vec::new();
        for item in events.iter().map(shown).filter(|item| listed.has(item)) {
            body.extend_from_slice(std::mem::replace(&mut lead, b","));
            body.extend_from_slice(item.to_string().as_bytes());
        }
        behind = events.last().map(|event| event.id);
        if events.len() == LOOKED_AT as usize {
            return Ok(Step::Part(body));
        }
        if lead.len() > 1 {
            body.extend_from_slice(lead);
        }
        body.extend_from_slice(b"]}");
        Ok(Step::Done(Response::json_bytes(200, body)))
    }
}

/// A page of what is found, gone through some at a time.
fn found(wanted: Wanted, listed: Listed, page: Page) -> impl FnMut(&mut Ctx) -> Result<Step, ApiError> {
    let (mut behind, mut total, mut items): (Option<i64>, u64, Vec<Value>) = (None, 0, Vec::new());
    move |ctx| {
        let events = ctx.store.events(&wanted, behind, 0, LOOKED_AT)?;
        for item in events.iter().map(shown).filter(|item| listed.has(item)) {
            if total >= page.offset() && items.len() < page.size() as usize {
                items.push(item);
            }
            total += 1;
        }
        behind = events.last().map(|event| event.id);
        if events.len() == LOOKED_AT as usize {
            return Ok(Step::More);
        }
        Ok(Step::Done(answer(std::mem::take(&mut items), page, total)))
    }
}

/// `DELETE /api/v1/audit`: what was before a day, by UTC. That it was deleted is an event itself, written with the first that go.
pub fn remove(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let text = request.query().required("before")?;
    let before = day(&text).ok_or_else(|| ApiError::invalid_field("before", NO_DAY))?;
    let old = ctx.store.count_events(&Wanted { to: Some(before), ..Wanted::default() })?;
    // What is written from now on stays, whatever day is named.
    let last = ctx.store.events(&Wanted::default(), None, 0, 1)?.first().map_or(0, |newest| newest.id);
    let detail = format!("What was before {} is deleted: {old}.", rfc3339(before));
    let (mut entry, mut gone) = (Some(Entry::new(What::AuditDeleted, "").saying(detail)), 0);
    Ok(Outcome::Steps(Box::new(move |ctx| {
        let some = ctx.delete_events(before, last, entry.take().as_ref())? as u64;
        gone += some;
        if some > 0 && gone < old {
            return Ok(Step::More);
        }
        Ok(Step::Done(Response::json(200, &json!({ "deleted": gone }))))
    })))
}

/// When a day begins, in Unix seconds.
fn day(text: &str) -> Option<i64> {
    if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    time::parse_rfc3339(&format!("{}-{}-{}T00:00:00Z", &text[..4], &text[4..6], &text[6..]))
}

#[cfg(test)]
mod tests {
    use super::day;

    #[test]
    fn a_day_is_eight_digits() {
        assert_eq!(day("19700102"), Some(86_400));
        assert_eq!(day("20240229"), Some(1_709_164_800));
        for text in ["", "2024-01-01", "20240230", "20241301", "2024010", "202401011", "0x240101", "２０２４"] {
            assert_eq!(day(text), None, "{text}");
        }
    }
}
