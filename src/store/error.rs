//! What can go wrong with our database, in one sentence each.

use std::fmt;
use std::path::PathBuf;

use rusqlite::{ErrorCode, ffi::SQLITE_IOERR_WRITE as WRITE};

/// What can go wrong with the database.
#[derive(Debug)]
pub enum Error {
    /// Another process has it open.
    Locked(PathBuf),
    /// It cannot be opened or made; the text says why.
    Unusable(PathBuf, String),
    /// Not a database of ours.
    Foreign(PathBuf),
    /// Written by a newer version of this program.
    Newer(PathBuf),
    /// The file that holds its key cannot be used; the text says why.
    Key(PathBuf, String),
    /// A statement failed.
    Sqlite(rusqlite::Error),
}

/// What keeps a database from being used, as far as its owner can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// There is no room on its disk.
    Full,
    /// Its disk takes no writes.
    ReadOnly,
    /// Anything else.
    Other,
}

impl Trouble {
    /// What is to be told of it, and done about it.
    pub fn told(self) -> &'static str {
        match self {
            Trouble::Full => {
                "bangui's own database cannot be written: its disk is full. Make room there, and it goes on by itself. Bans can be lifted \
                 meanwhile."
            }
            Trouble::ReadOnly => {
                "bangui's own database cannot be written: its disk takes no writes. Have it writable again, and it goes on by itself. Bans \
                 can be lifted meanwhile."
            }
            Trouble::Other => "bangui's own database cannot be used just now; the log says why.",
        }
    }
}

impl Error {
    /// What is wrong.
    pub fn trouble(&self) -> Trouble {
        let Error::Sqlite(error) = self else { return Trouble::Other };
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Trouble::Full,
            Some(ErrorCode::ReadOnly) => Trouble::ReadOnly,
            // A write that the kernel has refused.
            Some(ErrorCode::SystemIoFailure)
                if error.sqlite_error().is_some_and(|error| error.extended_code == WRITE) =>
            {
                Trouble::ReadOnly
            }
            _ => Trouble::Other,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Locked(path) => {
                write!(
                    f,
                    "{} is in use by another process; stop the other bangui or choose another --database",
                    path.display()
                )
            }
            Error::Unusable(path, why) => {
                write!(
                    f,
                    "cannot use the database {}: {why}; check the directory's owner and space, or choose another --database",
                    path.display()
                )
            }
            Error::Foreign(path) => {
                write!(f, "{} is a database of another program; choose another --database", path.display())
            }
            Error::Newer(path) => {
                write!(
                    f,
                    "{} was written by a newer bangui; install that version again or choose another --database",
                    path.display()
                )
            }
            Error::Key(path, why) => {
                write!(
                    f,
                    "the key of the second factors, {}, cannot be used: {why}; put the right one back, or use bangui totp reset NAME",
                    path.display()
                )
            }
            Error::Sqlite(error) => write!(f, "the database failed: {error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Error::Sqlite(error)
    }
}
