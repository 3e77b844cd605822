//! One configuration file, as lines and as what the lines mean.
//!
//! It follows Python's `configparser` in the way fail2ban sets it up (`=` or `:`, inline comments with `;` only, blank
//! lines inside values, duplicates refused) and keeps every byte, so that an edit can change one option and nothing
//! else. It knows nothing of other files and expands nothing.

use std::rc::Rc;

use super::config::lower;
use super::ordered::Index;
use super::value::{is_space, strip, strip_end, strip_start};

/// What a line is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing but white space.
    Blank,
    /// Nothing but a comment.
    Comment,
    /// A section header.
    Section,
    /// The first line of an option.
    Option,
    /// A further line of the value of the option above it.
    Continuation,
}

/// One line of a file, with the place of its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Offset of its first byte.
    pub start: usize,
    /// Offset behind its last byte, without the line end.
    pub end: usize,
    /// Offset behind its line end.
    pub next: usize,
    /// What it is for.
    pub kind: Kind,
}

/// One `[section]` header.
#[derive(Clone, Debug)]
pub struct Section {
    /// The name between the brackets, as written; names are case-sensitive.
    pub name: Rc<str>,
    /// Index of the header's line.
    pub line: usize,
}

/// One option with its value.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Index of the section it stands in.
    pub section: usize,
    /// The key in lower case.
    pub key: Rc<str>,
    /// The value before any expansion, its lines joined by newlines.
    pub value: Rc<str>,
    /// Index of its first line.
    pub line: usize,
    /// Index of the last line that adds something to the value.
    pub last: usize,
}

/// A file in the configuration language.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// The file's text, byte for byte.
    pub text: String,
    /// All its lines; together they are the whole text.
    pub lines: Vec<Line>,
    /// All its section headers, in order.
    pub sections: Vec<Section>,
    /// All its options, in order.
    pub settings: Vec<Setting>,
}

/// Why a text is not in the configuration language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, counted from 1.
    pub line: u32,
    /// What is wrong and what to do.
    pub message: String,
    /// Whether the parser stops here. It goes on after the others, so that a worse one further down is what counts.
    pub stops: bool,
}

impl Document {
    /// Parses a text.
    pub fn parse(text: impl Into<String>) -> Result<Document, Fault> {
        let text = text.into();
        let mut parser = Parser {
            // A guess that spares most growing: lines are rarely shorter on average.
            lines: Vec::with_capacity(text.len() / 32 + 4),
            seen_keys: Index::with_capacity_and_hasher(text.len() / 128, Default::default()),
            ..Parser::default()
        };
        let mut start = 0;
        while start < text.len() {
            let (end, next) = line_end(&text, start);
            let kind = parser.line(&text[start..end], next > end)?;
            parser.lines.push(Line { start, end, next, kind });
            start = next;
        }
        parser.finish(text)
    }

    /// The text of a line, without its line end.
    pub fn line_text(&self, index: usize) -> &str {
        let line = &self.lines[index];
        &self.text[line.start..line.end]
    }

    /// The setting of this key in this section, where `[DEFAULT]` may stand several times.
    pub fn setting(&self, section: &str, key: &str) -> Option<&Setting> {
        let key = key.to_lowercase();
        self.settings.iter().find(|setting| *setting.key == *key && *self.sections[setting.section].name == *section)
    }
}

/// Offsets of the end of the line that begins at `start`, without and with its line end: `\n`, `\r\n` or a lone `\r`.
fn line_end(text: &str, start: usize) -> (usize, usize) {
    let bytes = text.as_bytes();
    let length = memchr::memchr2(b'\n', b'\r', &bytes[start..]);
    match length {
        None => (bytes.len(), bytes.len()),
        Some(length) => {
            let end = start + length;
            let pair = bytes[end] == b'\r' && bytes.get(end + 1) == Some(&b'\n');
            (end, end + if pair { 2 } else { 1 })
        }
    }
}

/// Offset of the comment in a line: a `;` at its start or behind white space, or a `#` as its first visible character.
pub(crate) fn comment_start(line: &str) -> Option<usize> {
    if matches!(strip_start(line).as_bytes().first(), Some(b'#' | b';')) {
        return Some(0);
    }
    memchr::memchr(b';', line.as_bytes())?;
    line.match_indices(';').map(|(at, _)| at).find(|&at| line[..at].chars().next_back().is_some_and(is_space))
}

