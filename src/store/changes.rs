//! The applied changes of configuration files: a row for each, kept for as long as there is room.

use rusqlite::{Connection, OptionalExtension};

use super::error::Error;
use super::open::Store;
use crate::domain::actor::Actor;

/// How many are kept.
pub(super) const MOST: i64 = 100;
/// How many bytes of files all of them together may hold; the latest is kept whatever its size.
const MOST_BYTES: i64 = 4 << 20;

/// A change that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its number, which is never given twice.
    pub id: i64,
    /// When, in Unix seconds.
    pub at: i64,
    /// Who.
    pub actor: Actor,
    /// What it was in short, as JSON; empty where nothing was noted.
    pub about: String,
}

/// A change with everything that is kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeChange {
    /// What a list shows of it.
    pub head: Change,
    /// The files before and after, as JSON.
    pub files: String,
    /// What it was and what it did: two lines of JSON, of which the first is what it was in short.
    pub effect: String,
}

/// A change to be written down.
#[derive(Debug, Clone, Copy)]
pub struct NewChange<'c> {
    /// When, in Unix seconds.
    pub at: i64,
    /// Who.
    pub actor: &'c Actor,
    /// The files before and after, as JSON.
    pub files: &'c str,
    /// What it was and what it did: two lines of JSON, of which the first is what it was in short.
    pub effect: &'c str,
}

/// A file as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenFile {
    /// Its path below the configuration directory.
    pub path: String,
    /// What its text adds up to.
    pub hash: FileHash,
    /// Its text; `None` for a file that is no longer there.
    pub text: Option<String>,
}

/// The first bytes of the SHA-256 of a file.
pub type FileHash = [u8; 16];

impl Store {
    /// Writes down a change and the files as it has left them; those that are too old for the room there is go. Gives its number.
    pub fn add_change(&mut self, change: NewChange<'_>, seen: &[SeenFile]) -> Result<i64, Error> {
        let NewChange { at, actor, files, effect } = change;
        let transaction = self.connection.savepoint()?;
        transaction
            .prepare_cached(
                "INSERT INTO changes (at, actor_kind, actor, bytes, files, effect) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute((at, actor.kind(), actor.name(), files.len() as i64, files, effect))?;
        let id = transaction.last_insert_rowid();
        transaction
            .prepare_cached(
                "DELETE FROM changes WHERE id <> ?1 AND (id <= ?1 - ?2 OR id IN (
                     SELECT id FROM (SELECT id, sum(bytes) OVER (ORDER BY id DESC) AS total FROM changes) WHERE total > ?3))",
            )?
            .execute((id, MOST, MOST_BYTES))?;
        see(&transaction, seen)?;
        transaction.commit()?;
        Ok(id)
    }

    /// The changes, the latest first: at most a hundred.
    pub fn changes(&self) -> Result<Vec<Change>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, at, actor_kind, actor, substr(effect, 1, max(instr(effect, char(10)) - 1, 0)) FROM changes ORDER BY id DESC LIMIT 100",
        )?;
        let rows = statement.query_map([], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// One of them; `None` where it is not kept.
    pub fn change(&self, id: i64) -> Result<Option<WholeChange>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, at, actor_kind, actor, substr(effect, 1, max(instr(effect, char(10)) - 1, 0)), files, effect FROM changes WHERE id = ?1",
        )?;
        let whole =
            |row: &rusqlite::Row<'_>| Ok(WholeChange { head: read(row)?, files: row.get(5)?, effect: row.get(6)? });
        Ok(statement.query_row([id], whole).optional()?)
    }

    /// The number that the next change gets.
    pub fn next_change(&self) -> Result<i64, Error> {
        let mut statement = self.connection.prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'changes'")?;
        let last: Option<i64> = statement.query_row([], |row| row.get(0)).optional()?;
        Ok(last.unwrap_or(0) + 1)
    }

    /// The files as they were last seen, without their texts.
    pub fn seen_files(&self) -> Result<Vec<(String, FileHash)>, Error> {
        let mut statement = self.connection.prepare_cached("SELECT path, hash FROM seen_files ORDER BY path")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What a file held when it was last seen; `None` where there was none.
    pub fn seen_text(&self, path: &str) -> Result<Option<String>, Error> {
        let mut statement = self.connection.prepare_cached("SELECT text FROM seen_files WHERE path = ?1")?;
        Ok(statement.query_row([path], |row| row.get(0)).optional()?)
    }

    /// Notes files as they are seen for the first time.
    pub fn see_files(&mut self, seen: &[SeenFile]) -> Result<(), Error> {
        let transaction = self.connection.savepoint()?;
        see(&transaction, seen)?;
        transaction.commit()?;
        Ok(())
    }
}

