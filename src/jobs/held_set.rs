//! The set of imported addresses in the packet filter: what it holds is a file beside the lists, and one process at a time changes both. In
//! force first, then on disk: whoever dies in between leaves a set that the next change replaces.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::blocklist::held::Held;
use crate::blocklist::set::AddressSet;
use crate::domain::address::IpOrNet;
use crate::domain::time;
use crate::files;
use crate::firewall::{FirewallError, Reach, Way};

/// Every way, and the file of what it holds.
const FILES: [(Way, &str); 2] = [(Way::Nft, "set.nft"), (Way::Ipset, "set.ipset")];
/// The file that whoever changes the set has locked.
const LOCK: &str = "lock";
/// The file that whoever bans or lifts in fail2ban what the lists say has locked.
const LISTS_LOCK: &str = "lists.lock";
/// How the name of the file ends that holds what has left a list.
pub(super) const LEFT: &str = ".left";

/// Keeps others from changing the set, or what fail2ban has banned of the lists, until it is dropped.
pub(super) struct Locked(#[expect(dead_code, reason = "it is only held")] File);

/// Where lists and set are kept, and which way the set is in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetPlace {
    /// The directory of the lists.
    pub lists: PathBuf,
    /// `None` where imported addresses are fail2ban's to ban.
    pub way: Option<Way>,
    /// Which packets are held against it.
    pub reach: Reach,
}

/// Why the set is not as it should be.
#[derive(Debug)]
pub enum SetError {
    /// Its file cannot be read or written.
    File(PathBuf, io::Error),
    /// The packet filter was not changed.
    Firewall(FirewallError),
}

