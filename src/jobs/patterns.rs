//! Expressions tried on log lines, in a child: a whole filter, one expression on one line, one on the end of a log.
//!
//! A pattern can be made to take long and to capture much, so everything here has an allowance of time and of text;
//! what exceeds it is reported and not waited for. Files are opened by `tail`, the filter comes from `conf`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::expressions::Expressions;
use super::failure::Failure;
use super::refusal::Refusal;
use super::tail::{LogFile, shown};
use crate::conf::{self, Tree, Version};
use crate::domain::time::{now, rfc3339_fraction};
use crate::pattern::date::{Clock, DateDetector, offset_minutes};
use crate::pattern::{FailRegex, Filter, LineReport, PatternError, Release, UseDns, time_problem};
use crate::zones;

/// How long lines are worked on, in seconds; the rest is left out. Less than the child's own deadline.
const PATIENCE: Duration = Duration::from_secs(8);
/// Captured text in one answer, in bytes: nested groups can capture a line hundreds of times.
const MAX_CAPTURED: usize = 512 * 1024;

/// The body of an answer, or why there is none.
pub type Answer = Result<Value, Failure>;

/// Where lines come from.
#[derive(Debug, Serialize, Deserialize)]
pub enum Source {
    /// The request itself.
    Lines(Vec<String>),
    /// The end of a log file, this many lines.
    File(LogFile, usize),
}

/// Test a whole filter.
#[derive(Debug, Serialize, Deserialize)]
pub struct TestFilter {
    /// fail2ban's configuration.
    pub config_dir: PathBuf,
    /// The filter with its options, as a jail would name it.
    pub called: String,
    /// The lines.
    pub source: Source,
    /// The daemon's version, where one was seen.
    pub version: Option<String>,
    /// The zone of dates that name none, such as `UTC+0200`; `None` for the machine's own.
    pub log_timezone: Option<String>,
}

/// Try one expression on one line.
#[derive(Debug, Serialize, Deserialize)]
pub struct TestRegex {
    /// The line.
    pub line: String,
    /// The expression, with fail2ban's tags.
    pub regex: String,
    /// How the date is written; `None` for the default formats.
    pub date_pattern: Option<String>,
    /// The daemon's version, where one was seen.
    pub version: Option<String>,
}

/// Try one expression on the end of a log.
#[derive(Debug, Serialize, Deserialize)]
pub struct PreviewLog {
    /// The log.
    pub log: LogFile,
    /// How many lines of it.
    pub lines: usize,
    /// The expression, with fail2ban's tags.
    pub regex: String,
    /// The daemon's version, where one was seen.
    pub version: Option<String>,
}

/// A line is said to be old when it is older than this, in seconds: fail2ban's own default of `findtime`.
const FIND_TIME: u32 = 600;

/// What may still be used.
struct Allowance {
    until: Instant,
    captured: usize,
}

impl Allowance {
    fn new() -> Allowance {
        Allowance { until: Instant::now() + PATIENCE, captured: MAX_CAPTURED }
    }

    /// Pays for captured text. The error says what is used up.
    fn pay(&mut self, captured: usize) -> Result<(), String> {
        self.captured = self.captured.checked_sub(captured).ok_or("the groups capture more text than can be shown")?;
        if Instant::now() >= self.until {
            return Err(format!(
                "it takes longer than {} seconds; make the expressions less ambiguous",
                PATIENCE.as_secs()
            ));
        }
        Ok(())
    }
}

/// Captured text of a match, group by group.
struct Captured {
    groups: Vec<Option<String>>,
    named: BTreeMap<String, Option<String>>,
}

impl Captured {
    /// What `regex` captures in `text`, which is a line with its end; `None` when it does not match.
    fn of(regex: &FailRegex, text: &str) -> Result<Option<Captured>, PatternError> {
        let pattern = regex.pattern();
        let (Some(spans), Some(found)) = (pattern.search(text, 0)?, regex.search(text)?) else { return Ok(None) };
        let group = |index| spans.span(index).map(|(start, end)| text[start..end].to_owned());
        Ok(Some(Captured { groups: (1..=pattern.groups()).map(group).collect(), named: found.groups }))
    }

    fn bytes(&self) -> usize {
        let texts = self.groups.iter().chain(self.named.values());
        texts.map(|text| 8 + text.as_ref().map_or(0, String::len)).sum()
    }
}

fn expression(regex: &str) -> Result<FailRegex, Refusal> {
    FailRegex::new(regex, UseDns::default(), false)
        .map_err(|error| Refusal::Expression { field: "fail_regex".into(), detail: error.to_string() })
}

/// The version of this name, or the one that is taken for granted.
fn version(name: Option<&str>) -> Version {
    name.map(Version::new).unwrap_or_default()
}

