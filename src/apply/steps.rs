//! The steps of an apply, in their order.

use std::path::Path;
use std::time::Duration;

use super::check::Problem;
use super::error::ApplyError;
use super::journal::{self, Was};
use super::plan::{Applied, Apply, Done, FileChange, Scope};
use super::{check, read_back, run_time};
use crate::conf::{self, Folder, Overlay, StreamOptions, Tree, Version};
use crate::domain::json;
use crate::domain::names::JailName;
use crate::fail2ban::commands::fresh::Defaults;
use crate::fail2ban::keep::Restarted;
use crate::fail2ban::reload::{self, Computed, ReloadError};
use crate::fail2ban::stream::Stream;
use crate::fail2ban::value::Value;
use crate::fail2ban::{Client, Daemon, Error};
use crate::files::Kind;

/// How long a daemon that is free may take to say so.
const ANSWERS: Duration = Duration::from_secs(5);
/// The same where it was just found not to answer.
const ANSWERS_AGAIN: Duration = Duration::from_millis(500);
/// What is said of files that were changed while the daemon hangs.
const NOT_LOADED: &str = "The files are written, and not yet in force: fail2ban does not answer. \
     POST /api/v1/config/restart ends it and starts it with them.";
/// How long it may take to load: each jail that ends runs its actions.
const LOADS: Duration = Duration::from_secs(120);

impl Apply {
    /// Changes, loads and compares.
    pub(super) fn make(
        &self,
        files: &[Was],
        mut daemon: Option<Daemon>,
        options: &StreamOptions,
        fallback: Option<Stream>,
    ) -> Result<Applied, ApplyError> {
        let is_dry = self.changes.is_empty();
        if !is_dry {
            journal::write(self, files)?;
            if let Err(error) = self.swap() {
                return Err(self.undone(files, error, None));
            }
        }
        let outcome = match daemon.as_mut() {
            Some(daemon) if self.loads() => {
                let last_good = self.last_good();
                self.load_with(daemon, options, last_good.as_ref().or(fallback.as_ref()))
            }
            _ => Ok(Applied {
                changes: Vec::new(),
                reloaded: false,
                jails: Vec::new(),
                stream: None,
                warnings: Vec::new(),
                restarted: Vec::new(),
                effect: Vec::new(),
                report: Vec::new(),
            }),
        };
        match outcome {
            Ok(applied) => {
                if !is_dry {
                    journal::remove(&self.journal)?;
                }
                Ok(applied)
            }
            Err(error) if is_dry => Err(error),
            Err(error) => {
                let fallback = if was_tried(&error) { fallback } else { None };
                Err(self.undone(files, error, daemon.as_mut().zip(fallback.as_ref())))
            }
        }
    }

