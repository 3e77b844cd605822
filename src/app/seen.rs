//! What was seen outside: of the daemon, of its files and its database, of proxies. Plain data; who looks is elsewhere.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::fail2ban::commands::JailCounters;
use crate::fail2ban::restart::Bans;
use crate::jobs::changes::FoundFile;

/// What was last seen of the daemon.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Whether it answered.
    pub online: bool,
    /// Its version.
    pub version: Option<String>,
    /// Jails it runs.
    pub jails: u64,
    /// Addresses banned now, all jails together.
    pub bans: u64,
    /// Bans since the jails were started, all together.
    pub made: u64,
    /// Addresses with failures now, all jails together.
    pub failures: u64,
    /// The counters of each jail.
    pub counters: Vec<JailCounters>,
    /// When this was seen; `None` before the first look.
    pub taken: Option<Instant>,
    /// Something has happened since: look again soon.
    pub stale: bool,
}

impl Snapshot {
    /// Whether it was taken so long ago, or never.
    pub fn is_older(&self, age: Duration) -> bool {
        self.taken.is_none_or(|taken| taken.elapsed() >= age)
    }
}

/// How fail2ban's database was when it was last looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TheirDatabase {
    /// It has not been looked into: where it is is not known.
    Unknown,
    /// It can be read.
    Ok,
    /// The daemon keeps none.
    None,
    /// It cannot be read.
    Error,
}

/// What the daemon's own files say of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerFiles {
    /// Its log level.
    pub log_level: String,
    /// Where it writes its log.
    pub log_target: String,
    /// Its database; `None` where it keeps none.
    pub database: Option<PathBuf>,
}

/// A restart of the daemon.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Restarted {
    /// When it answered again, by RFC 3339.
    pub at: String,
    /// The former one did not answer any more and was ended as a process.
    pub was_hung: bool,
    /// What a killed one had banned and the new one has not taken up, by jail: the rules of that are likely to be there still.
    pub left_behind: Bans,
}

/// Files that were found to be others than they were last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByHand {
    /// When they were found, in Unix seconds.
    pub at: i64,
    /// They are seen for the first time: nobody has changed them.
    pub is_first: bool,
    /// The files.
    pub files: Vec<FoundFile>,
}

/// What was said in the log about proxies, which it is once.
#[derive(Debug, Default)]
pub struct ProxiesSaid {
    /// That a trusted proxy does not tell its clients.
    pub silent_proxy: bool,
    /// That somebody forwards who is not trusted.
    pub stranger: bool,
}
