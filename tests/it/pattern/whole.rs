//! Whole filters against fail2ban's own, on sample lines in random order: the same failures at the same lines.
//!
//! This is where memory shows: lines of one connection, several lines searched together, dates of the line before.

use std::time::Instant;

use bangui::pattern::{Filter, PatternError};
use serde_json::{Value, json};

use super::mutation::{Random, budget};
use super::oracle::{Expanded, Oracle, export};
use super::samples::{definition, sample_clock};

/// Lines of one run.
const LINES: usize = 60;

/// Lines of the filter's own samples, often the same few, so that connections meet again.
fn lines(random: &mut Random, filter: &Expanded) -> Vec<String> {
    let window = 4 + random.below(filter.lines.len());
    let first = random.below(filter.lines.len());
    (0..LINES).map(|_| filter.lines[(first + random.below(window)) % filter.lines.len()].line.clone()).collect()
}

/// What differs for one filter and its lines.
fn difference(oracle: &mut Oracle, expanded: &Expanded, lines: &[String]) -> Option<String> {
    let definition = definition(expanded);
    let clock = sample_clock();
    let answer = oracle.ask(&json!({ "definition": definition, "now": clock.now, "lines": lines }));
    let mut filter = Filter::new(&definition, clock).unwrap();
    for (line, expected) in lines.iter().zip(answer["found"].as_array().unwrap()) {
        if expected == "timeout" {
            return None;
        }
        let result = filter.test_line(line);
        if matches!(result.error, Some(PatternError::Catastrophic { .. })) {
            return None;
        }
        let found = result.failure().map_or(Value::Null, |hit| json!([hit.host, result.timestamp]));
        let time = |value: &Value| value.get(1).and_then(Value::as_f64);
        if found.get(0) != expected.get(0) || time(&found) != time(expected) {
            return Some(format!("{} {} on {line:?}: {found}, fail2ban {expected}", expanded.name, expanded.options));
        }
    }
    None
}

#[test]
fn whole_filters_agree_with_fail2ban_line_after_line() {
    let (mut random, time) = budget();
    let usable = |filter: &Expanded| !filter.lines.is_empty() && !filter.journal;
    let filters: Vec<Expanded> = export().filters.into_iter().filter(usable).collect();
    let mut oracle = Oracle::filters();
    let (mut runs, mut wrong) = (0, Vec::new());
    let start = Instant::now();
    while start.elapsed() < time && wrong.len() < 10 {
        let filter = &filters[random.below(filters.len())];
        let lines = lines(&mut random, filter);
        wrong.extend(difference(&mut oracle, filter, &lines));
        runs += 1;
    }
    println!("{runs} runs of {LINES} lines, {} differ", wrong.len());
    assert!(runs > 0 && wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `<F-NOFAIL>` counts for nothing where no `<F-MLFID>` names a connection: found in an old multi-line filter of sshd.
#[test]
fn a_harmless_line_without_a_connection_is_a_failure() {
    let mut oracle = Oracle::filters();
    for expression in [
        "^Failed <F-NOFAIL>key</F-NOFAIL> from <HOST>$",
        "^<F-MLFID>Failed</F-MLFID> <F-NOFAIL>key</F-NOFAIL> from <HOST>$",
    ] {
        let expanded = Expanded { failregex: vec![expression.to_owned()], ..export_of_nothing() };
        let lines = ["2005-08-14 11:59:00 Failed key from 192.0.2.1".to_owned()];
        assert_eq!(difference(&mut oracle, &expanded, &lines), None);
    }
}

fn export_of_nothing() -> Expanded {
    serde_json::from_value(json!({"name": "made up", "options": {}, "prefregex": null, "failregex": [], "ignoreregex": [], "maxlines": 1, "datepattern": null})).unwrap()
}
