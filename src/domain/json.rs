//! JSON by way of `serde_json::Value`. serde makes the code of a type anew for each form it is read from; with one form in between,
//! it is there once. And serde_json takes an array for a struct as well, for which each struct has code of its own; here only an object
//! is one. On x86_64 both together are 240 kB less than reading each type from slices, texts and pipes directly.
//!
//! Not for lists that may be long: what is streamed is written as it comes (`serde_json::to_writer`).

use serde::Serialize;
use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, Expected, IntoDeserializer, Unexpected, Visitor};
use serde_json::{Error, Map, Result, Value};

/// Reads a value from its text, which ends with it.
pub fn read<T: DeserializeOwned>(text: impl AsRef<[u8]>) -> Result<T> {
    from_tree(tree(text.as_ref())?)
}

/// Reads a value from its tree.
pub fn from_tree<T: DeserializeOwned>(tree: Value) -> Result<T> {
    T::deserialize(Node(tree))
}

/// The tree of a text, which ends with it.
pub fn tree(text: &[u8]) -> Result<Value> {
    serde_json::from_slice(text)
}

/// The text of a value, on one line.
pub fn text(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_value(value)?.to_string())
}

/// A tree that types are read from.
struct Node(Value);

impl Node {
    fn is_not(&self, expected: &dyn Expected) -> Error {
        let unexpected = match &self.0 {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(value), _) => Unexpected::Unsigned(value),
                (None, Some(value)) => Unexpected::Signed(value),
                (None, None) => Unexpected::Float(number.as_f64().unwrap_or_default()),
            },
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        };
        Error::invalid_type(unexpected, expected)
    }
}

type Members = std::iter::Map<serde_json::map::IntoIter, fn((String, Value)) -> (String, Node)>;

fn members(object: Map<String, Value>) -> MapDeserializer<'static, Members, Error> {
    MapDeserializer::new(object.into_iter().map(|(name, value)| (name, Node(value))))
}

impl IntoDeserializer<'_, Error> for Node {
    type Deserializer = Node;

    fn into_deserializer(self) -> Node {
        self
    }
}

impl<'de> Deserializer<'de> for Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(number) => number.deserialize_any(visitor),
            Value::String(text) => visitor.visit_string(text),
            Value::Array(_) => self.deserialize_seq(visitor),
            Value::Object(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let Value::Array(elements) = self.0 else { return Err(self.is_not(&visitor)) };
        let mut elements = SeqDeserializer::new(elements.into_iter().map(Node));
        let value = visitor.visit_seq(&mut elements)?;
        elements.end()?;
        Ok(value)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let Value::Object(object) = self.0 else { return Err(self.is_not(&visitor)) };
        visitor.visit_map(members(object))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.0 {
            Value::String(variant) => visitor.visit_enum(variant.into_deserializer()),
            Value::Object(object) if object.len() == 1 => {
                visitor.visit_enum(MapAccessDeserializer::new(members(object)))
            }
            other => Err(Node(other).is_not(&visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_map(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Bare,
        New(Option<i64>),
        Pair(u8, String),
        Named { at: f64 },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct All {
        kinds: Vec<Kind>,
        by_name: BTreeMap<String, (bool, char)>,
        #[serde(default)]
        nothing: Option<()>,
        tree: Value,
    }

    #[test]
    fn what_is_written_is_read() {
        let all = All {
            kinds: vec![
                Kind::Bare,
                Kind::New(None),
                Kind::New(Some(-3)),
                Kind::Pair(7, "x".into()),
                Kind::Named { at: 2.0 },
            ],
            by_name: BTreeMap::from([("a".to_owned(), (true, 'b'))]),
            nothing: None,
            tree: serde_json::json!({ "a": [1, "b", null, { "c": 2.5 }] }),
        };
        let text = text(&all).unwrap();
        assert_eq!(read::<All>(&text).unwrap(), all);
        assert_eq!(serde_json::from_str::<All>(&text).unwrap(), all, "as serde_json does");
    }

    #[test]
    fn what_is_wrong_is_said_as_serde_json_says_it() {
        for text in [
            r#"{"kinds":[],"by_name":{},"tree":1,"more":2}"#,
            r#"{"kinds":[],"tree":1}"#,
            r#"{"kinds":{},"by_name":{},"tree":1}"#,
            r#"{"kinds":["None"],"by_name":{},"tree":1}"#,
            r#"{"kinds":[{"Pair":[300,"x"]}],"by_name":{},"tree":1}"#,
            r#"{"kinds":[],"by_name":{"a":[1,"b"]},"tree":1}"#,
            "7",
        ] {
            let theirs = serde_json::from_value::<All>(serde_json::from_str(text).unwrap()).unwrap_err();
            assert_eq!(read::<All>(text).unwrap_err().to_string(), theirs.to_string(), "{text}");
        }
        let worse = [
            r#"{"kinds":[{"Pair":[1,"x",3]}],"by_name":{},"tree":1}"#,
            r#"{"kinds":[{"New":1,"Bare":null}],"by_name":{},"tree":1}"#,
            "[[],{},null,1]",
            "{} {}",
            "",
        ];
        for text in worse {
            assert!(read::<All>(text).is_err(), "{text}");
        }
    }
}
