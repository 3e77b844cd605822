//! The values of a jail as a client sends them, checked: what comes out can be written and sent to the daemon.
//!
//! Every rule stands here once. Times are never evaluated, log files lie under the allowed directories, expressions compile, names exist.

use std::path::Path;

use serde::Deserialize;

use super::input::Fields;
use super::{ApiError, Ctx, paths};
use crate::conf::{Invocation, Tree, invocation, time};
use crate::domain::address::IpOrNet;
use crate::domain::jail_values::{Growth, JailValues};
use crate::domain::names::ConfName;
use crate::pattern::date::{Clock, DateDetector};
use crate::pattern::{FailRegex, PatternError, UseDns};

/// The longest expression, in bytes.
const LONGEST_REGEX: usize = 16 * 1024;
/// The longest text of a filter or an action with its parameters, in bytes.
const LONGEST_CALL: usize = 1024;
/// The most entries of any list.
const MOST_ENTRIES: usize = 1000;
/// Ways to watch a log.
const BACKENDS: [&str; 5] = ["auto", "polling", "pyinotify", "gamin", "systemd"];
/// What the daemon may do with host names.
const USE_DNS: [&str; 4] = ["yes", "warn", "no", "raw"];
/// The words a formula of ban times may use: the daemon evaluates it as Python.
const FORMULA_WORDS: [&str; 14] = [
    "ban.Time",
    "ban.Count",
    "banFactor",
    "math.exp",
    "math.log",
    "math.pow",
    "math.sqrt",
    "float",
    "int",
    "max",
    "min",
    "if",
    "else",
    "math.e",
];

/// Seconds, or a text in the daemon's language.
#[derive(Deserialize)]
#[serde(untagged)]
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
        bantime_escalation: fields.optional("bantime_escalation"),
    }
}

/// What the values are checked against.
pub struct Rules<'r> {
    /// The state, for the settings.
    pub ctx: &'r Ctx,
    /// The configuration, in which names must exist.
    pub tree: &'r Tree,
    /// The values the jail has: what is in them already may stay.
    pub present: &'r JailValues,
}

fn bad(field: &str, detail: impl Into<String>) -> ApiError {
    ApiError::invalid_field(field, detail)
}

