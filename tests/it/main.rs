//! The integration tests: one binary, request in, answer out.
#![allow(clippy::unwrap_used)]

mod pattern;
