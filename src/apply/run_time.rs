//! Values that hold in a running jail until the next reload, and are set again after one.
//!
//! The daemon takes one value at a time. What a client sends together is one transaction all the same: all of it, or what was before.

use super::plan::RunTime;
use crate::conf::{self, time};
use crate::domain::address::IpOrNet;
use crate::domain::jail_values::{Growth, JailValues};
use crate::domain::names::JailName;
use crate::fail2ban::commands::jail::{JailSettings, RegexList, Setting};
use crate::fail2ban::{Daemon, Error};

/// Values that were not set.
#[derive(Debug)]
pub struct NotSet {
    /// The value that failed, by its name in the API; empty before the first one.
    pub field: &'static str,
    /// Why.
    pub error: Error,
    /// The values that could not be put back to what they were, by name.
    pub left: Vec<&'static str>,
}

impl From<Error> for NotSet {
    fn from(error: Error) -> NotSet {
        NotSet { field: "", error, left: Vec::new() }
    }
}

/// Sets everything again; what the daemon refuses is told in a sentence each. A jail that does not run is left alone.
pub fn set_again(daemon: &mut Daemon, jail: &JailName, again: &RunTime) -> Result<Vec<String>, Error> {
    let mut warnings = Vec::new();
    if again.values.is_empty() && again.idle.is_none() {
        return Ok(warnings);
    }
    let before = match Before::of(daemon, jail) {
        Err(Error::UnknownJail(_)) => return Ok(warnings),
        other => other?,
    };
    for (_, part) in parts(&again.values) {
        match part.set(daemon, jail, &before) {
            Err(Error::Refused { message, .. }) => {
                warnings.push(format!("{} refuses a value that was set before: {message}", jail.as_str()));
            }
            other => other?,
        }
    }
    if let Some(on) = again.idle {
        daemon.set_idle(jail, on)?;
    }
    Ok(warnings)
}

/// Sets what can be set without a reload: all of it, or the jail has what it had before. What cannot be set so waits for the commit: whether
/// it is enabled, its filter, its actions and what these are given, its backend, and what the expressions are compiled with.
pub fn set(daemon: &mut Daemon, jail: &JailName, values: &JailValues) -> Result<(), NotSet> {
    let parts = parts(values);
    if parts.is_empty() {
        return Ok(());
    }
    let before = Before::of(daemon, jail)?;
    for (count, (field, part)) in parts.iter().enumerate() {
        let Err(error) = part.set(daemon, jail, &before) else { continue };
        let mut left = Vec::new();
        // Without the daemon there is nothing to be put back: the next one starts from its files.
        if !matches!(error, Error::Unreachable { .. } | Error::ShuttingDown | Error::UnknownJail(_)) {
            // The one that failed, too: some are stored before they are tried.
            for (field, part) in parts[..=count].iter().rev() {
                if part.put_back(daemon, jail, &before).is_err() && !left.contains(field) {
                    left.push(*field);
                }
            }
        }
        return Err(NotSet { field, error, left });
    }
    Ok(())
}

/// What a jail had.
struct Before {
    settings: JailSettings,
    ignored: Vec<String>,
}

impl Before {
    fn of(daemon: &mut Daemon, jail: &JailName) -> Result<Before, Error> {
        Ok(Before { settings: daemon.jail_settings(jail)?, ignored: daemon.ignore_list(jail)? })
    }
}

/// What is set in one go.
enum Part<'v> {
    /// One value.
    One(Setting<'v>),
    /// Whether the machine's own addresses are ignored.
    IgnoreSelf(bool),
    /// Expressions.
    Regexes(RegexList, &'v [String]),
    /// Log files, or patterns of them.
    Logs(&'v [String]),
    /// The ignore list.
    Ignored(&'v [String]),
}

/// The parts of these values with the names of their fields. First what the daemon may refuse, last what acts on bans at once.
fn parts<'v>(values: &'v JailValues) -> Vec<(&'static str, Part<'v>)> {
    let mut all = Vec::new();
    let mut one = |field, setting: Option<Setting<'v>>| {
        all.extend(setting.map(|setting| (field, Part::One(setting))));
    };
    one("log_encoding", values.log_encoding.as_deref().map(Setting::LogEncoding));
    if let Some(Some(growth)) = &values.bantime_escalation {
        growth_settings(growth).into_iter().for_each(|setting| one("bantime_escalation", Some(setting)));
    }
    // The way host names are treated, and the first expression, are built into the others when they are added.
    one("use_dns", values.use_dns.as_deref().map(Setting::UseDns));
    one("date_pattern", values.date_pattern.iter().flatten().next().map(|pattern| Setting::DatePattern(pattern)));
    one("prefregex", values.prefregex.as_deref().map(Setting::Prefregex));
    all.extend(values.fail_regex.iter().map(|list| ("fail_regex", Part::Regexes(RegexList::Fail, list))));
    all.extend(values.ignore_regex.iter().map(|list| ("ignore_regex", Part::Regexes(RegexList::Ignore, list))));
    all.extend(values.log_paths.iter().map(|list| ("log_paths", Part::Logs(list))));
    all.extend(values.ignore_ips.iter().map(|list| ("ignore_ips", Part::Ignored(list))));
    all.extend(values.ignore_self.map(|on| ("ignore_self", Part::IgnoreSelf(on))));
    let mut one = |field, setting: Option<Setting<'v>>| {
        all.extend(setting.map(|setting| (field, Part::One(setting))));
    };
    one("ignorecommand", values.ignorecommand.as_deref().map(Setting::IgnoreCommand));
    one("max_retry", values.max_retry.map(Setting::MaxRetry));
    one("find_time", values.find_time.as_deref().and_then(seconds).map(Setting::FindTime));
    one("ban_time", values.ban_time.as_deref().and_then(seconds).map(Setting::BanTime));
    all
}

