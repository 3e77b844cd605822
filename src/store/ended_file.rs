//! The file that notes which sessions have ended, see `ended.rs`: made while there is room, written in place.
//!
//! What stands in it is for others to act upon.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::files;

/// Sessions that it has room for; more than there can be.
pub const PLACES: usize = 128;
/// The hash of a session's token.
type Hash = [u8; 32];
const LENGTH: usize = PLACES * size_of::<Hash>();

/// The file.
#[derive(Debug)]
pub struct EndedFile {
    pub(super) path: PathBuf,
    /// `None` where there is none yet.
    pub(super) file: Option<File>,
}

impl EndedFile {
    /// The place beside a database.
    pub(super) fn beside(database: &Path) -> EndedFile {
        EndedFile { path: files::beside(database, ".ended"), file: None }
    }

    /// What it holds; `None` where there is no whole one.
    pub(super) fn read(&self) -> Option<Vec<Hash>> {
        let bytes = files::read(&self.path, LENGTH as u64).ok().filter(|bytes| bytes.len() == LENGTH)?;
        let hashes = bytes.chunks_exact(size_of::<Hash>()).filter_map(|chunk| chunk.try_into().ok());
        Some(hashes.filter(|hash| *hash != Hash::default()).collect())
    }

    /// Makes it, or makes it hold these and nothing else.
    pub(super) fn write(&mut self, hashes: &[Hash]) -> io::Result<()> {
        let mut bytes = hashes.concat();
        bytes.resize(LENGTH, 0);
        if let Some(file) = &self.file {
            file.write_all_at(&bytes, 0)?;
            return file.sync_data();
        }
        self.file = Some(files::replace(&self.path, &bytes, 0o600)?);
        Ok(())
    }

    pub(super) fn remove(&mut self) -> io::Result<()> {
        self.file = None;
        files::remove(&self.path)
    }
}
