//! The daemon's database, opened for reading and for nothing else; and why it cannot be.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use serde::{Deserialize, Serialize};

/// The page cache, in KiB: enough for the indexes of one page of rows.
const CACHE_KIB: i64 = 512;

/// Why the daemon's database cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DatabaseError {
    /// The daemon keeps none, or only in its memory.
    NotKept,
    /// There is no file of that name.
    Absent(PathBuf),
    /// The file is there, and the system does not let us read it.
    Unreadable(PathBuf, String),
    /// The daemon is writing; the next try will do.
    Locked,
    /// The file is no database, damaged, or not of fail2ban's.
    Damaged(PathBuf, String),
}

impl std::fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DatabaseError::NotKept => {
                write!(f, "fail2ban keeps no database file: set dbfile in fail2ban.local to have times and history")
            }
            DatabaseError::Absent(path) => {
                write!(
                    f,
                    "fail2ban's database {} does not exist: if fail2ban runs in a container, name the file on this side",
                    path.display()
                )
            }
            DatabaseError::Unreadable(path, why) => {
                write!(f, "cannot read fail2ban's database {}: {why}; run as root", path.display())
            }
            DatabaseError::Locked => {
                write!(f, "fail2ban is writing its database: try again shortly")
            }
            DatabaseError::Damaged(path, why) => {
                write!(
                    f,
                    "{} is no sound database of fail2ban's ({why}): fail2ban repairs it when it restarts",
                    path.display()
                )
            }
        }
    }
}

impl std::error::Error for DatabaseError {}

/// What the columns are, which is what matters of the schema's version: 2 until 0.10, 4 since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Schema {
    /// `bans` without times and counts, and nothing else.
    Bare,
    /// `bans` with times and counts, and `bips` with the latest ban of each address and jail.
    Timed,
}

/// The daemon's database, open for reading.
#[derive(Debug)]
pub struct Database {
    pub(super) connection: Connection,
    pub(super) schema: Schema,
    pub(super) path: PathBuf,
}

impl Database {
    /// Opens the file, waiting at most `patience` at any time for the daemon to finish writing.
    pub fn open(path: &Path, patience: Duration) -> Result<Database, DatabaseError> {
        if matches!(path.to_str(), Some("" | "None" | "none" | ":memory:")) {
            return Err(DatabaseError::NotKept);
        }
        let unreadable = |why: String| DatabaseError::Unreadable(path.to_owned(), why);
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => {}
            // Opening a device or a pipe could wait for ever.
            Ok(_) => return Err(unreadable("it is no file".to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(DatabaseError::Absent(path.to_owned()));
            }
            Err(error) => return Err(unreadable(error.to_string())),
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| sort_out(path, &error))?;
        let prepare = || {
            connection.busy_timeout(patience)?;
            connection.pragma_update(None, "query_only", true)?;
            connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
            Ok((has_column(&connection, "bips", "bancount")?, has_column(&connection, "bans", "timeofban")?))
        };
        let (timed, any) = prepare().map_err(|error| sort_out(path, &error))?;
        if !any {
            return Err(DatabaseError::Damaged(path.to_owned(), "it has no table of bans".to_owned()));
        }
        // A view may have rows without end.
        let is_view = "SELECT 1 FROM sqlite_schema WHERE type = 'view' AND name IN ('bans', 'bips')";
        let has_view = connection
            .prepare(is_view)
            .and_then(|mut found| found.exists([]))
            .map_err(|error| sort_out(path, &error))?;
        if has_view {
            return Err(DatabaseError::Damaged(path.to_owned(), "its bans are a view, not a table".to_owned()));
        }
        let schema = if timed { Schema::Timed } else { Schema::Bare };
        Ok(Database { connection, schema, path: path.to_owned() })
    }

    /// Whether the daemon remembers how long a ban lasts: since 0.11.
    pub fn has_ban_times(&self) -> bool {
        self.schema == Schema::Timed
    }

    /// Reads a row of each table, so that a file is known to be usable.
    pub fn check(&self) -> Result<(), DatabaseError> {
        self.current_page(0, 1)?;
        self.history_page(0, 1).map(drop)
    }

    pub(super) fn sorted_out<T>(&self, result: rusqlite::Result<T>) -> Result<T, DatabaseError> {
        result.map_err(|error| sort_out(&self.path, &error))
    }
}

fn has_column(connection: &Connection, table: &str, column: &str) -> rusqlite::Result<bool> {
    connection.prepare("SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2")?.exists([table, column])
}

/// Which of our errors an error of SQLite's is.
fn sort_out(path: &Path, error: &rusqlite::Error) -> DatabaseError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => DatabaseError::Locked,
        Some(
            ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::SystemIoFailure | ErrorCode::ReadOnly,
        ) => DatabaseError::Unreadable(path.to_owned(), text),
        _ => DatabaseError::Damaged(path.to_owned(), text),
    }
}
