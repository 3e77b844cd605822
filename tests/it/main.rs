//! The integration tests: one binary, request in, answer out.
#![allow(clippy::unwrap_used)]

mod conf_parity;
#[path = "../fuzz/conf.rs"]
mod fuzz_conf;
