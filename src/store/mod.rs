//! Our own SQLite database: opening, migrating and the rules of every transaction. One file per family of tables.
//!
//! One process owns it: the file is locked exclusively, which also lets WAL work without a shared-memory file
//! (router flash cannot always map one).

pub mod archive;
mod archive_condition;
mod archive_counts;
mod archive_own;
mod archive_read;
mod archive_row;
mod archive_scan;
pub mod audit;
pub mod blocklists;
pub mod changes;
mod console;
mod counters;
pub mod devices;
mod ended;
mod ended_file;
mod error;
mod judge;
mod logins;
mod never_ban;
pub mod notifications;
mod open;
mod own_bans;
mod pending;
mod places;
pub mod repeaters;
mod room;
mod sealed;
mod second_factors;
mod sessions;
pub mod settings;
mod tokens;
mod users;

pub use counters::Counter;
pub use ended::Ended;
pub use error::{Error, Trouble};
pub use logins::Login;
pub use open::{Store, TokenHash};
pub use second_factors::SecondFactor;
pub use sessions::{Session, SessionSeen};
pub use tokens::{MOST_TOKENS, NewToken, Token};
pub use users::{MOST_USERS, OWNER_ID, User, UserRow};
