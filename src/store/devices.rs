//! The table `devices`: those that have logged in before. A device is never an identity; it only has a budget of failed logins of its own,
//! so that strangers who guess passwords do not keep its owner out.

use super::error::Error;
use super::open::{Store, TokenHash};

/// Devices that are remembered. Those that came back are kept before those that logged in once.
pub(super) const MAX_DEVICES: i64 = 20;
/// How long after its last login a device is known, in seconds: 90 days.
pub const DEVICE_SECONDS: i64 = 90 * 24 * 3600;

impl Store {
    /// The devices that have logged in within the last 90 days, a few.
    pub fn known_devices(&self, now: i64) -> Result<Vec<TokenHash>, Error> {
        let mut statement = self.connection.prepare_cached("SELECT device_hash FROM devices WHERE last_login > ?1")?;
        let known = statement.query_map([now - DEVICE_SECONDS], |row| row.get(0))?;
        Ok(known.collect::<Result<_, _>>()?)
    }

    /// Remembers a device that has just logged in.
    pub fn remember_device(&mut self, device: &TokenHash, now: i64) -> Result<(), Error> {
        let transaction = self.connection.savepoint()?;
        transaction.execute("DELETE FROM devices WHERE last_login <= ?1", [now - DEVICE_SECONDS])?;
        transaction.execute(
            "INSERT INTO devices (device_hash, last_login, logins) VALUES (?1, ?2, 1)
             ON CONFLICT (device_hash) DO UPDATE SET last_login = excluded.last_login, logins = logins + 1",
            (device, now),
        )?;
        transaction.execute(
            "DELETE FROM devices WHERE device_hash IN (SELECT device_hash FROM devices
             ORDER BY device_hash = ?1 DESC, logins > 1 DESC, last_login DESC, device_hash LIMIT -1 OFFSET ?2)",
            (device, MAX_DEVICES),
        )?;
        transaction.commit()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::OWNER_ID;
    use crate::store::open::tests::temporary;

    impl Store {
        fn is_known_device(&self, device: &TokenHash, now: i64) -> Result<bool, Error> {
            Ok(self.known_devices(now)?.contains(device))
        }
    }

    fn device(number: u8) -> TokenHash {
        [number; 32]
    }

    #[test]
    fn a_device_is_known_for_90_days_after_its_last_login() {
        let (_directory, mut store) = temporary();
        store.remember_device(&device(1), 1_000).unwrap();
        assert!(store.is_known_device(&device(1), 1_000 + DEVICE_SECONDS - 1).unwrap());
        assert!(!store.is_known_device(&device(1), 1_000 + DEVICE_SECONDS).unwrap());
        assert!(!store.is_known_device(&device(2), 1_000).unwrap());
    }

    #[test]
    fn logins_of_a_script_do_not_push_out_a_device_that_came_back() {
        let (_directory, mut store) = temporary();
        store.remember_device(&device(1), 10).unwrap();
        store.remember_device(&device(1), 20).unwrap();
        for number in 100..180 {
            store.remember_device(&device(number), 30 + i64::from(number)).unwrap();
        }
        assert!(store.is_known_device(&device(1), 300).unwrap());
        let kept = (100..180).filter(|number| store.is_known_device(&device(*number), 300).unwrap()).count();
        assert_eq!(kept, 19);
    }

    #[test]
    fn a_change_of_password_ends_them_all() {
        let (_directory, mut store) = temporary();
        store.remember_device(&device(1), 10).unwrap();
        store.change_password(OWNER_ID, "hash", None).unwrap();
        assert!(!store.is_known_device(&device(1), 10).unwrap());
    }
}
