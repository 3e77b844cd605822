//! A Python pattern that can be searched: compiled on first need, in linear time where possible, limited where not.
//!
//! It gives positions of groups; what they mean is for others. Texts and patterns have a largest length.

use std::cell::OnceCell;

use super::ast::{Assertion, Node};
use super::construct::slowest_construct;
use super::error::PatternError;
use super::faithful;
use super::parse::{Parsed, parse};
use super::simplify::simplify;
use super::translate::{Mode, needs_backtracking, translate};

/// Longest pattern in bytes. The longest expanded stock pattern of fail2ban 1.0.2 has about 2 KiB.
pub const MAX_PATTERN_BYTES: usize = 16 * 1024;
/// Longest text in bytes that is searched.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;
/// Steps back that the backtracking engine may take for one search. The stock filters on their sample logs stay far below.
const BACKTRACK_LIMIT: usize = 200_000;
/// Instructions of a compiled backtracking program.
const MAX_INSTRUCTIONS: usize = 50_000;
/// Memory of one compiled program in bytes.
const PROGRAM_BYTES: usize = 4 * 1024 * 1024;
/// Memory of the lazy automaton of one program in bytes.
const CACHE_BYTES: usize = 1024 * 1024;

/// Byte positions of a match and its groups, the whole match first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    spans: Vec<Option<(usize, usize)>>,
}

impl Match {
    /// Start and end of group `index` if it took part; group 0 always does.
    pub fn span(&self, index: usize) -> Option<(usize, usize)> {
        self.spans.get(index).copied().flatten()
    }

    /// Where the whole match starts.
    pub fn start(&self) -> usize {
        self.span(0).map_or(0, |span| span.0)
    }

    /// Where the whole match ends.
    pub fn end(&self) -> usize {
        self.span(0).map_or(0, |span| span.1)
    }
}

enum Program {
    Linear(regex::bytes::Regex),
    Backtracking { regex: Box<fancy_regex::Regex>, necessary: Option<regex::bytes::Regex> },
}

type Compiled = OnceCell<Result<Program, PatternError>>;

/// A pattern in Python's dialect.
pub struct Pattern {
    source: String,
    parsed: Parsed,
    has_final_line_end: bool,
    ascii: Compiled,
    general: Compiled,
}

impl Pattern {
    /// Parses a pattern; engines are built when a text needs them. `multi_line` is Python's `re.MULTILINE`.
    pub fn new(source: &str, multi_line: bool) -> Result<Pattern, PatternError> {
        if source.len() > MAX_PATTERN_BYTES {
            return Err(PatternError::TooLong { bytes: source.len(), limit: MAX_PATTERN_BYTES });
        }
        let mut parsed = parse(source, multi_line)?;
        faithful::check(&parsed.root)?;
        parsed.root = simplify(parsed.root);
        let has_final_line_end = parsed.root.any(&|node| matches!(node, Node::Assert(Assertion::FinalLineEnd)));
        Ok(Pattern {
            source: source.to_string(),
            parsed,
            has_final_line_end,
            ascii: OnceCell::new(),
            general: OnceCell::new(),
        })
    }

    /// Builds the engine for ASCII text now, so that a pattern too large for it is refused early.
    pub fn prepare(&self) -> Result<(), PatternError> {
        self.program(Mode::Ascii).map(|_| ())
    }

    /// The pattern as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Names of groups with their numbers.
    pub fn names(&self) -> &[(String, usize)] {
        &self.parsed.names
    }

    /// The number of the group called `name`.
    pub fn group(&self, name: &str) -> Option<usize> {
        self.parsed.names.iter().find(|(known, _)| known == name).map(|(_, index)| *index)
    }

    /// Number of capturing groups, not counting the whole match.
    pub fn groups(&self) -> usize {
        self.parsed.groups
    }

    /// The parsed pattern.
    pub fn root(&self) -> &Node {
        &self.parsed.root
    }

    /// True when ASCII text is searched in linear time.
    pub fn is_linear(&self) -> bool {
        !needs_backtracking(&self.parsed.root, Mode::Ascii)
    }

    /// The first match at or after byte `from`, as Python's `search` finds it.
    pub fn search(&self, text: &str, from: usize) -> Result<Option<Match>, PatternError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(PatternError::TextTooLong { bytes: text.len(), limit: MAX_TEXT_BYTES });
        }
        match self.program(self.mode_for(text))? {
            Program::Linear(regex) => Ok(search_linear(regex, text, from)),
            Program::Backtracking { regex, necessary } => {
                if necessary.as_ref().is_some_and(|necessary| !necessary.is_match_at(text.as_bytes(), from)) {
                    return Ok(None);
                }
                self.search_backtracking(regex, text, from)
            }
        }
    }

    fn mode_for(&self, text: &str) -> Mode {
        let newline_inside = || text.as_bytes()[..text.len() - 1].contains(&b'\n');
        if text.is_empty() || !text.is_ascii() || (self.has_final_line_end && newline_inside()) {
            Mode::General
        } else {
            Mode::Ascii
        }
    }

    fn program(&self, mode: Mode) -> Result<&Program, PatternError> {
        let cell = if mode == Mode::Ascii { &self.ascii } else { &self.general };
        cell.get_or_init(|| self.build(mode)).as_ref().map_err(Clone::clone)
    }

    fn build(&self, mode: Mode) -> Result<Program, PatternError> {
        let root = &self.parsed.root;
        let text = translate(root, mode);
        if !needs_backtracking(root, mode) {
            return Ok(Program::Linear(build_linear(&text, mode)?));
        }
        let regex = fancy_regex::RegexBuilder::new(&text)
            .backtrack_limit(BACKTRACK_LIMIT)
            .delegate_size_limit(PROGRAM_BYTES)
            .delegate_dfa_size_limit(CACHE_BYTES)
            .max_prog_size(MAX_INSTRUCTIONS)
            .build()
            .map_err(|error| {
                let text = error.to_string();
                // Anything but a matter of size means that the engine lacks something.
                if ["size limit", "NFA", "complex"].iter().any(|word| text.contains(word)) {
                    return engine_refuses(&text);
                }
                PatternError::Unsupported { construct: format!("the engine says: {text}"), position: 0 }
            })?;
        let relaxed = if mode == Mode::Ascii { Mode::AsciiRelaxed } else { Mode::GeneralRelaxed };
        // The prefilter only saves time, so one that is too large is left out.
        let necessary = build_linear(&translate(root, relaxed), mode).ok();
        Ok(Program::Backtracking { regex: Box::new(regex), necessary })
    }

    fn search_backtracking(
        &self,
        regex: &fancy_regex::Regex,
        text: &str,
        from: usize,
    ) -> Result<Option<Match>, PatternError> {
        let captures = regex.captures_from_pos(text, from).map_err(|_| {
            let cause = slowest_construct(self.root(), self.source());
            PatternError::Catastrophic { construct: cause.construct, position: cause.position }
        })?;
        Ok(captures.map(|captures| Match {
            spans: (0..=self.parsed.groups)
                .map(|index| captures.get(index).map(|group| (group.start(), group.end())))
                .collect(),
        }))
    }
}

