//! The version of a daemon, and what its configuration stream depends on.
//!
//! Only differences that were read in the sources or measured are here; unknown versions count as the nearest older one.

/// A version of fail2ban.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    text: String,
    numbers: (u32, u32, u32),
}

impl Default for Version {
    /// The version that this module was checked against, command by command.
    fn default() -> Self {
        Version::new("1.0.2")
    }
}

impl Version {
    /// A version as the daemon tells it, such as `1.0.2` or `1.1.2.dev1`. What is no number counts as 0.
    pub fn new(text: &str) -> Version {
        let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        Version { text: text.to_owned(), numbers: (next(), next(), next()) }
    }

    /// The text as given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the daemon knows `set allowipv6`; an older one fails the whole stream on it.
    pub fn has_allowipv6(&self) -> bool {
        self.numbers >= (1, 0, 0)
    }
}
