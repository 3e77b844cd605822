//! The table `sessions`. A token is never stored, only its SHA-256.

use rusqlite::OptionalExtension;

use super::{Error, Store};

/// Sessions at a time; the one that ends first makes room for a new one.
const MAX_SESSIONS: i64 = 100;

/// The SHA-256 of a token.
pub type TokenHash = [u8; 32];

/// A session that is still good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Known by this.
    pub token_hash: TokenHash,
    /// Unix seconds.
    pub expires_at: i64,
}

impl Store {
    /// The session of a token, while it is good.
    pub fn session(&self, token_hash: &TokenHash, now: i64) -> Result<Option<Session>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT expires_at FROM sessions WHERE token_hash = ?1 AND expires_at > ?2")?;
        let expires_at = statement.query_row((token_hash, now), |row| row.get(0)).optional()?;
        Ok(expires_at.map(|expires_at| Session { token_hash: *token_hash, expires_at }))
    }

    /// Adds a session. When there are too many, those that end first go.
    pub fn add_session(
        &mut self,
        token_hash: &TokenHash,
        client: &str,
        now: i64,
        expires_at: i64,
    ) -> Result<(), Error> {
        let transaction = self.connection.transaction()?;
        transaction.execute("DELETE FROM sessions WHERE expires_at <= ?1", [now])?;
        transaction.execute(
            "INSERT INTO sessions (token_hash, client, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
            (token_hash, client, now, expires_at),
        )?;
        transaction.execute(
            "DELETE FROM sessions WHERE token_hash IN
             (SELECT token_hash FROM sessions ORDER BY expires_at DESC, token_hash LIMIT -1 OFFSET ?1)",
            [MAX_SESSIONS],
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// Ends a session.
    pub fn end_session(&mut self, token_hash: &TokenHash) -> Result<(), Error> {
        self.connection.execute("DELETE FROM sessions WHERE token_hash = ?1", [token_hash])?;
        Ok(())
    }

    /// Whether a client has a good session: strangers cannot lock it out.
    pub fn has_session(&self, client: &str, now: i64) -> Result<bool, Error> {
        let mut statement =
            self.connection.prepare_cached("SELECT 1 FROM sessions WHERE client = ?1 AND expires_at > ?2 LIMIT 1")?;
        Ok(statement.exists((client, now))?)
    }

    /// Removes what has expired: sessions, login failures and counters.
    pub fn expire(&mut self, now: i64) -> Result<(), Error> {
        let transaction = self.connection.transaction()?;
        transaction.execute("DELETE FROM sessions WHERE expires_at <= ?1", [now])?;
        transaction.execute(
            "DELETE FROM login_failures WHERE blocked_until <= ?1 AND window_start <= ?1 - CASE blocks WHEN 0 THEN 900 ELSE ?2 END",
            [now, super::logins::FORGET_AFTER],
        )?;
        transaction.execute("DELETE FROM counters WHERE window_start <= ?1 - 3600", [now])?;
        transaction.commit()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::temporary;

    #[test]
    fn a_session_ends_with_its_time_or_by_logout() {
        let (_directory, mut store) = temporary();
        store.add_session(&[1; 32], "a", 100, 200).unwrap();
        store.add_session(&[2; 32], "a", 100, 200).unwrap();
        assert!(store.session(&[1; 32], 199).unwrap().is_some());
        assert!(store.session(&[1; 32], 200).unwrap().is_none());
        assert!(store.has_session("a", 150).unwrap() && !store.has_session("b", 150).unwrap());
        store.end_session(&[2; 32]).unwrap();
        assert!(store.session(&[2; 32], 150).unwrap().is_none());
        store.change_password("x").unwrap();
        assert!(store.session(&[1; 32], 150).unwrap().is_none());
    }

    #[test]
    fn the_oldest_session_makes_room() {
        let (_directory, mut store) = temporary();
        for number in 0..=MAX_SESSIONS as u8 {
            store.add_session(&[number; 32], "a", 100, 200 + i64::from(number)).unwrap();
        }
        assert!(store.session(&[0; 32], 101).unwrap().is_none());
        assert!(store.session(&[1; 32], 101).unwrap().is_some());
    }
}
