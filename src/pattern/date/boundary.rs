//! The edges of a date pattern: whether it is anchored, bounded, grouped, and how it is given what it lacks.
//!
//! Works on the text of an expression, as fail2ban does, because what it looks for is how somebody wrote it.

use super::super::release::Release;

/// How a date pattern is to be bound on its left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Anywhere.
    Free,
    /// At the beginning of a word.
    Word,
    /// At the beginning of the line, after at most two characters that are no letters.
    Line,
}

/// An expression with its edges settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounded {
    /// The expression; it has a group 1, which holds the date.
    pub regex: String,
    /// It was bound to the beginning of the line here, which shows in the name of its template.
    pub made_anchored: bool,
    /// It can match only at the beginning of the line.
    pub line_begin: bool,
    /// It can match only at the end of the line.
    pub line_end: bool,
}

/// The text after inline flags such as `(?iu)`, if it begins with them.
fn after_flags(text: &str) -> Option<&str> {
    let letters = text.strip_prefix("(?")?;
    let after = letters.trim_start_matches(|letter: char| letter == '_' || letter.is_alphanumeric());
    if after.len() == letters.len() { None } else { after.strip_prefix(')') }
}

/// Cuts the first inline flags (lower-case letters only) out, wherever they are.
fn take_flags(regex: &str, release: Release) -> (String, String) {
    for (start, _) in regex.match_indices("(?") {
        if release.leaves_escaped_flags() && regex[..start].ends_with('\\') {
            continue;
        }
        let letters = &regex[start + 2..];
        let after = letters.trim_start_matches(|letter: char| letter.is_ascii_lowercase());
        if after.len() < letters.len()
            && let Some(rest) = after.strip_prefix(')')
        {
            let flags = &regex[start..regex.len() - rest.len()];
            return (flags.to_string(), format!("{}{rest}", &regex[..start]));
        }
    }
    (String::new(), regex.to_string())
}

/// True when the pattern says by itself where it begins: `^`, `(^`, `**`.
fn begins_bound(regex: &str) -> bool {
    let parentheses = regex.len() - regex.trim_start_matches('(').len();
    (0..=parentheses).any(|skip| {
        let rest = &regex[skip..];
        [Some(rest), after_flags(rest)].into_iter().flatten().any(|rest| {
            let grouped = rest.strip_prefix('(').map(|inner| inner.strip_prefix("?:").unwrap_or(inner));
            rest.starts_with('^')
                || rest.trim_start_matches('(').starts_with("**")
                || grouped.is_some_and(|inner| inner.starts_with('^'))
        })
    })
}

/// True when `text` ends with `end`, and no backslash stands before that.
fn ends_unescaped(text: &str, end: &str) -> bool {
    text.strip_suffix(end).is_some_and(|before| !before.ends_with('\\'))
}

/// True when the pattern says by itself where it ends: `$`, `\b`, `\s`, `**`.
fn ends_bound(regex: &str) -> bool {
    ["$", "$)", "\\b", "\\s"].iter().any(|end| ends_unescaped(regex, end))
        || ends_unescaped(regex.trim_end_matches(')'), "**")
}

/// True for a capturing group without a name.
pub fn has_plain_group(regex: &str) -> bool {
    regex.match_indices('(').any(|(at, _)| {
        let before = &regex[..at];
        !before.ends_with('\\') && !before.ends_with("(?") && !regex[at + 1..].starts_with('?')
    })
}

/// Puts everything but a leading `^` and a trailing `$` into a group.
fn add_group(regex: &str) -> String {
    let start = after_flags(regex).unwrap_or(regex);
    let start = start.strip_prefix('^').unwrap_or(start);
    let start = after_flags(start).unwrap_or(start);
    let prefix = &regex[..regex.len() - start.len()];
    match start.strip_suffix('$') {
        Some(body) => format!("{prefix}({body})$"),
        None => format!("{prefix}({start})"),
    }
}

