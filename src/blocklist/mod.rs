//! Blocklists: what a list says, when lists are due, and the sets of addresses in between. Nothing here fetches or bans, and only `held`
//! reads a file.

pub mod held;
mod line;
pub mod parse;
pub mod schedule;
pub mod set;
pub mod unpack;