impl Part<'_> {
    fn set(&self, daemon: &mut Daemon, jail: &JailName, before: &Before) -> Result<(), Error> {
        match self {
            // A ban time, even the one there is, is written into running bans.
            Part::One(Setting::BanTime(seconds)) if before.settings.ban_time == *seconds as f64 => Ok(()),
            Part::One(setting) => daemon.set(jail, setting),
            Part::IgnoreSelf(on) => daemon.set_ignore_self(jail, *on),
            Part::Regexes(list, regexes) => replace_regexes(daemon, jail, *list, regexes),
            Part::Logs(paths) => {
                let files = conf::log_files(paths);
                let named: Vec<&String> = files.iter().map(|(path, _)| path).collect();
                for (path, from_end) in files.iter().filter(|(path, _)| !before.settings.log_paths.contains(path)) {
                    daemon.add_log_path(jail, path, *from_end)?;
                }
                for path in before.settings.log_paths.iter().filter(|path| !named.contains(path)) {
                    daemon.remove_log_path(jail, path)?;
                }
                Ok(())
            }
            Part::Ignored(wanted) => replace_ignored(daemon, jail, wanted),
        }
    }

    fn put_back(&self, daemon: &mut Daemon, jail: &JailName, before: &Before) -> Result<(), Error> {
        let old = &before.settings;
        match self {
            Part::One(setting) => put_back_one(daemon, jail, setting, old),
            Part::IgnoreSelf(_) => old.ignore_self.map_or(Ok(()), |on| daemon.set_ignore_self(jail, on)),
            Part::Regexes(list, _) => {
                let old = of_list(old, *list);
                let is_other = *of_list(&daemon.jail_settings(jail)?, *list) != *old;
                if is_other { replace_regexes(daemon, jail, *list, old) } else { Ok(()) }
            }
            Part::Logs(_) => {
                let present = daemon.jail_settings(jail)?.log_paths;
                for path in old.log_paths.iter().filter(|path| !present.contains(path)) {
                    daemon.add_log_path(jail, path, true)?;
                }
                for path in present.iter().filter(|path| !old.log_paths.contains(path)) {
                    daemon.remove_log_path(jail, path)?;
                }
                Ok(())
            }
            Part::Ignored(_) => replace_ignored(daemon, jail, &before.ignored),
        }
    }
}

