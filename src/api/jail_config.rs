//! The jails of the files: shown, changed, committed, rolled back, made and deleted. Jails that run are in `jails.rs`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::jail_values::{Rules, taken};
use super::{ApiError, Ctx, Finish, Job, Request, Then, config};
use crate::apply::values::edited;
use crate::apply::{Apply, FileChange, Scope};
use crate::conf::{self, Document, Folder, LocalFile, Tree};
use crate::domain::address::IpOrNet;
use crate::domain::jail_values::JailValues;
use crate::domain::json;
use crate::domain::names::JailName;
use crate::domain::time::rfc3339;
use crate::fail2ban;
use crate::files::Kind;
use crate::jobs::Task;
use crate::jobs::apply::SetValues;
use crate::jobs::expressions::{Judged, JudgedOutcome};
use crate::jobs::jail_config::{Effective, JailConfigs, below};
use crate::server::response::Response;

/// `GET /api/v1/config/jails`
pub fn list(ctx: &mut Ctx, _request: &Request) -> Result<Job, ApiError> {
    let task = Task::JailConfigs(described(ctx)?);
    Ok(Job::new(task, |_, answer| Ok(Response::json(200, &answer))))
}

/// `GET /api/v1/config/jails/{name}`
pub fn detail(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let name: JailName = request.parameter()?;
    shown(ctx, 200, &name)
}

/// `PUT /api/v1/config/jails/{name}`
pub fn update(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let name: JailName = request.parameter()?;
    let mut fields = request.fields()?.not_empty();
    let force = fields.optional("force").unwrap_or(false);
    let values = taken(&mut fields);
    fields.finish()?;
    let configs = described(ctx)?;
    let tree = Tree::load(&configs.config_dir)?;
    let view = tree.jail(name.as_str(), &configs.options())?;
    let pending = pending(ctx, &name)?;
    let present = Effective { view: &view }.values().merged(&pending);
    let values = Rules { ctx, tree: &tree, present: &present }.checked(values)?;
    // The whole is tried on the file now, so that a commit cannot fail for what could be known.
    let all = pending.merged(&values);
    let file = LocalFile::jail(name.as_str())?;
    let text = read(&configs.config_dir, &file)?;
    edited(name.as_str(), &parsed(text.as_deref(), &file)?, &all)?;
    let text = json::text(&all).map_err(ApiError::internal)?;
    let job = set_job(ctx, &name, values.clone(), move |ctx, name| {
        ctx.store.set_pending(name.as_str(), Some(&text))?;
        shown(ctx, 200, name)
    });
    Ok(judged(ctx, job, values, present, force))
}

/// `POST /api/v1/config/jails/{name}/commit`
pub fn commit(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let name: JailName = request.parameter()?;
    let configs = described(ctx)?;
    let tree = Tree::load(&configs.config_dir)?;
    tree.jail(name.as_str(), &configs.options())?;
    let file = LocalFile::jail(name.as_str())?;
    let text = read(&configs.config_dir, &file)?;
    let pending = pending(ctx, &name)?;
    let after = edited(name.as_str(), &parsed(text.as_deref(), &file)?, &pending)?;
    let is_changed = text.as_deref().unwrap_or_default() != after.text;
    let change = is_changed.then(|| FileChange::new(&file, text, Some(after.text.clone())));
    let runs = configs.running.iter().any(|jail| jail == name.as_str());
    if change.is_none() && (pending.is_empty() || !runs || ctx.daemon.client().is_resting()) {
        // Nothing is pending that the files do not say: nothing is to be loaded either.
        return Ok(set_job(ctx, &name, JailValues::default(), |ctx, name| {
            ctx.store.set_pending(name.as_str(), None)?;
            shown(ctx, 200, name)
        }));
    }
    let task = task_without_pending(ctx, &name, change)?;
    Ok(config::apply_as_job(task, move |ctx, _| {
        ctx.store.set_pending(name.as_str(), None)?;
        shown(ctx, 200, &name)
    }))
}

