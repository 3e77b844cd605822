//! The daemon's own settings, until its next reload.

use std::path::Path;

use serde_json::json;

use crate::app::ApiError;
use crate::app::{Ctx, Request, paths};
use crate::fail2ban::{self, Daemon};
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

    /// Sets them in the daemon: all of them, or it has what it had.
    pub fn set(&self, ctx: &mut Ctx) -> Result<(), ApiError> {
        let before = ctx.daemon.server_settings()?;
        let Err(error) = self.try_to_set(&mut ctx.daemon) else { return Ok(()) };
        let old = Settings {
            log_level: self.log_level.as_ref().map(|_| before.log_level),
            log_target: self.log_target.as_ref().map(|_| before.log_target),
            db_purge_age: self.db_purge_age.and(before.db_purge_age).and_then(|age| u32::try_from(age).ok()),
            db_max_matches: self.db_max_matches.and(before.db_max_matches).and_then(|lines| u32::try_from(lines).ok()),
        };
        let is_back = old.try_to_set(&mut ctx.daemon).is_ok();
        let mut error = rejected(error);
        if !is_back {
            error.detail.push_str(" Some of the other values were set and could not be put back.");
        }
        Err(error)
    }

    fn try_to_set(&self, daemon: &mut Daemon) -> Result<(), fail2ban::Error> {
        // Only the target can be refused: it comes first.
        if let Some(target) = &self.log_target {
            daemon.set_log_target(target)?;
        }
        if let Some(level) = &self.log_level {
            daemon.set_log_level(level)?;
        }
        if let Some(seconds) = self.db_purge_age {
            daemon.set_db_purge_age(seconds)?;
        }
        if let Some(lines) = self.db_max_matches {
            daemon.set_db_max_matches(lines)?;
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
