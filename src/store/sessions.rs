//! The table `sessions`. A token is never stored, only its SHA-256.

use rusqlite::{OptionalExtension, Transaction};

use super::error::Error;
use super::open::{Store, TokenHash};

/// Sessions at a time; the one that ends first makes room for a new one.
pub(super) const MAX_SESSIONS: i64 = 100;

/// Before this, 2023-11-14, no machine that runs this program has its clock right: it has none that runs without power, and has not asked
/// for the time yet. What was stored by such a clock is taken to be stored when it is set.
const CLOCK_IS_SET: i64 = 1_700_000_000;

/// A session that is still good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Known by this.
    pub token_hash: TokenHash,
    /// When its login was, in Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub expires_at: i64,
}

impl Store {
    /// The session of a token, while it is good.
    pub fn session(&self, token_hash: &TokenHash, now: i64) -> Result<Option<Session>, Error> {
        if self.ended.contains(token_hash) {
            return Ok(None);
        }
        let mut statement =
            self.connection.prepare_cached("SELECT created_at, expires_at FROM sessions WHERE token_hash = ?1")?;
        let times = statement.query_row([token_hash], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let session = times.map(|(created_at, expires_at)| {
            let (created_at, expires_at) = as_set(created_at, expires_at, now);
            Session { token_hash: *token_hash, created_at, expires_at }
        });
        Ok(session.filter(|session| session.expires_at > now))
    }

    /// Has a session end later.
    pub fn prolong_session(&mut self, token_hash: &TokenHash, expires_at: i64) -> Result<(), Error> {
        self.connection
            .execute("UPDATE sessions SET expires_at = ?2 WHERE token_hash = ?1", (token_hash, expires_at))?;
        Ok(())
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
        expire_sessions(&transaction, now)?;
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

    /// Whether a client has a good session: strangers cannot lock it out.
    pub fn has_session(&self, client: &str, now: i64) -> Result<bool, Error> {
        let mut statement =
            self.connection.prepare_cached("SELECT 1 FROM sessions WHERE client = ?1 AND expires_at > ?2 LIMIT 1")?;
        Ok(statement.exists((client, now))?)
    }

    /// Removes what has expired: sessions, login failures and counters.
    pub fn expire(&mut self, now: i64) -> Result<(), Error> {
        let transaction = self.connection.transaction()?;
        expire_sessions(&transaction, now)?;
        transaction.execute(
            "DELETE FROM login_failures WHERE blocked_until <= ?1 AND window_start <= ?1 - CASE blocks WHEN 0 THEN 900 ELSE ?2 END",
            [now, super::logins::FORGET_AFTER],
        )?;
        transaction.execute("DELETE FROM counters WHERE window_start <= ?1 - 3600", [now])?;
        transaction.commit()?;
        Ok(())
    }
}

/// When a session begins and ends: one that was begun by a clock that was not set begins when it is.
fn as_set(created_at: i64, expires_at: i64, now: i64) -> (i64, i64) {
    if created_at < CLOCK_IS_SET && now >= CLOCK_IS_SET {
        (now, now + (expires_at - created_at))
    } else {
        (created_at, expires_at)
    }
}

fn expire_sessions(transaction: &Transaction<'_>, now: i64) -> rusqlite::Result<()> {
    if now >= CLOCK_IS_SET {
        transaction.execute(
            "UPDATE sessions SET expires_at = ?1 + expires_at - created_at, created_at = ?1 WHERE created_at < ?2",
            [now, CLOCK_IS_SET],
        )?;
    }
    transaction.execute("DELETE FROM sessions WHERE expires_at <= ?1", [now])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open::tests::temporary;

    #[test]
    fn a_session_ends_with_its_time_or_by_logout() {
        let (_directory, mut store) = temporary();
        store.add_session(&[1; 32], "a", 100, 200).unwrap();
        store.add_session(&[2; 32], "a", 100, 200).unwrap();
        assert!(store.session(&[1; 32], 199).unwrap().is_some());
        assert!(store.session(&[1; 32], 200).unwrap().is_none());
        assert!(store.has_session("a", 150).unwrap() && !store.has_session("b", 150).unwrap());
        assert!(!store.has_session("a", 200).unwrap(), "one that is over makes nobody known");
        assert!(matches!(store.end_session(&[2; 32]), crate::store::Ended::Noted));
        assert!(store.session(&[2; 32], 150).unwrap().is_none());
        store.change_password("x").unwrap();
        assert!(store.session(&[1; 32], 150).unwrap().is_none());
    }

    #[test]
    fn a_session_of_before_the_clock_was_set_lasts_its_time_from_then_on() {
        let (_directory, mut store) = temporary();
        let hash = [1; 32];
        store.add_session(&hash, "a", 100, 700).unwrap();
        let set = CLOCK_IS_SET + 5;
        assert_eq!(store.session(&hash, set).unwrap().unwrap().expires_at, set + 600);
        store.expire(set + 10).unwrap();
        assert!(store.session(&hash, set + 609).unwrap().is_some());
        assert!(store.session(&hash, set + 610).unwrap().is_none());
        store.add_session(&[2; 32], "a", set + 700, set + 800).unwrap();
        store.expire(set + 900).unwrap();
        assert!(store.session(&[2; 32], set + 750).unwrap().is_none(), "expired like any other");
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
