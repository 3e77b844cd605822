//! One date pattern: made from text, searched in a line, its match read as a moment.
//!
//! Which of several patterns is taken is the business of `detector`.

use super::super::compile::Match;
use super::super::compile::Pattern;
use super::super::error::PatternError;
use super::super::release::Release;
use super::boundary::{Begin, Bounded, bind, has_plain_group};
use super::clock::Clock;
use super::fields;
use crate::domain::digits::in_ascii;

/// What a template's match means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Named groups, one per directive.
    Fields,
    /// Seconds since the epoch in this group; in the long form also milliseconds or microseconds.
    Epoch { group: usize, long: bool },
    /// A TAI64N label in group 1.
    Tai64n,
}

/// A compiled date pattern.
pub struct Template {
    /// The name fail2ban gives it; templates of one detector have different names.
    pub name: String,
    /// The pattern it was made from; `None` for the built-in kinds.
    pub source: Option<String>,
    /// Raises its place in the order of a detector.
    pub weight: f64,
    /// It can match only at one end of the line.
    pub anchored: bool,
    /// It can match only at the beginning of the line.
    pub line_begin: bool,
    kind: Kind,
    pattern: Pattern,
}

impl Template {
    /// Makes a template from a pattern in fail2ban's date language, as this release makes it; `year` is the current one.
    pub fn new(text: &str, year: i16, release: Release) -> Result<Template, PatternError> {
        let key = if text.contains('%') { text.to_string() } else { text.to_uppercase() };
        if key.contains("EPOCH") {
            let long = key.contains("LEPOCH");
            if has_epoch_mark(text) {
                return Template::epoch_inside(text, long, release);
            }
            match key.as_str() {
                "EPOCH" | "LEPOCH" => return Template::epoch(false, long, release),
                "{^LN-BEG}EPOCH" | "^EPOCH" | "{^LN-BEG}LEPOCH" | "^LEPOCH" => {
                    return Template::epoch(true, long, release);
                }
                _ => {}
            }
        }
        match key.as_str() {
            "TAI64N" => Template::tai64n(Begin::Free, release),
            "{^LN-BEG}TAI64N" | "^TAI64N" => Template::tai64n(Begin::Line, release),
            _ => Template::of_fields(text, year, release),
        }
    }

    fn build(mut name: String, source: Option<String>, kind: Kind, bounded: Bounded) -> Result<Template, PatternError> {
        if bounded.made_anchored && !name.starts_with("{^LN-BEG}") {
            name.insert_str(0, "{^LN-BEG}");
        }
        let pattern = Pattern::new(&bounded.regex, false)?;
        let anchored = bounded.line_begin || bounded.line_end;
        Ok(Template { name, source, weight: 1.0, anchored, line_begin: bounded.line_begin, kind, pattern })
    }

    fn of_fields(text: &str, year: i16, release: Release) -> Result<Template, PatternError> {
        let (mut body, mut begin, mut end) = (text, Begin::Word, true);
        if let Some(unbound) = body.strip_prefix("{UNB}") {
            (body, begin, end) = (unbound, Begin::Free, false);
        } else if let Some(anchored) = body.strip_prefix("{^LN-BEG}") {
            (body, begin) = (anchored, Begin::Line);
        }
        let refuse = |reason: String| PatternError::DatePattern { pattern: text.to_string(), reason };
        let (mut regex, name) = expand(body, year).map_err(refuse)?;
        if has_letters(body) {
            regex.insert_str(0, "(?iu)");
        }
        Template::build(name, Some(text.to_string()), Kind::Fields, bind(&regex, begin, end, release))
            .map_err(|error| refuse(format!("{error}; fail2ban takes such a pattern and then fails at every line")))
    }

    fn epoch(line_begin: bool, long: bool, release: Release) -> Result<Template, PatternError> {
        let digits = epoch_digits(long);
        let name = if long { "LongEpoch" } else { "Epoch" }.to_string();
        let bounded = if line_begin {
            bind(&format!("({digits})"), Begin::Line, true, release)
        } else {
            bind(&format!(r"((?:^|(?<=^\[)|(?<=\baudit\()){digits})"), Begin::Free, true, release)
        };
        Template::build(name, None, Kind::Epoch { group: 1, long }, bounded)
    }

    /// `{EPOCH}` inside a pattern: the whole match is cut from the line, or the group that the pattern has.
    fn epoch_inside(text: &str, long: bool, release: Release) -> Result<Template, PatternError> {
        let digits = format!("({})", epoch_digits(long));
        let own_group = release.cuts_group_beside_epoch() && has_plain_group(text);
        let mut regex = String::from(if own_group { "" } else { "(" });
        let mut rest = text;
        while let Some((before, length)) = epoch_mark(rest, rest.len() == text.len()) {
            regex.push_str(&rest[..before]);
            regex.push_str(&digits);
            rest = &rest[before + length..];
        }
        regex.push_str(rest);
        if !own_group {
            regex.push(')');
        }
        let error =
            |error: PatternError| PatternError::DatePattern { pattern: text.to_string(), reason: error.to_string() };
        Template::build(
            text.to_string(),
            None,
            Kind::Epoch { group: 2, long },
            bind(&regex, Begin::Word, true, release),
        )
        .map_err(error)
    }

