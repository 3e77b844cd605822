//! Why a database file cannot be used, in one sentence.

use std::fmt;
use std::path::PathBuf;

/// The largest file that is mapped, in bytes. City databases of the world are below 150 MB.
pub const MAX_BYTES: u64 = 512 << 20;
/// Why a database file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GeoError {
    /// The system does not let us read it.
    Unreadable(PathBuf, String),
    /// Nothing that large is mapped.
    TooLarge(PathBuf),
    /// It is no MMDB file, or a damaged one.
    Damaged(PathBuf, String),
}

impl fmt::Display for GeoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GeoError::Unreadable(path, why) => {
                write!(f, "cannot read {}: {why}; check its owner and mode", path.display())
            }
            GeoError::TooLarge(path) => {
                write!(f, "{} is larger than {} MiB; use a country database", path.display(), MAX_BYTES >> 20)
            }
            GeoError::Damaged(path, why) => {
                write!(f, "{} is no sound MMDB file ({why}); fetch it again: bangui geo update", path.display())
            }
        }
    }
}

impl std::error::Error for GeoError {}
