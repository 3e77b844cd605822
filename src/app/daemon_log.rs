//! Where fail2ban tells of what it does, and what is known of how far that was read. Who reads it is elsewhere: `read_journal.rs`, and the loop.

use super::banned::CatchUp;

/// What fail2ban tells of what it does.
#[derive(Debug, Default)]
pub struct DaemonLog {
    /// Where it writes it, as it last said: a path, or a word.
    pub target: Option<String>,
    /// There is more in it than was read: what its database tells comes after that.
    pub is_behind: bool,
    /// Whether somebody waits for the archive to have everything.
    pub catch_up: CatchUp,
    /// A child reads the journal.
    pub is_being_read: bool,
    /// How many bans it had made when the journal was last read.
    pub(super) read_at: Option<u64>,
    /// What was last complained of, so that the log says it once.
    pub(super) complaint: String,
}

impl DaemonLog {
    /// Whether the journal has it, where there is one: what goes to syslog is there as well.
    pub fn is_in_journal(&self) -> bool {
        let word = self.target.as_deref().map(|target| target.split('[').next().unwrap_or_default().trim());
        word.is_some_and(|word| ["SYSTEMD-JOURNAL", "SYSLOG"].iter().any(|known| word.eq_ignore_ascii_case(known)))
    }
}
