//! The daemon as a service, in a child: itself restarted, a jail stopped. Its configuration is loaded in `apply.rs`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Failure;
use super::bans::{answering, checked};
use crate::fail2ban::reload::Installation;
use crate::fail2ban::restart;

/// How long the daemon may take to stop a jail: each ban is lifted by its action.
pub(super) const CHANGES: Duration = Duration::from_secs(120);

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

/// Whether any file of the configuration has a section of a jail's name.
pub(super) fn names_jail(config_dir: &Path, name: &str) -> bool {
    let header = format!("[{name}]");
    let mut files = vec![config_dir.join("jail.conf"), config_dir.join("jail.local")];
    let entries = std::fs::read_dir(config_dir.join("jail.d")).into_iter().flatten().flatten();
    files.extend(entries.map(|entry| entry.path()));
    files.iter().any(|path| {
        // Bytes, because a comment in another encoding must not hide the file.
        std::fs::read(path)
            .is_ok_and(|text| text.split(|byte| *byte == b'\n').any(|line| line.starts_with(header.as_bytes())))
    })
}

/// Restart the daemon.
#[derive(Debug, Serialize, Deserialize)]
pub struct Restart {
    /// Where the daemon, its files and its client are.
    pub place: Installation,
    /// What the owner has configured to start it.
    pub start_command: Option<String>,
}

impl Restart {
    /// The version that answers now.
    pub fn run(self) -> Result<Value, Failure> {
        let mut daemon = answering(&self.place.socket, CHANGES)?;
        let report = restart::restart(&mut daemon, &self.place, self.start_command.as_deref())?;
        Ok(json!(report.version))
    }
}
