//! fail2ban's configuration language: what its files say, what follows from them, and how they are changed.
//!
//! [`Tree`] reads a configuration directory as fail2ban itself would and answers what every jail, filter and action is
//! made of, with the file and line of each value, up to the command stream that the daemon would be sent. The module
//! talks to no daemon and compiles no pattern, and it writes only what `edit` is asked to write.

mod config;
mod definition;
mod document;
mod edit;
#[cfg(test)]
mod edit_tests;
mod error;
mod glob;
mod jail;
mod layers;
mod listing;
mod ordered;
mod params;
mod stream;
mod tags;
mod testing;
pub mod time;
mod tree;
#[cfg(test)]
mod tree_tests;
mod value;
mod version;
mod views;
mod write;

pub use config::Origin;
pub use document::{Document, Fault, Kind};
pub use edit::{LocalFile, NewValue, is_plain_name};
pub use error::Error;
pub use glob::{glob, is_pattern};
pub use layers::{MAX_FILE, Overlay, Warning};
pub use ordered::Ordered;
pub use params::{Invocation, invocation, invocation_as, invocations, invocations_as, words, words_of_old};
pub use stream::{Stream, StreamOptions, log_files};
pub use testing::lines;
pub use tree::{RawOption, Tree};
pub use value::{Command, Value};
pub use version::Version;
pub use views::{DefinitionView, JailUse, JailView, OptionView};
pub use write::{Folder, Saved};
