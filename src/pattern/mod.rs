//! Python's regex dialect, fail2ban's tags and date templates, and a filter made of them.
//!
//! Everything works on text that is given: this module reads no file, asks no daemon and resolves no name.

pub mod ast;
pub mod behind;
pub mod compile;
mod connection;
pub mod construct;
pub mod cost;
pub mod danger;
pub mod date;
mod error;
mod escape;
mod failregex;
mod faithful;
mod filter;
mod identity;
pub mod parse;
mod release;
mod report;
mod simplify;
pub mod tags;
mod translate;
mod use_dns;

pub use compile::{MAX_PATTERN_BYTES, MAX_TEXT_BYTES, Match, Pattern};
pub use connection::Failure;
pub use danger::{Warning, warnings};
pub use error::PatternError;
pub use failregex::{FailRegex, Found, Groups};
pub use filter::{Filter, FilterDefinition, FilterError, Hit, LineResult, Outcome};
pub use release::Release;
pub use report::{LineReport, TimeProblem, hint, time_problem};
pub use use_dns::UseDns;
