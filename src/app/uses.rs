//! When sessions and keys were last used, kept in memory and written by a timer: a request that only looks writes nothing.

use std::collections::HashMap;

use crate::store::TokenHash;

/// Those since they were last written, each by what it is known by.
#[derive(Debug, Default)]
pub struct Uses {
    sessions: HashMap<TokenHash, i64>,
    tokens: HashMap<i64, (i64, String)>,
}

impl Uses {
    /// Notes that a session asks, at this time in Unix seconds.
    pub fn note_session(&mut self, hash: TokenHash, now: i64) {
        self.sessions.insert(hash, now);
    }

    /// Notes that a key is used, and from where.
    pub fn note_token(&mut self, id: i64, now: i64, from: String) {
        self.tokens.insert(id, (now, from));
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.tokens.is_empty()
    }

    /// The sessions, each with the time of its last use.
    pub fn sessions(&self) -> Vec<(TokenHash, i64)> {
        self.sessions.iter().map(|(hash, at)| (*hash, *at)).collect()
    }

    /// The keys, each with the time and the place of its last use.
    pub fn tokens(&self) -> Vec<(i64, i64, String)> {
        self.tokens.iter().map(|(id, (at, from))| (*id, *at, from.clone())).collect()
    }

    /// When a session was last used, where that is not written yet.
    pub fn of_session(&self, hash: &TokenHash) -> Option<i64> {
        self.sessions.get(hash).copied()
    }

    /// When a key was last used, and from where, where that is not written yet.
    pub fn of_token(&self, id: i64) -> Option<&(i64, String)> {
        self.tokens.get(&id)
    }
}
