//! The last lines of a log file, in bounded memory and time, whatever the file is.
//!
//! It reads backwards from the end, so that the size of the file does not matter. What may be read is decided by
//! `app::paths`; here it is only made sure that the file opened is the one that was judged.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Bytes read at a time.
const BLOCK: u64 = 64 * 1024;
/// How far back is read, in bytes.
const MAX_READ: u64 = 16 * 1024 * 1024;
/// Of a longer line only this much of its beginning is kept, in bytes: one byte more than a pattern may search.
const MAX_LINE: usize = crate::pattern::MAX_TEXT_BYTES;
/// All lines together, in bytes. Three times as much, for what is no UTF-8, still fits a frame.
const MAX_KEPT: usize = 2 * 1024 * 1024;

/// A log file, resolved and judged.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogFile {
    /// Its path, links resolved.
    pub path: PathBuf,
    /// The directories, one of which it must lie under. Links in them are resolved here.
    pub allowed: Vec<PathBuf>,
}

/// Why nothing was read.
#[derive(Debug)]
pub enum Error {
    /// It is not under an allowed directory, or no longer.
    Outside,
    /// It is a directory, a device or a FIFO.
    NotAFile,
    /// The system refused.
    Io(io::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Outside => {
                f.write_str("The log file is not below one of the allowed directories (BANGUI_ALLOWED_LOG_DIRS).")
            }
            Error::NotAFile => f.write_str("The path is not a regular file."),
            Error::Io(error) => write!(f, "The log file cannot be read: {error}."),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Io(error)
    }
}

/// The end of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// Lines without their ends, the oldest first. Bytes that are no UTF-8 are replaced; long lines are cut.
    pub lines: Vec<String>,
    /// Lines that were looked at.
    pub examined: usize,
}

impl LogFile {
    /// The last `most` lines that are `wanted`, as far as they are within the last 16 MiB and come to no more than 2 MiB.
    pub fn tail(&self, most: usize, wanted: impl Fn(&str) -> bool) -> Result<Tail, Error> {
        self.tail_within(MAX_READ, most, wanted)
    }

    /// The same, of the last `within` bytes.
    pub fn tail_within(&self, within: u64, most: usize, wanted: impl Fn(&str) -> bool) -> Result<Tail, Error> {
        let (file, size) = self.open()?;
        Ok(read_back(&file, size, within, most, wanted)?)
    }

    /// Opens it without waiting for a writer of a FIFO and without following a link, and gives its size in bytes.
    fn open(&self) -> Result<(File, u64), Error> {
        let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let file = File::options().read(true).custom_flags(flags).open(&self.path)?;
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(Error::NotAFile);
        }
        // A directory on the way may have become a link since the path was judged: the kernel knows what is open.
        let opened = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        let inside = self.allowed.iter().any(|directory| {
            let directory = directory.canonicalize().unwrap_or_else(|_| directory.clone());
            opened.starts_with(directory)
        });
        if inside { Ok((file, about.len())) } else { Err(Error::Outside) }
    }
}

/// The lines found so far, the newest first.
struct Found<W> {
    wanted: W,
    lines: Vec<String>,
    examined: usize,
    kept: usize,
}

impl<W: Fn(&str) -> bool> Found<W> {
    /// Takes a line; whether there is room for another one.
    fn take(&mut self, line: &[u8], most: usize) -> bool {
        self.examined += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = String::from_utf8_lossy(line);
        if (self.wanted)(&text) {
            self.kept += line.len();
            if self.kept > MAX_KEPT {
                return false;
            }
            self.lines.push(text.into_owned());
        }
        self.lines.len() < most
    }
}

fn read_back(file: &File, size: u64, within: u64, most: usize, wanted: impl Fn(&str) -> bool) -> io::Result<Tail> {
    let mut found = Found { wanted, lines: Vec::new(), examined: 0, kept: 0 };
    let floor = size.saturating_sub(within);
    let mut position = size;
    // The line that the block before began in the middle of, from there on.
    let mut rest: Vec<u8> = Vec::new();
    let mut block = vec![0; BLOCK as usize];
    let mut is_full = most == 0;
    let mut at_end = true;
    while position > floor && !is_full {
        let start = position.saturating_sub(BLOCK).max(floor);
        let wanted_bytes = &mut block[..(position - start) as usize];
        if let Err(error) = file.read_exact_at(wanted_bytes, start) {
            // Cut short while it is read: what was found until now is its end as it was.
            if error.kind() == io::ErrorKind::UnexpectedEof {
                break;
            }
            return Err(error);
        }
        let mut end = wanted_bytes.len();
        while let Some(newline) = wanted_bytes[..end].iter().rposition(|byte| *byte == b'\n') {
            let line = beginning(&wanted_bytes[newline + 1..end], &rest);
            rest.clear();
            end = newline;
            // Behind the last newline there is no line.
            let is_nothing = std::mem::take(&mut at_end) && line.is_empty();
            if !is_nothing && !found.take(&line, most) {
                is_full = true;
                break;
            }
        }
        rest = beginning(&wanted_bytes[..end], &rest);
        position = start;
    }
    if position == 0 && size > 0 && !is_full {
        found.take(&rest, most);
    }
    found.lines.reverse();
    Ok(Tail { lines: found.lines, examined: found.examined })
}

