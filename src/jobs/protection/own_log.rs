//! What fail2ban's own log says of the last day: addresses that failed while they were banned, and errors.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::jobs::log_paths;
use crate::jobs::tail::LogFile;
use crate::protection::facts::OwnLog;

/// How many lines of interest are kept.
const MOST: usize = 20_000;
/// How long back they count, in seconds.
const REACH: i64 = 86_400;
/// How many errors are told.
const MOST_ERRORS: usize = 50;

/// For how long a failure explains that its address is banned once more, and a restore that a jail's are, in seconds.
const SOON: i64 = 60;

const AGAIN: &str = " already banned";
const FOUND: &str = "] Found ";
const RESTORED: &str = "] Restore Ban ";
const STARTED: &str = "' started";

/// Reads the log, where it is a file that may be read.
pub fn look(target: &str, allowed: &[PathBuf], now: i64, zone: &TimeZone) -> OwnLog {
    let unread = |why: String| OwnLog { problem: Some(why), ..OwnLog::default() };
    if !target.starts_with('/') {
        return unread(format!("fail2ban logs to {target}, not to a file."));
    }
    let path = match log_paths::allowed(allowed, Path::new(target)) {
        Ok(path) => path,
        Err(why) => return unread(why),
    };
    let words = [AGAIN, FOUND, RESTORED, STARTED];
    let is_wanted = |line: &str| words.iter().any(|word| line.contains(word)) || is_error(line);
    match (LogFile { path, allowed: allowed.to_vec() }).tail(MOST, is_wanted) {
        Ok(tail) => of_lines(&tail.lines, now, zone),
        Err(error) => unread(error.to_string()),
    }
}

fn is_error(line: &str) -> bool {
    line.contains(" ERROR ") || line.contains(" CRITICAL ")
}

/// What these lines say, the oldest first. What was before the last start of a jail is over: its rules were made again.
///
/// That an address is banned already is also said where somebody bans it once more, as this program does after a start, so that the ban
/// keeps its end. Who gets through is found in a log just before. A level that leaves those lines out leaves a guess: what follows a restore.
fn of_lines(lines: &[String], now: i64, zone: &TimeZone) -> OwnLog {
    let mut found = OwnLog::default();
    let tells_failures = lines.iter().any(|line| line.contains(FOUND));
    let mut failed: HashMap<(&str, &str), i64> = HashMap::new();
    let mut restored: HashMap<&str, i64> = HashMap::new();
    let is_soon = |before: Option<&i64>, at: i64| before.is_some_and(|before| at - before <= SOON);
    for line in lines {
        let Some(at) = time_of(line, zone).filter(|at| *at > now - REACH) else { continue };
        let message = line.split_once("]: ").map_or("", |(_, message)| message);
        let message = message.trim_start_matches(|letter: char| letter.is_ascii_uppercase()).trim_start();
        if line.contains(" WARNING ") && line.trim_end().ends_with(AGAIN) {
            let parts =
                message.strip_prefix('[').and_then(|rest| rest.trim_end().strip_suffix(AGAIN)?.rsplit_once("] "));
            let got_through = |(jail, ip): &(&str, &str)| {
                if tells_failures { is_soon(failed.get(&(*jail, *ip)), at) } else { !is_soon(restored.get(jail), at) }
            };
            let parts = parts.filter(got_through);
            found.already_banned.extend(parts.map(|(jail, ip)| (jail.to_owned(), ip.to_owned(), at)));
        } else if let Some((jail, rest)) = message.strip_prefix('[').and_then(|rest| rest.split_once(FOUND)) {
            failed.insert((jail, rest.split(' ').next().unwrap_or_default()), at);
        } else if let Some((jail, _)) = message.strip_prefix('[').and_then(|rest| rest.split_once(RESTORED)) {
            restored.insert(jail, at);
        } else if let Some(jail) = message.strip_prefix("Jail '").and_then(|rest| rest.trim_end().strip_suffix(STARTED))
        {
            found.already_banned.retain(|(own, ..)| own != jail);
            found.errors.clear();
        } else if is_error(line) && found.errors.len() < MOST_ERRORS {
            found.errors.push(message.to_owned());
        }
    }
    found
}

/// When a line was written: `2026-01-02 03:04:05,678 ...` in the zone of this machine.
fn time_of(line: &str, zone: &TimeZone) -> Option<i64> {
    let at: DateTime = line.get(..19)?.parse().ok()?;
    Some(zone.to_ambiguous_zoned(at).compatible().ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> OwnLog {
        let lines: Vec<String> = lines.iter().map(|line| line.to_string()).collect();
        let now: jiff::Timestamp = "2026-01-02T12:00:00Z".parse().unwrap();
        of_lines(&lines, now.as_second(), &TimeZone::UTC)
    }

    #[test]
    fn bans_that_this_program_makes_again_are_nobody_who_gets_through() {
        let line = |time: &str, text: &str| format!("2026-01-02 {time},000 fail2ban.actions        [7]: {text}");
        let start = line("10:00:00", "INFO    Jail 'sshd' started");
        let restore = line("10:00:00", "NOTICE  [sshd] Restore Ban 192.0.2.1");
        let again = line("10:00:01", "WARNING [sshd] 192.0.2.1 already banned");
        let another = line("10:00:00", "INFO    [sshd] Found 192.0.2.2 - 2026-01-02 10:00:00");
        let failure = line("11:00:00", "INFO    [sshd] Found 192.0.2.1 - 2026-01-02 11:00:00");
        let later = line("11:00:01", "WARNING [sshd] 192.0.2.1 already banned");
        let count =
            |lines: &[&String]| read(&lines.iter().map(|line| line.as_str()).collect::<Vec<_>>()).already_banned.len();
        assert_eq!(count(&[&start, &restore, &again]), 0, "a log without failures");
        assert_eq!(count(&[&start, &restore, &again, &another]), 0);
        assert_eq!(count(&[&start, &restore, &again, &later]), 1, "an hour later, in a log without failures");
        assert_eq!(count(&[&start, &another, &later]), 0, "somebody has banned it by hand");
        assert_eq!(count(&[&start, &another, &failure, &later]), 1);
    }

    #[test]
    fn who_failed_while_banned_counts_since_the_jail_was_started() {
        let old = "2026-01-01 11:00:00,000 fail2ban.actions        [7]: WARNING [sshd] 192.0.2.1 already banned";
        let before = "2026-01-02 10:00:00,000 fail2ban.actions        [7]: WARNING [sshd] 192.0.2.2 already banned";
        let start = "2026-01-02 10:30:00,000 fail2ban.jail           [7]: INFO    Jail 'sshd' started";
        let fast = "2026-01-02 11:00:00,000 fail2ban.actions        [7]: NOTICE  [sshd] 192.0.2.3 already banned";
        let now = "2026-01-02 11:00:00,000 fail2ban.actions        [7]: WARNING [a ] b] 2001:db8::1 already banned";
        let found = read(&[old, before, start, fast, now]).already_banned;
        let found: Vec<(&str, &str)> = found.iter().map(|(jail, ip, _)| (jail.as_str(), ip.as_str())).collect();
        assert_eq!(found, [("a ] b", "2001:db8::1")]);
        assert_eq!(read(&[before, start.replace("sshd", "web").as_str()]).already_banned.len(), 1);
        let error = "2026-01-02 11:00:00,000 fail2ban.utils          [7]: ERROR   7f0 -- failed with 1";
        assert_eq!(read(&[error, "nonsense", "2026-01-02 11"]).errors, ["7f0 -- failed with 1"]);
    }
}
