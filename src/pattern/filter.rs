//! A whole filter: what fail2ban makes of a log line, and of lines that belong together.
//!
//! The expressions come as plain text, already read from the configuration and expanded; where from is not asked. Counting
//! failures, ignore lists of addresses and name resolution are the daemon's.

use serde::{Deserialize, Serialize};

use super::compile::MAX_TEXT_BYTES;
use super::connection::{Connections, Failure};
use super::date::{Clock, DateDetector, Stamp};
use super::error::PatternError;
use super::failregex::{FailRegex, Found, Groups};
use super::identity::{Identity, identity};
use super::release::Release;
use super::use_dns::UseDns;

/// A filter as the configuration gives it, includes and interpolations resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FilterDefinition {
    /// Searched first; its `<F-CONTENT>` is what the failregex see.
    pub prefregex: Option<String>,
    /// Each is a failure, in order of preference.
    pub failregex: Vec<String>,
    /// What they match is no failure.
    pub ignoreregex: Vec<String>,
    /// Date patterns, one a line; `None` for the default formats.
    pub datepattern: Option<String>,
    /// Lines searched together; 0 and 1 mean one.
    pub maxlines: usize,
    /// Treatment of host names: `yes`, `warn`, `no` or `raw`; empty means `warn`.
    pub usedns: String,
    /// Zone of dates that name none, as an offset such as `UTC+0200`.
    pub logtimezone: Option<String>,
    /// How far back failures count, in seconds; `None` for fail2ban's default. Only said of a line, not acted upon.
    pub findtime: Option<u32>,
    /// The fail2ban that is to be followed.
    pub release: Release,
}

/// What a match of a failregex amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It counts against the host.
    Failure,
    /// The line is known, but no failure by itself.
    Nofail,
    /// A failure whose host other lines of the connection will tell, or have yet to.
    Pending,
}

/// A failregex that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its index, from 0.
    pub index: usize,
    /// What it amounts to.
    pub outcome: Outcome,
    /// The address, name or identifier that failed.
    pub host: Option<String>,
    /// Groups of this line, of prefregex, and of earlier lines of the same connection.
    pub failure: Failure,
}

/// What a filter makes of one line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LineResult {
    /// The date found, and where.
    pub stamp: Option<Stamp>,
    /// Seconds since the epoch: the line's own date, or the one of the line before where it has none.
    pub timestamp: Option<f64>,
    /// Whether prefregex matched; `None` without a prefregex.
    pub prefregex: Option<bool>,
    /// Matches in order; one at most, unless all failregex are tried.
    pub hits: Vec<Hit>,
    /// The index of the ignoreregex that took the line out.
    pub ignored: Option<usize>,
    /// Every match of an ignoreregex, as often as they were searched; more than one only where all failregex are tried.
    pub ignores: Vec<usize>,
    /// How many lines before this one a match took out of the buffer of lines that are searched together.
    pub taken: usize,
    /// A host name that was left out because of `usedns = no`.
    pub name_refused: Option<String>,
    /// An expression that could not be searched to its end.
    pub error: Option<PatternError>,
}

impl LineResult {
    /// The match that counts as a failure.
    pub fn failure(&self) -> Option<&Hit> {
        self.hits.iter().find(|hit| hit.outcome == Outcome::Failure)
    }
}

/// A filter at work: compiled, with the memory of the lines before.
pub struct Filter {
    prefregex: Option<FailRegex>,
    failregex: Vec<FailRegex>,
    ignoreregex: Vec<FailRegex>,
    detector: DateDetector,
    use_dns: UseDns,
    maxlines: usize,
    try_all: bool,
    keep_date: bool,
    findtime: u32,
    release: Release,
    clock: Clock,
    /// Lines without their date, oldest first.
    buffer: Vec<String>,
    last_date: Option<f64>,
    connections: Connections,
}

/// Wrong expressions of a filter that are told at once.
const MOST_PROBLEMS: usize = 20;

/// Which expression of a filter was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// `prefregex`, `failregex`, `ignoreregex` or `datepattern`.
    pub option: &'static str,
    /// Its index among those of its kind, from 0.
    pub index: usize,
    /// Why.
    pub error: PatternError,
}