/// The state of the parser between two lines.
#[derive(Default)]
struct Parser {
    lines: Vec<Line>,
    sections: Vec<Section>,
    settings: Vec<Setting>,
    /// The value of the last setting, where it has several lines.
    value: String,
    /// Blank lines behind the last line of the value.
    blanks: usize,
    /// For each section name a number; `[DEFAULT]` may be opened again and keeps its number.
    numbers: Index<Rc<str>, usize>,
    /// The number of the section that is open.
    number: usize,
    seen_keys: Index<(usize, Rc<str>), ()>,
    /// Whether the last header or option line was an option whose value may go on.
    open: bool,
    indent: usize,
    fault: Option<Fault>,
}

impl Parser {
    /// Takes one line; `ended` says whether it has a line end.
    fn line(&mut self, line: &str, ended: bool) -> Result<Kind, Fault> {
        // Most lines of a shipped file are these.
        if matches!(line.as_bytes().first(), Some(b'#' | b';')) {
            return Ok(Kind::Comment);
        }
        let comment = comment_start(line);
        let value = strip(&line[..comment.unwrap_or(line.len())]);
        if value.is_empty() {
            if comment.is_some() {
                return Ok(Kind::Comment);
            }
            // Without a line end this is the end of the text, where no line exists; a blank one cannot occur there
            // except as white space, which Python counts as a line as well.
            debug_assert!(ended || !line.is_empty());
            self.blanks += 1;
            return Ok(Kind::Blank);
        }
        let indent = line[..line.len() - strip_start(line).len()].chars().count();
        if self.open && indent > self.indent {
            self.push_value_line(value);
            if let Some(setting) = self.settings.last_mut() {
                setting.last = self.lines.len();
            }
            return Ok(Kind::Continuation);
        }
        self.indent = indent;
        self.end_value();
        match header(value) {
            Some(name) => self.section(name),
            None => self.option(value),
        }
    }

    fn push_value_line(&mut self, line: &str) {
        if self.value.is_empty() {
            self.value.push_str(self.settings.last().map_or("", |setting| &setting.value));
        }
        for _ in 0..=std::mem::take(&mut self.blanks) {
            self.value.push('\n');
        }
        self.value.push_str(line);
    }

    /// What follows does not belong to the last value any more.
    fn end_value(&mut self) {
        self.blanks = 0;
        if let (Some(setting), false) = (self.settings.last_mut(), self.value.is_empty()) {
            setting.value = self.value.as_str().into();
            self.value.clear();
        }
    }

    fn section(&mut self, name: &str) -> Result<Kind, Fault> {
        let name: Rc<str> = name.into();
        let new = self.numbers.len();
        self.number = *self.numbers.entry(name.clone()).or_insert(new);
        if &*name != "DEFAULT" && self.number != new {
            return Err(self.fault(true, format!("section [{name}] stands twice in this file; merge the two")));
        }
        self.sections.push(Section { name, line: self.lines.len() });
        self.open = false;
        Ok(Kind::Section)
    }

    fn option(&mut self, line: &str) -> Result<Kind, Fault> {
        let Some(section) = self.sections.last().map(|last| last.name.clone()) else {
            let hint = if line.starts_with('\u{feff}') {
                "the file begins with a byte order mark, which fail2ban does not accept; save it without"
            } else {
                "text before the first [section]; put a section header above it"
            };
            return Err(self.fault(true, hint.to_owned()));
        };
        let Some(at) = memchr::memchr2(b'=', b':', line.as_bytes()) else {
            let message = "neither a [section], an option = value, nor an indented continuation of a value";
            self.remember(message);
            return Ok(Kind::Option);
        };
        let key: Rc<str> = lower(strip_end(&line[..at])).into();
        if key.is_empty() {
            self.remember("a value without an option name before it");
        }
        if self.seen_keys.insert((self.number, key.clone()), ()).is_some() {
            return Err(
                self.fault(true, format!("option '{key}' stands twice in [{section}] of this file; remove one"))
            );
        }
        self.open = !key.is_empty();
        self.settings.push(Setting {
            section: self.sections.len() - 1,
            key,
            value: strip(&line[at + 1..]).into(),
            line: self.lines.len(),
            last: self.lines.len(),
        });
        Ok(Kind::Option)
    }

    fn fault(&self, stops: bool, message: String) -> Fault {
        Fault { line: u32::try_from(self.lines.len() + 1).unwrap_or(u32::MAX), message, stops }
    }