/// The beginning of two parts of a line together.
fn beginning(first: &[u8], second: &[u8]) -> Vec<u8> {
    let mut line = first[..first.len().min(MAX_LINE)].to_vec();
    line.extend_from_slice(&second[..second.len().min(MAX_LINE - line.len())]);
    line
}

/// A line for showing: control characters, which could play tricks on a terminal, are replaced.
pub fn shown(line: &str) -> String {
    let harmless = |letter: char| letter == '\t' || !letter.is_control();
    line.chars().map(|letter| if harmless(letter) { letter } else { char::REPLACEMENT_CHARACTER }).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::*;

    fn log(directory: &Path, name: &str) -> LogFile {
        LogFile { path: directory.join(name), allowed: vec![directory.to_owned()] }
    }

    fn tail_of(bytes: &[u8], most: usize) -> Tail {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("l"), bytes).unwrap();
        log(directory.path(), "l").tail(most, |_| true).unwrap()
    }

    #[test]
    fn the_last_lines_in_order() {
        assert_eq!(tail_of(b"", 5), Tail::default());
        assert_eq!(tail_of(b"a\nb\nc\n", 2).lines, ["b", "c"]);
        assert_eq!(tail_of(b"a\r\nb\nc", 9).lines, ["a", "b", "c"]);
        assert_eq!(tail_of(b"\n\n", 9).lines, ["", ""]);
        assert_eq!(tail_of(b"a\n", 0).lines.len(), 0);
        let many: String = (0..50_000).map(|number| format!("line {number}\n")).collect();
        let tail = tail_of(many.as_bytes(), 20_000);
        assert_eq!((tail.lines.len(), tail.lines[0].as_str()), (20_000, "line 30000"));
        assert!(tail.lines.windows(2).all(|pair| pair[0] < pair[1] || pair[0].len() < pair[1].len()));
    }

    #[test]
    fn only_wanted_lines_are_kept_and_all_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("l"), "x1\ny\nx2\ny\n").unwrap();
        let tail = log(directory.path(), "l").tail(5, |line| line.starts_with('x')).unwrap();
        assert_eq!((tail.lines, tail.examined), (vec!["x1".to_string(), "x2".to_string()], 4));
    }

    #[test]
    fn long_lines_are_cut_and_what_is_no_text_is_replaced() {
        let mut bytes = vec![b'x'; 1_000_000];
        bytes.extend_from_slice(b"\nb\xff\x1b[2J\n");
        let tail = tail_of(&bytes, 5);
        assert_eq!(tail.lines.len(), 2);
        assert_eq!(tail.lines[0].len(), MAX_LINE);
        assert_eq!(shown(&tail.lines[1]), "b\u{fffd}\u{fffd}[2J");
        let lines = vec![b'y'; 60_000].into_iter().chain([b'\n']).collect::<Vec<u8>>().repeat(200);
        let kept: usize = tail_of(&lines, 200).lines.iter().map(String::len).sum();
        assert!(kept <= MAX_KEPT && kept > MAX_KEPT / 2, "{kept}");
    }

    #[test]
    fn ten_gigabytes_are_read_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = File::create(directory.path().join("l")).unwrap();
        file.set_len(10 << 30).unwrap();
        std::io::Seek::seek(&mut file, io::SeekFrom::End(0)).unwrap();
        file.write_all(b"\nlast but one\nlast\n").unwrap();
        let start = Instant::now();
        let tail = log(directory.path(), "l").tail(2, |_| true).unwrap();
        assert_eq!(tail.lines, ["last but one", "last"]);
        // The line before is ten gigabytes of zeros: it is given up after 16 MiB.
        assert_eq!(log(directory.path(), "l").tail(9, |_| true).unwrap().lines, ["last but one", "last"]);
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn links_fifos_and_directories_are_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let logs = root.join("logs");
        std::fs::create_dir_all(logs.join("sub")).unwrap();
        std::fs::create_dir(root.join("secret")).unwrap();
        std::fs::write(root.join("secret/f"), "secret\n").unwrap();
        symlink(root.join("secret/f"), logs.join("link")).unwrap();
        symlink(root.join("secret"), logs.join("way")).unwrap();
        let name = std::ffi::CString::new(logs.join("fifo").to_str().unwrap()).unwrap();
        // SAFETY: the name ends in a NUL and is alive during the call.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        assert!(matches!(log(&logs, "link").tail(1, |_| true), Err(Error::Io(_))));
        assert!(matches!(log(&logs, "way/f").tail(1, |_| true), Err(Error::Outside)));
        assert!(matches!(log(&logs, "fifo").tail(1, |_| true), Err(Error::NotAFile)));
        assert!(matches!(log(&logs, "sub").tail(1, |_| true), Err(Error::NotAFile)));
        assert!(matches!(log(&logs, "none").tail(1, |_| true), Err(Error::Io(_))));
    }
}
