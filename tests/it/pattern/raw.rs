//! Each expression of the stock filters against each sample line: the same match and the same groups as Python's `re`.

use std::collections::{BTreeMap, BTreeSet};

use bangui::pattern::tags::expand_tags;
use bangui::pattern::{Pattern, UseDns};

use super::oracle::{Oracle, Spans, Verdict, export};

/// The groups of a match in characters, as Python counts.
pub fn spans_of(pattern: &Pattern, text: &str) -> Result<Option<Spans>, bangui::pattern::PatternError> {
    let characters = |byte: usize| text[..byte].chars().count();
    let found = pattern.search(text, 0)?;
    Ok(found.map(|found| {
        (0..=pattern.groups())
            .map(|group| found.span(group).map(|(start, end)| (characters(start), characters(end))))
            .collect()
    }))
}

/// The differences between us and Python for one pattern, and the number of pairs compared.
pub fn compare(
    pattern: &str,
    multiline: bool,
    texts: &[String],
    verdict: &Verdict,
    differences: &mut Vec<String>,
) -> usize {
    let Verdict::Found { names, found } = verdict else {
        differences.push(format!("Python refuses {pattern:?}"));
        return 0;
    };
    let ours = match Pattern::new(pattern, multiline) {
        Ok(ours) => ours,
        Err(error) => {
            differences.push(format!("we refuse {pattern:?}: {error}"));
            return 0;
        }
    };
    let own_names: BTreeMap<String, usize> = ours.names().iter().cloned().collect();
    if own_names != *names {
        differences.push(format!("names of {pattern:?}: {own_names:?}, Python {names:?}"));
    }
    for (index, text) in texts.iter().enumerate() {
        let expected = found.get(&index);
        match (spans_of(&ours, text), expected) {
            (Ok(None), None) => {}
            (Ok(Some(spans)), Some(Some(expected))) if spans == *expected => {}
            (other, expected) => differences.push(format!("{pattern:?} on {text:?}: {other:?}, Python {expected:?}")),
        }
    }
    texts.len()
}

#[test]
fn every_stock_expression_agrees_with_python_on_every_sample_line() {
    let export = export();
    let mut expressions: BTreeSet<(String, bool)> = BTreeSet::new();
    let mut texts: BTreeSet<String> = BTreeSet::new();
    for filter in export.filters.iter().chain(&export.stock) {
        let multiline = filter.maxlines > 1;
        for expression in &filter.failregex {
            expressions.insert((expand_tags(expression, UseDns::Warn), multiline));
        }
        for expression in filter.ignoreregex.iter().chain(&filter.prefregex) {
            expressions.insert((expand_tags(expression, UseDns::Warn), false));
        }
        for sample in &filter.lines {
            texts.insert(format!("{}\n", sample.line));
        }
        texts.extend(super::samples::searched_texts(filter));
    }
    let texts: Vec<String> = texts.into_iter().collect();
    let mut oracle = Oracle::start();
    oracle.share(&texts);
    let (mut pairs, mut matches, mut differences) = (0, 0, Vec::new());
    for (expression, multiline) in &expressions {
        let verdict = oracle.search(expression, *multiline, None);
        if let Verdict::Found { found, .. } = &verdict {
            matches += found.len();
        }
        pairs += compare(expression, *multiline, &texts, &verdict, &mut differences);
    }
    println!(
        "{} expressions, {} texts, {pairs} pairs, {matches} matches, {} differences",
        expressions.len(),
        texts.len(),
        differences.len()
    );
    assert!(pairs > 100_000, "only {pairs} pairs: are the sample logs installed?");
    assert!(
        differences.is_empty(),
        "{} differences, the first:\n{}",
        differences.len(),
        differences[..differences.len().min(10)].join("\n")
    );
}
