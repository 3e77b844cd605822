//! Logins whose password was right and that still lack the second factor. In memory: after a restart the password is asked for again.

use crate::domain::client::ClientKey;
use crate::store::TokenHash;

/// How long one is waited for, in seconds.
pub const CHALLENGE_SECONDS: i64 = 300;
/// How many wait at a time; the oldest makes room. Each has cost a right password.
const MOST: usize = 100;

/// What is wanted of a session, beside that it is good.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// It lasts 30 days, where the settings do not have all of them last longer.
    pub remember: bool,
    /// Its token stands in the answer, too.
    pub return_token: bool,
}

/// Such a login.
#[derive(Debug, Clone)]
pub struct Challenge {
    /// What its text hashes to.
    pub hash: TokenHash,
    /// Who logs in.
    pub user: i64,
    /// The name of that user.
    pub name: String,
    /// The hash of the password that was right; another password is another login.
    pub password_hash: String,
    /// From where.
    pub client: ClientKey,
    /// Whose failed logins it is counted among.
    pub budget: String,
    /// The device, where it has logged in before.
    pub device: Option<String>,
    /// What is wanted of the session.
    pub wish: Wish,
    /// When it is over, in Unix seconds.
    pub ends_at: i64,
}

/// All that wait, oldest first.
#[derive(Debug, Default)]
pub struct Challenges(Vec<Challenge>);

impl Challenges {
    /// One more.
    pub fn add(&mut self, challenge: Challenge, now: i64) {
        self.0.retain(|other| other.ends_at > now && other.ends_at <= now + CHALLENGE_SECONDS);
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push(challenge);
    }

    /// The one with this text, from this client.
    pub fn find(&self, hash: &TokenHash, client: &ClientKey, now: i64) -> Option<&Challenge> {
        self.0.iter().find(|one| one.hash == *hash && one.client == *client && one.ends_at > now)
    }

    /// It is done with.
    pub fn remove(&mut self, hash: &TokenHash) {
        self.0.retain(|one| one.hash != *hash);
    }
}
