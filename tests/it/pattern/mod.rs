//!
//! The yardsticks are asked at test time, in child processes; nothing of theirs is kept here.

mod cost;
mod dates;
mod mutation;
mod oracle;
mod raw;
mod samples;
mod summary;
mod whole;
