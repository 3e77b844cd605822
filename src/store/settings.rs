//! The table `settings`: what setup stored, and settings changed through the API.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension};

use super::error::Error;
use super::open::Store;

/// What setup stored. Ranks below arguments, environment and file.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// The Argon2id hash of the master password in PHC form; its presence means that setup is done.
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
        let transaction = self.connection.transaction()?;
        for (key, value) in pairs {
            set(&transaction, key, value)?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Writes settings, or forgets those without a text: all or none.
    pub fn change_settings(&mut self, pairs: &[(String, Option<String>)]) -> Result<(), Error> {
        let transaction = self.connection.transaction()?;
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
            password_hash: self.setting("password_hash")?,
            fail2ban_socket: self.setting("fail2ban_socket")?.map(PathBuf::from),
            session_minutes: self.setting("session_minutes")?.and_then(|text| text.parse().ok()),
        })
    }

    /// Completes setup in one transaction. False: it was complete already, and nothing is changed.
    pub fn complete_setup(&mut self, password_hash: &str, others: &[(&str, &str)]) -> Result<bool, Error> {
        let transaction = self.connection.transaction()?;
        let added = transaction.execute(
            "INSERT INTO settings (key, value) VALUES ('password_hash', ?1) ON CONFLICT (key) DO NOTHING",
            [password_hash],
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

    /// Replaces the password, ends every session, forgets every device and lifts every lock on logins, in one transaction.
    pub fn change_password(&mut self, password_hash: &str) -> Result<(), Error> {
        let transaction = self.connection.transaction()?;
        set(&transaction, "password_hash", password_hash)?;
        for table in ["sessions", "devices", "login_failures"] {
            transaction.execute(&format!("DELETE FROM {table}"), [])?;
        }
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
