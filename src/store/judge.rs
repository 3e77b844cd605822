//! Whose a database is, found out without touching it: opening it with SQLite would already change it.
//!
//! Only the bytes that mark a file are read. What is in a sound file of ours is for SQLite to say.

use std::fs::Metadata;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::error::Error;
use crate::files;

/// Marks the file as ours, in `PRAGMA application_id`: the letters BGUI.
pub const APPLICATION_ID: i64 = 0x4247_5549;

/// The head of a file, and of its first page.
const HEAD: usize = 112;
/// Where in the head the application's number, and the kind and the number of cells of the first page stand.
const APPLICATION: usize = 68;
const PAGE_KIND: usize = 100;
const CELLS: usize = 103;
/// A page of a tree that holds its cells itself.
const LEAF: u8 = 0x0d;
/// The heads of a log and of a page in it, in bytes, and where the page's size stands.
const LOG_HEAD: usize = 32;
const FRAME_HEAD: usize = 24;
const PAGE_SIZE: usize = 8;
/// The most of a log that is looked through, in bytes: ours is a hundredth of it.
const MAX_LOG: u64 = 256 << 20;

/// An error unless there is no such file yet, or it is ours or empty. A file of ours that others may read or write is put right, where
/// that is ours to do.
pub(super) fn judge(path: &Path) -> Result<(), Error> {
    let unusable = |why: String| Error::Unusable(path.to_owned(), why);
    let mut file = match files::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|error| unusable(error.to_string()))?,
    };
    let mut head = Vec::new();
    file.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(|error| unusable(error.to_string()))?;
    if !head.is_empty() && !is_ours(&head, path).ok_or_else(|| unusable("it is no database".to_owned()))? {
        return Err(Error::Foreign(path.to_owned()));
    }
    let about = file.metadata().map_err(|error| unusable(error.to_string()))?;
    close(path, &about);
    Ok(())
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
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    let log = files::read(Path::new(&name), MAX_LOG).ok()?;
    let size = number(log.get(PAGE_SIZE..PAGE_SIZE + 4)?) as usize;
    let mut frames = log.get(LOG_HEAD..)?.chunks_exact(FRAME_HEAD + size);
    let first = frames.rfind(|frame| number(frame) == 1)?;
    let marked = number(first.get(FRAME_HEAD + APPLICATION..)?);
    Some(i64::from(marked) == APPLICATION_ID)
}

fn number(bytes: &[u8]) -> u32 {
    bytes.get(..4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// It holds hashes of passwords and tokens: others have no business in it.
fn close(path: &Path, about: &Metadata) {
    if about.mode() & 0o007 == 0 {
        return;
    }
    let shown = path.display();
    let closed = std::fs::Permissions::from_mode(about.mode() & 0o770);
    match std::fs::set_permissions(path, closed) {
        Ok(()) => log::warn!("anybody on this machine could read the database {shown}; its mode was put right"),
        Err(error) => {
            log::warn!("anybody on this machine can read the database {shown}, and that cannot be changed: {error}")
        }
    }
}
