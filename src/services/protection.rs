//! Looking whether this machine is protected: when it is due, and when somebody wants to know now.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;

use crate::app::{ApiError, Ctx, Job};
use crate::domain::json;
use crate::jobs::Task;
use crate::jobs::protection::Look;
use crate::protection::Report;
use crate::server::response::Response;
use crate::services::notify;

/// So many bans of a jail are too many to ask fail2ban for; of those that are known, so many are looked for.
const MANY: usize = 2000;
const SOME: usize = 500;

/// The task.
pub fn task(ctx: &Ctx) -> Result<Task, ApiError> {
    let resting = ctx.store.all_idle()?.into_iter().filter(|(_, idle)| *idle).map(|(jail, _)| jail).collect();
    let mut some_bans = BTreeMap::new();
    for jail in ctx.banned.held.jails().iter().filter(|jail| jail.rows().len() > MANY) {
        let rows = jail.rows();
        // From all over the list, the one that ends last among them.
        let some = rows.iter().rev().step_by(rows.len() / SOME).take(SOME);
        some_bans.insert(jail.name().to_owned(), some.map(|row| jail.shown(row)).collect());
    }
    Ok(Task::LookAtProtection(Look {
        socket: ctx.fail2ban_socket().to_owned(),
        config_dir: ctx.config.fail2ban_config.clone(),
        allowed: ctx.config.allowed_log_dirs.clone(),
        resting,
        some_bans,
    }))
}

/// Takes over what a child has found.
pub fn looked(ctx: &mut Ctx, found: Value) -> Result<(), ApiError> {
    let report: Report = json::from_tree(found).map_err(ApiError::internal)?;
    ctx.protection.take(report);
    notify::looked(ctx);
    Ok(())
}

/// Has a child look, for nobody in particular.
pub fn look(ctx: &mut Ctx, now: Instant) -> Result<(), ApiError> {
    if ctx.protection.is_looking(now) {
        return Ok(());
    }
    let task = task(ctx)?;
    ctx.protection.begin(now);
    let keep = |ctx: &mut Ctx, found| {
        looked(ctx, found)?;
        Ok(Response::no_content())
    };
    ctx.background.push(Job::new(task, keep));
    Ok(())
}

/// When it is due; `None` before setup.
pub fn due(ctx: &Ctx) -> Option<Instant> {
    ctx.is_set_up().then(|| ctx.protection.due())
}

/// The same where it is due.
pub fn look_when_due(ctx: &mut Ctx, now: Instant) -> Result<(), ApiError> {
    if due(ctx).is_some_and(|due| now >= due) { look(ctx, now) } else { Ok(()) }
}