/// `GET /api/v1/config/jails/{name}/rollback`
pub fn rollback(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let name: JailName = request.parameter()?;
    let configs = described(ctx)?;
    Tree::load(&configs.config_dir)?.jail(name.as_str(), &configs.options())?;
    if !configs.running.iter().any(|jail| jail == name.as_str()) || ctx.daemon.client().is_resting() {
        return Ok(set_job(ctx, &name, JailValues::default(), |ctx, name| {
            ctx.store.set_pending(name.as_str(), None)?;
            shown(ctx, 200, name)
        }));
    }
    let task = Apply { stops: false, ..task_without_pending(ctx, &name, None)? };
    Ok(config::apply_as_job(task, move |ctx, _| {
        ctx.store.set_pending(name.as_str(), None)?;
        shown(ctx, 200, &name)
    }))
}

/// `DELETE /api/v1/config/jails/{name}`
pub fn delete(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let name: JailName = request.parameter()?;
    let file = LocalFile::jail(name.as_str())?;
    let Some(text) = read(&ctx.config.fail2ban_config, &file)? else {
        let configs = described(ctx)?;
        Tree::load(&configs.config_dir)?.jail(name.as_str(), &configs.options())?;
        let detail =
            format!("{name} is not one of ours: it comes with files that are not deleted here. Disable it instead.");
        return Err(ApiError::conflict("conflict", detail));
    };
    let change = FileChange::new(&file, Some(text), None);
    let task = task_without_pending(ctx, &name, Some(change))?;
    Ok(config::apply_as_job(task, move |ctx, _| {
        ctx.store.set_pending(name.as_str(), None)?;
        Ok(Response::no_content())
    }))
}

/// `POST /api/v1/config/jails`
pub fn create(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let mut fields = request.fields()?;
    let name: Option<String> = fields.required("name");
    let force = fields.optional("force").unwrap_or(false);
    let mut values = taken(&mut fields);
    fields.finish()?;
    let name: JailName = name.unwrap_or_default().parse()?;
    let file = LocalFile::jail(name.as_str())?;
    let configs = described(ctx)?;
    let tree = Tree::load(&configs.config_dir)?;
    let text = read(&configs.config_dir, &file)?;
    if text.is_some() || tree.jails().iter().any(|jail| **jail == *name.as_str()) {
        return Err(ApiError::conflict("conflict", format!("There is a jail {name} already.")));
    }
    values.enabled = Some(values.enabled.unwrap_or(false));
    let values = Rules { ctx, tree: &tree, present: &JailValues::default() }.checked(values)?;
    let document = edited(name.as_str(), &parsed(None, &file)?, &values)?;
    let change = FileChange::new(&file, None, Some(document.text));
    let task = task_without_pending(ctx, &name, Some(change))?;
    let job = config::apply_as_job(task, move |ctx, _| {
        ctx.store.set_pending(name.as_str(), None)?;
        shown(ctx, 201, &name)
    });
    Ok(judged(ctx, job, values, JailValues::default(), force))
}

/// The same job, behind a look at what the expressions can cost.
fn judged(ctx: &Ctx, job: Job, values: JailValues, present: JailValues, force: bool) -> Job {
    let Then::Finish(finish) = job.then else { return job };
    if values.fail_regex.is_none() && values.ignore_regex.is_none() && values.prefregex.is_none() {
        return Job { then: Then::Finish(finish), ..job };
    }
    let config_dir = ctx.config.fail2ban_config.clone();
    let task = Task::Judged(Box::new(Judged { values, present, config_dir, force, then: job.task }));
    let then: Finish = Box::new(move |ctx, outcome| {
        let judged: JudgedOutcome = json::from_tree(outcome).map_err(ApiError::internal)?;
        Ok(finish(ctx, judged.outcome)?.warning(&judged.warnings.join(" ")))
    });
    Job { task, urgent: job.urgent, detached: job.detached, then: Then::Finish(then) }
}

/// `GET /api/v1/config/jails/{name}/files`
pub fn files(ctx: &mut Ctx, request: &Request) -> Result<Response, ApiError> {
    let name: JailName = request.parameter()?;
    let tree = Tree::load(&ctx.config.fail2ban_config)?;
    let view = tree.jail(name.as_str(), &described(ctx)?.options())?;
    let named = |file: &str| {
        view.options.iter().any(|option| option.origin.as_ref().is_some_and(|origin| *origin.file == *file))
    };
    let mut paths: Vec<&str> = tree.jail_files().iter().map(|file| &**file).filter(|file| named(file)).collect();
    paths.extend(view.files.iter().map(|file| &**file));
    let mut items: Vec<Value> = Vec::new();
    for path in paths {
        let item = file_item(&tree.base(), path);
        items.extend(item.filter(|item| !items.contains(item)));
    }
    Ok(Response::json(200, &json!({ "total": items.len(), "items": items })))
}

