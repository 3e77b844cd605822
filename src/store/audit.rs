//! The table `audit`: what people and programs have done. An entry is written in the transaction of what it tells of, or by itself where
//! that was done by somebody else. Refusals come summed up, and have a room of their own: they push nothing else out.

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, Row, ToSql, params, params_from_iter};

use super::error::Error;
use super::open::Store;
use crate::domain::actor::Actor;
use crate::domain::audit::Entry;
use crate::domain::json;

/// How many events are kept, refusals not counted.
pub const MOST_EVENTS: i64 = 10_000;
/// How many summed refusals are kept beside them.
pub const MOST_REFUSALS: i64 = 2_000;
/// How long they are kept, in seconds.
pub const KEPT: i64 = 90 * 86_400;
/// How many are deleted at a time, for each takes a while.
const AT_A_TIME: i64 = 500;
/// After how many events those that are too many go.
const PRUNE_EVERY: i64 = 64;

/// Who does what is noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doer {
    /// Who.
    pub actor: Actor,
    /// From where; empty where it came over no network.
    pub client: String,
}

impl Doer {
    /// Whoever sits at the machine.
    pub fn console() -> Doer {
        Doer { actor: Actor::Console, client: String::new() }
    }
}

/// Refusals of one kind to one client within a minute.
#[derive(Debug, Clone)]
pub struct Refused {
    /// What was refused.
    pub entry: Entry,
    /// Who was refused, as far as that is known.
    pub doer: Doer,
    /// When the first was, in Unix seconds.
    pub at: i64,
    /// How many.
    pub count: i64,
    /// The row, once there is one.
    pub row: Option<i64>,
}

/// An event as it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its number.
    pub id: i64,
    /// When, in Unix seconds.
    pub at: i64,
    /// What, by its name.
    pub event: String,
    /// Who.
    pub actor: Actor,
    /// From where.
    pub client: String,
    /// What it happened to.
    pub target: String,
    /// More of it.
    pub detail: String,
    /// The values that are others, as JSON; empty for none.
    pub changes: String,
    /// How many refusals it sums up; 0 where it is none.
    pub refusals: i64,
}

/// Which events are wanted; what is empty narrows nothing.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// One of these.
    pub events: Vec<&'static str>,
    /// Whose name, or whose kind, is this.
    pub actor: Option<String>,
    /// From one of these.
    pub clients: Vec<String>,
    /// Not before this, in Unix seconds.
    pub from: Option<i64>,
    /// Before this.
    pub to: Option<i64>,
}

const COLUMNS: &str = "id, at, event, actor_kind, actor, client, target, detail, changes, refusals";

impl Store {
    /// Begins to write what is noted with it: all until `end_noted` is one transaction.
    pub fn begin_noted(&mut self) -> Result<(), Error> {
        Ok(self.connection.execute_batch("SAVEPOINT noted")?)
    }

    /// Ends it: writes the entry and keeps everything, or takes back what was written where there is none.
    pub fn end_noted(&mut self, entry: Option<(&Entry, &Doer, i64)>) -> Result<(), Error> {
        let added = match entry {
            Some((entry, doer, at)) => add(&self.connection, entry, doer, at, 0).map(|_| true),
            None => Ok(false),
        };
        let kept = added.and_then(|is_kept| {
            if is_kept {
                self.connection.execute_batch("RELEASE noted")?;
            }
            Ok(is_kept)
        });
        if !matches!(kept, Ok(true)) {
            self.connection.execute_batch("ROLLBACK TO noted; RELEASE noted")?;
            self.read_channels()?;
        }
        kept.map(drop)
    }

    /// Writes something, and the entry that tells of it, in one transaction: for whoever has the database and nothing else.
    pub fn noted(
        &mut self,
        entry: &Entry,
        doer: &Doer,
        at: i64,
        work: impl FnOnce(&mut Store) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        self.begin_noted()?;
        let done = work(self);
        let is_done = matches!(done, Ok(true));
        self.end_noted(is_done.then_some((entry, doer, at)))?;
        done
    }

    /// Writes down what has been done.
    pub fn add_event(&mut self, entry: &Entry, doer: &Doer, at: i64) -> Result<(), Error> {
        let transaction = self.connection.savepoint()?;
        add(&transaction, entry, doer, at, 0)?;
        transaction.commit()?;
        Ok(())
    }

