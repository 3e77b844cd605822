//! The jails of the files: shown, changed, committed, rolled back, made and deleted. Jails that run are in `jails.rs`.
//!
//! Nothing is computed here: a child reads the files, and what a client sent is checked there.

use serde_json::{Value, json};

use crate::app::jail_fields::taken;
use crate::app::listed::Listed;
use crate::app::{ApiError, Ctx, Job, Outcome, Request};
use crate::domain::audit::{Entry, What};
use crate::domain::json;
use crate::domain::names::{JailName, Running};
use crate::domain::time;
use crate::fail2ban;
use crate::jobs::Task;
use crate::jobs::jail_config::{JailConfigs, READ_ONLY, Wanted};
use crate::jobs::jail_edits::{EditJail, Edited, Ignored, JailEdit};
use crate::jobs::jail_rules::Limits;
use crate::server::response::Response;
use crate::services::{apply, config_lists, imports};

/// `GET /api/v1/config/jails`
pub fn list(ctx: &mut Ctx, request: &Request) -> Result<Outcome, ApiError> {
    let listed = Listed::read(
        request.query(),
        &["name", "enabled", "active", "filter", "ban_time", "find_time", "max_retry", "backend"],
    )?;
    let task = described_task(ctx, Wanted::All)?;
    let complete = move |_: &Ctx, mut answer: Value| {
        listed.shape(&mut answer);
        answer
    };
    config_lists::or_made(ctx, "jails", task, request.query().0, Box::new(complete))
}

/// `GET /api/v1/config/jails/{name}`
pub fn detail(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let Running(name) = request.parameter()?;
    described(ctx, Wanted::One(name.into()), None)
}

/// `GET /api/v1/config/jails/{name}/files`
pub fn files(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let Running(name) = request.parameter()?;
    let listed = Listed::read(request.query(), &["filename", "path", "kind", "is_local", "size_bytes", "modified_at"])?;
    described(ctx, Wanted::FilesOf(name.into()), Some(listed))
}

/// `PUT /api/v1/config/jails/{name}`
pub fn update(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let name = editable(request)?;
    let mut fields = request.fields()?.within("jail").not_empty();
    let force = fields.optional("force").unwrap_or(false);
    let read = fields.read_only(&READ_ONLY);
    let values = taken(&mut fields);
    fields.finish()?;
    let before = ctx.store.pending(name.as_str())?;
    let task = edit_task(ctx, &name, JailEdit::Update { values, read, force })?;
    Ok(Job::new(task, move |ctx, outcome| noted(ctx, name, before, outcome)).detached())
}

/// Values that were found to be fine are noted before fail2ban is told: none is in force of which nobody knows that it is pending. Where
/// fail2ban does not take them, what was pending before is noted again.
fn noted(ctx: &mut Ctx, name: JailName, before: Option<String>, outcome: Value) -> Result<Response, ApiError> {
    let mut edited: Edited = json::from_tree(outcome).map_err(ApiError::internal)?;
    let to_set = edited.to_set.take();
    let (jail, warnings) = finished(ctx, &name, edited)?;
    let answer = Response::json(200, &json!({ "jail": jail }));
    let Some(values) = to_set else { return Ok(answer.warning(&warnings)) };
    let task = edit_task(ctx, &name, JailEdit::Set(values))?;
    let set = Job::new(task, move |ctx, outcome| {
        let set: Edited = json::from_tree(outcome).map_err(ApiError::internal)?;
        let mut all = set.tended.map(|tended| imports::tended(ctx, tended)).into_iter().flatten().collect::<Vec<_>>();
        all.insert(0, warnings);
        Ok(answer.warning(all.join(" ").trim()))
    });
    let undone = move |ctx: &mut Ctx| {
        if let Err(error) = ctx.store.set_pending(name.as_str(), before.as_deref()) {
            log::warn!("{name}: values that fail2ban did not take stay noted as pending: {error}");
        }
    };
    ctx.next_job = Some(Box::new(set.undone_by(undone).detached()));
    // Nobody sees it: the answer is that of the next task.
    Ok(Response::no_content())
}

