//! Why a message was not sent: the kind of it, and a sentence that holds no secret and nothing that the receiver has said.

use serde::{Deserialize, Serialize};

use crate::fetch::FetchError;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The target cannot be used as it is given.
    BadTarget,
    /// It is not on the public Internet, and nobody has said that it may be.
    NotPublic,
    /// Its name leads nowhere.
    Unresolved,
    /// Nobody listens there.
    Refused,
    /// It cannot be reached otherwise.
    Unreachable,
    /// Its certificate is not to be trusted.
    Tls,
    /// It is too slow.
    Timeout,
    /// It wants to be asked elsewhere, which is not followed: what is sent is meant for one receiver.
    Redirect,
    /// It does not take the account and its password.
    Authentication,
    /// It answers with a status that is no success.
    Status,
    /// Whoever should have sent it was lost.
    Lost,
}

/// Why it was not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What went wrong.
    pub kind: Kind,
    /// The status of the answer, where there was one.
    pub status: Option<u16>,
    /// In a sentence.
    pub detail: String,
    /// Seconds for which the receiver wishes to be left alone.
    pub wait: Option<u64>,
}

impl Failure {
    /// One without an answer.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Failure {
        Failure { kind, status: None, detail: detail.into(), wait: None }
    }

    /// What keeps a message from the server `host`. Of the library's own words none is passed on: a URL with its token may stand in them.
    pub fn of(error: &FetchError, host: &str) -> Failure {
        match error {
            FetchError::BadUrl(why) => Failure::new(Kind::BadTarget, format!("The URL cannot be used: {why}.")),
            FetchError::NotPublic { address, .. } => Failure::new(
                Kind::NotPublic,
                format!(
                    "{host} is {address}, which is not on the public Internet; allow_private allows it for this channel."
                ),
            ),
            FetchError::Unresolved => {
                Failure::new(Kind::Unresolved, format!("The name {host} leads to no address; check it."))
            }
            FetchError::Refused => {
                Failure::new(Kind::Refused, format!("{host} refuses the connection: nothing listens on that port."))
            }
            FetchError::Untrusted(why) => {
                Failure::new(Kind::Tls, format!("The certificate of {host} is not trusted: {why}."))
            }
            FetchError::TooSlow => Failure::new(Kind::Timeout, format!("{host} did not answer in time.")),
            FetchError::Unreachable(_) | FetchError::TooLarge(_) | FetchError::TooManyRedirects => {
                Failure::new(Kind::Unreachable, format!("{host} cannot be reached, or broke the connection off."))
            }
            FetchError::Status { status, retry_after } => Failure::of_status(*status, *retry_after, host),
        }
    }

    /// An answer that is no success.
    pub fn of_status(status: u16, wait: Option<u64>, host: &str) -> Failure {
        let (kind, detail) = match status {
            300..=399 => (
                Kind::Redirect,
                format!("{host} answers {status}, a redirect, which is not followed; give its target."),
            ),
            401 | 403 => (Kind::Status, format!("{host} answers {status}: check the token, and what it may do.")),
            404 | 410 => (Kind::Status, format!("{host} answers {status}: nothing takes messages at this URL.")),
            429 => (Kind::Status, format!("{host} answers 429: it was sent too much.")),
            _ => (Kind::Status, format!("{host} answers {status}.")),
        };
        Failure { kind, status: Some(status), detail, wait }
    }
}
