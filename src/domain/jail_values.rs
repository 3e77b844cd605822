//! The values of a jail that can be changed, as plain data: what a client sends, what is remembered until it is committed, and what is
//! written. Nothing is checked here.

use serde::{Deserialize, Deserializer, Serialize};

/// Takes the field of this name, of those listed, from another value of the same type.
macro_rules! copied {
    ($name:expr, $to:ident <- $from:ident: $($field:ident),* $(,)?) => {
        match $name {
            $(stringify!($field) => $to.$field.clone_from(&$from.$field),)*
            _ => {}
        }
    };
}

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
    /// How ban times grow: the values of it that are there.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub bantime_escalation: Option<Option<Growth>>,
    /// The ports that its actions close: numbers, ranges and names of services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// The protocol that its actions close.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The action that its usual actions ban with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banaction: Option<String>,
    /// The chain of the packet filter that its actions write into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// What is read of the systemd journal; several matches stand on a line each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journalmatch: Option<String>,
    /// Lines that an expression may span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maxlines: Option<u32>,
    /// The time zone of a log that names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logtimezone: Option<String>,
    /// The command that decides whether an address is ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignorecommand: Option<String>,
    /// The fields of which the jail's own file is to say nothing any more. Their values here are what the other files give.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reset: Vec<String>,
}

/// Fields of a jail and the options that they are in a file. The parts of what grows are fields of their own.
pub const OPTIONS: [(&str, &str); 31] = [
    ("enabled", "enabled"),
    ("filter", "filter"),
    ("actions", "action"),
    ("backend", "backend"),
    ("ban_time", "bantime"),
    ("find_time", "findtime"),
    ("max_retry", "maxretry"),
    ("fail_regex", "failregex"),
    ("ignore_regex", "ignoreregex"),
    ("log_paths", "logpath"),
    ("date_pattern", "datepattern"),
    ("log_encoding", "logencoding"),
    ("use_dns", "usedns"),
    ("prefregex", "prefregex"),
    ("ignore_ips", "ignoreip"),
    ("ignore_self", "ignoreself"),
    ("bantime_escalation.increment", "bantime.increment"),
    ("bantime_escalation.factor", "bantime.factor"),
    ("bantime_escalation.formula", "bantime.formula"),
    ("bantime_escalation.multipliers", "bantime.multipliers"),
    ("bantime_escalation.max_time", "bantime.maxtime"),
    ("bantime_escalation.rnd_time", "bantime.rndtime"),
    ("bantime_escalation.overall_jails", "bantime.overalljails"),
    ("port", "port"),
    ("protocol", "protocol"),
    ("banaction", "banaction"),
    ("chain", "chain"),
    ("journalmatch", "journalmatch"),
    ("maxlines", "maxlines"),
    ("logtimezone", "logtimezone"),
    ("ignorecommand", "ignorecommand"),
];

/// Whether a field names a command that root runs, or becomes part of one.
pub fn is_command(field: &str) -> bool {
    let whole = ["actions", "banaction", "port", "protocol", "chain", "ignorecommand", "bantime_escalation.formula"];
    whole.contains(&field) || field.starts_with("actions.")
}

/// How the ban time of those who come back grows. In a change, `None` is what is not to be changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Growth {
    /// Whether it grows at all.
    pub increment: Option<bool>,
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
    pub overall_jails: Option<bool>,
}

impl Growth {
    /// Takes one value of another, or its absence.
    fn copy(&mut self, part: &str, from: &Growth) {
        copied!(part, self <- from: increment, factor, formula, multipliers, max_time, rnd_time, overall_jails);
    }

    /// Whether nothing of it is there.
    pub fn is_empty(&self) -> bool {
        *self == Growth::default()
    }

    /// The parts that are there, by name.
    fn parts(&self) -> Vec<&'static str> {
        let all = [
            ("bantime_escalation.increment", self.increment.is_some()),
            ("bantime_escalation.factor", self.factor.is_some()),
            ("bantime_escalation.formula", self.formula.is_some()),
            ("bantime_escalation.multipliers", self.multipliers.is_some()),
            ("bantime_escalation.max_time", self.max_time.is_some()),
            ("bantime_escalation.rnd_time", self.rnd_time.is_some()),
            ("bantime_escalation.overall_jails", self.overall_jails.is_some()),
        ];
        all.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
    }
}

/// A `null` that is there is a value.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

