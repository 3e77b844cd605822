//! Each filter on each annotated sample line of the installed fail2ban: the verdict, host, users and time that the annotation states.

use bangui::pattern::date::Clock;
use std::sync::OnceLock;

use bangui::conf::Version;
use bangui::pattern::{Filter, FilterDefinition, Hit, LineResult, Outcome, Release};
use jiff::tz::TimeZone;
use serde_json::Value;

use super::oracle::{Expanded, SAMPLE_ZONE, Sample, export};

/// The moment at which the annotations were written to be read: 2005-08-14 10:00:00 UTC.
const SAMPLE_NOW: i64 = 1_124_013_600;

/// The time and zone that the annotations are meant for.
pub fn sample_clock() -> Clock {
    let zone = TimeZone::posix(SAMPLE_ZONE).unwrap();
    Clock { now: Some(SAMPLE_NOW), zone }
}

pub fn definition(filter: &Expanded) -> FilterDefinition {
    FilterDefinition {
        prefregex: filter.prefregex.clone(),
        failregex: filter.failregex.clone(),
        ignoreregex: filter.ignoreregex.clone(),
        datepattern: filter.datepattern.clone(),
        maxlines: filter.maxlines,
        release: release(),
        ..FilterDefinition::default()
    }
}

/// The release that is compared with.
pub fn release() -> Release {
    static KNOWN: OnceLock<Release> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        let version = Version::new(&crate::harness::release::Release::under_test().version());
        let (major, minor, patch) = version.numbers();
        Release(major, minor, patch)
    })
}

/// The sample lines of a filter as its expressions see them, the date cut out.
pub fn searched_texts(expanded: &Expanded) -> Vec<String> {
    let mut filter =
        Filter::new(&definition(expanded), sample_clock()).unwrap_or_else(|error| panic!("{}: {error}", expanded.name));
    expanded.lines.iter().map(|sample| format!("{}\n", filter.searched_text(&sample.line).unwrap())).collect()
}

/// Equal as values, or as spellings of one address.
fn same(found: &Value, expected: &Value) -> bool {
    let address = |value: &Value| value.as_str().and_then(|text| text.parse::<std::net::IpAddr>().ok());
    found == expected || (address(found).is_some() && address(found) == address(expected))
}

/// What is wrong with the result for a line, if anything.
fn judge(sample: &Sample, result: &LineResult) -> Option<String> {
    if let Some(error) = &result.error {
        return Some(format!("{error}"));
    }
    // Upstream's own test passes over what is no failure by itself, also where the daemon would count it for want of a connection.
    let counts = |hit: &&Hit| hit.outcome == Outcome::Failure && !hit.failure.is_harmless();
    let failures: Vec<&Hit> = result.hits.iter().filter(counts).collect();
    let expected = sample.note.get("match").and_then(Value::as_bool).unwrap_or(false);
    let hit = match (failures.as_slice(), expected) {
        ([], false) => return None,
        ([hit], true) => hit,
        (failures, _) => {
            let found: Vec<_> = failures.iter().map(|hit| (hit.index, &hit.host)).collect();
            return Some(format!("expected match {expected}, found {found:?}, ignored {:?}", result.ignored));
        }
    };
    for (key, value) in &sample.note {
        let found = match key.as_str() {
            "time" | "match" | "desc" | "constraint" => continue,
            "users" => serde_json::json!(hit.failure.users),
            "attempts" => serde_json::json!(hit.failure.matches.len()),
            "host" => serde_json::json!(hit.failure.groups.get("host").cloned().flatten().or(hit.host.clone())),
            other => serde_json::json!(hit.failure.groups.get(other)),
        };
        let mut value = value.clone();
        if let Value::Array(items) = &mut value {
            items.sort_by_key(Value::to_string);
        }
        if !same(&found, &value) {
            return Some(format!("{key}: expected {value}, found {found}"));
        }
    }
    match (sample.time, result.timestamp) {
        (Some(expected), Some(found)) if (expected - found).abs() < 1e-6 => None,
        (None, _) => None,
        (expected, found) => Some(format!("time: expected {expected:?}, found {found:?}")),
    }
}

fn verdicts(try_all: bool) -> (usize, Vec<String>) {
    let (mut lines, mut wrong) = (0, Vec::new());
    for expanded in export().filters {
        let filter = Filter::new(&definition(&expanded), sample_clock());
        let mut filter = filter.unwrap_or_else(|error| panic!("{}: {error}", expanded.name)).try_all(try_all);
        for sample in &expanded.lines {
            let result = if expanded.journal {
                filter.test_entry(&sample.line, SAMPLE_NOW as f64)
            } else {
                filter.test_line(&sample.line)
            };
            lines += 1;
            if let Some(reason) = judge(sample, &result) {
                wrong.push(format!(
                    "{}{} {}: {reason}\n    {}",
                    expanded.name, expanded.options, sample.at, sample.line
                ));
            }
        }
    }
    (lines, wrong)
}

#[test]
fn every_filter_judges_its_annotated_sample_lines_as_stated() {
    let (lines, wrong) = verdicts(true);
    println!("{lines} lines, {} differ", wrong.len());
    assert!(lines > 1000, "only {lines} lines: are the sample logs installed?");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_first_match_alone_judges_alike() {
    let (lines, wrong) = verdicts(false);
    println!("{lines} lines, {} differ", wrong.len());
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