/// Removes `**` at the beginning and at the end: it only says that no boundary is wanted there.
fn remove_stars(regex: &str) -> String {
    let mut text = regex.to_string();
    let parentheses = text.len() - text.trim_start_matches('(').len();
    let star = (0..=parentheses).rev().find_map(|skip| {
        let rest = &text[skip..];
        [after_flags(rest), Some(rest)].into_iter().flatten().find_map(|rest| {
            let stars = rest.trim_start_matches('(');
            stars.starts_with("**").then(|| text.len() - stars.len())
        })
    });
    if let Some(at) = star {
        text.replace_range(at..at + 2, "");
    }
    let body = text.trim_end_matches(')');
    if ends_unescaped(body, "**") {
        let at = body.len() - 2;
        text.replace_range(at..at + 2, "");
    }
    text
}

/// True for `^…` and `(^…`, but not for `(^|…`.
fn is_line_begin(regex: &str) -> bool {
    let rest = after_flags(regex).unwrap_or(regex);
    let grouped = rest.strip_prefix('(').map(|inner| inner.strip_prefix("?:").unwrap_or(inner));
    rest.starts_with('^') || grouped.is_some_and(|inner| inner.starts_with('^') && !inner.starts_with("^|"))
}

fn is_line_end(regex: &str) -> bool {
    ["$", "$)"].iter().any(|end| ends_unescaped(regex, end) && !regex[..regex.len() - end.len()].ends_with('|'))
}

/// Gives an expression its group and its edges.
pub fn bind(regex: &str, begin: Begin, word_end: bool, release: Release) -> Bounded {
    let (flags, mut regex) = take_flags(regex.trim(), release);
    let bind_begin = begin != Begin::Free && !begins_bound(&regex);
    let bind_end = word_end && !ends_bound(&regex);
    if !has_plain_group(&regex) {
        regex = add_group(&regex);
    }
    let made_anchored = bind_begin && begin == Begin::Line;
    if made_anchored {
        regex.insert_str(0, r"^(?:\W{0,2})?");
    } else if bind_begin {
        regex.insert_str(0, r"(?=^|\b|\W)");
    }
    if bind_end {
        regex.push_str(r"(?=\b|\W|$)");
    }
    let (line_begin, line_end) = (made_anchored || is_line_begin(&regex), is_line_end(&regex));
    Bounded { regex: format!("{flags}{}", remove_stars(&regex)), made_anchored, line_begin, line_end }
}

/// A pattern without what binds it, to be put into another one.
pub fn unbind(pattern: &str) -> &str {
    let pattern = pattern.strip_prefix("{UNB}").unwrap_or(pattern);
    let pattern = pattern.strip_prefix("{^LN-BEG}").unwrap_or(pattern);
    let begin = [r"(?:^|\b|\W)", r"(^|\b|\W)"].iter().find_map(|begin| pattern.strip_prefix(begin));
    let pattern = begin.unwrap_or(pattern);
    pattern.strip_suffix(r"(?=\b|\W|$)").unwrap_or(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_added_where_they_are_missing() {
        let bind = |regex: &str, begin, end| bind(regex, begin, end, Release::default());
        assert_eq!(bind("x", Begin::Word, true).regex, r"(?=^|\b|\W)(x)(?=\b|\W|$)");
        assert_eq!(bind("(?iu)x", Begin::Line, true).regex, r"(?iu)^(?:\W{0,2})?(x)(?=\b|\W|$)");
        assert_eq!(bind("^x$", Begin::Word, true).regex, "^(x)$");
        assert_eq!(bind("**x**", Begin::Word, true).regex, "(x)");
        assert_eq!(bind(r"^y\[(x)", Begin::Word, true).regex, r"^y\[(x)(?=\b|\W|$)");
        assert_eq!(bind(r"^I\(()**", Begin::Word, true).regex, r"^I\(()");
        assert_eq!(bind("^WARNING:()**", Begin::Word, true).regex, "^WARNING:()");
        assert!(bind("^x", Begin::Word, true).line_begin);
        assert!(bind("x", Begin::Line, true).line_begin);
        assert!(!bind("x", Begin::Word, true).line_begin);
        assert_eq!(unbind("{^LN-BEG}x"), "x");
    }
}
