//! The `data` column: what the daemon noted about a ban, in whatever form its version wrote it.
//!
//! Nothing here fails: what cannot be read is left out, because a ban without its lines is still a ban.

use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::json;

/// What was noted about a ban.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanData {
    /// Failures that led to it; 0 for one made by hand.
    pub failures: u64,
    /// Log lines that led to it, oldest first. Bytes that were not UTF-8 have become U+FFFD.
    pub matches: Vec<String>,
}

impl BanData {
    /// Reads a value of the column: JSON as text or as bytes, or nothing.
    pub(super) fn read(value: ValueRef<'_>) -> BanData {
        let (ValueRef::Text(bytes) | ValueRef::Blob(bytes)) = value else {
            return BanData::default();
        };
        BanData::parse(&String::from_utf8_lossy(bytes))
    }

    fn parse(text: &str) -> BanData {
        let parsed = json::tree(text.as_bytes()).or_else(|_| json::tree(without_surrogates(text).as_bytes()));
        let Ok(Value::Object(fields)) = parsed else {
            return BanData::default();
        };
        let matches = fields.get("matches").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        BanData {
            failures: fields.get("failures").and_then(Value::as_u64).unwrap_or(0),
            matches: matches.iter().filter_map(line).collect(),
        }
    }
}

/// A line, or one cut in three at its time: before it, the time, and behind it.
fn line(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => Some(parts.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

/// Python writes half a surrogate pair as an escape, which is no JSON. Whole pairs go with them; only odd lines come here at all.
fn without_surrogates(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let escape = rest.get(at..at + 6).unwrap_or_default().to_ascii_lowercase();
        if escape.starts_with("\\ud") && escape.as_bytes()[3] >= b'8' && escape.is_ascii() {
            out.push_str(&rest[..at]);
            out.push('\u{fffd}');
            rest = &rest[at + 6..];
        } else {
            // The character behind a backslash belongs to it, so `\\ud800` is a backslash and plain text.
            let end = rest[at + 1..].chars().next().map_or(at + 1, |c| at + 1 + c.len_utf8());
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(failures: u64, matches: &[&str]) -> BanData {
        BanData { failures, matches: matches.iter().map(|line| (*line).to_owned()).collect() }
    }

    #[test]
    fn every_form_of_data_is_read() {
        for (text, expected) in [
            (r#"{"matches": ["a", "b"], "failures": 3, "user": "x", "ip4": "192.0.2.1"}"#, data(3, &["a", "b"])),
            (
                r#"{"matches": [["", "2026-11-22 01:00:00", " sshd: x"], "b"], "failures": 2}"#,
                data(2, &["2026-11-22 01:00:00 sshd: x", "b"]),
            ),
            (r#"{"matches": [], "failures": 0}"#, data(0, &[])),
            (r#"{"failures": 5}"#, data(5, &[])),
            (r#"{"matches": null, "failures": null}"#, data(0, &[])),
            (r#"{"matches": [1, {}, null, "c"], "failures": -1}"#, data(0, &["c"])),
            (
                r#"{"matches": ["a\udcffb", "\\ud800", "\"\ud83d\ude00"], "failures": 1}"#,
                data(1, &["a\u{fffd}b", "\\ud800", "\"\u{fffd}\u{fffd}"]),
            ),
            ("null", data(0, &[])),
            ("", data(0, &[])),
            ("{\"matches\": [\"cut", data(0, &[])),
            ("[1, 2]", data(0, &[])),
        ] {
            assert_eq!(BanData::parse(text), expected, "{text}");
            assert_eq!(BanData::read(ValueRef::Blob(text.as_bytes())), expected);
            assert_eq!(BanData::read(ValueRef::Text(text.as_bytes())), expected);
        }
        assert_eq!(BanData::read(ValueRef::Null), data(0, &[]));
        assert_eq!(BanData::read(ValueRef::Integer(7)), data(0, &[]));
        let broken = b"{\"matches\": [\"a\xff\xfeb\"], \"failures\": 1}";
        assert_eq!(BanData::read(ValueRef::Blob(broken)), data(1, &["a\u{fffd}\u{fffd}b"]));
        let deep = format!("{{\"matches\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(BanData::parse(&deep), data(0, &[]));
        assert_eq!(BanData::parse("\\\u{e4}\\"), data(0, &[]));
    }
}
