//! Which files are in the directories of a configuration. Each directory is read once, since most of the files that a
//! configuration may be made of are not there.
//!
//! A link, a directory, and what lies elsewhere is not judged here: the system has to be asked. No file is opened.

use std::fs;

use super::glob::is_pattern;
use super::ordered::Index;

/// What is known of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Nothing is there.
    Absent,
    /// A regular file.
    File,
    /// Only the system can tell.
    Unknown,
}

/// The names in one directory, sorted; `None` where it cannot be listed.
type Names = Option<Vec<(String, Presence)>>;

/// The directories below one directory.
#[derive(Debug, Default)]
pub struct Listings {
    base: String,
    read: Index<String, Names>,
}

impl Listings {
    /// For the directory `base` and those below it.
    pub fn new(base: &str) -> Listings {
        Listings { base: base.to_owned(), read: Index::default() }
    }

    /// What is known of a path.
    pub fn presence(&mut self, path: &str) -> Presence {
        let Some((directory, name)) = path.rsplit_once('/') else {
            return Presence::Unknown;
        };
        if name.is_empty() || name == "." || name == ".." {
            return Presence::Unknown;
        }
        match self.names(directory) {
            None => Presence::Unknown,
            Some(names) => match names.binary_search_by(|(own, _)| own.as_str().cmp(name)) {
                Ok(at) => names[at].1,
                Err(_) => Presence::Absent,
            },
        }
    }

    /// The visible names in a directory with this ending, sorted; `None` where the directory is not known.
    pub fn with_ending(&mut self, directory: &str, ending: &str) -> Option<Vec<String>> {
        let names = self.names(directory)?.iter().map(|(name, _)| name);
        Some(names.filter(|name| !name.starts_with('.') && name.ends_with(ending)).cloned().collect())
    }

    /// The names in a directory; `None` where they are not known.
    fn names(&mut self, directory: &str) -> Option<&[(String, Presence)]> {
        let below = directory.strip_prefix(&*self.base)?;
        if self.base.is_empty() || !(below.is_empty() || below.starts_with('/')) || is_pattern(directory) {
            return None;
        }
        if !self.read.contains_key(directory) {
            // Most of the directories asked for are not there, which needs no note.
            if !below.is_empty() && self.presence(directory) == Presence::Absent {
                return Some(&[]);
            }
            self.read.insert(directory.to_owned(), list(directory));
        }
        self.read.get(directory)?.as_deref()
    }
}

fn list(directory: &str) -> Names {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).ok()? {
        let entry = entry.ok()?;
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if let Ok(name) = entry.file_name().into_string() {
            names.push((name, if is_file { Presence::File } else { Presence::Unknown }));
        }
    }
    names.sort_by(|(one, _), (other, _)| one.cmp(other));
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_known_and_what_is_elsewhere_is_not() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("d/sub")).unwrap();
        for name in ["d/b.conf", "d/a.conf", "d/.h.conf", "d/a.local"] {
            fs::write(root.path().join(name), "").unwrap();
        }
        std::os::unix::fs::symlink("a.conf", root.path().join("d/link.conf")).unwrap();
        let base = root.path().join("d").to_str().unwrap().to_owned();
        let mut listings = Listings::new(&base);
        let mut presence = |name: &str| listings.presence(&format!("{base}/{name}"));
        assert_eq!(presence("a.conf"), Presence::File);
        for absent in ["c.conf", "none/x.conf", "a.conf.d/x"] {
            assert_eq!(presence(absent), Presence::Absent, "{absent}");
        }
        for unknown in ["sub", "link.conf", "..", "x/../a.conf/.", "[a].d/x"] {
            assert_eq!(presence(unknown), Presence::Unknown, "{unknown}");
        }
        assert_eq!(listings.presence("/etc/passwd"), Presence::Unknown);
        assert_eq!(listings.presence(&format!("{base}2/x")), Presence::Unknown);
        assert_eq!(listings.with_ending(&base, ".conf").unwrap(), ["a.conf", "b.conf", "link.conf"]);
        assert_eq!(listings.with_ending(&format!("{base}/none"), ".conf"), Some(Vec::new()));
    }
}
