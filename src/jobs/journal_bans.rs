//! Reads in a child what fail2ban tells the systemd journal of bans.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::failure::Failure;
use crate::fail2ban::journal;

/// How long reading may take before the child is killed.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Read what the journal tells of bans.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadJournal {
    /// fail2ban's socket, whose owner is who writes.
    pub socket: PathBuf,
    /// The place where it was last read to; `None` the first time.
    pub after: Option<String>,
}

impl ReadJournal {
    /// A `journal::Found`.
    pub fn run(self) -> Result<Value, Failure> {
        Ok(json!(journal::read(&self.socket, self.after.as_deref())))
    }
}
