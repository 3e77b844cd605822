//! The changes of configuration files as they are remembered: those that were applied, and those that somebody has made by hand, which are
//! found at the next look. What is found is kept in memory and written by a timer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::app::seen::ByHand;
use crate::app::{ApiError, Ctx};
use crate::apply::effect::Effect;
use crate::apply::{Applied, Done, FileChange};
use crate::domain::actor::Actor;
use crate::domain::audit::{self, Entry, What};
use crate::domain::json;
use crate::domain::notification::Event;
use crate::domain::time;
use crate::jobs::Task;
use crate::jobs::changes::{FoundFile, LookAtFiles};
use crate::store::changes::{Change, NewChange, SeenFile, WholeChange};

/// What is told of a change somebody has made by hand.
const BY_HAND: &str = "Edited outside of bangui. What fail2ban has loaded of it is not known; POST /api/v1/config/reload loads the files.";

/// What a change was in short: what a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// The files, below the configuration directory.
    pub paths: Vec<String>,
    /// The jails of which values are others than before.
    pub jails: Vec<String>,
    /// Somebody has edited the files; this program has found it.
    pub by_hand: bool,
    /// The change that was taken back with it.
    pub undoes: Option<i64>,
}

/// What it did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deeds {
    /// The values that are others than before.
    pub effect: Vec<Effect>,
    /// The steps, in their order.
    pub report: Vec<Done>,
}

/// Two lines of JSON: in short, and the rest.
fn written(about: &About, deeds: &Deeds) -> Result<String, ApiError> {
    let line = |text: serde_json::Result<String>| text.map_err(ApiError::internal);
    Ok(format!("{}\n{}", line(json::text(about))?, line(json::text(deeds))?))
}

/// Writes down what was applied; `undoes` is the change that was taken back with it. Gives its number.
pub fn note(ctx: &mut Ctx, applied: &Applied, undoes: Option<i64>) -> Result<i64, ApiError> {
    write_found(ctx)?;
    ctx.changes_noted += 1;
    note_edits_before(ctx, &applied.changes)?;
    let mut jails: Vec<String> = applied.effect.iter().filter_map(|effect| effect.jail.clone()).collect();
    jails.dedup();
    let paths = applied.changes.iter().map(FileChange::path).collect();
    let about = About { paths, jails, by_hand: false, undoes };
    let deeds = Deeds { effect: applied.effect.clone(), report: applied.report.clone() };
    let seen = match is_watched(ctx)? {
        true => applied.changes.iter().map(|change| seen(found(change))).collect(),
        false => Vec::new(),
    };
    let text = written(&about, &deeds)?;
    let number = ctx.noted(|ctx| {
        let files = json::text(&applied.changes).map_err(ApiError::internal)?;
        let actor = ctx.acting.actor.clone();
        let change = NewChange { at: time::now(), actor: &actor, files: &files, effect: &text };
        let number = ctx.store.add_change(change, &seen)?;
        Ok((number, entry(number, &about, &applied.effect)))
    })?;
    tell(ctx, number, &about.paths);
    Ok(number)
}

/// A change as the audit has it.
fn entry(number: i64, about: &About, effect: &[Effect]) -> Entry {
    let (what, why) = match about.undoes {
        Some(undone) => (What::ConfigUndone, format!("takes change {undone} back")),
        None if about.by_hand => (What::ConfigChanged, "was found: edited outside of bangui".to_owned()),
        None => (What::ConfigChanged, "was made".to_owned()),
    };
    let target = if about.jails.is_empty() { in_short(&about.paths) } else { about.jails.join(", ") };
    let mut entry = Entry::new(what, target).saying(format!("Change {number} {why}: {}.", in_short(&about.paths)));
    for Effect { jail, field, before, after } in effect {
        let field = jail.as_ref().map_or_else(|| field.clone(), |jail| format!("{jail}.{field}"));
        entry = entry.changed(&field, before.clone(), after.clone());
    }
    entry
}

