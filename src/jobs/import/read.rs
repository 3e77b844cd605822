//! Fetches and reads one blocklist, in a child.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::blocklist::parse::{Limits, ParseError, Parsed};
use crate::blocklist::unpack::Reader;
use crate::fetch::{self, Answer, FetchError, Place, Rules, Validators};
use crate::machine;

/// The longest list, in bytes after unpacking: two million entries of 30 bytes.
const BYTES: u64 = 64 * 1024 * 1024;
/// How long all of it may take.
const TIME: Duration = Duration::from_secs(120);

/// Why there is no list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// It did not come.
    Fetch(FetchError),
    /// What came is no list.
    Parse(ParseError),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ReadError::Fetch(error) => error.fmt(f),
            ReadError::Parse(error) => error.fmt(f),
        }
    }
}

impl From<FetchError> for ReadError {
    fn from(error: FetchError) -> Self {
        ReadError::Fetch(error)
    }
}

impl From<ParseError> for ReadError {
    fn from(error: ParseError) -> Self {
        ReadError::Parse(error)
    }
}

/// What lists may be fetched from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Door {
    /// Addresses that are not public.
    pub allow_private: bool,
    /// The file of the authorities that are trusted instead of those that are built in.
    pub authorities: Option<PathBuf>,
}

/// A list, or that it is the same as before.
#[derive(Debug)]
pub enum Read {
    /// The server says that nothing has changed.
    Unchanged,
    /// The list, what its server said of it, the addresses of all servers that were asked, and where it came from.
    List(Box<Parsed>, Validators, Vec<IpAddr>, Place),
}

/// Fetches a list; `progress` is told bytes and lines so far.
pub fn read(
    url: &str,
    known: &Validators,
    door: &Door,
    sample: usize,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Read, ReadError> {
    let Door { allow_private, authorities } = door.clone();
    let rules = Rules { allow_private, own: machine::own_addresses(), bytes: BYTES, time: TIME, authorities };
    let Answer::Content(mut download) = fetch::open(url, known, &rules)? else { return Ok(Read::Unchanged) };
    let mut reader = Reader::new(Limits::DEFAULT, sample, BYTES);
    download.each(|bytes, so_far| {
        reader.feed(bytes)?;
        progress(so_far, reader.lines());
        Ok::<(), ReadError>(())
    })?;
    Ok(Read::List(
        Box::new(reader.finish()?),
        download.validators().clone(),
        download.hosts().to_vec(),
        download.place().clone(),
    ))
}
