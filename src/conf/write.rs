//! Reading and replacing files in one directory that is opened once.
//!
//! A file is replaced by a rename, so that a reader, a crash or a full disk finds either the old or the new file, whole.
//! Symbolic links are not followed: a link in place of a file is refused. What the files hold is none of its business.

use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use super::document::Document;
use super::error::Error;
use super::layers::MAX_FILE;
use crate::files::demand_regular;

/// The start of the names of temporary files. They are hidden and have no ending that fail2ban reads.
const TEMPORARY: &str = ".bangui-";

/// A directory of configuration files.
#[derive(Debug)]
pub struct Folder {
    directory: File,
    path: String,
}

/// What a file was: enough to put it back as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
    /// Its owner.
    pub owner: u32,
    /// Its group.
    pub group: u32,
}

impl Saved {
    /// The content as a document; `path` is for the message when it is none.
    pub fn document(&self, path: &str) -> Result<Document, Error> {
        let failed = |line, message: String| Error::Syntax { file: path.to_owned(), line, message };
        let text = std::str::from_utf8(&self.bytes).map_err(|error| {
            let before = &self.bytes[..error.valid_up_to()];
            let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
            let line = u32::try_from(line).unwrap_or(u32::MAX);
            failed(line, "a byte that is not UTF-8; fail2ban passes over the whole file".to_owned())
        })?;
        Document::parse(text).map_err(|fault| failed(fault.line, fault.message))
    }
}

impl Folder {
    /// Opens the directory `name` below `base`. It must belong to root or to us and not be writable for everybody, and
    /// so must a symbolic link in its place, which some container images use.
    pub fn open(base: &Path, name: &str) -> Result<Folder, Error> {
        let path = format!("{}/{name}", base.display());
        let failed = |source| Error::io("open directory", &path, source);
        let base = File::open(base).map_err(failed)?;
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        let directory = match open_at(&base, name, flags | libc::O_NOFOLLOW, 0) {
            Ok(directory) => directory,
            Err(_) if is_trusted_link(&path) => open_at(&base, name, flags, 0).map_err(failed)?,
            Err(source) => return Err(failed(source)),
        };
        let about = directory.metadata().map_err(failed)?;
        let shared = about.mode() & 0o002 != 0 && about.mode() & 0o1000 == 0;
        if !is_trusted_owner(about.uid()) || shared {
            return Err(Error::refused(format!(
                "{path} can be changed by others than root and this program; correct its owner and mode first"
            )));
        }
        Ok(Folder { directory, path })
    }

