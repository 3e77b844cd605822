//! Filters: the files of `filter.d` as they are and as they work, changed through our own `.local` files, and tried on
//! log lines.

use serde_json::{Map, Value};

use super::regex::{MAX_LINE, MAX_REGEX, is_short, job, line_count, log_file};
use crate::app::input::Fields;
use crate::app::listed::Listed;
use crate::app::{ApiError, Ctx, Job, Outcome, Request};
use crate::apply::Scope;
use crate::domain::names::ConfName;
use crate::jobs::Task;
use crate::jobs::definitions::{FILTER_FIELDS, FILTER_READ_ONLY, Kind, Show, is_active};
use crate::jobs::edits::{Edit, EditDefinition, Sent, Setting};
use crate::jobs::patterns::{Source, TestFilter};
use crate::server::response::Response;
use crate::services::{apply, config_lists};

/// The most lines of a test.
const MAX_TEST_LINES: usize = 1000;
/// The longest options of a test, in bytes.
const MAX_OPTIONS: usize = 4096;

/// `GET /api/v1/config/filters`
pub fn list(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    show_all(ctx, "filters", Kind::Filter, request)
}

/// `GET /api/v1/config/filters/{name}`
pub fn detail(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let name: ConfName = request.parameter()?;
    Ok(show(ctx, Kind::Filter, name))
}

/// Shows one definition of a kind.
pub fn show(ctx: &Ctx, kind: Kind, name: ConfName) -> Job {
    let place = apply::installation(ctx);
    let task = Task::ShowDefinitions(Show { place, kind, name: Some(name.into()), judged: Map::new() });
    Job::new(task, |ctx, body| Ok(Response::json(200, &with_activity(ctx, body))))
}

/// Shows all definitions of a kind, as far as the request wants them; remembered as long as nothing has changed.
pub fn show_all(ctx: &mut Ctx, list: &'static str, kind: Kind, request: &Request) -> Result<Outcome, ApiError> {
    let listed = Listed::read(request.query(), &["name", "filename", "active"])?;
    let task = Task::ShowDefinitions(Show { place: apply::installation(ctx), kind, name: None, judged: Map::new() });
    let beside = format!("{} {}", ctx.snapshot.online, request.query().0);
    let complete = move |ctx: &Ctx, body: Value| {
        let mut body = with_activity(ctx, body);
        listed.shape(&mut body);
        body
    };
    config_lists::or_made(ctx, list, task, &beside, Box::new(complete))
}

