//! What a change would do: everything of an apply but its writes. No file, no lock, no journal is written, and the daemon is asked for
//! what it has and told nothing.

use super::diffs::diffs;
use super::error::ApplyError;
use super::outlook::{Check, Preview, Told};
use super::plan::{Apply, Scope};
use crate::conf::{StreamOptions, Tree};
use crate::domain::names::JailName;
use crate::fail2ban::Daemon;
use crate::fail2ban::difference::{Strictness, difference};

impl Apply {
    /// What the change would do, or the error that it would meet.
    pub(super) fn preview(&self) -> Result<Preview, ApplyError> {
        if self.journal.exists() {
            return Err(ApplyError::InProgress);
        }
        let (mut daemon, unloaded) = self.daemon()?;
        let options = self.options(daemon.as_mut())?;
        self.fallback(daemon.is_some(), &options)?;
        let change = self.with_hearing(&options)?.with_never_ban();
        change.files_before()?;
        change.check(&options)?;
        let found = change.findings(&options)?;
        let after = Tree::load_with(&self.place.config_dir, change.overlay())?;
        let mut checks =
            vec![Check::ok("The whole configuration was read as if the change were written, and is right.")];
        checks.extend(found.checks());
        checks.extend(unloaded.map(Check::warn));
        let commands = match daemon.as_mut() {
            Some(daemon) => change.told(daemon, &after, &options, &mut checks)?,
            None => {
                checks.push(Check::warn("fail2ban is not reached: the files would be written, and nothing loaded."));
                Told::default()
            }
        };
        Ok(Preview { files: diffs(&change.changes), effect: found.effect, commands, checks, ..Preview::default() })
    }

    /// What the daemon would be told of the files as the change makes them.
    fn told(
        &self,
        daemon: &mut Daemon,
        after: &Tree,
        options: &StreamOptions,
        checks: &mut Vec<Check>,
    ) -> Result<Told, ApplyError> {
        let stream = self.computed_of(after, options)?.stream;
        let running: Vec<String> = daemon.jail_names()?.iter().map(|name| name.as_str().to_owned()).collect();
        let mut told = Told::default();
        let is_meant = |jail: &String| match &self.scope {
            Scope::All => true,
            Scope::Jails(names) => names.contains(jail),
        };
        if self.scope == Scope::All {
            told.count += stream.of_server().len();
        }
        let started = stream.jails();
        for jail in started.iter().filter(|jail| is_meant(jail)) {
            let own = stream.of_jail(jail);
            told.count += own.len();
            told.jails.push(jail.clone());
            if let (true, Ok(name)) = (running.contains(jail), JailName::from_daemon(jail))
                && let Some(why) = difference(daemon, &name, &own, Strictness::BeforeLoad)?
            {
                checks.push(Check::warn(format!("Jail {jail} would be restarted, and its bans kept: it {why}.")));
                told.restarted.push(jail.clone());
            }
        }
        for jail in running.iter().filter(|jail| is_meant(jail) && !started.contains(jail)) {
            checks.push(Check::warn(format!("Jail {jail} would be stopped, and its bans lifted.")));
            told.count += 1;
            told.jails.push(jail.clone());
        }
        Ok(told)
    }
}