    /// The daemon; `None` where there is none, or it hangs, with a sentence about that: then files are changed and nothing is loaded.
    pub(super) fn daemon(&self) -> Result<(Option<Daemon>, Option<String>), ApplyError> {
        match self.reached() {
            Ok(daemon) => Ok((Some(daemon), None)),
            // A reload without a daemon is an error; files can be edited all the same.
            Err(Error::Unreachable { .. }) if !self.changes.is_empty() => Ok((None, None)),
            Err(Error::Busy { .. }) if !self.changes.is_empty() => {
                Ok((None, self.loads().then(|| NOT_LOADED.to_owned())))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The daemon, where it answers.
    fn reached(&self) -> Result<Daemon, Error> {
        let patience = if self.daemon_hangs { ANSWERS_AGAIN } else { ANSWERS };
        let mut daemon = Daemon::new(Client::new(self.place.socket.clone(), patience));
        daemon.ping()?;
        daemon.client_mut().set_patience(LOADS);
        Ok(daemon)
    }

    /// Whether anything is loaded: not where only files change that no jail uses.
    fn loads(&self) -> bool {
        self.scope != Scope::Jails(Vec::new())
    }

    /// The commands of the files as they are, which are given back to the daemon when new ones fail. An error where something else stands in
    /// the place of a file and they are to be loaded: the daemon's own client would wait for it until its time is up.
    pub(super) fn fallback(&self, is_there: bool, options: &StreamOptions) -> Result<Option<Stream>, ApplyError> {
        match self.computed(options) {
            Err(error) if is_there && self.loads() && is_odd(&error) => Err(error.into()),
            other => Ok(other.ok().map(|computed| computed.stream)),
        }
    }

    pub(super) fn options(&self, daemon: Option<&mut Daemon>) -> Result<StreamOptions, ApplyError> {
        let mut options = StreamOptions { allow_missing_logs: daemon.is_none(), ..StreamOptions::default() };
        options.version = match daemon {
            Some(daemon) => Version::new(daemon.version()?.as_str()),
            None => Version::known(self.place.release().as_deref()),
        };
        Ok(options)
    }

    /// The files as they are, which must be what the changes were computed from.
    pub(super) fn files_before(&self) -> Result<Vec<Was>, ApplyError> {
        let read = |change: &FileChange| {
            if self.dry_run && !self.place.config_dir.join(&change.folder).exists() {
                return Ok(Was::of(change, None));
            }
            let folder = self.folder(change)?;
            let saved = folder.read(&change.name)?;
            let now = saved.as_ref().map(|saved| saved.bytes.as_slice());
            if now != change.before.as_deref().map(str::as_bytes) {
                return Err(ApplyError::Changed(folder.path_of(&change.name)));
            }
            Ok(Was::of(change, saved.as_ref()))
        };
        self.changes.iter().map(read).collect()
    }

    fn folder(&self, change: &FileChange) -> Result<Folder, ApplyError> {
        let path = self.place.config_dir.join(&change.folder);
        if change.after.is_some() && !path.exists() {
            // An installation need not have all of them. What goes wrong here is told by the opening.
            let _ = std::fs::create_dir(&path);
        }
        Ok(Folder::open(&self.place.config_dir, &change.folder)?)
    }

    /// The files as the change makes them.
    pub fn overlay(&self) -> Overlay {
        let base = without_slash(&self.place.config_dir);
        self.changes
            .iter()
            .map(|change| {
                let path = format!("{base}/{}/{}", change.folder, change.name);
                (path, change.after.as_ref().map(|text| text.clone().into_bytes()))
            })
            .collect()
    }

    pub(super) fn check(&self, options: &StreamOptions) -> Result<(), ApplyError> {
        let overlay = self.overlay();
        let Err(problem) = self.problem(overlay.clone(), options) else {
            return if self.changes.is_empty() { Ok(()) } else { self.check_hearing(overlay, options) };
        };
        let was_there = self.changes.is_empty() || self.problem(Overlay::new(), options).as_ref() == Err(&problem);
        match was_there {
            false => Err(ApplyError::Invalid(problem)),
            // Without a daemon nothing is loaded, and what was wrong before must not stand in the way of mending it.
            true if options.allow_missing_logs => Ok(()),
            true => Err(ApplyError::WasInvalid(problem)),
        }
    }

    fn problem(&self, overlay: Overlay, options: &StreamOptions) -> Result<(), Problem> {
        let tree = Tree::load_with(&self.place.config_dir, overlay)?;
        check::check(&tree, options, &self.scope)
    }

    fn swap(&self) -> Result<(), ApplyError> {
        for change in &self.changes {
            let folder = self.folder(change)?;
            match &change.after {
                Some(text) => folder.replace(&change.name, text.as_bytes())?,
                None => folder.remove(&change.name)?,
            }
        }
        Ok(())
    }

    /// The commands of the last reload that went well, where they are known and can be read.
    fn last_good(&self) -> Option<Stream> {
        json::read(self.last_good.as_ref()?).ok()
    }

    /// The commands of the files, computed here.
    fn computed(&self, options: &StreamOptions) -> Result<Computed, conf::Error> {
        self.computed_of(&Tree::load(&self.place.config_dir)?, options)
    }

    /// The commands of these files, computed here.
    pub(super) fn computed_of(&self, tree: &Tree, options: &StreamOptions) -> Result<Computed, conf::Error> {
        let stream = tree.stream(options);
        if let Some(odd) = tree.odd_file() {
            return Err(odd);
        }
        let stream = stream?;
        let skipped = stream.skipped.iter().map(|(jail, reason)| format!("jail '{jail}': {reason}"));
        let errors = skipped.collect::<Vec<_>>().join("; ");
        let commands = stream.commands.iter().map(|command| Value::List(command.iter().map(sent).collect()));
        Ok(Computed { stream: Stream::of_commands(commands.collect()), errors })
    }

    /// Loads the files, and makes the jails as a start would make them.
    fn load_with(
        &self,
        daemon: &mut Daemon,
        options: &StreamOptions,
        last_good: Option<&Stream>,
    ) -> Result<Applied, ApplyError> {
        // What only fail2ban understands of the files is left to its client.
        let computed = match self.computed(options) {
            Err(error) if is_odd(&error) => return Err(error.into()),
            other => other.ok(),
        };
        let scope = match &self.scope {
            Scope::All => reload::Scope::All,
            Scope::Jails(names) => reload::Scope::Jails { names: names.clone(), stops: self.stops },
        };
        let report = reload::reload(daemon, &self.place, &scope, last_good, computed.as_ref())?;
        let mut restarted = report.restarted;
        let warnings = self.settle(daemon, &report.stream, &report.loaded, report.defaults, &mut restarted)?;
        let stream = json::text(&report.stream).ok();
        let jails = daemon.jail_names()?.iter().map(|name| name.as_str().to_owned()).collect();
        let report = vec![Done::new("load", loaded_sentence(&report.loaded))];
        Ok(Applied {
            changes: Vec::new(),
            reloaded: true,
            jails,
            stream,
            warnings,
            restarted,
            effect: Vec::new(),
            report,
        })
    }

    /// Old values go, everything is read back, and what holds at run time only comes back.
    fn settle(
        &self,
        daemon: &mut Daemon,
        stream: &Stream,
        reloaded: &[String],
        mut defaults: Vec<Defaults>,
        restarted: &mut Vec<Restarted>,
    ) -> Result<Vec<String>, ApplyError> {
        let mut warnings = Vec::new();
        let is_modern = daemon.version()?.is_modern();
        for jail in reloaded {
            let Ok(name) = JailName::from_daemon(jail) else { continue };
            if is_modern {
                let left = daemon.make_fresh(&name, stream, &mut defaults, restarted)?;
                if !left.is_empty() {
                    let what = format!("keeps old values of {}", left.join(", "));
                    return Err(ReloadError::Differs { jail: jail.clone(), what }.into());
                }
                if let Some(what) = read_back::difference(daemon, &name, &stream.of_jail(jail))? {
                    return Err(ReloadError::Differs { jail: jail.clone(), what }.into());
                }
            }
            for again in self.run_time.iter().filter(|again| again.jail == *jail) {
                warnings.extend(run_time::set_again(daemon, &name, again)?);
            }
        }
        Ok(warnings)
    }

    /// Puts files and daemon back; gives the error, with what could not be put back.
    fn undone(&self, files: &[Was], error: ApplyError, daemon: Option<(&mut Daemon, &Stream)>) -> ApplyError {
        let undo = || -> Result<(), ApplyError> {
            files.iter().try_for_each(|was| was.put_back(&self.place.config_dir))?;
            if let Some((daemon, last_good)) = daemon {
                let back = Apply { changes: Vec::new(), stops: true, ..self.clone() };
                let options = back.options(Some(daemon))?;
                back.load_with(daemon, &options, Some(last_good))?;
            }
            journal::remove(&self.journal)
        };
        match undo() {
            Ok(()) => error,
            // The daemon is gone: the next one starts with the files as they were.
            Err(ApplyError::Daemon(gone @ Error::Unreachable { .. })) => {
                let _ = journal::remove(&self.journal);
                ApplyError::Daemon(gone)
            }
            Err(undo) => ApplyError::HalfUndone { why: error.to_string(), undo: undo.to_string() },
        }
    }
}

fn loaded_sentence(jails: &[String]) -> String {
    match jails {
        [] => "fail2ban was told; no jail had to be loaded.".to_owned(),
        [one] => format!("fail2ban has loaded jail {one}."),
        all => format!("fail2ban has loaded {} jails: {}.", all.len(), all.join(", ")),
    }
}

/// Whether it is that something else stands in the place of a file.
fn is_odd(error: &conf::Error) -> bool {
    error.trouble().is_some_and(|trouble| trouble.kind == Kind::NotAFile)
}

/// Whether a failed load may have changed the daemon.
fn was_tried(error: &ApplyError) -> bool {
    !matches!(
        error,
        ApplyError::Reload(
            ReloadError::WouldLose { .. }
                | ReloadError::NotEnabled(_)
                | ReloadError::NoClient
                | ReloadError::OtherVersion { .. }
        )
    )
}

/// Loads the files as they are, for an undo. Without a daemon there is nothing to load: it reads them when it starts. One that hangs may
/// have what is to be undone and run on with it: an error, after which the undo is still to be done.
pub(super) fn load(apply: &Apply) -> Result<(), ApplyError> {
    let mut daemon = match apply.reached() {
        Err(Error::Unreachable { .. }) => return Ok(()),
        other => other?,
    };
    let options = apply.options(Some(&mut daemon))?;
    match apply.load_with(&mut daemon, &options, apply.last_good().as_ref()) {
        // The old files are loaded. That something differs then must not stand in the way of every later change.
        Err(ApplyError::Reload(ReloadError::Differs { .. })) => Ok(()),
        other => other.map(drop),
    }
}

/// The path without slashes at its end, as the loader names it.
fn without_slash(path: &Path) -> String {
    let text = path.to_string_lossy();
    let short = text.trim_end_matches('/');
    if short.is_empty() { "/".to_owned() } else { short.to_owned() }
}

/// A value of the configuration as the daemon is sent it.
fn sent(value: &conf::Value) -> Value {
    match value {
        conf::Value::None => Value::None,
        conf::Value::Bool(flag) => Value::Bool(*flag),
        conf::Value::Int(number) => Value::Int(*number),
        conf::Value::Str(text) => Value::from(&**text),
        conf::Value::List(items) => Value::List(items.iter().map(sent).collect()),
        conf::Value::Map(pairs) => {
            Value::Dict(pairs.iter().map(|(key, value)| (Value::from(key.as_str()), sent(value))).collect())
        }
    }
}
