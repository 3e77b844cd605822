//! Names, addresses, times and paging: pure, no I/O.

pub mod actor;
pub mod address;
pub mod as_read;
pub mod client;
pub mod diff;
pub mod digits;
pub mod encodings;
pub mod formula;
pub mod forwarded;
pub mod hex;
pub mod history;
pub mod history_order;
pub mod jail_values;
pub mod json;
pub mod log_user;
pub mod names;
pub mod never_ban;
pub mod notification;
pub mod own_ban;
pub mod packet;
pub mod page;
pub mod permission;
pub mod quota;
pub mod secrets;
pub mod time;
pub mod totp;
