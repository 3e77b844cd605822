//! What the database holds encrypted: a copy of it alone opens nothing. The key is a file of its own beside it.

use std::io::ErrorKind;
use std::path::PathBuf;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::error::Error;
use super::open::Store;
use crate::files;

/// Bytes of the key.
const KEY: usize = 32;

impl Store {
    /// Where the key is.
    pub fn key_file(&self) -> PathBuf {
        files::beside(&self.path, ".key")
    }

    /// Encrypts what is to be known as `what`: moved to another row it does not open. Makes the key where there is none.
    pub(super) fn seal(&self, what: &str, mut text: Vec<u8>) -> Result<Vec<u8>, Error> {
        let key = match self.read_key() {
            Ok(key) => key,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.make_key().map_err(|error| self.no_key(&error))?
            }
            Err(error) => return Err(self.no_key(&error)),
        };
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|error| self.no_key(&error))?;
        cipher(&key)
            .and_then(|key| {
                let once = Nonce::assume_unique_for_key(nonce);
                key.seal_in_place_append_tag(once, Aad::from(what.as_bytes()), &mut text)
            })
            .map_err(|error| self.no_key(&error))?;
        Ok([nonce.as_slice(), &text].concat())
    }

    /// What was sealed as `what`.
    pub(super) fn unseal(&self, what: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let key = self.read_key().map_err(|error| self.no_key(&error))?;
        let other_key = || self.no_key(&"it is not the key that this database was written with");
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or_else(other_key)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| other_key())?;
        let mut text = text.to_vec();
        let key = cipher(&key).map_err(|_| other_key())?;
        let opened = key.open_in_place(nonce, Aad::from(what.as_bytes()), &mut text).map_err(|_| other_key())?;
        Ok(opened.to_vec())
    }

    fn read_key(&self) -> std::io::Result<Vec<u8>> {
        let key = files::read(&self.key_file(), KEY as u64)?;
        if key.len() == KEY { Ok(key) } else { Err(std::io::Error::other(format!("it does not have {KEY} bytes"))) }
    }

    fn make_key(&self) -> std::io::Result<Vec<u8>> {
        let mut key = vec![0; KEY];
        getrandom::fill(&mut key).map_err(std::io::Error::other)?;
        files::replace(&self.key_file(), &key, 0o600)?;
        Ok(key)
    }

    fn no_key(&self, why: &dyn std::fmt::Display) -> Error {
        Error::Key(self.key_file(), why.to_string())
    }
}

fn cipher(key: &[u8]) -> Result<LessSafeKey, ring::error::Unspecified> {
    Ok(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key)?))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use crate::store::Error;
    use crate::store::open::tests::temporary;

    #[test]
    fn what_is_sealed_opens_with_its_key_and_as_what_it_was_only() {
        let (_directory, store) = temporary();
        let sealed = store.seal("a 1", b"text".to_vec()).unwrap();
        assert_ne!(sealed, store.seal("a 1", b"text".to_vec()).unwrap(), "no two are alike");
        assert_eq!(fs::metadata(store.key_file()).unwrap().mode() & 0o777, 0o600);
        assert_eq!(store.unseal("a 1", &sealed).unwrap(), b"text");
        assert!(!sealed.windows(4).any(|part| part == b"text"));
        for (what, sealed) in [("a 2", &sealed[..]), ("a 1", &sealed[..5]), ("a 1", &[&sealed[..], b"x"].concat())] {
            assert!(matches!(store.unseal(what, sealed), Err(Error::Key(..))));
        }
        let key = fs::read(store.key_file()).unwrap();
        for bad in [vec![0; 32], vec![0; 31], Vec::new()] {
            fs::write(store.key_file(), bad).unwrap();
            assert!(matches!(store.unseal("a 1", &sealed), Err(Error::Key(..))));
        }
        fs::remove_file(store.key_file()).unwrap();
        assert!(matches!(store.unseal("a 1", &sealed), Err(Error::Key(..))), "a missing key is not replaced here");
        fs::write(store.key_file(), key).unwrap();
        assert_eq!(store.unseal("a 1", &sealed).unwrap(), b"text");
    }
}
