//! The BanGUI API for fail2ban, as a library of the `bangui` program.
//!
//! Only the program, its tests, its fuzz targets and its benchmarks use it; it promises no stable interface.

pub mod api;
pub mod app;
pub mod apply;
pub mod blocklist;
pub mod cli;
pub mod conf;
pub mod config;
pub mod dispatch;
pub mod domain;
pub mod fail2ban;
pub mod fetch;
pub mod files;
pub mod firewall;
pub mod geo;
pub mod held;
pub mod jobs;
mod log_sink;
pub mod machine;
pub mod main_loop;
pub mod notify;
pub mod packed;
pub mod page;
pub mod pattern;
pub mod program;
pub mod protection;
pub mod remote;
pub mod renewal;
pub mod routes;
pub mod server;
pub mod services;
pub mod store;
pub mod zones;