/// Sets one value to what it was. Growing ban times know no such value before they are set: then an empty text takes it away.
fn put_back_one(daemon: &mut Daemon, jail: &JailName, setting: &Setting<'_>, old: &JailSettings) -> Result<(), Error> {
    let nothing = Growth::default();
    let growth = old.escalation.as_ref().unwrap_or(&nothing);
    let or_away = |daemon: &mut Daemon, option: &str, old: Option<Setting<'_>>| match old {
        Some(old) => daemon.set(jail, &old),
        None => daemon.unset_growth(jail, option),
    };
    let whole = |number: f64| number.round() as i64;
    match setting {
        Setting::BanTime(_) => daemon.set(jail, &Setting::BanTime(whole(old.ban_time))),
        Setting::FindTime(_) => daemon.set(jail, &Setting::FindTime(whole(old.find_time))),
        Setting::MaxRetry(_) => daemon.set(jail, &Setting::MaxRetry(u32::try_from(old.max_retry).unwrap_or(u32::MAX))),
        Setting::UseDns(_) => daemon.set(jail, &Setting::UseDns(&old.use_dns)),
        // The detectors with a name only are those of a jail without a pattern.
        Setting::DatePattern(_) => {
            let pattern = old.date_pattern.as_deref().unwrap_or_default();
            daemon.set(jail, &Setting::DatePattern(pattern))
        }
        Setting::LogEncoding(_) => daemon.set(jail, &Setting::LogEncoding(&old.log_encoding)),
        Setting::Prefregex(_) => daemon.set(jail, &Setting::Prefregex(&old.prefregex)),
        Setting::IgnoreCommand(_) => daemon.set(jail, &Setting::IgnoreCommand(&old.ignore_command)),
        Setting::Increment(_) => daemon.set(jail, &Setting::Increment(growth.increment == Some(true))),
        Setting::IncrementOverallJails(_) => {
            let was = (growth.overall_jails == Some(true)).then_some(Setting::IncrementOverallJails(true));
            or_away(daemon, "overalljails", was)
        }
        Setting::IncrementFactor(_) => or_away(daemon, "factor", growth.factor.map(Setting::IncrementFactor)),
        Setting::IncrementFormula(_) => {
            or_away(daemon, "formula", growth.formula.as_deref().map(Setting::IncrementFormula))
        }
        Setting::IncrementMultipliers(_) => {
            or_away(daemon, "multipliers", growth.multipliers.as_deref().map(Setting::IncrementMultipliers))
        }
        Setting::IncrementMaxTime(_) => {
            or_away(daemon, "maxtime", growth.max_time.map(whole).map(Setting::IncrementMaxTime))
        }
        Setting::IncrementRndTime(_) => {
            or_away(daemon, "rndtime", growth.rnd_time.map(whole).map(Setting::IncrementRndTime))
        }
        // Nobody sets these here.
        Setting::MaxMatches(_) | Setting::MaxLines(_) | Setting::LogTimezone(_) => Ok(()),
    }
}

fn of_list(settings: &JailSettings, list: RegexList) -> &Vec<String> {
    match list {
        RegexList::Fail => &settings.fail_regex,
        RegexList::Ignore => &settings.ignore_regex,
    }
}

/// The daemon takes no list: the new ones are added before the old ones go, so that a refusal leaves the jail with its own.
fn replace_regexes(daemon: &mut Daemon, jail: &JailName, list: RegexList, regexes: &[String]) -> Result<(), Error> {
    let old = of_list(&daemon.jail_settings(jail)?, list).len();
    for (count, regex) in regexes.iter().enumerate() {
        if let Err(error) = daemon.add_regex(jail, list, regex) {
            for _ in 0..count {
                daemon.remove_regex(jail, list, old)?;
            }
            return Err(error);
        }
    }
    for _ in 0..old {
        daemon.remove_regex(jail, list, 0)?;
    }
    Ok(())
}

/// Whoever is on both lists is never off it.
fn replace_ignored(daemon: &mut Daemon, jail: &JailName, wanted: &[String]) -> Result<(), Error> {
    let is_in = |entry: &String, list: &[String]| list.iter().any(|other| is_same_entry(entry, other));
    let present = daemon.ignore_list(jail)?;
    for entry in wanted.iter().filter(|entry| !is_in(entry, &present)) {
        daemon.add_ignore(jail, entry)?;
    }
    for entry in present.iter().filter(|entry| !is_in(entry, wanted)) {
        daemon.remove_ignore(jail, entry)?;
    }
    Ok(())
}

/// Whether two entries of an ignore list are the same one: the daemon lists a network without its host bits.
pub fn is_same_entry(one: &str, other: &str) -> bool {
    one == other || one.parse::<IpOrNet>().is_ok_and(|one| other.parse() == Ok(one))
}

/// Whole seconds of a time that was checked before.
fn seconds(text: &str) -> Option<i64> {
    Some(time::seconds(text).ok()?.as_f64().round() as i64)
}

fn growth_settings(growth: &Growth) -> Vec<Setting<'_>> {
    // Those that are evaluated come first.
    let mut all: Vec<Setting<'_>> = growth.factor.map(Setting::IncrementFactor).into_iter().collect();
    all.extend(growth.formula.as_deref().map(Setting::IncrementFormula));
    all.extend(growth.multipliers.as_deref().map(Setting::IncrementMultipliers));
    all.extend(growth.max_time.map(|seconds| Setting::IncrementMaxTime(seconds.round() as i64)));
    all.extend(growth.rnd_time.map(|seconds| Setting::IncrementRndTime(seconds.round() as i64)));
    all.extend(growth.overall_jails.map(Setting::IncrementOverallJails));
    all.extend(growth.increment.map(Setting::Increment));
    all
}
