//! Filters: the files of `filter.d` as they are and as they work, changed through our own `.local` files, and tried on
//! log lines.

use serde_json::Value;

use super::regex::{MAX_LINE, is_short, job, line_count, log_file};
use super::{ApiError, Ctx, Job, Request};
use crate::domain::names::ConfName;
use crate::jobs::Task;
use crate::jobs::definitions::{Kind, Show};
use crate::jobs::patterns::{Source, TestFilter};
use crate::server::response::Response;

/// The most lines of a test.
const MAX_TEST_LINES: usize = 1000;
/// The longest options of a test, in bytes.
const MAX_OPTIONS: usize = 4096;

/// `GET /api/v1/config/filters`
pub fn list(ctx: &mut Ctx, _request: &Request) -> Result<Job, ApiError> {
    Ok(show(ctx, Kind::Filter, None))
}

/// `GET /api/v1/config/filters/{name}`
pub fn detail(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let name: ConfName = request.parameter()?;
    Ok(show(ctx, Kind::Filter, Some(name)))
}

/// Shows one or all definitions of a kind.
pub fn show(ctx: &Ctx, kind: Kind, name: Option<ConfName>) -> Job {
    let config_dir = ctx.config.fail2ban_config.clone();
    let task = Task::ShowDefinitions(Show { config_dir, kind, name: name.map(String::from) });
    Job::new(task, |ctx, body| Ok(Response::json(200, &with_activity(ctx, body))))
}

/// Adds to one definition, or to each of a list, whether it is at work: an enabled jail uses it and the daemon is there.
pub fn with_activity(ctx: &Ctx, mut body: Value) -> Value {
    let add = |item: &mut Value| {
        let is_used = item["used_by_jails"].as_array().is_some_and(|jails| !jails.is_empty());
        item["active"] = (is_used && ctx.snapshot.online).into();
    };
    match body.get_mut("items").and_then(Value::as_array_mut) {
        Some(items) => items.iter_mut().for_each(add),
        None => add(&mut body),
    }
    body
}

/// `POST /api/v1/config/filters/{name}/test`
pub fn test(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let name: ConfName = request.parameter()?;
    let mut fields = request.fields()?;
    let lines: Option<Vec<String>> = fields.optional("lines");
    let path: Option<String> = fields.optional("log_path");
    let options: Option<String> = fields.optional("options");
    let count = line_count(&mut fields);
    fields.check(lines.is_some() != path.is_some(), "lines", "either", "Send either lines or log_path.");
    let many = lines.as_ref().map_or(0, Vec::len);
    fields.check(many <= MAX_TEST_LINES, "lines", "max_items", "A test takes 1000 lines at most.");
    let short = lines.iter().flatten().all(|line| is_short(line, MAX_LINE));
    fields.check(short, "lines", "max_length", "A line has 65536 characters at most.");
    let options = options.filter(|text| !text.is_empty());
    let plain = options.as_ref().is_none_or(|text| text.len() <= MAX_OPTIONS && !text.chars().any(char::is_control));
    fields.check(plain, "options", "form", "Options have one line of 4096 bytes at most, such as mode=aggressive.");
    fields.finish()?;
    let source = match (lines, path) {
        (Some(lines), _) => Source::Lines(lines),
        (None, path) => Source::File(log_file(ctx, &path.unwrap_or_default())?, count),
    };
    let called = options.map_or(name.to_string(), |options| format!("{name}[{options}]"));
    let config_dir = ctx.config.fail2ban_config.clone();
    Ok(job(Task::TestFilter(TestFilter { config_dir, called, source })))
}
