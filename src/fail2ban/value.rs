//! What the daemon says and what is said to it: Python values as plain data.
//!
//! Nothing here knows the wire or the commands. A class or function named in a reply stays a name: it is never looked up, let alone called.

use serde::{Deserialize, Serialize};

/// A Python value as the daemon's socket carries it, and as `fail2ban-client -d` prints it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer that fits 64 bits.
    Int(i64),
    /// A longer integer, in decimal: somebody may set a find time of 1e20.
    BigInt(String),
    /// A float: the daemon holds months and fractions of seconds so.
    Float(f64),
    /// Text. Bytes that are not UTF-8 have become U+FFFD.
    Str(String),
    /// Bytes; only `echo` returns them.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Value>),
    /// A tuple.
    Tuple(Vec<Value>),
    /// A dictionary, in the order it was sent.
    Dict(Vec<(Value, Value)>),
    /// A set or frozen set, in the order it was sent.
    Set(Vec<Value>),
    /// A class or function, as `module.name`.
    Global(String),
    /// An instance of a class, an exception for the most part: what it would be built from.
    Object {
        /// The module of the class, for example `fail2ban.exceptions`.
        module: String,
        /// The class, for example `UnknownJailException`.
        name: String,
        /// The arguments of its construction, a tuple for everything seen so far.
        args: Box<Value>,
        /// What `BUILD` would have stored in it.
        state: Option<Box<Value>>,
    },
}

impl Value {
    /// The text, where this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number; `True` and `False` count as 1 and 0, as they do in Python.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            Value::Bool(flag) => Some(i64::from(*flag)),
            _ => None,
        }
    }

    /// The number, whole or not. A longer integer loses precision, a text is none.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            // Exact up to 2^53, far beyond any count or time of the daemon.
            Value::Int(number) => Some(*number as f64),
            Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
            Value::Float(number) => Some(*number),
            Value::BigInt(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// The truth value, where this is a boolean or an integer.
    pub fn as_bool(&self) -> Option<bool> {
        self.as_i64().map(|number| number != 0)
    }

    /// The items of a list, a tuple or a set.
    pub fn items(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) | Value::Tuple(items) | Value::Set(items) => Some(items),
            _ => None,
        }
    }

    /// The pairs of a dictionary.
    pub fn pairs(&self) -> Option<&[(Value, Value)]> {
        match self {
            Value::Dict(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// What a dictionary holds under a text key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.pairs()?.iter().find_map(|(name, value)| (name.as_str() == Some(key)).then_some(value))
    }

    /// What a list of pairs, the daemon's favourite form of a dictionary, holds under a text key.
    pub fn lookup(&self, key: &str) -> Option<&Value> {
        self.items()?.iter().find_map(|pair| match pair.items()? {
            [name, value] if name.as_str() == Some(key) => Some(value),
            _ => None,
        })
    }

    /// True for `None`.
    pub fn is_none(&self) -> bool {
        matches!(self, Value::None)
    }

    /// The texts of a list. Anything in it that is not text is shown in words, so that no entry disappears.
    pub fn texts(&self) -> Option<Vec<String>> {
        Some(self.items()?.iter().map(Value::shown).collect())
    }

    /// This value in words for a person: text as it is, the rest roughly as Python writes it.
    pub fn shown(&self) -> String {
        match self {
            Value::None => "None".to_owned(),
            Value::Bool(true) => "True".to_owned(),
            Value::Bool(false) => "False".to_owned(),
            Value::Int(number) => number.to_string(),
            Value::BigInt(digits) => digits.clone(),
            Value::Float(number) => number.to_string(),
            Value::Str(text) => text.clone(),
            Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Value::List(items) | Value::Tuple(items) | Value::Set(items) => {
                items.iter().map(Value::shown).collect::<Vec<_>>().join(", ")
            }
            Value::Dict(pairs) => {
                let pairs: Vec<_> =
                    pairs.iter().map(|(key, value)| format!("{}: {}", key.shown(), value.shown())).collect();
                pairs.join(", ")
            }
            Value::Global(name) => name.clone(),
            Value::Object { name, args, .. } => format!("{name}({})", args.shown()),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Str(text.to_owned())
    }
}