impl Rules<'_> {
    /// The values as they are written and sent: log files resolved, addresses in canonical form.
    pub fn checked(&self, mut values: JailValues) -> Result<JailValues, ApiError> {
        self.names(&values)?;
        self.times(&mut values)?;
        self.choices(&values)?;
        if let Some(list) = &values.log_paths {
            values.log_paths = Some(self.log_paths(list)?);
        }
        if let Some(list) = &values.ignore_ips {
            values.ignore_ips = Some(self.ignored(list)?);
        }
        if let Some(Some(growth)) = &values.bantime_escalation {
            self.growth(growth)?;
        }
        self.expressions(&values)?;
        Ok(values)
    }

    fn names(&self, values: &JailValues) -> Result<(), ApiError> {
        if let Some(text) = &values.filter {
            let called = call("filter", text)?;
            if !self.tree.filters().contains(&called.name) {
                return Err(bad("filter", format!("There is no filter '{}'.", called.name)));
            }
        }
        let present = self.present.actions.as_deref().unwrap_or_default();
        for text in values.actions.iter().flatten().filter(|text| !present.contains(text)) {
            let called = call("actions", text)?;
            if !called.parameters.is_empty() && !self.ctx.config.allow_action_edit {
                return Err(action_edit_disabled("Parameters of actions cannot be changed here."));
            }
            if !self.tree.actions().contains(&called.name) {
                return Err(bad("actions", format!("There is no action '{}'.", called.name)));
            }
        }
        let too_many = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| list.len() > MOST_ENTRIES);
        let lists = [&values.actions, &values.fail_regex, &values.ignore_regex, &values.log_paths, &values.ignore_ips];
        match lists.into_iter().any(too_many) {
            true => Err(ApiError::invalid_input(format!("A list has at most {MOST_ENTRIES} entries."))),
            false => Ok(()),
        }
    }

    fn times(&self, values: &mut JailValues) -> Result<(), ApiError> {
        for (field, value, may_last) in
            [("ban_time", &mut values.ban_time, true), ("find_time", &mut values.find_time, false)]
        {
            let Some(text) = value else { continue };
            *value = Some(checked_time(field, text, may_last)?);
        }
        Ok(())
    }

    fn choices(&self, values: &JailValues) -> Result<(), ApiError> {
        if let Some(text) = values.backend.as_deref().filter(|text| self.present.backend.as_deref() != Some(text))
            && !BACKENDS.contains(&text)
        {
            return Err(bad("backend", format!("Expected one of {}.", BACKENDS.join(", "))));
        }
        if values.use_dns.as_deref().is_some_and(|text| !USE_DNS.contains(&text)) {
            return Err(bad("use_dns", format!("Expected one of {}.", USE_DNS.join(", "))));
        }
        if values.max_retry == Some(0) {
            return Err(bad("max_retry", "At least 1 is expected."));
        }
        let is_encoding = |text: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            !text.is_empty() && text.len() <= 40 && text.chars().all(plain)
        };
        if values.log_encoding.as_deref().is_some_and(|text| !is_encoding(text)) {
            return Err(bad("log_encoding", "The name of an encoding is expected, UTF-8 for example."));
        }
        Ok(())
    }

    fn log_paths(&self, list: &[String]) -> Result<Vec<String>, ApiError> {
        let present = self.present.log_paths.as_deref().unwrap_or_default();
        let check = |path: &String| {
            // What the files name already may be a pattern, and may lie elsewhere.
            if present.contains(path) {
                return Ok(path.clone());
            }
            let resolved =
                paths::allowed(&self.ctx.config, Path::new(path)).map_err(|problem| bad("log_paths", problem))?;
            let text = resolved.to_str().filter(|text| !text.contains([' ', ';', '#']));
            let text =
                text.ok_or_else(|| bad("log_paths", "fail2ban cannot read a path with blanks, ; or # in it."))?;
            match resolved.is_file() {
                true => Ok(text.to_owned()),
                false => Err(bad("log_paths", format!("{text} does not exist; fail2ban would refuse the jail."))),
            }
        };
        list.iter().map(check).collect()
    }

    fn ignored(&self, list: &[String]) -> Result<Vec<String>, ApiError> {
        let present = self.present.ignore_ips.as_deref().unwrap_or_default();
        let check = |entry: &String| {
            if present.contains(entry) {
                return Ok(entry.clone());
            }
            if let Ok(address) = entry.parse::<IpOrNet>() {
                return Ok(address.to_string());
            }
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            // A name has a letter in its last part; anything else is a mistyped address.
            let last = entry.rsplit('.').next().unwrap_or_default();
            let is_name = entry.len() <= 253
                && entry.starts_with(|c: char| c.is_ascii_alphanumeric())
                && entry.chars().all(plain)
                && last.starts_with(|c: char| c.is_ascii_alphabetic());
            match is_name {
                true => Ok(entry.clone()),
                false => Err(bad("ignore_ips", "Addresses, networks and host names are expected.")),
            }
        };
        list.iter().map(check).collect()
    }

    fn growth(&self, growth: &Growth) -> Result<(), ApiError> {
        let field = "bantime_escalation";
        let numbers = [growth.factor, growth.max_time, growth.rnd_time];
        if numbers.into_iter().flatten().any(|number| !(0.0..=1e10).contains(&number)) {
            return Err(bad(field, "factor, max_time and rnd_time are numbers from 0 on."));
        }
        let is_list = |text: &str| {
            let numbers = |part: &str| !part.is_empty() && part.len() < 10 && part.bytes().all(|b| b.is_ascii_digit());
            text.len() <= 1024 && text.split(' ').all(numbers)
        };
        if growth.multipliers.as_deref().is_some_and(|text| !is_list(text)) {
            return Err(bad(field, "multipliers are whole numbers with one blank between them."));
        }
        let present = self.present.bantime_escalation.as_ref().and_then(|growth| growth.as_ref()?.formula.as_deref());
        match growth.formula.as_deref().filter(|formula| Some(*formula) != present) {
            Some(_) if !self.ctx.config.allow_action_edit => {
                Err(action_edit_disabled("The formula is code for fail2ban and cannot be changed here."))
            }
            Some(formula) if !is_formula(formula) => Err(bad(
                field,
                format!("A formula has numbers, + - * / % < > ( ) and these words: {}.", FORMULA_WORDS.join(", ")),
            )),
            _ => Ok(()),
        }
    }

    /// Expressions are compiled as the jail will have them together, since one may supply what another lacks.
    fn expressions(&self, values: &JailValues) -> Result<(), ApiError> {
        let lists = [("fail_regex", &values.fail_regex), ("ignore_regex", &values.ignore_regex)];
        let mut texts: Vec<(&str, &String)> = Vec::new();
        for (field, list) in lists {
            texts.extend(list.iter().flatten().map(|text| (field, text)));
        }
        texts.extend(values.prefregex.iter().map(|text| ("prefregex", text)));
        texts.extend(values.date_pattern.iter().flatten().map(|text| ("date_pattern", text)));
        if values.fail_regex.as_ref().is_some_and(Vec::is_empty) {
            return Err(bad("fail_regex", "A jail without an expression bans nobody: disable it instead."));
        }
        for (field, text) in &texts {
            if text.len() > LONGEST_REGEX || text.trim() != text.as_str() || text.chars().any(char::is_control) {
                let detail =
                    format!("One line of at most {LONGEST_REGEX} bytes without blanks at its ends is expected.");
                return Err(bad(field, detail));
            }
        }
        let all = self.present.merged(values);
        let use_dns = all.use_dns.as_deref().map_or_else(UseDns::default, UseDns::of);
        let prefregex = all.prefregex.as_deref().filter(|text| !text.is_empty());
        let prefregex = match prefregex.map(|text| FailRegex::new(text, use_dns, false)) {
            Some(Err(error)) if values.prefregex.is_some() => return Err(refused("prefregex", "", &error)),
            other => other.and_then(Result::ok),
        };
        for text in values.fail_regex.iter().flatten() {
            let regex = FailRegex::failure(text, use_dns, false, prefregex.as_ref());
            regex.map_err(|error| refused("fail_regex", text, &error))?;
        }
        for text in values.ignore_regex.iter().flatten() {
            FailRegex::new(text, use_dns, false).map_err(|error| refused("ignore_regex", text, &error))?;
        }
        if let Some(Some(text)) = &values.date_pattern {
            let dates = DateDetector::new(Some(text), None, Clock::utc());
            dates.map_err(|error| refused("date_pattern", text, &error))?;
        }
        Ok(())
    }
}

