//! What a release of fail2ban makes otherwise of dates and lines than others do.
//!
//! Only differences that were read in its source or measured are here. What it reads otherwise of its files is known to `conf`.

use serde::{Deserialize, Serialize};

/// A release: major, minor and patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release(pub u32, pub u32, pub u32);

impl Default for Release {
    fn default() -> Self {
        Release(1, 0, 2)
    }
}

impl Release {
    fn is_from(self, major: u32, minor: u32, patch: u32) -> bool {
        (self.0, self.1, self.2) >= (major, minor, patch)
    }

    /// Whether a group of a failregex that took no part leaves what prefregex found for it.
    pub fn keeps_groups_of_prefregex(self) -> bool {
        self.is_from(1, 1, 1)
    }

    /// Whether a group in a date pattern with `{EPOCH}` is all that is cut out of the line.
    pub fn cuts_group_beside_epoch(self) -> bool {
        self.is_from(1, 1, 0)
    }

    /// Whether `20050123-21:59:59` is among the default dates.
    pub fn knows_dashed_dates(self) -> bool {
        self.is_from(1, 1, 1)
    }

    /// Whether what looks like inline flags in a date pattern is left alone behind a backslash.
    pub fn leaves_escaped_flags(self) -> bool {
        self.is_from(1, 1, 1)
    }
}
