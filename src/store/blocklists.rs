//! The tables of blocklists: sources with what is known of their last import, the log of imports, and the schedule.

use rusqlite::{OptionalExtension, Row};

use super::error::Error;
use super::open::Store;
use super::settings::set;

/// Runs that the log keeps.
const RUNS: i64 = 1000;
/// Sources at most.
pub(super) const MOST: i64 = 100;

const SCHEDULE: &str = "blocklist_schedule";
const SINCE: &str = "blocklist_since";
const LAST_RUN: &str = "blocklist_last_run";
const LAST_ERRORS: &str = "blocklist_last_errors";

/// A source.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "schema.sql explains the columns")]
pub struct Source {
    pub id: i64,
    pub name: String,
    pub url: String,
    pub enabled: bool,
    pub unban_removed: bool,
    pub created_at: i64,
    pub updated_at: i64,
    pub state: State,
}

/// What is known of the last import of a source.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "schema.sql explains the columns")]
pub struct State {
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    pub fingerprint: Option<String>,
    pub bans_until: i64,
    pub failures: i64,
    pub not_before: i64,
    pub fetched: Option<Fetched>,
}

/// Where the content of a source came from last.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "schema.sql explains the columns")]
pub struct Fetched {
    pub url: String,
    pub addresses: Vec<String>,
    pub at: i64,
}

/// The import of one source in one run.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "schema.sql explains the columns")]
pub struct LogEntry {
    pub id: i64,
    pub source_id: Option<i64>,
    pub source_url: String,
    pub at: i64,
    pub imported: u64,
    pub skipped: u64,
    pub error: Option<String>,
    /// What else is told of it, as JSON.
    pub details: Option<String>,
}

/// When imports ran, in Unix seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Runs {
    /// The schedule counts from here while nothing has run: when it was made or last changed.
    pub since: Option<i64>,
    /// When the last import began.
    pub last: Option<i64>,
    /// Whether that one had errors; `None` while it runs.
    pub last_errors: Option<bool>,
}

const COLUMNS: &str = "id, name, url, enabled, unban_removed, created_at, updated_at, etag, last_modified, fingerprint, bans_until, failures, not_before, fetched_url, addresses, at";
const TABLES: &str = "blocklist_sources LEFT JOIN blocklist_fetched ON source_id = id";

fn source(row: &Row<'_>) -> rusqlite::Result<Source> {
    Ok(Source {
        id: row.get(0)?,
        name: row.get(1)?,
        url: row.get(2)?,
        enabled: row.get(3)?,
        unban_removed: row.get(4)?,
        created_at: row.get(5)?,
        updated_at: row.get(6)?,
        state: State {
            etag: row.get(7)?,
            last_modified: row.get(8)?,
            fingerprint: row.get(9)?,
            bans_until: row.get(10)?,
            failures: row.get(11)?,
            not_before: row.get(12)?,
            fetched: match row.get(13)? {
                Some(url) => {
                    let addresses: String = row.get(14)?;
                    Some(Fetched {
                        url,
                        addresses: addresses.split_whitespace().map(str::to_owned).collect(),
                        at: row.get(15)?,
                    })
                }
                None => None,
            },
        },
    })
}

fn log_entry(row: &Row<'_>) -> rusqlite::Result<LogEntry> {
    Ok(LogEntry {
        id: row.get(0)?,
        source_id: row.get(1)?,
        source_url: row.get(2)?,
        at: row.get(3)?,
        imported: row.get::<_, i64>(4)? as u64,
        skipped: row.get::<_, i64>(5)? as u64,
        error: row.get(6)?,
        details: row.get(7)?,
    })
}

