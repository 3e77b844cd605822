//! What fail2ban's files have the jails ignore, with where it stands: shown beside the list of what is never banned, and not touched.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::failure::Failure;
use crate::apply::never_ban::tree_without;
use crate::conf::{self, Overlay};

/// How many entries are shown at most.
const MOST: usize = 5000;

/// List the ignore entries of the files.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListIgnored {
    /// The directory with `jail.conf`.
    pub config_dir: PathBuf,
}

/// An entry of the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfFiles {
    /// As it is written.
    pub entry: String,
    /// The jails that ignore it.
    pub jails: Vec<String>,
    /// The file, below the configuration directory.
    pub file: String,
    /// The line that its list begins in, from 1.
    pub line: u32,
}

impl ListIgnored {
    /// The `OfFiles` of all jails that are enabled; none where the files cannot be read.
    pub fn run(self) -> Result<Value, Failure> {
        let mut found: Vec<OfFiles> = Vec::new();
        let Ok(tree) = tree_without(&self.config_dir, &Overlay::new()) else { return Ok(json!(found)) };
        let base = format!("{}/", tree.base());
        for jail in tree.jails() {
            let enabled = tree.jail_option(&jail, "enabled").and_then(|option| option.amount).unwrap_or_default();
            let is_enabled = ["1", "on", "true", "yes"].contains(&enabled.trim().to_ascii_lowercase().as_str());
            let Some(option) = tree.jail_option(&jail, "ignoreip").filter(|_| is_enabled) else { continue };
            let (file, line) = match &option.origin {
                Some(origin) => (origin.file.strip_prefix(&base).unwrap_or(&origin.file).to_owned(), origin.line),
                None => continue,
            };
            for entry in conf::words(&option.amount.unwrap_or(option.written)) {
                let known = found.iter().position(|own| own.entry == entry && own.file == file && own.line == line);
                match known {
                    Some(at) => found[at].jails.push(jail.to_string()),
                    None if found.len() < MOST => {
                        let jails = vec![jail.to_string()];
                        found.push(OfFiles { entry: entry.to_owned(), jails, file: file.clone(), line });
                    }
                    None => {}
                }
            }
        }
        Ok(json!(found))
    }
}
