//! The handlers of the endpoints, one file per router of the contract: each takes its input, loads, decides and replies.

pub mod actions;
pub mod addresses;
pub mod auth;
pub mod banned;
pub mod bans;
pub mod blocklists;
pub mod bulk;
pub mod changes;
pub mod config;
pub mod dashboard;
pub mod filters;
pub mod geo;
pub mod health;
pub mod history;
pub mod imports;
pub mod jail_config;
pub mod jails;
pub mod jobs;
pub mod logs;
pub mod map;
pub mod meta;
pub mod never_ban;
pub mod regex;
pub mod repeaters;
pub mod server;
pub mod setup;
