//! What a request brings: path, query and body, as checked values.
//!
//! Bodies are read field by field, because the contract wants every wrong field in one answer, and a derived
//! deserialiser stops at the first. What is wrong is said in words of ours (`wording.rs`), never in those of a library.

use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeOwned, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::error::{ApiError, FieldError};
use super::wording;
use crate::conf;
use crate::domain::as_read::AsRead;
use crate::domain::history::{By, Country, Cursor, Origin, Range, Source};
use crate::domain::history_order::{self, Order};
use crate::domain::json;
use crate::domain::page::{Page, Position};
use crate::domain::time::Moment;
use crate::held::pick::Sort;

/// Decodes `%xx`; `None` when that is not possible or the result is no text. A `+` stays a `+`: it is no blank in a path.
pub fn percent_decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        let digits = tail.get(..2).filter(|two| two.iter().all(u8::is_ascii_hexdigit))?;
        let digits = std::str::from_utf8(digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).ok()
}

/// A type of a query parameter.
pub trait Parameter: FromStr {
    /// What is expected, for `page: … is expected.`
    const EXPECTED: &'static str;
    /// The values there are, where they can be listed.
    const ALLOWED: &'static [&'static str] = &[];
}

impl Parameter for u32 {
    const EXPECTED: &'static str = "a whole number";
}

impl Parameter for usize {
    const EXPECTED: &'static str = "a whole number";
}

impl Parameter for i64 {
    const EXPECTED: &'static str = "a whole number";
}

impl Parameter for bool {
    const EXPECTED: &'static str = "true or false";
    const ALLOWED: &'static [&'static str] = &["true", "false"];
}

impl Parameter for Range {
    const EXPECTED: &'static str = "one of 24h, 7d, 30d, 365d";
    const ALLOWED: &'static [&'static str] = &["24h", "7d", "30d", "365d"];
}

impl Parameter for Origin {
    const EXPECTED: &'static str = "blocklist or selfblock";
    const ALLOWED: &'static [&'static str] = &["blocklist", "selfblock"];
}

impl Parameter for Source {
    const EXPECTED: &'static str = "fail2ban or archive";
    const ALLOWED: &'static [&'static str] = &["fail2ban", "archive"];
}

impl Parameter for By {
    const EXPECTED: &'static str = "address, network or operator";
    const ALLOWED: &'static [&'static str] = &["address", "network", "operator"];
}

impl Parameter for Sort {
    const EXPECTED: &'static str = "one of ip, jail, banned_at, expires_at, ban_count and country, with a minus before it where the largest is to \
                                    come first,";
    const ALLOWED: &'static [&'static str] = Sort::FIELDS;
}

impl Parameter for Order {
    const EXPECTED: &'static str = "one of banned_at, ip, jail, ban_count, failures, ban_time and country_code, with a minus before it where \
                                    the largest is to come first,";
    const ALLOWED: &'static [&'static str] = history_order::FIELDS;
}

impl Parameter for Country {
    const EXPECTED: &'static str = "a country code of two capital letters, such as DE,";
}

impl Parameter for Moment {
    const EXPECTED: &'static str = "a time with its offset, such as 2026-11-22T02:31:27Z,";
}

impl Parameter for Position<Cursor> {
    const EXPECTED: &'static str = "the next_cursor of an earlier answer";
}

impl Parameter for Position<i64> {
    const EXPECTED: &'static str = "the next_cursor of an earlier answer";
}

/// The parameters behind the `?`.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a>(pub &'a str);

