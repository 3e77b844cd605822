//! The daemon: its socket, its commands and its database.

pub mod encode;
pub mod pickle;
pub mod value;

pub use value::Value;
pub mod client;
mod error;
pub use client::Client;
pub use error::Error;
