//! The one way files that others have made are opened: only regular ones, and never waiting for anything else. And the one way files of
//! our own are replaced: whole or not at all.
//!
//! A named pipe, a device or a terminal in the place of a file would be waited for, perhaps for ever. Links are followed: whoever must not
//! do that says so. What a file means is for others to say.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

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

/// The name of a file beside `path`: the same with `suffix` behind it.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Writes a file that is to take the place of another, see [`put_over`]: on the disk when this returns, and gone when it fails. What a
/// killed run has left there is replaced; a link is refused.
pub fn write_aside(path: &Path, bytes: &[u8], mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(mode);
    let mut file = options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if let Err(error) = file.write_all(bytes).and_then(|()| file.sync_all()) {
        // A full disk is a likely reason; what was written of it must not stay there.
        let _ = std::fs::remove_file(path);
        return Err(error);
    }
    Ok(file)
}

/// Puts a file that was written aside in the place of another, whole or not at all, so that it is there after a power cut, too.
pub fn put_over(aside: &Path, target: &Path) -> io::Result<()> {
    if let Err(error) = std::fs::rename(aside, target) {
        let _ = std::fs::remove_file(aside);
        return Err(error);
    }
    sync_directory_of(target)
}

/// Makes a file hold these bytes, whole or not at all. Gives it, open for writing.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<File> {
    let aside = beside(path, "-new");
    let file = write_aside(&aside, bytes, mode)?;
    put_over(&aside, path)?;
    Ok(file)
}

/// Removes a file so that it is gone after a power cut, too. One that is not there is no error.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => sync_directory_of(path),
    }
}

/// Opens the file that processes lock one after the other; a link is refused.
pub fn lock_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)
}

/// A name survives a power cut only once its directory is on the disk. A file system that cannot do that has done its best.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::open(directory)?.sync_all() {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn a_file_is_replaced_whole_and_nothing_stays_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        // What a killed run has left is in nobody's way.
        std::fs::write(beside(&path, "-new"), "half of something longer").unwrap();
        for text in ["first", "second"] {
            replace(&path, text.as_bytes(), 0o600).unwrap();
            assert_eq!(read(&path, 100).unwrap(), text.as_bytes());
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        // Neither a link in the place of the new file nor a directory in that of the old one is written through.
        std::os::unix::fs::symlink(&path, beside(&path, "-new")).unwrap();
        assert!(replace(&path, b"third", 0o600).is_err());
        assert_eq!(read(&path, 100).unwrap(), b"second");
        let place = directory.path().join("directory");
        std::fs::create_dir_all(place.join("full")).unwrap();
        assert!(replace(&place, b"text", 0o600).is_err());
        assert!(!beside(&place, "-new").exists());
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }

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
