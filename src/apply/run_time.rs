//! Values that hold in a running jail until the next reload, and are set again after one.

use super::RunTime;
use crate::conf::time;
use crate::domain::jail_values::{Growth, JailValues};
use crate::domain::names::JailName;
use crate::fail2ban::commands::jail::{RegexList, Setting};
use crate::fail2ban::{Daemon, Error};

/// Sets everything again; what the daemon refuses is told in a sentence each. A jail that does not run is left alone.
pub fn set_again(daemon: &mut Daemon, jail: &JailName, again: &RunTime) -> Result<Vec<String>, Error> {
    let mut warnings = Vec::new();
    match set(daemon, jail, &again.values) {
        Ok(()) => {}
        Err(Error::UnknownJail(_)) => return Ok(warnings),
        Err(Error::Refused { message, .. }) => {
            warnings.push(format!("{} refuses a value that was set before: {message}", jail.as_str()));
        }
        Err(error) => return Err(error),
    }
    if let Some(on) = again.idle {
        daemon.set_idle(jail, on)?;
    }
    Ok(warnings)
}

/// Sets what can be set without a reload. What cannot (whether it is enabled, its filter, actions and backend) waits for the commit.
pub fn set(daemon: &mut Daemon, jail: &JailName, values: &JailValues) -> Result<(), Error> {
    settings(values).iter().try_for_each(|setting| daemon.set(jail, setting))?;
    if let Some(on) = values.ignore_self {
        daemon.set_ignore_self(jail, on)?;
    }
    if let Some(list) = &values.fail_regex {
        replace_regexes(daemon, jail, RegexList::Fail, list)?;
    }
    if let Some(list) = &values.ignore_regex {
        replace_regexes(daemon, jail, RegexList::Ignore, list)?;
    }
    if let Some(paths) = &values.log_paths {
        let present = daemon.jail_settings(jail)?.log_paths;
        for path in paths.iter().filter(|path| !present.contains(path)) {
            daemon.add_log_path(jail, path, false)?;
        }
        for path in present.iter().filter(|path| !paths.contains(path)) {
            daemon.remove_log_path(jail, path)?;
        }
    }
    if let Some(list) = &values.ignore_ips {
        for entry in daemon.ignore_list(jail)? {
            daemon.remove_ignore(jail, &entry)?;
        }
        for entry in list {
            daemon.add_ignore(jail, entry)?;
        }
    }
    Ok(())
}

/// The daemon takes no list: the new ones are added before the old ones go, so that a refusal leaves the jail with its own.
fn replace_regexes(daemon: &mut Daemon, jail: &JailName, list: RegexList, regexes: &[String]) -> Result<(), Error> {
    let settings = daemon.jail_settings(jail)?;
    let old = match list {
        RegexList::Fail => settings.fail_regex.len(),
        RegexList::Ignore => settings.ignore_regex.len(),
    };
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

/// Whole seconds of a time that was checked before.
fn seconds(text: &str) -> Option<i64> {
    Some(time::seconds(text).ok()?.as_f64().round() as i64)
}

fn settings(values: &JailValues) -> Vec<Setting<'_>> {
    let mut all = Vec::new();
    // The way host names are treated is built into expressions when they are added.
    all.extend(values.use_dns.as_deref().map(Setting::UseDns));
    all.extend(values.ban_time.as_deref().and_then(seconds).map(Setting::BanTime));
    all.extend(values.find_time.as_deref().and_then(seconds).map(Setting::FindTime));
    all.extend(values.max_retry.map(Setting::MaxRetry));
    all.extend(values.log_encoding.as_deref().map(Setting::LogEncoding));
    all.extend(values.prefregex.as_deref().map(Setting::Prefregex));
    all.extend(values.date_pattern.iter().flatten().map(|pattern| Setting::DatePattern(pattern)));
    if let Some(Some(growth)) = &values.bantime_escalation {
        all.extend(growth_settings(growth));
    }
    all
}

fn growth_settings(growth: &Growth) -> Vec<Setting<'_>> {
    let mut all = vec![Setting::Increment(growth.increment)];
    all.extend(growth.factor.map(Setting::IncrementFactor));
    all.extend(growth.formula.as_deref().map(Setting::IncrementFormula));
    all.extend(growth.multipliers.as_deref().map(Setting::IncrementMultipliers));
    all.extend(growth.max_time.map(|seconds| Setting::IncrementMaxTime(seconds.round() as i64)));
    all.extend(growth.rnd_time.map(|seconds| Setting::IncrementRndTime(seconds.round() as i64)));
    all.push(Setting::IncrementOverallJails(growth.overall_jails));
    all
}