/// `POST /api/v1/config/jails/{name}/commit`
pub fn commit(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let name = editable(request)?;
    // A body is none of its usual parts.
    let force = match request.body.is_empty() {
        true => false,
        false => {
            let mut fields = request.fields()?;
            let force = fields.optional("force").unwrap_or(false);
            fields.finish()?;
            force
        }
    };
    edit_job(ctx, name, JailEdit::Commit { force }, 200)
}

/// `GET /api/v1/config/jails/{name}/rollback`
pub fn rollback(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    edit_job(ctx, editable(request)?, JailEdit::Rollback, 200)
}

/// `DELETE /api/v1/config/jails/{name}`
pub fn delete(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    edit_job(ctx, editable(request)?, JailEdit::Delete, 204)
}

/// `POST /api/v1/config/jails`
pub fn create(ctx: &mut Ctx, request: &Request) -> Result<Job, ApiError> {
    let mut fields = request.fields()?;
    let name: Option<String> = fields.required("name");
    let force = fields.optional("force").unwrap_or(false);
    let values = taken(&mut fields);
    fields.finish()?;
    let name: JailName = name.unwrap_or_default().parse()?;
    edit_job(ctx, name, JailEdit::Create { values, force }, 201)
}

/// The name of a jail that can be edited here: what one of any other name says can be seen, but its file would be named after it.
fn editable(request: &Request) -> Result<JailName, ApiError> {
    request.parameter().map_err(|mut error: ApiError| {
        error.detail.push_str(
            " A jail that is called otherwise can be seen and commanded here; to change it, edit its file by hand.",
        );
        error
    })
}

/// Writes what the daemon was told to ignore into the jail's file, because a reload forgets it. The daemon has it already, so a jail whose
/// files cannot take it is a line in the log and no failure.
pub fn keep_ignored(ctx: &mut Ctx, name: &JailName, change: Ignored, answer: Response) -> Result<Job, ApiError> {
    let task = edit_task(ctx, name, JailEdit::Ignore(change))?;
    let name = name.clone();
    Ok(Job::new(task, move |ctx, outcome| {
        let edited = json::from_tree(outcome).map_err(ApiError::internal)?;
        let (_, warnings) = finished(ctx, &name, edited).map_err(apply::perhaps_in_force)?;
        Ok(answer.warning(&warnings))
    })
    .detached())
}

/// What is needed to describe jails: who runs, and what is pending.
fn described(ctx: &mut Ctx, wanted: Wanted, listed: Option<Listed>) -> Result<Job, ApiError> {
    let task = described_task(ctx, wanted)?;
    Ok(Job::new(task, move |_, mut answer| {
        if let Some(listed) = &listed {
            listed.shape(&mut answer);
        }
        Ok(Response::json(200, &answer))
    }))
}

fn described_task(ctx: &mut Ctx, wanted: Wanted) -> Result<Task, ApiError> {
    let running = match ctx.daemon.jail_names() {
        Ok(names) => names.iter().map(|name| name.as_str().to_owned()).collect(),
        // The files are there without it.
        Err(fail2ban::Error::Unreachable { .. } | fail2ban::Error::ShuttingDown) => Vec::new(),
        // So are those of one that hangs; its jails are the ones that were last seen.
        Err(fail2ban::Error::Busy { .. }) => ctx.known_jails.clone(),
        Err(error) => return Err(error.into()),
    };
    let pending = match &wanted {
        Wanted::All => ctx.store.all_pending()?.into_iter().collect(),
        Wanted::One(jail) | Wanted::FilesOf(jail) => {
            ctx.store.pending(jail)?.map(|text| (jail.clone(), text)).into_iter().collect()
        }
    };
    let version = ctx.snapshot.version.clone();
    let config_dir = ctx.config.fail2ban_config.clone();
    Ok(Task::JailConfigs(JailConfigs { config_dir, version, running, pending, wanted }))
}

