//! What metrics show beside what is known anyway: the limits of jails, which are asked of the daemon after each change, and how often it
//! could not be asked.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::domain::names::JailName;
use crate::fail2ban::Error;
use crate::fail2ban::commands::JailCounters;
use crate::fail2ban::commands::jail::JailLimits;
use crate::machine;

/// How long limits are taken for true where nobody has told of a change: somebody may have used `fail2ban-client set`.
const TRUSTED: Duration = Duration::from_secs(600);
/// Jails that are asked for their limits in one go: three short commands each.
const AT_ONCE: usize = 5;

/// The limits that were learned, and counts since the start.
#[derive(Debug, Default)]
pub struct Metrics {
    /// `None` for a jail that cannot be asked.
    limits: BTreeMap<String, Option<JailLimits>>,
    learned: Option<Instant>,
    /// Looks at the daemon that found nobody there.
    pub unreachable: u64,
    /// Looks at it that were answered with an error.
    pub refused: u64,
}

impl Metrics {
    /// Jails may have other limits from now on.
    pub fn doubt(&mut self) {
        self.learned = None;
    }

    /// Counts a look that has failed.
    pub fn count(&mut self, error: &Error) {
        match error {
            Error::Unreachable { .. } | Error::ShuttingDown => self.unreachable += 1,
            _ => self.refused += 1,
        }
    }

    /// The limits of a jail, where they are known.
    pub fn limits(&self, jail: &str) -> Option<&JailLimits> {
        self.limits.get(jail)?.as_ref()
    }

    /// Some of these jails whose limits are not known, and whether these are all of them.
    pub fn unknown(&mut self, jails: &[JailCounters]) -> (Vec<JailName>, bool) {
        let now = Instant::now();
        if self.learned.is_none_or(|at| now > at + TRUSTED) {
            self.limits.clear();
            self.learned = Some(now);
        }
        let is_unknown = |seen: &&JailCounters| !self.limits.contains_key(seen.jail.as_str());
        let mut unknown: Vec<JailName> =
            jails.iter().filter(is_unknown).take(AT_ONCE + 1).map(|seen| seen.jail.clone()).collect();
        let is_all = unknown.len() <= AT_ONCE;
        unknown.truncate(AT_ONCE);
        (unknown, is_all)
    }

    /// Notes the limits of a jail; `None` where it cannot be asked.
    pub fn learn(&mut self, jail: &JailName, limits: Option<JailLimits>) {
        self.limits.insert(jail.to_string(), limits);
    }

    /// Memory that this program takes, in bytes, and the processor time it has taken, in seconds.
    pub fn spent() -> Option<(u64, f64)> {
        machine::spent()
    }
}
