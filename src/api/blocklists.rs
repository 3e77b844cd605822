//! The sources of blocklists: kept, changed, previewed. Their import and its schedule are in `imports.rs`.

use serde_json::{Value, json};

use crate::app::code::Code;
use crate::app::listed::Listed;
use crate::app::{ApiError, Ctx, Job, Request};
use crate::domain::audit::{Entry, What};
use crate::domain::json;
use crate::domain::time::{self, rfc3339};
use crate::fetch;
use crate::jobs::{Failure, Task, preview};
use crate::server::response::Response;
use crate::services::imports;
use crate::store::blocklists::Source;

/// The longest name of a source, in characters: the contract's.
const LONGEST_NAME: usize = 100;

/// What the audit does not tell of one.
const UNTOLD: [&str; 5] = ["id", "name", "created_at", "updated_at", "fetched_from"];

/// `GET /api/v1/blocklists`
pub fn list(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let listed = Listed::read(request.query(), &["id", "name", "url", "enabled", "created_at", "updated_at"])?;
    let items: Vec<Value> = ctx.store.blocklist_sources()?.iter().map(shown).collect();
    let total = items.len();
    let mut body = json!({ "items": items, "total": total });
    listed.shape(&mut body);
    Ok(Response::json(200, &body))
}

/// `BlocklistSource` of the contract.
fn shown(source: &Source) -> Value {
    json!({
        "id": source.id,
        "name": source.name,
        "url": source.url,
        "enabled": source.enabled,
        "unban_removed": source.unban_removed,
        "created_at": rfc3339(source.created_at),
        "updated_at": rfc3339(source.updated_at),
        "fetched_from": source.state.fetched.as_ref().map(|fetched| {
            json!({ "url": fetched.url, "addresses": fetched.addresses, "at": rfc3339(fetched.at) })
        }),
    })
}

/// `POST /api/v1/blocklists`
pub fn create(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let mut fields = request.fields()?;
    let name: Option<String> = fields.required("name");
    let url: String = fields.required("url").unwrap_or_default();
    let enabled = fields.optional("enabled").unwrap_or(true);
    let unban_removed = fields.optional("unban_removed").unwrap_or(false);
    fields.check(name.as_deref().is_none_or(is_name), "name", "length", NAME_RULE);
    fields.finish()?;
    let name = name.unwrap_or_default();
    fetch::check_url(&url, ctx.config.allow_private_fetch)?;
    let body = ctx.noted(|ctx| {
        let added = ctx.store.add_blocklist_source((&name, &url), (enabled, unban_removed), time::now())?;
        let id = added.ok_or_else(|| {
            ApiError::new(Code::LimitReached, "Source limit reached (100/100). Delete one that is not used.")
        })?;
        let body = shown(&load(ctx, id)?);
        let entry = Entry::new(What::BlocklistChanged, &name).saying("The list was added.");
        let entry = entry.differing(&Value::Null, &body, &UNTOLD);
        Ok((body, entry))
    })?;
    Ok(Response::json(201, &body))
}

const NAME_RULE: &str = "1 to 100 characters are expected, none of them a control character.";

fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

fn load(ctx: &Ctx, id: i64) -> Result<Source, ApiError> {
    ctx.store.blocklist_source(id)?.ok_or_else(|| missing(id))
}

fn missing(id: i64) -> ApiError {
    ApiError::new(Code::BlocklistSourceNotFound, format!("There is no blocklist source {id}.")).with("id", id)
}

/// `GET /api/v1/blocklists/{source_id}`
pub fn get(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let id = request.row_id("source_id", "A source")?;
    Ok(Response::json(200, &shown(&load(ctx, id)?)))
}

/// `PUT /api/v1/blocklists/{source_id}`
pub fn change(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let id = request.row_id("source_id", "A source")?;
    let old = shown(&load(ctx, id)?);
    let mut fields = request.fields()?.not_empty();
    let read = fields.read_only(&["id", "created_at", "updated_at", "fetched_from"]);
    fields.drop_unchanged(|name, value| old[name] == *value);
    let is_unchanged = fields.is_empty();
    let name: Option<String> = fields.optional("name");
    let url: Option<String> = fields.optional("url");
    let enabled: Option<bool> = fields.optional("enabled");
    let unban_removed: Option<bool> = fields.optional("unban_removed");
    fields.check(name.as_deref().is_none_or(is_name), "name", "length", NAME_RULE);
    fields.finish()?;
    let wrong = read.wrong(&old, |name| name == "fetched_from");
    if !wrong.is_empty() {
        return Err(Failure::WrongFields(wrong).into());
    }
    if is_unchanged {
        return Ok(Response::json(200, &old));
    }
    let mut source = load(ctx, id)?;
    if let Some(url) = url {
        fetch::check_url(&url, ctx.config.allow_private_fetch)?;
        source.url = url;
    }
    source.name = name.unwrap_or(source.name);
    source.enabled = enabled.unwrap_or(source.enabled);
    source.unban_removed = unban_removed.unwrap_or(source.unban_removed);
    let body = ctx.noted(|ctx| {
        ctx.store.change_blocklist_source(&source, time::now())?;
        let body = shown(&load(ctx, id)?);
        let target = old["name"].as_str().unwrap_or_default();
        Ok((body.clone(), Entry::new(What::BlocklistChanged, target).differing(&old, &body, &UNTOLD)))
    })?;
    Ok(Response::json(200, &body))
}

/// `DELETE /api/v1/blocklists/{source_id}`: what only it has brought is banned no longer.
pub fn remove(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let id = request.row_id("source_id", "A source")?;
    let name = load(ctx, id)?.name;
    let task = imports::tend_task(ctx, Some(id))?;
    Ok(Job::new(Task::Tend(task), move |ctx, tended| {
        ctx.noted(|ctx| match ctx.store.remove_blocklist_source(id)? {
            true => Ok(((), Entry::new(What::BlocklistChanged, &name).saying("The list was removed."))),
            false => Err(missing(id)),
        })?;
        // What could not be lifted is lifted the next time: its list is kept until then.
        let tended = json::from_tree(tended).map_err(ApiError::internal)?;
        let warning = imports::tended(ctx, tended).unwrap_or_default();
        Ok(Response::no_content().warning(&warning))
    })
    .detached())
}

/// `GET /api/v1/blocklists/{source_id}/preview`
pub fn preview(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let id = request.row_id("source_id", "A source")?;
    let url = load(ctx, id)?.url;
    Ok(look(ctx, url))
}

/// `POST /api/v1/blocklists/preview`: the same of a list that is no source yet.
pub fn preview_url(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let mut fields = request.fields()?;
    let url: String = fields.required("url").unwrap_or_default();
    fields.finish()?;
    fetch::check_url(&url, ctx.config.allow_private_fetch)?;
    Ok(look(ctx, url))
}

fn look(ctx: &Ctx, url: String) -> Job {
    let task = Task::Preview(preview::Preview { url, door: imports::door(ctx) });
    Job::new(task, |_, answer| Ok(Response::json(200, &answer)))
}
