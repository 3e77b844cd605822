//! Why a request about expressions, filters and files could not be done, as data for the answer.

use serde::{Deserialize, Serialize};

use super::tail;

/// Why a request could not be done, for the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Refusal {
    /// There is no filter of this name.
    NoFilter(String),
    /// There is no action of this name.
    NoAction(String),
    /// fail2ban would refuse the configuration.
    Configuration(String),
    /// An expression, named by the field it came in, does not compile.
    Expression {
        /// The field of the request, or the option of the filter.
        field: String,
        /// Why.
        detail: String,
    },
    /// An expression can stop fail2ban.
    TooSlow(Box<TooSlow>),
    /// An expression is too large to be judged for its cost.
    Unjudged {
        /// The field of the request, or the option of the filter.
        field: String,
        /// The expression as it was sent.
        expression: String,
        /// One sentence.
        detail: String,
    },
    /// Expressions do not compile: each by its field with its place in it, such as `failregex.2`, and why.
    Expressions(Vec<(String, String)>),
    /// The log file cannot be read.
    Log(String),
    /// A filter or action of this name is there already.
    Exists(String),
    /// Only the shipped file is there, and it is never changed.
    Shipped(String),
    /// The jail ignores what is to be banned.
    Ignored {
        /// The jail.
        jail: String,
        /// What is to be banned.
        ip: String,
        /// The entry of its ignore list.
        entry: String,
    },
    /// The one of this name is used by these enabled jails.
    Used(String, Vec<String>),
}

/// An expression that is refused, because one line can stop fail2ban.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TooSlow {
    /// The field of the request, or the option of the filter.
    pub field: String,
    /// The expression as it was sent.
    pub expression: String,
    /// The part that is to blame, as Python gets it.
    pub construct: String,
    /// Where that stands, in characters from 0: in the expression as it was sent if it stands there, else as Python gets it.
    pub position: usize,
    /// The line.
    pub line: String,
    /// What a search in it takes at least, in seconds.
    pub seconds: f64,
    /// One sentence.
    pub detail: String,
}

impl From<tail::Error> for Refusal {
    fn from(error: tail::Error) -> Refusal {
        Refusal::Log(error.to_string())
    }
}