    /// Writes refusals down, all in one transaction, and where they stand from now on.
    pub fn note_refusals(&mut self, all: &mut [&mut Refused]) -> Result<(), Error> {
        let transaction = self.connection.savepoint()?;
        let mut rows = Vec::new();
        for refused in all.iter() {
            let update = "UPDATE audit SET refusals = ?2, target = ?3, detail = ?4 WHERE id = ?1";
            let (target, detail) = (&refused.entry.target, &refused.entry.detail);
            let is_there = match refused.row {
                Some(row) => {
                    transaction.prepare_cached(update)?.execute(params![row, refused.count, target, detail])? > 0
                }
                None => false,
            };
            rows.push(match refused.row.filter(|_| is_there) {
                Some(row) => row,
                None => add(&transaction, &refused.entry, &refused.doer, refused.at, refused.count)?,
            });
        }
        transaction.commit()?;
        all.iter_mut().zip(rows).for_each(|(refused, row)| refused.row = Some(row));
        Ok(())
    }

    /// Deletes some of what was before this, in Unix seconds, and has no higher number than `last`, together with the entry that tells of it
    /// where there is one; gives how many went: none when there are no more.
    pub fn delete_events(
        &mut self,
        before: i64,
        last: i64,
        entry: Option<(&Entry, &Doer, i64)>,
    ) -> Result<usize, Error> {
        let transaction = self.connection.savepoint()?;
        let gone = delete_old(&transaction, before, last)?;
        if let Some((entry, doer, now)) = entry {
            add(&transaction, entry, doer, now, 0)?;
        }
        transaction.commit()?;
        Ok(gone)
    }

    /// Removes some of what is too old, and what is too many.
    pub fn expire_events(&mut self, now: i64) -> Result<(), Error> {
        delete_old(&self.connection, now - KEPT, i64::MAX)?;
        prune(&self.connection)?;
        Ok(())
    }

    /// How many there are of these.
    pub fn count_events(&self, wanted: &Wanted) -> Result<u64, Error> {
        let (condition, values) = wanted.condition(None);
        let mut statement = self
            .connection
            .prepare_cached(&format!("SELECT count(*) FROM audit INDEXED BY audit_narrow WHERE {condition}"))?;
        Ok(statement.query_row(params_from_iter(values), |row| row.get::<_, i64>(0))? as u64)
    }

    /// Some of them, the newest first.
    pub fn events(&self, wanted: &Wanted, behind: Option<i64>, skip: u64, limit: u32) -> Result<Vec<Event>, Error> {
        let (condition, mut values) = wanted.condition(behind);
        values.push(Value::Number(i64::from(limit)));
        values.push(Value::Number(i64::try_from(skip).unwrap_or(i64::MAX)));
        // Only what is shown is read of the table itself.
        let sql = format!(
            "SELECT {COLUMNS} FROM audit WHERE id IN (
                 SELECT id FROM audit INDEXED BY audit_narrow WHERE {condition} ORDER BY id DESC LIMIT ? OFFSET ?)
             ORDER BY id DESC"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_map(params_from_iter(values), read)?.collect::<Result<_, _>>()?)
    }
}

/// What stands for a sign of interrogation.
enum Value<'v> {
    Text(&'v str),
    Number(i64),
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Value::Text(text) => text.to_sql(),
            Value::Number(number) => number.to_sql(),
        }
    }
}

impl Wanted {
    fn condition(&self, behind: Option<i64>) -> (String, Vec<Value<'_>>) {
        let (mut all, mut values) = (vec!["1".to_owned()], Vec::new());
        let marks = |count: usize| vec!["?"; count].join(", ");
        if let Some(from) = self.from {
            all.push("at >= ?".to_owned());
            values.push(Value::Number(from));
        }
        if let Some(to) = self.to {
            all.push("at < ?".to_owned());
            values.push(Value::Number(to));
        }
        if let Some(id) = behind {
            all.push("id < ?".to_owned());
            values.push(Value::Number(id));
        }
        if !self.events.is_empty() {
            all.push(format!("event IN ({})", marks(self.events.len())));
            values.extend(self.events.iter().map(|event| Value::Text(event)));
        }
        if let Some(actor) = &self.actor {
            all.push("(actor = ? OR actor_kind = ? AND actor = '')".to_owned());
            values.extend([Value::Text(actor), Value::Text(actor)]);
        }
        if !self.clients.is_empty() {
            all.push(format!("client IN ({})", marks(self.clients.len())));
            values.extend(self.clients.iter().map(|client| Value::Text(client)));
        }
        (all.join(" AND "), values)
    }
}

