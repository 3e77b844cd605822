//! Bans that were made here: when each is to end, why, and who made it. They outlive restarts of everything.

use std::collections::HashSet;
use std::rc::Rc;

use rusqlite::Transaction;

use super::error::Error;
use super::open::Store;
use crate::domain::actor::Actor;
use crate::domain::own_ban::{NEVER, OwnBan};

/// How many are kept: beyond that, the oldest are bans like others.
const MOST: i64 = 20_000;

impl Store {
    /// Writes them down, each in the place of an earlier one of its address. Gives jail and address of those that had to go for it.
    pub fn add_own_bans(&mut self, bans: &[OwnBan]) -> Result<Vec<(String, String)>, Error> {
        let transaction = self.connection.transaction()?;
        let gone = put(&transaction, bans.iter())?;
        transaction.commit()?;
        Ok(gone)
    }

    /// Takes some away.
    pub fn remove_own_bans(&mut self, bans: &[(String, String)]) -> Result<(), Error> {
        let transaction = self.connection.transaction()?;
        take(&transaction, bans)?;
        transaction.commit()?;
        Ok(())
    }

    /// Moves those that were made before a time by so many seconds, with their ends.
    pub fn move_own_bans(&mut self, before: i64, by: i64) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE own_bans SET at = at + ?2, until = iif(until < ?3, until + ?2, until) WHERE at < ?1",
            )?
            .execute((before, by, NEVER))?;
        Ok(())
    }

    /// All of them, by jail and address.
    pub fn own_bans(&self) -> Result<Vec<OwnBan>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT jail, ip, at, until, note, actor_kind, actor FROM own_bans ORDER BY jail, ip LIMIT ?1",
        )?;
        let mut notes: HashSet<Rc<str>> = HashSet::new();
        let rows = statement.query_map([MOST], |row| {
            let note: Rc<str> = row.get::<_, String>(4)?.into();
            let note = notes.get(&note).cloned().unwrap_or(note);
            notes.insert(Rc::clone(&note));
            let kind: String = row.get(5)?;
            let actor = Actor::of(&kind, row.get(6)?);
            Ok(OwnBan { jail: row.get(0)?, ip: row.get(1)?, at: row.get(2)?, until: row.get(3)?, note, actor })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Writes some down. Gives jail and address of those that had to go for it.
pub(super) fn put<'a>(
    transaction: &Transaction<'_>,
    bans: impl Iterator<Item = &'a OwnBan>,
) -> rusqlite::Result<Vec<(String, String)>> {
    for ban in bans {
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO own_bans (jail, ip, at, until, note, actor_kind, actor)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute((&ban.jail, &ban.ip, ban.at, ban.until, &*ban.note, ban.actor.kind(), ban.actor.name()))?;
    }
    let count: i64 = transaction.prepare_cached("SELECT count(*) FROM own_bans")?.query_row([], |row| row.get(0))?;
    if count <= MOST {
        return Ok(Vec::new());
    }
    let mut statement = transaction.prepare_cached(
        "DELETE FROM own_bans WHERE (jail, ip) IN (SELECT jail, ip FROM own_bans ORDER BY at, jail, ip LIMIT ?1)
         RETURNING jail, ip",
    )?;
    let rows = statement.query_map([count - MOST], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// Takes some away.
pub(super) fn take(transaction: &Transaction<'_>, bans: &[(String, String)]) -> rusqlite::Result<()> {
    for (jail, ip) in bans {
        transaction.prepare_cached("DELETE FROM own_bans WHERE jail = ?1 AND ip = ?2")?.execute((jail, ip))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::own_ban::NEVER;
    use crate::store::open::tests::temporary;

    #[test]
    fn they_are_kept_replaced_and_taken_away() {
        let (_directory, mut store) = temporary();
        let ban = |ip: &str, until| OwnBan {
            jail: "lab".into(),
            ip: ip.into(),
            at: 100,
            until,
            note: "why".into(),
            actor: Actor::User("admin".into()),
        };
        store
            .add_own_bans(&[ban("192.0.2.1", Some(5)), ban("192.0.2.2", Some(NEVER)), ban("192.0.2.3", None)])
            .unwrap();
        store.add_own_bans(&[ban("192.0.2.1", Some(9))]).unwrap();
        store.remove_own_bans(&[("lab".into(), "192.0.2.2".into()), ("other".into(), "192.0.2.3".into())]).unwrap();
        assert_eq!(store.own_bans().unwrap(), [ban("192.0.2.1", Some(9)), ban("192.0.2.3", None)]);
    }

    #[test]
    fn of_too_many_the_latest_are_kept() {
        let (_directory, mut store) = temporary();
        let ban = |n: i64| OwnBan {
            jail: "lab".into(),
            ip: n.to_string(),
            at: n,
            until: None,
            note: "".into(),
            actor: Actor::System,
        };
        store.add_own_bans(&(0..MOST + 5).map(ban).collect::<Vec<_>>()).unwrap();
        let kept = store.own_bans().unwrap();
        assert_eq!((kept.len() as i64, kept.iter().map(|ban| ban.at).min()), (MOST, Some(5)));
        let gone = store.add_own_bans(&[ban(MOST + 5)]).unwrap();
        assert_eq!(gone, [("lab".to_owned(), "5".to_owned())]);
    }
}
