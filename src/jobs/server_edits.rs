//! Settings of the daemon itself: set while it runs, and written for its next start, in a child. A change that cannot be written is taken
//! back from the daemon as well.
//!
//! Whether a client may ask for a value is judged before.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::apply::TURN;
use super::bans::answering;
use super::failure::Failure;
use super::own_file;
use super::service::CHANGES;
use crate::apply::effect::Effect;
use crate::apply::run_time::NotSet;
use crate::apply::{Apply, ApplyError, Check, FileChange, Preview, Scope};
use crate::conf::{LocalFile, NewValue, Tree, time};
use crate::fail2ban::commands::ServerSettings;
use crate::fail2ban::{Daemon, Error};

/// Settings of the daemon; `None` for those that are not to be changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerValues {
    /// How much it logs.
    pub log_level: Option<String>,
    /// Where to.
    pub log_target: Option<String>,
    /// For how many seconds bans are remembered.
    pub db_purge_age: Option<u32>,
    /// How many lines are remembered of a ban.
    pub db_max_matches: Option<u32>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
enum One {
    LogTarget(String),
    LogLevel(String),
    DbPurgeAge(u32),
    DbMaxMatches(u32),
}

impl One {
    /// Its names in the API and in the files.
    fn names(&self) -> (&'static str, &'static str) {
        match self {
            One::LogTarget(_) => ("log_target", "logtarget"),
            One::LogLevel(_) => ("log_level", "loglevel"),
            One::DbPurgeAge(_) => ("db_purge_age", "dbpurgeage"),
            One::DbMaxMatches(_) => ("db_max_matches", "dbmaxmatches"),
        }
    }

    /// As the API shows it.
    fn value(&self) -> Value {
        match self {
            One::LogTarget(text) | One::LogLevel(text) => text.as_str().into(),
            One::DbPurgeAge(number) | One::DbMaxMatches(number) => (*number).into(),
        }
    }

    /// As it stands in a file.
    fn text(&self) -> String {
        match self {
            One::LogTarget(text) | One::LogLevel(text) => text.clone(),
            One::DbPurgeAge(number) | One::DbMaxMatches(number) => number.to_string(),
        }
    }

    /// Whether an option of a file means the same.
    fn is(&self, option: &str) -> bool {
        match self {
            One::LogTarget(text) => text == option,
            One::LogLevel(text) => text.eq_ignore_ascii_case(option),
            One::DbPurgeAge(number) | One::DbMaxMatches(number) => {
                time::seconds(option).is_ok_and(|seconds| seconds.as_f64() == f64::from(*number))
            }
        }
    }

    fn set(&self, daemon: &mut Daemon) -> Result<(), Error> {
        match self {
            One::LogTarget(target) => daemon.set_log_target(target).map(drop),
            One::LogLevel(level) => daemon.set_log_level(level).map(drop),
            One::DbPurgeAge(seconds) => daemon.set_db_purge_age(*seconds).map(drop),
            One::DbMaxMatches(lines) => daemon.set_db_max_matches(*lines).map(drop),
        }
    }

    /// What the daemon had in its place; `None` where it had none, as one without a database.
    fn before(&self, before: &ServerSettings) -> Option<One> {
        let whole = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok());
        match self {
            One::LogTarget(_) => Some(One::LogTarget(before.log_target.clone())),
            One::LogLevel(_) => Some(One::LogLevel(before.log_level.clone())),
            One::DbPurgeAge(_) => whole(before.db_purge_age).map(One::DbPurgeAge),
            One::DbMaxMatches(_) => whole(before.db_max_matches).map(One::DbMaxMatches),
        }
    }
}

impl ServerValues {
    /// Those that are there. The target comes first: it is what the daemon may refuse.
    fn all(&self) -> Vec<One> {
        let target = self.log_target.clone().map(One::LogTarget);
        let level = self.log_level.clone().map(One::LogLevel);
        let numbers = [self.db_purge_age.map(One::DbPurgeAge), self.db_max_matches.map(One::DbMaxMatches)];
        [target, level].into_iter().chain(numbers).flatten().collect()
    }

    /// Sets in the daemon what it has not got `before`: all of it, or it has what it had.
    pub fn set(&self, daemon: &mut Daemon, before: &ServerSettings) -> Result<(), NotSet> {
        let mut done = Vec::new();
        for one in self.all().into_iter().filter(|one| one.before(before).as_ref() != Some(one)) {
            let outcome = one.set(daemon);
            done.push(one);
            let Err(error) = outcome else { continue };
            // Without the daemon there is nothing to be put back: the next one starts from its files.
            let is_gone = matches!(error, Error::Unreachable { .. } | Error::ShuttingDown);
            let left = if is_gone { Vec::new() } else { put_back(daemon, &done, before) };
            let field = done.last().map_or("", |one| one.names().0);
            return Err(NotSet { field, error, left });
        }
        Ok(())
    }
}

