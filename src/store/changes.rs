//! The applied changes of configuration files: a row for each, kept for as long as there is room.

use rusqlite::OptionalExtension;

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
    /// The files before and after, as JSON.
    pub files: String,
    /// What was loaded, and what did not go as it should, as JSON.
    pub effect: String,
}

impl Store {
    /// Writes down a change; those that are too old for the room there is go. Gives its number.
    pub fn add_change(&mut self, at: i64, actor: &Actor, files: &str, effect: &str) -> Result<i64, Error> {
        let transaction = self.connection.transaction()?;
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
        transaction.commit()?;
        Ok(id)
    }

    /// The changes, the latest first: at most a hundred.
    pub fn changes(&self) -> Result<Vec<Change>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, at, actor_kind, actor, files, effect FROM changes ORDER BY id DESC LIMIT 100",
        )?;
        let rows = statement.query_map([], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// One of them; `None` where it is not kept.
    pub fn change(&self, id: i64) -> Result<Option<Change>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, at, actor_kind, actor, files, effect FROM changes WHERE id = ?1")?;
        Ok(statement.query_row([id], read).optional()?)
    }
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Change> {
    let kind: String = row.get(2)?;
    Ok(Change {
        id: row.get(0)?,
        at: row.get(1)?,
        actor: Actor::of(&kind, row.get(3)?),
        files: row.get(4)?,
        effect: row.get(5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open::tests::temporary;

    #[test]
    fn the_latest_changes_are_kept_with_who_made_them() {
        let (_directory, mut store) = temporary();
        for number in 0..MOST + 20 {
            store.add_change(number, &Actor::User("admin".into()), "[]", "{}").unwrap();
        }
        let changes = store.changes().unwrap();
        assert_eq!((changes.len() as i64, changes[0].at), (MOST, MOST + 19));
        assert_eq!(changes[0].actor, Actor::User("admin".into()));
        assert_eq!(store.change(changes[99].id).unwrap().as_ref(), Some(&changes[99]));
        assert_eq!(store.change(1).unwrap(), None);
    }

    #[test]
    fn large_changes_make_old_ones_go_and_stay_themselves() {
        let (_directory, mut store) = temporary();
        let large = "x".repeat(MOST_BYTES as usize / 2 - 10);
        for at in 0..4 {
            store.add_change(at, &Actor::System, &large, "{}").unwrap();
        }
        let kept: Vec<i64> = store.changes().unwrap().iter().map(|change| change.at).collect();
        assert_eq!(kept, [3, 2]);
        store.add_change(4, &Actor::Console, &large.repeat(3), "{}").unwrap();
        assert_eq!(store.changes().unwrap().len(), 1);
    }
}
