//! The values of a jail that its files put in force, as the API names them. What the daemon makes of them is not asked.

use crate::conf::{self, JailView, time};
use crate::domain::jail_values::{Growth, JailValues};

/// The values in force by the files.
pub struct Effective<'v> {
    /// The jail.
    pub view: &'v JailView,
}

impl Effective<'_> {
    /// An option of the jail as the files have it; `None` for none, or one that cannot be computed.
    fn text(&self, key: &str) -> Option<String> {
        if let Some(value) = self.view.effective.get(key) {
            return (*value != conf::Value::None).then(|| value.to_text().into_owned());
        }
        let value = self.view.option(key)?.value.as_ref().ok()?;
        Some(value.to_text().into_owned())
    }

    /// The values of a command: what filter and jail together give.
    fn commands(&self, words: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for command in &self.view.commands {
            let Some(word) = command.get(2).and_then(conf::Value::as_str) else { continue };
            if !words.contains(&word) {
                continue;
            }
            for value in &command[3..] {
                match value {
                    conf::Value::List(items) => found.extend(items.iter().map(|item| item.to_text().into_owned())),
                    other => found.push(other.to_text().into_owned()),
                }
            }
        }
        found
    }

    fn lines(&self, key: &str) -> Vec<String> {
        let text = self.text(key).unwrap_or_default();
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// All of them.
    pub fn values(&self) -> JailValues {
        let text = self.text("action").unwrap_or_default();
        let whole = |text: String| -> Option<u32> { text.trim().parse().ok() };
        JailValues {
            enabled: Some(self.view.enabled),
            filter: self.text("filter"),
            actions: conf::invocations(&text).ok(),
            backend: self.text("backend"),
            ban_time: self.text("bantime"),
            find_time: self.text("findtime"),
            max_retry: self.text("maxretry").and_then(whole),
            fail_regex: Some(self.commands(&["failregex", "addfailregex"])),
            ignore_regex: Some(self.commands(&["ignoreregex", "addignoreregex"])),
            log_paths: Some(self.lines("logpath")),
            date_pattern: Some(self.commands(&["datepattern"]).pop()),
            log_encoding: self.text("logencoding"),
            use_dns: self.commands(&["usedns"]).pop(),
            prefregex: self.commands(&["prefregex"]).pop(),
            ignore_ips: Some(self.ignored()),
            ignore_self: None,
            bantime_escalation: Some(self.growth()),
            port: self.given("port"),
            protocol: self.given("protocol"),
            banaction: self.given("banaction"),
            chain: self.given("chain"),
            journalmatch: self.given("journalmatch").or_else(|| self.journal_match()),
            maxlines: self.commands(&["maxlines"]).pop().and_then(whole),
            logtimezone: self.given("logtimezone"),
            ignorecommand: self.given("ignorecommand"),
            reset: Vec::new(),
        }
    }

    /// An option that says something.
    fn given(&self, key: &str) -> Option<String> {
        self.text(key).filter(|text| !text.is_empty())
    }

    /// What the filter has read of the journal, where the jail reads it.
    fn journal_match(&self) -> Option<String> {
        let is_match =
            |command: &&Vec<conf::Value>| command.get(2).and_then(conf::Value::as_str) == Some("addjournalmatch");
        let line = |command: &Vec<conf::Value>| {
            let words: Vec<_> = command.iter().skip(3).map(conf::Value::to_text).collect();
            words.join(" ")
        };
        let lines: Vec<String> = self.view.commands.iter().filter(is_match).map(line).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// The entries of the ignore list, as written.
    pub fn ignored(&self) -> Vec<String> {
        conf::words(&self.text("ignoreip").unwrap_or_default()).into_iter().map(str::to_owned).collect()
    }

    fn growth(&self) -> Option<Growth> {
        let option = |key: &str| self.text(&format!("bantime.{key}")).filter(|text| !text.is_empty());
        let length = |key: &str| option(key).and_then(|text| time::seconds(&text).ok()).map(time::Seconds::as_f64);
        let truth = |key: &str| option(key).is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let is_named = self.view.options.iter().any(|option| option.key.starts_with("bantime."));
        is_named.then(|| Growth {
            increment: Some(truth("increment")),
            factor: option("factor").and_then(|text| text.trim().parse().ok()),
            formula: option("formula"),
            multipliers: option("multipliers"),
            max_time: length("maxtime"),
            rnd_time: length("rndtime"),
            overall_jails: Some(truth("overalljails")),
        })
    }
}