impl JailValues {
    /// The names of the values that are there, and of those that are reset, in the order of the alphabet.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.fields();
        for name in &mut names {
            name.truncate(name.find('.').unwrap_or(name.len()));
        }
        names.sort();
        names.dedup();
        names
    }

    /// The fields that are there or are reset; the parts of what grows are fields of their own.
    pub fn fields(&self) -> Vec<String> {
        let object = serde_json::to_value(self).unwrap_or_default();
        let keys = object.as_object().into_iter().flat_map(serde_json::Map::keys);
        let mut fields: Vec<String> =
            keys.filter(|key| !["reset", "bantime_escalation"].contains(&key.as_str())).cloned().collect();
        match &self.bantime_escalation {
            Some(Some(growth)) => fields.extend(growth.parts().into_iter().map(str::to_owned)),
            Some(None) => fields.push("bantime_escalation".to_owned()),
            None => {}
        }
        fields.extend(self.reset.iter().filter(|field| !fields.contains(field)).cloned().collect::<Vec<_>>());
        fields
    }

    /// Takes one value of others, or its absence.
    pub fn copy(&mut self, field: &str, from: &JailValues) {
        if field.starts_with("bantime_escalation.") {
            return self.copy_growth(field, from);
        }
        copied!(field, self <- from: enabled, filter, actions, backend, ban_time, find_time, max_retry, fail_regex, ignore_regex,
            log_paths, date_pattern, log_encoding, use_dns, prefregex, ignore_ips, ignore_self, bantime_escalation, port, protocol,
            banaction, chain, journalmatch, maxlines, logtimezone, ignorecommand);
    }

    fn copy_growth(&mut self, field: &str, from: &JailValues) {
        let Some(part) = field.strip_prefix("bantime_escalation.") else { return };
        let of = |values: &JailValues| values.bantime_escalation.clone().flatten().unwrap_or_default();
        let mut growth = of(self);
        growth.copy(part, &of(from));
        self.bantime_escalation = if growth.is_empty() { None } else { Some(Some(growth)) };
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == JailValues::default()
    }

    /// These values, with the newer ones over them.
    pub fn merged(&self, newer: &JailValues) -> JailValues {
        let mut all = self.clone();
        // What is reset has no value in `newer`, or one that the other files give it: either counts.
        let named = newer.fields();
        named.iter().for_each(|field| all.copy(field, newer));
        all.reset.retain(|field| !named.contains(field));
        all.reset.extend(newer.reset.iter().cloned());
        all.reset.sort();
        all
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

    #[test]
    fn what_is_reset_is_set_again_by_a_newer_value_and_the_parts_of_what_grows_are_on_their_own() {
        let read = |text| -> JailValues { serde_json::from_str(text).unwrap() };
        let old = read(r#"{"port":"22","bantime_escalation":{"factor":2,"increment":true}}"#);
        let reset =
            old.merged(&read(r#"{"reset":["port","bantime_escalation.factor"],"bantime_escalation":{"rnd_time":5}}"#));
        assert_eq!((&reset.port, reset.names()), (&None, vec!["bantime_escalation".to_owned(), "port".to_owned()]));
        let growth = reset.bantime_escalation.clone().flatten().unwrap();
        assert_eq!((growth.factor, growth.increment, growth.rnd_time), (None, Some(true), Some(5.0)));
        let again = reset.merged(&read(r#"{"port":"80"}"#));
        assert_eq!((again.port.as_deref(), again.reset), (Some("80"), vec!["bantime_escalation.factor".to_owned()]));
    }

    #[test]
    fn every_option_is_a_field_that_can_be_copied() {
        let all: JailValues = serde_json::from_str(
            r#"{"enabled":true,"filter":"x","actions":[],"backend":"x","ban_time":"1","find_time":"1","max_retry":1,"fail_regex":[],
            "ignore_regex":[],"log_paths":[],"date_pattern":"x","log_encoding":"x","use_dns":"x","prefregex":"x","ignore_ips":[],
            "ignore_self":true,"port":"1","protocol":"x","banaction":"x","chain":"x","journalmatch":"x","maxlines":1,"logtimezone":"x",
            "ignorecommand":"x","bantime_escalation":{"increment":true,"factor":1,"formula":"x","multipliers":"1","max_time":1,
            "rnd_time":1,"overall_jails":true}}"#,
        )
        .unwrap();
        let mut copied = JailValues::default();
        OPTIONS.iter().for_each(|(field, _)| copied.copy(field, &all));
        assert_eq!(copied, all);
        let mut fields = all.fields();
        fields.sort();
        let mut known: Vec<&str> = OPTIONS.iter().map(|(field, _)| *field).collect();
        known.sort_unstable();
        assert_eq!(fields, known);
    }
}