    /// Like [`Folder::open`], but makes the directory (0755) when it is missing.
    pub fn open_or_create(base: &Path, name: &str) -> Result<Folder, Error> {
        let path = format!("{}/{name}", base.display());
        let failed = |source| Error::io("create directory", &path, source);
        let parent = File::open(base).map_err(failed)?;
        match make_at(&parent, name, 0o755) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other.and_then(|()| parent.sync_all()).map_err(failed)?,
        }
        Folder::open(base, name)
    }

    /// The path of a file in it, for messages.
    pub fn path_of(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// Reads a file; `None` when there is none.
    pub fn read(&self, name: &str) -> Result<Option<Saved>, Error> {
        let failed = |source| Error::io("read", &self.path_of(name), source);
        // Without O_NONBLOCK a FIFO would hold us for ever.
        let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = match open_at(&self.directory, name, flags, 0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
                let why = "it is a symbolic link and is not changed; edit the file it points to";
                return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, why)));
            }
            other => other.map_err(failed)?,
        };
        let about = file.metadata().map_err(failed)?;
        demand_regular(&about).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(Error::limit(format!("{} is larger than {MAX_FILE} bytes", self.path_of(name))));
        }
        Ok(Some(Saved { bytes, mode: about.mode() & 0o7777, owner: about.uid(), group: about.gid() }))
    }

    /// Replaces the content of a file. Owner and mode of an existing one are kept; a new one is ours alone (0600).
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let (mode, owner, group) = match self.read(name)? {
            Some(old) => (old.mode, Some(old.owner), Some(old.group)),
            None => (0o600, None, None),
        };
        self.write(name, mode, owner, group, &mut |file| file.write_all(bytes))
    }

    /// Puts a file back as it was: `None` removes it.
    pub fn restore(&self, name: &str, saved: Option<&Saved>) -> Result<(), Error> {
        match saved {
            None => self.remove(name),
            Some(old) => {
                let (owner, group) = (Some(old.owner), Some(old.group));
                self.write(name, old.mode, owner, group, &mut |file| file.write_all(&old.bytes))
            }
        }
    }

    /// Removes a file; it is no error when there is none.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let failed = |source| Error::io("remove", &self.path_of(name), source);
        match unlink_at(&self.directory, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(failed)?,
        }
        self.directory.sync_all().map_err(failed)
    }

    /// Removes temporary files that a killed process left behind. Call it when no other process of ours writes here.
    pub fn remove_leftovers(&self) -> Result<(), Error> {
        let failed = |source| Error::io("read directory", &self.path, source);
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if let Some(name) = name.to_str().filter(|name| is_temporary(name)) {
                self.remove(name)?;
            }
        }
        Ok(())
    }

    /// Writes a temporary file and renames it to `name`. Whatever fails, the old file is untouched and the temporary
    /// one gone.
    pub(super) fn write(
        &self,
        name: &str,
        mode: u32,
        owner: Option<u32>,
        group: Option<u32>,
        write: &mut dyn FnMut(&mut File) -> io::Result<()>,
    ) -> Result<(), Error> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let failed = |source| Error::io("write", &self.path_of(name), source);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let temporary = format!("{TEMPORARY}{}-{number}.tmp", std::process::id());
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
        let mut file = open_at(&self.directory, &temporary, flags, 0o600).map_err(failed)?;
        let mut finish = || {
            write(&mut file)?;
            let about = file.metadata()?;
            if owner.is_some_and(|owner| owner != about.uid()) || group.is_some_and(|group| group != about.gid()) {
                fchown(&file, owner, group)?;
            }
            // After the owner, since a change of owner clears some bits.
            file.set_permissions(Permissions::from_mode(mode))?;
            file.sync_all()?;
            rename_at(&self.directory, &temporary, name)
        };
        let result = finish();
        if let Err(source) = result {
            // Nothing better can be done if this fails, too; the name is one that fail2ban never reads.
            let _ = unlink_at(&self.directory, &temporary);
            return Err(failed(source));
        }
        self.directory.sync_all().map_err(failed)
    }
}

fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY) && name.ends_with(".tmp")
}

fn is_trusted_owner(owner: u32) -> bool {
    // SAFETY: geteuid has no preconditions and cannot fail.
    owner == 0 || owner == unsafe { libc::geteuid() }
}

fn is_trusted_link(path: &str) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink() && is_trusted_owner(about.uid()))
}

fn c_name(name: &str) -> io::Result<CString> {
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file in a directory"));
    }
    CString::new(name).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

fn open_at(directory: &File, name: &str, flags: libc::c_int, mode: u32) -> io::Result<File> {
    let name = c_name(name)?;
    let flags = flags | libc::O_CLOEXEC;
    // SAFETY: the descriptor is open while `directory` is borrowed, and the name ends in a NUL.
    let opened = unsafe { libc::openat(directory.as_raw_fd(), name.as_ptr(), flags, mode) };
    let opened = checked(opened)?;
    // SAFETY: openat has just returned this descriptor, and nobody else owns it.
    Ok(unsafe { File::from_raw_fd(opened) })
}

fn make_at(directory: &File, name: &str, mode: u32) -> io::Result<()> {
    let name = c_name(name)?;
    // SAFETY: the descriptor is open while `directory` is borrowed, and the name ends in a NUL.
    checked(unsafe { libc::mkdirat(directory.as_raw_fd(), name.as_ptr(), mode) }).map(drop)
}

fn rename_at(directory: &File, from: &str, to: &str) -> io::Result<()> {
    let (from, to) = (c_name(from)?, c_name(to)?);
    let fd = directory.as_raw_fd();
    // SAFETY: the descriptor is open while `directory` is borrowed, and both names end in a NUL.
    checked(unsafe { libc::renameat(fd, from.as_ptr(), fd, to.as_ptr()) }).map(drop)
}

fn unlink_at(directory: &File, name: &str) -> io::Result<()> {
    let name = c_name(name)?;
    // SAFETY: the descriptor is open while `directory` is borrowed, and the name ends in a NUL.
    checked(unsafe { libc::unlinkat(directory.as_raw_fd(), name.as_ptr(), 0) }).map(drop)
}
