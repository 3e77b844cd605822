//! Why bytes are not a reply of the daemon.

/// Why bytes are not a reply of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PickleError {
    /// It ends in the middle.
    Truncated,
    /// An operation the daemon never uses, or one in an impossible place.
    Malformed(u8),
    /// More than the limits of this decoder allow, which no daemon needs.
    TooMuch,
    /// Something follows its end.
    Trailing,
}

impl std::fmt::Display for PickleError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PickleError::Truncated => write!(f, "the reply ends in the middle"),
            PickleError::Malformed(code) => write!(f, "the reply is not one of fail2ban's (at operation 0x{code:02x})"),
            PickleError::TooMuch => write!(f, "the reply holds more than any of fail2ban's"),
            PickleError::Trailing => write!(f, "bytes follow the end of the reply"),
        }
    }
}

impl std::error::Error for PickleError {}
