//! Sees to it that a change does not leave a jail that can ban nobody without a word: its expressions match nothing of a log of which the old
//! ones did match lines, or it has no action, or a time of nothing. The daemon takes such a jail as it takes any other.
//!
//! It reads the ends of log files and searches them until a deadline; what it cannot find out in that time it does not claim. A jail
//! that was like that before the change is somebody's own decision.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Instant;

use super::effective::Effective;
use crate::conf::{self, JailView, Value, Version, time};
use crate::pattern::date::Clock;
use crate::pattern::{Filter, FilterDefinition, Release};

/// The last lines of each log that are tried.
const LINES: usize = 1000;
/// How far back each log is read, in bytes.
const REACH: u64 = 1024 * 1024;
/// The most log files of a jail that are looked at.
const MOST_LOGS: usize = 4;
/// More failures than this in a second are not seen in a log.
const MOST_FAILURES_A_SECOND: f64 = 1000.0;

/// Why a jail can ban nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Barren {
    /// In a word.
    pub reason: &'static str,
    /// In a sentence.
    pub sentence: String,
}

/// What a change does to a jail so that it can ban nobody, as far as it could before.
pub fn barren(before: Option<&JailView>, after: &JailView, version: &Version, deadline: Instant) -> Vec<Barren> {
    if !after.enabled || after.problem.is_some() {
        return Vec::new();
    }
    let before = before.filter(|view| view.problem.is_none());
    let old = before.filter(|view| view.enabled).map(by_values).unwrap_or_default();
    let mut found: Vec<Barren> = by_values(after).into_iter().filter(|new| !old.contains(new)).collect();
    if let Some(before) = before.filter(|_| found.is_empty()) {
        found.extend(by_expressions(before, after, version, deadline));
    }
    found
}

/// What its values alone say.
fn by_values(view: &JailView) -> Vec<Barren> {
    let name = &view.name;
    let values = Effective { view }.values();
    let seconds = |text: &Option<String>| Some(time::seconds(text.as_deref()?).ok()?.as_f64());
    let (find_time, ban_time) =
        (seconds(&values.find_time).unwrap_or(600.0), seconds(&values.ban_time).unwrap_or(600.0));
    let mut found = Vec::new();
    let mut note = |reason, sentence: String| found.push(Barren { reason, sentence });
    if !view.commands.iter().any(|command| command.get(2).and_then(Value::as_str) == Some("addaction")) {
        note(
            "no_action",
            format!(
                "Jail {name} would have no action, so that it would notice attacks and ban nobody; give it one in actions."
            ),
        );
    }
    if find_time <= 0.0 {
        note(
            "find_time",
            format!("Jail {name} would count failures within no time (find_time is 0), so that it would ban nobody."),
        );
    }
    if ban_time == 0.0 {
        note("ban_time", format!("Jail {name} would let out whom it bans at once (ban_time is 0)."));
    }
    let retries = values.max_retry.map_or(0.0, f64::from);
    if find_time > 0.0 && retries > find_time * MOST_FAILURES_A_SECOND {
        note(
            "max_retry",
            format!(
                "Jail {name} would want {retries} failures within {find_time} seconds (max_retry, find_time), which nobody makes."
            ),
        );
    }
    found
}

/// What the lines of its log say of other expressions.
fn by_expressions(before: &JailView, after: &JailView, version: &Version, deadline: Instant) -> Option<Barren> {
    let (old, new) = (definition(before, version), definition(after, version));
    if old == new || super::check::reads_journal(after) || old.failregex.is_empty() {
        return None;
    }
    let name = &after.name;
    if new.failregex.is_empty() {
        let sentence =
            format!("Jail {name} would have no expression that finds a failure, so that it would ban nobody.");
        return Some(Barren { reason: "no_expression", sentence });
    }
    let paths: Vec<String> = Effective { view: after }.values().log_paths.unwrap_or_default();
    let logs: Vec<Vec<String>> =
        conf::log_files(&paths).into_iter().take(MOST_LOGS).filter_map(|(path, _)| tail(&path)).collect();
    if finds(&new, &logs, deadline)? > 0 {
        return None;
    }
    let count = finds(&old, &logs, deadline).filter(|count| *count > 0)?;
    let lines: usize = logs.iter().map(Vec::len).sum();
    Some(Barren {
        reason: "no_match",
        sentence: format!(
            "Jail {name} would find no failure in the last {lines} lines of its log, in which it finds {} now, so that it would ban nobody.",
            if count == 1 { "one".to_owned() } else { count.to_string() }
        ),
    })
}

/// How many of the lines are a failure; `None` where that is not found out in time.
fn finds(definition: &FilterDefinition, logs: &[Vec<String>], deadline: Instant) -> Option<usize> {
    let mut count = 0;
    for lines in logs {
        // What only the daemon understands is not judged.
        let mut filter = Filter::new(definition, Clock::utc()).ok()?;
        for line in lines {
            if Instant::now() >= deadline {
                return None;
            }
            let result = filter.test_line(line);
            if result.error.is_some() {
                return None;
            }
            count += usize::from(result.failure().is_some());
        }
    }
    Some(count)
}

/// The filter that the daemon is told for a jail.
pub fn definition(view: &JailView, version: &Version) -> FilterDefinition {
    let of = |words: [&str; 2]| -> Vec<String> {
        let word =
            |command: &&Vec<Value>| command.get(2).and_then(Value::as_str).is_some_and(|word| words.contains(&word));
        let values = view.commands.iter().filter(word).flat_map(|command| command.iter().skip(3));
        let flat = values.flat_map(|value| match value {
            Value::List(items) => items.iter().collect(),
            other => vec![other],
        });
        flat.map(|value| value.to_text().into_owned()).collect()
    };
    let last = |word: &'static str| of([word, word]).pop().filter(|text| !text.is_empty());
    let (major, minor, patch) = version.numbers();
    FilterDefinition {
        prefregex: last("prefregex"),
        failregex: of(["addfailregex", "failregex"]),
        ignoreregex: of(["addignoreregex", "ignoreregex"]),
        datepattern: last("datepattern"),
        maxlines: last("maxlines").and_then(|text| text.trim().parse().ok()).unwrap_or(1),
        usedns: last("usedns").unwrap_or_default(),
        logtimezone: last("logtimezone"),
        findtime: None,
        release: Release(major, minor, patch),
    }
}

/// The last lines of a log; `None` for what is no file, or cannot be read.
fn tail(path: &str) -> Option<Vec<String>> {
    let flags = libc::O_NONBLOCK | libc::O_CLOEXEC;
    let mut file = File::options().read(true).custom_flags(flags).open(path).ok()?;
    let about = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let from = about.len().saturating_sub(REACH);
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    file.take(REACH).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    // The first line may have begun before.
    let mut lines: Vec<&str> = text.lines().skip(usize::from(from > 0)).collect();
    let first = lines.len().saturating_sub(LINES);
    Some(lines.drain(first..).map(str::to_owned).collect())
}
