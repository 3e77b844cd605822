//! Names, addresses, times and paging: pure, no I/O.

pub mod address;
pub mod names;
