//! Blocklists: what a list says, when lists are due, and the sets of addresses in between. Pure: nothing here fetches,
//! bans or stores.

pub mod parse;
pub mod schedule;
pub mod set;