/// The first of some files.
fn in_short(paths: &[String]) -> String {
    paths.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// What was edited in these files by hand before they were changed, and not yet found.
fn note_edits_before(ctx: &mut Ctx, changes: &[FileChange]) -> Result<(), ApiError> {
    let mut edited = Vec::new();
    if is_watched(ctx)? {
        for change in changes {
            let path = change.path();
            if ctx.store.seen_text(&path)? != change.before {
                edited.push(FoundFile { path, text: change.before.clone() });
            }
        }
    }
    if edited.is_empty() { Ok(()) } else { add_by_hand(ctx, time::now(), edited).map(drop) }
}

fn tell(ctx: &mut Ctx, number: i64, paths: &[String]) {
    let actor = &ctx.acting.actor;
    let who = match (actor.kind(), actor.name()) {
        ("system", _) => "It was changed".to_owned(),
        (_, "") => "Somebody at this machine changed it".to_owned(),
        (_, name) => format!("{name} changed it"),
    };
    ctx.tell(Event::ConfigChanged, &format!("{who}: {} (change {number}).", in_short(paths)));
}

/// Whether it is known how the files were.
fn is_watched(ctx: &Ctx) -> Result<bool, ApiError> {
    Ok(!ctx.store.seen_files()?.is_empty())
}

fn found(change: &FileChange) -> FoundFile {
    FoundFile { path: change.path(), text: change.after.clone() }
}

fn seen(file: FoundFile) -> SeenFile {
    SeenFile { hash: file.hash(), path: file.path, text: file.text }
}

/// A look at the files for a child; `None` while something of ours may be changing them.
pub fn look(ctx: &Ctx) -> Result<Option<Task>, ApiError> {
    if is_changing(ctx) {
        return Ok(None);
    }
    let known = ctx.store.seen_files()?.into_iter().collect();
    Ok(Some(Task::LookAtFiles(LookAtFiles { config_dir: ctx.config.fail2ban_config.clone(), known })))
}

fn is_changing(ctx: &Ctx) -> bool {
    ctx.daemon_is_taken || ctx.import.is_some()
}

/// Keeps in memory what a look has found. `noted` is how many changes had been written down when it began: what was read while one was made
/// says nothing.
pub fn looked(ctx: &mut Ctx, outcome: Value, noted: u64) -> Result<(), ApiError> {
    if is_changing(ctx) || ctx.changes_noted != noted {
        return Ok(());
    }
    let files: Vec<FoundFile> = json::from_tree(outcome).map_err(ApiError::internal)?;
    let is_first = !is_watched(ctx)?;
    // The first one to find it keeps its time.
    let at = ctx.by_hand.as_ref().map_or_else(time::now, |found| found.at);
    ctx.by_hand = (!files.is_empty()).then_some(ByHand { at, is_first, files });
    Ok(())
}

/// Writes down what was found.
pub fn write_found(ctx: &mut Ctx) -> Result<(), ApiError> {
    let Some(found) = ctx.by_hand.take() else { return Ok(()) };
    ctx.changes_noted += 1;
    let kept = found.clone();
    let done = match found.is_first {
        true => ctx.store.see_files(&found.files.into_iter().map(seen).collect::<Vec<_>>()).map_err(ApiError::from),
        false => add_by_hand(ctx, found.at, found.files).map(drop),
    };
    if done.is_err() {
        ctx.by_hand = Some(kept);
    }
    done
}

fn add_by_hand(ctx: &mut Ctx, at: i64, files: Vec<FoundFile>) -> Result<i64, ApiError> {
    let changes = edits(ctx, &files)?;
    let files: Vec<SeenFile> = files.into_iter().map(seen).collect();
    let text = json::text(&changes).map_err(ApiError::internal)?;
    let effect = effect_by_hand(&changes)?;
    let about = About { paths: changes.iter().map(FileChange::path).collect(), by_hand: true, ..About::default() };
    ctx.noted(|ctx| {
        let change = NewChange { at, actor: &Actor::System, files: &text, effect: &effect };
        let number = ctx.store.add_change(change, &files)?;
        Ok((number, entry(number, &about, &[]).by(Actor::System)))
    })
}

fn edits(ctx: &Ctx, files: &[FoundFile]) -> Result<Vec<FileChange>, ApiError> {
    let edit = |file: &FoundFile| {
        let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        let before = ctx.store.seen_text(&file.path)?;
        Ok(FileChange { folder: folder.to_owned(), name: name.to_owned(), before, after: file.text.clone() })
    };
    files.iter().map(edit).collect()
}

fn effect_by_hand(changes: &[FileChange]) -> Result<String, ApiError> {
    let about = About { paths: changes.iter().map(FileChange::path).collect(), by_hand: true, ..About::default() };
    written(&about, &Deeds { effect: Vec::new(), report: vec![Done::new("note", BY_HAND)] })
}

/// What was found and is not yet written, as the change it is going to be.
fn waiting(ctx: &Ctx) -> Result<Option<WholeChange>, ApiError> {
    let Some(found) = ctx.by_hand.as_ref().filter(|found| !found.is_first) else { return Ok(None) };
    let changes = edits(ctx, &found.files)?;
    let effect = effect_by_hand(&changes)?;
    let about = effect.lines().next().unwrap_or_default().to_owned();
    let head = Change { id: ctx.store.next_change()?, at: found.at, actor: Actor::System, about };
    Ok(Some(WholeChange { head, files: json::text(&changes).map_err(ApiError::internal)?, effect }))
}

/// All changes, the latest first, as the API shows them in a list.
pub fn list(ctx: &Ctx) -> Result<Vec<Value>, ApiError> {
    let mut all: Vec<Change> = waiting(ctx)?.into_iter().map(|whole| whole.head).collect();
    all.extend(ctx.store.changes()?);
    let undone = undone(&all);
    Ok(all.iter().map(|change| shown(change, &undone)).collect())
}

/// A change; 404 where it is not kept.
pub fn one(ctx: &Ctx, id: i64) -> Result<WholeChange, ApiError> {
    let waiting = waiting(ctx)?.filter(|whole| whole.head.id == id);
    let whole = match waiting {
        Some(whole) => Some(whole),
        None => ctx.store.change(id)?,
    };
    whole.ok_or_else(|| ApiError::no_change(id))
}

/// A change as the API shows it, without its diffs.
pub fn described(ctx: &Ctx, whole: &WholeChange) -> Result<Value, ApiError> {
    let mut body = shown(&whole.head, &undone(&ctx.store.changes()?));
    let deeds = whole.effect.split_once('\n').and_then(|(_, rest)| json::read(rest).ok());
    let Deeds { effect, report } = deeds.unwrap_or_default();
    body["effect"] = effect.iter().map(masked).collect();
    body["report"] = json!(report);
    Ok(body)
}

/// A value that differs, without what looks like a secret.
fn masked(effect: &Effect) -> Value {
    let mut value = json!(effect);
    for side in ["before", "after"] {
        audit::masked(&effect.field, &mut value[side]);
    }
    value
}

/// Which change was taken back by which.
fn undone(all: &[Change]) -> BTreeMap<i64, i64> {
    // The latest first, so that of two undoes the first one is told.
    all.iter().filter_map(|change| Some((about(change).undoes?, change.id))).collect()
}

fn about(change: &Change) -> About {
    json::read(&change.about).unwrap_or_default()
}

fn shown(change: &Change, undone: &BTreeMap<i64, i64>) -> Value {
    let about = about(change);
    json!({
        "id": change.id,
        "at": time::rfc3339(change.at),
        "actor": { "kind": change.actor.kind(), "name": change.actor.name() },
        "by_hand": about.by_hand,
        "undoes": about.undoes,
        "undone_by": undone.get(&change.id),
        "paths": about.paths,
        "jails": about.jails,
    })
}
