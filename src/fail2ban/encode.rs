//! Encodes a request: pickle protocol 2, which every build of the daemon reads, on Python 2 and on Python 3.
//!
//! It encodes plain data only, and refuses what the daemon would misread.

use serde::{Deserialize, Serialize};

use super::value::Value;

/// What ends every request and every reply on the wire.
pub const TERMINATOR: &[u8] = b"<F2B_END_COMMAND>";

/// Why a request cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EncodeError {
    /// The daemon looks for the terminator in the middle of requests, too, and would cut this one there.
    Terminator,
    /// A value that starts like an option of the daemon's own, where a name or an address is meant.
    Option,
    /// A value that is no plain data, or a text of 4 GiB.
    NotPlain(String),
}

impl std::fmt::Display for EncodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EncodeError::Terminator => {
                write!(f, "a value contains {}, which fail2ban cannot be sent", String::from_utf8_lossy(TERMINATOR))
            }
            EncodeError::Option => write!(f, "a value that starts with -- would be an option of fail2ban's"),
            EncodeError::NotPlain(what) => write!(f, "{what} cannot be sent to fail2ban"),
        }
    }
}

impl std::error::Error for EncodeError {}

fn not_plain(what: &str) -> EncodeError {
    EncodeError::NotPlain(what.to_owned())
}

/// A command of plain words, ready to be written, terminator included.
pub fn encode_words(words: &[&str]) -> Result<Vec<u8>, EncodeError> {
    let mut out = vec![0x80, 2, b']', b'('];
    for word in words {
        put_text(word, &mut out)?;
    }
    out.extend_from_slice(b"e.");
    finish(out)
}

/// A command with lists in it (`reload`, `server-stream`), ready to be written, terminator included.
pub fn encode(command: &Value) -> Result<Vec<u8>, EncodeError> {
    let mut out = vec![0x80, 2];
    put(command, &mut out)?;
    out.push(b'.');
    finish(out)
}

fn finish(mut out: Vec<u8>) -> Result<Vec<u8>, EncodeError> {
    if out.windows(TERMINATOR.len()).any(|window| window == TERMINATOR) {
        return Err(EncodeError::Terminator);
    }
    out.extend_from_slice(TERMINATOR);
    Ok(out)
}

fn put_text(text: &str, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let length = u32::try_from(text.len()).map_err(|_| not_plain("a text of 4 GiB"))?;
    out.push(b'X');
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

fn put(value: &Value, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match value {
        Value::None => out.push(b'N'),
        Value::Bool(true) => out.push(0x88),
        Value::Bool(false) => out.push(0x89),
        Value::Int(number) => match i32::try_from(*number) {
            Ok(number) => {
                out.push(b'J');
                out.extend_from_slice(&number.to_le_bytes());
            }
            Err(_) => {
                out.extend_from_slice(&[0x8a, 8]);
                out.extend_from_slice(&number.to_le_bytes());
            }
        },
        Value::Float(number) => {
            out.push(b'G');
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Str(text) => put_text(text, out)?,
        Value::List(items) => {
            out.extend_from_slice(b"](");
            for item in items {
                put(item, out)?;
            }
            out.push(b'e');
        }
        Value::Tuple(items) => {
            out.push(b'(');
            for item in items {
                put(item, out)?;
            }
            out.push(b't');
        }
        Value::Dict(pairs) => {
            out.extend_from_slice(b"}(");
            for (key, value) in pairs {
                put(key, out)?;
                put(value, out)?;
            }
            out.push(b'u');
        }
        Value::BigInt(_) => return Err(not_plain("an integer of more than 64 bits")),
        Value::Bytes(_) => return Err(not_plain("a byte string")),
        Value::Set(_) => return Err(not_plain("a set")),
        Value::Global(_) | Value::Object { .. } => return Err(not_plain("an object")),
    }
    Ok(())
}
