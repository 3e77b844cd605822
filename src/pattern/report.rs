//! What a filter makes of a line, in words and in plain fields, for people and for JSON.
//!
//! Nothing is decided here: `filter` did that. A hint tries expressions on variations of the line, which changes no state.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::filter::{Filter, LineResult, Outcome};
use super::{FailRegex, MAX_TEXT_BYTES};
use crate::domain::time::rfc3339;

/// The result for one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LineReport {
    /// The line as given.
    pub line: String,
    /// It counts as a failure.
    pub matched: bool,
    /// Against whom: an address, a network, a name or an identifier.
    pub host: Option<String>,
    /// The user named, if any.
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
    /// Why the line is no failure, as far as can be told.
    pub hint: Option<String>,
}

fn as_rfc3339<S: Serializer>(seconds: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    seconds.map(|seconds| rfc3339(seconds.floor() as i64)).serialize(serializer)
}

impl LineReport {
    /// Tests a line and reports on it.
    pub fn of(filter: &mut Filter, line: &str) -> LineReport {
        let line = line.trim_end_matches(['\r', '\n']);
        let result = filter.test_line(line);
        let hint = hint(filter, line, &result);
        let hit = result.failure().or(result.hits.first());
        let groups = hit.map_or_else(BTreeMap::new, |hit| {
            hit.failure.groups.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect()
        });
        LineReport {
            line: line.to_string(),
            matched: result.failure().is_some(),
            host: hit.and_then(|hit| hit.host.clone()),
            user: hit.and_then(|hit| hit.failure.value("user").map(str::to_string)),
            groups,
            timestamp: result.timestamp,
            date: result.stamp.as_ref().map(|stamp| line[stamp.start..stamp.end].to_string()),
            template: result.stamp.as_ref().map(|stamp| stamp.template.clone()),
            ignored: result.ignored.is_some(),
            ignoreregex: result.ignored,
            prefregex: result.prefregex,
            failregex: hit.map(|hit| hit.index),
            outcome: hit.map(|hit| hit.outcome),
            hint,
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
    use super::super::FilterDefinition;
    use super::super::date::Clock;
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
        assert_eq!(found.hint, None);
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
