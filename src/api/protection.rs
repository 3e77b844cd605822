//! Whether this machine is protected: the verdict with its findings, a look now, one jail step by step, and findings put to rest.

use std::str::FromStr;
use std::time::Instant;

use serde_json::json;

use crate::app::code::Code;
use crate::app::protection::{MOST, Rest};
use crate::app::{ApiError, Ctx, Job, Request};
use crate::domain::names::Running;
use crate::domain::own_ban::LONGEST_NOTE;
use crate::domain::time;
use crate::fail2ban::Error;
use crate::jobs::Task;
use crate::jobs::protection::prove::Prove;
use crate::protection::Level;
use crate::server::response::Response;
use crate::services::protection;

/// The longest name of a finding, in bytes.
const LONGEST_ID: usize = 512;

/// The name of a finding.
struct Named(String);

impl FromStr for Named {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        if text.is_empty() || text.len() > LONGEST_ID || text.chars().any(char::is_control) {
            return Err(ApiError::invalid_field(
                "id",
                "A finding is named by its id, as GET /api/v1/protection lists it.",
            ));
        }
        Ok(Named(text.to_owned()))
    }
}

/// `GET /api/v1/protection`
pub fn get(ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    look_where_never(ctx)?;
    Ok(Response::json(200, &ctx.protection.shown()))
}

/// `POST /api/v1/protection/check`
pub fn check(ctx: &mut Ctx, _request: &Request) -> Result<Job, ApiError> {
    let task = protection::task(ctx)?;
    ctx.protection.begin(Instant::now());
    Ok(Job::new(task, |ctx, found| {
        protection::looked(ctx, found)?;
        Ok(Response::json(200, &ctx.protection.shown()))
    }))
}

/// `GET /api/v1/jails/{name}/check`
pub fn jail(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let Running(name) = request.parameter()?;
    look_where_never(ctx)?;
    if let Some(shown) = ctx.protection.jail(name.as_str()) {
        return Ok(Response::json(200, &shown));
    }
    if !ctx.known_jails.iter().any(|own| own == name.as_str()) && ctx.snapshot.online {
        return Err(Error::UnknownJail(name.to_string()).into());
    }
    let body = json!({
        "jail": name.as_str(), "level": Level::Unknown, "sentence": "Not looked yet.", "checked_at": null, "steps": [],
    });
    Ok(Response::json(200, &body))
}

/// `POST /api/v1/jails/{name}/prove`
pub fn prove(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let Running(name) = request.parameter()?;
    let is_dry = request.query().get("dry_run")?.unwrap_or(false);
    if !request.body.is_empty() {
        request.fields()?.finish()?;
    }
    let prove = Prove { socket: ctx.fail2ban_socket().to_owned(), jail: name.to_string(), is_dry, only_lifts: false };
    let lifts = Prove { only_lifts: true, ..prove.clone() };
    let job = Job::new(Task::Prove(prove), |_, proof| Ok(Response::json(200, &proof)));
    if is_dry {
        return Ok(job);
    }
    // A child that died may have left its ban behind.
    Ok(job.detached().undone_by(|ctx| {
        ctx.background.push(Job::new(Task::Prove(lifts), |_, _| Ok(Response::no_content())));
    }))
}

/// Somebody wants to know, and nobody has looked since the start.
fn look_where_never(ctx: &mut Ctx) -> Result<(), ApiError> {
    match ctx.protection.report {
        None => protection::look(ctx, Instant::now()),
        Some(_) => Ok(()),
    }
}

/// `PUT /api/v1/protection/findings/{id}/rest`
pub fn rest(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let Named(id) = request.parameter()?;
    if !ctx.protection.has(&id) && ctx.protection.rest_of(&id).is_none() {
        return Err(unknown(&id, "There is no finding"));
    }
    let mut fields = request.fields()?;
    let note: String = fields.required("note").unwrap_or_default();
    let is_plain = note.chars().count() <= LONGEST_NOTE && !note.chars().any(char::is_control);
    fields.check(is_plain, "note", "format", "note: at most 500 characters in one line are expected.");
    let given: Option<Option<String>> = fields.optional("until");
    let text = given.flatten();
    let until = text.as_deref().and_then(time::parse_rfc3339);
    let is_later = text.is_none() || until.is_some_and(|until| until > time::now());
    fields.check(is_later, "until", "format", "until: a time to come is expected, such as 2030-12-31T18:00:00Z.");
    fields.finish()?;
    let actor = ctx.acting.actor.clone();
    let rest = Rest { id: id.clone(), note: note.trim().to_owned(), until, at: time::now(), actor };
    if !ctx.protection.set(&mut ctx.store, &id, Some(rest))? {
        let detail =
            format!("Limit of findings at rest reached ({MOST}/{MOST}). Wake one that is not needed any more.");
        return Err(ApiError::new(Code::LimitReached, detail));
    }
    Ok(Response::json(200, &ctx.protection.shown()))
}

/// `DELETE /api/v1/protection/findings/{id}/rest`
pub fn wake(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let Named(id) = request.parameter()?;
    if ctx.protection.rest_of(&id).is_none() {
        return Err(unknown(&id, "No finding is at rest that is called"));
    }
    ctx.protection.set(&mut ctx.store, &id, None)?;
    Ok(Response::json(200, &ctx.protection.shown()))
}

fn unknown(id: &str, what: &str) -> ApiError {
    let detail = format!("{what} {id:?}. GET /api/v1/protection lists them.");
    ApiError::new(Code::FindingNotFound, detail).with("name", id)
}