/// 422 for an expression that the daemon would refuse, or that we cannot judge.
fn refused(field: &str, text: &str, error: &PatternError) -> ApiError {
    let shown: String = text.chars().take(200).collect();
    let detail = if shown.is_empty() { format!("{field}: {error}.") } else { format!("{field} '{shown}': {error}.") };
    ApiError::new(422, "config_validation_failed", detail).with("field", field)
}

/// 403 where actions may not be changed.
fn action_edit_disabled(detail: &str) -> ApiError {
    ApiError::new(403, "action_edit_disabled", format!("{detail} BANGUI_ALLOW_ACTION_EDIT=1 allows it."))
}

/// A filter or an action with its parameters.
fn call(field: &str, text: &str) -> Result<Invocation, ApiError> {
    if text.len() > LONGEST_CALL || text.trim() != text || text.chars().any(char::is_control) {
        return Err(bad(field, format!("One line of at most {LONGEST_CALL} bytes is expected.")));
    }
    let called = invocation(text).map_err(|reason| bad(field, reason))?;
    let name: ConfName = called.name.parse().map_err(|error| bad(field, format!("{error}.")))?;
    // Whatever is behind the name must have been understood as parameters.
    match text.strip_prefix(name.as_str()) {
        Some(rest) if rest.is_empty() || (rest.starts_with('[') && rest.ends_with(']')) => Ok(called),
        _ => Err(bad(field, "A name, or name[option=value, ...], is expected.")),
    }
}

/// A time as it is written: digits and units only.
fn checked_time(field: &str, text: &str, may_last: bool) -> Result<String, ApiError> {
    let expected = || bad(field, "Seconds, or a time such as 1h 30m, are expected; -1 for ever (ban_time only).");
    if text == "-1" {
        return if may_last { Ok(text.to_owned()) } else { Err(expected()) };
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, ' ' | '.');
    let is_plain = text.len() <= 64 && text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(plain);
    let seconds = time::seconds(text).ok().filter(|_| is_plain).map(time::Seconds::as_f64);
    match seconds {
        // A thousand years: beyond that the daemon's own dates overflow.
        Some(seconds) if (1.0..3.2e10).contains(&seconds) => Ok(text.to_owned()),
        _ => Err(expected()),
    }
}

/// Whether a formula consists of known words, numbers and operators only.
fn is_formula(text: &str) -> bool {
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
        if word(first) {
            let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
            let (name, behind) = rest.split_at(end);
            if !FORMULA_WORDS.contains(&name) && name.parse::<f64>().is_err() {
                return false;
            }
            rest = behind;
        } else if "+-*/%<>=(), ".contains(first) {
            rest = &rest[1..];
        } else {
            return false;
        }
    }
    // Python's power operator can keep a process busy for ever.
    text.len() <= 512 && !text.trim().is_empty() && !text.contains("**")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_digits_and_units() {
        for good in ["600", "1h 30m", "1d12h", "0.5h", "1mo"] {
            assert!(checked_time("find_time", good, false).is_ok(), "{good}");
        }
        for wrong in ["", "abc", "-2", "-1", "1/0", "1h;x", "1h\n", "__import__('os')", "9e99", "0", "1 2 x", "1h-2h"] {
            assert!(checked_time("find_time", wrong, false).is_err(), "{wrong}");
        }
        assert!(checked_time("ban_time", "-1", true).is_ok());
    }

    #[test]
    fn formulas_are_arithmetic() {
        let stock = "ban.Time * math.exp(float(ban.Count+1)*banFactor)/math.exp(1*banFactor)";
        assert!(is_formula(stock));
        assert!(is_formula("ban.Time * (1<<(ban.Count if ban.Count<20 else 20)) * banFactor"));
        for wrong in ["", "__import__('os')", "ban.__class__", "9**9**9", "open", "\"a\"", "ban.Time; 1", "a\nb"] {
            assert!(!is_formula(wrong), "{wrong}");
        }
    }

    #[test]
    fn calls_are_names_with_parameters() {
        for good in ["sshd", "sshd[mode=aggressive]", "iptables[name=x, port=\"22,80\"]"] {
            assert!(call("filter", good).is_ok(), "{good}");
        }
        for wrong in ["", " sshd", "../x", "a/b", "%(x)s", "a b", "a\nb", "a[x=1] b", "-x", "a[", "x.local"] {
            assert!(call("filter", wrong).is_err(), "{wrong}");
        }
    }
}
