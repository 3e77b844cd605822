//! One MMDB file, mapped: country and network operator of an address, in the layouts of MaxMind, DB-IP, IPinfo and sapics.
//! The file is a stranger's: whatever it holds, the answer is a value, nothing, or an error.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use maxminddb::{LookupResult, Mmap, PathElement, Reader};

use super::error::{GeoError, MAX_BYTES};
use crate::domain::history::{Country, Place};
use crate::files;

/// The longest name of an operator that is passed on, in bytes.
const MAX_ORG: usize = 200;
/// Records that are remembered once they have been read. A country file has about 250 for all addresses.
const MAX_RECORDS: usize = 512;

/// What a file is known by: another of the same name is another file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Identity {
    /// The identity of what a path leads to now.
    pub fn of(path: &Path) -> Option<Identity> {
        std::fs::metadata(path).ok().map(|metadata| Identity::read(&metadata))
    }

    fn read(metadata: &std::fs::Metadata) -> Identity {
        Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// An open file.
#[derive(Debug)]
pub struct GeoFile {
    path: PathBuf,
    file: File,
    identity: Identity,
    reader: Reader<Mmap>,
    /// What some records say, by their place in the file: many networks share one.
    records: RefCell<HashMap<usize, Place>>,
}

impl GeoFile {
    /// Opens and maps a file, and reads what it says about itself.
    pub fn open(path: &Path) -> Result<GeoFile, GeoError> {
        let unreadable = |error: std::io::Error| GeoError::Unreadable(path.to_owned(), error.to_string());
        let file = files::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.mode() & 0o002 != 0 {
            // Who may cut it while it is mapped may end this process.
            return Err(GeoError::Unreadable(path.to_owned(), "anybody may write to it".to_owned()));
        }
        if metadata.len() > MAX_BYTES {
            return Err(GeoError::TooLarge(path.to_owned()));
        }
        let damaged = |why: String| GeoError::Damaged(path.to_owned(), why);
        if metadata.len() == 0 {
            return Err(damaged("it is empty".to_owned()));
        }
        // SAFETY: the mapping is private and only read through bounds-checked slices. A file that shrinks under it would end the
        // process, so its length is compared before each look (`is_whole`); one that is replaced by renaming stays what it was.
        let map = unsafe { Mmap::map(&file) }.map_err(unreadable)?;
        let reader = Reader::from_source(map).map_err(|error| damaged(error.to_string()))?;
        let identity = Identity::read(&metadata);
        Ok(GeoFile { path: path.to_owned(), file, identity, reader, records: RefCell::default() })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is known by.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// What it calls itself, like `GeoLite2-Country`.
    pub fn kind(&self) -> &str {
        &self.reader.metadata().database_type
    }

    /// When it was built, Unix seconds.
    pub fn built_at(&self) -> i64 {
        i64::try_from(self.reader.metadata().build_epoch).unwrap_or(i64::MAX)
    }

    /// Whether the file still has all the bytes that are mapped.
    pub fn is_whole(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.len() >= self.identity.length)
    }

    /// What it knows of an address. Anything that does not look as it should counts as not known.
    pub fn look_up(&self, address: IpAddr) -> Place {
        if !self.is_whole() {
            return Place::default();
        }
        let Ok(found) = self.reader.lookup(address) else { return Place::default() };
        let Some(place) = found.offset() else { return Place::default() };
        let mut records = self.records.borrow_mut();
        if let Some(known) = records.get(&place) {
            return known.clone();
        }
        if records.len() >= MAX_RECORDS {
            records.clear();
        }
        let read = record(&found);
        records.insert(place, read.clone());
        read
    }
}

/// What a record says.
fn record(found: &LookupResult<'_, Mmap>) -> Place {
    let text = |path: &[PathElement<'_>]| found.decode_path::<&str>(path).ok().flatten();
    let key = PathElement::Key;
    let country = [
        &[key("country"), key("iso_code")][..],
        &[key("country_code")],
        &[key("country")],
        &[key("registered_country"), key("iso_code")],
    ]
    .into_iter()
    .find_map(|path| text(path)?.to_ascii_uppercase().parse::<Country>().ok());
    let number = || found.decode_path::<u32>(&[key("autonomous_system_number")]).ok().flatten();
    let asn = number().map(|number| format!("AS{number}")).or_else(|| asn_text(text(&[key("asn")])?));
    let org = [&[key("autonomous_system_organization")][..], &[key("as_name")], &[key("org")], &[key("name")]]
        .into_iter()
        .find_map(text)
        .and_then(short_org);
    Place { country, asn, org }
}

/// The name of an operator, unless it is longer than any is.
pub fn short_org(text: &str) -> Option<String> {
    (!text.is_empty() && text.len() <= MAX_ORG).then(|| text.to_owned())
}

/// `AS123` or `123` as `AS123`.
pub fn asn_text(text: &str) -> Option<String> {
    let digits = text.strip_prefix("AS").unwrap_or(text);
    digits.parse::<u32>().ok().map(|number| format!("AS{number}"))
}
