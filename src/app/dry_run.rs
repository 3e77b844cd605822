//! Dry runs: a write of the configuration that is asked with `dry_run=true` answers with what it would do, and does nothing.

use serde_json::Value;

use super::state::{Job, Then};
use crate::apply::{Check, Preview};
use crate::domain::json;
use crate::server::response::Response;

/// The answer that tells what would be done.
pub fn answer(preview: &Preview) -> Response {
    Response::json(200, &serde_json::json!(preview))
}

/// What is said where nothing would be done.
pub fn nothing() -> Preview {
    Preview { checks: vec![Check::ok("Nothing would change.")], ..Preview::default() }
}

/// The same work, whose result is what it would do. What its child says otherwise is that there is nothing to be done.
pub fn of_job(mut job: Job) -> Job {
    job.detached = false;
    job.then = Then::Finish(Box::new(|_, outcome: Value| {
        let is_preview = outcome.get("checks").is_some();
        let preview = if is_preview { json::from_tree(outcome).ok() } else { None };
        Ok(answer(&preview.unwrap_or_else(nothing)))
    }));
    job
}
