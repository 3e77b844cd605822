//! The values of a jail that can be changed, as plain data: what a client sends, what is remembered until it is committed, and what is
//! written. Nothing is checked here.

use serde::{Deserialize, Deserializer, Serialize};

/// Values of a jail; `None` for those that are not to be changed. An inner `None` means: as the files had it before us.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JailValues {
    /// Whether the daemon is to run it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Its filter, with parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Its actions, with parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions: Option<Vec<String>>,
    /// How its log is watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// A time in the daemon's language, -1 for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ban_time: Option<String>,
    /// A time in the daemon's language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub find_time: Option<String>,
    /// Failures that make a ban.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retry: Option<u32>,
    /// Expressions of failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_regex: Option<Vec<String>>,
    /// Expressions of what is ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_regex: Option<Vec<String>>,
    /// Log files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_paths: Option<Vec<String>>,
    /// The date pattern.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub date_pattern: Option<Option<String>>,
    /// The encoding of the log files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_encoding: Option<String>,
    /// `yes`, `warn`, `no` or `raw`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_dns: Option<String>,
    /// The expression every line is cut with first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefregex: Option<String>,
    /// Addresses, networks and names that are never banned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_ips: Option<Vec<String>>,
    /// Whether the machine's own addresses are ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_self: Option<bool>,
    /// How ban times grow.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub bantime_escalation: Option<Option<Growth>>,
}

/// How the ban time of those who come back grows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Growth {
    /// Whether it grows at all.
    pub increment: bool,
    /// What the formula multiplies with.
    pub factor: Option<f64>,
    /// An expression of the daemon's.
    pub formula: Option<String>,
    /// Numbers, one per repetition.
    pub multipliers: Option<String>,
    /// Seconds at most.
    pub max_time: Option<f64>,
    /// Seconds of random addition at most.
    pub rnd_time: Option<f64>,
    /// Whether bans of other jails count.
    pub overall_jails: bool,
}

/// A `null` that is there is a value.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

impl JailValues {
    /// The names of the values that are there, in the order of their declaration.
    pub fn names(&self) -> Vec<String> {
        let object = serde_json::to_value(self).unwrap_or_default();
        object.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == JailValues::default()
    }

    /// These values, with the newer ones over them.
    pub fn merged(&self, newer: &JailValues) -> JailValues {
        let (old, new) = (self.clone(), newer.clone());
        JailValues {
            enabled: new.enabled.or(old.enabled),
            filter: new.filter.or(old.filter),
            actions: new.actions.or(old.actions),
            backend: new.backend.or(old.backend),
            ban_time: new.ban_time.or(old.ban_time),
            find_time: new.find_time.or(old.find_time),
            max_retry: new.max_retry.or(old.max_retry),
            fail_regex: new.fail_regex.or(old.fail_regex),
            ignore_regex: new.ignore_regex.or(old.ignore_regex),
            log_paths: new.log_paths.or(old.log_paths),
            date_pattern: new.date_pattern.or(old.date_pattern),
            log_encoding: new.log_encoding.or(old.log_encoding),
            use_dns: new.use_dns.or(old.use_dns),
            prefregex: new.prefregex.or(old.prefregex),
            ignore_ips: new.ignore_ips.or(old.ignore_ips),
            ignore_self: new.ignore_self.or(old.ignore_self),
            bantime_escalation: new.bantime_escalation.or(old.bantime_escalation),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_is_a_value_and_a_missing_one_is_none() {
        let values: JailValues = serde_json::from_str(r#"{"date_pattern":null,"max_retry":3}"#).unwrap();
        assert_eq!((values.date_pattern.clone(), values.max_retry), (Some(None), Some(3)));
        assert_eq!(values.names(), ["date_pattern", "max_retry"]);
        let newer = JailValues { max_retry: Some(5), ..JailValues::default() };
        let all = values.merged(&newer);
        assert_eq!((all.date_pattern, all.max_retry), (Some(None), Some(5)));
        assert!(JailValues::default().is_empty());
    }
}
