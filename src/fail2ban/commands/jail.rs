//! One jail: its counters, its settings, and the changes that hold until the next reload.

use serde::{Deserialize, Serialize};

use super::Daemon;
use super::counters::{Counters, JailCounters, count, from_stats};
use crate::domain::jail_values::Growth;
use crate::domain::names::{JailName, Place};
use crate::fail2ban::error::{Error, unexpected};
use crate::fail2ban::value::Value;

/// What the daemon runs a jail with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JailSettings {
    /// Log files, already expanded.
    pub log_paths: Vec<String>,
    /// Matches of the systemd journal: each inner list is one group.
    pub journal_match: Vec<Vec<String>>,
    /// Expressions of failures, with all tags expanded.
    pub fail_regex: Vec<String>,
    /// Expressions of what is ignored.
    pub ignore_regex: Vec<String>,
    /// The expression every line is cut with first; empty for none and before 0.10.
    pub prefregex: String,
    /// The date pattern set in the files; `None` where the detectors of the daemon are in use.
    pub date_pattern: Option<String>,
    /// The encoding of the log files.
    pub log_encoding: String,
    /// Seconds; may have a fraction.
    pub find_time: f64,
    /// Seconds; -1 for ever.
    pub ban_time: f64,
    /// Failures that make a ban.
    pub max_retry: i64,
    /// `yes`, `warn`, `no` or `raw`.
    pub use_dns: String,
    /// The names of the actions.
    pub actions: Vec<String>,
    /// How ban times grow; `None` before 0.11.
    pub escalation: Option<Growth>,
    /// Lines remembered per ban; `None` before 0.10.
    pub max_matches: Option<i64>,
    /// Lines a pattern may span.
    pub max_lines: Option<i64>,
    /// Whether the machine's own addresses are ignored; `None` before 0.10.
    pub ignore_self: Option<bool>,
    /// The command that decides whether an address is ignored; empty for none.
    pub ignore_command: String,
}

/// The three numbers every list of jails shows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct JailLimits {
    /// Seconds; may have a fraction.
    pub find_time: f64,
    /// Seconds; -1 for ever.
    pub ban_time: f64,
    /// Failures that make a ban.
    pub max_retry: i64,
}

