//! What can be wrong with a pattern, a date pattern or a text to search.

use std::fmt;

/// Why a pattern was refused or a search given up. Positions are in characters from 0, as Python counts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// Python refuses the pattern, in its own words.
    Syntax {
        /// Python's message.
        message: String,
        /// Where.
        position: usize,
    },
    /// Python accepts it, but it cannot be carried over faithfully.
    Unsupported {
        /// The construct.
        construct: String,
        /// Where.
        position: usize,
    },
    /// The pattern is longer than the limit.
    TooLong {
        /// Its length in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The text to search is longer than the limit.
    TextTooLong {
        /// Its length in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The engine refused the translated pattern, in practice for its size.
    Engine {
        /// The engine's message.
        message: String,
    },
    /// The search took too many steps.
    Catastrophic {
        /// The construct that makes it slow, as written.
        construct: String,
        /// Where it stands.
        position: usize,
    },
    /// Refused by a rule of fail2ban, in its own words.
    Rule(String),
    /// A date pattern that fail2ban refuses or cannot read.
    DatePattern {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        reason: String,
    },
}

impl PatternError {
    /// True when the daemon would refuse the same; false for limits of our own, when only the daemon can tell.
    pub fn daemon_refuses(&self) -> bool {
        matches!(self, PatternError::Syntax { .. } | PatternError::Rule(_) | PatternError::DatePattern { .. })
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PatternError::Syntax { message, position } => {
                write!(f, "{message} at position {position}")
            }
            PatternError::Unsupported { construct, position } => {
                write!(f, "not supported at position {position}: {construct}; write it in another way")
            }
            PatternError::TooLong { bytes, limit } => {
                write!(f, "the pattern has {bytes} bytes, the limit is {limit}; split it")
            }
            PatternError::TextTooLong { bytes, limit } => {
                write!(f, "the text has {bytes} bytes, the limit is {limit}")
            }
            PatternError::Engine { message } => {
                write!(f, "the pattern is too large for the engine: {message}; lower its repetition counts")
            }
            PatternError::Catastrophic { construct, position } => {
                write!(
                    f,
                    "the search takes too long; the cause is `{construct}` at position {position}: make what is repeated unambiguous"
                )
            }
            PatternError::Rule(message) => f.write_str(message),
            PatternError::DatePattern { pattern, reason } => {
                write!(f, "Failed to set datepattern '{pattern}': {reason}")
            }
        }
    }
}

impl std::error::Error for PatternError {}