impl Store {
    /// All sources, the oldest first.
    pub fn blocklist_sources(&self) -> Result<Vec<Source>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM {TABLES} ORDER BY id LIMIT {MOST}");
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_map([], source)?.collect::<Result<_, _>>()?)
    }

    /// The highest number that a source was ever given: none is given twice.
    pub fn newest_blocklist_source(&self) -> Result<i64, Error> {
        let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'blocklist_sources'";
        Ok(self.connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// A source.
    pub fn blocklist_source(&self, id: i64) -> Result<Option<Source>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM {TABLES} WHERE id = ?1");
        Ok(self.connection.prepare_cached(&sql)?.query_row([id], source).optional()?)
    }

    /// Adds a source and returns its number; `None` when there are too many. The first one starts the schedule.
    pub fn add_blocklist_source(
        &mut self,
        (name, url): (&str, &str),
        (enabled, unban_removed): (bool, bool),
        now: i64,
    ) -> Result<Option<i64>, Error> {
        let transaction = self.connection.savepoint()?;
        let count: i64 = transaction.query_row("SELECT count(*) FROM blocklist_sources", [], |row| row.get(0))?;
        if count >= MOST {
            return Ok(None);
        }
        transaction.execute(
            "INSERT INTO blocklist_sources (name, url, enabled, unban_removed, created_at, updated_at, bans_until, failures, not_before)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, 0, 0, 0)",
            (name, url, enabled, unban_removed, now),
        )?;
        let id = transaction.last_insert_rowid();
        transaction.execute(
            "INSERT INTO settings (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING",
            (SINCE, now.to_string()),
        )?;
        transaction.commit()?;
        Ok(Some(id))
    }

    /// Writes what a user may change of a source. Another URL is another list: what was known of the old one is forgotten.
    pub fn change_blocklist_source(&mut self, changed: &Source, now: i64) -> Result<(), Error> {
        let transaction = self.connection.savepoint()?;
        transaction.execute(
            "DELETE FROM blocklist_fetched WHERE source_id IN (SELECT id FROM blocklist_sources WHERE id = ?1 AND url <> ?2)",
            (changed.id, &changed.url),
        )?;
        transaction.execute(
            "UPDATE blocklist_sources SET
               etag = iif(url = ?3, etag, NULL), last_modified = iif(url = ?3, last_modified, NULL),
               fingerprint = iif(url = ?3, fingerprint, NULL), bans_until = iif(url = ?3, bans_until, 0),
               failures = iif(url = ?3, failures, 0), not_before = iif(url = ?3, not_before, 0),
               name = ?2, url = ?3, enabled = ?4, unban_removed = ?5, updated_at = ?6
             WHERE id = ?1",
            (changed.id, &changed.name, &changed.url, changed.enabled, changed.unban_removed, now),
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// Removes a source; whether there was one.
    pub fn remove_blocklist_source(&mut self, id: i64) -> Result<bool, Error> {
        let transaction = self.connection.savepoint()?;
        transaction.execute("DELETE FROM blocklist_fetched WHERE source_id = ?1", [id])?;
        let is_gone = transaction.execute("DELETE FROM blocklist_sources WHERE id = ?1", [id])? > 0;
        transaction.commit()?;
        Ok(is_gone)
    }

    /// Who is logged in, by address or network.
    pub fn session_clients(&self) -> Result<Vec<String>, Error> {
        let mut statement =
            self.connection.prepare_cached("SELECT DISTINCT client FROM sessions ORDER BY client LIMIT 1000")?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// Writes the outcome of a run: a row of the log and, where it is known, the new state of each source whose URL is still the same.
    /// `has_errors` is `None` for a run that was interrupted and is to be completed soon.
    pub fn finish_import(
        &mut self,
        outcomes: &[(LogEntry, Option<State>)],
        has_errors: Option<bool>,
    ) -> Result<(), Error> {
        let transaction = self.connection.savepoint()?;
        let run: i64 =
            transaction.query_row("SELECT coalesce(max(run), 0) + 1 FROM blocklist_log", [], |row| row.get(0))?;
        for (entry, state) in outcomes {
            transaction.execute(
                "INSERT INTO blocklist_log (run, source_id, source_url, at, imported, skipped, error) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                (run, entry.source_id, &entry.source_url, entry.at, entry.imported as i64, entry.skipped as i64, &entry.error),
            )?;
            if let Some(details) = &entry.details {
                let id = transaction.last_insert_rowid();
                transaction
                    .execute("INSERT INTO blocklist_log_details (log_id, details) VALUES (?1, ?2)", (id, details))?;
            }
            if let Some(state) = state {
                transaction.execute(
                    "UPDATE blocklist_sources SET etag = ?3, last_modified = ?4, fingerprint = ?5, bans_until = ?6, failures = ?7, not_before = ?8
                     WHERE id = ?1 AND url = ?2",
                    (entry.source_id, &entry.source_url, &state.etag, &state.last_modified, &state.fingerprint,
                     state.bans_until, state.failures, state.not_before),
                )?;
                if let Some(fetched) = &state.fetched {
                    transaction.execute(
                        "INSERT OR REPLACE INTO blocklist_fetched (source_id, fetched_url, addresses, at)
                         SELECT id, ?3, ?4, ?5 FROM blocklist_sources WHERE id = ?1 AND url = ?2",
                        (entry.source_id, &entry.source_url, &fetched.url, fetched.addresses.join(" "), fetched.at),
                    )?;
                }
            }
        }
        transaction.execute("DELETE FROM blocklist_log WHERE run <= ?1", [run - RUNS])?;
        let oldest = "(SELECT coalesce(min(id), 0) FROM blocklist_log)";
        transaction.execute(&format!("DELETE FROM blocklist_log_details WHERE log_id < {oldest}"), [])?;
        let has_errors = has_errors.map_or("", |has_errors| if has_errors { "1" } else { "0" });
        set(&transaction, LAST_ERRORS, has_errors)?;
        transaction.commit()?;
        Ok(())
    }

    /// Entries of the log, the newest first: behind the one with this number, some skipped, so many at most; and how many there are.
    pub fn blocklist_log(
        &self,
        source: Option<i64>,
        behind: Option<i64>,
        skip: u64,
        most: u32,
    ) -> Result<(Vec<LogEntry>, u64), Error> {
        let total: i64 = self.connection.query_row(
            "SELECT count(*) FROM blocklist_log WHERE ?1 IS NULL OR source_id = ?1",
            [source],
            |row| row.get(0),
        )?;
        let mut statement = self.connection.prepare_cached(
            "SELECT id, source_id, source_url, at, imported, skipped, error, details
             FROM blocklist_log LEFT JOIN blocklist_log_details ON log_id = id
             WHERE (?1 IS NULL OR source_id = ?1) AND (?4 IS NULL OR id < ?4) ORDER BY id DESC LIMIT ?2 OFFSET ?3",
        )?;
        let entries = statement.query_map((source, most, skip as i64, behind), log_entry)?;
        Ok((entries.collect::<Result<_, _>>()?, total as u64))
    }

    /// So many entries of the log as they follow each other, the newest first, from behind this number.
    pub fn blocklist_log_behind(
        &self,
        source: Option<i64>,
        behind: Option<i64>,
        most: u32,
    ) -> Result<Vec<LogEntry>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, source_id, source_url, at, imported, skipped, error, details
             FROM blocklist_log LEFT JOIN blocklist_log_details ON log_id = id
             WHERE (?1 IS NULL OR source_id = ?1) AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?2",
        )?;
        let entries = statement.query_map((source, most, behind), log_entry)?;
        Ok(entries.collect::<Result<_, _>>()?)
    }

    /// The entry of the log with this number; `None` where it is no longer kept.
    pub fn blocklist_log_entry(&self, id: i64) -> Result<Option<LogEntry>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, source_id, source_url, at, imported, skipped, error, details
             FROM blocklist_log LEFT JOIN blocklist_log_details ON log_id = id WHERE id = ?1",
        )?;
        Ok(statement.query_row([id], log_entry).optional()?)
    }

    /// The schedule as it was stored, in JSON.
    pub fn blocklist_schedule(&self) -> Result<Option<String>, Error> {
        self.setting(SCHEDULE)
    }

    /// Stores the schedule. It counts from now: a change of it catches nothing up.
    pub fn set_blocklist_schedule(&mut self, json: &str, now: i64) -> Result<(), Error> {
        self.set_settings(&[(SCHEDULE, json), (SINCE, &now.to_string())])
    }

    /// When imports ran.
    pub fn blocklist_runs(&self) -> Result<Runs, Error> {
        let number = |key| self.setting(key).map(|text| text.and_then(|text| text.parse::<i64>().ok()));
        let last_errors = self.setting(LAST_ERRORS)?.filter(|text| !text.is_empty());
        Ok(Runs { since: number(SINCE)?, last: number(LAST_RUN)?, last_errors: last_errors.map(|text| text == "1") })
    }

    /// An import begins: it is the last run from now on, even when it does not end well.
    pub fn begin_import(&mut self, now: i64) -> Result<(), Error> {
        self.set_settings(&[(LAST_RUN, &now.to_string()), (LAST_ERRORS, "")])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open::tests::temporary;

    fn entry(number: i64) -> LogEntry {
        LogEntry {
            id: 0,
            source_id: Some(number),
            source_url: "u".into(),
            at: number,
            imported: 1,
            skipped: 2,
            error: None,
            details: None,
        }
    }

    #[test]
    fn a_new_url_forgets_what_was_known_and_a_new_name_does_not() {
        let (_directory, mut store) = temporary();
        let id = store.add_blocklist_source(("n", "u"), (true, false), 5).unwrap().unwrap();
        let fetched = Fetched { url: "w".into(), addresses: vec!["192.0.2.1".into(), "2001:db8::1".into()], at: 8 };
        let state = State {
            etag: Some("e".into()),
            fingerprint: Some("f".into()),
            bans_until: 9,
            fetched: Some(fetched),
            ..State::default()
        };
        store
            .finish_import(&[(LogEntry { source_id: Some(id), ..entry(1) }, Some(state.clone()))], Some(false))
            .unwrap();
        let mut source = store.blocklist_source(id).unwrap().unwrap();
        assert_eq!(source.state, state);
        source.name = "other".into();
        store.change_blocklist_source(&source, 6).unwrap();
        assert_eq!(store.blocklist_source(id).unwrap().unwrap().state, state);
        source.url = "v".into();
        store.change_blocklist_source(&source, 7).unwrap();
        let changed = store.blocklist_source(id).unwrap().unwrap();
        assert_eq!((changed.state, changed.updated_at), (State::default(), 7));
        // The outcome of an import of the old URL says nothing about the new one.
        store.finish_import(&[(LogEntry { source_id: Some(id), ..entry(1) }, Some(state))], Some(false)).unwrap();
        assert_eq!(store.blocklist_source(id).unwrap().unwrap().state, State::default());
        assert!(store.remove_blocklist_source(id).unwrap());
        assert!(!store.remove_blocklist_source(id).unwrap());
    }

    #[test]
    fn the_log_keeps_a_thousand_runs() {
        let (_directory, mut store) = temporary();
        for run in 0..1010 {
            store.finish_import(&[(entry(run), None), (entry(7), None)], Some(run == 1009)).unwrap();
        }
        let (entries, total) = store.blocklist_log(None, None, 0, 3).unwrap();
        assert_eq!(total, 2000);
        assert_eq!(entries[1].source_id, Some(1009));
        let (_, total) = store.blocklist_log(Some(1000), None, 0, 3).unwrap();
        assert_eq!(total, 1);
        assert_eq!(store.blocklist_runs().unwrap().last_errors, Some(true));
    }

    #[test]
    fn sources_are_limited_and_the_first_starts_the_schedule() {
        let (_directory, mut store) = temporary();
        for number in 0..MOST {
            assert!(store.add_blocklist_source(("n", "u"), (true, false), 5 + number).unwrap().is_some());
        }
        assert_eq!(store.add_blocklist_source(("n", "u"), (true, false), 0).unwrap(), None);
        assert_eq!(store.blocklist_runs().unwrap(), Runs { since: Some(5), last: None, last_errors: None });
    }
}
