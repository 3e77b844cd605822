//! The lists as they were imported last, a file each, and beside it what has left the list and is still banned. What is imported into a set of
//! our own takes effect at the end, and so do they.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::blocklist::set::AddressSet;
use crate::files;
use crate::jobs::held_set::{LEFT, SetPlace, make_directory, replace_file, source_of};

/// The two files of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Its list.
    List,
    /// What has left its list and stays banned until its time is over.
    Left,
}

/// The files.
pub(super) struct Lists<'a> {
    directory: &'a Path,
    /// Whether what the files name can be taken for banned.
    are_banned: bool,
    /// Files that wait for the set: their names stand for what the set holds.
    waits: bool,
    waiting: Vec<(i64, Part)>,
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

    fn path(&self, id: i64, part: Part) -> PathBuf {
        let suffix = if part == Part::List { "" } else { LEFT };
        self.directory.join(format!("{id}{suffix}"))
    }

    fn aside(&self, id: i64, part: Part) -> PathBuf {
        let mut path = self.path(id, part).into_os_string();
        path.push(".new");
        path.into()
    }

    /// The list of a source, with what was saved in this import.
    pub fn load(&self, id: i64) -> Option<AddressSet> {
        self.read(id, Part::List)
    }

    fn read(&self, id: i64, part: Part) -> Option<AddressSet> {
        let path = if self.waiting.contains(&(id, part)) { self.aside(id, part) } else { self.path(id, part) };
        AddressSet::decode(&files::read(&path, 256 << 20).ok()?)
    }

    /// Replaces it, whole or not at all.
    pub fn save(&mut self, id: i64, list: &AddressSet) -> io::Result<()> {
        self.write(id, Part::List, list)
    }

    /// Adds what has left the list of a source and stays banned; of what is known already, that stays which is in neither.
    pub fn save_left(&mut self, id: i64, gone: AddressSet, list: &AddressSet, banned: &AddressSet) -> io::Result<()> {
        let known = self.read(id, Part::Left);
        let is_new = known.is_none();
        let mut left = known.unwrap_or_default();
        left.merge(&gone);
        left.subtract(list);
        let mut over = left.clone();
        over.subtract(banned);
        left.subtract(&over);
        if is_new && left.is_empty() { Ok(()) } else { self.write(id, Part::Left, &left) }
    }

    fn write(&mut self, id: i64, part: Part, list: &AddressSet) -> io::Result<()> {
        if !self.waits {
            return replace_file(&self.path(id, part), &list.encode());
        }
        make_directory(self.directory)?;
        files::write_aside(&self.aside(id, part), &list.encode(), 0o600)?;
        if !self.waiting.contains(&(id, part)) {
            self.waiting.push((id, part));
        }
        Ok(())
    }

    /// The set is in force: what was saved counts from now on.
    pub fn put_in_place(&mut self) -> io::Result<()> {
        std::mem::take(&mut self.waiting)
            .into_iter()
            .try_for_each(|(id, part)| files::put_over(&self.aside(id, part), &self.path(id, part)))
    }

    /// The sources that something is kept of.
    pub fn sources(&self) -> Vec<i64> {
        let names = fs::read_dir(self.directory).into_iter().flatten().flatten();
        let mut all: Vec<i64> = names.filter_map(|entry| source_of(&entry.file_name())).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What a source has brought, as far as it is kept: its list, and what has left it.
    pub fn brought(&self, id: i64) -> AddressSet {
        let mut all = self.read(id, Part::List).unwrap_or_default();
        all.merge(&self.read(id, Part::Left).unwrap_or_default());
        all
    }

    /// Removes what is kept of sources.
    pub fn forget(&self, sources: &[i64]) -> io::Result<()> {
        let parts = |id: &i64| [self.path(*id, Part::Left), self.path(*id, Part::List)];
        // The list last: whoever dies in between begins with it again.
        sources.iter().flat_map(parts).try_for_each(|path| match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
    }
}
