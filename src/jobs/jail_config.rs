//! What the files say of jails, whether these run or not, with the values that are pending laid over it.
//!
//! Nothing is changed and the daemon is not asked: who runs is given. A jail with a mistake in it is shown as far as it goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::failure::Failure;
use super::watched::{FROM, Watched};
use crate::apply::effective::Effective;
use crate::apply::never_ban::tree_without;
use crate::conf::{JailView, Overlay, StreamOptions, Tree, Version, time};
use crate::domain::jail_values::{Growth, JailValues};
use crate::domain::json;
use crate::domain::time::rfc3339;

/// What the daemon takes where the files say nothing: seconds, seconds, failures.
const DEFAULT_TIMES: (f64, f64, i64) = (600.0, 600.0, 3);

/// What is shown of a jail and cannot be changed.
pub const READ_ONLY: [&str; 5] = ["name", "active", "source_file", "has_local_override", "pending_changes"];

/// Describe jails.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JailConfigs {
    /// The directory with `jail.conf`.
    pub config_dir: PathBuf,
    /// The daemon's version, where it is known.
    pub version: Option<String>,
    /// The jails that run.
    pub running: Vec<String>,
    /// Pending values by jail, as they are stored.
    pub pending: BTreeMap<String, String>,
    /// What is wanted.
    pub wanted: Wanted,
}

/// Which description is wanted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Wanted {
    /// A list of all jails in the order of the files.
    All,
    /// One jail.
    One(String),
    /// The files that one jail is made of.
    FilesOf(String),
}

impl JailConfigs {
    /// The body of the answer.
    pub fn run(self) -> Result<Value, Failure> {
        let mut watched = Watched::of(&self.config_dir);
        let tree = match &self.wanted {
            Wanted::FilesOf(_) => Tree::load(&self.config_dir),
            // What is never banned has a list of its own: what is shown here can be sent back.
            _ => tree_without(&self.config_dir, &Overlay::new()),
        };
        match &self.wanted {
            Wanted::All => {
                let tree = tree?;
                let views = tree.all_jails(&self.options())?;
                let items: Vec<Value> = views.iter().map(|view| self.describe(&tree, view)).collect();
                let mut body = json!({ "total": items.len(), "items": items });
                for log in views.iter().flat_map(|view| Effective { view }.values().log_paths.unwrap_or_default()) {
                    watched.add_log(&log);
                }
                if !tree.reads_elsewhere() {
                    body[FROM] = json!(watched);
                }
                Ok(body)
            }
            Wanted::One(jail) => {
                let tree = tree?;
                let view = tree.jail(jail, &self.options())?;
                Ok(json!({ "jail": self.describe(&tree, &view) }))
            }
            Wanted::FilesOf(jail) => {
                let tree = tree?;
                let view = tree.jail(jail, &self.options())?;
                let items = files_of(&tree, &view);
                Ok(json!({ "total": items.len(), "items": items }))
            }
        }
    }

    /// What a stream is computed for.
    pub fn options(&self) -> StreamOptions {
        let version = self.version.as_deref().map(Version::new).unwrap_or_default();
        StreamOptions { version, ..StreamOptions::default() }
    }

    /// The values that are pending for a jail. What this program wrote it can read; a value it no longer knows is passed over.
    pub fn pending(&self, jail: &str) -> JailValues {
        self.pending.get(jail).and_then(|text| json::read(text).ok()).unwrap_or_default()
    }

