//! What can go wrong with our database, in one sentence each.

use std::fmt;
use std::path::PathBuf;

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
