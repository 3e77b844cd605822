//! What a change would do, as data: the answer of a dry run.

use serde::{Deserialize, Serialize};

use super::diffs::FileDiff;
use super::effect::Effect;

/// What a change would do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// The files that would be written.
    pub files: Vec<FileDiff>,
    /// What a commit would write afterwards, where the change itself writes nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at_commit: Vec<FileDiff>,
    /// The values that would be others.
    pub effect: Vec<Effect>,
    /// What the daemon would be told.
    pub commands: Told,
    /// What was found out about it.
    pub checks: Vec<Check>,
}

/// What the daemon would be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// How many commands.
    pub count: usize,
    /// The jails that they are for.
    pub jails: Vec<String>,
    /// Those of them that are restarted.
    pub restarted: Vec<String>,
}

/// Something that was found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// `ok`, `warn` or `bad`.
    pub level: String,
    /// What it is.
    pub sentence: String,
}

impl Check {
    /// All is well.
    pub fn ok(sentence: impl Into<String>) -> Check {
        Check { level: "ok".to_owned(), sentence: sentence.into() }
    }

    /// What is refused where it is not meant.
    pub fn bad(sentence: impl Into<String>) -> Check {
        Check { level: "bad".to_owned(), sentence: sentence.into() }
    }

    /// Something to think about.
    pub fn warn(sentence: impl Into<String>) -> Check {
        Check { level: "warn".to_owned(), sentence: sentence.into() }
    }
}
