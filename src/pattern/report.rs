//! What a filter makes of a line, in words and in plain fields, for people and for JSON.
//!
//! Nothing is decided here: `filter` did that. A hint tries expressions on variations of the line, which changes no state.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::compile::MAX_TEXT_BYTES;
use super::failregex::FailRegex;
use super::filter::{Filter, LineResult, Outcome};
use crate::domain::time::rfc3339_fraction;

/// The result for one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LineReport {
    /// The line as given.
    pub line: String,
    /// It counts as a failure.
    pub matched: bool,
    /// Against whom: an address, a network, a name or an identifier.
    pub host: Option<String>,
    /// The user named, if any; empty where the expression found an empty name.
    pub user: Option<String>,
    /// Every named group that took part, those of earlier lines of the same connection included.
    pub groups: BTreeMap<String, String>,
    /// Seconds since the epoch; in JSON RFC 3339 in UTC, as everywhere in the API.
    #[serde(serialize_with = "as_rfc3339")]
    pub timestamp: Option<f64>,
    /// The text taken for the date.
    pub date: Option<String>,
    /// The name of the date template that found it.
    pub template: Option<String>,
    /// An ignoreregex took the line out.
    pub ignored: bool,
    /// Which one, from 0.
    pub ignoreregex: Option<usize>,
    /// Whether prefregex matched; null without one.
    pub prefregex: Option<bool>,
    /// Which failregex matched, from 0.
    pub failregex: Option<usize>,
    /// What the match amounts to.
    pub outcome: Option<Outcome>,
    /// What is odd about the time of a line that matches; null where nothing is.
    pub time_problem: Option<TimeProblem>,
    /// Why the line is no failure, or may be none, as far as can be told.
    pub hint: Option<String>,
    /// What a summary counts.
    #[serde(skip)]
    pub tally: Tally,
}

/// What a line counts for in a summary like that of `fail2ban-regex`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// The failregex that matched, harmless ones included.
    pub failregex: Vec<usize>,
    /// The ignoreregex that matched, each as often as it did.
    pub ignoreregex: Vec<usize>,
    /// Whether a match counts against somebody, now or once a later line tells whom.
    pub matched: bool,
    /// Whether an ignoreregex, or a match that is no failure by itself, takes the line out.
    pub ignored: bool,
    /// Lines before this one that belong to its match.
    pub taken: usize,
}

impl Tally {
    fn of(result: &LineResult) -> Tally {
        let harmless = |outcome: Outcome| outcome == Outcome::Nofail;
        Tally {
            failregex: result.hits.iter().map(|hit| hit.index).collect(),
            ignoreregex: result.ignores.clone(),
            matched: result.hits.iter().any(|hit| !harmless(hit.outcome)),
            ignored: result.ignored.is_some() || result.hits.iter().any(|hit| harmless(hit.outcome)),
            taken: result.taken,
        }
    }
}

/// What can be odd about the time of a line that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeProblem {
    /// It is older than the find time: fail2ban passes over such lines when it starts to watch a log.
    OlderThanFindTime,
    /// It lies after now.
    InTheFuture,
    /// It is off by what looks like the difference of two time zones.
    TimeZone,
}

/// How far a line may be from now before fail2ban finds it odd, in seconds.
const LATE: f64 = 60.0;
/// The step in which time zones differ, and the most by which they do, in seconds.
const ZONE_STEP: f64 = 900.0;
const ZONE_MOST: f64 = 14.0 * 3600.0;

