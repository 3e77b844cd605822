//! Whether this machine is protected: from facts to findings, in words.
//!
//! Each check is a small function of facts. Where the facts come from is not known here (`jobs/protection` collects them), nor who asks.

pub mod checks;
pub mod facts;
mod finding;
mod in_force;
pub mod iptables_rules;
pub mod left_over;
pub mod nft_rules;
pub mod packet_filter;
pub mod path;
pub mod prove;
pub mod reached;
mod report;
pub mod ruleset;
mod settings;
mod watching;
mod words;

pub use finding::{Level, Press, Remedy, Step};
pub use report::{JailReport, Report, Verdict};
