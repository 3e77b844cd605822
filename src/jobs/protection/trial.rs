//! A filter tried on the last lines of its jail's log.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::logs::{LINES as JOURNAL_LINES, read_journal};
use crate::domain::address::IpOrNet;
use crate::jobs::log_paths;
use crate::jobs::tail::{LogFile, shown};
use crate::pattern::date::Clock;
use crate::pattern::{Filter, FilterDefinition, LineReport, TimeProblem};
use crate::protection::facts::Trial;
use crate::protection::facts::{JailFacts, LogState, Source, Tried};
use crate::zones;

/// How many lines of each log are tried.
const LINES: usize = 1000;
/// How many logs of a jail are tried.
const MOST_LOGS: usize = 4;
/// How much of a line is shown, in characters.
const SHOWN: usize = 200;

/// What the lines that report a failed login say, in lower case.
const FAILURES: [&str; 14] = [
    "authentication fail",
    "auth fail",
    "authentication error",
    "failed password",
    "failed login",
    "login failed",
    "login attempt",
    "invalid user",
    "password mismatch",
    "incorrect password",
    "wrong password",
    "access denied",
    "bad password",
    "permission denied",
];

/// Tries it, until then.
pub fn run(jail: &mut JailFacts, definition: &FilterDefinition, allowed: &[PathBuf], until: Instant) -> Tried {
    let mut definition = definition.clone();
    definition.findtime = Some(jail.find_time.clamp(1.0, 1e9) as u32);
    let logs = match &mut jail.source {
        Source::Journal(journal) => {
            // Its dates are the journal's own.
            definition.datepattern = None;
            let lines = read_journal(&mut journal.clone(), JOURNAL_LINES, false);
            vec![lines.ok_or("Its journal cannot be read.")?]
        }
        Source::Files(logs) => {
            let mut read = Vec::new();
            for log in logs.iter().filter(|log| log.state == LogState::Readable).take(MOST_LOGS) {
                let path = log_paths::allowed(allowed, Path::new(&log.path))?;
                let file = LogFile { path, allowed: allowed.to_vec() };
                read.push(file.tail(LINES, |_| true).map_err(|error| error.to_string())?.lines);
            }
            read
        }
    };
    if logs.is_empty() {
        return Err("None of its logs can be read.".to_owned());
    }
    let own_names: Vec<String> = [jail.name.split(['-', '_']).next().unwrap_or_default().to_lowercase()].to_vec();
    let mut trial = Trial::default();
    for lines in &logs {
        let mut filter = Filter::new(&definition, Clock::of(zones::local())).map_err(|error| format!("{error}."))?;
        for line in lines {
            if Instant::now() >= until {
                return Err("There was no time left to try it.".to_owned());
            }
            let report = LineReport::of(&mut filter, line);
            count(&mut trial, &report, &own_names);
        }
    }
    Ok(trial)
}

fn count(trial: &mut Trial, report: &LineReport, own_names: &[String]) {
    if report.line.trim().is_empty() {
        return;
    }
    trial.lines += 1;
    trial.dated += usize::from(report.date.is_some());
    trial.matched += usize::from(report.matched);
    if let Some(host) = report.host.as_ref().filter(|_| report.matched)
        && trial.hosts.len() < 2
        && !trial.hosts.contains(host)
    {
        trial.hosts.push(host.clone());
    }
    let is_known = report.matched || report.ignored || !report.tally.failregex.is_empty();
    trial.known += usize::from(is_known);
    match report.time_problem {
        Some(TimeProblem::InTheFuture) => trial.ahead += 1,
        Some(TimeProblem::TimeZone) => trial.other_zone += 1,
        _ => {}
    }
    if !is_known && looks_like_failure(&report.line, own_names) {
        trial.missed += 1;
        trial.missed_line = Some(shown(&report.line).chars().take(SHOWN).collect());
    }
}

/// Whether a line tells of a failed login from some address, and is not of quite another program.
fn looks_like_failure(line: &str, own_names: &[String]) -> bool {
    let lower = line.to_lowercase();
    if !FAILURES.iter().any(|words| lower.contains(words)) || !names_address(line) {
        return false;
    }
    // In a log that many programs share: `host sshd[123]: ...`.
    let writer = lower.split(' ').take(6).find(|word| word.ends_with("]:") && word.contains('['));
    writer.is_none_or(|writer| own_names.iter().any(|own| writer.contains(own.as_str())))
}

fn names_address(line: &str) -> bool {
    let words = line.split(|letter: char| !(letter.is_ascii_hexdigit() || ".:".contains(letter)));
    words.filter(|word| word.len() > 6).any(|word| {
        let word = word.trim_matches([':', '.']);
        word.parse::<IpAddr>().is_ok_and(|address| IpOrNet::from(address).prefix() > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_looks_like_a_failure_where_it_says_so_and_names_an_address() {
        let own = ["sshd".to_owned()];
        let is = |line: &str| looks_like_failure(line, &own);
        assert!(is("Jan  1 00:00:00 host sshd[1]: Failed password for root from 192.0.2.1 port 4 ssh2"));
        assert!(is("2026-01-01 login failed for bob from 2001:db8::1"));
        assert!(!is("Jan  1 00:00:00 host vsftpd[1]: authentication failure; rhost=192.0.2.1"));
        assert!(!is("Jan  1 00:00:00 host sshd[1]: Accepted password for root from 192.0.2.1"));
        assert!(!is("Jan  1 00:00:00 host sshd[1]: Failed password for root"));
        assert!(!is("12:34:56 login failed"));
    }
}
