//! Values of jails that were set at run time and are not in the files yet.

use rusqlite::OptionalExtension;

use super::error::Error;
use super::open::Store;

impl Store {
    /// The pending values of a jail, as JSON; `None` where there are none.
    pub fn pending(&self, jail: &str) -> Result<Option<String>, Error> {
        let mut statement = self.connection.prepare_cached("SELECT changes FROM jail_pending WHERE jail = ?1")?;
        Ok(statement.query_row([jail], |row| row.get(0)).optional()?)
    }

    /// The pending values of all jails, by name: at most a thousand.
    pub fn all_pending(&self) -> Result<Vec<(String, String)>, Error> {
        let mut statement =
            self.connection.prepare_cached("SELECT jail, changes FROM jail_pending ORDER BY jail LIMIT 1000")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Remembers the pending values of a jail; `None` forgets them.
    pub fn set_pending(&mut self, jail: &str, changes: Option<&str>) -> Result<(), Error> {
        match changes {
            Some(changes) => self.connection.execute(
                "INSERT INTO jail_pending (jail, changes) VALUES (?1, ?2) ON CONFLICT (jail) DO UPDATE SET changes = excluded.changes",
                [jail, changes],
            )?,
            None => self.connection.execute("DELETE FROM jail_pending WHERE jail = ?1", [jail])?,
        };
        Ok(())
    }

    /// The idle states set here, by jail: at most a thousand.
    pub fn all_idle(&self) -> Result<Vec<(String, bool)>, Error> {
        let mut statement =
            self.connection.prepare_cached("SELECT jail, idle FROM jail_idle ORDER BY jail LIMIT 1000")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use crate::store::open::tests::temporary;

    #[test]
    fn pending_values_are_remembered_and_forgotten() {
        let (_directory, mut store) = temporary();
        store.set_pending("b", Some("{}")).unwrap();
        store.set_pending("a", Some("{\"max_retry\":1}")).unwrap();
        store.set_pending("b", Some("{\"max_retry\":2}")).unwrap();
        let all = [("a", "{\"max_retry\":1}"), ("b", "{\"max_retry\":2}")];
        assert_eq!(store.all_pending().unwrap(), all.map(|(jail, text)| (jail.to_owned(), text.to_owned())));
        store.set_pending("a", None).unwrap();
        assert_eq!((store.pending("a").unwrap(), store.all_pending().unwrap().len()), (None, 1));
        store.set_jail_idle(Some("x"), Some(true)).unwrap();
        assert_eq!(store.all_idle().unwrap(), [("x".to_owned(), true)]);
    }
}
