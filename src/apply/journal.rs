//! The journal of an apply: what the files were, on disk before the first of them changes.
//!
//! Whoever finds one knows that an apply died, and undoes it: an undo is right whether the daemon has loaded the files or not, since nobody
//! was told of a success. A file that is neither as it was before nor as the apply made it was edited by somebody, and is left alone.

use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::ApplyError;
use super::plan::{Apply, FileChange};
use crate::conf::{Folder, Saved};
use crate::domain::json;
use crate::files;

/// A file as it was.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Was {
    /// What was to be done to it.
    pub change: FileChange,
    /// Content, mode, owner and group; `None` for no file.
    pub saved: Option<(Vec<u8>, u32, u32, u32)>,
}

/// What is written.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Journal {
    /// The apply, with its files.
    pub apply: Apply,
    /// The files as they were.
    pub files: Vec<Was>,
}

impl Was {
    pub(super) fn of(change: &FileChange, saved: Option<&Saved>) -> Was {
        let saved = saved.map(|saved| (saved.bytes.clone(), saved.mode, saved.owner, saved.group));
        Was { change: change.clone(), saved }
    }

    /// Puts it back, unless somebody else has changed it since.
    pub(super) fn put_back(&self, config_dir: &Path) -> Result<(), ApplyError> {
        let folder = Folder::open(config_dir, &self.change.folder)?;
        let now = folder.read(&self.change.name)?.map(|saved| saved.bytes);
        if now.as_deref() != self.change.after.as_deref().map(str::as_bytes) {
            return Ok(());
        }
        let saved = self.saved.clone().map(|(bytes, mode, owner, group)| Saved { bytes, mode, owner, group });
        Ok(folder.restore(&self.change.name, saved.as_ref())?)
    }
}

pub(super) fn failed(path: &Path) -> impl Fn(std::io::Error) -> ApplyError {
    move |error| ApplyError::Journal(format!("{}: {error}", path.display()))
}

/// Writes the journal so that it is there, whole, or not at all.
pub(super) fn write(apply: &Apply, was: &[Was]) -> Result<(), ApplyError> {
    let path = &apply.journal;
    let journal = Journal { apply: apply.clone(), files: was.to_vec() };
    let text = json::text(&journal).map_err(|error| ApplyError::Journal(error.to_string()))?;
    files::replace(path, text.as_bytes(), 0o600).map(drop).map_err(failed(path))
}

/// Removes it: the apply has come to its end.
pub(super) fn remove(path: &Path) -> Result<(), ApplyError> {
    files::remove(path).map_err(failed(path))
}

/// The longest journal, in bytes: files of 4 MiB as numbers, and commands.
const MAX_JOURNAL: u64 = 128 << 20;

/// The journal that is there. One that cannot be read was not written by this program and is an error; it stays.
pub(super) fn read(path: &Path) -> Result<Option<Journal>, ApplyError> {
    let bytes = match files::read(path, MAX_JOURNAL) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed(path))?,
    };
    json::read(&bytes).map(Some).map_err(|error| failed(path)(error.into()))
}
