//! A change of one jail, in a child: the files are read, the values checked, the running jail told, the new text of its file handed to the
//! safe apply, and the jail described as it is afterwards.
//!
//! What is pending is kept by the loop, which gets it back as text. What the daemon makes of a file is the business of `apply`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::apply::TURN;
use super::bans::{answering, checked};
use super::definitions::tree_of;
use super::expressions;
use super::failure::Failure;
use super::import::tend::{Tend, Tended};
use super::jail_config::{JailConfigs, Wanted};
use super::jail_rules::{Limits, Rules};
use super::own_file::{self, parsed};
use super::service::CHANGES;
use crate::apply::diffs::diffs;
use crate::apply::effect::Effect;
use crate::apply::effective::Effective;
use crate::apply::run_time::{self, is_same_entry};
use crate::apply::values::edited;
use crate::apply::{Applied, Apply, Check, FileChange, Preview, RunTime, Scope, Told, barren};
use crate::conf::{self, Document, JailView, LocalFile, Tree, time};
use crate::domain::as_read::AsRead;
use crate::domain::jail_values::{JailValues, OPTIONS};
use crate::domain::json as text;
use crate::fail2ban::Error;

/// How long logs are searched for what other expressions find in them.
const PATIENCE: Duration = Duration::from_secs(1);

/// Change a jail.
#[derive(Debug, Serialize, Deserialize)]
pub struct EditJail {
    /// Its name.
    pub jail: String,
    /// What is to be done.
    pub edit: JailEdit,
    /// What the owner allows.
    pub limits: Limits,
    /// The daemon's version, where it is known.
    pub version: Option<String>,
    /// The values pending for it, as they are stored.
    pub pending: Option<String>,
    /// The jails that ran when they were last seen, for a daemon that does not answer.
    pub known_jails: Vec<String>,
    /// The apply; its files and jails are filled in here.
    pub apply: Apply,
    /// What looks after imported addresses behind it, where it may ignore more of them.
    pub tend: Option<Tend>,
}

/// What is to be done.
#[derive(Debug, Serialize, Deserialize)]
pub enum JailEdit {
    /// Make a new one.
    Create {
        /// Its values.
        values: JailValues,
        /// Whether expressions that can stop fail2ban are taken all the same.
        force: bool,
    },
    /// Check values that are to hold at once and to be kept in mind. Nothing is set yet: they are noted first.
    Update {
        /// The values.
        values: JailValues,
        /// What else was sent of what a GET shows.
        read: AsRead,
        /// Whether expressions that can stop fail2ban are taken all the same.
        force: bool,
    },
    /// Set values in the running jail, which are checked and noted.
    Set(JailValues),
    /// Write what is pending.
    Commit {
        /// Whether it is written although the jail can ban nobody then.
        force: bool,
    },
    /// Forget what is pending.
    Rollback,
    /// Remove our file.
    Delete,
    /// Write what it ignores, which the daemon knows already.
    Ignore(Ignored),
}

/// A change of what a jail ignores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ignored {
    /// An entry more.
    Added(String),
    /// An entry less.
    Removed(String),
    /// Whether the machine's own addresses are ignored.
    Own(bool),
}

impl Ignored {
    fn changed(&self, list: Vec<String>) -> Vec<String> {
        match self {
            Ignored::Added(entry) if !list.contains(entry) => list.into_iter().chain([entry.clone()]).collect(),
            Ignored::Removed(entry) => list.into_iter().filter(|listed| !is_same_entry(listed, entry)).collect(),
            _ => list,
        }
    }
}

/// What was done.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Edited {
    /// The jail as it is now; null when it is gone.
    pub jail: Value,
    /// What is pending for it now, as it is to be stored.
    pub pending: Option<String>,
    /// What is to be set in the running jail, once what is pending is noted.
    pub to_set: Option<JailValues>,
    /// What the apply has done, where there was one.
    pub applied: Option<Applied>,
    /// Why what holds in the daemon could not be written.
    pub warning: Option<String>,
    /// The daemon does not answer, so that nothing was set in it.
    pub hangs: bool,
    /// What is to be said of what its expressions cost, a sentence each.
    pub costs: Vec<String>,
    /// What became of imported addresses that are ignored now.
    pub tended: Option<Tended>,
}

