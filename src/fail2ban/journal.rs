//! Reads the bans that fail2ban tells the systemd journal of, by `journalctl`, from where it was last read. Only what the user of the
//! daemon has written counts: anybody may write to the journal under any name. Without a journal, nothing is known of them.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ban_line;
use crate::program::{self, NotRun};

/// How long the journal may take: where it is large, finding a place in it takes a second.
const PATIENCE: Duration = Duration::from_secs(8);
/// What `journalctl` may print before the rest has another turn, in bytes: about 30 000 lines.
const MOST: usize = 8 << 20;

/// What was found there.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Found {
    /// Jail, address, and Unix time in milliseconds of each ban.
    pub bans: Vec<(String, String, i64)>,
    /// The place to which it was read; `None` where there is nothing behind the one before.
    pub end: Option<String>,
    /// It is read from here on: what is older is not told.
    pub is_first: bool,
    /// There is more.
    pub goes_on: bool,
    /// Why it was not read.
    pub why_not: Option<String>,
}

/// What the journal tells of bans behind a place; without one, where it ends now. The owner of fail2ban's socket is who writes.
pub fn read(socket: &Path, after: Option<&str>) -> Found {
    let read = match after {
        Some(after) => bans(socket, after),
        None => begin(),
    };
    read.unwrap_or_else(|why_not| Found { why_not: Some(why_not), ..Found::default() })
}

/// The place where the journal ends now.
fn begin() -> Result<Found, String> {
    let last = journal(&["--lines=1"])?;
    let end = last.lines().last().and_then(Entry::read).map(|entry| entry.cursor);
    let none = "it shows nothing: this program may have to be in the group systemd-journal.";
    Ok(Found { end: Some(end.ok_or(none)?), is_first: true, ..Found::default() })
}

fn bans(socket: &Path, after: &str) -> Result<Found, String> {
    let owner = socket.metadata().map_err(|error| format!("{}: {error}", socket.display()))?.uid();
    let (after, owner) = (format!("--after-cursor={after}"), format!("_UID={owner}"));
    // Of what the daemon tells, bans are the least that is read.
    let names = ["--identifier=fail2ban", "--identifier=fail2ban.actions", "--priority=notice"];
    let text = journal(&[&[after.as_str()], &names[..], &[owner.as_str()]].concat())?;
    let mut found = Found { goes_on: text.len() >= MOST, ..Found::default() };
    // The last line is cut off where there is more.
    for entry in text.lines().filter_map(Entry::read) {
        if let Some((jail, ip)) = entry.message.as_str().and_then(ban_line::in_journal) {
            let at = entry.micros.parse::<i64>().unwrap_or_default() / 1000;
            found.bans.push((jail.to_owned(), ip.to_owned(), at));
        }
        found.end = Some(entry.cursor);
    }
    Ok(found)
}

/// What `journalctl` says, a JSON object a line.
fn journal(arguments: &[&str]) -> Result<String, String> {
    let usual = ["--quiet", "--no-pager", "--output=json", "--output-fields=MESSAGE"];
    let all: Vec<&OsStr> = usual.iter().chain(arguments).map(OsStr::new).collect();
    match program::run(Path::new("journalctl"), &all, PATIENCE) {
        Ok(outcome) if outcome.success => Ok(outcome.stdout),
        Ok(outcome) => {
            Err(format!("journalctl: {}", outcome.stderr.lines().next().unwrap_or("it failed without a word")))
        }
        Err(NotRun::Missing) => Err("there is no journalctl on this machine.".to_owned()),
        Err(NotRun::Failed(why)) => Err(format!("journalctl: {why}")),
        Err(NotRun::TooLong) => Err(format!("journalctl took longer than {} s.", PATIENCE.as_secs())),
    }
}

/// An entry of the journal.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "__CURSOR")]
    cursor: String,
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    micros: String,
    /// A text; numbers where it is none, nothing where it is too long.
    #[serde(rename = "MESSAGE", default)]
    message: Value,
}

impl Entry {
    fn read(line: &str) -> Option<Entry> {
        serde_json::from_str(line).ok()
    }
}
