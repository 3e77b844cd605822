//! The values of a jail as a client sends them. Only their types are looked at here: what they mean is checked in a child.

use serde::Deserialize;

use super::input::Fields;
use crate::domain::jail_values::JailValues;

/// Seconds, or a text in the daemon's language.
#[derive(Deserialize)]
#[serde(untagged, expecting = "seconds, or a time such as 10m or 1d, is expected")]
enum Time {
    Number(f64),
    Text(String),
}

/// Takes the values out of a body. Only their types are checked.
pub fn taken(fields: &mut Fields) -> JailValues {
    let time = |time: Option<Time>| {
        time.map(|time| match time {
            Time::Number(seconds) => seconds.to_string(),
            Time::Text(text) => text,
        })
    };
    JailValues {
        enabled: fields.optional("enabled"),
        // null, as it is shown, means none.
        filter: fields.optional::<Option<String>>("filter").map(Option::unwrap_or_default),
        actions: fields.optional("actions"),
        backend: fields.optional("backend"),
        ban_time: time(fields.optional("ban_time")),
        find_time: time(fields.optional("find_time")),
        max_retry: fields.optional("max_retry"),
        fail_regex: fields.optional("fail_regex"),
        ignore_regex: fields.optional("ignore_regex"),
        log_paths: fields.optional("log_paths"),
        date_pattern: fields.optional("date_pattern"),
        log_encoding: fields.optional("log_encoding"),
        use_dns: fields.optional("use_dns"),
        prefregex: fields.optional("prefregex"),
        ignore_ips: fields.optional("ignore_ips"),
        ignore_self: None,
        bantime_escalation: fields.optional("bantime_escalation"),
    }
}
