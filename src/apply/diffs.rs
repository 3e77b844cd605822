//! The files of a change as diffs, as the API shows them.

use serde::{Deserialize, Serialize};

use super::plan::FileChange;
use crate::domain::diff::unified;
use crate::domain::secrets::masked;

/// The diff of a file, without what looks like a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDiff {
    /// Its path below the configuration directory.
    pub path: String,
    /// The diff.
    pub diff: String,
}

impl FileDiff {
    /// The diff between two states of a file.
    pub fn new(path: &str, before: Option<&str>, after: Option<&str>) -> FileDiff {
        FileDiff { path: path.to_owned(), diff: masked(&unified(path, before, after)) }
    }
}

/// The diffs of all files.
pub fn diffs(files: &[FileChange]) -> Vec<FileDiff> {
    files.iter().map(|file| FileDiff::new(&file.path(), file.before.as_deref(), file.after.as_deref())).collect()
}