fn detector(pattern: Option<&str>, seen: Option<&str>) -> Result<DateDetector, Refusal> {
    let (major, minor, patch) = version(seen).numbers();
    DateDetector::new_as(pattern, None, Clock::of(zones::local()), Release(major, minor, patch))
        .map_err(|error| Refusal::Expression { field: "date_pattern".into(), detail: error.to_string() })
}

/// The line as the daemon searches it: without its date, and with an end.
fn searched(line: &str, detector: &mut DateDetector) -> Result<(String, Option<f64>), PatternError> {
    Ok(match detector.find(line)? {
        Some(stamp) => (format!("{}{}\n", &line[..stamp.start], &line[stamp.end..]), stamp.seconds),
        None => (format!("{line}\n"), None),
    })
}

impl TestRegex {
    /// The body of the answer.
    pub fn run(self) -> Answer {
        let regex = expression(&self.regex)?;
        let mut dates = detector(self.date_pattern.as_deref(), self.version.as_deref())?;
        let line = self.line.trim_end_matches(['\r', '\n']);
        let mut body = json!({
            "matched": false, "groups": [], "error": null, "named_groups": {}, "host": null, "timestamp": null,
            "warnings": single(&self.regex).warnings(Some(line)),
            "time_problem": null, "hint": null,
        });
        let mut time = None;
        let found = searched(line, &mut dates).and_then(|(text, seconds)| {
            body["timestamp"] = json!(seconds.map(rfc3339_fraction));
            time = seconds;
            Captured::of(&regex, &text)
        });
        match found {
            Err(error) => body["error"] = json!(error.to_string()),
            Ok(None) => body["error"] = json!(only_with_date(&regex, line, &body["timestamp"])),
            Ok(Some(captured)) => {
                body["matched"] = true.into();
                if let Some((problem, hint)) = time.and_then(|time| time_problem(time, now() as f64, FIND_TIME)) {
                    body["time_problem"] = json!(problem);
                    body["hint"] = hint.into();
                }
                match Allowance::new().pay(captured.bytes()) {
                    Err(reason) => body["error"] = json!(reason),
                    Ok(()) => {
                        let first =
                            ["ip4", "ip6", "dns", "fid"].iter().find_map(|name| captured.named.get(*name)?.clone());
                        body["host"] = json!(first);
                        body["groups"] = json!(captured.groups);
                        body["named_groups"] = json!(captured.named);
                    }
                }
            }
        }
        Ok(body)
    }
}

/// One expression that is tried.
fn single(regex: &str) -> Expressions {
    Expressions::new(UseDns::default()).with("fail_regex", &[regex.to_owned()], false)
}

/// The longest of lines.
fn longest(lines: &[String]) -> Option<&str> {
    lines.iter().max_by_key(|line| line.len()).map(String::as_str)
}

/// Why an expression that looks right does not match: the daemon cuts the date out before it searches.
fn only_with_date(regex: &FailRegex, line: &str, timestamp: &Value) -> Option<String> {
    let would = !timestamp.is_null() && matches!(regex.search(&format!("{line}\n")), Ok(Some(_)));
    would.then(|| {
        "it would match with the date in place, but fail2ban cuts the date out before it searches: leave it out of the expression".to_owned()
    })
}

impl PreviewLog {
    /// The body of the answer.
    pub fn run(self) -> Answer {
        let regex = expression(&self.regex)?;
        let mut dates = detector(None, self.version.as_deref())?;
        let tail = self.log.tail(self.lines, |_| true).map_err(Refusal::from)?;
        let mut allowance = Allowance::new();
        let (mut lines, mut matched, mut problem) = (Vec::new(), 0, None);
        for line in &tail.lines {
            let found = searched(line, &mut dates).and_then(|(text, _)| Captured::of(&regex, &text));
            let mut too_long = None;
            let captured = match found {
                Ok(found) => found,
                // One line that is too long says nothing about the others; one that takes too long does.
                Err(error @ PatternError::TextTooLong { .. }) => {
                    too_long = Some(format!("the line is too long to be tried: {error}"));
                    None
                }
                Err(error) => {
                    problem = Some(error.to_string());
                    break;
                }
            };
            if let Err(reason) = allowance.pay(captured.as_ref().map_or(0, Captured::bytes)) {
                problem = Some(reason);
                break;
            }
            matched += usize::from(captured.is_some());
            let is_match = captured.is_some();
            let groups = captured.map(|captured| captured.groups).unwrap_or_default();
            lines.push(json!({ "line": shown(line), "matched": is_match, "groups": groups, "error": too_long }));
        }
        let examined = lines.len();
        let warnings = single(&self.regex).warnings(longest(&tail.lines));
        Ok(json!({
            "lines": lines, "total_lines": examined, "matched_count": matched, "regex_error": problem, "warnings": warnings,
        }))
    }
}

