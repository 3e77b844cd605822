//! The values that options and commands are made of, with the conversions that fail2ban applies to them.
//!
//! It mirrors the few Python types that occur in a command stream; it is not a general data model.

use std::borrow::Cow;
use std::rc::Rc;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::domain::digits::in_ascii;

/// One value of an option or of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Python's `None`: an option whose number could not be read and that has no default.
    None,
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Text; by far the most frequent.
    Str(Rc<str>),
    /// A list: regular expressions, properties of an action.
    List(Vec<Value>),
    /// A dictionary: only the thread options of the server.
    Map(Vec<(String, Value)>),
}

/// One command of the stream: what is sent to the daemon as one list.
pub type Command = Vec<Value>;

impl Value {
    /// A text value.
    pub fn text(text: impl Into<Rc<str>>) -> Value {
        Value::Str(text.into())
    }

    /// The text, when the value is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// What Python's `str()` makes of it: fail2ban does this whenever a value is mixed into another one.
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Value::None => "None".into(),
            Value::Bool(true) => "True".into(),
            Value::Bool(false) => "False".into(),
            Value::Int(number) => number.to_string().into(),
            Value::Str(text) => Cow::Borrowed(text),
            Value::List(_) | Value::Map(_) => format!("{self:?}").into(),
        }
    }

    /// Whether Python would call it true; fail2ban asks this of texts, to skip empty ones.
    pub fn is_truthy(&self) -> bool {
        match self {
            Value::None => false,
            Value::Bool(flag) => *flag,
            Value::Int(number) => *number != 0,
            Value::Str(text) => !text.is_empty(),
            Value::List(items) => !items.is_empty(),
            Value::Map(items) => !items.is_empty(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::text(text)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::None => serializer.serialize_none(),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::Str(text) => serializer.serialize_str(text),
            Value::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Value::Map(items) => {
                let mut map = serializer.serialize_map(Some(items.len()))?;
                for (key, item) in items {
                    map.serialize_entry(key, item)?;
                }
                map.end()
            }
        }
    }
}

/// What Python calls white space in text. Rust's own notion lacks the four separators of ASCII.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// Whether a byte is white space by itself; those of longer characters are not.
pub(crate) fn is_space_byte(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | 0x1c..=b' ')
}

/// Python's `lstrip()`.
pub(crate) fn strip_start(text: &str) -> &str {
    let bytes = text.as_bytes();
    let mut start = 0;
    while start < bytes.len() && is_space_byte(bytes[start]) {
        start += 1;
    }
    // Only a longer character takes the long way.
    match bytes.get(start) {
        Some(byte) if !byte.is_ascii() => text[start..].trim_start_matches(is_space),
        _ => &text[start..],
    }
}

/// Python's `rstrip()`.
pub(crate) fn strip_end(text: &str) -> &str {
    let bytes = text.as_bytes();
    let mut end = bytes.len();
    while end > 0 && is_space_byte(bytes[end - 1]) {
        end -= 1;
    }
    match bytes[..end].last() {
        Some(byte) if !byte.is_ascii() => text[..end].trim_end_matches(is_space),
        _ => &text[..end],
    }
}

/// Python's `strip()`.
pub(crate) fn strip(text: &str) -> &str {
    strip_end(strip_start(text))
}

/// What a regular expression of fail2ban's parser calls a word character.
pub(crate) fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// A boolean of the configuration: `1`, `on`, `true`, `yes` in any case are true and everything else is false.
pub fn boolean(text: &str) -> bool {
    ["1", "on", "true", "yes"].contains(&text.to_lowercase().as_str())
}

/// A whole number as Python's `int()` reads it: white space around it, a sign and single underscores are allowed, and
/// digits may be those of any script.
pub fn integer(text: &str) -> Option<i64> {
    let text = in_ascii(strip(text));
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let well_formed = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.ends_with(|c: char| c.is_ascii_digit())
        && !digits.contains("__")
        && digits.chars().all(|c| c.is_ascii_digit() || c == '_');
    if !well_formed {
        return None;
    }
    let number: i64 = digits.replace('_', "").parse().ok()?;
    Some(if negative { -number } else { number })
}

/// Whether Python prints a character as it is: not controls, white space, formatting and private characters. Characters
/// that no Unicode version had assigned are taken for printable.
fn is_printable(c: char) -> bool {
    let formatting = matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0001}'..='\u{e007f}');
    let private = matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..);
    !(c.is_control() || is_space(c) || formatting || private)
}

/// What Python's `repr()` prints for a text; fail2ban's messages quote names this way.
pub(crate) fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c != ' ' && !is_printable(c) => {
                let code = c as u32;
                let escaped = match code {
                    0..=0xff => format!("\\x{code:02x}"),
                    0x100..=0xffff => format!("\\u{code:04x}"),
                    _ => format!("\\U{code:08x}"),
                };
                out.push_str(&escaped);
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_four_words_are_true() {
        for yes in ["1", "on", "ON", "True", "yes"] {
            assert!(boolean(yes), "{yes}");
        }
        for no in ["", "0", "y", "enabled", "2", " true", "off"] {
            assert!(!boolean(no), "{no}");
        }
    }

    #[test]
    fn integers_are_read_as_python_reads_them() {
        assert_eq!(integer(" 12 "), Some(12));
        assert_eq!(integer("+1_000"), Some(1000));
        assert_eq!(integer("-5"), Some(-5));
        assert_eq!(integer("１_٠"), Some(10));
        for bad in ["", "²", "-", "1__0", "_1", "1_", "1.0", "0x10", "5m"] {
            assert_eq!(integer(bad), None, "{bad}");
        }
    }

    #[test]
    fn quoting_follows_python() {
        assert_eq!(quoted("a"), "'a'");
        assert_eq!(quoted("it's"), "\"it's\"");
        assert_eq!(quoted("'\""), "'\\'\"'");
        assert_eq!(quoted("\\\n\u{a0}"), "'\\\\\\n\\xa0'");
    }
}