    fn tai64n(begin: Begin, release: Release) -> Result<Template, PatternError> {
        Template::build("TAI64N".to_string(), None, Kind::Tai64n, bind("@[0-9a-f]{24}", begin, true, release))
    }

    /// The expression that fail2ban searches for, its directives replaced.
    pub fn expression(&self) -> &str {
        self.pattern.source()
    }

    /// Searches `line`, which ends where the search shall end, from byte `from`.
    pub fn search(&self, line: &str, from: usize) -> Result<Option<Match>, PatternError> {
        self.pattern.search(line, from)
    }

    /// The part of the match that is the date, in bytes.
    pub fn date_span(&self, found: &Match) -> (usize, usize) {
        found.span(1).unwrap_or((found.start(), found.start()))
    }

    /// The moment of a match in seconds since the epoch; `None` when it is not a possible date.
    pub fn moment(&self, line: &str, found: &Match, default_zone: Option<i32>, clock: &Clock) -> Option<f64> {
        let text = |group: usize| found.span(group).map(|(start, end)| &line[start..end]);
        match self.kind {
            Kind::Fields => {
                let captured: Vec<(&str, &str)> = self
                    .pattern
                    .names()
                    .iter()
                    .filter_map(|(name, group)| Some((name.as_str(), text(*group)?)))
                    .collect();
                fields::moment(&captured, default_zone, clock)
            }
            Kind::Epoch { group, long } => {
                let digits = in_ascii(text(group)?);
                let number: f64 = digits.parse().ok()?;
                Some(match digits.len() {
                    16.. if long && !digits.contains('.') => number / 1_000_000.0,
                    13.. if long => number / 1000.0,
                    _ => number,
                })
            }
            Kind::Tai64n => u64::from_str_radix(text(1)?.get(2..17)?, 16).ok().map(|seconds| seconds as f64),
        }
    }
}

fn epoch_digits(long: bool) -> &'static str {
    if long { r"\d{10,11}(?:\d{3}(?:\.\d{1,6}|\d{3})?)?" } else { r"\d{10,11}\b(?:\.\d{3,6})?" }
}

/// Where the next `{EPOCH}` or `{LEPOCH}` stands, and its length.
fn epoch_mark(text: &str, at_start: bool) -> Option<(usize, usize)> {
    let upper = text.to_ascii_uppercase();
    upper.match_indices('{').find_map(|(at, _)| {
        let length = ["{EPOCH}", "{LEPOCH}"].iter().find(|mark| upper[at..].starts_with(**mark))?.len();
        let escaped = upper[..at].ends_with('\\') && (at > 0 || at_start);
        (!escaped).then_some((at, length))
    })
}

fn has_epoch_mark(text: &str) -> bool {
    epoch_mark(text, true).is_some()
}

/// True when a directive stands for letters, whose case then does not matter.
fn has_letters(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..bytes.len())
        .any(|at| b"aAbBpc".contains(&bytes[at]) && bytes[at - 1] == b'%' && (at < 2 || bytes[at - 2] != b'%'))
}

/// `(Y)s…` behind a percent sign, as Python itself writes a reference: fail2ban fills its patterns in that way.
fn plain_reference(text: &str) -> Option<(&str, &str)> {
    let (name, behind) = text.strip_prefix('(')?.split_once(')')?;
    Some((name, behind.strip_prefix('s')?))
}

/// Replaces the directives: the expression, and the name made of their names.
fn expand(text: &str, year: i16) -> Result<(String, String), String> {
    let (mut regex, mut name_of) = (String::new(), String::new());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        regex.push_str(&rest[..at]);
        name_of.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some((name, behind)) = plain_reference(after)
            && let Some((expression, directive_name)) = fields::directive(name, year)
        {
            regex.push_str(&expression);
            name_of.push_str(directive_name);
            rest = behind;
            continue;
        }
        let known =
            [3, 1].into_iter().find_map(|length| Some((length, fields::directive(after.get(..length)?, year)?)));
        let Some((length, (expression, directive_name))) = known else {
            let shown: String = after.chars().take(if after.starts_with("Ex") { 3 } else { 1 }).collect();
            return Err(format!("unknown directive %{shown}; write %% for a percent sign"));
        };
        regex.push_str(&expression);
        name_of.push_str(directive_name);
        rest = &after[length..];
    }
    Ok((regex + rest, name_of + rest))
}
