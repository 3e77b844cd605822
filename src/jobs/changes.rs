//! Changes of configuration files as they are remembered: shown with their diffs, taken back, and those that somebody has made by hand.

mod look;
pub(super) mod undo;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::failure::Failure;
use crate::apply::FileChange;
use crate::apply::diffs::diffs;
use crate::domain::json as text;

pub use look::{FoundFile, LookAtFiles};
pub use undo::{Undo, Undone};

/// Show the files of a change, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub struct ShowChange {
    /// The files before and after, as JSON.
    pub files: String,
}

impl ShowChange {
    /// The diffs, as the API shows them.
    pub fn run(self) -> Result<Value, Failure> {
        let files: Vec<FileChange> =
            text::read(&self.files).map_err(|error| Failure::CommandFailed(error.to_string()))?;
        Ok(json!(diffs(&files)))
    }
}
