//! What the loop wants of fail2ban's database, read in a child: its rows may never end, and its file system may hang, and neither may stop
//! the loop.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::failure::Failure;
use crate::fail2ban::database::{Ban, Database, DatabaseError, Mark, Page};

/// How long the daemon's own writing is waited for.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long reading may take before the child is killed.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// What is read.
#[derive(Debug, Serialize, Deserialize)]
pub enum Wanted {
    /// The bans behind those that were read before, at most so many.
    Page(Vec<Mark>, usize),
    /// The newest bans of an address, at most so many.
    OfAddress(String, usize),
}

/// Read fail2ban's database.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadTheirs {
    /// The database.
    pub path: PathBuf,
    /// What of it.
    pub wanted: Wanted,
}

/// What was read, or why nothing was.
pub type Theirs<T> = Result<T, DatabaseError>;

impl ReadTheirs {
    /// A `Theirs<Page>` or a `Theirs<Vec<Ban>>`.
    pub fn run(self) -> Result<Value, Failure> {
        Ok(match &self.wanted {
            Wanted::Page(marks, limit) => json!(self.page(marks, *limit)),
            Wanted::OfAddress(ip, limit) => json!(self.of_address(ip, *limit)),
        })
    }

    fn page(&self, marks: &[Mark], limit: usize) -> Theirs<Page> {
        let database = Database::open(&self.path, PATIENCE)?;
        database.history_page(database.start_after(marks)?, limit)
    }

    fn of_address(&self, ip: &str, limit: usize) -> Theirs<Vec<Ban>> {
        Database::open(&self.path, PATIENCE)?.history_for_ip(ip, limit)
    }
}