fn search_linear(regex: &regex::bytes::Regex, text: &str, from: usize) -> Option<Match> {
    let mut places = regex.capture_locations();
    regex.captures_read_at(&mut places, text.as_bytes(), from)?;
    Some(Match { spans: (0..places.len()).map(|index| places.get(index)).collect() })
}

fn build_linear(text: &str, mode: Mode) -> Result<regex::bytes::Regex, PatternError> {
    regex::bytes::RegexBuilder::new(text)
        .unicode(mode != Mode::Ascii)
        .size_limit(PROGRAM_BYTES)
        .dfa_size_limit(CACHE_BYTES)
        .build()
        .map_err(|error| engine_refuses(&error.to_string()))
}

fn engine_refuses(message: &str) -> PatternError {
    let last = message.lines().last().unwrap_or_default().trim();
    PatternError::Engine { message: last.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups<'t>(pattern: &str, text: &'t str) -> Option<Vec<Option<&'t str>>> {
        let found = Pattern::new(pattern, false).unwrap().search(text, 0).unwrap()?;
        Some(found.spans.iter().map(|span| span.map(|(start, end)| &text[start..end])).collect())
    }

    #[test]
    fn dollar_matches_before_the_last_newline_only() {
        assert!(groups("a$", "a\n").is_some());
        assert!(groups("a$", "a\nb\n").is_none());
        assert!(groups(r"a\Z", "a\n").is_none());
        assert!(groups("b$", "a\nb\n").is_some());
        assert_eq!(groups(r"(?P<x>\s*)$", "a \n").unwrap()[1], Some(" \n"));
    }

    #[test]
    fn dialect_differences_are_bridged() {
        assert_eq!(groups(r"[^[]+", "ab[c").unwrap()[0], Some("ab"));
        assert_eq!(groups(r"\<a\>", "<a>").unwrap()[0], Some("<a>"));
        assert_eq!(groups(r"(?P<q>')?x(?(q)'|!)", "'x'").unwrap()[0], Some("'x'"));
        assert_eq!(groups(r"(?P<q>')?x(?(q)'|!)", "x!").unwrap()[0], Some("x!"));
        assert_eq!(groups(r"a{,3}{", "aa{").unwrap()[0], Some("aa{"));
        assert_eq!(groups(r"[a&&b]+", "&a&b").unwrap()[0], Some("&a&b"));
        assert_eq!(groups(r"\s+", "\u{1c}\u{a0}").unwrap()[0], Some("\u{1c}\u{a0}"));
        assert_eq!(groups(r"\w+", "e\u{301}").unwrap()[0], Some("e"));
        assert_eq!(groups(r"(?i)istanbul", "\u{130}STANBUL").unwrap()[0], Some("\u{130}STANBUL"));
    }

    #[test]
    fn catastrophic_pattern_hits_the_limit_and_names_its_construct() {
        let pattern = Pattern::new(r"^(?:\w+\s?)+(?!:):", false).unwrap();
        let text = format!("{}:", "a".repeat(4000));
        match pattern.search(&text, 0) {
            Err(PatternError::Catastrophic { construct, position }) => {
                assert_eq!((construct.as_str(), position), (r"(?:\w+\s?)+", 1))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn oversized_patterns_are_refused_quickly() {
        let started = std::time::Instant::now();
        for pattern in
            ["(?:(?:(?:a{1000}){1000}){1000}){1000}", r"(?=(?:a{1000}){1000})\w{60000}", r"(?:\w{500}){500}\b"]
        {
            let outcome =
                Pattern::new(pattern, false).and_then(|pattern| pattern.search(&"aé".repeat(100), 0).map(|_| ()));
            assert!(matches!(outcome, Err(PatternError::Engine { .. })), "{pattern}: {outcome:?}");
        }
        assert!(matches!(Pattern::new(&"a".repeat(20_000), false), Err(PatternError::TooLong { .. })));
        assert!(Pattern::new(&"(".repeat(10_000), false).is_err());
        let text = "a".repeat(70_000);
        assert!(matches!(Pattern::new("a", false).unwrap().search(&text, 0), Err(PatternError::TextTooLong { .. })));
        assert!(started.elapsed() < std::time::Duration::from_secs(20));
    }
}
