//! The daemon's own settings, until its next reload.

use std::path::Path;

use serde_json::json;

use super::error::ApiError;
use super::{Ctx, Request, paths};
use crate::fail2ban;
use crate::server::response::Response;

/// Log levels of all versions of the daemon.
pub const LOG_LEVELS: [&str; 9] =
    ["CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "MSG", "DEBUG", "TRACEDEBUG", "HEAVYDEBUG"];
/// Below this the history is lost early: a day, in seconds.
const LOW_PURGE_AGE: i64 = 24 * 3600;

/// `GET /api/v1/server/settings`
pub fn settings(ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    let settings = ctx.daemon.server_settings()?;
    let body = json!({
        "settings": {
            "log_level": settings.log_level,
            "log_target": settings.log_target,
            "syslog_socket": settings.syslog_socket,
            "db_path": settings.db_path,
            "db_purge_age": settings.db_purge_age,
            "db_max_matches": settings.db_max_matches,
        },
        "warnings": { "db_purge_age_too_low": settings.db_purge_age.is_some_and(|age| age < LOW_PURGE_AGE) },
    });
    Ok(Response::json(200, &body))
}

/// Settings of the daemon as a client sends them, checked.
pub struct Settings {
    log_level: Option<String>,
    log_target: Option<String>,
    db_purge_age: Option<u32>,
    db_max_matches: Option<u32>,
}

impl Settings {
    /// Those of a body.
    pub fn of(ctx: &Ctx, request: &Request) -> Result<Settings, ApiError> {
        let mut fields = request.fields()?.not_empty();
        let log_level: Option<String> = fields.optional("log_level");
        let log_level = log_level.map(|level| level.to_ascii_uppercase());
        let log_target: Option<String> = fields.optional("log_target");
        let db_purge_age: Option<u32> = fields.optional("db_purge_age");
        let db_max_matches: Option<u32> = fields.optional("db_max_matches");
        fields.finish()?;
        if log_level.as_deref().is_some_and(|level| !LOG_LEVELS.contains(&level)) {
            return Err(ApiError::invalid_field("log_level", format!("Expected one of {}.", LOG_LEVELS.join(", "))));
        }
        let kept = [Some(ctx.store.path()), ctx.known_database.as_deref(), Some(ctx.fail2ban_socket())];
        let kept: Vec<&Path> = kept.into_iter().flatten().collect();
        let log_target =
            log_target.as_deref().map(|target| paths::log_target(&ctx.config, &kept, target)).transpose()?;
        Ok(Settings { log_level, log_target, db_purge_age, db_max_matches })
    }

    /// Sets them in the daemon.
    pub fn set(&self, ctx: &mut Ctx) -> Result<(), ApiError> {
        if let Some(level) = &self.log_level {
            ctx.daemon.set_log_level(level).map_err(rejected)?;
        }
        if let Some(target) = &self.log_target {
            ctx.daemon.set_log_target(target).map_err(rejected)?;
        }
        if let Some(seconds) = self.db_purge_age {
            ctx.daemon.set_db_purge_age(seconds).map_err(rejected)?;
        }
        if let Some(lines) = self.db_max_matches {
            ctx.daemon.set_db_max_matches(lines).map_err(rejected)?;
        }
        Ok(())
    }

    /// Their names and values in the files.
    pub fn options(&self) -> Vec<(&'static str, String)> {
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        let all = [
            ("loglevel", self.log_level.clone()),
            ("logtarget", self.log_target.clone()),
            ("dbpurgeage", number(self.db_purge_age)),
            ("dbmaxmatches", number(self.db_max_matches)),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

/// `PUT /api/v1/server/settings`
pub fn change_settings(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    Settings::of(ctx, request)?.set(ctx)?;
    Ok(Response::no_content())
}

/// `POST /api/v1/server/flush-logs`
pub fn flush_logs(ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    let message = ctx.daemon.flush_logs().map_err(rejected)?;
    Ok(Response::json(200, &json!({ "message": message })))
}

/// Here the contract answers 400 to what the daemon refuses.
fn rejected(error: fail2ban::Error) -> ApiError {
    let refused = matches!(error, fail2ban::Error::Refused { .. });
    let mut error = ApiError::from(error);
    if refused {
        error.status = 400;
        error.code = "invalid_input";
    }
    error
}
