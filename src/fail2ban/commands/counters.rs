//! What a jail has counted.

use serde::{Deserialize, Serialize};

use crate::domain::names::JailName;
use crate::fail2ban::error::{Error, unexpected};
use crate::fail2ban::value::Value;

/// What a jail has seen: counters of the filter and of the actions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Addresses with failures within the find time.
    pub currently_failed: u64,
    /// Failures since the jail was started.
    pub total_failed: u64,
    /// Addresses banned now.
    pub currently_banned: u64,
    /// Bans since the jail was started.
    pub total_banned: u64,
}

/// Counters of one jail, with its backend where the daemon tells it (from 1.1.0).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JailCounters {
    /// The jail.
    pub jail: JailName,
    /// `polling`, `pyinotify`, `systemd`.
    pub backend: Option<String>,
    /// Its counters.
    pub counters: Counters,
}

/// One entry of `stats`: `[backend, (failed now, ever), (banned now, ever)]`.
pub(super) fn from_stats(jail: JailName, value: &Value) -> Result<JailCounters, Error> {
    let counters = || {
        let [_, failed, banned] = value.items()? else {
            return None;
        };
        let ([failed, total_failed], [banned, total_banned]) = (failed.items()?, banned.items()?) else {
            return None;
        };
        Some(Counters {
            currently_failed: count(Some(failed))?,
            total_failed: count(Some(total_failed))?,
            currently_banned: count(Some(banned))?,
            total_banned: count(Some(total_banned))?,
        })
    };
    let counters = counters().ok_or_else(|| unexpected("the counters of a jail"))?;
    let backend = value.items().and_then(<[Value]>::first).and_then(Value::as_str).map(str::to_owned);
    Ok(JailCounters { jail, backend, counters })
}

/// A count of the daemon's, which is never negative.
pub(super) fn count(value: Option<&Value>) -> Option<u64> {
    value?.as_i64()?.try_into().ok()
}
