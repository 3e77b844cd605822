//! The bans of a jail at one moment, and which of them another moment has not.

use std::collections::HashMap;

use crate::domain::address::IpOrNet;
use crate::domain::names::JailName;
use crate::fail2ban::commands::Daemon;
use crate::fail2ban::error::Error;

/// Ends that differ by less are the same: the daemon rounds to seconds.
pub(super) const SAME: i64 = 2;

/// One ban; times are seconds in the daemon's own time zone.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ban {
    pub ip: String,
    pub start: i64,
    /// `None` for a daemon that tells no times, -1 for ever.
    pub seconds: Option<i64>,
}

impl Ban {
    /// `i64::MAX` for never.
    pub fn end(&self) -> i64 {
        match self.seconds {
            None | Some(-1) => i64::MAX,
            Some(seconds) => self.start.saturating_add(seconds),
        }
    }

    /// Whether it is a failure id (`<F-ID>`), and no address or network.
    pub fn is_id(&self) -> bool {
        self.ip.parse::<IpOrNet>().is_err()
    }
}

/// The bans of a jail at one moment.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    pub(super) bans: Vec<Ban>,
}

impl Kept {
    /// Reads them: 1.3 s for 100 000 on a fast machine.
    pub fn read(daemon: &mut Daemon, jail: &JailName) -> Result<Kept, Error> {
        let mut bans = Vec::new();
        let timed = daemon.each_banned_with_time(jail, &mut |line| {
            let start = line.local_start().unwrap_or(0);
            bans.push(Ban { ip: line.ip.to_owned(), start, seconds: Some(line.listed_seconds()) });
        })?;
        if timed.is_none() {
            daemon.each_banned(jail, &mut |ip| bans.push(Ban { ip: ip.to_owned(), start: 0, seconds: None }))?;
        }
        Ok(Kept { bans })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bans.is_empty()
    }

    /// The longest of them in seconds, -1 for ever; `None` where there is none, or where the daemon tells no times.
    pub(super) fn longest(&self) -> Option<i64> {
        let lengths = self.bans.iter().filter_map(|ban| ban.seconds);
        lengths.max_by_key(|seconds| if *seconds < 0 { i64::MAX } else { *seconds })
    }

    pub(super) fn has(&self, ban: &Ban) -> bool {
        self.bans.iter().any(|own| own.ip == ban.ip)
    }

    /// Those that are missing in `present` or end at another time there, but for those that end anyway.
    pub(super) fn not_in(&self, present: &Kept, now: i64, round: Round) -> Vec<Left<'_>> {
        let ends: HashMap<&str, i64> = present.bans.iter().map(|ban| (ban.ip.as_str(), ban.end())).collect();
        let mut left = Vec::new();
        for ban in self.bans.iter().filter(|ban| ban.end() > now + SAME) {
            let end = ends.get(ban.ip.as_str()).copied();
            let is_late = end.is_some_and(|end| end > ban.end().saturating_add(SAME));
            let is_there = end.is_some_and(|end| end.saturating_add(SAME) > ban.end());
            // The restore knows the address of an id as text only, with which no command can run.
            let is_hollow = end.is_some() && ban.is_id() && round == Round::First;
            if is_late || is_hollow || !is_there {
                left.push(Left { ban, is_lifted: is_late || is_hollow });
            }
        }
        left
    }
}

/// Whether bans were made again before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// None was: what is there has been restored by the daemon.
    First,
    /// What is there may have been made by us.
    Later,
}

/// A ban that is to be made again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left<'a> {
    /// As it was.
    pub ban: &'a Ban,
    /// Whether it is there and has to be lifted before: it ends too late, or its actions did not run.
    pub is_lifted: bool,
}
