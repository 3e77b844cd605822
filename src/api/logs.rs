//! The daemon's own log, as far as it is a file that may be read.

use std::path::Path;

use serde_json::{Value, json};

use super::regex::MAX_LINES;
use crate::app::{ApiError, Ctx, Job, Request, paths};
use crate::domain::{json, secrets};
use crate::jobs::Task;
use crate::jobs::logs::ReadLog;
use crate::jobs::tail::LogFile;
use crate::server::response::Response;

/// The lines shown unless the request says otherwise.
const DEFAULT_LINES: usize = 200;
/// The longest text to search for, in bytes.
const MAX_FILTER: usize = 1000;

/// `GET /api/v1/config/fail2ban-log`
pub fn fail2ban_log(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let query = request.query();
    let lines = query.get("lines")?.unwrap_or(DEFAULT_LINES);
    let filter = query.text("filter")?.filter(|text| !text.is_empty());
    if !(1..=MAX_LINES).contains(&lines) {
        return Err(ApiError::invalid_field("lines", "lines must be a whole number from 1 to 2000."));
    }
    if filter.as_ref().is_some_and(|text| text.len() > MAX_FILTER) {
        return Err(ApiError::invalid_field("filter", "filter may be at most 1000 bytes long."));
    }
    let (target, level) = match ctx.daemon.server_settings() {
        Ok(settings) => (settings.log_target, settings.log_level),
        // Its log is wanted most when it is away: its files say where that is.
        Err(error) => {
            let files = ctx.server_files().ok_or(error)?;
            (files.log_target, files.log_level)
        }
    };
    let path = paths::allowed(&ctx.config, Path::new(&target)).map_err(|problem| not_readable(&target, &problem))?;
    let log = LogFile { path: path.clone(), allowed: ctx.config.allowed_log_dirs.clone() };
    let task = Task::ReadLog(ReadLog { log, lines, filter });
    let shows_commands = request.admitted.sees_commands();
    Ok(Job::new(task, move |_, mut answer: Value| {
        if !shows_commands {
            let lines: Vec<String> = json::from_tree(answer["lines"].take()).map_err(ApiError::internal)?;
            answer["lines"] = json!(secrets::log_lines(&lines));
        }
        answer["log_path"] = json!(path);
        answer["log_level"] = json!(level);
        answer["log_target"] = json!(target);
        Ok(Response::json(200, &answer))
    }))
}

/// 400: what the daemon writes its log to is not for reading here.
fn not_readable(target: &str, problem: &str) -> ApiError {
    let problem = if target.starts_with('/') { problem } else { "It is not a file." };
    ApiError::invalid_input(format!("fail2ban's log target {target:?} cannot be read: {problem}"))
}
