//! The integration tests: one binary, request in, answer out.
#![allow(clippy::unwrap_used)]

// Until the first test files use it all.
#[allow(dead_code)]
mod harness;
