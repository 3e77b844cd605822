//! The daemon's own settings, until its next reload.

use std::path::Path;

use serde_json::{Value, json};

use crate::app::code::Code;
use crate::app::input::Fields;
use crate::app::{ApiError, Ctx, Request, paths};
use crate::domain::audit::{Entry, What};
use crate::fail2ban;
use crate::fail2ban::commands::ServerSettings;
use crate::jobs::Failure;
use crate::jobs::server_edits::ServerValues;
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
        "settings": shown(&settings),
        "warnings": { "db_purge_age_too_low": settings.db_purge_age.is_some_and(|age| age < LOW_PURGE_AGE) },
    });
    Ok(Response::json(200, &body))
}

fn shown(settings: &ServerSettings) -> Value {
    let mut all = changeable(settings);
    all["syslog_socket"] = json!(settings.syslog_socket);
    all["db_path"] = json!(settings.db_path);
    all
}

/// Those that can be changed, as the API shows them.
pub fn changeable(settings: &ServerSettings) -> Value {
    json!({
        "log_level": settings.log_level,
        "log_target": settings.log_target,
        "db_purge_age": settings.db_purge_age,
        "db_max_matches": settings.db_max_matches,
    })
}

/// Settings of the daemon as a client sends them, checked.
pub fn values_of(ctx: &Ctx, mut fields: Fields) -> Result<ServerValues, ApiError> {
    let log_level: Option<String> = fields.optional("log_level");
    let log_level = log_level.map(|level| level.to_ascii_uppercase());
    let log_target: Option<String> = fields.optional("log_target");
    fields.times(&["db_purge_age"]);
    let db_purge_age: Option<u32> = fields.optional("db_purge_age");
    let db_max_matches: Option<u32> = fields.optional("db_max_matches");
    fields.finish()?;
    if log_level.as_deref().is_some_and(|level| !LOG_LEVELS.contains(&level)) {
        return Err(ApiError::invalid_field(
            "log_level",
            format!("log_level must be one of {}.", LOG_LEVELS.join(", ")),
        ));
    }
    let kept = [Some(ctx.store.path()), ctx.known_database.as_deref(), Some(ctx.fail2ban_socket())];
    let kept: Vec<&Path> = kept.into_iter().flatten().collect();
    let log_target = log_target.as_deref().map(|target| paths::log_target(&ctx.config, &kept, target)).transpose()?;
    Ok(ServerValues { log_level, log_target, db_purge_age, db_max_matches })
}

/// `PUT /api/v1/server/settings`
pub fn change_settings(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let mut fields = request.fields()?;
    // A remark that goes with what was read.
    fields.optional::<Value>("warnings");
    let mut fields = fields.within("settings").not_empty();
    let read = fields.read_only(&["syslog_socket", "db_path"]);
    let before = match ctx.daemon.server_settings() {
        Ok(before) => before,
        Err(error) => {
            // What is wrong with the body is said all the same.
            values_of(ctx, fields)?;
            return Err(error.into());
        }
    };
    let shown = shown(&before);
    fields.drop_unchanged(|name, value| shown[name] == *value);
    let values = values_of(ctx, fields)?;
    let wrong = read.wrong(&shown, |_| false);
    if !wrong.is_empty() {
        return Err(Failure::WrongFields(wrong).into());
    }
    values.set(&mut ctx.daemon, &before).map_err(Failure::from)?;
    // What the daemon has by now is in force, whatever was sent.
    let after = ctx.daemon.server_settings().map_or_else(|_| json!(values), |after| changeable(&after));
    ctx.note(&Entry::new(What::SettingsChanged, "fail2ban").differing(&changeable(&before), &after, &[]));
    Ok(Response::no_content())
}

/// `POST /api/v1/server/flush-logs`
pub fn flush_logs(ctx: &mut Ctx, _request: &Request) -> Result<Response, ApiError> {
    let message = ctx.daemon.flush_logs().map_err(rejected)?;
    ctx.note(&Entry::new(What::SettingsChanged, "fail2ban").saying("Its log was opened anew."));
    Ok(Response::json(200, &json!({ "message": message })))
}

/// Here the contract answers 400 to what the daemon refuses.
fn rejected(error: fail2ban::Error) -> ApiError {
    let refused = matches!(error, fail2ban::Error::Refused { .. });
    let mut error = ApiError::from(error);
    if refused {
        error.status = 400;
        error.code = Code::InvalidInput;
    }
    error
}
