//! Our database: opened, judged, brought up to date, written in transactions, kept small.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::ended_file::EndedFile;
use super::error::Error;
use super::judge::{self, APPLICATION_ID};
use crate::domain::notification::Channel;

const SCHEMA: &str = include_str!("../../schema.sql");
/// What brings an old database to `SCHEMA`: the step at index N makes version N + 2 of version N + 1.
const MIGRATIONS: &[&str] = &[
    include_str!("archive.sql"),
    include_str!("blocklists.sql"),
    include_str!("archive_counts.sql"),
    include_str!("devices.sql"),
    include_str!("blocklist_log_details.sql"),
    include_str!("changes.sql"),
    include_str!("seen_files.sql"),
    include_str!("own_bans.sql"),
    include_str!("never_ban.sql"),
    include_str!("archive_own.sql"),
    include_str!("blocklist_fetched.sql"),
    include_str!("notifications.sql"),
    include_str!("users.sql"),
    include_str!("second_factors.sql"),
    include_str!("audit.sql"),
];
/// The version of `SCHEMA`, kept in `PRAGMA user_version`.
const VERSION: i64 = 1 + MIGRATIONS.len() as i64;
/// Pages in the log from which on they are brought into the file, 1 MiB.
const CHECKPOINT_PAGES: i64 = 256;
/// Bytes of free space that are little.
const LITTLE_SPACE: f64 = 65_536.0;

/// The SHA-256 of a token.
pub type TokenHash = [u8; 32];

/// The open database.
#[derive(Debug)]
pub struct Store {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    /// Sessions that were ended while the database took no writes: they are over all the same.
    pub(super) ended: Vec<TokenHash>,
    /// Where they are noted meanwhile.
    pub(super) ended_file: EndedFile,
    /// Whom something is told, as it is stored.
    pub(super) channels: Arc<Vec<Channel>>,
}