/// Adds to one definition, or to each of a list, whether it is at work: an enabled jail uses it and the daemon is there.
pub fn with_activity(ctx: &Ctx, mut body: Value) -> Value {
    let add = |item: &mut Value| {
        item["active"] = is_active(item, ctx.snapshot.online).into();
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
    let log_timezone: Option<String> = fields.optional("log_timezone");
    let count = line_count(&mut fields);
    fields.check(lines.is_some() != path.is_some(), "lines", "either", "Send either lines or log_path.");
    let many = lines.as_ref().map_or(0, Vec::len);
    fields.check(many <= MAX_TEST_LINES, "lines", "max_items", "A test takes 1000 lines at most.");
    let short = lines.iter().flatten().all(|line| is_short(line, MAX_LINE));
    fields.check(short, "lines", "max_length", "A line may be at most 65536 characters long.");
    let options = options.filter(|text| !text.is_empty());
    let plain = options.as_ref().is_none_or(|text| text.len() <= MAX_OPTIONS && !text.chars().any(char::is_control));
    fields.check(
        plain,
        "options",
        "form",
        "options must be a single line of at most 4096 bytes, such as mode=aggressive.",
    );
    fields.finish()?;
    let source = match (lines, path) {
        (Some(lines), _) => Source::Lines(lines),
        (None, path) => Source::File(log_file(ctx, &path.unwrap_or_default())?, count),
    };
    let called = options.map_or(name.to_string(), |options| format!("{name}[{options}]"));
    let config_dir = ctx.config.fail2ban_config.clone();
    let version = ctx.snapshot.version.clone();
    Ok(job(Task::TestFilter(TestFilter { config_dir, called, source, version, log_timezone })))
}

/// `POST /api/v1/config/filters`
pub fn create(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let mut fields = request.fields()?;
    let name: Option<String> = fields.required("name");
    let force = fields.optional("force").unwrap_or(false);
    let settings = filter_settings(&mut fields);
    let has_failregex = settings.iter().any(|setting| setting.key == "failregex");
    fields.check(has_failregex, "failregex", "required", "A filter needs at least one failregex.");
    fields.finish()?;
    if !settings.iter().all(fits) {
        return Err(ApiError::invalid_field("failregex", TOO_LONG));
    }
    let name: ConfName = name.unwrap_or_default().parse()?;
    edit_job(ctx, Kind::Filter, name, Edit::Create(settings), force)
}

/// `PUT /api/v1/config/filters/{name}`
pub fn update(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let name: ConfName = request.parameter()?;
    let mut fields = request.fields()?.not_empty();
    let force = fields.optional("force").unwrap_or(false);
    let settings = filter_settings(&mut fields);
    for setting in settings.iter().filter(|setting| !fits(setting)) {
        fields.check(false, &setting.key, "max_length", TOO_LONG);
    }
    let read = fields.read_only(&FILTER_READ_ONLY);
    // Remarks that go with what was read.
    fields.optional::<Vec<String>>("warnings");
    let read = fields.finish_as_read(&FILTER_FIELDS, read)?;
    edit_job(ctx, Kind::Filter, name, Edit::Update(settings, Sent { read, is_online: ctx.snapshot.online }), force)
}

/// `DELETE /api/v1/config/filters/{name}`
pub fn delete(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let name: ConfName = request.parameter()?;
    edit_job(ctx, Kind::Filter, name, Edit::Delete, false)
}

const TOO_LONG: &str = "An expression may be at most 16384 characters long.";

/// Whether every expression is of a length that is taken.
fn fits(setting: &Setting) -> bool {
    setting.value.iter().flat_map(|value| value.split('\n')).all(|line| is_short(line, MAX_REGEX))
}

/// The options in a body. What is null goes back to the shipped file's.
fn filter_settings(fields: &mut Fields) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut set = |key: &str, value: Option<String>| {
        settings.push(Setting { section: None, key: key.to_owned(), value });
    };
    for key in ["prefregex", "datepattern", "journalmatch"] {
        if let Some(value) = fields.optional::<Option<String>>(key) {
            let text = value.as_deref().unwrap_or_default();
            let plain = text.trim() == text && !(key == "prefregex" && text.contains(['\n', '\r']));
            fields.check(
                plain,
                key,
                "form",
                "Remove the spaces at its beginning and end; a prefregex must be a single line.",
            );
            set(key, value);
        }
    }
    for key in ["failregex", "ignoreregex"] {
        let Some(list) = fields.optional::<Vec<String>>(key) else { continue };
        // Blanks at the ends are lost in the file, and the expression would mean something else.
        let plain = list.iter().all(|line| !line.is_empty() && line.trim() == line && !line.contains(['\n', '\r']));
        fields.check(
            plain,
            key,
            "form",
            "Each expression must be a single line without spaces at its beginning or end; write \\s for a space.",
        );
        let is_missing = key == "failregex" && list.is_empty();
        fields.check(!is_missing, key, "min_items", "A filter needs at least one failregex.");
        set(key, Some(list.join("\n")));
    }
    if let Some(lines) = fields.optional::<Option<u32>>("maxlines") {
        fields.check(lines != Some(0), "maxlines", "range", "maxlines must be 1 or more.");
        set("maxlines", lines.map(|lines| lines.to_string()));
    }
    settings
}

/// A change to a filter or an action; the answer is what it is afterwards.
pub fn edit_job(ctx: &mut Ctx, kind: Kind, name: ConfName, edit: Edit, force: bool) -> Result<Job, ApiError> {
    let status = match edit {
        Edit::Create(_) => 201,
        Edit::Update(..) => 200,
        Edit::Delete => 204,
    };
    let apply = apply::apply_task(ctx, Scope::Jails(Vec::new()))?;
    let task = Task::EditDefinition(Box::new(EditDefinition { kind, name: name.to_string(), edit, force, apply }));
    Ok(Job::new(task, move |ctx, mut outcome: Value| {
        let mut definition = outcome["definition"].take();
        let applied = outcome["applied"].take();
        if applied.is_null() {
            return Ok(Response::json(status, &with_activity(ctx, definition)));
        }
        let warnings = apply::applied(ctx, applied)?.warnings;
        log::info!("{}/{name}.local was {}", kind.folder(), if status == 204 { "removed" } else { "written" });
        for warning in definition["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            log::warn!("{}/{name}.local: {warning}", kind.folder());
        }
        if let (Some(told), false) = (definition["warnings"].as_array_mut(), warnings.is_empty()) {
            told.extend(warnings.iter().cloned().map(Value::from));
        }
        let response = match status {
            204 => Response::no_content(),
            status => Response::json(status, &with_activity(ctx, definition)),
        };
        Ok(response.warning(&warnings.join(" ")))
    })
    .detached())
}
