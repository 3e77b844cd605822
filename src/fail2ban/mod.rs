//! The daemon: its socket, its commands and its database.

pub mod ban_line;
pub mod client;
pub mod commands;
pub mod database;
pub mod difference;
pub mod encode;
mod error;
pub mod failure_line;
pub mod installed;
pub mod journal;
pub mod keep;
mod literal;
pub mod pickle;
pub mod process;
#[cfg(test)]
pub(crate) mod real_daemon;
pub mod reload;
pub mod restart;
mod said;
pub mod stream;
pub mod value;

pub use client::Client;
pub use commands::Daemon;
pub use commands::version::Version;
pub use database::{Database, DatabaseError};
pub use error::{Error, Reason};
pub use value::Value;
