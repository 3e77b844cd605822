//! `[DEFAULT]`: what every jail has that does not say otherwise, shown and changed. Nothing is computed here: a child reads the files.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::app::jail_fields::taken;
use crate::app::{ApiError, Ctx, Job, Request};
use crate::apply::Scope;
use crate::domain::as_read::AsRead;
use crate::domain::json;
use crate::jobs::Task;
use crate::jobs::default_edits::{EditDefault, ShowDefault};
use crate::jobs::jail_config::{JailConfigs, Wanted};
use crate::jobs::jail_edits::Edited;
use crate::jobs::jail_rules::Limits;
use crate::server::response::Response;
use crate::services::apply;

/// `GET /api/v1/config/default`
pub fn show(ctx: &mut Ctx, _request: &Request) -> Result<Job, ApiError> {
    let task = Task::ShowDefault(ShowDefault { configs: configs(ctx) });
    Ok(Job::new(task, |_, answer| Ok(Response::json(200, &answer))))
}

/// `PUT /api/v1/config/default`
pub fn change(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let mut fields = request.fields()?;
    // What GET shows may be sent back whole; what the jails say is theirs.
    let read = fields.read_only(&["overrides"]);
    let mut fields = fields.within("default").not_empty();
    let force = fields.optional("force").unwrap_or(false);
    let values = taken(&mut fields);
    fields.finish()?;
    let read = AsRead { read_only: Map::new(), ..read };
    let limits = Limits { log_dirs: ctx.config.allowed_log_dirs.clone(), commands: ctx.commands() };
    let apply = apply::apply_task(ctx, Scope::Jails(Vec::new()))?;
    let task = EditDefault { values, read, force, limits, configs: configs(ctx), apply };
    Ok(Job::new(Task::EditDefault(Box::new(task)), changed).detached())
}

fn changed(ctx: &mut Ctx, outcome: Value) -> Result<Response, ApiError> {
    let edited: Edited = json::from_tree(outcome).map_err(ApiError::internal)?;
    let mut warnings = edited.costs;
    if let Some(applied) = edited.applied {
        apply::remember(ctx, &applied, None)?;
        warnings.extend(applied.warnings);
    }
    Ok(Response::json(200, &edited.jail).warning(&warnings.join(" ")))
}

/// What describes a jail.
fn configs(ctx: &Ctx) -> JailConfigs {
    JailConfigs {
        config_dir: ctx.config.fail2ban_config.clone(),
        version: ctx.snapshot.version.clone(),
        running: Vec::new(),
        pending: BTreeMap::new(),
        wanted: Wanted::All,
    }
}
