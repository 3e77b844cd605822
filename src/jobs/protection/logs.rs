//! What is at the places that a jail reads from.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use crate::program;
use crate::protection::facts::{JailFacts, JournalFacts, LogFacts, LogState, Source};

/// How long the journal may take.
const JOURNAL: Duration = Duration::from_secs(2);
/// How many lines of it are read.
pub const LINES: &str = "500";
/// How many log files of a jail are looked at.
const MOST: usize = 200;

/// Looks at the logs of a jail. `other_files`: fail2ban may see other files than we do.
pub fn look(jail: &mut JailFacts, other_files: bool) {
    match &mut jail.source {
        Source::Files(logs) => logs.iter_mut().take(MOST).for_each(|log| file(log, other_files)),
        Source::Journal(journal) => {
            let read = read_journal(journal, LINES, other_files);
            journal.lines = read.map(|lines| lines.len());
        }
    }
}

fn file(log: &mut LogFacts, other_files: bool) {
    let path = Path::new(&log.path);
    let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path);
    let about = opened.and_then(|file| file.metadata());
    match about {
        Ok(about) if !about.is_file() => log.state = LogState::Unreadable("It is not a regular file.".to_owned()),
        Ok(about) => {
            log.changed = about.mtime();
            log.newer_beside = newer_beside(path, about.mtime());
        }
        Err(_) if other_files => log.state = LogState::Elsewhere,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            log.state = LogState::Missing;
            log.newer_beside = newer_beside(path, 0);
        }
        Err(error) => log.state = LogState::Unreadable(format!("{error}.")),
    }
}

/// The newest file beside it whose name begins with its own: a writer that did not open its log again writes there.
fn newer_beside(path: &Path, than: i64) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let beside = fs::read_dir(path.parent()?).ok()?.flatten().take(5000);
    let alike = beside.filter(|entry| {
        let other = entry.file_name();
        let rest = other.to_str().and_then(|other| other.strip_prefix(name));
        rest.is_some_and(|rest| rest.starts_with(['.', '-']) && !rest.ends_with("gz") && !rest.ends_with("xz"))
    });
    let newest = alike.filter_map(|entry| Some((entry.metadata().ok()?.mtime(), entry.path()))).max()?;
    (newest.0 > than).then(|| newest.1.display().to_string())
}

/// The last `lines` of the journal that a jail is told to read, as text. What is wrong is noted.
pub fn read_journal(journal: &mut JournalFacts, lines: &str, other_files: bool) -> Option<Vec<String>> {
    if other_files {
        journal.problem = Some("fail2ban runs in a container of its own.".to_owned());
        return None;
    }
    let has_one = |path: &str| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
    if !has_one("/run/log/journal") && !has_one("/var/log/journal") {
        journal.is_missing = true;
        return None;
    }
    let mut args = vec!["-q", "--no-pager", "-o", "short-iso", "-n", lines];
    args.extend(journal.matches.split_ascii_whitespace());
    let args: Vec<&OsStr> = args.into_iter().map(OsStr::new).collect();
    match program::run(Path::new("journalctl"), &args, JOURNAL) {
        Ok(done) if done.success => Some(done.stdout.lines().map(str::to_owned).collect()),
        Ok(done) => {
            journal.problem = Some(done.stderr.lines().next().unwrap_or("journalctl failed.").to_owned());
            None
        }
        Err(_) => {
            journal.problem = Some("journalctl could not be run.".to_owned());
            None
        }
    }
}