impl std::fmt::Display for SetError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SetError::File(path, error) => write!(f, "{}: {error}", path.display()),
            SetError::Firewall(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SetError {}

impl From<FirewallError> for SetError {
    fn from(error: FirewallError) -> Self {
        SetError::Firewall(error)
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> SetError {
    move |error| SetError::File(path.to_owned(), error)
}

fn file_of(way: Way) -> &'static str {
    FILES.iter().find(|(one, _)| *one == way).map_or("", |(_, name)| name)
}

impl SetPlace {
    /// The place beside a database.
    pub fn beside(database: &Path, way: Option<Way>, reach: Reach) -> SetPlace {
        let mut lists = database.as_os_str().to_owned();
        lists.push(".lists");
        SetPlace { lists: lists.into(), way, reach }
    }

    /// The file of what the set holds; `None` where there is no set.
    pub fn file(&self) -> Option<PathBuf> {
        self.way.map(|way| self.lists.join(file_of(way)))
    }

    /// What the set holds. A damaged file is an empty set: the next import fills it anew.
    pub fn held(&self) -> Held {
        self.file().and_then(|path| Held::load(&path).ok()).unwrap_or_default()
    }

    /// Whether there is a sound file of what it holds.
    pub fn is_kept(&self) -> bool {
        self.file().is_some_and(|path| path.exists() && Held::load(&path).is_ok())
    }

    /// Whether there is a set to look after, or one that another way has left.
    pub fn has_any(&self) -> bool {
        self.way.is_some() || FILES.iter().any(|(_, name)| self.lists.join(name).exists())
    }

    /// Whether a list of any source is kept.
    pub fn has_lists(&self) -> bool {
        fs::read_dir(&self.lists).into_iter().flatten().flatten().any(|entry| source_of(&entry.file_name()).is_some())
    }

    fn lock_of(&self, name: &str) -> Result<(PathBuf, File), SetError> {
        make_directory(&self.lists).map_err(at(&self.lists))?;
        let path = self.lists.join(name);
        let file = files::lock_file(&path).map_err(at(&path))?;
        Ok((path, file))
    }

    /// Waits until nobody else changes the set.
    pub(super) fn lock(&self) -> Result<Locked, SetError> {
        let (path, file) = self.lock_of(LOCK)?;
        file.lock().map_err(at(&path))?;
        Ok(Locked(file))
    }

    /// Waits until nobody else has fail2ban ban or lift what the lists say.
    pub(super) fn lock_lists(&self) -> Result<Locked, SetError> {
        let (path, file) = self.lock_of(LISTS_LOCK)?;
        file.lock().map_err(at(&path))?;
        Ok(Locked(file))
    }

    /// The same without waiting: `None` where somebody does.
    pub(super) fn try_lock_lists(&self) -> Result<Option<Locked>, SetError> {
        let (path, file) = self.lock_of(LISTS_LOCK)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Locked(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(at(&path)(error)),
        }
    }

    /// Takes away what another way has left: the set of an installation is in one place only. What it held moves to the way that is wanted
    /// now; where none is, the lists are forgotten, so that the next import has fail2ban ban them whole.
    fn settle(&self) -> Result<(), SetError> {
        for (other, name) in FILES.iter().filter(|(other, _)| Some(*other) != self.way) {
            let path = self.lists.join(name);
            if !path.exists() {
                continue;
            }
            if self.way.is_none() {
                forget_lists(&self.lists).map_err(at(&self.lists))?;
            } else if !self.is_kept() {
                self.put(&Held::load(&path).unwrap_or_default())?;
            }
            other.remove()?;
            fs::remove_file(&path).map_err(at(&path))?;
        }
        Ok(())
    }

    /// Puts a set in force and keeps it.
    fn put(&self, held: &Held) -> Result<(), SetError> {
        let (Some(way), Some(path)) = (self.way, self.file()) else { return Ok(()) };
        let now = time::now();
        let left = |until: u32| u32::try_from(i64::from(until) - now).unwrap_or(1).clamp(1, way.longest());
        way.replace(self.reach, &mut held.entries().iter().map(|entry| (entry.net, left(entry.until))))?;
        replace_file(&path, &held.encode()).map_err(at(&path))
    }

    /// Changes what the set holds; nothing of `never` stays in it. With nothing to change it is put in force again where it is not, or where
    /// `anew` says so.
    pub(super) fn change(
        &self,
        _lock: &Locked,
        change: &Change,
        never: &[IpOrNet],
        anew: bool,
    ) -> Result<(), SetError> {
        self.settle()?;
        let Some(way) = self.way else { return Ok(()) };
        let mut held = self.held();
        held.take_expired(time::now());
        held.take(&change.taken);
        held.add(&change.added, change.since, change.until);
        let refused: usize = never.iter().map(|net| held.take_overlapping(net)).sum();
        let is_same = change.taken.is_empty() && change.added.is_empty() && refused == 0;
        if is_same && !anew && (held.entries().is_empty() || way.is_in_force(self.reach)?) {
            return Ok(());
        }
        self.put(&held)
    }

    /// Takes everything away that any way has made, and forgets what it held; whether there was something.
    pub fn remove(&self) -> Result<bool, SetError> {
        if !self.lists.exists() {
            return Ok(false);
        }
        let _lock = self.lock()?;
        let mut any = false;
        for (way, name) in &FILES {
            let path = self.lists.join(name);
            match way.remove() {
                // Where its program is not, nothing of it can be, unless it was there before.
                Err(FirewallError::Missing(_)) if !path.exists() => continue,
                other => other?,
            }
            if path.exists() {
                any = true;
                forget_lists(&self.lists).map_err(at(&self.lists))?;
                fs::remove_file(&path).map_err(at(&path))?;
            }
        }
        Ok(any)
    }

    /// Drops these no longer; returns those of them that it held.
    pub fn lift_all(&self, wanted: &AddressSet) -> Result<AddressSet, SetError> {
        if self.way.is_none() {
            return Ok(AddressSet::default());
        }
        let _lock = self.lock()?;
        let mut held = self.held();
        held.take_expired(time::now());
        let lifted: AddressSet = held.entries().iter().map(|entry| entry.net).filter(|net| wanted.has(net)).collect();
        if held.take(&lifted) > 0 {
            self.put(&held)?;
        }
        Ok(lifted)
    }

    /// Drops one entry no longer, or with `None` nothing at all; returns how many there were. The next import that finds the list changed, or
    /// its bans about to end, puts them back.
    pub fn lift(&self, entry: Option<&IpOrNet>) -> Result<usize, SetError> {
        let (Some(way), Some(path)) = (self.way, self.file()) else { return Ok(0) };
        let _lock = self.lock()?;
        let mut held = self.held();
        held.take_expired(time::now());
        let before = held.entries().len();
        match entry {
            Some(net) => {
                if held.take(&AddressSet::from_iter([*net])) == 0 {
                    return Ok(0);
                }
                if net.is_network() {
                    self.put(&held)?;
                } else {
                    way.lift(net)?;
                    replace_file(&path, &held.encode()).map_err(at(&path))?;
                }
            }
            None if before == 0 => {}
            None => {
                held = Held::default();
                self.put(&held)?;
            }
        }
        Ok(before - held.entries().len())
    }
}

/// What is to change in a set.
#[derive(Debug, Default)]
pub struct Change {
    /// What is dropped from now on, or longer.
    pub added: AddressSet,
    /// What is dropped no longer.
    pub taken: AddressSet,
    /// When `added` began, in Unix seconds.
    pub since: u32,
    /// When `added` ends, in Unix seconds.
    pub until: u32,
}

/// Makes a directory for us alone, where there is none.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Replaces a file, whole or not at all, and makes its directory where there is none.
pub(super) fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    path.parent().map_or(Ok(()), make_directory)?;
    files::replace(path, bytes, 0o600).map(drop)
}

/// The source that a file of the directory belongs to, by its name.
pub(super) fn source_of(name: &OsStr) -> Option<i64> {
    let name = name.to_str()?;
    let number = name.strip_suffix(LEFT).unwrap_or(name);
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok()).flatten()
}

/// Removes what was kept of lists.
fn forget_lists(lists: &Path) -> io::Result<()> {
    for entry in fs::read_dir(lists)? {
        let entry = entry?;
        if source_of(&entry.file_name()).is_some() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
