//! The end of the daemon's own log, in a child.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::patterns::Answer;
use super::refusal::Refusal;
use super::tail::{LogFile, shown};

/// Read the end of a log.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadLog {
    /// The log.
    pub log: LogFile,
    /// How many lines at most.
    pub lines: usize,
    /// What they must contain.
    pub filter: Option<String>,
}

impl ReadLog {
    /// The lines, and how many were looked at.
    pub fn run(self) -> Answer {
        let wanted = |line: &str| self.filter.as_deref().is_none_or(|filter| line.contains(filter));
        let tail = self.log.tail(self.lines, wanted).map_err(Refusal::from)?;
        let lines: Vec<String> = tail.lines.iter().map(|line| shown(line)).collect();
        Ok(json!({ "lines": lines, "total_lines": tail.examined }))
    }
}
