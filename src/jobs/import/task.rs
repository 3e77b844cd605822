//! An import as data: what is to be imported, and what became of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::read::Door;
use crate::apply::{Applied, Apply};
use crate::blocklist::parse::Lines;
use crate::domain::address::IpOrNet;
use crate::fetch::{Place, Validators};
use crate::jobs::held_set::SetPlace;

/// Import blocklists.
#[derive(Debug, Serialize, Deserialize)]
pub struct Import {
    /// How the jail is made, without its changes; it also says where the daemon is.
    pub apply: Apply,
    /// The sources, in order.
    pub sources: Vec<Source>,
    /// Where the lists as they were imported last are kept, and the set that they are imported into, where it is one of our own.
    pub set: SetPlace,
    /// What lists may be fetched from.
    pub door: Door,
    /// How long a ban lasts, in seconds.
    pub ban_seconds: u32,
    /// Bans that end before this are made again, in Unix seconds.
    pub horizon: i64,
    /// What is never banned.
    pub protected: Vec<IpOrNet>,
}

/// One source.
#[derive(Debug, Serialize, Deserialize)]
pub struct Source {
    /// Its number.
    pub id: i64,
    /// Where the list is.
    pub url: String,
    /// Whether what left the list is unbanned.
    pub unban_removed: bool,
    /// What the server said of the last content.
    pub known: Validators,
    /// What the last content was, by its SHA-256.
    pub fingerprint: Option<String>,
    /// When the first of its bans ends, in Unix seconds.
    pub bans_until: i64,
    /// Its server wants to be left alone for now: the list is taken to be as it was.
    pub rests: bool,
}

/// What became of one source.
#[derive(Debug, Serialize, Deserialize)]
pub struct SourceOutcome {
    /// Its number.
    pub id: i64,
    /// Its URL when the import began.
    pub url: String,
    /// Addresses and networks that are newly banned.
    pub imported: u64,
    /// Bans lifted because they left the list.
    pub unbanned: u64,
    /// What was not banned, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// What the lines of the list are; `None` where it was not read.
    pub lines: Option<Lines>,
    /// Addresses and networks that the lines name.
    pub named: u64,
    /// Networks that were banned address by address, and how many addresses they are.
    pub expanded: (u64, u64),
    /// What whoever looks at the numbers should know.
    pub note: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// What went wrong may pass by itself; the seconds the server wants to be left alone, 0 where it does not say.
    pub passing: Option<u64>,
    /// The content is the same as last time and its bans last.
    pub unchanged: bool,
    /// What the server said of the content.
    pub known: Validators,
    /// What the content was; `None` to have it read whole next time.
    pub fingerprint: Option<String>,
    /// When the first of its bans ends, in Unix seconds.
    pub bans_until: i64,
    /// Where it came from, where it was fetched.
    pub fetched: Option<Place>,
}

/// The whole outcome.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// One for each source.
    pub sources: Vec<SourceOutcome>,
    /// What making the jail has done, where it had to be made.
    pub loaded: Option<Applied>,
}
