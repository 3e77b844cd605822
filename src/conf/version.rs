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
    /// The version that is taken for granted where none is known: that of Debian 12. The others that this module was
    /// compared with, command by command, are listed in docs/releases.md.
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

    /// The one that was told, else the one that is taken for granted.
    pub fn known(text: Option<&str>) -> Version {
        text.map(Version::new).unwrap_or_default()
    }

    /// One that reads everything that any version reads.
    pub fn newest() -> Version {
        Version { text: String::new(), numbers: (u32::MAX, 0, 0) }
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

    /// Whether a file of the server, of the jails, of a filter or of an action that cannot be read makes all of it
    /// unusable; an older version passes over that one file.
    pub fn needs_every_file(&self) -> bool {
        self.numbers >= (1, 1, 1)
    }

    /// Whether a jail may give options with a condition, such as `blk?family=inet6`, and its other options override
    /// those of `[Init?family=inet6]` as well.
    pub fn gives_conditions(&self) -> bool {
        self.numbers >= (1, 1, 1)
    }

    /// Whether an option whose name is a part of the word `datepattern` is taken for it.
    pub fn takes_parts_of_datepattern(&self) -> bool {
        self.numbers < (1, 1, 1)
    }

    /// Whether it may do without the log files of a jail: it then reads the journal, or leaves the jail out, as
    /// `systemd_if_nologs` and `skip_if_nologs` say.
    pub fn may_do_without_logs(&self) -> bool {
        self.numbers >= (1, 1, 1)
    }

    /// The numbers: major, minor, patch.
    pub fn numbers(&self) -> (u32, u32, u32) {
        self.numbers
    }

    /// Whether the daemon knows `set allowipv6`; an older one fails the whole stream on it.
    pub fn has_allowipv6(&self) -> bool {
        self.numbers >= (1, 0, 0)
    }
}
