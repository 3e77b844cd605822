//! How much room there is in what is bounded, for whoever wants to know before it is full.

use std::collections::BTreeMap;

use serde::Serialize;

use super::error::Error;
use super::open::Store;
use super::{blocklists, changes, devices, sessions, users};
use crate::domain::never_ban::MOST;
use crate::domain::notification;

/// The room in one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Room {
    /// How many there may be.
    pub limit: i64,
    /// How many there are.
    pub used: i64,
}

impl Store {
    /// The room in each list that is bounded, by its name.
    pub fn room(&self, now: i64) -> Result<BTreeMap<&'static str, Room>, Error> {
        let lists = [
            ("sources", blocklists::MOST, "SELECT count(*) FROM blocklist_sources", None),
            ("sessions", sessions::MAX_SESSIONS, "SELECT count(*) FROM sessions WHERE expires_at > ?1", Some(now)),
            (
                "devices",
                devices::MAX_DEVICES,
                "SELECT count(*) FROM devices WHERE last_login > ?1",
                Some(now - devices::DEVICE_SECONDS),
            ),
            ("never_ban", MOST as i64, "SELECT count(*) FROM never_ban WHERE state <> 2", None),
            ("channels", notification::MOST as i64, "SELECT count(*) FROM notification_channels", None),
            ("changes", changes::MOST, "SELECT count(*) FROM changes", None),
            ("users", users::MOST_USERS, "SELECT count(*) FROM users", None),
        ];
        let mut rooms = BTreeMap::new();
        for (name, limit, count, since) in lists {
            let used = self
                .connection
                .prepare_cached(count)?
                .query_row(rusqlite::params_from_iter(since), |row| row.get(0))?;
            rooms.insert(name, Room { limit, used });
        }
        Ok(rooms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open::tests::with_owner;
    use crate::store::users::OWNER_ID;

    #[test]
    fn what_has_ended_takes_no_room() {
        let (_directory, mut store) = with_owner();
        store.add_session(&[1; 32], OWNER_ID, "a", 100, 200).unwrap();
        store.add_session(&[2; 32], OWNER_ID, "a", 100, 300).unwrap();
        store.remember_device(&[3; 32], 100).unwrap();
        let room = |now| store.room(now).unwrap();
        assert_eq!(room(150)["sessions"], Room { limit: 100, used: 2 });
        assert_eq!(room(200)["sessions"].used, 1);
        assert_eq!(room(100 + devices::DEVICE_SECONDS - 1)["devices"].used, 1);
        assert_eq!(room(100 + devices::DEVICE_SECONDS)["devices"].used, 0);
        assert_eq!((room(150)["sources"].used, room(150)["changes"].used), (0, 0));
    }
}