impl Query<'_> {
    /// The text of a parameter; the first one counts.
    pub fn text(&self, name: &str) -> Result<Option<String>, ApiError> {
        for pair in self.0.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if key == name {
                let decoded = percent_decode(&value.replace('+', " "));
                return decoded.map(Some).ok_or_else(|| {
                    ApiError::invalid_field(name, format!("{name} is not valid percent-encoded UTF-8."))
                });
            }
        }
        Ok(None)
    }

    /// A parameter of another type.
    pub fn get<T: Parameter>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let error = ApiError::invalid_field(name, format!("{name}: {} is expected.", T::EXPECTED));
            if T::ALLOWED.is_empty() { error } else { error.with("allowed", T::ALLOWED) }
        })
    }

    /// A parameter that must be there.
    pub fn required(&self, name: &str) -> Result<String, ApiError> {
        self.text(name)?.ok_or_else(|| ApiError::invalid_field(name, format!("The parameter \"{name}\" is missing.")))
    }

    /// 400 for a parameter that is none of these: a misspelt one must not be taken for none.
    pub fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        let mut names =
            self.0.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split('=').next().unwrap_or(pair));
        let Some(unknown) = names.find(|name| !known.contains(name)) else { return Ok(()) };
        let shown: String =
            percent_decode(unknown).unwrap_or_default().chars().filter(|c| !c.is_control()).take(40).collect();
        let those = match known {
            [] => "this request takes none".to_owned(),
            known => format!("there are {}", known.join(", ")),
        };
        Err(ApiError::invalid_field(&shown, format!("There is no parameter \"{shown}\"; {those}."))
            .with("allowed", known))
    }

    /// `page` and `page_size`.
    pub fn page(&self) -> Result<Page, ApiError> {
        let number = self.get("page")?.unwrap_or(1);
        let size = self.get("page_size")?.unwrap_or(Page::DEFAULT_SIZE);
        Page::new(number, size)
            .ok_or_else(|| ApiError::invalid_input("page must be 1 or more, and page_size from 1 to 500."))
    }
}

/// The longest time that is taken, in seconds.
const LONGEST_DURATION: f64 = 1e10;

