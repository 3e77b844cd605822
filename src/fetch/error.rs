//! Why nothing came from a server, or not everything, in one sentence each.

use std::fmt;
use std::net::IpAddr;

/// Redirects that are followed.
pub(super) const MAX_REDIRECTS: usize = 3;

/// Why nothing came, or not everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// Not an address that is fetched from; the text says why.
    BadUrl(String),
    /// It leads to an address that is not on the public Internet.
    NotPublic {
        /// The host's name.
        host: String,
        /// Where that leads.
        address: IpAddr,
    },
    /// The name leads to no address.
    Unresolved,
    /// Nobody listens there.
    Refused,
    /// No answer otherwise: there is no way, the connection broke.
    Unreachable(String),
    /// Its certificate is not to be trusted, or the file of authorities that would say so cannot be used.
    Untrusted(String),
    /// An answer, but not the file.
    Status {
        /// The status.
        status: u16,
        /// Seconds to wait, where the server says so.
        retry_after: Option<u64>,
    },
    /// Longer than is read, in bytes.
    TooLarge(u64),
    /// It did not come in time.
    TooSlow,
    /// It leads from address to address without an end.
    TooManyRedirects,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FetchError::BadUrl(why) => write!(f, "the URL cannot be used: {why}"),
            FetchError::NotPublic { host, address } => write!(
                f,
                "{host} is {address}, which is not on the public Internet; BANGUI_ALLOW_PRIVATE_FETCH=1 allows it"
            ),
            FetchError::Unresolved => f.write_str("the server cannot be reached: there is no such host"),
            FetchError::Refused => f.write_str("the server cannot be reached: it refuses the connection"),
            FetchError::Unreachable(why) => write!(f, "the server cannot be reached: {why}"),
            FetchError::Untrusted(why) => write!(f, "the server's certificate is not trusted: {why}"),
            FetchError::Status { status: status @ (404 | 410), .. } => {
                write!(f, "the server answers {status}: the file is not there (any more); check the URL")
            }
            FetchError::Status { status, .. } => write!(f, "the server answers {status} instead of the file"),
            FetchError::TooLarge(limit) => write!(f, "the file is larger than {limit} bytes; use a smaller one"),
            FetchError::TooSlow => f.write_str("the server is too slow: the file did not arrive in time"),
            FetchError::TooManyRedirects => write!(f, "the server redirects more than {MAX_REDIRECTS} times"),
        }
    }
}

impl std::error::Error for FetchError {}

impl FetchError {
    /// Whether it may be better later by itself: then it is asked less often.
    pub fn is_passing(&self) -> bool {
        match self {
            FetchError::Unresolved | FetchError::Refused | FetchError::Unreachable(_) | FetchError::TooSlow => true,
            FetchError::Status { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }
}
