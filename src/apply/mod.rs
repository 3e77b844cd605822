//! Changes configuration files without ever disarming the machine: everything is checked first, the files are swapped, the daemon loads
//! them, and when that costs a jail or fails, files and daemon are put back.
//!
//! A journal is written before the first file is touched and removed behind the last step, so that a process which dies in between leaves
//! behind what [`recover`] needs to undo it. One change is made at a time, whoever makes it, and the next one first undoes what a dead one
//! has left. It takes seconds and runs other programs: it is meant for a child process of ours. It knows
//! nothing of HTTP and computes no change: texts of files come from whoever asks.

mod barren;
pub mod check;
pub mod diffs;
pub mod effect;
pub mod effective;
mod error;
mod findings;
mod hearing;
mod journal;
pub mod never_ban;
pub mod outlook;
pub mod plan;
mod ports;
mod preview;
mod read_back;
mod run;
pub mod run_time;
mod steps;
mod turn;
pub mod values;

pub use barren::{barren, definition as filter_of};
pub use check::Problem;
pub use error::ApplyError;
pub use outlook::{Check, Preview, Told};
pub use plan::{Applied, Apply, Done, FileChange, RunTime, Scope};
pub use run::recover;
pub use turn::take as take_turn;
