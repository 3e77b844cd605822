//! Whose a database is, found out without touching it: opening it with SQLite would already change it.
//!
//! Only the bytes that mark a file are read. What is in a sound file of ours is for SQLite to say.

use std::fs::Metadata;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::Error;
use crate::files;

/// Marks the file as ours, in `PRAGMA application_id`: the letters BGUI.
pub const APPLICATION_ID: i64 = 0x4247_5549;

/// The head of a file, and of its first page.
const HEAD: usize = 112;
/// Where in the head the application's number, and the kind and the number of cells of the first page stand.
const APPLICATION: usize = 68;
const PAGE_KIND: usize = 100;
/// Where the size of a page, the count of changes, the number of pages and the change that this number is of stand.
const PAGE_BYTES: usize = 16;
const CHANGES: usize = 24;
const PAGES: usize = 28;
const PAGES_VALID_FOR: usize = 92;
/// What is said of a file that is not ours, and of one that was.
const NOT_OURS: &str = "it is not a database of bangui, and was left as it is";
const CUT: &str =
    "it is not a whole database of bangui: a part of it is missing; it was left as it is, so put a copy in its place";
const CELLS: usize = 103;
/// A page of a tree that holds its cells itself.
const LEAF: u8 = 0x0d;
/// The heads of a log and of a page in it, in bytes, and where the page's size stands.
const LOG_HEAD: usize = 32;
const FRAME_HEAD: usize = 24;
const PAGE_SIZE: usize = 8;
/// The most of a log that is looked through, in bytes: ours is a hundredth of it.
const MAX_LOG: u64 = 256 << 20;

/// An error unless there is no such file yet, or it is ours or empty, and nobody else may read or write it. Where somebody may, that is put
/// right, if it is ours to do.
pub(super) fn judge(path: &Path) -> Result<(), Error> {
    let unusable = |why: String| Error::Unusable(path.to_owned(), why);
    let mut file = match files::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return judge_logs(path, None),
        other => other.map_err(|error| unusable(error.to_string()))?,
    };
    let about = file.metadata().map_err(|error| unusable(error.to_string()))?;
    let mut head = Vec::new();
    file.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(|error| unusable(error.to_string()))?;
    // One of no bytes is new: somebody has made the file, and left what is in it to us.
    if !head.is_empty() {
        let is_ours = is_ours(&head, path).ok_or_else(|| unusable(NOT_OURS.to_owned()))?;
        if !is_ours {
            return Err(Error::Foreign(path.to_owned()));
        }
        if is_cut(&head, about.len(), path) {
            return Err(unusable(CUT.to_owned()));
        }
    }
    close(path, &about).map_err(unusable)?;
    judge_logs(path, Some(&about))
}

/// The same of the logs beside a database: SQLite believes what stands in them, and would wait for a pipe.
fn judge_logs(path: &Path, database: Option<&Metadata>) -> Result<(), Error> {
    for ending in ["-wal", "-journal", "-shm"] {
        let log = beside(path, ending);
        let unusable = |why: String| Error::Unusable(log.clone(), why);
        let about = match std::fs::symlink_metadata(&log) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            other => other.map_err(|error| unusable(error.to_string()))?,
        };
        files::demand_regular(&about).map_err(|error| unusable(error.to_string()))?;
        // SAFETY: geteuid takes nothing and cannot fail.
        let own = unsafe { libc::geteuid() };
        if about.uid() != own && database.is_none_or(|database| database.uid() != about.uid()) {
            return Err(unusable(format!("user {} has put it there; look at it and remove it", about.uid())));
        }
        close(&log, &about).map_err(unusable)?;
    }
    warn_of_directory(path);
    Ok(())
}

/// Says so where others may put files beside the database, or others in its place.
fn warn_of_directory(path: &Path) {
    let Some(directory) = path.parent() else { return };
    let Ok(about) = std::fs::metadata(directory) else { return };
    if about.mode() & 0o022 != 0 {
        log::warn!(
            "others on this machine may write into {}, where the database is; have it belong to one user, with mode 700",
            directory.display()
        );
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Whether a part of the file is missing: it holds no whole pages, or fewer than its head says. With a log it may be so for good reasons,
/// after a power failure; but not its first page, unless the log holds that.
fn is_cut(head: &[u8], length: u64, path: &Path) -> bool {
    let page = match u16::from_be_bytes([head[PAGE_BYTES], head[PAGE_BYTES + 1]]) {
        1 => 65_536,
        bytes => u64::from(bytes),
    };
    if length < page {
        return log_is_ours(path) != Some(true);
    }
    let has_log = ["-wal", "-journal"]
        .iter()
        .any(|ending| std::fs::symlink_metadata(beside(path, ending)).is_ok_and(|about| about.len() > 0));
    // The number of pages is true if it was written with the last change of the file.
    let pages = u64::from(number(&head[PAGES..]));
    let is_true = head[CHANGES..CHANGES + 4] == head[PAGES_VALID_FOR..PAGES_VALID_FOR + 4];
    !has_log && (page < 512 || !length.is_multiple_of(page) || is_true && length < pages * page)
}

/// Whether a head is that of a database of ours, or of one with nothing in it. `None`: of no database at all.
fn is_ours(head: &[u8], path: &Path) -> Option<bool> {
    if head.len() < HEAD || !head.starts_with(b"SQLite format 3\0") {
        return None;
    }
    let marked = number(&head[APPLICATION..]);
    if i64::from(marked) == APPLICATION_ID {
        return Some(true);
    }
    let is_empty = head[PAGE_KIND] == LEAF && head[CELLS..CELLS + 2] == [0, 0];
    // A file with nothing in it yet may have all of it in its log.
    Some(marked == 0 && is_empty && log_is_ours(path).unwrap_or(true))
}

/// Whether the log beside a file holds a first page of ours; `None` where it holds no first page.
fn log_is_ours(path: &Path) -> Option<bool> {
    let log = files::read(&beside(path, "-wal"), MAX_LOG).ok()?;
    let size = number(log.get(PAGE_SIZE..PAGE_SIZE + 4)?) as usize;
    let mut frames = log.get(LOG_HEAD..)?.chunks_exact(FRAME_HEAD + size);
    let first = frames.rfind(|frame| number(frame) == 1)?;
    let marked = number(first.get(FRAME_HEAD + APPLICATION..)?);
    Some(i64::from(marked) == APPLICATION_ID)
}

fn number(bytes: &[u8]) -> u32 {
    bytes.get(..4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// It holds hashes of passwords and tokens, and who may write it can put his own there: nobody but its owner has business in it. The error
/// is a sentence without its beginning.
fn close(path: &Path, about: &Metadata) -> Result<(), String> {
    if about.mode() & 0o077 == 0 {
        return Ok(());
    }
    let who = if about.mode() & 0o007 != 0 { "anybody on this machine" } else { "its group" };
    let could = if about.mode() & 0o022 != 0 { "change" } else { "read" };
    let closed = std::fs::set_permissions(path, std::fs::Permissions::from_mode(about.mode() & 0o700));
    let is_closed = std::fs::metadata(path).is_ok_and(|about| about.mode() & 0o077 == 0);
    match closed {
        Ok(()) if is_closed => {
            log::warn!("{who} could {could} the database {}; its mode was put right", path.display());
            Ok(())
        }
        Ok(()) => Err(format!("{who} can {could} it, and its file system keeps no modes (mount it with umask=077)")),
        Err(error) => Err(format!("{who} can {could} it, and that cannot be changed ({error}): give it the mode 600")),
    }
}
