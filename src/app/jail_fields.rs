//! The values of a jail as a client sends them. Only their types are looked at here: what they mean is checked in a child.

use serde::Deserialize;

use super::input::Fields;
use crate::domain::jail_values::{Growth, JailValues, OPTIONS};

/// Seconds, or a text in the daemon's language.
#[derive(Deserialize)]
#[serde(untagged, expecting = "seconds, or a time such as 10m or 1d, is expected")]
enum Time {
    Number(f64),
    Text(String),
}

/// Ports: one number, or a text.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a port, or a text of ports, ranges and service names such as \"ssh,8000:8010\", is expected"
)]
enum Ports {
    Number(u16),
    Text(String),
}

/// One match of the journal, or several.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a journal match, or a list of them, is expected")]
enum Matches {
    One(String),
    Several(Vec<String>),
}

/// Takes the values out of a body. Only their types are checked. A `null` resets a value to what the files say without us.
pub fn taken(fields: &mut Fields) -> JailValues {
    let time = |time: Option<Time>| {
        time.map(|time| match time {
            Time::Number(seconds) => seconds.to_string(),
            Time::Text(text) => text,
        })
    };
    fields.rename("usedns", "use_dns");
    for (field, key) in OPTIONS {
        if let Some((object, part)) = field.split_once('.') {
            fields.move_into(key, object, part);
        }
    }
    fields.times(&["bantime_escalation.max_time", "bantime_escalation.rnd_time"]);
    let reset = nulls(fields);
    JailValues {
        enabled: fields.optional("enabled"),
        filter: fields.optional("filter"),
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
        bantime_escalation: fields
            .optional::<Growth>("bantime_escalation")
            .filter(|growth| !growth.is_empty())
            .map(Some),
        port: fields.optional("port").map(|ports| match ports {
            Ports::Number(port) => port.to_string(),
            Ports::Text(text) => text,
        }),
        protocol: fields.optional("protocol"),
        banaction: fields.optional("banaction"),
        chain: fields.optional("chain"),
        journalmatch: fields.optional("journalmatch").map(|matches| match matches {
            Matches::One(text) => text,
            Matches::Several(lines) => lines.join("\n"),
        }),
        maxlines: fields.optional("maxlines"),
        logtimezone: fields.optional("logtimezone"),
        ignorecommand: fields.optional("ignorecommand"),
        reset,
    }
}

/// Takes out what is `null`, and names it.
fn nulls(fields: &mut Fields) -> Vec<String> {
    let mut reset = Vec::new();
    let whole = fields.takes_null("bantime_escalation");
    for (field, _) in OPTIONS.iter().filter(|(field, _)| *field != "ignore_self") {
        let is_null = match field.split_once('.') {
            Some((object, part)) => whole || fields.takes_null_in(object, part),
            None => fields.takes_null(field),
        };
        if is_null {
            reset.push((*field).to_owned());
        }
    }
    reset
}
