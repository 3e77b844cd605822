//! The lists as they were imported last, a file each. What is imported into a set of our own takes effect at the end, and so do they.

use std::io;
use std::path::{Path, PathBuf};

use crate::blocklist::set::AddressSet;
use crate::files;
use crate::jobs::held_set::{SetPlace, make_directory, replace_file};

/// The files.
pub(super) struct Lists<'a> {
    directory: &'a Path,
    /// Whether what the files name can be taken for banned.
    are_banned: bool,
    /// Files that wait for the set: their names stand for what the set holds.
    waits: bool,
    waiting: Vec<i64>,
}

impl<'a> Lists<'a> {
    /// The files beside a set, or those of what fail2ban bans.
    pub fn new(set: &'a SetPlace) -> Lists<'a> {
        let waits = set.way.is_some();
        Lists { directory: &set.lists, are_banned: !waits || set.is_kept(), waits, waiting: Vec::new() }
    }

    /// Whether what they name can be taken for banned, as far as the times of bans say so.
    pub fn are_banned(&self) -> bool {
        self.are_banned
    }

    fn path(&self, id: i64) -> PathBuf {
        self.directory.join(id.to_string())
    }

    fn aside(&self, id: i64) -> PathBuf {
        self.directory.join(format!("{id}.new"))
    }

    /// The list of a source, with what was saved in this import.
    pub fn load(&self, id: i64) -> Option<AddressSet> {
        let path = if self.waiting.contains(&id) { self.aside(id) } else { self.path(id) };
        AddressSet::decode(&files::read(&path, 256 << 20).ok()?)
    }

    /// Replaces it, whole or not at all.
    pub fn save(&mut self, id: i64, list: &AddressSet) -> io::Result<()> {
        if !self.waits {
            return replace_file(&self.path(id), &list.encode());
        }
        make_directory(self.directory)?;
        files::write_aside(&self.aside(id), &list.encode(), 0o600)?;
        if !self.waiting.contains(&id) {
            self.waiting.push(id);
        }
        Ok(())
    }

    /// The set is in force: what was saved counts from now on.
    pub fn put_in_place(&mut self) -> io::Result<()> {
        std::mem::take(&mut self.waiting)
            .into_iter()
            .try_for_each(|id| files::put_over(&self.aside(id), &self.path(id)))
    }
}
