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
    /// The version that is taken for granted where none is known: that of Debian 12. Others that this module was checked
    /// against, command by command, are 0.11.2 and 1.1.0.
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

    /// Whether `%(fail2ban_confpath)s` stands for the configuration directory.
    pub fn knows_its_directory(&self) -> bool {
        self.numbers >= (1, 0, 0)
    }

    /// Whether an option of a filter without a value, such as a number that is none, leads to no command.
    pub fn passes_over_no_value(&self) -> bool {
        self.numbers >= (1, 0, 0)
    }

    /// Whether the entries of `ignoreip` are divided by white space of any kind, and not by blanks and newlines only.
    pub fn divides_at_any_space(&self) -> bool {
        self.numbers >= (1, 1, 0)
    }

    /// Whether a file that is not UTF-8 makes it refuse everything; an older one passes over the file.
    pub fn refuses_undecodable_files(&self) -> bool {
        self.numbers >= (1, 1, 1)
    }

    /// Whether it may do without the log files of a jail: it then reads the journal, or leaves the jail out.
    pub fn may_do_without_logs(&self) -> bool {
        self.numbers >= (1, 1, 1)
    }

    /// Whether the daemon knows `set allowipv6`; an older one fails the whole stream on it.
    pub fn has_allowipv6(&self) -> bool {
        self.numbers >= (1, 0, 0)
    }
}