/// The jails that run, as far as they are known.
struct Running {
    jails: Vec<String>,
    /// The daemon does not answer; these are the jails that were last seen.
    hangs: bool,
}

impl Running {
    fn has(&self, jail: &str) -> bool {
        self.jails.iter().any(|running| running == jail)
    }
}

impl EditJail {
    /// What was done, as [`Edited`].
    pub fn run(mut self) -> Result<Value, Failure> {
        let edit = std::mem::replace(&mut self.edit, JailEdit::Rollback);
        let tend = self.tend.take();
        let done = match edit {
            JailEdit::Create { values, force } => self.create(values, force),
            JailEdit::Update { values, read, force } => self.update(values, &read, force),
            JailEdit::Set(values) => self.set(&values),
            JailEdit::Commit { force } => self.commit(force),
            JailEdit::Rollback => self.rollback(),
            JailEdit::Delete => self.delete(),
            JailEdit::Ignore(change) => self.ignore(&change),
        }?;
        // What is not set yet is looked after when it is.
        let tend = tend.filter(|_| done.to_set.is_none());
        Ok(json!(Edited { tended: tend.map(|tend| tend.tend()), ..done }))
    }

    fn update(self, values: JailValues, read: &AsRead, force: bool) -> Result<Edited, Failure> {
        let running = self.running()?;
        let configs = self.configs(running.jails.clone(), self.pending.clone());
        let tree = self.tree()?;
        let view = tree.jail(&self.jail, &configs.options())?;
        let pending = configs.pending(&self.jail);
        let present = Effective { view: &view }.values().merged(&pending);
        let rules = Rules { limits: &self.limits, tree: &tree, present: &present };
        let shown = configs.describe(&tree, &view);
        let file = LocalFile::jail(&self.jail)?;
        let text = self.read(&file)?;
        let own = parsed(text.as_deref(), &file)?;
        let mut news = changed(&values, &shown);
        news.reset.retain(|field| is_own(&own, &self.jail, field) || pending.fields().contains(field));
        let wrong = read.wrong(&shown, |_| false);
        if !wrong.is_empty() {
            return Err(Failure::WrongFields(wrong));
        }
        if read.is_whole && news.is_empty() {
            // What was read has come back.
            return Ok(Edited { jail: shown, pending: self.pending, ..Edited::default() });
        }
        let mut news = rules.checked(news)?;
        let costs = expressions::judge_jail(&news, &present, &tree, force)?;
        // The whole is tried on the file now, so that a commit cannot fail for what could be known.
        let all = pending.merged(&news);
        let after = edited(&self.jail, &own, &all)?;
        let mut at_commit = diffs(&[FileChange::new(&file, text, Some(after.text.clone()))]);
        at_commit.retain(|file| !file.diff.is_empty());
        let overlay = [(file.path(&tree.base()), Some(after.text.into_bytes()))].into_iter().collect();
        let committed = self.view(&Tree::load_with(&self.apply.place.config_dir, overlay)?)?;
        if !all.reset.is_empty() {
            let values = Effective { view: &committed }.values();
            news.reset.clone().iter().for_each(|field| news.copy(field, &values));
        }
        let all = pending.merged(&news);
        let options = configs.options();
        let barren = barren(Some(&view), &committed, &options.version, Instant::now() + PATIENCE);
        let barren: Vec<String> = barren.into_iter().map(|found| found.sentence).collect();
        if self.apply.dry_run {
            let after = text::text(&all).map_err(unwritable)?;
            let after = self.configs(running.jails.clone(), Some(after)).describe(&tree, &view);
            let mut preview = Preview { at_commit, ..self.preview(&running, &shown, &after, costs) };
            preview.checks.extend(barren.into_iter().map(Check::bad));
            return Err(Failure::DryRun(Box::new(preview)));
        }
        let mut to_set = None;
        if running.has(&self.jail) && !running.hangs {
            // Short values go to the daemon even when the files have them: it may have others.
            let short = JailValues {
                ban_time: values.ban_time,
                find_time: values.find_time,
                max_retry: values.max_retry,
                use_dns: values.use_dns,
                ..JailValues::default()
            };
            let mut set = rules.checked(short).unwrap_or_default().merged(&news);
            if let Some(list) = &mut set.ignore_ips {
                // The jail is given a whole list.
                list.extend(self.apply.never_banned_in(&self.jail));
            }
            to_set = Some(set);
        }
        let pending = if all.is_empty() { None } else { Some(text::text(&all).map_err(unwritable)?) };
        let hangs = running.hangs;
        let mut costs = costs;
        // It is tried as it was asked for, until it is committed, by force, or rolled back.
        costs.extend(barren.into_iter().map(|sentence| format!("{sentence} A rollback ends that.")));
        let jail = self.configs(running.jails, pending.clone()).describe(&tree, &view);
        Ok(Edited { jail, pending, to_set, hangs, costs, ..Edited::default() })
    }