/// What is odd about the time of a line, and a sentence that says so. `now` and `seconds` are seconds since the epoch, `findtime` is a
/// number of seconds.
pub fn time_problem(seconds: f64, now: f64, findtime: u32) -> Option<(TimeProblem, String)> {
    let off = seconds - now;
    let by = off.abs();
    let step = (by / ZONE_STEP).round() * ZONE_STEP;
    let is_zone = (2.0 * ZONE_STEP..=ZONE_MOST).contains(&step) && (by - step).abs() <= LATE;
    let direction = if off > 0.0 { "ahead of now" } else { "ago" };
    let far = format!("the line matches, but its date is {} {direction}", span(by));
    if by > LATE && is_zone {
        let what = "which looks like another time zone; set logtimezone to the zone of the log";
        return Some((TimeProblem::TimeZone, format!("{far}, {what}")));
    }
    if off > LATE {
        let what = "fail2ban takes it for one of now; check the clock and the time zone of the log";
        return Some((TimeProblem::InTheFuture, format!("{far}: {what}")));
    }
    (off < -f64::from(findtime)).then(|| {
        let limit = span(f64::from(findtime));
        let what = format!(
            "older than the find time of {limit}, so fail2ban does not count it when it starts to read the log"
        );
        (TimeProblem::OlderThanFindTime, format!("{far}, {what}"))
    })
}

/// A number of seconds in the largest unit that fits.
fn span(seconds: f64) -> String {
    let units = [(86_400.0, "day"), (3600.0, "hour"), (60.0, "minute"), (1.0, "second")];
    let (size, unit) = units.into_iter().find(|(size, _)| seconds >= *size).unwrap_or((1.0, "second"));
    let number = (seconds / size).floor();
    format!("{number} {unit}{}", if number == 1.0 { "" } else { "s" })
}

fn as_rfc3339<S: Serializer>(seconds: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    seconds.map(rfc3339_fraction).serialize(serializer)
}

impl LineReport {
    /// Tests a line and reports on it.
    pub fn of(filter: &mut Filter, line: &str) -> LineReport {
        let line = line.trim_end_matches(['\r', '\n']);
        let result = filter.test_line(line);
        let tally = Tally::of(&result);
        let problem = result
            .stamp
            .as_ref()
            .filter(|_| result.failure().is_some())
            .and_then(|stamp| time_problem(stamp.seconds?, filter.now() as f64, filter.findtime()));
        let hint = hint(filter, line, &result).or_else(|| problem.as_ref().map(|(_, text)| text.clone()));
        let hit = result.failure().or(result.hits.first());
        let groups = hit.map_or_else(BTreeMap::new, |hit| {
            hit.failure.groups.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect()
        });
        LineReport {
            line: line.to_string(),
            matched: result.failure().is_some(),
            host: hit.and_then(|hit| hit.host.clone()),
            user: hit.and_then(|hit| hit.failure.groups.get("user").cloned().flatten()),
            groups,
            timestamp: result.timestamp,
            date: result.stamp.as_ref().map(|stamp| line[stamp.start..stamp.end].to_string()),
            template: result.stamp.as_ref().map(|stamp| stamp.template.clone()),
            ignored: result.ignored.is_some(),
            ignoreregex: result.ignored,
            prefregex: result.prefregex,
            failregex: hit.map(|hit| hit.index),
            outcome: hit.map(|hit| hit.outcome),
            time_problem: problem.map(|(problem, _)| problem),
            hint,
            tally,
        }
    }
}

/// Why a line is no failure; `None` when it is one, or was ignored on purpose.
pub fn hint(filter: &Filter, line: &str, result: &LineResult) -> Option<String> {
    if let Some(error) = &result.error {
        return Some(error.to_string());
    }
    if result.ignored.is_some() || result.failure().is_some() {
        return None;
    }
    if let Some(name) = &result.name_refused {
        return Some(format!("the host name {name} is left out, because usedns is no"));
    }
    match result.hits.first().map(|hit| (hit.index + 1, hit.outcome)) {
        Some((index, Outcome::Nofail)) => {
            return Some(format!("failregex {index} knows the line, but it is no failure by itself"));
        }
        Some((index, _)) => {
            return Some(format!(
                "failregex {index} sees a failure, but not yet whose: another line of the same connection must tell the address"
            ));
        }
        None => {}
    }
    if result.prefregex == Some(false) {
        return prefregex_hint(filter, line, result);
    }
    failregex_hint(filter, line, result).or_else(|| Some(nothing_fits(filter, result)))
}