/// The fields of a JSON object, taken one by one; what is wrong with them is collected.
#[derive(Debug)]
pub struct Fields {
    map: Map<String, Value>,
    /// The fields that were asked for: those there are.
    asked: Vec<String>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Reads a body. Not JSON is 400; JSON but no object is 422.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        match serde_json::from_slice(body) {
            Ok(Body::Object(map)) => Ok(Self { map, asked: Vec::new(), errors: Vec::new() }),
            Ok(Body::Other) => Err(ApiError::wrong_shape(vec![FieldError {
                source_field: "body".into(),
                rule: "type".into(),
                detail: "The body must be a JSON object.".into(),
            }])),
            Err(error) => Err(ApiError::invalid_input(wording::bad_json(&error, body))
                .with("line", error.line())
                .with("column", error.column())),
        }
    }

    /// The same, where an object without fields asks for nothing and is wrong.
    pub fn not_empty(mut self) -> Self {
        let is_empty = self.map.is_empty();
        self.check(!is_empty, "body", "required", "Give at least one field to change.");
        self
    }

    /// The same for a body that may stand in an object of its own, as a GET shows it: the fields in there.
    pub fn within(mut self, name: &str) -> Self {
        match (self.map.len(), self.map.remove(name)) {
            (1, Some(Value::Object(map))) => self.map = map,
            (_, Some(other)) => _ = self.map.insert(name.to_owned(), other),
            (_, None) => {}
        }
        self
    }

    fn wrong(&mut self, field: &str, rule: &'static str, detail: impl Into<String>) {
        self.errors.push(FieldError { source_field: field.to_owned(), rule: rule.into(), detail: detail.into() });
    }

    /// A field that may be missing. `null` is a value of its own only where `T` takes it.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        self.asked.push(name.to_owned());
        let value = self.map.remove(name)?;
        match json::from_tree(value) {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(name, "type", format!("{name}: {}", wording::wrong_type(&error)));
                None
            }
        }
    }

    /// A field that must be there. `None` when it is missing or wrong: then `finish` fails.
    pub fn required<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        if !self.map.contains_key(name) {
            self.wrong(name, "required", format!("The field \"{name}\" is missing."));
        }
        self.optional(name)
    }

    /// Adds a rule of the endpoint's own.
    pub fn check(&mut self, holds: bool, field: &str, rule: &'static str, detail: &str) {
        if !holds {
            self.wrong(field, rule, detail);
        }
    }

    /// Turns times as fail2ban writes them into seconds; `growth.max_time` is a field within one. What is no time is left for whoever takes it.
    pub fn times(&mut self, paths: &[&str]) {
        for path in paths {
            let within = match path.split_once('.') {
                Some((outer, inner)) => {
                    self.map.get_mut(outer).and_then(Value::as_object_mut).and_then(|map| map.get_mut(inner))
                }
                None => self.map.get_mut(*path),
            };
            let Some(value) = within else { continue };
            let seconds =
                value.as_str().and_then(|text| conf::time::seconds(text).ok()).map(|seconds| seconds.as_f64());
            if let Some(seconds) = seconds {
                *value = if seconds.fract() == 0.0 { Value::from(seconds as i64) } else { Value::from(seconds) };
            }
        }
    }

    /// A length of time that may be missing: whole seconds, -1 for ever; sent as a number, or as fail2ban writes it.
    pub fn duration(&mut self, name: &str) -> Option<i64> {
        let text = match self.optional::<Value>(name)? {
            Value::Null => return None,
            Value::Number(number) => number.to_string(),
            Value::String(text) => text,
            _ => String::new(),
        };
        let seconds = conf::time::seconds(&text).ok().map(|seconds| seconds.as_f64().ceil());
        let seconds = seconds.filter(|seconds| *seconds == -1.0 || (1.0..=LONGEST_DURATION).contains(seconds));
        if seconds.is_none() {
            let detail = "seconds from 1 to 10000000000, a time such as 10m or 4w, or -1 for ever is expected.";
            self.wrong(name, "format", format!("{name}: {detail}"));
        }
        seconds.map(|seconds| seconds as i64)
    }

    /// Takes a field by another name of it; not where both are there.
    pub fn rename(&mut self, from: &str, to: &str) {
        if !self.map.contains_key(to)
            && let Some(value) = self.map.remove(from)
        {
            self.map.insert(to.to_owned(), value);
        }
    }

    /// Moves a field into an object, which is made where it is not there.
    pub fn move_into(&mut self, from: &str, object: &str, part: &str) {
        if !self.map.contains_key(from) {
            return;
        }
        let mut inner = self.map.remove(object).unwrap_or_else(|| Map::new().into());
        if let Some(map) = inner.as_object_mut().filter(|map| !map.contains_key(part))
            && let Some(value) = self.map.remove(from)
        {
            map.insert(part.to_owned(), value);
        }
        self.map.insert(object.to_owned(), inner);
    }

    /// Takes out a field that is `null`; false where it is not.
    pub fn takes_null(&mut self, name: &str) -> bool {
        takes_null(&mut self.map, name)
    }

    /// Takes a part that is `null` out of an object; false where it is not.
    pub fn takes_null_in(&mut self, object: &str, part: &str) -> bool {
        self.map.get_mut(object).and_then(Value::as_object_mut).is_some_and(|inner| takes_null(inner, part))
    }

    /// Takes out what is as it is shown: that is no change.
    pub fn drop_unchanged(&mut self, is_shown: impl Fn(&str, &Value) -> bool) {
        self.map.retain(|name, value| !is_shown(name, value));
    }

    /// Whether there is nothing to take.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Whether all of these are there.
    pub fn has_all<'n>(&self, names: impl IntoIterator<Item = &'n String>) -> bool {
        names.into_iter().all(|name| self.map.contains_key(name))
    }

    /// Takes out fields that a GET shows beside what can be changed.
    pub fn read_only(&mut self, names: &[&str]) -> AsRead {
        let sent: Map<String, Value> =
            names.iter().filter_map(|name| Some(((*name).to_owned(), self.map.remove(*name)?))).collect();
        AsRead { is_whole: sent.len() == names.len(), read_only: sent, faults: Vec::new() }
    }

    /// Fails as `finish` does, but for rules that [`Fields::check`] has added for these fields: a value that breaks one may be there
    /// already, which is seen where it is compared.
    pub fn finish_as_read(mut self, fields: &[&str], mut read: AsRead) -> Result<AsRead, ApiError> {
        let later = |error: &FieldError| error.rule != "type" && fields.contains(&&*error.source_field);
        (read.faults, self.errors) = self.errors.into_iter().partition(later);
        self.finish()?;
        Ok(read)
    }

    /// Fails with all that is wrong, fields nobody knows among it.
    pub fn finish(mut self) -> Result<(), ApiError> {
        let unknown: Vec<String> = self.map.keys().take(20).cloned().collect();
        let those = match self.asked.as_slice() {
            [] => "this request takes none".to_owned(),
            asked => format!("there are {}", asked.join(", ")),
        };
        for name in unknown {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
            self.wrong(&name, "unknown", format!("There is no field \"{shown}\"; {those}."));
        }
        if self.errors.is_empty() { Ok(()) } else { Err(ApiError::wrong_shape(self.errors)) }
    }
}

