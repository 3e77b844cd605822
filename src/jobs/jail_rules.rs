//! The values of a jail, checked: what comes out can be written and sent to the daemon.
//!
//! Every rule stands here once. Times are never evaluated, log files lie under the allowed directories, expressions compile, names exist.
//! A thousand expressions take seconds, so this is a child's work.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::{journal, log_paths};
use crate::conf::{Invocation, Tree, invocation, time};
use crate::domain::address::IpOrNet;
use crate::domain::as_read::FieldError;
use crate::domain::encodings::is_encoding;
use crate::domain::jail_values::{Growth, JailValues, is_command};
use crate::domain::names::ConfName;
use crate::domain::permission::Commands;
use crate::domain::{formula, packet};
use crate::pattern::date::{Clock, DateDetector, offset_minutes};
use crate::pattern::{FailRegex, UseDns};

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
/// The most lines that an expression may span: each is kept in memory, and looked at again with the next.
const MOST_LINES: u32 = 1000;
/// The highest factor of a ban time.
const HIGHEST_FACTOR: f64 = 1e6;

/// What the owner allows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Limits {
    /// The directories that log files lie under.
    pub log_dirs: Vec<PathBuf>,
    /// Whether what fail2ban runs as root may be changed.
    pub commands: Commands,
}

/// What the values are checked against.
pub struct Rules<'r> {
    /// What the owner allows.
    pub limits: &'r Limits,
    /// The configuration, in which names must exist.
    pub tree: &'r Tree,
    /// The values the jail has: what is in them already may stay.
    pub present: &'r JailValues,
}

fn bad(field: &str, detail: impl Into<String>) -> Failure {
    Failure::BadValue { field: field.to_owned(), detail: detail.into() }
}