    /// All of the values, or the jail has what it had before.
    fn set(&self, values: &JailValues) -> Result<Edited, Failure> {
        let mut daemon = answering(&self.apply.place.socket, CHANGES)?;
        run_time::set(&mut daemon, &checked(&self.jail)?, values)?;
        Ok(Edited::default())
    }

    /// What an update would do: values that hold at once, and wait for a commit.
    fn preview(&self, running: &Running, before: &Value, after: &Value, costs: Vec<String>) -> Preview {
        let fields = after.as_object().into_iter().flatten();
        let differing =
            fields.filter(|(field, value)| *field != "pending_changes" && before[field.as_str()] != **value);
        let effect: Vec<Effect> = differing
            .map(|(field, value)| Effect {
                jail: Some(self.jail.clone()),
                field: field.clone(),
                before: before[field.as_str()].clone(),
                after: value.clone(),
            })
            .collect();
        let is_told = running.has(&self.jail) && !running.hangs;
        let jails = if is_told { vec![self.jail.clone()] } else { Vec::new() };
        let how = match is_told {
            true => "The values would hold at once and wait for a commit; no file is written before.",
            false => "The jail does not run: the values would wait for a commit.",
        };
        let commands = Told { count: if is_told { effect.len() } else { 0 }, jails, restarted: Vec::new() };
        let checks = std::iter::once(Check::ok(how)).chain(costs.into_iter().map(Check::warn)).collect();
        Preview { effect, commands, checks, ..Preview::default() }
    }

    fn commit(mut self, force: bool) -> Result<Edited, Failure> {
        let configs = self.configs(Vec::new(), self.pending.clone());
        self.view(&self.tree()?)?;
        let file = LocalFile::jail(&self.jail)?;
        let before = self.read(&file)?;
        let pending = configs.pending(&self.jail);
        let after = edited(&self.jail, &parsed(before.as_deref(), &file)?, &pending)?;
        let is_changed = before.as_deref().unwrap_or_default() != after.text;
        let running = self.running()?;
        if !is_changed && (pending.is_empty() || !running.has(&self.jail) || running.hangs) {
            // Nothing is pending that the files do not say: nothing is to be loaded either.
            return self.described(running, None);
        }
        self.apply.asks = !force;
        self.apply.changes =
            if is_changed { vec![FileChange::new(&file, before, Some(after.text))] } else { Vec::new() };
        self.applied()
    }

    fn rollback(mut self) -> Result<Edited, Failure> {
        self.view(&self.tree()?)?;
        let running = self.running()?;
        if !running.has(&self.jail) || running.hangs {
            return self.described(running, None);
        }
        self.apply.stops = false;
        self.applied()
    }

    fn delete(mut self) -> Result<Edited, Failure> {
        let file = LocalFile::jail(&self.jail)?;
        let Some(before) = self.read(&file)? else {
            self.view(&self.tree()?)?;
            let name = &self.jail;
            let detail = format!("{name} was not created by bangui and cannot be deleted. Disable it instead.");
            return Err(Failure::Conflict(detail));
        };
        self.apply.changes = vec![FileChange::new(&file, Some(before), None)];
        let applied = self.load()?;
        Ok(Edited { applied: Some(applied), ..Edited::default() })
    }

