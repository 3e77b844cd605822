//! The changes of configuration files: listed, shown with their diffs, taken back.

use serde_json::{Value, json};

use crate::app::listed::Listed;
use crate::app::{ApiError, Ctx, Job, Outcome, Request};
use crate::apply::Scope;
use crate::domain::json;
use crate::domain::secrets::MASK;
use crate::jobs::Task;
use crate::jobs::changes::{ShowChange, Undo, Undone};
use crate::server::response::Response;
use crate::services::{apply, changes};

/// `GET /api/v1/config/changes`
pub fn list(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let listed = Listed::read(request.query(), &["id", "at", "by_hand"])?.in_pages(request)?;
    let Some(task) = changes::look(ctx)? else { return page_of(ctx, &listed).map(Outcome::Answer) };
    let noted = ctx.changes_noted;
    Ok(Outcome::Job(Box::new(Job::new(task, move |ctx, found| {
        changes::looked(ctx, found, noted)?;
        page_of(ctx, &listed)
    }))))
}

fn page_of(ctx: &Ctx, listed: &Listed) -> Result<Response, ApiError> {
    let mut body = json!({ "items": changes::list(ctx)?, "pagination": null });
    listed.shape(&mut body);
    Ok(Response::json(200, &body))
}

/// `GET /api/v1/config/changes/{id}`
pub fn detail(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let id = request.row_id("id", "A change")?;
    let whole = changes::one(ctx, id)?;
    let mut body = changes::described(ctx, &whole)?;
    let shows_commands = request.admitted.sees_commands();
    Ok(Job::new(Task::ShowChange(ShowChange { files: whole.files }), move |_, diffs| {
        body["files"] = diffs;
        if !shows_commands {
            leave_commands_out(&mut body);
        }
        Ok(Response::json(200, &json!({ "change": body })))
    }))
}

/// Leaves out what may be a command, or the value of a parameter of one.
fn leave_commands_out(change: &mut Value) {
    for file in change["files"].as_array_mut().into_iter().flatten() {
        file["diff"] = json!("(Only admins are shown what files say: commands may stand in them.)");
    }
    for effect in change["effect"].as_array_mut().into_iter().flatten() {
        if effect["field"].as_str().is_none_or(|field| field.starts_with("action")) {
            for side in ["before", "after"] {
                if !effect[side].is_null() {
                    effect[side] = json!(MASK);
                }
            }
        }
    }
}

/// `POST /api/v1/config/changes/{id}/undo`
pub fn undo(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let id = request.row_id("id", "A change")?;
    let files = changes::one(ctx, id)?.files;
    let apply = apply::apply_task(ctx, Scope::Jails(Vec::new()))?;
    let commands = ctx.commands();
    let task = Task::Undo(Box::new(Undo { files, commands, apply }));
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