/// Gives the daemon back what it had; the names of what it does not take.
fn put_back(daemon: &mut Daemon, values: &[One], before: &ServerSettings) -> Vec<&'static str> {
    let mut left = Vec::new();
    for one in values.iter().rev() {
        if one.before(before).is_some_and(|old| old.set(daemon).is_err()) {
            left.push(one.names().0);
        }
    }
    left
}

/// Change the daemon's settings at once, and in our file.
#[derive(Debug, Serialize, Deserialize)]
pub struct EditServer {
    /// The values.
    pub values: ServerValues,
    /// The apply; its file is filled in here.
    pub apply: Apply,
}

impl EditServer {
    /// Under `applied` what the apply says, where a file was changed, and under `hangs` whether the daemon does not answer, so that only the
    /// file was changed.
    pub fn run(mut self) -> Result<Value, Failure> {
        let change = self.change()?;
        let mut daemon = self.daemon()?;
        let before = match &mut daemon {
            Some(daemon) => Some(daemon.server_settings()?),
            None => None,
        };
        if self.apply.dry_run {
            return Err(self.preview(change, before.as_ref()));
        }
        if let (Some(daemon), Some(before)) = (&mut daemon, &before) {
            self.values.set(daemon, before)?;
        }
        let hangs = daemon.is_none();
        let Some(change) = change else { return Ok(json!({ "hangs": hangs })) };
        self.apply.changes = vec![change];
        self.apply.scope = Scope::Jails(Vec::new());
        match self.apply.run(TURN) {
            Ok(applied) => Ok(json!({ "hangs": hangs, "applied": applied })),
            Err(error) => {
                let pair = daemon.as_mut().zip(before.as_ref());
                let left = pair.map(|(daemon, before)| put_back(daemon, &self.changed(before), before));
                let left: Vec<String> = left.unwrap_or_default().into_iter().map(str::to_owned).collect();
                let why = Failure::from(error);
                Err(if left.is_empty() { why } else { Failure::NotPutBack { why: Box::new(why), left } })
            }
        }
    }

    /// What would be done, or the error that would be met.
    fn preview(mut self, change: Option<FileChange>, before: Option<&ServerSettings>) -> Failure {
        let mut preview =
            Preview { checks: vec![Check::ok("fail2ban takes these settings while it runs.")], ..Preview::default() };
        if let Some(change) = change {
            self.apply.changes = vec![change];
            self.apply.scope = Scope::Jails(Vec::new());
            match self.apply.run(TURN) {
                Err(ApplyError::DryRun(of_file)) => preview = *of_file,
                Err(error) => return error.into(),
                Ok(_) => {}
            }
        }
        if let Some(before) = before {
            let effect = self.changed(before).into_iter().map(|one| Effect {
                jail: None,
                field: one.names().0.to_owned(),
                before: one.before(before).map_or(Value::Null, |old| old.value()),
                after: one.value(),
            });
            preview.effect = effect.collect();
            preview.commands.count = preview.effect.len();
        }
        Failure::DryRun(Box::new(preview))
    }

    fn changed(&self, before: &ServerSettings) -> Vec<One> {
        self.values.all().into_iter().filter(|one| one.before(before).as_ref() != Some(one)).collect()
    }

    /// Our file with what the files do not say already; `None` where they say all of it.
    fn change(&self) -> Result<Option<FileChange>, Failure> {
        let directory = &self.apply.place.config_dir;
        let file = LocalFile::server();
        let before = own_file::read(directory, &file)?;
        let mut document = own_file::parsed(before.as_deref(), &file)?;
        // Files that cannot be read together say nothing: then it is written, and the check before it is loaded says what is wrong.
        let tree = Tree::load_server(directory).ok();
        for one in self.values.all() {
            let (_, key) = one.names();
            let said = tree.as_ref().and_then(|tree| tree.server_option(key));
            if said.is_none_or(|said| !one.is(&said)) {
                document = document.set("Definition", key, &NewValue::Literal(one.text()))?;
            }
        }
        let is_changed = document.text != before.as_deref().unwrap_or_default();
        Ok(is_changed.then(|| FileChange::new(&file, before, Some(document.text))))
    }

    /// The daemon; `None` where it does not answer: the file is what its next start reads.
    fn daemon(&self) -> Result<Option<Daemon>, Failure> {
        if self.apply.daemon_hangs {
            return Ok(None);
        }
        match answering(&self.apply.place.socket, CHANGES) {
            Ok(daemon) => Ok(Some(daemon)),
            Err(Error::Busy { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
