//! Work that more than one door leads to: the API, the timers of the loop, the console.

pub mod apply;
pub mod changes;
pub mod config_lists;
pub mod digest;
pub mod first_run;
pub mod geo;
pub mod imports;
pub mod never_ban;
pub mod notify;
pub mod proof;
pub mod protection;
pub mod second_factor;
pub mod setup;
