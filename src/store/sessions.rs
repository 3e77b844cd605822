//! The table `sessions`. A token is never stored, only its SHA-256.

use rusqlite::{Connection, OptionalExtension, Row};

use super::error::Error;
use super::open::{Store, TokenHash};
use super::tokens;
use super::users::User;

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
    /// Whose it is.
    pub user: User,
    /// When its login was, in Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub expires_at: i64,
}

/// A session as its user sees it.
#[derive(Clone, Debug)]
pub struct SessionSeen {
    /// The session.
    pub session: Session,
    /// The client that logged in.
    pub client: String,
    /// When it was last used, in Unix seconds, as far as that is stored.
    pub used_at: i64,
}

impl Store {
    /// The session of a token, while it is good.
    pub fn session(&self, token_hash: &TokenHash, now: i64) -> Result<Option<Session>, Error> {
        if self.ended.contains(token_hash) {
            return Ok(None);
        }
        let mut statement = self.connection.prepare_cached(
            "SELECT users.id, name, role, sessions.created_at, expires_at
             FROM sessions JOIN users ON users.id = sessions.user WHERE token_hash = ?1",
        )?;
        let session = statement.query_row([token_hash], |row| read(row, *token_hash, now)).optional()?;
        Ok(session.filter(|session| session.expires_at > now))
    }

    /// The good sessions of a user, newest first.
    pub fn sessions_of(&self, user: i64, now: i64) -> Result<Vec<SessionSeen>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT users.id, name, role, sessions.created_at, expires_at, token_hash, client, used_at
             FROM sessions JOIN users ON users.id = sessions.user WHERE user = ?1 ORDER BY sessions.created_at DESC, token_hash",
        )?;
        let seen = statement.query_map([user], |row| {
            Ok(SessionSeen { session: read(row, row.get(5)?, now)?, client: row.get(6)?, used_at: row.get(7)? })
        })?;
        let is_good =
            |seen: &SessionSeen| seen.session.expires_at > now && !self.ended.contains(&seen.session.token_hash);
        Ok(seen.collect::<Result<Vec<_>, _>>()?.into_iter().filter(is_good).collect())
    }

    /// Ends every session of a user but one.
    pub fn end_other_sessions(&mut self, user: i64, kept: &TokenHash) -> Result<usize, Error> {
        let sql = "DELETE FROM sessions WHERE user = ?1 AND token_hash <> ?2";
        Ok(self.connection.execute(sql, (user, kept))?)
    }

    /// Writes when sessions and tokens were last used, and from where the tokens, in one transaction.
    pub fn note_uses(&mut self, sessions: &[(TokenHash, i64)], tokens: &[(i64, i64, String)]) -> Result<(), Error> {
        let transaction = self.connection.savepoint()?;
        for (hash, at) in sessions {
            transaction
                .prepare_cached("UPDATE sessions SET used_at = ?2 WHERE token_hash = ?1")?
                .execute((hash, at))?;
        }
        for (id, at, from) in tokens {
            tokens::note_use(&transaction, *id, *at, from)?;
        }
        transaction.commit()?;
        Ok(())
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
        user: i64,
        client: &str,
        now: i64,
        expires_at: i64,
    ) -> Result<(), Error> {
        let transaction = self.connection.savepoint()?;
        expire_sessions(&transaction, now)?;
        transaction.execute(
            "INSERT INTO sessions (token_hash, user, client, created_at, expires_at, used_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?4)",
            (token_hash, user, client, now, expires_at),
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
        let transaction = self.connection.savepoint()?;
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

/// A session from the first five columns of a row.
fn read(row: &Row<'_>, token_hash: TokenHash, now: i64) -> rusqlite::Result<Session> {
    let (created_at, expires_at) = as_set(row.get(3)?, row.get(4)?, now);
    Ok(Session { token_hash, user: User::read(row, 0)?, created_at, expires_at })
}

/// When a session begins and ends: one that was begun by a clock that was not set begins when it is.
fn as_set(created_at: i64, expires_at: i64, now: i64) -> (i64, i64) {
    if created_at < CLOCK_IS_SET && now >= CLOCK_IS_SET {
        (now, now + (expires_at - created_at))
    } else {
        (created_at, expires_at)
    }
}

fn expire_sessions(transaction: &Connection, now: i64) -> rusqlite::Result<()> {
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
    use crate::store::open::tests::with_owner;
    use crate::store::users::OWNER_ID;

    #[test]
    fn a_session_ends_with_its_time_or_by_logout() {
        let (_directory, mut store) = with_owner();
        store.add_session(&[1; 32], OWNER_ID, "a", 100, 200).unwrap();
        store.add_session(&[2; 32], OWNER_ID, "a", 100, 200).unwrap();
        assert!(store.session(&[1; 32], 199).unwrap().is_some());
        assert!(store.session(&[1; 32], 200).unwrap().is_none());
        assert!(store.has_session("a", 150).unwrap() && !store.has_session("b", 150).unwrap());
        assert!(!store.has_session("a", 200).unwrap(), "one that is over makes nobody known");
        assert!(matches!(store.end_session(&[2; 32]), crate::store::Ended::Noted));
        assert!(store.session(&[2; 32], 150).unwrap().is_none());
        store.change_password(OWNER_ID, "x", None).unwrap();
        assert!(store.session(&[1; 32], 150).unwrap().is_none());
    }

    #[test]
    fn a_session_of_before_the_clock_was_set_lasts_its_time_from_then_on() {
        let (_directory, mut store) = with_owner();
        let hash = [1; 32];
        store.add_session(&hash, OWNER_ID, "a", 100, 700).unwrap();
        let set = CLOCK_IS_SET + 5;
        assert_eq!(store.session(&hash, set).unwrap().unwrap().expires_at, set + 600);
        store.expire(set + 10).unwrap();
        assert!(store.session(&hash, set + 609).unwrap().is_some());
        assert!(store.session(&hash, set + 610).unwrap().is_none());
        store.add_session(&[2; 32], OWNER_ID, "a", set + 700, set + 800).unwrap();
        store.expire(set + 900).unwrap();
        assert!(store.session(&[2; 32], set + 750).unwrap().is_none(), "expired like any other");
    }

    #[test]
    fn the_oldest_session_makes_room() {
        let (_directory, mut store) = with_owner();
        for number in 0..=MAX_SESSIONS as u8 {
            store.add_session(&[number; 32], OWNER_ID, "a", 100, 200 + i64::from(number)).unwrap();
        }
        assert!(store.session(&[0; 32], 101).unwrap().is_none());
        assert!(store.session(&[1; 32], 101).unwrap().is_some());
    }
}
