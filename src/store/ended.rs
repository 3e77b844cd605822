//! Where the end of a session is noted while the database takes no writes: a file beside it, whose room was taken while there was some.
//!
//! Writing over what is there needs no new room on most file systems. On those where it does (they never write in place), the file is removed
//! instead, which all of them can do when they are full: that it is gone means that every session is over. A file system that takes no
//! changes at all can keep neither.

use super::ended_file::PLACES;
use super::error::Error;
use super::open::{Store, TokenHash};

/// The setting that holds the name of the file, once there is one.
const SETTING: &str = "ended_file";

/// What has become of the end of a session. It is over in any case.
#[derive(Debug)]
pub enum Ended {
    /// The database knows it.
    Noted,
    /// The database does not, for this reason, but it stays over.
    Aside(Error),
    /// Only this process knows it: after a restart it would be good again.
    Here(Error),
}

impl Store {
    /// Reads what was noted while the database took no writes, and sees to it that there is room for more.
    pub(super) fn find_ended(&mut self) -> Result<(), Error> {
        let name = self.ended_file.path.to_string_lossy().into_owned();
        match self.ended_file.read() {
            Some(hashes) => self.ended = hashes,
            None if self.setting(SETTING)?.as_deref() == Some(&name) => self.end_every_session()?,
            None => {}
        }
        // Without room it is tried again when there is some.
        if let Err(error) = self.end_sessions_again() {
            log::warn!("sessions that were ended are over, and the database cannot note it yet: {error}");
        }
        Ok(())
    }

    /// Nobody can say which sessions were ended; so all were.
    fn end_every_session(&mut self) -> Result<(), Error> {
        let mut statement = self.connection.prepare("SELECT token_hash FROM sessions LIMIT ?1")?;
        let hashes = statement.query_map([PLACES as i64], |row| row.get(0))?;
        self.ended = hashes.collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Ends a session.
    pub fn end_session(&mut self, token_hash: &TokenHash) -> Ended {
        let Err(error) = self.delete_session(token_hash) else { return Ended::Noted };
        if self.ended.len() < PLACES && !self.ended.contains(token_hash) {
            self.ended.push(*token_hash);
        }
        let is_there = self.ended_file.file.is_some();
        if is_there && (self.ended_file.write(&self.ended).is_ok() || self.ended_file.remove().is_ok()) {
            return Ended::Aside(error);
        }
        // Removed before, it says the same of this one.
        if !is_there && self.is_ended_file_gone() { Ended::Aside(error) } else { Ended::Here(error) }
    }

    fn is_ended_file_gone(&self) -> bool {
        let name = self.ended_file.path.to_string_lossy().into_owned();
        !self.ended_file.path.exists() && self.setting(SETTING).is_ok_and(|known| known == Some(name))
    }

    fn delete_session(&self, token_hash: &TokenHash) -> Result<(), Error> {
        self.connection.execute("DELETE FROM sessions WHERE token_hash = ?1", [token_hash])?;
        Ok(())
    }

    /// Has the database know of the sessions that were ended while it took no writes.
    pub(super) fn end_sessions_again(&mut self) -> Result<(), Error> {
        let was_empty = self.ended.is_empty();
        for hash in &self.ended {
            self.delete_session(hash)?;
        }
        self.ended.clear();
        let is_new = self.ended_file.file.is_none();
        if was_empty && !is_new {
            return Ok(());
        }
        // What stays in it is of sessions that are no more.
        match self.ended_file.write(&[]) {
            Ok(()) if is_new => {
                let name = self.ended_file.path.to_string_lossy().into_owned();
                if self.setting(SETTING)?.as_deref() != Some(&name) {
                    self.set_settings(&[(SETTING, &name)])?;
                }
            }
            Ok(()) => {}
            Err(error) => log::warn!("cannot write {}: {error}", self.ended_file.path.display()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::store::OWNER_ID;
    use crate::store::open::tests::with_owner;

    fn with_sessions() -> (tempfile::TempDir, Store, PathBuf) {
        let (directory, mut store) = with_owner();
        for number in 1..4 {
            store.add_session(&[number; 32], OWNER_ID, "a", 100, 200).unwrap();
        }
        let path = store.path().to_owned();
        (directory, store, path)
    }

    fn good(store: &Store) -> Vec<u8> {
        (1..4).filter(|number| store.session(&[*number; 32], 150).unwrap().is_some()).collect()
    }

    /// Lets nothing be deleted, as a full disk would, though not of its own accord.
    fn fill(store: &Store, is_full: bool) {
        store.connection.pragma_update(None, "query_only", is_full).unwrap();
    }

    #[test]
    fn what_the_database_could_not_note_is_known_after_a_kill() {
        let (_directory, mut store, path) = with_sessions();
        fill(&store, true);
        assert!(matches!(store.end_session(&[2; 32]), Ended::Aside(_)));
        assert!(matches!(store.end_session(&[3; 32]), Ended::Aside(_)));
        assert_eq!(good(&store), [1]);
        drop(store);
        let store = Store::open(&path).unwrap();
        assert_eq!(good(&store), [1]);
        assert_eq!(store.ended_file.read().unwrap(), Vec::<TokenHash>::new(), "the database knows it now");
    }

    #[test]
    fn a_file_that_is_gone_ends_every_session_and_another_database_has_another() {
        let (_directory, mut store, path) = with_sessions();
        fill(&store, true);
        store.ended_file.remove().unwrap();
        assert!(matches!(store.end_session(&[2; 32]), Ended::Aside(_)));
        drop(store);
        let mut store = Store::open(&path).unwrap();
        assert_eq!(good(&store), Vec::<u8>::new());
        store.add_session(&[1; 32], OWNER_ID, "a", 100, 200).unwrap();
        let other = path.with_file_name("other.db");
        store.move_to(&other).unwrap();
        drop(store);
        let store = Store::open(&other).unwrap();
        assert_eq!(good(&store), [1], "the copy never had one");
    }

    #[test]
    fn without_a_file_only_this_process_knows_and_that_is_said() {
        let (_directory, mut store, _path) = with_sessions();
        store.set_settings(&[(SETTING, "")]).unwrap();
        store.ended_file.remove().unwrap();
        fill(&store, true);
        assert!(matches!(store.end_session(&[2; 32]), Ended::Here(_)));
        fill(&store, false);
        store.end_sessions_again().unwrap();
        assert_eq!(good(&store), [1, 3]);
        assert!(store.ended_file.read().is_some(), "there is one from now on");
    }
}
