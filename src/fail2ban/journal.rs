//! Reads the bans that fail2ban tells the systemd journal of, by `journalctl`, from where it was last read, and the failures of a while. Only what the user of the
//! daemon has written counts: anybody may write to the journal under any name. Without a journal, nothing is known of them.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ban_line;
use super::failure_line::{self, Event};
use crate::program::{self, NotRun};

/// How long the journal may take: where it is large, finding a place in it takes a second.
const PATIENCE: Duration = Duration::from_secs(8);
/// Entries that are read for failures.
const MOST_LINES: u32 = 20_000;
/// Time zones differ by so many seconds, or a multiple.
const ZONE_STEP: i64 = 900;
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

/// What the journal tells of failures, and what ends the count of them.
#[derive(Debug, Serialize, Deserialize)]
pub enum Told {
    /// A failure that counts.
    Failure {
        /// The jail.
        jail: String,
        /// Who failed.
        ip: String,
        /// When, in Unix seconds.
        at: i64,
        /// As how many it counts.
        count: u32,
    },
    /// A ban.
    Ban {
        /// The jail.
        jail: String,
        /// Who.
        ip: String,
    },
    /// A jail counts from nothing.
    Begun(String),
    /// Every jail does.
    Started,
}

/// Who of the daemon writes of that.
const TELLERS: [&str; 6] =
    ["fail2ban", "fail2ban.filter", "fail2ban.observer", "fail2ban.actions", "fail2ban.jail", "fail2ban.server"];

/// What the journal tells of failures since then, in Unix seconds; the first ones are left out where there are too many. `zone` is that of
/// this machine.
pub fn failures(socket: &Path, since: i64, zone: &TimeZone) -> Result<Vec<Told>, String> {
    let owner = socket.metadata().map_err(|error| format!("{}: {error}", socket.display()))?.uid();
    let mut arguments = vec![format!("_UID={owner}"), format!("--since=@{since}"), format!("--lines={MOST_LINES}")];
    arguments.extend(TELLERS.iter().map(|name| format!("--identifier={name}")));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let text = journal(&arguments)?;
    Ok(text.lines().filter_map(Entry::read).filter_map(|entry| told(&entry, zone)).collect())
}

fn told(entry: &Entry, zone: &TimeZone) -> Option<Told> {
    Some(match failure_line::in_journal(&entry.sender, entry.message.as_str()?)? {
        Event::Failure { jail, ip, at, count } => {
            let written = entry.micros.parse::<i64>().ok()? / 1_000_000;
            let shown = zone.to_ambiguous_zoned(at).compatible().ok()?.timestamp().as_second();
            // A failure is written down soon after it has happened: what is left is another zone.
            let off = (written - shown + ZONE_STEP / 2).div_euclid(ZONE_STEP) * ZONE_STEP;
            Told::Failure { jail: jail.to_owned(), ip: ip.to_owned(), at: shown + off, count }
        }
        Event::Ban { jail, ip } => Told::Ban { jail: jail.to_owned(), ip: ip.to_owned() },
        Event::Begun(jail) => Told::Begun(jail.to_owned()),
        Event::Started => Told::Started,
    })
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
    let usual = ["--quiet", "--no-pager", "--output=json", "--output-fields=MESSAGE,SYSLOG_IDENTIFIER"];
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
    #[serde(rename = "SYSLOG_IDENTIFIER", default)]
    sender: String,
    /// A text; numbers where it is none, nothing where it is too long.
    #[serde(rename = "MESSAGE", default)]
    message: Value,
}

impl Entry {
    fn read(line: &str) -> Option<Entry> {
        serde_json::from_str(line).ok()
    }
}
