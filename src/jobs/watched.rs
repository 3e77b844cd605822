//! What an answer about the configuration was made from, so that it need not be made again while nothing of that has changed: the files and
//! folders of the configuration, and which log files there are. What the files mean is not asked.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::conf::{glob, is_pattern};

/// The folders of a configuration that are read. Files elsewhere are not known here.
const FOLDERS: [&str; 5] = ["", "jail.d", "fail2ban.d", "filter.d", "action.d"];
/// A change so young may be followed by another within the same tick of the file system's clock, which its time would not show.
const SETTLES: Duration = Duration::from_millis(100);
/// The most paths that are watched.
const MOST: usize = 2000;

/// The field in which a child says what its answer was made from.
pub const FROM: &str = "made_from";

/// What a path was: times of its content and of itself in nanoseconds, size, number, device.
type Stamp = (i64, i64, u64, u64, u64);

/// Paths as they were.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    paths: Vec<(String, Option<Stamp>)>,
    /// Whether there is something at a path; what it holds does not matter.
    present: Vec<(String, bool)>,
}

impl Watched {
    /// The files and folders of a configuration, as they are now: to be called before they are read.
    pub fn of(config_dir: &Path) -> Watched {
        let mut watched = Watched::default();
        for folder in FOLDERS {
            let folder = config_dir.join(folder);
            let mut names: Vec<String> = std::fs::read_dir(&folder)
                .into_iter()
                .flatten()
                .flatten()
                .filter(|entry| {
                    let name = entry.file_name();
                    let name = name.to_string_lossy();
                    [".conf", ".local", ".py"].iter().any(|end| name.ends_with(end))
                })
                .map(|entry| entry.path().to_string_lossy().into_owned())
                .collect();
            names.sort();
            watched.add(folder.to_string_lossy().trim_end_matches('/').to_owned());
            names.into_iter().for_each(|name| watched.add(name));
        }
        watched
    }

    fn add(&mut self, path: String) {
        let stamp = stamp(&path);
        self.paths.push((path, stamp));
    }

    /// And whether there are log files that a path or pattern names.
    pub fn add_log(&mut self, named: &str) {
        let path = named.split(' ').next().unwrap_or(named);
        if self.present.iter().any(|(own, _)| own == path) || self.paths.iter().any(|(own, _)| own == path) {
            return;
        }
        if !is_pattern(path) {
            self.present.push((path.to_owned(), Path::new(path).exists()));
            return;
        }
        // A folder in which a part of the pattern is looked for changes when that part comes or goes.
        let mut before = String::new();
        for part in path.split('/').skip(1) {
            if is_pattern(part) {
                let folders = if is_pattern(&before) { glob(&before) } else { vec![before.clone()] };
                folders.into_iter().for_each(|folder| self.add(folder));
            }
            before = format!("{before}/{part}");
        }
    }

    /// Whether everything is as it was.
    pub fn is_as_it_was(&self) -> bool {
        self.paths.iter().all(|(path, was)| stamp(path) == *was)
            && self.present.iter().all(|(path, was)| Path::new(path).exists() == *was)
    }

    /// Whether nothing was changed just now, so that a further change would show.
    pub fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let old = i64::try_from(now.saturating_sub(SETTLES).as_nanos()).unwrap_or(i64::MAX);
        self.paths.len() <= MOST
            && self.paths.iter().filter_map(|(_, stamp)| *stamp).all(|(content, own, ..)| content < old && own < old)
    }
}

fn stamp(path: &str) -> Option<Stamp> {
    let about = std::fs::metadata(path).ok()?;
    let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
    let (content, own) =
        (nanoseconds(about.mtime(), about.mtime_nsec()), nanoseconds(about.ctime(), about.ctime_nsec()));
    // A folder's size says nothing, and that of a log directory is not asked for.
    Some((content, own, about.len(), about.ino(), about.dev()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_change_on_disk_shows() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("jail.d")).unwrap();
        fs::create_dir(path("logs")).unwrap();
        fs::write(path("jail.conf"), "[a]\n").unwrap();
        let all = || {
            let mut watched = Watched::of(directory.path());
            watched.add_log(&path("lab.log").display().to_string());
            watched.add_log(&format!("{}/*/x*.log tail", directory.path().display()));
            watched
        };
        let was = all();
        assert!(was.is_as_it_was() && !was.is_settled());
        let changes: [&dyn Fn(); 8] = [
            &|| fs::write(path("jail.conf"), "[b]\n").unwrap(),
            &|| fs::write(path("jail.d/x.local"), "").unwrap(),
            &|| fs::remove_file(path("jail.d/x.local")).unwrap(),
            &|| fs::write(path("lab.log"), "").unwrap(),
            &|| fs::remove_file(path("lab.log")).unwrap(),
            &|| fs::write(path("logs/x1.log"), "").unwrap(),
            &|| fs::create_dir(path("filter.d")).unwrap(),
            &|| fs::rename(path("jail.conf"), path("jail.local")).unwrap(),
        ];
        for change in changes {
            let was = all();
            // A tick of the file system's clock.
            std::thread::sleep(Duration::from_millis(12));
            change();
            assert!(!was.is_as_it_was());
            assert!(all().is_as_it_was());
        }
    }
}