/// A setting of a running jail. Numbers only for times: the daemon evaluates their text as Python.
#[derive(Debug, Clone, PartialEq)]
pub enum Setting<'a> {
    /// Seconds, -1 for ever. Changes running bans of the former length too.
    BanTime(i64),
    /// Seconds.
    FindTime(i64),
    /// Failures that make a ban.
    MaxRetry(u32),
    /// Lines remembered per ban.
    MaxMatches(u32),
    /// Lines a pattern may span.
    MaxLines(u32),
    /// `yes`, `warn`, `no` or `raw`; the daemon takes anything else for `no`.
    UseDns(&'a str),
    /// A date pattern.
    DatePattern(&'a str),
    /// An encoding.
    LogEncoding(&'a str),
    /// `UTC+0200` and the like.
    LogTimezone(&'a str),
    /// The expression every line is cut with first.
    Prefregex(&'a str),
    /// The command that decides whether an address is ignored; empty for none.
    IgnoreCommand(&'a str),
    /// Whether ban times grow.
    Increment(bool),
    /// Seconds a grown ban lasts at most.
    IncrementMaxTime(i64),
    /// Seconds of random addition.
    IncrementRndTime(i64),
    /// What the formula multiplies with.
    IncrementFactor(f64),
    /// An expression that the daemon evaluates as Python, checked by the caller.
    IncrementFormula(&'a str),
    /// Numbers, one per repetition, checked by the caller.
    IncrementMultipliers(&'a str),
    /// Whether bans of other jails count.
    IncrementOverallJails(bool),
}

/// Which of the two lists of expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegexList {
    /// What is a failure.
    Fail,
    /// What is not.
    Ignore,
}

impl Daemon {
    fn get(&mut self, jail: &JailName, property: &str) -> Result<Value, Error> {
        let jail = self.named(Place::Get, jail)?;
        self.client.ask(&["get", jail, property])
    }

    /// Tells the jail something.
    fn tell(&mut self, jail: &JailName, words: &[&str]) -> Result<Value, Error> {
        let all = [&["set", self.named(Place::Set, jail)?], words].concat();
        self.client.call(&all)
    }

    fn get_texts(&mut self, jail: &JailName, property: &str) -> Result<Vec<String>, Error> {
        self.get(jail, property)?.texts().ok_or_else(|| unexpected(property))
    }

    fn get_number(&mut self, jail: &JailName, property: &str) -> Result<f64, Error> {
        self.get(jail, property)?.as_f64().ok_or_else(|| unexpected(property))
    }

    /// What the jail has seen, without its list of bans (but before 0.10 the daemon sends that along).
    pub fn counters(&mut self, jail: &JailName) -> Result<JailCounters, Error> {
        if self.version()?.has_stats() {
            let stats = self.client.ask(&["status", jail.as_str(), "stats"])?;
            return from_stats(jail.clone(), &stats);
        }
        let status = self.client.ask(&["status", jail.as_str(), "short"])?;
        let number = |part: &str, name: &str| count(status.lookup(part)?.lookup(name));
        let counters = || {
            Some(Counters {
                currently_failed: number("Filter", "Currently failed")?,
                total_failed: number("Filter", "Total failed")?,
                currently_banned: number("Actions", "Currently banned")?,
                total_banned: number("Actions", "Total banned")?,
            })
        };
        let counters = counters().ok_or_else(|| unexpected("the counters of a jail"))?;
        Ok(JailCounters { jail: jail.clone(), backend: None, counters })
    }

    /// What a list of jails shows of each.
    pub fn jail_limits(&mut self, jail: &JailName) -> Result<JailLimits, Error> {
        Ok(JailLimits {
            find_time: self.get_number(jail, "findtime")?,
            ban_time: self.get_number(jail, "bantime")?,
            max_retry: self.get_number(jail, "maxretry")? as i64,
        })
    }

    /// How long a ban lasts that has no time of its own, in whole seconds; `None` where the jail's name stands in the way of the question.
    pub fn ban_time(&mut self, jail: &JailName) -> Result<Option<i64>, Error> {
        if jail.is_taken_in(Place::Get) {
            return Ok(None);
        }
        Ok(Some(self.get_number(jail, "bantime")? as i64))
    }

    /// Everything the daemon tells of a jail but its counters, bans and ignore list: some twenty questions, each well under a millisecond.
    pub fn jail_settings(&mut self, jail: &JailName) -> Result<JailSettings, Error> {
        let version = self.version()?;
        let modern = version.is_modern();
        let journal = self.get(jail, "journalmatch")?;
        let limits = self.jail_limits(jail)?;
        Ok(JailSettings {
            log_paths: self.get_texts(jail, "logpath")?,
            journal_match: journal.items().unwrap_or_default().iter().filter_map(Value::texts).collect(),
            fail_regex: self.get_texts(jail, "failregex")?,
            ignore_regex: self.get_texts(jail, "ignoreregex")?,
            prefregex: if modern { self.get(jail, "prefregex")?.shown() } else { String::new() },
            date_pattern: self.date_pattern(jail)?,
            log_encoding: self.get(jail, "logencoding")?.shown(),
            find_time: limits.find_time,
            ban_time: limits.ban_time,
            max_retry: limits.max_retry,
            use_dns: self.get(jail, "usedns")?.shown(),
            actions: self.get_texts(jail, "actions")?,
            escalation: if version.has_ban_times() { Some(self.escalation(jail)?) } else { None },
            max_matches: if modern { self.get(jail, "maxmatches")?.as_i64() } else { None },
            max_lines: self.get(jail, "maxlines")?.as_i64(),
            ignore_self: self.ignore_self(jail)?,
            // A jail that never had one says False.
            ignore_command: self.get(jail, "ignorecommand")?.as_str().unwrap_or_default().to_owned(),
        })
    }

    /// The pattern, where one was set. Detectors with a name only (`Default Detectors`, `Epoch`) are told by that name, the default not at all.
    fn date_pattern(&mut self, jail: &JailName) -> Result<Option<String>, Error> {
        let answer = self.get(jail, "datepattern")?;
        Ok(match answer.items() {
            Some([Value::Str(pattern), ..]) => Some(pattern.clone()),
            Some([_, Value::Str(name)]) if name != "Default Detectors" => Some(name.clone()),
            _ => None,
        })
    }

    fn escalation(&mut self, jail: &JailName) -> Result<Growth, Error> {
        let mut option = |name: &str| self.get(jail, &format!("bantime.{name}"));
        // Numbers set as text are kept as text.
        let number = |value: Value| value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        let text = |value: Value| {
            if value.is_none() { None } else { Some(value.shown()) }
        };
        Ok(Growth {
            increment: Some(option("increment")?.as_bool().unwrap_or(false)),
            factor: number(option("factor")?),
            formula: text(option("formula")?),
            multipliers: text(option("multipliers")?),
            max_time: number(option("maxtime")?),
            rnd_time: number(option("rndtime")?),
            // The daemon asks only whether it is true in Python's sense, and any text but the empty one is.
            overall_jails: Some(match option("overalljails")? {
                Value::Str(text) => !text.is_empty(),
                value => value.as_bool().unwrap_or(false),
            }),
        })
    }

    /// Whether the machine's own addresses are ignored; `None` before 0.10, which cannot say.
    pub fn ignore_self(&mut self, jail: &JailName) -> Result<Option<bool>, Error> {
        if !self.version()?.is_modern() {
            return Ok(None);
        }
        Ok(self.get(jail, "ignoreself")?.as_bool())
    }

    /// Sets whether the machine's own addresses are ignored. From 0.10; older daemons refuse.
    pub fn set_ignore_self(&mut self, jail: &JailName, on: bool) -> Result<(), Error> {
        let value = if on { "true" } else { "false" };
        self.tell(jail, &["ignoreself", value]).map(drop)
    }

    /// What the jail ignores: addresses, networks, host names, `file:` entries.
    pub fn ignore_list(&mut self, jail: &JailName) -> Result<Vec<String>, Error> {
        self.get_texts(jail, "ignoreip")
    }

    /// Adds an entry to the ignore list and returns the list.
    pub fn add_ignore(&mut self, jail: &JailName, entry: &str) -> Result<Vec<String>, Error> {
        let list = self.tell(jail, &["addignoreip", entry])?;
        list.texts().ok_or_else(|| unexpected("ignoreip"))
    }

    /// Adds entries to the ignore list.
    pub fn add_ignored(&mut self, jail: &JailName, entries: &[&str]) -> Result<(), Error> {
        let words: Vec<&str> = std::iter::once("addignoreip").chain(entries.iter().copied()).collect();
        self.tell(jail, &words).map(drop)
    }

    /// Removes an entry from the ignore list and returns the list; `None` when it was not on it. The text must be the one that is listed.
    pub fn remove_ignore(&mut self, jail: &JailName, entry: &str) -> Result<Option<Vec<String>>, Error> {
        match self.tell(jail, &["delignoreip", entry]) {
            Ok(list) => list.texts().map(Some).ok_or_else(|| unexpected("ignoreip")),
            Err(Error::Refused { class, message }) if class == "ValueError" && message.contains("not in list") => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Lets the jail rest, or work again. The daemon cannot be asked about it afterwards.
    pub fn set_idle(&mut self, jail: &JailName, on: bool) -> Result<(), Error> {
        self.tell(jail, &["idle", if on { "on" } else { "off" }]).map(drop)
    }

    /// Stops the jail, which removes it from the daemon. False when there was none.
    pub fn stop_jail(&mut self, jail: &JailName) -> Result<bool, Error> {
        let word = self.named(Place::OldStop, jail)?;
        match self.client.call(&["stop", word]) {
            Ok(_) => Ok(true),
            Err(Error::UnknownJail(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Changes a setting until the next reload or restart.
    pub fn set(&mut self, jail: &JailName, setting: &Setting<'_>) -> Result<(), Error> {
        let truth = |on: bool| {
            if on { "true".to_owned() } else { "false".to_owned() }
        };
        let (property, value) = match setting {
            Setting::BanTime(seconds) => ("bantime", seconds.to_string()),
            Setting::FindTime(seconds) => ("findtime", seconds.to_string()),
            Setting::MaxRetry(number) => ("maxretry", number.to_string()),
            Setting::MaxMatches(number) => ("maxmatches", number.to_string()),
            Setting::MaxLines(number) => ("maxlines", number.to_string()),
            Setting::UseDns(text) => ("usedns", (*text).to_owned()),
            Setting::DatePattern(text) => ("datepattern", (*text).to_owned()),
            Setting::LogEncoding(text) => ("logencoding", (*text).to_owned()),
            Setting::LogTimezone(text) => ("logtimezone", (*text).to_owned()),
            Setting::Prefregex(text) => ("prefregex", (*text).to_owned()),
            Setting::IgnoreCommand(text) => ("ignorecommand", (*text).to_owned()),
            Setting::Increment(on) => ("bantime.increment", truth(*on)),
            Setting::IncrementMaxTime(seconds) => ("bantime.maxtime", seconds.to_string()),
            Setting::IncrementRndTime(seconds) => ("bantime.rndtime", seconds.to_string()),
            Setting::IncrementFactor(factor) => ("bantime.factor", factor.to_string()),
            Setting::IncrementFormula(text) => ("bantime.formula", (*text).to_owned()),
            Setting::IncrementMultipliers(text) => ("bantime.multipliers", (*text).to_owned()),
            // This one is taken as it comes, and the text `false` would be true.
            Setting::IncrementOverallJails(on) => {
                let words = ["set", self.named(Place::Set, jail)?, "bantime.overalljails"].map(Value::from);
                let words = words.into_iter().chain([Value::Bool(*on)]).collect();
                return self.client.call_value(&Value::List(words)).map(drop);
            }
        };
        self.tell(jail, &[property, &value]).map(drop)
    }

    /// Takes an option of growing ban times (`factor`, `formula` and so on) away, as if it had never been set. From 0.11.
    pub fn unset_growth(&mut self, jail: &JailName, option: &str) -> Result<(), Error> {
        self.client.call(&["set", jail.as_str(), &format!("bantime.{option}"), ""]).map(drop)
    }

    /// Adds an expression and returns the list. One that does not compile is refused and does no harm.
    pub fn add_regex(&mut self, jail: &JailName, list: RegexList, regex: &str) -> Result<Vec<String>, Error> {
        let word = match list {
            RegexList::Fail => "addfailregex",
            RegexList::Ignore => "addignoreregex",
        };
        let answer = self.tell(jail, &[word, regex])?;
        answer.texts().ok_or_else(|| unexpected(word))
    }

    /// Removes the expression at `index` and returns the list; an index behind its end changes nothing.
    pub fn remove_regex(&mut self, jail: &JailName, list: RegexList, index: usize) -> Result<Vec<String>, Error> {
        let word = match list {
            RegexList::Fail => "delfailregex",
            RegexList::Ignore => "delignoreregex",
        };
        let answer = self.tell(jail, &[word, &index.to_string()])?;
        answer.texts().ok_or_else(|| unexpected(word))
    }

    /// Watches another log file, from its end or from its start.
    pub fn add_log_path(&mut self, jail: &JailName, path: &str, from_end: bool) -> Result<(), Error> {
        let place = if from_end { "tail" } else { "head" };
        self.tell(jail, &["addlogpath", path, place]).map(drop)
    }

    /// Watches a log file no longer.
    pub fn remove_log_path(&mut self, jail: &JailName, path: &str) -> Result<(), Error> {
        self.tell(jail, &["dellogpath", path]).map(drop)
    }
}