    fn create(mut self, mut values: JailValues, force: bool) -> Result<Edited, Failure> {
        let file = LocalFile::jail(&self.jail)?;
        let tree = self.tree()?;
        if self.read(&file)?.is_some() || tree.jails().iter().any(|jail| **jail == *self.jail) {
            let name = &self.jail;
            let detail = format!(
                "The files have the jail {name} already; set enabled instead: PUT /api/v1/config/jails/{name} with {{\"enabled\": true}}, \
                 then POST /api/v1/config/jails/{name}/commit."
            );
            return Err(Failure::Conflict(detail));
        }
        values.enabled = Some(values.enabled.unwrap_or(false));
        // A jail that is new has nothing to be reset.
        values.reset.clear();
        let none = JailValues::default();
        let values = Rules { limits: &self.limits, tree: &tree, present: &none }.checked(values)?;
        let costs = expressions::judge_jail(&values, &none, &tree, force)?;
        let document = edited(&self.jail, &parsed(None, &file)?, &values)?;
        self.apply.asks = !force;
        self.apply.changes = vec![FileChange::new(&file, None, Some(document.text))];
        Ok(Edited { costs, ..self.applied()? })
    }

    /// The daemon has it already, so a jail whose files cannot take it is a warning and no failure.
    fn ignore(mut self, change: &Ignored) -> Result<Edited, Failure> {
        let mut waiting = self.configs(Vec::new(), self.pending.clone()).pending(&self.jail);
        let mut pending = self.pending.clone();
        if let (Some(list), false) = (waiting.ignore_ips.take(), matches!(change, Ignored::Own(_))) {
            waiting.ignore_ips = Some(change.changed(list));
            pending = Some(text::text(&waiting).map_err(unwritable)?);
        }
        let written = self.ignored_change(change).and_then(|change| {
            self.apply.changes = vec![change];
            self.apply.scope = Scope::Jails(Vec::new());
            Ok(self.apply.run(TURN)?)
        });
        match written {
            Ok(applied) => Ok(Edited { pending, applied: Some(applied), ..Edited::default() }),
            Err(Failure::Conflict(why) | Failure::CommandFailed(why) | Failure::BadValue { detail: why, .. }) => {
                Ok(Edited { pending, warning: Some(why), ..Edited::default() })
            }
            Err(Failure::NoJail(_)) => {
                let why = "the configuration has no such jail".to_owned();
                Ok(Edited { pending, warning: Some(why), ..Edited::default() })
            }
            Err(other) => Err(other),
        }
    }

    fn ignored_change(&self, change: &Ignored) -> Result<FileChange, Failure> {
        let tree = self.tree()?;
        let view = self.view(&tree)?;
        let values = match change {
            Ignored::Own(on) => JailValues { ignore_self: Some(*on), ..JailValues::default() },
            _ => {
                let list = change.changed(Effective { view: &view }.ignored());
                JailValues { ignore_ips: Some(list), ..JailValues::default() }
            }
        };
        let file = LocalFile::jail(&self.jail)?;
        let before = self.read(&file)?;
        let after = edited(&self.jail, &parsed(before.as_deref(), &file)?, &values)?;
        Ok(FileChange::new(&file, before, Some(after.text)))
    }

    fn tree(&self) -> Result<Tree, conf::Error> {
        tree_of(&self.apply.place)
    }

    fn view(&self, tree: &Tree) -> Result<JailView, conf::Error> {
        tree.jail(&self.jail, &self.configs(Vec::new(), None).options())
    }

    /// What describes the jail.
    pub(super) fn configs(&self, running: Vec<String>, pending: Option<String>) -> JailConfigs {
        let pending: BTreeMap<String, String> = pending.map(|text| (self.jail.clone(), text)).into_iter().collect();
        JailConfigs {
            config_dir: self.apply.place.config_dir.clone(),
            version: self.version.clone(),
            running,
            pending,
            wanted: Wanted::One(self.jail.clone()),
        }
    }