/// A change of a jail; the answer is what it is afterwards. What is pending is not taken back while that cannot be noted: it would be set
/// again at the next reload.
fn edit_job(ctx: &mut Ctx, name: JailName, edit: JailEdit, status: u16) -> Result<Job, ApiError> {
    if matches!(edit, JailEdit::Rollback) && ctx.storage_fails && !ctx.dry_run {
        ctx.store.try_to_write(time::now())?;
    }
    let task = edit_task(ctx, &name, edit)?;
    Ok(Job::new(task, move |ctx, outcome| {
        let edited = json::from_tree(outcome).map_err(ApiError::internal)?;
        let (jail, warnings) = finished(ctx, &name, edited)?;
        let response =
            if status == 204 { Response::no_content() } else { Response::json(status, &json!({ "jail": jail })) };
        Ok(response.warning(&warnings))
    })
    .detached())
}

fn edit_task(ctx: &mut Ctx, name: &JailName, edit: JailEdit) -> Result<Task, ApiError> {
    let limits = Limits { log_dirs: ctx.config.allowed_log_dirs.clone(), commands: ctx.commands() };
    let apply = match edit {
        JailEdit::Update { .. } | JailEdit::Set(_) => apply::files_task(ctx),
        _ => apply::apply_task(ctx, crate::apply::Scope::Jails(Vec::new()))?,
    };
    let tend = match &edit {
        JailEdit::Ignore(Ignored::Added(_)) => Some(imports::tend_task(ctx, None)?),
        JailEdit::Update { values, .. } | JailEdit::Set(values) if values.ignore_ips.is_some() => {
            Some(imports::tend_task(ctx, None)?)
        }
        _ => None,
    };
    let version = ctx.snapshot.version.clone();
    let pending = ctx.store.pending(name.as_str())?;
    let known_jails = ctx.known_jails.clone();
    Ok(Task::EditJail(Box::new(EditJail {
        jail: name.to_string(),
        edit,
        limits,
        version,
        pending,
        known_jails,
        apply,
        tend,
    })))
}

/// What is said of values that could not be set, because the daemon hangs.
const NOT_SET: &str = "fail2ban does not answer, so this is noted and not yet in force: POST /api/v1/config/restart ends it and starts it \
                       again, and sets what is pending.";

/// Notes what is pending, and where no file tells of it, who made it so.
fn note_pending(ctx: &mut Ctx, name: &JailName, now: Option<&str>, is_in_file: bool) -> Result<(), ApiError> {
    let before = ctx.store.pending(name.as_str())?;
    if before.as_deref() == now {
        return Ok(());
    }
    if is_in_file {
        return Ok(ctx.store.set_pending(name.as_str(), now)?);
    }
    let values = |text: Option<&str>| text.and_then(|text| json::read::<Value>(text).ok()).unwrap_or_default();
    let detail = "Values that hold until they are written into the files, or the daemon starts again.";
    let entry = Entry::new(What::ConfigChanged, name.as_str()).saying(detail);
    let entry = entry.differing(&values(before.as_deref()), &values(now), &[]);
    ctx.noted(|ctx| Ok((ctx.store.set_pending(name.as_str(), now)?, entry)))
}

/// Remembers what a change has led to; gives the jail as it is now, and what is to be said with it.
fn finished(ctx: &mut Ctx, name: &JailName, edited: Edited) -> Result<(Value, String), ApiError> {
    if let Some(why) = edited.warning {
        log::warn!("{name}: what it ignores holds until the next reload only: {why}");
        let detail = "What it ignores was changed until the next reload.";
        ctx.note(&Entry::new(What::ConfigChanged, name.as_str()).saying(detail));
    }
    let noted = note_pending(ctx, name, edited.pending.as_deref(), edited.applied.is_some());
    noted.map_err(|error| if edited.applied.is_some() { apply::in_force_all_the_same(error) } else { error })?;
    let mut warnings = edited.costs;
    if let Some(applied) = edited.applied {
        apply::remember(ctx, &applied, None)?;
        warnings.extend(applied.warnings);
    }
    if let Some(tended) = edited.tended {
        warnings.extend(imports::tended(ctx, tended));
    }
    if edited.hangs {
        ctx.changed_while_hung.push(name.to_string());
        warnings.push(NOT_SET.to_owned());
    }
    Ok((edited.jail, warnings.join(" ")))
}