impl Rules<'_> {
    /// The values as they are written and sent: log files resolved, addresses in canonical form.
    pub fn checked(&self, mut values: JailValues) -> Result<JailValues, Failure> {
        self.commands(&values)?;
        self.names(&values)?;
        self.given(&mut values)?;
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

    /// Fields that become commands are only taken where these may be changed.
    fn commands(&self, values: &JailValues) -> Result<(), Failure> {
        if self.limits.commands == Commands::Allowed {
            return Ok(());
        }
        let named: Vec<String> = values.fields().into_iter().filter(|field| is_command(field)).collect();
        match named.is_empty() {
            true => Ok(()),
            false => {
                let detail =
                    format!("{} become commands that fail2ban runs, and cannot be changed here.", named.join(", "));
                Err(Failure::commands(&detail, self.limits.commands))
            }
        }
    }

    /// What actions are given, and what is said of the log: 422 with every field that is wrong.
    fn given(&self, values: &mut JailValues) -> Result<(), Failure> {
        let mut wrong = Vec::new();
        let mut note = |field: &str, problem: Result<(), String>| {
            let problem = problem.err().map(|detail| FieldError {
                source_field: field.to_owned(),
                rule: "format".into(),
                detail,
            });
            wrong.extend(problem);
        };
        if let Some(text) = &values.port {
            let ports = packet::ports(text);
            note("port", ports.as_ref().map(drop).map_err(Clone::clone));
            values.port = ports.ok().map(|ports| packet::written(&ports));
        }
        note("protocol", values.protocol.as_deref().map_or(Ok(()), packet::check_protocol));
        note("chain", values.chain.as_deref().map_or(Ok(()), packet::check_chain));
        note("banaction", values.banaction.as_deref().map_or(Ok(()), |text| self.ban_action(text)));
        note("journalmatch", values.journalmatch.as_deref().map_or(Ok(()), journal::check_match));
        note("ignorecommand", values.ignorecommand.as_deref().map_or(Ok(()), command));
        let zone = values.logtimezone.as_deref().is_none_or(|zone| !zone.is_empty() && offset_minutes(zone).is_some());
        let zones = "logtimezone is an offset from UTC such as UTC+0200, or an abbreviation such as CET.";
        note("logtimezone", if zone { Ok(()) } else { Err(zones.to_owned()) });
        let lines = values.maxlines.is_none_or(|lines| (1..=MOST_LINES).contains(&lines));
        note("maxlines", if lines { Ok(()) } else { Err(format!("maxlines is a number from 1 to {MOST_LINES}.")) });
        if let Some(Some(growth)) = &values.bantime_escalation {
            let factor = growth.factor.is_none_or(|factor| (0.0..=HIGHEST_FACTOR).contains(&factor));
            let problem = if factor { Ok(()) } else { Err("factor is a number from 0 to 1000000.".to_owned()) };
            note("bantime_escalation.factor", problem);
        }
        if wrong.is_empty() { Ok(()) } else { Err(Failure::WrongFields(wrong)) }
    }

    /// An action that exists, with parameters or without.
    fn ban_action(&self, text: &str) -> Result<(), String> {
        let called = call("banaction", text).map_err(|failure| match failure {
            Failure::BadValue { detail, .. } => detail,
            _ => "It must be the name of an action.".to_owned(),
        })?;
        match self.tree.actions().contains(&called.name) || self.tree.has_python_action(&called.name) {
            true => Ok(()),
            false => Err(format!("There is no action '{}'.", called.name)),
        }
    }

    fn names(&self, values: &JailValues) -> Result<(), Failure> {
        if let Some(text) = &values.filter {
            let called = call("filter", text)?;
            if !self.tree.filters().contains(&called.name) {
                return Err(bad("filter", format!("There is no filter '{}'.", called.name)));
            }
        }
        let present = self.present.actions.as_deref().unwrap_or_default();
        for text in values.actions.iter().flatten().filter(|text| !present.contains(text)) {
            let called = call("actions", text)?;
            if !self.tree.actions().contains(&called.name) && !self.tree.has_python_action(&called.name) {
                return Err(bad("actions", format!("There is no action '{}'.", called.name)));
            }
        }
        let too_many = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| list.len() > MOST_ENTRIES);
        let lists = [&values.actions, &values.fail_regex, &values.ignore_regex, &values.log_paths, &values.ignore_ips];
        match lists.into_iter().any(too_many) {
            true => Err(bad("", format!("A list has at most {MOST_ENTRIES} entries."))),
            false => Ok(()),
        }
    }

    fn times(&self, values: &mut JailValues) -> Result<(), Failure> {
        for (field, value, may_last) in
            [("ban_time", &mut values.ban_time, true), ("find_time", &mut values.find_time, false)]
        {
            let Some(text) = value else { continue };
            *value = Some(checked_time(field, text, may_last)?);
        }
        Ok(())
    }

    fn choices(&self, values: &JailValues) -> Result<(), Failure> {
        if let Some(text) = values.backend.as_deref().filter(|text| self.present.backend.as_deref() != Some(text))
            && !BACKENDS.contains(&text)
        {
            let those = BACKENDS.join(", ");
            match invocation(text) {
                Ok(called) if called.name == "systemd" && text.starts_with("systemd[") && text.ends_with(']') => {
                    journal::check_backend(&called, text, &self.limits.log_dirs).map_err(|detail| {
                        Failure::WrongFields(vec![FieldError {
                            source_field: "backend".into(),
                            rule: "format".into(),
                            detail,
                        }])
                    })?;
                }
                _ => {
                    return Err(bad(
                        "backend",
                        format!("backend must be one of {those}, or systemd[option=value, ...]."),
                    ));
                }
            }
        }
        if values.use_dns.as_deref().is_some_and(|text| !USE_DNS.contains(&text)) {
            return Err(bad("use_dns", format!("use_dns must be one of {}.", USE_DNS.join(", "))));
        }
        if values.max_retry == Some(0) {
            return Err(bad("max_retry", "max_retry must be 1 or more."));
        }
        if values.log_encoding.as_deref().is_some_and(|text| !is_encoding(text)) {
            let detail =
                "log_encoding must be auto, or an encoding that Python knows, such as UTF-8, ASCII or ISO-8859-1.";
            return Err(bad("log_encoding", detail));
        }
        Ok(())
    }

    fn log_paths(&self, list: &[String]) -> Result<Vec<String>, Failure> {
        let present = self.present.log_paths.as_deref().unwrap_or_default();
        let check = |path: &String| {
            // What the files name already may be a pattern, and may lie elsewhere.
            if present.contains(path) {
                return Ok(path.clone());
            }
            log_paths::logs(&self.limits.log_dirs, path).map_err(|problem| bad("log_paths", problem))
        };
        list.iter().map(check).collect()
    }

    fn ignored(&self, list: &[String]) -> Result<Vec<String>, Failure> {
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
                false => Err(bad("ignore_ips", "ignore_ips may hold only addresses, networks and host names.")),
            }
        };
        list.iter().map(check).collect()
    }

    fn growth(&self, growth: &Growth) -> Result<(), Failure> {
        let field = "bantime_escalation";
        let numbers = [growth.max_time, growth.rnd_time];
        if numbers.into_iter().flatten().any(|number| !(0.0..=1e10).contains(&number)) {
            return Err(bad(field, "max_time and rnd_time must be numbers of seconds from 0 to 10000000000."));
        }
        let is_list = |text: &str| {
            let numbers = |part: &str| !part.is_empty() && part.len() < 10 && part.bytes().all(|b| b.is_ascii_digit());
            text.len() <= 1024 && text.split(' ').all(numbers)
        };
        if growth.multipliers.as_deref().is_some_and(|text| !is_list(text)) {
            return Err(bad(field, "multipliers must be whole numbers separated by single spaces."));
        }
        let present = self.present.bantime_escalation.as_ref().and_then(|growth| growth.as_ref()?.formula.as_deref());
        match growth.formula.as_deref().filter(|formula| Some(*formula) != present) {
            Some(formula) => formula::check(formula).map_err(|problem| bad(field, problem)),
            None => Ok(()),
        }
    }

    /// Expressions are compiled as the jail will have them together, since one may supply what another lacks.
    fn expressions(&self, values: &JailValues) -> Result<(), Failure> {
        let lists = [("fail_regex", &values.fail_regex), ("ignore_regex", &values.ignore_regex)];
        let mut texts: Vec<(&str, &String)> = Vec::new();
        for (field, list) in lists {
            texts.extend(list.iter().flatten().map(|text| (field, text)));
        }
        texts.extend(values.prefregex.iter().map(|text| ("prefregex", text)));
        texts.extend(values.date_pattern.iter().flatten().map(|text| ("date_pattern", text)));
        if values.fail_regex.as_ref().is_some_and(Vec::is_empty) {
            return Err(bad(
                "fail_regex",
                "A jail without an expression bans nobody. Give at least one, or disable the jail.",
            ));
        }
        for (field, text) in &texts {
            if text.len() > LONGEST_REGEX || text.trim() != text.as_str() || text.chars().any(char::is_control) {
                let detail = format!(
                    "It must be a single line of at most {LONGEST_REGEX} bytes without spaces at its beginning or end."
                );
                return Err(bad(field, detail));
            }
        }
        let all = self.present.merged(values);
        let use_dns = all.use_dns.as_deref().map_or_else(UseDns::default, UseDns::of);
        let prefregex = all.prefregex.as_deref().filter(|text| !text.is_empty());
        let prefregex = prefregex.map(|text| FailRegex::new(text, use_dns, false));
        let mut wrong = Vec::new();
        let mut judge = |field: &str, text: &str, problem: Option<String>| {
            let shown: String = text.chars().take(200).collect();
            wrong.extend(problem.map(|problem| (field.to_owned(), format!("{field} '{shown}': {problem}."))));
        };
        if let (Some(text), Some(Err(error))) = (&values.prefregex, &prefregex) {
            judge("prefregex", text, Some(error.to_string()));
        }
        let prefregex = prefregex.and_then(Result::ok);
        // What the jail has already is the daemon's business, unless it is to work with another first expression.
        let nothing = Vec::new();
        let known =
            |list: &Option<Vec<String>>| list.clone().filter(|_| values.prefregex.is_none()).unwrap_or_default();
        let (fails, ignores) = (known(&self.present.fail_regex), known(&self.present.ignore_regex));
        let new = |list: &Vec<String>, known: &[String]| -> Vec<(usize, String)> {
            let numbered = list.iter().cloned().enumerate();
            numbered.filter(|(_, text)| !known.contains(text)).collect()
        };
        for (number, text) in &new(values.fail_regex.as_ref().unwrap_or(&nothing), &fails) {
            let regex = FailRegex::failure(text, use_dns, false, prefregex.as_ref());
            judge(&format!("fail_regex.{number}"), text, regex.err().map(|error| error.to_string()));
        }
        for (number, text) in &new(values.ignore_regex.as_ref().unwrap_or(&nothing), &ignores) {
            let regex = FailRegex::new(text, use_dns, false);
            judge(&format!("ignore_regex.{number}"), text, regex.err().map(|error| error.to_string()));
        }
        if let Some(Some(text)) = &values.date_pattern {
            let dates = DateDetector::new(Some(text), None, Clock::utc());
            judge("date_pattern", text, dates.err().map(|error| error.to_string()));
        }
        if wrong.is_empty() { Ok(()) } else { Err(Failure::Expressions(wrong)) }
    }
}