/// A file as the contract shows it; `None` for one that has gone meanwhile.
fn file_item(base: &str, path: &str) -> Option<Value> {
    let about = std::fs::metadata(path).ok()?;
    let relative = below(base, path);
    let kind = match relative.split('/').next() {
        Some("filter.d") => "filter",
        Some("action.d") => "action",
        _ => "jail",
    };
    let changed = about.modified().ok()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Some(json!({
        "filename": Path::new(path).file_name()?.to_string_lossy(),
        "path": relative,
        "kind": kind,
        "is_local": path.ends_with(".local"),
        "size_bytes": about.len(),
        "modified_at": rfc3339(i64::try_from(changed.as_secs()).unwrap_or(0)),
    }))
}

/// A change of what a jail ignores.
pub enum Ignored {
    /// An entry more.
    Added(String),
    /// An entry less.
    Removed(String),
    /// Whether the machine's own addresses are ignored.
    Own(bool),
}

/// Writes what the daemon was told to ignore into the jail's file, because a reload forgets it. The daemon has it already, so a jail whose
/// files cannot take it is a line in the log and no failure.
pub fn keep_ignored(ctx: &mut Ctx, name: &JailName, change: &Ignored, answer: Response) -> Result<Job, ApiError> {
    let changed = |list: Vec<String>| match change {
        Ignored::Added(entry) if !list.contains(entry) => list.into_iter().chain([entry.clone()]).collect(),
        Ignored::Removed(entry) => list.into_iter().filter(|listed| !is_same(listed, entry)).collect(),
        _ => list,
    };
    let mut waiting = pending(ctx, name)?;
    if let (Some(list), false) = (waiting.ignore_ips.take(), matches!(change, Ignored::Own(_))) {
        waiting.ignore_ips = Some(changed(list));
        let text = json::text(&waiting).map_err(ApiError::internal)?;
        ctx.store.set_pending(name.as_str(), Some(&text))?;
    }
    let configs = described(ctx)?;
    let file_change = || -> Result<FileChange, ApiError> {
        let tree = Tree::load(&configs.config_dir)?;
        let view = tree.jail(name.as_str(), &configs.options())?;
        let values = match change {
            Ignored::Own(on) => JailValues { ignore_self: Some(*on), ..JailValues::default() },
            _ => JailValues { ignore_ips: Some(changed(Effective { view: &view }.ignored())), ..JailValues::default() },
        };
        let file = LocalFile::jail(name.as_str())?;
        let text = read(&configs.config_dir, &file)?;
        let after = edited(name.as_str(), &parsed(text.as_deref(), &file)?, &values)?;
        Ok(FileChange::new(&file, text, Some(after.text)))
    };
    match file_change() {
        Ok(change) => config::apply_job(ctx, vec![change], Scope::Jails(Vec::new()), |_, _| Ok(answer)),
        Err(error) => {
            log::warn!("{name}: what it ignores holds until the next reload only: {}", error.detail);
            Ok(set_job(ctx, name, JailValues::default(), |_, _| Ok(answer)))
        }
    }
}

/// Whether two entries of an ignore list are the same one: the daemon lists a network without its host bits.
fn is_same(one: &str, other: &str) -> bool {
    one == other || one.parse::<IpOrNet>().is_ok_and(|one| other.parse() == Ok(one))
}

/// What is needed to describe jails: who runs, and what is pending.
fn described(ctx: &mut Ctx) -> Result<JailConfigs, ApiError> {
    let running = match ctx.daemon.jail_names() {
        Ok(names) => names.iter().map(|name| name.as_str().to_owned()).collect(),
        // The files are there without it.
        Err(fail2ban::Error::Unreachable { .. } | fail2ban::Error::ShuttingDown) => Vec::new(),
        // So are those of one that hangs; its jails are the ones that were last seen.
        Err(fail2ban::Error::Busy { .. }) => ctx.known_jails.clone(),
        Err(error) => return Err(error.into()),
    };
    let pending = ctx.store.all_pending()?.into_iter();
    let pending: BTreeMap<String, JailValues> =
        pending.filter_map(|(jail, text)| Some((jail, json::read(&text).ok()?))).collect();
    let version = ctx.snapshot.version.clone();
    Ok(JailConfigs { config_dir: ctx.config.fail2ban_config.clone(), version, running, pending })
}

