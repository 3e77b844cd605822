//! The integration tests: one binary, request in, answer out.
#![allow(clippy::unwrap_used)]

mod conf_parity;
#[path = "../fuzz/conf.rs"]
mod fuzz_conf;
#[path = "../fuzz/conf_against_fail2ban.rs"]
mod fuzz_conf_against_fail2ban;
