//! The table `settings`: what setup stored, and settings changed through the API.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension};

use super::error::Error;
use super::open::{Store, TokenHash};
use super::users::OWNER_ID;
use crate::domain::actor::OWNER;
use crate::domain::permission::Role;
use crate::domain::time;

/// What setup stored. Ranks below arguments, environment and file.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// The Argon2id hash of the owner's password in PHC form; its presence means that setup is done.
    pub password_hash: Option<String>,
    /// fail2ban's socket.
    pub fail2ban_socket: Option<PathBuf>,
    /// How long a session lasts, in minutes.
    pub session_minutes: Option<u32>,
}

/// Writes a setting. The transaction is somebody else's.
pub(super) fn set(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO settings (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    connection.prepare_cached(sql)?.execute([key, value]).map(drop)
}

impl Store {
    /// A setting's text.
    pub fn setting(&self, key: &str) -> Result<Option<String>, Error> {
        let mut statement = self.connection.prepare_cached("SELECT value FROM settings WHERE key = ?1")?;
        Ok(statement.query_row([key], |row| row.get(0)).optional()?)
    }

    /// Writes settings, all or none.
    pub fn set_settings(&mut self, pairs: &[(&str, &str)]) -> Result<(), Error> {
        let transaction = self.connection.savepoint()?;
        for (key, value) in pairs {
            set(&transaction, key, value)?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Writes settings, or forgets those without a text: all or none.
    pub fn change_settings(&mut self, pairs: &[(String, Option<String>)]) -> Result<(), Error> {
        let transaction = self.connection.savepoint()?;
        for (key, text) in pairs {
            match text {
                Some(text) => set(&transaction, key, text)?,
                None => _ = transaction.execute("DELETE FROM settings WHERE key = ?1", [key])?,
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// What setup stored.
    pub fn stored(&self) -> Result<Stored, Error> {
        Ok(Stored {
            password_hash: self.user(OWNER)?.map(|owner| owner.password_hash),
            fail2ban_socket: self.setting("fail2ban_socket")?.map(PathBuf::from),
            session_minutes: self.setting("session_minutes")?.and_then(|text| text.parse().ok()),
        })
    }

    /// Completes setup in one transaction. False: it was complete already, and nothing is changed.
    pub fn complete_setup(&mut self, password_hash: &str, others: &[(&str, &str)]) -> Result<bool, Error> {
        let transaction = self.connection.savepoint()?;
        let added = transaction.execute(
            "INSERT INTO users (id, name, role, password_hash, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
            rusqlite::params![OWNER_ID, OWNER, Role::Admin.as_str(), password_hash, time::now()],
        )?;
        if added == 0 {
            return Ok(false);
        }
        for (key, value) in others {
            set(&transaction, key, value)?;
        }
        transaction.commit()?;
        Ok(true)
    }

    /// Replaces a user's password, ends its sessions but for the one that is kept, and forgets every device, in one transaction.
    pub fn change_password(&mut self, user: i64, password_hash: &str, kept: Option<&TokenHash>) -> Result<(), Error> {
        let transaction = self.connection.savepoint()?;
        transaction.execute("UPDATE users SET password_hash = ?2 WHERE id = ?1", (user, password_hash))?;
        transaction.execute("DELETE FROM sessions WHERE user = ?1 AND token_hash IS NOT ?2", (user, kept))?;
        transaction.execute("DELETE FROM devices", [])?;
        transaction.commit()?;
        Ok(())
    }

    /// The idle state last set here for a jail.
    pub fn jail_idle(&self, jail: &str) -> Result<Option<bool>, Error> {
        let mut statement = self.connection.prepare_cached("SELECT idle FROM jail_idle WHERE jail = ?1")?;
        Ok(statement.query_row([jail], |row| row.get(0)).optional()?)
    }

    /// Remembers the idle state of a jail; `None` forgets it, and without a jail all of them (the daemon has restarted).
    pub fn set_jail_idle(&mut self, jail: Option<&str>, idle: Option<bool>) -> Result<(), Error> {
        match (jail, idle) {
            (Some(jail), Some(idle)) => self.connection.execute(
                "INSERT INTO jail_idle (jail, idle) VALUES (?1, ?2) ON CONFLICT (jail) DO UPDATE SET idle = excluded.idle",
                (jail, idle),
            )?,
            (Some(jail), None) => self.connection.execute("DELETE FROM jail_idle WHERE jail = ?1", [jail])?,
            (None, _) => self.connection.execute("DELETE FROM jail_idle", [])?,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::store::open::tests::temporary;

    #[test]
    fn setup_happens_once() {
        let (_directory, mut store) = temporary();
        assert!(store.complete_setup("first", &[("timezone", "UTC")]).unwrap());
        assert!(!store.complete_setup("second", &[("timezone", "Europe/Rome")]).unwrap());
        let stored = store.stored().unwrap();
        let timezone = store.setting("timezone").unwrap();
        assert_eq!((stored.password_hash.as_deref(), timezone.as_deref()), (Some("first"), Some("UTC")));
    }
}