fn shown(ctx: &mut Ctx, status: u16, name: &JailName) -> Result<Response, ApiError> {
    let jail = described(ctx)?.one(name.as_str())?;
    Ok(Response::json(status, &json!({ "jail": jail })))
}

fn pending(ctx: &Ctx, name: &JailName) -> Result<JailValues, ApiError> {
    let text = ctx.store.pending(name.as_str())?;
    Ok(text.and_then(|text| json::read(&text).ok()).unwrap_or_default())
}

/// The text of a file of ours; `None` where there is none.
pub fn read(config_dir: &Path, file: &LocalFile) -> Result<Option<String>, ApiError> {
    if !config_dir.join(file.folder).exists() {
        return Ok(None);
    }
    let saved = Folder::open(config_dir, file.folder)?.read(&file.name)?;
    let text = saved.map(|saved| String::from_utf8(saved.bytes)).transpose();
    text.map_err(|_| ApiError::conflict("conflict", format!("{} is not valid UTF-8; correct it first.", file.name)))
}

/// The file, which must be in the configuration language.
pub fn parsed(text: Option<&str>, file: &LocalFile) -> Result<Document, ApiError> {
    Document::parse(text.unwrap_or_default()).map_err(|fault| {
        let detail = format!("{}:{}: {}", file.name, fault.line, fault.message);
        ApiError::conflict("conflict", detail)
    })
}

/// What is said of values that could not be set, because the daemon hangs.
const NOT_SET: &str = "fail2ban does not answer, so this is noted and not yet in force: POST /api/v1/config/restart ends it and starts it \
                       again, and sets what is pending.";

/// Sets values in the jail, if it runs, and then goes on.
fn set_job(
    ctx: &Ctx,
    name: &JailName,
    values: JailValues,
    then: impl FnOnce(&mut Ctx, &JailName) -> Result<Response, ApiError> + 'static,
) -> Job {
    let daemon_hangs = ctx.daemon.client().is_resting();
    let task = SetValues { socket: ctx.fail2ban_socket().to_owned(), jail: name.to_string(), values, daemon_hangs };
    let name = name.clone();
    let finish = move |ctx: &mut Ctx, outcome: Value| {
        let response = then(ctx, &name)?;
        if !outcome.is_null() {
            return Ok(response);
        }
        ctx.changed_while_hung.push(name.to_string());
        Ok(response.warning(NOT_SET))
    };
    Job::new(Task::SetValues(Box::new(task)), finish).detached()
}

/// An apply for one jail whose pending values are not set again.
fn task_without_pending(ctx: &Ctx, name: &JailName, change: Option<FileChange>) -> Result<Apply, ApiError> {
    let changes = change.into_iter().collect();
    let mut task = config::apply_task(ctx, changes, Scope::Jails(vec![name.to_string()]))?;
    for known in task.run_time.iter_mut().filter(|known| known.jail == name.as_str()) {
        known.values = JailValues::default();
    }
    Ok(task)
}

impl From<conf::Error> for ApiError {
    fn from(error: conf::Error) -> Self {
        if let Some(trouble) = error.trouble() {
            let is_odd = trouble.kind == Kind::NotAFile;
            let mut error = ApiError::from(trouble);
            // What stands there was not made by this request, and yet it is the name it asked for.
            if is_odd {
                error.status = 400;
            }
            return error;
        }
        let detail = error.to_string();
        match error {
            conf::Error::Missing { kind: "jail", .. } => ApiError::not_found("jail_not_found", detail),
            conf::Error::Missing { kind: "filter", .. } => ApiError::not_found("filter_not_found", detail),
            conf::Error::Missing { kind: "action", .. } => ApiError::not_found("action_not_found", detail),
            conf::Error::Missing { .. } => ApiError::not_found("config_file_not_found", detail),
            conf::Error::Refused { .. } | conf::Error::Limit { .. } => ApiError::invalid_input(detail),
            // Told above.
            conf::Error::Io { .. } => ApiError::internal(detail),
            // What is in the files already is not the client's mistake.
            conf::Error::Syntax { .. } | conf::Error::Interpolation { .. } | conf::Error::Definition { .. } => {
                ApiError::conflict("fail2ban_command_failed", detail)
            }
        }
    }
}
