//! The integration tests: one binary, request in, answer out.
#![allow(clippy::unwrap_used)]

mod harness;
mod openapi;
mod operations;
mod own_ends;
mod places;

mod actions;
mod addresses;
mod apply;
mod archive;
mod archive_own;
mod attacks;
mod auth;
mod ban_log;
mod bans;
mod bans_txt;
mod barren;
mod behind_nginx;
mod blocklist_set;
mod blocklists;
mod bulk;
mod changes;
mod claims;

mod cli;
mod commands;
mod config;
mod costs;
mod crash;
mod crowds;
mod dashboard;
mod debian;
mod defaults;
mod dry_run;
mod errors;
mod faults;
mod feeds;
mod fetch;
mod filters;
mod first_run;
mod forwarded;
mod geo;
mod health;
mod held_equals;
mod history;
mod http;
mod in_force;
mod jail_config;
mod jail_fields;
mod jails;
mod latency;
mod lifted;
mod lists;
mod logs;
mod long_jobs;
mod r#loop;
mod mends;
mod meta;
mod metrics;
mod names;
mod never_ban;
mod noticed;
mod proxies;
mod put_back;
mod random_edits;
mod regex;
mod release;
mod remembered;
mod rescue;
mod server;
mod setup;
mod storage;
mod strangers;
mod tidy;
mod undo;

mod conf_parity;
#[path = "../fuzz/conf.rs"]
mod fuzz_conf;
#[path = "../fuzz/conf_against_fail2ban.rs"]
mod fuzz_conf_against_fail2ban;
mod page;
mod past_ranges;
mod pattern;
mod polling;
