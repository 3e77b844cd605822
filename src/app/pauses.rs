//! Jails that rest until a given time: ended here when it is over, whoever was away meanwhile. fail2ban knows no end of it, and forgets it when
//! it is restarted; that it is set again then is the business of what holds at run time only.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::domain::json;
use crate::domain::time;
use crate::store;

/// The setting that holds the ends, by jail.
pub(super) const SETTING: &str = "paused_until";
/// When pauses end.
#[derive(Debug, Default)]
pub struct Pauses {
    pub(super) ends: BTreeMap<String, i64>,
    /// Not before this, after one that could not be ended.
    pub(super) not_before: Option<Instant>,
}

impl Pauses {
    /// What is stored.
    pub fn of(store: &store::Store) -> Result<Pauses, store::Error> {
        let stored = store.setting(SETTING)?;
        // What this program wrote it can read.
        let ends = stored.and_then(|text| json::read(&text).ok()).unwrap_or_default();
        Ok(Pauses { ends, not_before: None })
    }

    /// When that of a jail ends, by RFC 3339.
    pub fn end(&self, jail: &str) -> Option<String> {
        self.ends.get(jail).copied().map(time::rfc3339)
    }

    /// When the next one ends.
    pub fn next(&self, now: Instant, unix_now: i64) -> Option<Instant> {
        let soonest = self.ends.values().min()?;
        let end = now + Duration::from_secs(soonest.saturating_sub(unix_now).clamp(0, 3600) as u64);
        Some(self.not_before.map_or(end, |after| end.max(after)))
    }
}
