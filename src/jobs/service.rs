//! The daemon as a service, in a child: its configuration loaded, itself restarted, a jail stopped.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Failure;
use super::bans::{answering, checked};
use crate::fail2ban::Error;
use crate::fail2ban::reload::{self, Installation, Scope};
use crate::fail2ban::restart;
use crate::fail2ban::stream::Stream;

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

/// Load the configuration.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reload {
    /// Where the daemon, its files and its client are.
    pub place: Installation,
    /// What to load.
    pub scope: Scope,
    /// The commands of the last reload that went well.
    pub last_good: Option<Stream>,
}

impl Reload {
    /// The commands that are good now.
    pub fn run(self) -> Result<Value, Failure> {
        let mut daemon = answering(&self.place.socket, CHANGES)?;
        if let Scope::Jail(name) = &self.scope {
            let jail = checked(name)?;
            if !daemon.jail_names()?.contains(&jail) && !names_jail(&self.place.config_dir, name) {
                return Err(Error::UnknownJail(name.clone()).into());
            }
        }
        let report = reload::reload(&mut daemon, &self.place, &self.scope, self.last_good.as_ref())?;
        Ok(json!(report.stream))
    }
}

/// Whether any file of the configuration has a section of a jail's name.
fn names_jail(config_dir: &Path, name: &str) -> bool {
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
