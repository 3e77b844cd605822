//! An apply from its turn to its end, and the undoing of one that died.

use std::path::Path;
use std::time::Duration;

use super::error::ApplyError;
use super::plan::{Applied, Apply, Scope};
use super::steps::load;
use super::{journal, turn};
use crate::conf::Folder;

impl Apply {
    /// Checks, changes, loads, compares; or leaves everything as it was and says why. Another apply that is under way is waited for at most
    /// for `patience`.
    pub fn run(&self, patience: Duration) -> Result<Applied, ApplyError> {
        let _turn = turn::take(&self.journal, patience)?;
        undo(&self.journal)?;
        let (mut daemon, unloaded) = self.daemon()?;
        let options = self.options(daemon.as_mut())?;
        let fallback = self.fallback(daemon.is_some(), &options)?;
        let change = self.with_hearing(&options)?;
        let files = change.files_before()?;
        change.check(&options)?;
        let mut applied = change.make(&files, daemon, &options, fallback)?;
        applied.warnings.extend(unloaded);
        applied.changes = change.changes;
        Ok(applied)
    }
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