impl std::fmt::Display for FilterError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.option, self.index + 1, self.error)
    }
}

impl std::error::Error for FilterError {}

/// fail2ban's own default of `findtime`, in seconds.
const FIND_TIME: u32 = 600;

/// A match together with the lines it took and left.
struct Search {
    found: Found,
    matched: Vec<String>,
    unmatched: Vec<String>,
}

impl Filter {
    /// Compiles every expression of a filter.
    pub fn new(definition: &FilterDefinition, clock: Clock) -> Result<Filter, FilterError> {
        let refuse =
            |option: &'static str, index: usize| move |error: PatternError| FilterError { option, index, error };
        let use_dns = if definition.usedns.is_empty() { UseDns::default() } else { UseDns::of(&definition.usedns) };
        let multi_line = definition.maxlines > 1;
        let prefregex = match definition.prefregex.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => Some(FailRegex::new(text, use_dns, false).map_err(refuse("prefregex", 0))?),
            None => None,
        };
        let mut failregex = Vec::new();
        for (index, text) in definition.failregex.iter().enumerate() {
            let regex = FailRegex::failure(text, use_dns, multi_line, prefregex.as_ref())
                .map_err(refuse("failregex", index))?;
            failregex.push(regex);
        }
        let mut ignoreregex = Vec::new();
        for (index, text) in definition.ignoreregex.iter().enumerate() {
            ignoreregex.push(FailRegex::new(text, use_dns, false).map_err(refuse("ignoreregex", index))?);
        }
        let datepattern = definition.datepattern.as_deref();
        let detector =
            DateDetector::new_as(datepattern, definition.logtimezone.as_deref(), clock.clone(), definition.release)
                .map_err(refuse("datepattern", 0))?;
        Ok(Filter {
            prefregex,
            failregex,
            ignoreregex,
            detector,
            use_dns,
            maxlines: definition.maxlines.max(1),
            try_all: false,
            keep_date: false,
            findtime: definition.findtime.unwrap_or(FIND_TIME),
            release: definition.release,
            clock,
            buffer: Vec::new(),
            last_date: None,
            connections: Connections::default(),
        })
    }

    /// Everything that [`Filter::new`] would refuse, not the first only, up to 20. Failregex are not judged beside a prefregex that is wrong, which
    /// may supply what they lack.
    pub fn problems(definition: &FilterDefinition) -> Vec<FilterError> {
        let mut rest = definition.clone();
        let mut found = Vec::new();
        // Each turn takes the expression away that was refused; one that is refused for another's sake ends it.
        let (mut fail, mut ignore) = (0, 0);
        while let Err(mut error) = Filter::new(&rest, Clock::utc()) {
            if found.len() == MOST_PROBLEMS {
                break;
            }
            let index = error.index;
            match error.option {
                "failregex" => {
                    rest.failregex.remove(index);
                    error.index += fail;
                    fail += 1;
                }
                "ignoreregex" => {
                    rest.ignoreregex.remove(index);
                    error.index += ignore;
                    ignore += 1;
                }
                "datepattern" => rest.datepattern = None,
                _ => {
                    rest.prefregex = None;
                    rest.failregex.clear();
                }
            }
            found.push(error);
        }
        found
    }

    /// Tries every failregex on a line, instead of stopping at the first match as the daemon does.
    pub fn try_all(mut self, yes: bool) -> Filter {
        self.try_all = yes;
        self
    }

    /// Goes on with the date of the line before, however old it is: `fail2ban-regex` does, where the daemon looks at a minute.
    pub fn keep_date(mut self, yes: bool) -> Filter {
        self.keep_date = yes;
        self
    }

    /// How far back failures count, in seconds.
    pub fn findtime(&self) -> u32 {
        self.findtime
    }

    /// Now, in seconds since the epoch.
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// The compiled failregex, in order.
    pub fn failregex(&self) -> &[FailRegex] {
        &self.failregex
    }

    /// The compiled ignoreregex, in order.
    pub fn ignoreregex(&self) -> &[FailRegex] {
        &self.ignoreregex
    }

    /// Lines searched together, at least 1.
    pub fn maxlines(&self) -> usize {
        self.maxlines
    }

    /// The compiled prefregex.
    pub fn prefregex(&self) -> Option<&FailRegex> {
        self.prefregex.as_ref()
    }

    /// What the filter makes of a line of a log file; a newline at its end is cut.
    pub fn test_line(&mut self, line: &str) -> LineResult {
        let line = line.trim_end_matches(['\r', '\n']);
        let mut result = LineResult::default();
        if line.len() >= MAX_TEXT_BYTES {
            result.error = Some(PatternError::TextTooLong { bytes: line.len(), limit: MAX_TEXT_BYTES - 1 });
            return result;
        }
        let now = self.clock.now() as f64;
        let recent = self.last_date.filter(|date| self.keep_date || *date > now - 60.0);
        let text = match self.detector.find(line) {
            Err(error) => {
                result.error = Some(error);
                line.to_string()
            }
            Ok(None) => {
                result.timestamp = recent;
                line.to_string()
            }
            Ok(Some(stamp)) => {
                let mut text = without(line, &stamp);
                if stamp.start == stamp.end {
                    // The pattern allows a line without a date.
                    result.timestamp = recent.or(Some(now));
                } else if stamp.seconds.is_some() {
                    (self.last_date, result.timestamp) = (stamp.seconds, stamp.seconds);
                } else if recent.is_some() {
                    (result.timestamp, text) = (recent, line.to_string());
                }
                result.stamp = Some(stamp);
                text
            }
        };
        self.search_line(text, result)
    }

    /// What the filter makes of a journal entry, whose time is known and not part of the line.
    pub fn test_entry(&mut self, line: &str, seconds: f64) -> LineResult {
        self.last_date = Some(seconds);
        let result = LineResult { timestamp: Some(seconds), ..LineResult::default() };
        self.search_line(line.trim_end_matches(['\r', '\n']).to_string(), result)
    }

    /// The text that the expressions would see of a line, without the memory of lines before.
    pub fn searched_text(&mut self, line: &str) -> Result<String, PatternError> {
        let stamp = self.detector.find(line)?;
        Ok(stamp.map_or(line.to_string(), |stamp| without(line, &stamp)))
    }

    fn search_line(&mut self, text: String, mut result: LineResult) -> LineResult {
        if self.maxlines == 1 {
            self.buffer.clear();
        }
        let before = self.buffer.clone();
        self.buffer.push(text);
        let surplus = self.buffer.len().saturating_sub(self.maxlines);
        self.buffer.drain(..surplus);
        if let Err(error) = self.search_buffer(&mut result) {
            result.error = Some(error);
        }
        result.taken = before[surplus..].iter().filter(|line| !self.buffer.contains(line)).count();
        result
    }

    fn search_buffer(&mut self, result: &mut LineResult) -> Result<(), PatternError> {
        let lines = self.buffer.clone();
        let mut text = joined(&lines);
        if self.ignoreregex.len() + 2 < self.failregex.len() {
            result.ignored = self.ignored_by(&text, &mut result.ignores)?;
            if result.ignored.is_some() {
                return Ok(());
            }
        }
        let mut prefix_groups = Groups::new();
        if let Some(prefregex) = &self.prefregex {
            let found = prefregex.search(&text)?;
            result.prefregex = Some(found.is_some());
            let Some(found) = found else { return Ok(()) };
            prefix_groups = found.groups;
            if let Some(content) = prefix_groups.remove("content").flatten().filter(|content| !content.is_empty()) {
                self.buffer = vec![content];
                text = joined(&self.buffer);
            }
        }
        for index in 0..self.failregex.len() {
            let Some(search) = search(&self.failregex[index], &text, &lines)? else {
                continue;
            };
            let several = self.maxlines > 1;
            let about = if several { joined(&search.matched) } else { text.clone() };
            if let Some(ignored) = self.ignored_by(&about, &mut result.ignores)? {
                result.ignored = Some(ignored);
                if !self.try_all || several {
                    self.buffer = search.unmatched;
                }
                if !self.try_all {
                    break;
                }
                text = joined(&self.buffer);
                continue;
            }
            if !self.try_all || several {
                self.buffer = search.unmatched.clone();
                text = joined(&self.buffer);
            }
            let Some(hit) = self.judge(index, search, &prefix_groups, result) else {
                continue;
            };
            result.hits.push(hit);
            if !self.try_all {
                break;
            }
        }
        Ok(())
    }

    /// The last ignoreregex that matches, of all that are to be tried; each match is added to `all`.
    fn ignored_by(&self, text: &str, all: &mut Vec<usize>) -> Result<Option<usize>, PatternError> {
        let mut found = None;
        for (index, regex) in self.ignoreregex.iter().enumerate() {
            if regex.search(text)?.is_some() {
                all.push(index);
                found = Some(index);
                if !self.try_all {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// What a match amounts to; `None` when the daemon passes over it.
    fn judge(&mut self, index: usize, search: Search, prefix_groups: &Groups, result: &mut LineResult) -> Option<Hit> {
        let mut failure = Failure { groups: prefix_groups.clone(), ..Failure::default() };
        let took_part = |value: &Option<String>| value.is_some() || !self.release.keeps_groups_of_prefregex();
        // Without a prefregex there is nothing that could be kept, and every group is there.
        let found = search.found.groups.into_iter();
        failure.groups.extend(found.filter(|(_, value)| prefix_groups.is_empty() || took_part(value)));
        let connection = failure.groups.get("mlfid").cloned().flatten();
        let mut keep = false;
        match &connection {
            Some(id) => (failure, keep) = self.connections.merge(id, failure, &search.matched),
            None => failure.matches = search.matched,
        }
        // The daemon looks at `<F-NOFAIL>` only where `<F-MLFID>` names a connection that other lines may belong to.
        let harmless = connection.is_some() && failure.is_harmless();
        let (outcome, host) = if harmless && !self.try_all {
            (Outcome::Nofail, None)
        } else {
            match identity(&failure.groups, self.use_dns) {
                Identity::Known(host) if harmless => (Outcome::Nofail, Some(host)),
                Identity::Known(host) => (Outcome::Failure, Some(host)),
                Identity::Pending => {
                    failure.pending = true;
                    (Outcome::Pending, None)
                }
                Identity::NameRefused(name) => {
                    result.name_refused = Some(name);
                    return None;
                }
                Identity::Missing => return None,
            }
        };
        if let (Some(id), true) = (&connection, keep) {
            self.connections.keep(id, failure.clone());
        }
        Some(Hit { index, outcome, host, failure })
    }
}

/// The line without its date.
fn without(line: &str, stamp: &Stamp) -> String {
    format!("{}{}", &line[..stamp.start], &line[stamp.end..])
}

fn joined(lines: &[String]) -> String {
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

/// Searches `text`, which stands for `lines`, and tells which of these the match took and which it left.
fn search(regex: &FailRegex, text: &str, lines: &[String]) -> Result<Option<Search>, PatternError> {
    let Some(found) = regex.search(text)? else {
        return Ok(None);
    };
    if lines.len() <= 1 {
        return Ok(Some(Search { found, matched: lines.to_vec(), unmatched: Vec::new() }));
    }
    let bytes = text.as_bytes();
    let newlines = |end: usize| bytes[..end].iter().filter(|byte| **byte == b'\n').count();
    // A match may begin with the newline of the line before, and end behind its own.
    let first = newlines(bytes.len().min(found.start + 1));
    let last = match bytes[found.end.saturating_sub(1)..].iter().position(|byte| *byte == b'\n') {
        Some(offset) => newlines(found.end.saturating_sub(1) + offset + 1),
        None => newlines(bytes.len()),
    };
    let (first, last) = (first.min(lines.len()), last.min(lines.len()));
    let mut matched = lines[first..last.max(first)].to_vec();
    let mut unmatched = lines[..first].to_vec();
    let mut from = 0;
    for skipped in FailRegex::skipped_lines(&found) {
        if let Some(offset) = matched[from..].iter().position(|line| *line == skipped) {
            unmatched.push(matched.remove(from + offset));
            from += offset;
        }
    }
    unmatched.extend_from_slice(&lines[last.max(first)..]);
    Ok(Some(Search { found, matched, unmatched }))
}
