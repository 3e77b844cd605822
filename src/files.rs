//! The one way files that others have made are opened: only regular ones, and never waiting for anything else.
//!
//! A named pipe, a device or a terminal in the place of a file would be waited for, perhaps for ever. Links are followed: whoever must not
//! do that says so. What a file means is for others to say.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Opens a regular file for reading. The error says what stands there instead of one.
pub fn open(path: &Path) -> io::Result<File> {
    // Without waiting, for a pipe that nobody writes to would be waited for.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        // A socket, or a device that nothing drives, which the system says less plainly.
        Some(libc::ENXIO | libc::ENODEV) => {
            std::fs::metadata(path).and_then(|found| demand_regular(&found)).err().unwrap_or(error)
        }
        _ => error,
    })?;
    demand_regular(&file.metadata()?)?;
    // SAFETY: fcntl with these two commands takes numbers only; the descriptor is open as long as `file` is. Regular files never wait,
    // so a failure changes nothing.
    unsafe {
        let flags = libc::fcntl(file.as_raw_fd(), libc::F_GETFL);
        libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags & !libc::O_NONBLOCK);
    }
    Ok(file)
}

/// An error that names what it is, unless it is a regular file.
pub fn demand_regular(found: &Metadata) -> io::Result<()> {
    if found.is_file() {
        return Ok(());
    }
    let kind = found.file_type();
    let what = match () {
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () if kind.is_symlink() => "a link",
        () => "a device",
    };
    Err(io::Error::new(ErrorKind::InvalidInput, format!("it is {what}, not a regular file")))
}

/// Why a file or directory cannot be used, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// It is not there.
    Absent,
    /// The system does not let us.
    NotPermitted,
    /// The disk is full, or what this user may have of it.
    Full,
    /// Something else stands where a regular file should be.
    NotAFile,
    /// Anything else: the disk fails, for example.
    Other,
}

/// A file or directory that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Which kind of trouble it is.
    pub kind: Kind,
    /// The file, where it is known.
    pub path: Option<String>,
    /// What happened, in a sentence without its end.
    pub cause: String,
}

impl Trouble {
    /// The trouble that an error of the system is. `action` is the verb of what was tried.
    pub fn of(action: &str, path: &str, error: &io::Error) -> Trouble {
        let kind = match error.raw_os_error() {
            Some(libc::ENOENT) => Kind::Absent,
            Some(libc::EACCES | libc::EPERM | libc::EROFS) => Kind::NotPermitted,
            Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => Kind::Full,
            Some(libc::ELOOP | libc::ENOTDIR | libc::EISDIR | libc::ENXIO) => Kind::NotAFile,
            _ => match error.kind() {
                ErrorKind::NotFound => Kind::Absent,
                ErrorKind::InvalidInput => Kind::NotAFile,
                _ => Kind::Other,
            },
        };
        Trouble { kind, path: Some(path.to_owned()), cause: format!("cannot {action} {path}: {error}") }
    }

    /// One of which no more is known than a sentence.
    pub fn other(cause: impl ToString) -> Trouble {
        Trouble { kind: Kind::Other, path: None, cause: cause.to_string() }
    }
}

/// The bytes of a regular file, at most so many: a longer one is an error.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(ErrorKind::InvalidData, format!("it is longer than {limit} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn only_regular_files_are_opened_and_nothing_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        std::fs::write(&path, "text").unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(read(&link, 4).unwrap(), b"text");
        assert_eq!(read(&path, 3).unwrap_err().to_string(), "it is longer than 3 bytes");
        let pipe = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let socket = directory.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let start = Instant::now();
        for (path, what) in [
            (pipe.as_path(), "a named pipe"),
            (directory.path(), "a directory"),
            ("/dev/null".as_ref(), "a device"),
            (socket.as_path(), "a socket"),
        ] {
            assert_eq!(open(path).unwrap_err().to_string(), format!("it is {what}, not a regular file"));
        }
        assert!(start.elapsed() < Duration::from_secs(2));
    }
}