/// The line as the expressions see it.
fn without_date(line: &str, result: &LineResult) -> String {
    match &result.stamp {
        Some(stamp) => format!("{}{}", &line[..stamp.start], &line[stamp.end..]),
        None => line.to_string(),
    }
}

fn matches(regex: &FailRegex, text: &str) -> bool {
    text.len() < MAX_TEXT_BYTES && matches!(regex.search(&format!("{text}\n")), Ok(Some(_)))
}

fn prefregex_hint(filter: &Filter, line: &str, result: &LineResult) -> Option<String> {
    let text = without_date(line, result);
    let prefregex = filter.prefregex()?;
    if result.stamp.is_some() && matches(prefregex, line) {
        return Some("prefregex matches only with the date in place, but the date is cut out before: leave it out of the expression".to_string());
    }
    if text.starts_with(' ') && matches(prefregex, text.trim_start()) {
        return Some(
            "prefregex matches only without the blank that the date leaves behind: let it begin with ^\\s*".to_string(),
        );
    }
    if let Some(index) = filter.failregex().iter().position(|regex| matches(regex, &text)) {
        return Some(format!("failregex {} would match the line, but prefregex does not", index + 1));
    }
    Some(format!(
        "prefregex does not match{}",
        if result.stamp.is_none() { ", and no date was found in the line" } else { "" }
    ))
}

fn failregex_hint(filter: &Filter, line: &str, result: &LineResult) -> Option<String> {
    let text = without_date(line, result);
    let first = |text: &str| filter.failregex().iter().position(|regex| matches(regex, text)).map(|index| index + 1);
    if result.stamp.is_some()
        && let Some(index) = first(line)
    {
        return Some(format!(
            "failregex {index} matches only with the date in place, but the date is cut out before: leave it out of the expression"
        ));
    }
    if text.starts_with(' ')
        && let Some(index) = first(text.trim_start())
    {
        return Some(format!(
            "failregex {index} matches only without the blank that the date leaves behind: let it begin with ^\\s*"
        ));
    }
    if let Some(index) = first(text.trim_end())
        && text.trim_end() != text
    {
        return Some(format!(
            "failregex {index} matches only without the blanks at the end of the line: let it end with \\s*$"
        ));
    }
    None
}