impl TestFilter {
    /// The body of the answer.
    pub fn run(self) -> Answer {
        let version = version(self.version.as_deref());
        let called = conf::invocation_as(&self.called, &version)
            .map_err(|detail| Refusal::Expression { field: "options".into(), detail })?;
        let tree = Tree::load(&self.config_dir)?.read_as(version);
        let view = tree.filter(&called, "auto")?;
        let mut definition = view.filter_definition().map_err(Refusal::Configuration)?;
        if let Some(zone) = self.log_timezone {
            if offset_minutes(&zone).is_none() {
                let detail = "log_timezone must be an offset such as UTC+0200 or -0430".to_owned();
                return Err(Refusal::Expression { field: "log_timezone".into(), detail }.into());
            }
            definition.logtimezone = Some(zone);
        }
        let mut filter = Filter::new(&definition, Clock::of(zones::local()))
            .map_err(|error| Refusal::Expression { field: error.option.to_owned(), detail: error.to_string() })?;
        let lines = match self.source {
            Source::Lines(lines) => lines,
            Source::File(log, most) => log.tail(most, |_| true).map_err(Refusal::from)?.lines,
        };
        let mut allowance = Allowance::new();
        let mut reports: Vec<LineReport> = Vec::new();
        let mut cut = None;
        for line in &lines {
            let report = LineReport::of(&mut filter, line);
            let captured = report.groups.values().map(String::len).sum();
            if let Err(reason) = allowance.pay(captured) {
                cut = Some(format!("only the first {} of {} lines were tested: {reason}", reports.len(), lines.len()));
                break;
            }
            reports.push(report);
        }
        let matched = reports.iter().filter(|report| report.matched).count();
        let hint = cut.or_else(|| if matched == 0 { Some(why_nothing(&reports)) } else { None });
        let total = reports.len();
        let warnings = Expressions::of(&definition).warnings(longest(&lines));
        Ok(json!({
            "results": reports, "matched_count": matched, "total_lines": total, "hint": hint, "warnings": warnings,
        }))
    }
}

/// The reason that most lines give for being no failure.
fn why_nothing(reports: &[LineReport]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for hint in reports.iter().filter_map(|report| report.hint.as_deref()) {
        *counts.entry(hint).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    match most {
        Some((hint, _)) => hint.to_owned(),
        None if reports.is_empty() => "there are no lines to test".to_owned(),
        None => "every line that matches is excluded by an ignoreregex".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(line: &str, regex: &str) -> Value {
        TestRegex { line: line.into(), regex: regex.into(), date_pattern: None, version: None }.run().unwrap()
    }

    #[test]
    fn an_expression_is_tried_as_the_daemon_would() {
        let found = test(
            "2026-01-02 03:04:05 login of bob failed from 203.0.113.7",
            r"^ login of (\S+) failed from <HOST>(x)?$",
        );
        assert_eq!(found["matched"], true);
        assert_eq!(
            (&found["groups"][0], &found["groups"].as_array().unwrap().last().unwrap()),
            (&json!("bob"), &&Value::Null)
        );
        assert_eq!((&found["host"], &found["named_groups"]["ip4"]), (&json!("203.0.113.7"), &json!("203.0.113.7")));
        assert!(found["timestamp"].as_str().unwrap().starts_with("2026-01-02T"));
        let dated = test("2026-01-02 03:04:05 x 203.0.113.7", r"^\S+ \S+ x <HOST>$");
        assert_eq!(dated["matched"], false);
        assert!(dated["error"].as_str().unwrap().contains("cuts the date out"));
    }

    #[test]
    fn catastrophic_and_greedy_expressions_are_reported() {
        let line = format!("{}!", "a".repeat(5000));
        let slow = test(&line, r"^(?=(a+)+$)(\w+\s?)*\1x");
        assert_eq!(slow["matched"], false);
        let long = "x".repeat(60_000);
        let nested = format!("{}x*{}", "(".repeat(90), ")".repeat(90));
        let much = test(&long, &nested);
        assert_eq!((&much["matched"], much["error"].is_string()), (&json!(true), true), "{much}");
    }

    #[test]
    fn what_does_not_compile_is_refused() {
        let answer = TestRegex { line: String::new(), regex: "(".into(), date_pattern: None, version: None }.run();
        assert!(matches!(answer, Err(Failure::Refused(Refusal::Expression { field, .. })) if field == "fail_regex"));
        let answer =
            TestRegex { line: String::new(), regex: "x".into(), date_pattern: Some("%Q(".into()), version: None }.run();
        assert!(matches!(answer, Err(Failure::Refused(Refusal::Expression { field, .. })) if field == "date_pattern"));
    }
}
