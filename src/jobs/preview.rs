//! A look at a blocklist without importing it, in a child.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::failure::Failure;
use super::import::read::{self, Door, Read};
use crate::fetch::Validators;

/// Entries that are shown: the contract's.
const SHOWN: usize = 100;

/// Preview a list.
#[derive(Debug, Serialize, Deserialize)]
pub struct Preview {
    /// Where it is.
    pub url: String,
    /// What it may be fetched from.
    pub door: Door,
}

impl Preview {
    /// `PreviewResponse` of the contract.
    pub fn run(self) -> Result<Value, Failure> {
        let read = read::read(&self.url, &Validators::default(), &self.door, SHOWN, &mut |_, _| {});
        match read.map_err(|error| Failure::Upstream(error.to_string()))? {
            Read::List(parsed, ..) => Ok(json!({
                "entries": parsed.first.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "total_lines": parsed.lines,
                "valid_count": parsed.entries.len(),
                "skipped_count": parsed.skipped.total(),
                "skipped": parsed.skipped,
                "lines": parsed.kinds,
                "named_count": parsed.named,
            })),
            // Nothing was said to be known.
            Read::Unchanged => Err(Failure::Upstream(
                "the server answered 304 (not modified) to a request that did not ask for that".to_owned(),
            )),
        }
    }
}
