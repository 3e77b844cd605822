//! Who is failing now, as the program holds it. What counts is elsewhere (`held::failing`); who looks, and when, too (`failing_look.rs`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use crate::held::failing::{Counting, FailingNow};

/// What is known of who fails.
#[derive(Debug, Default)]
pub struct Failing {
    /// Who fails.
    pub now: FailingNow,
    /// Somebody has asked.
    pub is_wanted: bool,
    /// The log that was read to its end.
    pub caught_up: Option<PathBuf>,
    /// How each jail counts, as it was last asked.
    pub(super) counting: BTreeMap<String, Counting>,
    /// When the journal was last read.
    pub(super) read_at: Option<Instant>,
    /// Why it was not.
    pub(super) why_not: Option<String>,
}

/// Where failures are known from.
#[derive(Debug, PartialEq, Eq)]
pub enum Known {
    /// fail2ban's log.
    Log,
    /// The systemd journal.
    Journal,
    /// Nowhere, for this reason.
    Not(String),
}
