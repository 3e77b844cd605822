//! The date detector against fail2ban's own: the same dates at the same places, line after line, with any date pattern.

use std::collections::BTreeSet;
use std::time::Instant;

use bangui::pattern::PatternError;
use bangui::pattern::date::{Clock, DateDetector};
use serde_json::{Value, json};

use super::mutation::{Random, budget, mutate};
use super::oracle::{Oracle, export};
use super::samples::{release, sample_clock};

/// Dates in many spellings, some of them impossible. None is in the hour that the clocks repeat in autumn: for that the C library's
/// answer depends on what it was asked before.
const DATES: [&str; 42] = [
    "2005-08-14T12:00:00",
    "2005-08-14 12:00:00.123",
    "2005-08-14 12:00:00,123 +0200",
    "2005/08/14 12:00:00Z",
    "2005.08.14  9:00:00",
    "Aug 14 12:00:00",
    "Sun Aug 14 12:00:00 2005",
    "Sun Aug 14 12:00:00.011 2005",
    "Aug  4 2005 12:00:00",
    "14/08/2005 12:00:00",
    "14-08-05 12:00:00",
    "14/Aug/2005:12:00:00 -0330",
    "14-Aug-2005 12:00:00.252",
    "08/14/2005:12:00:00",
    "08-14-2005 12:00:00.1",
    "1124013600",
    "1124013600.123",
    "[1124013600]",
    "audit(1124013600.123:7)",
    "12:00:00",
    "23:59:61",
    "<08/14/05@12:00:00>",
    "050814 12:00:00",
    "050814  9:00:00",
    "Aug 14, 2005 12:00:00 PM",
    "Aug 14, 2005 1:00:00 am",
    "Aug-14-05 12:00:00",
    "20050814T120000",
    "20050814 120000 +02:00",
    "20050814-12:00:00",
    "20050814  12:00:00.5",
    "٢٠٠٥-08-14 1２:00:00",
    "CEST Aug 14 12:00:00",
    "XYZ Aug 14 12:00:00",
    "+01:00 Aug 14 12:00:00",
    "@4000000042ff162000000000",
    "2005-02-30 12:00:00",
    "Dec 31 23:59:59",
    "Feb 29 01:00:00",
    "2005-03-27 02:30:00",
    "1999-01-01 00:00:00",
    "2005-226",
];

/// Pieces of date patterns.
const PATTERN_PIECES: [&str; 60] = [
    "%a",
    "%A",
    "%b",
    "%B",
    "%c",
    "%d",
    "%f",
    "%H",
    "%I",
    "%j",
    "%k",
    "%l",
    "%m",
    "%M",
    "%p",
    "%S",
    "%U",
    "%w",
    "%W",
    "%x",
    "%X",
    "%y",
    "%Y",
    "%z",
    "%Z",
    "%%",
    "%Exd",
    "%ExH",
    "%Exk",
    "%Exl",
    "%Exm",
    "%ExM",
    "%ExS",
    "%Exy",
    "%ExY",
    "%Exz",
    "%ExZ",
    "%q",
    " ",
    "-",
    ":",
    "[ T]",
    "\\s+",
    "\\[",
    "(",
    ")",
    "(?:",
    ")?",
    "^",
    "$",
    "**",
    "{^LN-BEG}",
    "{UNB}",
    "{DATE}",
    "{EPOCH}",
    "{LEPOCH}",
    "EPOCH",
    "TAI64N",
    "\n",
    "%Y-%m-%d",
];

fn line(random: &mut Random, samples: &[String]) -> String {
    let date = random.pick(&DATES);
    match random.below(5) {
        0 => samples[random.below(samples.len())].clone(),
        1 => format!("{} {date} x {}", random.pick(&["", "[", "host", "é ", "<3>", "a-"]), random.pick(&DATES)),
        2 => mutate(random, &format!("{date} host x"), &DATES),
        _ => format!(
            "{}{date}{}",
            random.pick(&["", " ", "[", "x ", "é"]),
            random.pick(&["", " host x", "] x", "x", " é"])
        ),
    }
}

