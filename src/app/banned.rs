//! The table of what is banned as the program holds it: the bans, and what was last done to keep them in line with the daemon.

use std::time::Instant;

use super::error::ApiError;
use crate::held::table::HeldBans;

/// The table, and what was last done about it.
#[derive(Debug, Default)]
pub struct Banned {
    /// What is banned.
    pub held: HeldBans,
    /// Until when the last look at all jails is trusted.
    pub(super) trusted_until: Option<Instant>,
    /// A child reads jails.
    pub(super) is_read: bool,
    /// When the last reading began.
    pub(super) read_began: Option<Instant>,
    /// Why the last reading failed, where it did.
    pub(super) failed: Option<ApiError>,
}

/// Whether the table can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It is what the daemon has.
    Ready,
    /// A child reads what has changed: ask again when it has ended.
    Reading,
}

/// Whether somebody waits for the archive to have everything that fail2ban has told so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CatchUp {
    /// Nobody.
    #[default]
    Idle,
    /// A look that begins from now on is waited for.
    Wanted,
    /// It has begun.
    Running,
}

impl Banned {
    /// Something was done that may have changed what is banned: the next look is not to be spared.
    pub fn doubt(&mut self) {
        self.trusted_until = None;
    }

    /// Anything may be different: every jail is to be read again.
    pub fn distrust(&mut self) {
        self.held.distrust();
        self.doubt();
    }

    /// Whether a child reads jails, or is about to.
    pub fn is_read(&self) -> bool {
        self.is_read
    }

    /// A child has sent a part of what it reads.
    pub fn take(&mut self, bytes: &[u8]) {
        if self.held.take(bytes).is_none() {
            log::warn!("what a child read of the bans makes no sense");
            self.held.end();
        }
    }

    /// A child that read jails has ended, well or not.
    pub fn read_ended(&mut self, failed: Option<ApiError>) {
        self.held.end();
        self.is_read = false;
        self.failed = failed;
        self.trusted_until = None;
    }
}