/// What is wrong with a command that is one line of a file.
fn command(text: &str) -> Result<(), String> {
    let is_line = text.len() <= LONGEST_CALL && text.trim() == text && !text.chars().any(char::is_control);
    match is_line && !text.is_empty() {
        true => Ok(()),
        false => Err(format!("It must be a single line of at most {LONGEST_CALL} bytes without blanks at its ends.")),
    }
}

/// A filter or an action with its parameters.
fn call(field: &str, text: &str) -> Result<Invocation, Failure> {
    if text.len() > LONGEST_CALL || text.trim() != text || text.chars().any(char::is_control) {
        return Err(bad(field, format!("It must be a single line of at most {LONGEST_CALL} bytes.")));
    }
    let called = invocation(text).map_err(|reason| bad(field, reason))?;
    let name: ConfName = called.name.parse().map_err(|error| bad(field, format!("{error}.")))?;
    // Whatever is behind the name must have been understood as parameters.
    match text.strip_prefix(name.as_str()) {
        Some(rest) if rest.is_empty() || (rest.starts_with('[') && rest.ends_with(']')) => Ok(called),
        _ => Err(bad(field, "It must be a name, or name[option=value, ...].")),
    }
}

/// A time as it is written: digits and units only.
fn checked_time(field: &str, text: &str, may_last: bool) -> Result<String, Failure> {
    let expected =
        || bad(field, "It must be a number of seconds, or a time such as 1h 30m; ban_time may also be -1, for ever.");
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
    fn calls_are_names_with_parameters() {
        for good in ["sshd", "sshd[mode=aggressive]", "iptables[name=x, port=\"22,80\"]"] {
            assert!(call("filter", good).is_ok(), "{good}");
        }
        for wrong in ["", " sshd", "../x", "a/b", "%(x)s", "a b", "a\nb", "a[x=1] b", "-x", "a[", "x.local"] {
            assert!(call("filter", wrong).is_err(), "{wrong}");
        }
    }
}
