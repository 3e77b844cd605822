//! The text of a program's key: `bui_`, 48 hexadecimal digits by chance, and eight that are a sum of the rest. Scanners for secrets know it
//! by its beginning, and a mistyped one is seen without asking the database.

use sha2::{Digest, Sha256};

use super::error::ApiError;
use super::session::{random_token, token_hash};
use crate::domain::hex::hex;
use crate::store::TokenHash;

/// What every key begins with.
const BEGINNING: &str = "bui_";
/// Random bytes of a key: 192 bits.
const RANDOM: usize = 24;
/// Bytes of its sum.
const SUM: usize = 4;
/// How much of a key is shown to tell it from others, in characters.
const SHOWN: usize = 12;

/// A key that was just made. Its text is known here only.
pub struct Key {
    /// What its holder sends.
    pub text: String,
    /// What the store knows it by.
    pub hash: TokenHash,
    /// Its beginning.
    pub prefix: String,
}

/// A new one.
pub fn make() -> Result<Key, ApiError> {
    let body = BEGINNING.to_owned() + &random_token(&mut [0; RANDOM])?;
    let text = body.clone() + &sum(&body);
    Ok(Key { hash: token_hash(&text), prefix: text[..SHOWN].to_owned(), text })
}

/// Whether a text sent as a key is meant to be one of these, rather than a session's.
pub fn is_meant(text: &str) -> bool {
    text.starts_with(BEGINNING)
}

/// Whether it has all its characters.
pub fn is_whole(text: &str) -> bool {
    let length = BEGINNING.len() + 2 * (RANDOM + SUM);
    text.len() == length && text.is_char_boundary(length - 2 * SUM) && {
        let (body, end) = text.split_at(length - 2 * SUM);
        sum(body) == end
    }
}

fn sum(body: &str) -> String {
    hex(&Sha256::digest(body.as_bytes())[..SUM])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_key_is_seen() {
        let key = make().unwrap();
        assert!(is_meant(&key.text) && is_whole(&key.text), "{}", key.text);
        assert!(key.text.starts_with(&key.prefix));
        assert_ne!(key.text, make().unwrap().text);
        let mut other = key.text.clone();
        other.replace_range(10..11, if &key.text[10..11] == "0" { "1" } else { "0" });
        for wrong in [other.as_str(), &key.text[..key.text.len() - 1], "bui_", &"ä".repeat(30)] {
            assert!(!is_whole(wrong), "{wrong}");
        }
    }
}
