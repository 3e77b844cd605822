//! Looks at all configuration files, and says which are not as they were last seen. It changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::files;
use crate::jobs::failure::Failure;

/// The directories below that of the configuration in which files are looked at; the empty one is itself.
const FOLDERS: [&str; 5] = ["", "action.d", "fail2ban.d", "filter.d", "jail.d"];
/// The longest file that is looked at, in bytes.
const LONGEST: u64 = 1 << 20;
/// The most files.
const MOST: usize = 2000;

/// Look at the configuration files.
#[derive(Debug, Serialize, Deserialize)]
pub struct LookAtFiles {
    /// The directory with `jail.conf`.
    pub config_dir: PathBuf,
    /// What was last seen, by path.
    pub known: BTreeMap<String, [u8; 16]>,
}

/// A file that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundFile {
    /// Its path below the configuration directory.
    pub path: String,
    /// Its text; `None` for one that is gone.
    pub text: Option<String>,
}

impl FoundFile {
    /// What the text adds up to.
    pub fn hash(&self) -> [u8; 16] {
        let digest = Sha256::digest(self.text.as_deref().unwrap_or_default().as_bytes());
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        hash
    }
}

impl LookAtFiles {
    /// The files that are others than those known.
    pub fn run(self) -> Result<Value, Failure> {
        let mut found = Vec::new();
        let mut gone = self.known.clone();
        for path in listed(&self.config_dir) {
            let Ok(bytes) = files::read(&self.config_dir.join(&path), LONGEST) else {
                // One that cannot be read is not gone.
                gone.remove(&path);
                continue;
            };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let file = FoundFile { path, text: Some(text) };
            if gone.remove(&file.path) != Some(file.hash()) {
                found.push(file);
            }
        }
        // Where nothing can be listed, the directory itself is away, which is no change of its files.
        if self.config_dir.join("jail.conf").exists() {
            found.extend(gone.into_keys().map(|path| FoundFile { path, text: None }));
        }
        Ok(json!(found))
    }
}

/// The paths of all files that fail2ban may read.
fn listed(config_dir: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    for folder in FOLDERS {
        let Ok(entries) = fs::read_dir(config_dir.join(folder)) else { continue };
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let is_read = !name.starts_with('.') && (name.ends_with(".conf") || name.ends_with(".local"));
            if is_read && entry.path().is_file() {
                paths.push(if folder.is_empty() { name } else { format!("{folder}/{name}") });
            }
        }
    }
    paths.sort();
    paths.truncate(MOST);
    paths
}
