//! The daemon as a service, in a child: its configuration loaded, itself restarted, a jail stopped.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Failure;
use super::bans::{answering, checked};

/// How long the daemon may take to stop a jail: each ban is lifted by its action.
const CHANGES: Duration = Duration::from_secs(120);

/// Stop a jail.
#[derive(Debug, Serialize, Deserialize)]
pub struct StopJail {
    /// fail2ban's socket.
    pub socket: PathBuf,
    /// The jail.
    pub jail: String,
}

impl StopJail {
    /// Whether it ran before.
    pub fn run(self) -> Result<Value, Failure> {
        let mut daemon = answering(&self.socket, CHANGES)?;
        let jail = checked(&self.jail)?;
        Ok(json!(daemon.stop_jail(&jail)?))
    }
}