fn takes_null(map: &mut Map<String, Value>, name: &str) -> bool {
    let is_null = map.get(name).is_some_and(Value::is_null);
    if is_null {
        map.remove(name);
    }
    is_null
}

/// The outermost value of a body. A name that comes twice is an error: two readers could take different ones.
enum Body {
    Object(Map<String, Value>),
    Other,
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BodyVisitor)
    }
}

struct BodyVisitor;

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = Body;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Body, A::Error> {
        let mut map = Map::new();
        while let Some((name, value)) = access.next_entry::<String, Value>()? {
            if map.contains_key(&name) {
                return Err(A::Error::custom(format_args!("{}{name:?} appears twice", wording::TWICE)));
            }
            map.insert(name, value);
        }
        Ok(Body::Object(map))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Body, A::Error> {
        while access.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Body::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Body, E> {
        Ok(Body::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Body, E> {
        Ok(Body::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Body, E> {
        Ok(Body::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Body, E> {
        Ok(Body::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Body, E> {
        Ok(Body::Other)
    }

    fn visit_unit<E>(self) -> Result<Body, E> {
        Ok(Body::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings() {
        assert_eq!(percent_decode("a%2fb").as_deref(), Some("a/b"));
        assert_eq!(percent_decode("%c3%bc+").as_deref(), Some("ü+"));
        for bad in ["%", "%2", "%zz", "%ff", "%+1"] {
            assert_eq!(percent_decode(bad), None, "{bad}");
        }
        assert_eq!(Query("a=1&b=x+y%21&a=2").text("b").unwrap().as_deref(), Some("x y!"));
        assert_eq!(Query("a=1&a=2").get::<u32>("a").unwrap(), Some(1));
        assert!(Query("a=x").get::<u32>("a").is_err());
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let mut fields = Fields::parse(br#"{"a": 1, "c": 2, "d": 3}"#).unwrap();
        assert_eq!(fields.required::<String>("a"), None);
        assert_eq!(fields.required::<String>("b"), None);
        assert_eq!(fields.optional::<u8>("c"), Some(2));
        let error = fields.finish().unwrap_err();
        let rules: Vec<_> = error.metadata["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| (e["source_field"].as_str().unwrap(), e["rule"].as_str().unwrap()))
            .collect();
        assert_eq!(rules, [("a", "type"), ("b", "required"), ("d", "unknown")]);
    }

    #[test]
    fn times_are_taken_as_fail2ban_writes_them() {
        let mut fields = Fields::parse(br#"{"a": "1d 1h", "b": {"c": "10m", "d": "x"}, "e": 5, "f": "x"}"#).unwrap();
        fields.times(&["a", "b.c", "b.d", "e", "f", "g", "e.x"]);
        assert_eq!(fields.optional::<u32>("a"), Some(90_000));
        assert_eq!(fields.optional::<Value>("b"), Some(serde_json::json!({"c": 600, "d": "x"})));
        assert_eq!((fields.optional::<u32>("e"), fields.optional::<u32>("f")), (Some(5), None));
        assert_eq!(fields.finish().unwrap_err().status, 422);
    }

    #[test]
    fn bodies_that_are_no_objects() {
        assert_eq!(Fields::parse(b"[1]").unwrap_err().status, 422);
        assert_eq!(Fields::parse(b"{").unwrap_err().status, 400);
        assert_eq!(Fields::parse(br#"{"a":1,"a":2}"#).unwrap_err().status, 400);
        let deep = [b"{\"a\":".repeat(10_000), b"1".to_vec(), b"}".repeat(10_000)].concat();
        assert_eq!(Fields::parse(&deep).unwrap_err().status, 400);
    }
}