fn add(connection: &Connection, entry: &Entry, doer: &Doer, at: i64, refusals: i64) -> Result<i64, Error> {
    let changes = if entry.changes.is_empty() { String::new() } else { json::text(&entry.changes).unwrap_or_default() };
    let actor = entry.by.as_ref().unwrap_or(&doer.actor);
    // What this program does by itself comes from nowhere, whoever it works for at that moment.
    let client = if entry.by == Some(Actor::System) { "" } else { &doer.client };
    connection
        .prepare_cached(
            "INSERT INTO audit (at, event, actor_kind, actor, client, target, detail, changes, refusals)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            at,
            entry.what.as_str(),
            actor.kind(),
            actor.name(),
            client,
            entry.target,
            entry.detail,
            changes,
            refusals
        ])?;
    let id = connection.last_insert_rowid();
    if id % PRUNE_EVERY == 0 {
        prune(connection)?;
    }
    Ok(id)
}

/// Deletes some of what was before this and has no higher number than `last`; gives how many.
fn delete_old(connection: &Connection, before: i64, last: i64) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM audit WHERE id IN (
                   SELECT id FROM audit INDEXED BY audit_narrow WHERE at < ?1 AND id <= ?2 LIMIT ?3)";
    connection.prepare_cached(sql)?.execute([before, last, AT_A_TIME])
}