    /// A jail as the API shows it.
    pub fn describe(&self, tree: &Tree, view: &JailView) -> Value {
        let pending = self.pending(&view.name);
        let mut values = Effective { view }.values();
        pending.reset.iter().for_each(|field| values.copy(field, &JailValues::default()));
        let values = values.merged(&pending);
        let seconds = |text: &Option<String>, default: f64| {
            let text = text.as_deref().and_then(|text| time::seconds(text).ok());
            text.map_or(default, time::Seconds::as_f64)
        };
        let source = source(tree, view);
        let growth = values.bantime_escalation.flatten().map(|growth| Growth {
            increment: growth.increment.or(Some(false)),
            overall_jails: growth.overall_jails.or(Some(false)),
            ..growth
        });
        json!({
            "name": &*view.name,
            "active": self.running.iter().any(|name| *name == *view.name),
            "enabled": values.enabled,
            "filter": values.filter.filter(|filter| !filter.is_empty()),
            "ban_time": seconds(&values.ban_time, DEFAULT_TIMES.0),
            "find_time": seconds(&values.find_time, DEFAULT_TIMES.1),
            "max_retry": values.max_retry.map_or(DEFAULT_TIMES.2, i64::from),
            "fail_regex": values.fail_regex.unwrap_or_default(),
            "ignore_regex": values.ignore_regex.unwrap_or_default(),
            "log_paths": values.log_paths.unwrap_or_default(),
            "date_pattern": values.date_pattern.flatten(),
            "log_encoding": values.log_encoding.unwrap_or_else(|| "auto".to_owned()),
            "backend": values.backend.unwrap_or_else(|| "auto".to_owned()),
            "use_dns": values.use_dns.unwrap_or_else(|| "warn".to_owned()),
            "prefregex": values.prefregex.unwrap_or_default(),
            "actions": values.actions.unwrap_or_default(),
            "ignore_ips": values.ignore_ips.unwrap_or_default(),
            "bantime_escalation": growth,
            "port": values.port,
            "protocol": values.protocol,
            "banaction": values.banaction,
            "chain": values.chain,
            "journalmatch": values.journalmatch,
            "maxlines": values.maxlines,
            "logtimezone": values.logtimezone,
            "ignorecommand": values.ignorecommand,
            "source_file": source,
            "has_local_override": is_overridden(view),
            "pending_changes": pending.names(),
        })
    }
}

/// The files that a jail, its filter and its actions are made of.
fn files_of(tree: &Tree, view: &JailView) -> Vec<Value> {
    let named = |file: &str| {
        view.options.iter().any(|option| option.origin.as_ref().is_some_and(|origin| *origin.file == *file))
    };
    let mut paths: Vec<&str> = tree.jail_files().iter().map(|file| &**file).filter(|file| named(file)).collect();
    paths.extend(view.files.iter().map(|file| &**file));
    let mut items: Vec<Value> = Vec::new();
    for path in paths {
        let item = file_item(&tree.base(), path);
        items.extend(item.filter(|item| !items.contains(item)));
    }
    items
}

/// A file as the contract shows it; `None` for one that has gone meanwhile.
fn file_item(base: &str, path: &str) -> Option<Value> {
    let about = std::fs::metadata(path).ok()?;
    let relative = below(base, path);
    let kind = match relative.split('/').next() {
        Some("filter.d") => "filter",
        Some("action.d") => "action",
        _ => "jail",
    };
    let changed = about.modified().ok()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Some(json!({
        "filename": Path::new(path).file_name()?.to_string_lossy(),
        "path": relative,
        "kind": kind,
        "is_local": path.ends_with(".local"),
        "size_bytes": about.len(),
        "modified_at": rfc3339(i64::try_from(changed.as_secs()).unwrap_or(0)),
    }))
}

/// How the files have the log of each jail watched.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadBackends {
    /// The directory with `jail.conf`.
    pub config_dir: PathBuf,
}

impl ReadBackends {
    /// Backends by jail; none where the files cannot be read.
    pub fn run(self) -> Result<Value, Failure> {
        let uses = Tree::load(&self.config_dir).map(|tree| tree.uses(&StreamOptions::default().version));
        let backends = uses.unwrap_or_default().into_iter().map(|used| (used.jail.to_string(), used.backend));
        Ok(json!(backends.collect::<BTreeMap<String, String>>()))
    }
}

/// The file that has the section: the first one that sets an option in it.
fn source(tree: &Tree, view: &JailView) -> Option<String> {
    let own = view.options.iter().filter(|option| !option.inherited);
    let files: Vec<&str> = own.filter_map(|option| Some(&*option.origin.as_ref()?.file)).collect();
    let first = tree.jail_files().iter().find(|file| files.contains(&&***file))?;
    Some(below(&tree.base(), first))
}

fn is_overridden(view: &JailView) -> bool {
    let mut own = view.options.iter().filter(|option| !option.inherited);
    own.any(|option| option.origin.as_ref().is_some_and(|origin| origin.file.ends_with(".local")))
}

/// A path relative to the configuration directory, where it is below it.
pub fn below(base: &str, path: &str) -> String {
    let relative = Path::new(path).strip_prefix(base).map(|path| path.to_string_lossy().into_owned());
    relative.unwrap_or_else(|_| path.to_owned())
}
