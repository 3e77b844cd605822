//! Sends what is to be told, a message of a channel at a time, each by a child; and notices what nobody else would tell: that fail2ban is
//! away or back, and that this machine is protected no more or again.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::app::notifying::Told;
use crate::app::{ApiError, Ctx, Job};
use crate::domain::audit::{Entry, What};
use crate::domain::json;
use crate::domain::notification::{Channel, Event, Message};
use crate::domain::time;
use crate::fail2ban;
use crate::jobs::Task;
use crate::jobs::notify::Notify;
use crate::notify::{Delivery, Failure};
use crate::protection::Level;
use crate::server::response::Response;
use crate::store::notifications::Notification;

/// So many are sent at a time.
const AT_A_TIME: usize = 4;
/// fail2ban is away for so long before that is told: a restart is none of it.
const AWAY: Duration = Duration::from_secs(10);
/// The same where it is there and does not answer: it may only have much to do.
const SILENT: Duration = Duration::from_secs(60);
/// The most findings that a message names.
const MOST_FINDINGS: usize = 9;

/// What a child needs to send a message.
pub fn delivery(ctx: &Ctx, channel: Channel, message: Message, id: String) -> Delivery {
    Delivery {
        channel,
        message,
        id,
        host: ctx.host_name.clone(),
        allow_private: ctx.config.allow_private_fetch,
        authorities: ctx.config.blocklist_ca_file.clone(),
    }
}

/// Has children send what is due.
pub fn send_when_due(ctx: &mut Ctx, now: Instant) -> Result<(), ApiError> {
    watch_daemon(ctx, now);
    while ctx.notification_due(now).is_some_and(|due| due <= now) {
        let busy = ctx.notifying.busy(now);
        if busy.len() >= AT_A_TIME {
            break;
        }
        let Some((channel, notification)) = ctx.store.take_notification(&busy, time::now())? else { break };
        ctx.notifying.begin(channel.id, now);
        let id = format!("{:x}-{}", notification.created_at, notification.id);
        let delivery = delivery(ctx, channel, notification.message.clone(), id);
        let task = Task::Notify(Box::new(Notify { delivery }));
        ctx.background.push(Job::new(task, move |ctx, outcome| sent(ctx, &notification, outcome)));
    }
    Ok(())
}

/// Notes that an attempt has failed; the first and the last of a message are in the audit. Gives whether it was the last.
fn failed(ctx: &mut Ctx, notification: &Notification, failure: &Failure, text: &str) -> Result<bool, ApiError> {
    let (id, now) = (notification.id, time::now());
    if notification.attempts > 1 && notification.created_at + crate::store::notifications::GIVEN_UP >= now {
        return Ok(ctx.store.notification_failed(id, text, failure.wait, now)?);
    }
    ctx.noted(|ctx| {
        let is_last = ctx.store.notification_failed(id, text, failure.wait, now)?;
        let end = if is_last { "It was given up." } else { "It is tried again." };
        let detail = format!("{}: {} {end}", notification.message.event.as_str(), failure.detail);
        Ok((is_last, Entry::new(What::NotificationFailed, &notification.channel_name).saying(detail)))
    })
}

/// Notes what became of it.
fn sent(ctx: &mut Ctx, notification: &Notification, outcome: Value) -> Result<Response, ApiError> {
    ctx.notifying.end(notification.channel);
    let failure: Option<Failure> = json::from_tree(outcome).map_err(ApiError::internal)?;
    let (id, now) = (notification.id, time::now());
    match failure {
        None => ctx.store.notification_sent(id, now)?,
        Some(failure) => {
            let text = json::text(&failure).map_err(ApiError::internal)?;
            let is_last = failed(ctx, notification, &failure, &text)?;
            if is_last || notification.attempts == 1 {
                let event = notification.message.event.as_str();
                let what = if is_last { "given up" } else { "tried again later" };
                let channel = notification.channel_name.escape_debug();
                log::warn!("notification {id} ({event}) to \"{channel}\" is {what}: {}", failure.detail);
            }
        }
    }
    Ok(Response::no_content())
}

/// Tells that fail2ban has been away for a while, and that it is back.
fn watch_daemon(ctx: &mut Ctx, now: Instant) {
    if ctx.store.channels().is_empty() || ctx.snapshot.taken.is_none() {
        return;
    }
    let told = ctx.told();
    if ctx.snapshot.online {
        ctx.notifying.down_since = None;
        if told.down {
            ctx.set_told(Told { down: false, ..told });
            ctx.tell(Event::DaemonUp, "fail2ban answers again.");
        }
        return;
    }
    let since = *ctx.notifying.down_since.get_or_insert(now);
    let is_silent = matches!(ctx.away, Some(fail2ban::Error::Busy { .. }));
    // A restart of ours, or an apply, is known to be under way.
    if told.down || ctx.daemon_is_taken || now < since + if is_silent { SILENT } else { AWAY } {
        return;
    }
    let line = if is_silent {
        "fail2ban does not answer: it hangs, or has much to do. New attacks may not be banned.".to_owned()
    } else {
        let why = ctx.away.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("fail2ban is not running; nobody is banned ({why}).")
    };
    ctx.set_told(Told { down: true, ..told });
    ctx.tell(Event::DaemonDown, &line);
}

/// Tells that this machine is protected no more, or again, after a look.
pub fn looked(ctx: &mut Ctx) {
    if ctx.store.channels().is_empty() {
        return;
    }
    let (verdict, told) = (ctx.protection.verdict(), ctx.told());
    let (event, bad) = match (verdict.level, told.bad) {
        (Level::Bad, false) => (Event::ProtectionBad, true),
        (Level::Ok | Level::Warn, true) => (Event::ProtectionOk, false),
        _ => return,
    };
    let mut message = Message::new(event, &verdict.sentence, time::now());
    if bad {
        let shown = ctx.protection.shown();
        let findings = shown["findings"].as_array().into_iter().flatten();
        let bad = findings.filter(|finding| finding["level"] == "bad" && finding["rest"].is_null());
        let sentences = bad.filter_map(|finding| finding["sentence"].as_str());
        for line in sentences.filter(|line| !verdict.sentence.contains(line)).take(MOST_FINDINGS) {
            message.add(line);
        }
    }
    ctx.set_told(Told { bad, ..told });
    ctx.tell_all(&message);
}