impl Store {
    /// Opens the database, makes it where there is none, and brings it up to date. A file that setup has moved
    /// (see `move_to`) is followed once.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let store = Self::open_one(path)?;
        match store.setting("moved_to")? {
            Some(other) if Path::new(&other).exists() => {
                drop(store);
                Self::open_one(Path::new(&other))
            }
            _ => Ok(store),
        }
    }

    fn open_one(path: &Path) -> Result<Self, Error> {
        let unusable = |why: String| Error::Unusable(path.to_path_buf(), why);
        if let Some(directory) = path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(|error| unusable(error.to_string()))?;
        }
        judge::judge(path)?;
        // SQLite would make the file by the umask; it holds password and token hashes.
        fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
            .map_err(|error| unusable(error.to_string()))?;
        let flags =
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let canonical = path.canonicalize().map_err(|error| unusable(error.to_string()))?;
        let connection = Connection::open_with_flags(&canonical, flags).map_err(|error| unusable(error.to_string()))?;
        let ended_file = EndedFile::beside(&canonical);
        let channels = Arc::default();
        let mut store = Self { connection, path: canonical, ended: Vec::new(), ended_file, channels };
        store.prepare().map_err(|error| match error {
            Error::Sqlite(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Locked(path.to_path_buf()),
                _ => unusable(error.to_string()),
            },
            other => other,
        })?;
        store.find_ended()?;
        store.read_channels()?;
        Ok(store)
    }

    fn prepare(&mut self) -> Result<(), Error> {
        self.connection.busy_timeout(Duration::from_millis(200))?;
        self.connection.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 1048576; PRAGMA wal_autocheckpoint = 1024;
             PRAGMA cache_size = -512;",
        )?;
        let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive)?;
        let read = |name: &str| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let (application, version) = (read("application_id")?, read("user_version")?);
        let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        match (application, version) {
            (0, 0) if tables == 0 => transaction.execute_batch(SCHEMA)?,
            (APPLICATION_ID, found) if found > VERSION => return Err(Error::Newer(self.path.clone())),
            (APPLICATION_ID, found) if found >= 1 => {
                for step in &MIGRATIONS[(found - 1) as usize..] {
                    transaction.execute_batch(step)?;
                }
            }
            _ => return Err(Error::Foreign(self.path.clone())),
        }
        if version != VERSION {
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        transaction.commit()?;
        // Only now: what a migration sorts may be much.
        self.connection.pragma_update(None, "temp_store", "MEMORY")?;
        Ok(())
    }

    /// Whether so much has been written that it should be brought from the log into the file, in a step of its own. By itself
    /// that happens at four times as much.
    pub fn is_checkpoint_due(&self) -> Result<bool, Error> {
        let read = |row: &rusqlite::Row<'_>| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?);
        Ok(self.connection.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?.query_row([], read)? >= CHECKPOINT_PAGES)
    }

    /// Brings it there.
    pub fn checkpoint(&self) -> Result<(), Error> {
        Ok(self.connection.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], |_| Ok(()))?)
    }

    /// Whether the file system looks as if it took no writes: it is mounted read-only or has no space left.
    pub fn looks_unwritable(&self) -> bool {
        let Ok(path) = CString::new(self.path.as_os_str().as_bytes()) else { return false };
        // SAFETY: all of its fields are numbers, of which 0 is one.
        let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
        // SAFETY: the path ends in a zero byte, and the struct is ours.
        if unsafe { libc::statvfs(path.as_ptr(), &mut found) } != 0 {
            return true;
        }
        // The fields have other widths on other machines.
        let free = found.f_bfree as f64 * found.f_frsize as f64;
        found.f_flag & libc::ST_RDONLY != 0 || free < LITTLE_SPACE
    }

    /// Writes a little, to know whether that is possible.
    pub fn try_to_write(&mut self, now: i64) -> Result<(), Error> {
        self.set_settings(&[("tried_to_write_at", &now.to_string())])?;
        self.end_sessions_again()
    }

    /// Where it lies: absolute, links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Rises with every row that is written: nobody else has the database.
    pub fn revision(&self) -> u64 {
        self.connection.total_changes()
    }

    /// Whether it answers.
    pub fn is_healthy(&self) -> bool {
        self.connection
            .query_row("SELECT 1 FROM settings LIMIT 1", [], |_| Ok(()))
            .map_or_else(|error| matches!(error, rusqlite::Error::QueryReturnedNoRows), |()| true)
    }

    /// Copies the database to a new file beside it, opens that, and leaves a note in the old one that `open` follows.
    pub fn move_to(&mut self, path: &Path) -> Result<(), Error> {
        self.connection.execute("VACUUM INTO ?1", [path.to_string_lossy()])?;
        let other = Self::open_one(path)?;
        other.connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        self.set_settings(&[("moved_to", &other.path.to_string_lossy())])?;
        *self = other;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::permission::Role;
    use crate::store::users::OWNER_ID;

    const VERSION_1: &str = include_str!("version_1.sql");

    /// A database in a directory that is removed with the first value.
    pub(crate) fn temporary() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("sub/bangui.db")).unwrap();
        (directory, store)
    }

    /// The same, after setup.
    pub(crate) fn with_owner() -> (tempfile::TempDir, Store) {
        let (directory, mut store) = temporary();
        store.complete_setup("x", &[]).unwrap();
        (directory, store)
    }

    #[test]
    fn the_file_is_private_and_opens_again() {
        use std::os::unix::fs::PermissionsExt;
        let (_directory, store) = temporary();
        let path = store.path().to_path_buf();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(store.is_healthy());
        drop(store);
        assert!(Store::open(&path).is_ok());
    }

    #[test]
    fn a_second_owner_is_refused() {
        let (_directory, store) = temporary();
        assert!(matches!(Store::open(store.path()), Err(Error::Locked(_))));
    }

    #[test]
    fn foreign_newer_and_broken_files_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.db");
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE theirs (a); PRAGMA user_version = 1;").unwrap();
        drop(other);
        assert!(matches!(Store::open(&path), Err(Error::Foreign(_))));
        let newer = directory.path().join("newer.db");
        drop(Store::open(&newer).unwrap());
        Connection::open(&newer).unwrap().pragma_update(None, "user_version", VERSION + 1).unwrap();
        assert!(matches!(Store::open(&newer), Err(Error::Newer(_))));
        let broken = directory.path().join("broken.db");
        fs::write(&broken, vec![b'x'; 8192]).unwrap();
        assert!(matches!(Store::open(&broken), Err(Error::Unusable(..))));
        assert_eq!(fs::read(&broken).unwrap(), vec![b'x'; 8192]);
    }

    #[test]
    fn the_write_ahead_log_stays_small() {
        let (_directory, mut store) = temporary();
        let value = "x".repeat(1000);
        for number in 0..4000 {
            store.set_settings(&[(&format!("key{}", number % 50), &value)]).unwrap();
        }
        let mut name = store.path().as_os_str().to_owned();
        name.push("-wal");
        assert!(fs::metadata(name).unwrap().len() < 8 << 20);
    }

    #[test]
    fn every_table_is_strict() {
        let (_directory, store) = temporary();
        let loose: i64 = store
            .connection
            .query_row("SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%' AND strict = 0", [], |row| row.get(0))
            .unwrap();
        assert_eq!(loose, 0);
    }

    /// A database as version 3 left it.
    pub(crate) fn made_by_version_3(path: &Path) -> Connection {
        let connection = Connection::open(path).unwrap();
        connection.execute_batch(&[VERSION_1, MIGRATIONS[0], MIGRATIONS[1]].concat()).unwrap();
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        connection.pragma_update(None, "user_version", 3).unwrap();
        connection
    }

    #[test]
    fn a_database_made_by_the_old_schema_and_migrated_equals_a_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let old = directory.path().join("old.db");
        let connection = Connection::open(&old).unwrap();
        connection.execute_batch(VERSION_1).unwrap();
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        let settings = "INSERT INTO settings VALUES ('timezone', 'UTC'), ('password_hash', 'x')";
        connection.execute(settings, []).unwrap();
        connection.execute("INSERT INTO sessions VALUES (?1, 'a', 100, 200)", [[1; 32]]).unwrap();
        drop(connection);
        let schema = |path: &Path| {
            let store = Store::open(path).unwrap();
            let mut statement =
                store.connection.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2").unwrap();
            let row = |row: &rusqlite::Row<'_>| (0..4).map(|at| row.get::<_, Option<String>>(at)).collect();
            statement.query_map([], row).unwrap().map(Result::unwrap).collect::<Vec<Vec<Option<String>>>>()
        };
        assert_eq!(schema(&old), schema(&directory.path().join("new.db")));
        let store = Store::open(&old).unwrap();
        assert_eq!(store.setting("timezone").unwrap().as_deref(), Some("UTC"));
        let version: i64 = store.connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, VERSION);
        // The one password is the owner's from then on, and so is every session.
        assert_eq!(store.stored().unwrap().password_hash.as_deref(), Some("x"));
        let session = store.session(&[1; 32], 150).unwrap().unwrap();
        assert_eq!((session.user.id, session.user.role), (OWNER_ID, Role::Admin));
    }

    #[test]
    fn a_moved_database_is_followed() {
        let (directory, mut store) = temporary();
        let first = store.path().to_path_buf();
        store.set_settings(&[("timezone", "Europe/Berlin")]).unwrap();
        store.move_to(&first.with_file_name("second.db")).unwrap();
        drop(store);
        let again = Store::open(&first).unwrap();
        assert!(again.path().ends_with("second.db"));
        assert_eq!(again.setting("timezone").unwrap().as_deref(), Some("Europe/Berlin"));
        drop(directory);
    }
}
