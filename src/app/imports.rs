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
    /// What was to be lifted meanwhile may be banned by it: it is looked after behind it.
    pub tend_behind: bool,
}

/// What is known of imported addresses between imports.
#[derive(Debug, Default)]
pub struct Tending {
    /// When they are looked after next; `None` before the first time.
    pub due: Option<Instant>,
    /// Why they are not banned as they should be, in one sentence.
    pub problem: Option<String>,
}

impl Tending {
    /// Has them looked after at once: what is ignored, or which lists there are, may have changed.
    pub fn hurry(&mut self) {
        // The first time comes by itself, and does more.
        self.due = self.due.map(|_| Instant::now());
    }
}
