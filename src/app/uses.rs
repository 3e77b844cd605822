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

    /// What is to be written: sessions, and keys with the place they were used from.
    pub fn list(&self) -> (Vec<(TokenHash, i64)>, Vec<(i64, i64, String)>) {
        let sessions = self.sessions.iter().map(|(hash, at)| (*hash, *at)).collect();
        let tokens = self.tokens.iter().map(|(id, (at, from))| (*id, *at, from.clone())).collect();
        (sessions, tokens)
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
