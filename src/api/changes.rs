//! The changes of configuration files: listed, shown with their diffs, taken back.

use std::str::FromStr;

use serde_json::{Value, json};

use crate::app::{ApiError, Ctx, Job, Outcome, Request};
use crate::apply::Scope;
use crate::domain::json;
use crate::domain::page::Page;
use crate::jobs::Task;
use crate::jobs::changes::{ShowChange, Undo, Undone};
use crate::server::response::Response;
use crate::services::{apply, changes};

/// The number of a change, as it stands in a path.
struct ChangeId(i64);

impl FromStr for ChangeId {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        let number = text.parse().ok().filter(|id| *id >= 1);
        number.map(ChangeId).ok_or_else(|| ApiError::invalid_field("id", "A change is named by its number."))
    }
}

/// `GET /api/v1/config/changes`
pub fn list(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let whole = Page::new(1, Page::MAX_SIZE).filter(|_| request.wants_all());
    let page = whole.map_or_else(|| request.query().page(), Ok)?;
    let Some(task) = changes::look(ctx)? else { return page_of(ctx, page).map(Outcome::Answer) };
    let noted = ctx.changes_noted;
    Ok(Outcome::Job(Box::new(Job::new(task, move |ctx, found| {
        changes::looked(ctx, found, noted)?;
        page_of(ctx, page)
    }))))
}

fn page_of(ctx: &Ctx, page: Page) -> Result<Response, ApiError> {
    let all = changes::list(ctx)?;
    let start = usize::try_from(page.offset()).unwrap_or(usize::MAX).min(all.len());
    let items: Vec<&Value> = all[start..].iter().take(page.size() as usize).collect();
    Ok(Response::json(200, &json!({ "items": items, "pagination": page.describe(all.len() as u64) })))
}

/// `GET /api/v1/config/changes/{id}`
pub fn detail(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let ChangeId(id) = request.parameter()?;
    let whole = changes::one(ctx, id)?;
    let mut body = changes::described(ctx, &whole)?;
    Ok(Job::new(Task::ShowChange(ShowChange { files: whole.files }), move |_, diffs| {
        body["files"] = diffs;
        Ok(Response::json(200, &json!({ "change": body })))
    }))
}

/// `POST /api/v1/config/changes/{id}/undo`
pub fn undo(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let ChangeId(id) = request.parameter()?;
    let files = changes::one(ctx, id)?.files;
    let apply = apply::apply_task(ctx, Scope::Jails(Vec::new()))?;
    let allow_action_edit = ctx.config.allow_action_edit;
    let task = Task::Undo(Box::new(Undo { files, allow_action_edit, apply }));
    let finish = move |ctx: &mut Ctx, outcome: Value| {
        let Undone { applied, files } = json::from_tree(outcome).map_err(ApiError::internal)?;
        let made = apply::remember(ctx, &applied, Some(id))?;
        let whole = changes::one(ctx, made)?;
        let mut body = changes::described(ctx, &whole)?;
        body["files"] = json!(files);
        Ok(Response::json(200, &json!({ "change": body })).warning(&applied.warnings.join(" ")))
    };
    Ok(Job::new(task, finish).detached())
}