    fn described(&self, running: Running, pending: Option<String>) -> Result<Edited, Failure> {
        let jail = self.configs(running.jails, pending.clone()).run()?["jail"].take();
        Ok(Edited { jail, pending, hangs: running.hangs, ..Edited::default() })
    }

    /// Changes the files and loads the jail, without what was pending for it.
    fn load(&mut self) -> Result<Applied, Failure> {
        self.apply.scope = Scope::Jails(vec![self.jail.clone()]);
        let own = |known: &&mut RunTime| known.jail == self.jail;
        self.apply.run_time.iter_mut().filter(own).for_each(|known| known.values = JailValues::default());
        Ok(self.apply.run(TURN)?)
    }

    fn applied(mut self) -> Result<Edited, Failure> {
        let applied = self.load()?;
        let running = match applied.reloaded {
            true => Running { jails: applied.jails.clone(), hangs: false },
            // Without a daemon none runs; of one that hangs, the apply has told.
            false => Running { hangs: false, ..self.running()? },
        };
        let done = self.described(running, None)?;
        Ok(Edited { applied: Some(applied), ..done })
    }

    /// The jails that run: none without a daemon, and those last seen of one that does not answer.
    fn running(&self) -> Result<Running, Failure> {
        let asked = || answering(&self.apply.place.socket, CHANGES).and_then(|mut daemon| daemon.jail_names());
        if self.apply.daemon_hangs {
            return Ok(Running { jails: self.known_jails.clone(), hangs: true });
        }
        match asked() {
            Ok(names) => {
                let jails = names.iter().map(|name| name.as_str().to_owned()).collect();
                Ok(Running { jails, hangs: false })
            }
            Err(Error::Unreachable { .. } | Error::ShuttingDown) => Ok(Running { jails: Vec::new(), hangs: false }),
            Err(Error::Busy { .. }) => Ok(Running { jails: self.known_jails.clone(), hangs: true }),
            Err(error) => Err(error.into()),
        }
    }

    fn read(&self, file: &LocalFile) -> Result<Option<String>, Failure> {
        own_file::read(&self.apply.place.config_dir, file)
    }
}

fn unwritable(error: serde_json::Error) -> Failure {
    Failure::CommandFailed(error.to_string())
}

/// Whether a jail's own file says something of a field.
pub(super) fn is_own(file: &Document, jail: &str, field: &str) -> bool {
    OPTIONS.iter().any(|(own, key)| *own == field && file.setting(jail, key).is_some())
}

/// Those of the values that are not what the API shows of the jail: what was read can be sent back, and changes nothing.
pub(super) fn changed(values: &JailValues, shown: &Value) -> JailValues {
    let seconds = |value: &Value| time::seconds(value.as_str()?).ok().map(time::Seconds::as_f64);
    let is_shown = |name: &str, value: &Value| match name {
        "ban_time" | "find_time" => seconds(value).is_some_and(|seconds| shown[name].as_f64() == Some(seconds)),
        "filter" => value.as_str().unwrap_or_default() == shown[name].as_str().unwrap_or_default(),
        _ => *value == shown[name],
    };
    let all = serde_json::to_value(values).unwrap_or_default();
    let all = all.as_object().cloned().unwrap_or_default();
    let mut news: Map<String, Value> = all.into_iter().filter(|(name, value)| !is_shown(name, value)).collect();
    if let Some(growth) = news.get_mut("bantime_escalation").and_then(Value::as_object_mut) {
        growth.retain(|part, value| !value.is_null() && *value != shown["bantime_escalation"][part]);
        if growth.is_empty() {
            news.remove("bantime_escalation");
        }
    }
    let mut news: JailValues = text::from_tree(Value::Object(news)).unwrap_or_default();
    let is_null = |field: &String| match field.split_once('.') {
        Some((object, part)) => shown[object][part].is_null(),
        None => shown[field].is_null(),
    };
    news.reset.retain(|field| !is_null(field));
    news
}
