//! The slow lane: work that may take longer than a few milliseconds runs in a short-lived child process. The child
//! gets plain data on its standard input, sends frames on its standard output, opens no database of ours and owns
//! no state; the memory it took goes back to the system with it.

pub mod apply;
pub mod bans;
pub mod bulk;
pub mod changes;
pub mod children;
pub mod default_edits;
pub mod definitions;
pub mod edits;
pub mod expressions;
pub mod failing;
mod failure;
pub mod frames;
pub mod geo_update;
pub mod held_set;
pub mod history;
pub mod ignored;
pub mod import;
pub mod jail_config;
pub mod jail_edits;
pub mod jail_rules;
mod journal;
pub mod journal_bans;
pub mod log_paths;
pub mod logs;
pub mod mends;
pub mod never_ban;
pub mod notify;
pub mod own_bans;
mod own_file;
mod pace;
pub mod password;
pub mod patterns;
pub mod places;
pub mod preview;
pub mod protection;
pub mod read_held;
pub mod refusal;
pub mod release;
pub mod restored;
pub mod server_edits;
pub mod service;
pub mod tail;
mod task;
pub mod their_database;
pub mod watched;
pub mod why;

pub use failure::Failure;
pub use task::{Lane, Task, child_main};
