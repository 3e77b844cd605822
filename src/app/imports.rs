//! What is known of the import of blocklists under way, and of the set of imported addresses.

use std::time::Instant;

use serde_json::Value;

/// An import under way.
#[derive(Debug)]
pub struct Running {
    /// When it began, in Unix seconds.
    pub started_at: i64,
    /// What its process told last.
    pub progress: Value,
    /// Bans there were before.
    pub bans_before: u64,
}

/// What is known of the set of imported addresses, where it is one of our own.
#[derive(Debug, Default)]
pub struct Tending {
    /// When it is looked after next; `None` before the first time.
    pub due: Option<Instant>,
    /// Why it is not in force, in one sentence.
    pub problem: Option<String>,
}
