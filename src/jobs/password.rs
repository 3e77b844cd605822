//! Hashing and comparing passwords: Argon2id with 12 MiB, three passes and one lane, which OWASP lists as equal to
//! its first choice for machines that have little memory. In a child, so that the memory goes back to the system.

use std::fmt;

use argon2::password_hash::Error;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::domain::hex::hex;

/// Memory of one hash in KiB.
const MEMORY_KIB: u32 = 12 * 1024;
/// Passes over that memory.
const PASSES: u32 = 3;

/// The machine does not have the memory of one hash.
#[derive(Debug)]
pub struct NoMemory;

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Checking a password needs {} MiB of memory, which this machine does not have at the moment. Stop another program and try again.",
            MEMORY_KIB >> 10
        )
    }
}

/// Hash a password.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hash {
    /// The secret form of the password, see `secret_form`.
    pub secret: String,
}

/// Compare a password with a hash.
#[derive(Debug, Serialize, Deserialize)]
pub struct Verify {
    /// The secret form of the password, see `secret_form`.
    pub secret: String,
    /// The hash in PHC form.
    pub hash: String,
}

/// Compare one password, and hash another where the first is right.
#[derive(Debug, Serialize, Deserialize)]
pub struct Change {
    /// The one that proves who asks; without it nothing has to be proved.
    pub proof: Option<Verify>,
    /// The secret form of the one to be hashed, where one is.
    pub secret: Option<String>,
}

/// What is hashed: the lower-case SHA-256 hex of the password. A client may send that itself, so both forms verify
/// against one hash.
pub fn secret_form(password: &str) -> String {
    if is_sha256_hex(password) { password.to_owned() } else { hex(&Sha256::digest(password.as_bytes())) }
}

/// 64 lower-case hexadecimal digits.
pub fn is_sha256_hex(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).expect("12 MiB, 3 passes and 1 lane are valid parameters");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

impl Hash {
    /// The hash in PHC form, with a new random salt.
    pub fn run(self) -> Result<String, NoMemory> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).expect("the kernel has random bytes");
        match argon2().hash_password_with_salt(self.secret.as_bytes(), &salt) {
            Err(Error::OutOfMemory) => Err(NoMemory),
            hash => Ok(hash.expect("a salt of 16 bytes and a secret of 64 are in range").to_string()),
        }
    }
}

impl Change {
    /// `proved`, and the new `hash` where that is true and there is one to make.
    pub fn run(self) -> Result<Value, NoMemory> {
        let proved = self.proof.map_or(Ok(true), Verify::run)?;
        let secret = self.secret.filter(|_| proved);
        let hash = secret.map(|secret| Hash { secret }.run()).transpose()?;
        Ok(json!({ "proved": proved, "hash": hash }))
    }
}

impl Verify {
    /// Whether the password is the hash's. A hash that cannot be read matches nothing.
    pub fn run(self) -> Result<bool, NoMemory> {
        let Ok(hash) = PasswordHash::new(&self.hash) else { return Ok(false) };
        match argon2().verify_password(self.secret.as_bytes(), &hash) {
            Err(Error::OutOfMemory) => Err(NoMemory),
            verified => Ok(verified.is_ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_verify_against_one_hash() {
        let hash = Hash { secret: secret_form("Correct1!horse") }.run().unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=12288,t=3,p=1$"), "{hash}");
        let verify = |password: &str| Verify { secret: secret_form(password), hash: hash.clone() }.run().unwrap();
        assert!(verify("Correct1!horse"));
        assert!(verify(&secret_form("Correct1!horse")));
        assert!(!verify("correct1!horse"));
        assert!(!Verify { secret: secret_form("Correct1!horse"), hash: "junk".into() }.run().unwrap());
    }

    #[test]
    fn the_hash_is_that_of_the_reference_program() {
        // printf %s password | argon2 somesaltsomesalt -id -t 3 -k 12288 -p 1 -l 32 -e
        let mut out = [0; 32];
        argon2().hash_password_into(b"password", b"somesaltsomesalt", &mut out).unwrap();
        assert_eq!(hex(&out), include_str!("../../tests/data/argon2.txt").trim());
    }
}
