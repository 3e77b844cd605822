//! JSON by way of `serde_json::Value`. serde makes the code of a type anew for each form it is read from; with one form in between,
//! it is there once. On x86_64 that is 150 kB less than reading each type from slices, texts and pipes directly.
//!
//! Not for lists that may be long: what is streamed is written as it comes (`serde_json::to_writer`).

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Result, Value};

/// Reads a value from its text, which ends with it.
pub fn read<T: DeserializeOwned>(text: impl AsRef<[u8]>) -> Result<T> {
    serde_json::from_value(tree(text.as_ref())?)
}

fn tree(text: &[u8]) -> Result<Value> {
    serde_json::from_slice(text)
}

/// The text of a value, on one line.
pub fn text(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_value(value)?.to_string())
}
