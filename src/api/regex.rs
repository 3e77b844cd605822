//! Expressions tried on log lines before a jail depends on them. The work is done in a child; what an expression makes
//! of a line is said by `jobs::patterns`.

use std::path::Path;

use crate::app::input::Fields;
use crate::app::{ApiError, Ctx, Job, Request, paths};
use crate::jobs::Task;
use crate::jobs::patterns::{PreviewLog, TestRegex};
use crate::jobs::tail::LogFile;
use crate::server::response::Response;

/// The longest expression, in characters.
pub const MAX_REGEX: usize = 16_384;
/// The longest log line, in characters.
pub const MAX_LINE: usize = 65_536;
/// The most lines of a log that are looked at.
pub const MAX_LINES: usize = 2000;
/// The lines of a log that are looked at unless the request says otherwise.
const DEFAULT_LINES: usize = 200;

/// `POST /api/v1/config/regex-test`
pub fn test(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let mut fields = request.fields()?;
    let line: Option<String> = fields.required("log_line");
    let regex = expression(&mut fields);
    let date_pattern: Option<Option<String>> = fields.optional("date_pattern");
    let line = line.unwrap_or_default();
    fields.check(is_short(&line, MAX_LINE), "log_line", "max_length", "A line may be at most 65536 characters long.");
    fields.finish()?;
    let version = ctx.snapshot.version.clone();
    Ok(job(Task::TestRegex(TestRegex { line, regex, date_pattern: date_pattern.flatten(), version })))
}

/// `POST /api/v1/config/preview-log`
pub fn preview(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let mut fields = request.fields()?;
    let path: Option<String> = fields.required("log_path");
    let regex = expression(&mut fields);
    let lines = line_count(&mut fields);
    fields.finish()?;
    let log = log_file(ctx, &path.unwrap_or_default())?;
    let version = ctx.snapshot.version.clone();
    Ok(job(Task::PreviewLog(PreviewLog { log, lines, regex, version })))
}

fn expression(fields: &mut Fields) -> String {
    let regex: Option<String> = fields.required("fail_regex");
    if let Some(regex) = &regex {
        let fits = !regex.is_empty() && is_short(regex, MAX_REGEX);
        fields.check(fits, "fail_regex", "length", "An expression must be 1 to 16384 characters long.");
    }
    regex.unwrap_or_default()
}

/// Whether a text has no more than `most` characters.
pub fn is_short(text: &str, most: usize) -> bool {
    text.len() <= most || text.chars().count() <= most
}

/// `num_lines`.
pub fn line_count(fields: &mut Fields) -> usize {
    let lines = fields.optional("num_lines").unwrap_or(DEFAULT_LINES);
    fields.check((1..=MAX_LINES).contains(&lines), "num_lines", "range", "num_lines must be from 1 to 2000.");
    lines
}

/// The log file that a client names: 400 when it is not one it may read.
pub fn log_file(ctx: &Ctx, path: &str) -> Result<LogFile, ApiError> {
    let path =
        paths::allowed(&ctx.config, Path::new(path)).map_err(|problem| ApiError::invalid_field("log_path", problem))?;
    Ok(LogFile { path, allowed: ctx.config.allowed_log_dirs.clone() })
}

/// A task whose result is the body.
pub fn job(task: Task) -> Job {
    Job::new(task, |_, body| Ok(Response::json(200, &body)))
}
