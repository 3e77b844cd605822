//! The list of what is never banned.

use rusqlite::Row;

use super::error::Error;
use super::open::Store;
use crate::domain::actor::Actor;
use crate::domain::json;
use crate::domain::never_ban::{MOST, NeverBan, State};

impl Store {
    /// Writes an entry down and gives its number.
    pub fn add_never_ban(&mut self, new: &NeverBan) -> Result<i64, Error> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO never_ban (entry, jails, note, until, at, actor_kind, actor, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        statement.execute((
            &new.entry,
            jails(&new.jails),
            &new.note,
            new.until,
            new.at,
            new.actor.kind(),
            new.actor.name(),
            new.state.number(),
        ))?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Gives an entry other values. What the jails knew of it before is written down as going, where it is given; of that it gives the number.
    pub fn change_never_ban(&mut self, entry: &NeverBan, before: Option<&NeverBan>) -> Result<Option<i64>, Error> {
        let transaction = self.connection.savepoint()?;
        transaction
            .prepare_cached(
                "UPDATE never_ban SET entry = ?2, jails = ?3, note = ?4, until = ?5, state = ?6 WHERE id = ?1",
            )?
            .execute((entry.id, &entry.entry, jails(&entry.jails), &entry.note, entry.until, entry.state.number()))?;
        let mut going = None;
        if let Some(old) = before {
            transaction
                .prepare_cached(
                    "INSERT INTO never_ban (entry, jails, note, until, at, actor_kind, actor, state) VALUES (?1, ?2, '', NULL, ?3, ?4, ?5, ?6)",
                )?
                .execute((
                    &old.entry,
                    jails(&old.jails),
                    old.at,
                    old.actor.kind(),
                    old.actor.name(),
                    State::Going.number(),
                ))?;
            going = Some(transaction.last_insert_rowid());
        }
        transaction.commit()?;
        Ok(going)
    }

    /// Notes where entries are on their way.
    pub fn set_never_ban_state(&mut self, ids: &[i64], state: State) -> Result<(), Error> {
        let transaction = self.connection.savepoint()?;
        for id in ids {
            transaction
                .prepare_cached("UPDATE never_ban SET state = ?2 WHERE id = ?1")?
                .execute((id, state.number()))?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Forgets entries.
    pub fn forget_never_ban(&mut self, ids: &[i64]) -> Result<(), Error> {
        let transaction = self.connection.savepoint()?;
        for id in ids {
            transaction.prepare_cached("DELETE FROM never_ban WHERE id = ?1")?.execute([id])?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// All of them, those that are going included, oldest first.
    pub fn never_ban(&self) -> Result<Vec<NeverBan>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, entry, jails, note, until, at, actor_kind, actor, state FROM never_ban ORDER BY id LIMIT ?1",
        )?;
        let rows = statement.query_map([MOST as i64 * 4], entry)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn jails(names: &[String]) -> String {
    serde_json::json!(names).to_string()
}

fn entry(row: &Row<'_>) -> Result<NeverBan, rusqlite::Error> {
    let (jails, kind): (String, String) = (row.get(2)?, row.get(6)?);
    Ok(NeverBan {
        id: row.get(0)?,
        entry: row.get(1)?,
        // What this program wrote it can read.
        jails: json::read(&jails).unwrap_or_default(),
        note: row.get(3)?,
        until: row.get(4)?,
        at: row.get(5)?,
        actor: Actor::of(&kind, row.get(7)?),
        state: State::of(row.get(8)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open::tests::temporary;

    #[test]
    fn entries_are_kept_changed_and_forgotten() {
        let (_directory, mut store) = temporary();
        let mut one = NeverBan {
            id: 0,
            entry: "192.0.2.1".into(),
            jails: vec!["a".into(), "b, c".into()],
            note: "bui_token [x]\n".into(),
            until: Some(9),
            at: 1,
            actor: Actor::Token("widget".into()),
            state: State::New,
        };
        one.id = store.add_never_ban(&one).unwrap();
        assert_eq!(store.never_ban().unwrap(), [one.clone()]);
        let old = one.clone();
        (one.entry, one.jails, one.until) = ("192.0.2.0/24".into(), vec![], None);
        let going = store.change_never_ban(&one, Some(&old)).unwrap().unwrap();
        let all = store.never_ban().unwrap();
        assert_eq!((&all[0], all[1].id, all[1].state), (&one, going, State::Going));
        assert_eq!((&all[1].entry, &all[1].jails), (&old.entry, &old.jails));
        store.set_never_ban_state(&[one.id], State::InForce).unwrap();
        store.forget_never_ban(&[going]).unwrap();
        assert_eq!(store.never_ban().unwrap()[0].state, State::InForce);
        store.forget_never_ban(&[one.id]).unwrap();
        assert_ne!(store.add_never_ban(&one).unwrap(), one.id, "a number is given once");
    }
}
