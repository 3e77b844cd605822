//! An apply from its turn to its end, and the undoing of one that died.

use std::path::Path;
use std::time::Duration;

use super::error::ApplyError;
use super::plan::{Applied, Apply, Done, FileChange, Scope};
use super::steps::load;
use super::{journal, turn};
use crate::conf::Folder;
use crate::fail2ban;

impl Apply {
    /// Checks, changes, loads, compares; or leaves everything as it was and says why. Another apply that is under way is waited for at most
    /// for `patience`.
    pub fn run(&self, patience: Duration) -> Result<Applied, ApplyError> {
        if self.dry_run {
            return Err(ApplyError::DryRun(Box::new(self.preview()?)));
        }
        let _turn = turn::take(&self.journal, patience)?;
        undo(&self.journal).map_err(|error| match error {
            ApplyError::Daemon(fail2ban::Error::Busy { .. }) => ApplyError::Interrupted,
            other => other,
        })?;
        let (mut daemon, unloaded) = self.daemon()?;
        let options = self.options(daemon.as_mut())?;
        let fallback = self.fallback(daemon.is_some(), &options)?;
        let change = self.with_hearing(&options)?.with_never_ban();
        let files = change.files_before()?;
        change.check(&options)?;
        let found = change.findings(&options)?;
        if let (true, Some(first)) = (self.asks, found.barren.first()) {
            let sentences: Vec<&str> = found.barren.iter().map(|barren| barren.sentence.as_str()).collect();
            return Err(ApplyError::Barren { reason: first.reason, sentence: sentences.join(" ") });
        }
        let mut applied = change.make(&files, daemon, &options, fallback)?;
        applied.warnings.extend(unloaded);
        applied.warnings.extend(found.sentences());
        applied.changes = change.changes;
        applied.effect = found.effect;
        applied.report = report(&applied);
        Ok(applied)
    }
}

/// What was done, from what is known of it at the end.
fn report(applied: &Applied) -> Vec<Done> {
    let mut done = Vec::new();
    if !applied.changes.is_empty() {
        let paths: Vec<String> = applied.changes.iter().map(FileChange::path).collect();
        done.push(Done::new("check", "The whole configuration was read as if the change were written, and is right."));
        done.push(Done::new("write", format!("Written: {}.", paths.join(", "))));
    }
    done.extend(applied.report.iter().cloned());
    done.extend(applied.restarted.iter().map(|restarted| Done::new("restart", format!("{restarted}."))));
    if applied.reloaded {
        done.push(Done::new("read_back", "What fail2ban has in force was read back and is what the files say."));
    } else if !applied.changes.is_empty() {
        done.push(Done::new("load", "Nothing was loaded."));
    }
    done.extend(applied.warnings.iter().map(|warning| Done::new("note", warning.clone())));
    done
}

/// How long an apply that is under way may take to its end: its own loads, and those to undo them.
const ENDS: Duration = Duration::from_secs(300);
/// Undoes the apply whose journal is there, unless it is still under way: then its end is waited for. False: there is no journal.
pub fn recover(path: &Path) -> Result<bool, ApplyError> {
    let _turn = turn::take(path, ENDS)?;
    undo(path)
}

/// Undoes the apply whose journal is there: first the files, then the daemon loads them. False: there is no journal.
fn undo(path: &Path) -> Result<bool, ApplyError> {
    let Some(journal) = journal::read(path)? else { return Ok(false) };
    let apply = Apply { journal: path.to_owned(), stops: true, ..journal.apply };
    for was in &journal.files {
        was.put_back(&apply.place.config_dir)?;
        Folder::open(&apply.place.config_dir, &was.change.folder)?.remove_leftovers()?;
    }
    // A killed reload may have left other jails half made than those of its scope: none of them may stay so.
    let touched = !matches!(&apply.scope, Scope::Jails(jails) if jails.is_empty());
    if touched {
        let whole = Apply { scope: Scope::All, ..apply };
        load(&whole)?;
    }
    journal::remove(path)?;
    Ok(true)
}
