//! One failregex, ignoreregex or prefregex of a filter: tags expanded, compiled, and searched in a line or several.
//!
//! What a match means for the filter is decided in `filter`.

use std::collections::BTreeMap;

use super::compile::Pattern;
use super::error::PatternError;
use super::tags::{expand_tags, option_of_tag};
use super::use_dns::UseDns;

/// Groups that give a failure its identity. At least one must be there.
const FAILURE_IDS: [&str; 5] = ["fid", "ip4", "ip6", "dns", "mlfid"];

/// A value captured for a name. Names with the prefix `tuple_` collect several.
pub type Groups = BTreeMap<String, Option<String>>;

/// An expression with fail2ban's tags, compiled.
pub struct FailRegex {
    expanded: String,
    pattern: Pattern,
    /// `alt_` groups with the name they stand in for, in order.
    alternates: Vec<(String, String)>,
    /// `tuple_` groups with the name they add to, in order.
    tuples: Vec<(String, String)>,
}

/// A match of an expression in a text of one line or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it starts, in bytes.
    pub start: usize,
    /// Where it ends, in bytes.
    pub end: usize,
    /// Named groups; `None` for one that took no part.
    pub groups: Groups,
}

impl FailRegex {
    /// Compiles any expression with tags. `multi_line` is set for the failregex of filters that look at several lines.
    pub fn new(expression: &str, use_dns: UseDns, multi_line: bool) -> Result<FailRegex, PatternError> {
        let expanded = expand_tags(expression, use_dns);
        if expanded.trim().is_empty() {
            return Err(PatternError::Rule("Cannot add empty regex".to_string()));
        }
        let pattern = Pattern::new(&expanded, multi_line)?;
        pattern.prepare()?;
        let prefixed = |prefix: &str| {
            let mut names: Vec<(String, String)> = pattern
                .names()
                .iter()
                .filter_map(|(name, _)| Some((name.clone(), option_of_tag(without_number(name.strip_prefix(prefix)?)))))
                .collect();
            names.sort();
            names
        };
        let (alternates, tuples) = (prefixed("alt_"), prefixed("tuple_"));
        Ok(FailRegex { expanded, alternates, tuples, pattern })
    }

    /// Compiles a failregex, which needs a failure-id group of its own or one in the prefregex.
    pub fn failure(
        expression: &str,
        use_dns: UseDns,
        multi_line: bool,
        prefregex: Option<&FailRegex>,
    ) -> Result<FailRegex, PatternError> {
        let regex = FailRegex::new(expression, use_dns, multi_line)?;
        if !regex.has_failure_id() && !prefregex.is_some_and(FailRegex::has_failure_id) {
            return Err(PatternError::Rule(format!("No failure-id group in '{}'", regex.expanded)));
        }
        Ok(regex)
    }

    fn has_failure_id(&self) -> bool {
        FAILURE_IDS.iter().any(|name| self.pattern.group(name).is_some())
    }

    /// The expression in Python's dialect, tags replaced: what `get JAIL failregex` of the daemon shows.
    pub fn expanded(&self) -> &str {
        &self.expanded
    }

    /// The compiled pattern.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// The first match in `text`, whose lines all end in a newline.
    pub fn search(&self, text: &str) -> Result<Option<Found>, PatternError> {
        let Some(found) = self.pattern.search(text, 0)? else {
            return Ok(None);
        };
        let mut groups: Groups = self
            .pattern
            .names()
            .iter()
            .map(|(name, index)| (name.clone(), found.span(*index).map(|(start, end)| text[start..end].to_string())))
            .collect();
        for (name, target) in &self.alternates {
            let value = groups.get(name).cloned().flatten().filter(|value| !value.is_empty());
            let taken = groups.get(target).cloned().flatten().is_some_and(|value| !value.is_empty());
            if value.is_some() && !taken {
                groups.insert(target.clone(), value);
            }
        }
        self.add_tuples(&mut groups);
        Ok(Some(Found { start: found.start(), end: found.end(), groups }))
    }

    /// Writes a collected value the way Python shows a tuple: `('a', 'b')`.
    fn add_tuples(&self, groups: &mut Groups) {
        let mut collected: BTreeMap<&String, Vec<Option<String>>> = BTreeMap::new();
        for (name, target) in &self.tuples {
            let first = groups.get(target).cloned().flatten();
            let value = groups.get(name).cloned().flatten();
            collected.entry(target).or_insert_with(|| vec![first]).push(value);
        }
        for (target, values) in collected {
            let shown: Vec<String> = values
                .iter()
                .map(|value| value.as_ref().map_or("None".to_string(), |value| format!("'{value}'")))
                .collect();
            groups.insert(target.clone(), Some(format!("({})", shown.join(", "))));
        }
    }

    /// Lines that `<SKIPLINES>` passed over in a match.
    pub fn skipped_lines(found: &Found) -> Vec<String> {
        let mut text = String::new();
        let mut number = 0;
        while let Some(part) = found.groups.get(&format!("skiplines{number}")) {
            text.push_str(part.as_deref().unwrap_or_default());
            number += 1;
        }
        text.lines().map(str::to_string).collect()
    }
}

/// `user_1` -> `user`.
fn without_number(name: &str) -> &str {
    match name.rsplit_once('_') {
        Some((stem, digits)) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => stem,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_id_is_required_in_the_words_of_the_daemon() {
        let error = FailRegex::failure("^x$", UseDns::Warn, false, None).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "No failure-id group in '^x$'");
        let prefregex = FailRegex::new("^<F-MLFID>x</F-MLFID>", UseDns::Warn, false).unwrap();
        assert!(FailRegex::failure("^x$", UseDns::Warn, false, Some(&prefregex)).is_ok());
        assert!(FailRegex::new(" ", UseDns::Warn, false).is_err());
    }

    #[test]
    fn alternate_groups_fill_their_target() {
        let regex = FailRegex::new(
            "^(?:u=<F-USER>a*</F-USER>)?(?:v=<F-ALT_USER_1>b+</F-ALT_USER_1>)? <HOST>",
            UseDns::Warn,
            false,
        )
        .unwrap();
        let found = regex.search("v=bb 192.0.2.1\n").unwrap().unwrap();
        assert_eq!(found.groups["user"].as_deref(), Some("bb"));
        assert_eq!(found.groups["ip4"].as_deref(), Some("192.0.2.1"));
        assert_eq!(found.groups["dns"], None);
    }
}
