//! What a JSON body got wrong, in words a person uses: serde's and serde_json's errors translated. It decides nothing.

use serde_json::Error;
use serde_json::error::Category;

/// How the error of a field that comes twice begins.
pub const TWICE: &str = "the field ";

/// A body that is no JSON: where, and what is usually the reason. `body` is looked at around the place only.
pub fn bad_json(error: &Error, body: &[u8]) -> String {
    let text = error.to_string();
    let (line, column) = (error.line(), error.column());
    let says = |what: &str| text.starts_with(what);
    let reason = match error.classify() {
        Category::Eof if body.trim_ascii().is_empty() => {
            return "The body is empty; a JSON object is expected.".to_owned();
        }
        Category::Eof => "it ends too early: a bracket or a quote is not closed".to_owned(),
        _ if says(TWICE) => without_place(&text).to_owned(),
        _ if says("trailing comma") => "a comma stands before the closing bracket".to_owned(),
        _ if says("trailing characters") => "something follows its end".to_owned(),
        _ if says("recursion limit") => "it is nested too deeply".to_owned(),
        _ if says("key must be a string") => "the name of a field must stand in double quotes".to_owned(),
        _ if says("control character") => "a line break or tab within a text must be written as \\n or \\t".to_owned(),
        _ if says("invalid escape") => "a backslash within a text must be doubled".to_owned(),
        _ if says("expected `:`") => "a colon is missing after the name of a field".to_owned(),
        _ if says("expected `,`") => "a comma is missing, or a bracket or quote is not closed".to_owned(),
        _ if says("number out of range") || says("invalid number") => {
            "a number is not written as JSON writes it".to_owned()
        }
        _ if says("invalid unicode") || says("lone leading") || says("unexpected end of hex") => {
            "a character is not valid UTF-8, or its \\u escape is incomplete".to_owned()
        }
        _ => "a value is expected; text stands in double quotes".to_owned(),
    };
    format!("The body is not valid JSON at line {line}, column {column}: {reason}.")
}

/// serde_json ends its texts with the place, which is said already.
fn without_place(text: &str) -> &str {
    text.split(" at line ").next().unwrap_or(text)
}

/// A field of the wrong type: what is expected.
pub fn wrong_type(error: &Error) -> String {
    let text = error.to_string();
    let text = without_place(&text);
    if let Some((_, name)) = text.split_once("unknown field `") {
        let (name, rest) = name.split_once('`').unwrap_or((name, ""));
        let those = rest.split_once("expected ").map_or("", |(_, those)| those.trim_start_matches("one of "));
        return match those.replace('`', "") {
            none if none.is_empty() => format!("there is no field \"{name}\" in it."),
            those => format!("there is no field \"{name}\" in it; there are {}.", those.replace(" or ", ", ")),
        };
    }
    if let Some((_, name)) = text.split_once("missing field `") {
        return format!("the field \"{}\" is missing in it.", name.split('`').next().unwrap_or_default());
    }
    let is_a_value_of = text.starts_with("invalid ") || text.starts_with("unknown variant");
    match text.split_once("expected ") {
        Some((_, expected)) if is_a_value_of => format!("{} is expected.", in_words(expected)),
        // A type that says itself what it expects.
        _ => format!("{text}."),
    }
}

/// Rust's name of a type, as a person would say it.
fn in_words(expected: &str) -> String {
    let plain = match expected {
        "f32" | "f64" | "a number" => "a number",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more,",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "a string" | "string" | "a character" => "text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        // `one of \`a\`, \`b\``, and what a type says itself.
        other => return other.replace('`', ""),
    };
    plain.to_owned()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain;

    #[test]
    fn what_is_usual_is_named_with_its_place() {
        for (body, expected) in [
            ("{\n  \"a\": 1,\n}", "line 3, column 1: a comma stands"),
            ("{\"a\": [1}", "a comma is missing, or a bracket"),
            ("{\"a\": 1", "line 1, column 7: it ends too early"),
            ("", "is empty"),
            ("{'a': 1}", "double quotes"),
            ("{\"a\": 'x'}", "a value is expected; text stands in double quotes"),
            ("{\"a\" 1}", "a colon is missing"),
            ("{\"a\": \"x\ny\"}", "line break"),
            ("{\"a\": \"C:\\Users\"}", "backslash"),
            ("{\"a\": 1} x", "something follows"),
        ] {
            let error = serde_json::from_str::<Value>(body).unwrap_err();
            let said = bad_json(&error, body.as_bytes());
            assert!(said.contains(expected), "{body}: {said}");
        }
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        #[allow(dead_code, reason = "only read")]
        One,
    }

    #[test]
    fn no_type_of_rust_is_named() {
        fn said<T: serde::de::DeserializeOwned + std::fmt::Debug>(value: Value) -> String {
            wrong_type(&domain::json::from_tree::<T>(value).unwrap_err())
        }
        assert_eq!(said::<f64>(json!("x")), "a number is expected.");
        assert_eq!(said::<u32>(json!(-1)), "a whole number from 0 to 4294967295 is expected.");
        assert_eq!(said::<u8>(json!(300)), "a whole number from 0 to 255 is expected.");
        assert_eq!(said::<bool>(json!(1)), "true or false is expected.");
        assert_eq!(said::<String>(json!([])), "text is expected.");
        assert_eq!(said::<Vec<String>>(json!({})), "a list is expected.");
        assert_eq!(said::<Kind>(json!("two")), "one is expected.");
    }
}