    fn remember(&mut self, message: &str) {
        if self.fault.is_none() {
            self.fault = Some(self.fault(false, message.to_owned()));
        }
    }

    fn finish(mut self, text: String) -> Result<Document, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.end_value();
        Ok(Document { text, lines: self.lines, sections: self.sections, settings: self.settings })
    }
}

/// The name in a section header: everything between a `[` at the start and the last `]` of the line.
fn header(value: &str) -> Option<&str> {
    let rest = value.strip_prefix('[')?;
    let name = &rest[..rest.rfind(']')?];
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Vec<(String, String, String)> {
        let document = Document::parse(text).expect("a text the parser takes");
        let together: String = document.lines.iter().map(|line| &document.text[line.start..line.next]).collect();
        assert_eq!(together, text, "the lines are the whole text");
        document
            .settings
            .iter()
            .map(|setting| {
                (
                    document.sections[setting.section].name.to_string(),
                    setting.key.to_string(),
                    setting.value.to_string(),
                )
            })
            .collect()
    }

    fn one(text: &str) -> String {
        let all = settings(text);
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].2.clone()
    }

    fn fault(text: &str) -> Fault {
        Document::parse(text).expect_err("a text the parser refuses")
    }

    #[test]
    fn keys_are_lowered_and_both_delimiters_work() {
        assert_eq!(
            settings("[A]\nKey : 1\nb=2=3\n[a]\nkey=x\n"),
            [
                ("A".into(), "key".into(), "1".into()),
                ("A".into(), "b".into(), "2=3".into()),
                ("a".into(), "key".into(), "x".into()),
            ]
        );
    }

    #[test]
    fn only_a_semicolon_behind_white_space_comments_inline() {
        assert_eq!(one("[a]\nx = a # b\n"), "a # b");
        assert_eq!(one("[a]\nx = a;b\n"), "a;b");
        assert_eq!(one("[a]\nx = a ;b\n"), "a");
        assert_eq!(one("[a]\nx = a;b\t; c\n"), "a;b");
        assert_eq!(one("[a]\nx = ; c\n"), "");
    }

    #[test]
    fn values_go_on_over_indented_lines_blanks_and_comments() {
        assert_eq!(one("[a]\nx = 1\n\n  2\n# no\n  ; no\n  3 ; no\n\n"), "1\n\n2\n3");
        assert_eq!(one("[a]\nx =\n   [not a section]\n   y = 2\n"), "\n[not a section]\ny = 2");
        assert_eq!(one("[a]\r\nx = 1\r\n  2\r\n"), "1\n2");
        assert_eq!(one("[a]\rx = 1\r  2"), "1\n2");
    }

    #[test]
    fn indentation_is_relative_to_the_option() {
        assert_eq!(settings("[a]\n  x = 1\n  y = 2\n").len(), 2);
        assert_eq!(settings("[a]\n  x = 1\n y = 2\n").len(), 2);
        assert_eq!(one("[a]\n x = 1\n  y = 2\n"), "1\ny = 2");
    }

    #[test]
    fn headers_are_very_permissive() {
        let document = Document::parse("[a] b] ; c\n[[x]]y\n").expect("two headers");
        let names: Vec<&str> = document.sections.iter().map(|s| &*s.name).collect();
        assert_eq!(names, ["a] b", "[x]"]);
    }

    #[test]
    fn default_may_stand_twice_but_not_its_options() {
        assert_eq!(settings("[DEFAULT]\na=1\n[x]\n[DEFAULT]\nb=2\n").len(), 2);
        assert_eq!(fault("[DEFAULT]\na=1\n[x]\n[DEFAULT]\nA=2\n").line, 5);
    }

    #[test]
    fn what_fail2ban_refuses_is_refused_with_its_line() {
        assert_eq!(fault("[a]\n[a]\n").line, 2);
        assert_eq!(fault("[a]\nx=1\nX=2\n").line, 3);
        assert_eq!(fault("x=1\n").line, 1);
        assert_eq!(fault("\u{feff}[a]\n").line, 1);
        assert!(fault("\u{feff}# c\n[a]\n").message.contains("byte order mark"));
        assert_eq!(fault("[a]\nnonsense\n").line, 2);
        assert_eq!(fault("[a]\n= 1\n").line, 2);
        assert_eq!(fault("[]\n").line, 1);
        // The parser goes on after a senseless line and then stops at the duplicate.
        assert!(fault("[a]\nnonsense\n[a]\n").stops);
    }
}
