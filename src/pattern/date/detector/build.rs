//! Fills a detector: with the patterns it was given, with the default formats, with these inside a pattern.

use super::super::super::error::PatternError;
use super::super::super::release::Release;
use super::super::boundary::unbind;
use super::super::template::Template;
use super::{DateDetector, Entry, FAR};

/// The date formats fail2ban knows by itself, in its order.
const DEFAULTS: [&str; 17] = [
    r"%ExY(?P<_sep>[-/.])%m(?P=_sep)%d(?:T|  ?)%H:%M:%S(?:[.,]%f)?(?:\s*%z)?",
    r"(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?",
    r"(?:%a )?%b %d %ExY %k:%M:%S(?:\.%f)?",
    r"%d(?P<_sep>[-/])%m(?P=_sep)(?:%ExY|%Exy) %k:%M:%S",
    r"%d(?P<_sep>[-/])%b(?P=_sep)%ExY[ :]?%H:%M:%S(?:\.%f)?(?: %z)?",
    r"%m/%d/%ExY:%H:%M:%S",
    r"%m-%d-%ExY %k:%M:%S(?:\.%f)?",
    r"EPOCH",
    r"{^LN-BEG}%H:%M:%S",
    r"^<%m/%d/%Exy@%H:%M:%S>",
    r"%Exy%Exm%Exd  ?%H:%M:%S",
    r"%b %d, %ExY %I:%M:%S %p",
    r"^%b-%d-%Exy %k:%M:%S",
    r"%ExY%Exm%Exd(?:T|  ?)%ExH%ExM%ExS(?:[.,]%f)?(?:\s*%z)?",
    r"(?:%Z )?(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?",
    r"(?:%z )?(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?",
    r"TAI64N",
];

/// The 14th of them since 1.1.1, which also knows `20050123-21:59:59`.
const WITH_DASH: &str = r"%ExY%Exm%Exd(?:-|T|  ?)%ExH:?%ExM:?%ExS(?:[.,]%f)?(?:\s*%z)?";

/// The formats that a release knows.
fn defaults(release: Release) -> [&'static str; 17] {
    let mut known = DEFAULTS;
    if release.knows_dashed_dates() {
        known[13] = WITH_DASH;
    }
    known
}

/// Weight of a default format bound to the beginning of the line: it is always preferred.
const ANCHORED_WEIGHT: f64 = 100.0;

impl DateDetector {
    pub(super) fn add(&mut self, pattern: &str) -> Result<(), PatternError> {
        let key = if pattern.contains('%') { pattern.to_string() } else { pattern.to_uppercase() };
        match key.as_str() {
            "{^LN-BEG}" => self.add_defaults(|template| template.line_begin),
            "{DEFAULT}" => self.add_defaults(|_| false),
            "{NONE}" => self.push(Template::new("{UNB}^", self.year, self.release)?, false),
            _ if key.contains("{DATE}") => self.add_around(pattern),
            _ => self.push(Template::new(pattern, self.year, self.release)?, false),
        }
    }

    fn push(&mut self, template: Template, ignore_duplicate: bool) -> Result<(), PatternError> {
        if self.entries.iter().any(|entry| entry.template.name == template.name) {
            if ignore_duplicate {
                return Ok(());
            }
            return Err(PatternError::Rule(format!("There is already a template with name {}", template.name)));
        }
        self.entries.push(Entry { template, hits: 0, matches: 0, last_used: 0.0, distance: FAR });
        Ok(())
    }

    /// The default formats, first bound to the beginning of the line, then free; those that `wanted` wants.
    pub(super) fn add_defaults(&mut self, wanted: impl Fn(&Template) -> bool) -> Result<(), PatternError> {
        let ignore_duplicate = !self.entries.is_empty();
        let (mut anchored, mut free) = (Vec::new(), Vec::new());
        for pattern in defaults(self.release) {
            let template = Template::new(pattern, self.year, self.release)?;
            if !template.name.starts_with("{^LN-BEG}") && !template.name.starts_with('^') {
                let mut bound = Template::new(
                    &format!("{{^LN-BEG}}{}", template.source.as_deref().unwrap_or(&template.name)),
                    self.year,
                    self.release,
                )?;
                if bound.name != template.name {
                    bound.weight = ANCHORED_WEIGHT;
                    anchored.push(bound);
                }
            }
            free.push(template);
        }
        for template in anchored.into_iter().chain(free) {
            if wanted(&template) {
                self.push(template, ignore_duplicate)?;
            }
        }
        Ok(())
    }

    /// `{DATE}` inside a pattern: the pattern around each default format.
    fn add_around(&mut self, pattern: &str) -> Result<(), PatternError> {
        let ignore_duplicate = !self.entries.is_empty();
        for default in defaults(self.release) {
            let template = Template::new(default, self.year, self.release)?;
            let inner = template.source.as_deref().unwrap_or(&template.name);
            let text = replace_date(pattern, unbind(inner));
            self.push(Template::new(&text, self.year, self.release)?, ignore_duplicate)?;
        }
        Ok(())
    }
}

/// Every `{DATE}` in any case, unless a backslash stands before it, replaced.
fn replace_date(pattern: &str, replacement: &str) -> String {
    let upper = pattern.to_ascii_uppercase();
    let (mut out, mut done) = (String::new(), 0);
    for (at, mark) in upper.match_indices("{DATE}") {
        if !upper[..at].ends_with('\\') {
            out.push_str(&pattern[done..at]);
            out.push_str(replacement);
            done = at + mark.len();
        }
    }
    out + &pattern[done..]
}