/// Removes what is too many, of either kind.
fn prune(connection: &Connection) -> rusqlite::Result<()> {
    for (is_of_kind, most) in [("refusals > 0", MOST_REFUSALS), ("refusals = 0", MOST_EVENTS)] {
        let sql = format!(
            "DELETE FROM audit WHERE {is_of_kind} AND id <=
             (SELECT id FROM audit WHERE {is_of_kind} ORDER BY id DESC LIMIT 1 OFFSET ?1)"
        );
        connection.prepare_cached(&sql)?.execute([most])?;
    }
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Event> {
    let kind: String = row.get(3)?;
    Ok(Event {
        id: row.get(0)?,
        at: row.get(1)?,
        event: row.get(2)?,
        actor: Actor::of(&kind, row.get(4)?),
        client: row.get(5)?,
        target: row.get(6)?,
        detail: row.get(7)?,
        changes: row.get(8)?,
        refusals: row.get(9)?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::domain::audit::What;
    use crate::domain::permission::Role;
    use crate::store::open::tests::{temporary, with_owner};

    fn doer(name: &str, client: &str) -> Doer {
        Doer { actor: Actor::User(name.into()), client: client.into() }
    }

    fn refused(client: &str, at: i64) -> Refused {
        let doer = Doer { actor: Actor::System, client: client.into() };
        Refused { entry: Entry::new(What::LoginFailed, ""), doer, at, count: 1, row: None }
    }

    #[test]
    fn an_entry_and_its_write_are_one_or_nothing() {
        let (_directory, mut store) = with_owner();
        let entry = Entry::new(What::UserCreated, "eve");
        let add = |store: &mut Store| store.add_user("eve", Role::Viewer, "x", 5);
        assert!(store.noted(&entry, &doer("admin", "192.0.2.1"), 7, add).unwrap());
        // There is one already: nothing was done, and nothing is noted.
        assert!(!store.noted(&entry, &doer("admin", "192.0.2.1"), 8, add).unwrap());
        let fails = |store: &mut Store| {
            store.add_user("mallory", Role::Admin, "x", 5)?;
            Err(Error::Locked("x".into()))
        };
        assert!(store.noted(&entry, &doer("admin", ""), 9, fails).is_err());
        assert_eq!(store.users().unwrap().len(), 2);
        let events = store.events(&Wanted::default(), None, 0, 10).unwrap();
        assert_eq!((events.len(), events[0].at, events[0].client.as_str()), (1, 7, "192.0.2.1"));
        // An entry that cannot be written takes the write with it.
        store.connection.execute_batch("DROP TABLE audit").unwrap();
        let add = |store: &mut Store| store.add_user("bob", Role::Viewer, "x", 5);
        assert!(store.noted(&entry, &doer("admin", ""), 9, add).is_err());
        assert!(store.user("bob").unwrap().is_none() && store.connection.is_autocommit());
    }

    #[test]
    fn filters_compose_and_the_newest_comes_first() {
        let (_directory, mut store) = temporary();
        for at in 0..30 {
            let what = if at % 2 == 0 { What::Ban } else { What::Unban };
            let name = if at % 3 == 0 { "eve" } else { "admin" };
            store.add_event(&Entry::new(what, format!("t{at}")), &doer(name, "192.0.2.1"), at).unwrap();
        }
        let console = Doer { actor: Actor::Console, client: String::new() };
        store.add_event(&Entry::new(What::Ban, "t30"), &console, 30).unwrap();
        let at = |wanted: &Wanted, behind, skip| -> Vec<i64> {
            store.events(wanted, behind, skip, 3).unwrap().iter().map(|event| event.at).collect()
        };
        let bans = Wanted { events: vec!["ban"], actor: Some("eve".into()), ..Wanted::default() };
        assert_eq!((store.count_events(&bans).unwrap(), at(&bans, None, 0)), (5, vec![24, 18, 12]));
        let some =
            Wanted { from: Some(6), to: Some(24), clients: vec!["192.0.2.1".into(), "x".into()], ..bans.clone() };
        assert_eq!((store.count_events(&some).unwrap(), at(&some, None, 1)), (3, vec![12, 6]));
        assert_eq!(at(&Wanted { actor: Some("console".into()), ..Wanted::default() }, None, 0), [30]);
        assert_eq!(at(&Wanted::default(), Some(31), 0), [29, 28, 27]);
        assert_eq!(store.count_events(&Wanted { clients: vec!["x".into()], ..Wanted::default() }).unwrap(), 0);
        let gone = store.delete_events(10, 31, Some((&Entry::new(What::AuditDeleted, ""), &console, 5))).unwrap();
        assert_eq!((gone, store.count_events(&Wanted::default()).unwrap()), (10, 22));
    }

    #[test]
    fn refusals_push_nothing_out_and_events_are_ten_thousand() {
        let (_directory, mut store) = temporary();
        store.begin_noted().unwrap();
        let admin = doer("admin", "192.0.2.1");
        for at in 0..MOST_EVENTS + 500 {
            store.add_event(&Entry::new(What::Ban, "203.0.113.9").saying("In sshd."), &admin, at).unwrap();
        }
        store.end_noted(Some((&Entry::new(What::Reload, ""), &admin, 20_000))).unwrap();
        for round in 0..50 {
            let mut all: Vec<Refused> =
                (0..100).map(|client| refused(&format!("198.51.100.{client}"), 20_001 + round)).collect();
            store.note_refusals(&mut all.iter_mut().collect::<Vec<_>>()).unwrap();
            all.iter_mut().for_each(|one| one.count = 7);
            store.note_refusals(&mut all.iter_mut().collect::<Vec<_>>()).unwrap();
        }
        store.expire_events(20_100).unwrap();
        let of = |events| store.count_events(&Wanted { events, ..Wanted::default() }).unwrap() as i64;
        assert_eq!((of(vec!["ban", "reload"]), of(vec!["login_failed"])), (MOST_EVENTS, MOST_REFUSALS));
        assert_eq!(store.events(&Wanted::default(), None, 0, 1).unwrap()[0].refusals, 7);
        // The last page is the one that is read for longest.
        let pages = [
            (Wanted::default(), 9_950),
            (Wanted::default(), 0),
            (Wanted { actor: Some("admin".into()), ..Wanted::default() }, 9_950),
        ];
        for (wanted, skip) in pages {
            let mut best = f64::MAX;
            for _ in 0..20 {
                let began = Instant::now();
                assert!(store.count_events(&wanted).unwrap() >= 10_000);
                assert_eq!(store.events(&wanted, None, skip, 50).unwrap().len(), 50);
                best = best.min(began.elapsed().as_secs_f64() * 1000.0);
            }
            eprintln!("a page behind {skip} of ten thousand events: {best:.2} ms");
            assert!(best < 20.0, "{best} ms, in a build that is not optimised");
        }
        for _ in 0..25 {
            store.expire_events(20_100 + KEPT).unwrap();
        }
        assert_eq!(store.count_events(&Wanted::default()).unwrap(), 0);
    }
}
