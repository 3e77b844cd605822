//! Names, addresses, times and paging: pure, no I/O.

pub mod client;
pub mod page;
pub mod time;
