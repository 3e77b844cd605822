//! The daemon's own database, read and never written.
//!
//! The daemon loses ban records while somebody holds a read transaction longer than five seconds, so everything here reads one short page
//! and lets go: no cursor stays open between calls, and a page ends early when reading it takes long. What is banned now is the daemon's
//! to say, over its socket; here is what it remembers. A database is opened for each use: the daemon moves a damaged one aside.

mod data;
mod open;
mod rows;

pub use data::BanData;
pub use open::{Database, DatabaseError};
pub use rows::{Ban, BanTimes, Mark, Page};

#[cfg(test)]
mod tests;