fn pattern(random: &mut Random, stock: &[String]) -> Option<String> {
    match random.below(4) {
        0 => None,
        1 => {
            let known = stock[random.below(stock.len())].clone();
            Some(mutate(random, &known, &PATTERN_PIECES))
        }
        2 => Some(stock[random.below(stock.len())].clone()),
        _ => Some((0..=random.below(8)).map(|_| random.pick(&PATTERN_PIECES)).collect()),
    }
}

/// What differs for one pattern and its lines; the number of lines compared is added to `compared`.
fn differences(
    oracle: &mut Oracle,
    pattern: Option<&str>,
    zone: Option<&str>,
    lines: &[String],
    compared: &mut usize,
) -> Vec<String> {
    let clock: Clock = sample_clock();
    let answer = oracle.ask(&json!({ "pattern": pattern, "zone": zone, "now": clock.now, "lines": lines }));
    let mut detector = match (DateDetector::new_as(pattern, zone, clock, release()), answer.get("error")) {
        (Err(PatternError::Unsupported { .. } | PatternError::DatePattern { .. }), _) | (Err(_), Some(_)) => {
            return Vec::new();
        }
        (Err(error), None) => return vec![format!("only we refuse {pattern:?}: {error}")],
        // Python compiles a date pattern when it first needs it, and raises then.
        (Ok(_), Some(error)) => return vec![format!("fail2ban refuses {pattern:?}: {error}")],
        (Ok(detector), None) => detector,
    };
    let mut wrong = Vec::new();
    for (line, expected) in lines.iter().zip(answer["found"].as_array().unwrap()) {
        let found = match detector.find(line) {
            Ok(found) => found,
            Err(PatternError::Catastrophic { .. } | PatternError::Unsupported { .. }) => {
                return wrong;
            }
            Err(error) => return vec![format!("{pattern:?} on {line:?}: {error}")],
        };
        if expected == "error" {
            // The daemon drops the line, and what it remembers of it is not defined.
            return wrong;
        }
        *compared += 1;
        let characters = |byte: usize| line[..byte].chars().count();
        let ours =
            found.map_or(Value::Null, |stamp| json!([stamp.seconds, characters(stamp.start), characters(stamp.end)]));
        let number = |value: &Value| value.get(0).and_then(Value::as_f64);
        let same_span =
            ours.get(1) == expected.get(1) && ours.get(2) == expected.get(2) && ours.is_null() == expected.is_null();
        if !same_span || number(&ours) != number(expected) {
            wrong.push(format!(
                "{pattern:?} zone {zone:?} on {line:?}: {ours}, fail2ban {expected}\n   after {lines:?}"
            ));
            return wrong;
        }
    }
    wrong
}

#[test]
fn the_date_detector_agrees_with_fail2ban() {
    let (mut random, time) = budget();
    let export = export();
    let stock: BTreeSet<String> =
        export.filters.iter().chain(&export.stock).filter_map(|filter| filter.datepattern.clone()).collect();
    let stock: Vec<String> = stock.into_iter().collect();
    let samples: Vec<String> =
        export.filters.iter().flat_map(|filter| filter.lines.iter().map(|sample| sample.line.clone())).collect();
    let mut oracle = Oracle::dates();
    let (mut compared, mut runs, mut wrong) = (0, 0, Vec::new());
    let start = Instant::now();
    while start.elapsed() < time && wrong.len() < 10 {
        let pattern = pattern(&mut random, &stock);
        let zone = random.pick(&["", "", "UTC", "CET", "UTC+0330"]);
        let lines: Vec<String> = (0..12).map(|_| line(&mut random, &samples)).collect();
        runs += 1;
        wrong.extend(differences(
            &mut oracle,
            pattern.as_deref(),
            Some(zone).filter(|zone| !zone.is_empty()),
            &lines,
            &mut compared,
        ));
    }
    println!("{runs} patterns, {compared} lines compared, {} differ", wrong.len());
    assert!(compared > 20, "too little was compared");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