fn nothing_fits(filter: &Filter, result: &LineResult) -> String {
    let mut text = if filter.maxlines() > 1 {
        format!("no failregex matches so far; this filter looks at up to {} lines together", filter.maxlines())
    } else if result.prefregex == Some(true) {
        "prefregex matches, but no failregex does".to_string()
    } else {
        "no failregex matches".to_string()
    };
    match &result.stamp {
        None => text.push_str("; no date was found in the line either: if it has one, give the filter a datepattern"),
        Some(stamp) if stamp.seconds.is_none() && stamp.start < stamp.end => {
            text.push_str("; what was taken for the date is no possible date")
        }
        Some(_) => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::date::Clock;
    use super::super::{FilterDefinition, Release};
    use super::*;
    use jiff::tz::TimeZone;

    fn report(definition: FilterDefinition, line: &str) -> LineReport {
        let clock = Clock { now: Some(1_124_013_600), zone: TimeZone::UTC };
        LineReport::of(&mut Filter::new(&definition, clock).unwrap(), line)
    }

    fn of(failregex: &str) -> FilterDefinition {
        FilterDefinition { failregex: vec![failregex.to_string()], ..FilterDefinition::default() }
    }

    const LINE: &str = "2005-08-14 09:00:00 login of bob failed from 192.0.2.7";

    #[test]
    fn a_failure_is_reported_with_its_groups() {
        let found = report(of("^ login of <F-USER>\\S+</F-USER> failed from <HOST>$"), LINE);
        assert!(found.matched && !found.ignored);
        assert_eq!(
            (found.host.as_deref(), found.user.as_deref(), found.timestamp),
            (Some("192.0.2.7"), Some("bob"), Some(1_124_010_000.0))
        );
        assert_eq!(found.groups.len(), 2);
        // It is an hour old, which is also the difference of two zones.
        assert_eq!(found.time_problem, Some(TimeProblem::TimeZone));
        let line = LINE.replace("09:00:00", "09:59:00");
        let found = report(of("^ login of <F-USER>\\S*</F-USER> ?bob failed from <HOST>$"), &line);
        assert_eq!((found.user.as_deref(), found.hint, found.time_problem), (Some(""), None, None));
    }

    #[test]
    fn a_line_that_matches_at_an_odd_time_says_so() {
        let kind = |off: f64, findtime| time_problem(1e9 + off, 1e9, findtime).map(|(kind, _)| kind);
        assert_eq!(kind(-599.0, 600), None);
        assert_eq!(kind(-700.0, 600), Some(TimeProblem::OlderThanFindTime));
        assert_eq!(kind(-700.0, 3600), None);
        assert_eq!(kind(59.0, 600), None);
        assert_eq!(kind(500.0, 600), Some(TimeProblem::InTheFuture));
        for hours in [-5.5, -1.0, 1.0, 2.0, 13.0] {
            assert_eq!(kind(hours * 3600.0 - 20.0, 600), Some(TimeProblem::TimeZone), "{hours}");
        }
        assert_eq!(kind(-30.0 * 86_400.0, 600), Some(TimeProblem::OlderThanFindTime));
        let found =
            report(of("login of \\S+ failed from <HOST>$"), "2005-08-04 09:00:00 login of bob failed from 192.0.2.7");
        let hint = found.hint.unwrap();
        assert!(found.matched && hint.contains("10 days ago") && hint.contains("find time of 10 minutes"), "{hint}");
    }

    #[test]
    fn a_host_group_that_took_no_part_leaves_prefregex_its_own_since_1_1_1() {
        let definition = |release| FilterDefinition {
            prefregex: Some("^ <F-CONTENT>.*</F-CONTENT> rip=<HOST>$".to_string()),
            failregex: vec!["^failed(?: from <HOST>)?$".to_string()],
            release,
            ..FilterDefinition::default()
        };
        let line = "2005-08-14 10:00:00 failed rip=192.0.2.7";
        assert_eq!(report(definition(Release(1, 1, 1)), line).host.as_deref(), Some("192.0.2.7"));
        assert!(!report(definition(Release(1, 1, 0)), line).matched);
    }

    #[test]
    fn hints_say_what_is_in_the_way() {
        let hint = |definition, line| report(definition, line).hint.unwrap();
        assert!(
            hint(of(r"^\d+-\d+-\d+ \S+ login of \S+ failed from <HOST>$"), LINE).contains("with the date in place")
        );
        assert!(hint(of(r"^login of \S+ failed from <HOST>$"), LINE).contains("blank that the date leaves"));
        assert!(hint(of(r"^ logout <HOST>$"), LINE).contains("no failregex matches"));
        assert!(hint(of(r"^ logout <HOST>$"), "no date").contains("no date was found"));
        let prefixed = FilterDefinition {
            prefregex: Some("^ x<F-CONTENT>.*</F-CONTENT>$".to_string()),
            ..of("of \\S+ failed from <HOST>")
        };
        assert!(hint(prefixed, LINE).contains("prefregex does not"));
        let no_dns = FilterDefinition { usedns: "no".to_string(), ..of("^ x <DNS>$") };
        assert!(hint(no_dns, "2005-08-14 09:00:00 x host.example").contains("usedns is no"));
        let long = "a".repeat(70_000);
        assert!(hint(of("^<HOST>"), &long).contains("65535"));
    }

    #[test]
    fn an_ignored_line_says_by_what() {
        let definition = FilterDefinition {
            ignoreregex: vec!["never".to_string(), "bob".to_string()],
            ..of("^ login of \\S+ failed from <HOST>$")
        };
        let found = report(definition, LINE);
        assert!(!found.matched && found.ignored);
        assert_eq!(found.ignoreregex, Some(1));
    }
}