fn see(transaction: &Connection, seen: &[SeenFile]) -> Result<(), Error> {
    let mut put =
        transaction.prepare_cached("INSERT OR REPLACE INTO seen_files (path, hash, text) VALUES (?1, ?2, ?3)")?;
    let mut drop = transaction.prepare_cached("DELETE FROM seen_files WHERE path = ?1")?;
    for file in seen {
        match &file.text {
            Some(text) => put.execute((&file.path, file.hash, text))?,
            None => drop.execute([&file.path])?,
        };
    }
    Ok(())
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Change> {
    let kind: String = row.get(2)?;
    Ok(Change { id: row.get(0)?, at: row.get(1)?, actor: Actor::of(&kind, row.get(3)?), about: row.get(4)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open::tests::temporary;

    fn add(store: &mut Store, at: i64, files: &str) -> i64 {
        let actor = Actor::User("admin".into());
        let effect = "{\"paths\":[\"jail.d/x.local\"]}\n{}";
        store.add_change(NewChange { at, actor: &actor, files, effect }, &[]).unwrap()
    }

    #[test]
    fn the_latest_changes_are_kept_with_who_made_them() {
        let (_directory, mut store) = temporary();
        assert_eq!(store.next_change().unwrap(), 1);
        for number in 0..MOST + 20 {
            add(&mut store, number, "[]");
        }
        let changes = store.changes().unwrap();
        assert_eq!((changes.len() as i64, changes[0].at), (MOST, MOST + 19));
        assert_eq!(changes[0].actor, Actor::User("admin".into()));
        assert_eq!(changes[0].about, r#"{"paths":["jail.d/x.local"]}"#);
        assert_eq!(store.change(changes[99].id).unwrap().map(|whole| whole.head).as_ref(), Some(&changes[99]));
        assert_eq!(store.change(1).unwrap(), None);
        assert_eq!(store.next_change().unwrap(), changes[0].id + 1);
    }

    #[test]
    fn large_changes_make_old_ones_go_and_stay_themselves() {
        let (_directory, mut store) = temporary();
        let large = "x".repeat(MOST_BYTES as usize / 2 - 10);
        for at in 0..4 {
            add(&mut store, at, &large);
        }
        let kept: Vec<i64> = store.changes().unwrap().iter().map(|change| change.at).collect();
        assert_eq!(kept, [3, 2]);
        add(&mut store, 4, &large.repeat(3));
        assert_eq!(store.changes().unwrap().len(), 1);
    }

    #[test]
    fn files_are_seen_replaced_and_forgotten() {
        let (_directory, mut store) = temporary();
        let file =
            |text: Option<&str>| SeenFile { path: "jail.local".into(), hash: [7; 16], text: text.map(str::to_owned) };
        store.see_files(&[file(Some("a"))]).unwrap();
        store.see_files(&[file(Some("b"))]).unwrap();
        assert_eq!(store.seen_files().unwrap(), [("jail.local".to_owned(), [7; 16])]);
        assert_eq!(store.seen_text("jail.local").unwrap().as_deref(), Some("b"));
        store.see_files(&[file(None)]).unwrap();
        assert_eq!(store.seen_files().unwrap(), []);
    }
}
