//! The programs that change the packet filter, and what they say when they do not.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::address::IpOrNet;
use crate::program::{self, NotRun, Outcome};

/// Where the programs are looked for, whatever the search path says: they run as root.
const PLACES: [&str; 5] = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/bin"];
/// How long one call may take. Measured: 20 ms for 5000 addresses, 1.2 s for 20 000 networks.
const LIMIT: Duration = Duration::from_secs(60);
/// Addresses that a program is given at a time: `nft` needs 1.5 kB of memory for each, all of it gone with the call.
pub(super) const CHUNK: usize = 5000;
/// The longest part of an error that is told on, in bytes.
const LONGEST_WHY: usize = 200;

/// Why the set is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirewallError {
    /// A program is not there.
    Missing(&'static str),
    /// A program says no; the text is what it said.
    Refused(&'static str, String),
    /// A program did not end.
    TooLong(&'static str),
}

impl fmt::Display for FirewallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FirewallError::Missing(name) => {
                write!(f, "{name} is not installed; install it, or set BANGUI_BLOCKLIST_MODE to another way")
            }
            FirewallError::Refused(name, why) if is_forbidden(why) => {
                write!(
                    f,
                    "{name} may not change the packet filter ({why}); run as root with CAP_NET_ADMIN and, for ipset, CAP_NET_RAW"
                )
            }
            FirewallError::Refused(name, why) => write!(f, "{name} failed: {why}"),
            FirewallError::TooLong(name) => write!(f, "{name} did not end within {} s", LIMIT.as_secs()),
        }
    }
}

impl std::error::Error for FirewallError {}

pub(super) fn is_forbidden(why: &str) -> bool {
    // The last is what iptables says of a set without CAP_NET_RAW.
    why.contains("not permitted") || why.contains("ermission denied") || why.contains("open socket to ipset")
}

/// An address or a network and for how many seconds more it is dropped; at least one.
pub type Timed = (IpOrNet, u32);

/// A program that is there.
pub(super) struct Tool {
    name: &'static str,
    path: PathBuf,
}

impl Tool {
    pub(super) fn find(name: &'static str) -> Result<Tool, FirewallError> {
        Tool::find_in(&PLACES, name)
    }

    fn find_in(places: &[&str], name: &'static str) -> Result<Tool, FirewallError> {
        let found = places.iter().find_map(|place| program::find(&Path::new(place).join(name)));
        found.map(|path| Tool { name, path }).ok_or(FirewallError::Missing(name))
    }

    /// Runs it, however it ends.
    pub(super) fn try_run(&self, words: &[&str], input: &str) -> Result<Outcome, FirewallError> {
        let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
        program::run_with(&self.path, &words, input.as_bytes(), LIMIT).map_err(|error| match error {
            NotRun::Missing => FirewallError::Missing(self.name),
            NotRun::Failed(why) => FirewallError::Refused(self.name, why),
            NotRun::TooLong => FirewallError::TooLong(self.name),
        })
    }

    /// Runs it, to a good end.
    pub(super) fn run(&self, words: &[&str], input: &str) -> Result<(), FirewallError> {
        let outcome = self.try_run(words, input)?;
        if outcome.success { Ok(()) } else { Err(self.refusal(&outcome)) }
    }

    /// What it said, in one line: the first that names an error, else the first.
    pub(super) fn refusal(&self, outcome: &Outcome) -> FirewallError {
        let mut lines = outcome.stderr.lines().filter(|line| !line.trim().is_empty());
        let first = lines.clone().next().unwrap_or("it did not say why");
        let telling = lines.find(|line| line.contains("rror") || is_forbidden(line)).unwrap_or(first);
        let why = telling.split_once("Error: ").map_or(telling, |(_, why)| why).trim();
        FirewallError::Refused(self.name, why.chars().filter(|c| !c.is_control()).take(LONGEST_WHY).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_missing_and_the_line_says_what_to_do() {
        let error = Tool::find_in(&["/nonexistent", "/etc"], "nft").map(|tool| tool.path).unwrap_err();
        assert_eq!(error, FirewallError::Missing("nft"));
        assert!(error.to_string().contains("install it"), "{error}");
        // The search path is not asked: whoever sets it could name any program.
        assert!(Tool::find_in(&[], "sh").is_err());
        assert!(Tool::find_in(&["/usr/bin", "/bin"], "sh").is_ok());
    }

    #[test]
    fn a_refusal_is_one_line() {
        let tool = Tool { name: "nft", path: "/bin/sh".into() };
        let said = |stderr: &str| {
            let outcome = Outcome { success: false, stdout: String::new(), stderr: stderr.to_owned() };
            tool.refusal(&outcome).to_string()
        };
        let busy = said("/dev/stdin:3:24-24: Error: Could not process rule: No space left on device\nadd x\n^\n");
        assert_eq!(busy, "nft failed: Could not process rule: No space left on device");
        let forbidden = said("Operation not permitted (you must be root)\nnetlink: Error: cache failed\n");
        assert!(forbidden.contains("CAP_NET_ADMIN") && !forbidden.contains('\n'), "{forbidden}");
        assert_eq!(said(""), "nft failed: it did not say why");
        assert!(said(&"x".repeat(5000)).len() < 300);
    }
}
