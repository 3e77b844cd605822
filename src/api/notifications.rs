//! Whom something is told, and what was told: channels, a test of each, the log. Secrets go in and never come out.

use serde_json::{Value, json};

use super::notification_fields::Wanted;
use crate::app::code::Code;
use crate::app::listed::Listed;
use crate::app::{ApiError, Ctx, Job, Request};
use crate::domain::audit::{Entry, What};
use crate::domain::json;
use crate::domain::notification::{Channel, Event, MOST, Message};
use crate::domain::secrets::MASK;
use crate::domain::time::{self, rfc3339};
use crate::jobs::Task;
use crate::jobs::notify::Notify;
use crate::notify::{Failure, Kind};
use crate::server::response::Response;
use crate::services::notify;
use crate::store::notifications::{Notification, State};

/// What the list of channels can be sorted by.
const FIELDS: &[&str] = &["id", "name", "kind", "enabled", "created_at", "updated_at"];
/// What the log can be sorted by.
const LOG_FIELDS: &[&str] = &["id", "at", "channel", "event", "state", "updated_at"];

/// `GET /api/v1/notifications`
pub fn list(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let listed = Listed::read(request.query(), FIELDS)?.in_pages(request)?;
    let mut items: Vec<Value> = ctx.store.channels().iter().map(Channel::shown).collect();
    if !request.admitted.sees_commands() {
        // Whoever knows the address may send there, or listen.
        for url in items.iter_mut().filter_map(|item| item.get_mut("url")) {
            let host = url.as_str().and_then(|url| url.split('/').nth(2)).unwrap_or_default();
            *url = json!(format!("{host}/{MASK}"));
        }
    }
    let mut body = json!({ "items": items, "pagination": null });
    listed.shape(&mut body);
    Ok(Response::json(200, &body))
}

/// `POST /api/v1/notifications`
pub fn create(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let channel = Wanted::read(request.fields()?, None, ctx.config.allow_private_fetch)?.channel;
    let id = ctx.noted(|ctx| {
        let Some(id) = ctx.store.add_channel(&channel)? else {
            let detail = format!("Channel limit reached ({MOST}/{MOST}). Delete one that is not used.");
            return Err(ApiError::new(Code::LimitReached, detail));
        };
        Ok((id, told(&channel, "A channel of notifications was added.")))
    })?;
    Ok(Response::json(201, &load(ctx, id)?.shown()))
}

/// `PUT /api/v1/notifications/{id}`: what is not named stays. A secret goes where its receiver is another one.
pub fn change(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let id = request.row_id("id", "A channel")?;
    let old = load(ctx, id)?;
    let wanted = Wanted::read(request.fields()?.not_empty(), Some(&old), ctx.config.allow_private_fetch)?;
    if wanted.channel != old {
        let new = Channel { updated_at: time::now(), ..wanted.channel };
        let entry = told(&old, "A channel of notifications was changed.");
        let entry = entry.differing(&old.shown(), &new.shown(), &["updated_at"]);
        ctx.noted(|ctx| Ok((ctx.store.change_channel(&new, time::now())?, entry)))?;
    }
    let forgotten = "The secret was forgotten, for it was given for another receiver. Send it again.";
    let warning = if wanted.forgets { forgotten } else { "" };
    Ok(Response::json(200, &load(ctx, id)?.shown()).warning(warning))
}

/// `DELETE /api/v1/notifications/{id}`
pub fn remove(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let id = request.row_id("id", "A channel")?;
    let entry = told(&load(ctx, id)?, "A channel of notifications was removed.");
    ctx.noted(|ctx| match ctx.store.remove_channel(id)? {
        true => Ok((Response::no_content(), entry)),
        false => Err(missing(id)),
    })
}

/// What the audit tells of a change of channels.
fn told(channel: &Channel, what: &str) -> Entry {
    Entry::new(What::SettingsChanged, &channel.name).saying(what)
}

/// `POST /api/v1/notifications/test`: of a channel that is not saved yet.
pub fn test_new(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let channel = Wanted::read(request.fields()?, None, ctx.config.allow_private_fetch)?.channel;
    Ok(test(ctx, channel))
}

/// `POST /api/v1/notifications/{id}/test`
pub fn test_saved(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let id = request.row_id("id", "A channel")?;
    let channel = load(ctx, id)?;
    Ok(test(ctx, channel))
}

/// Sends a message at once, and says what kept it from coming through. Nothing of it is in the log of notifications.
fn test(ctx: &Ctx, channel: Channel) -> Job {
    let now = time::now();
    let message = Message::new(Event::Digest, "This is a test: notifications from bangui come through.", now);
    let delivery = notify::delivery(ctx, channel, message.as_test(), format!("test-{now:x}"));
    Job::new(Task::Notify(Box::new(Notify { delivery })), |_, outcome| {
        let failure: Option<Failure> = json::from_tree(outcome).map_err(ApiError::internal)?;
        let body = json!({ "sent": failure.is_none(), "failure": failure.as_ref().map(shown) });
        Ok(Response::json(200, &body))
    })
}

/// `GET /api/v1/notifications/log`
pub fn log(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let listed = Listed::read(request.query(), LOG_FIELDS)?.in_pages(request)?;
    let items: Vec<Value> = ctx.store.notifications()?.iter().map(entry).collect();
    let mut body = json!({ "items": items, "pagination": null });
    listed.shape(&mut body);
    Ok(Response::json(200, &body))
}

fn entry(notification: &Notification) -> Value {
    let Notification { message, state, .. } = notification;
    // What this program wrote it can read.
    let failure = notification.failure.as_ref().and_then(|text| json::read::<Failure>(text).ok());
    let lost = || Failure::new(Kind::Lost, "It was not heard whether it was sent; it is sent again.");
    let was_lost = *state == State::Waiting && notification.attempts > 0 && failure.is_none();
    let failure = failure.or_else(|| was_lost.then(lost));
    let is_waiting = *state == State::Waiting;
    json!({
        "id": notification.id,
        "at": rfc3339(notification.created_at),
        "updated_at": rfc3339(notification.updated_at),
        "channel_id": notification.channel,
        "channel": notification.channel_name,
        "event": message.event,
        "title": message.title(),
        "text": message.text(),
        "count": message.count,
        "state": state.as_str(),
        "attempts": notification.attempts,
        "next_at": is_waiting.then(|| rfc3339(notification.due)),
        "failure": failure.as_ref().map(shown),
    })
}

fn shown(failure: &Failure) -> Value {
    json!({ "kind": failure.kind, "status": failure.status, "detail": failure.detail })
}

fn load(ctx: &Ctx, id: i64) -> Result<Channel, ApiError> {
    ctx.store.channels().iter().find(|channel| channel.id == id).cloned().ok_or_else(|| missing(id))
}

fn missing(id: i64) -> ApiError {
    let detail = format!("There is no notification channel {id}. GET /api/v1/notifications lists them.");
    ApiError::new(Code::ChannelNotFound, detail).with("id", id)
}
