//! Makes a jail that was reloaded equal to one that was started: a plain reload leaves old values where the files name none any more.
//!
//! What a fresh jail has is not written down here, since it differs between versions: the daemon is asked, with an empty jail that
//! exists for a moment. Lists (expressions, log files, ignored addresses, actions) need nothing: a reload replaces them.

use super::Daemon;
use crate::domain::names::JailName;
use crate::fail2ban::error::Error;
use crate::fail2ban::keep::{Restarted, restart};
use crate::fail2ban::stream::Stream;
use crate::fail2ban::value::Value;

/// The jail that exists for a moment.
const EMPTY_JAIL: &str = "bangui-fresh";
/// Values a jail has whether or not its commands name them. Each is the word of its setter and of its getter.
const KEPT: [&str; 20] = [
    "usedns",
    "maxlines",
    "logtimezone",
    "datepattern",
    "prefregex",
    "findtime",
    "bantime",
    "maxretry",
    "maxmatches",
    "logencoding",
    "ignoreself",
    "ignorecommand",
    "ignorecache",
    "bantime.increment",
    "bantime.factor",
    "bantime.formula",
    "bantime.multipliers",
    "bantime.maxtime",
    "bantime.rndtime",
    "bantime.overalljails",
];
/// Values that the daemon judges itself.
const REHEARSED: [&str; 15] = [
    "logencoding",
    "logtimezone",
    "datepattern",
    "prefregex",
    "maxlines",
    "usedns",
    "addfailregex",
    "addignoreregex",
    "bantime.increment",
    "bantime.factor",
    "bantime.formula",
    "bantime.multipliers",
    "bantime.maxtime",
    "bantime.rndtime",
    "ignorecache",
];
/// Those that are built into an expression when it is added.
const BUILT_IN: [&str; 2] = ["usedns", "maxlines"];

/// The values of an empty jail of one backend.
#[derive(Debug, Clone, PartialEq)]
pub struct Defaults {
    kind: &'static str,
    values: Vec<(&'static str, Value)>,
}

impl Daemon {
    /// Has an empty jail take the values of each of these jails, so that what only the daemon can judge (an encoding, a formula) is refused
    /// before a jail that runs is touched. Returns the first jail with a value that is refused, and why.
    ///
    /// Log files and actions are left out: those were looked at in the files, and these are made without a look at their commands.
    pub fn rehearse(
        &mut self,
        jails: &[(&str, Stream)],
        defaults: &mut Vec<Defaults>,
    ) -> Result<Option<(String, String)>, Error> {
        let mut backends: Vec<&str> = jails.iter().filter_map(|(_, own)| own.backend()).collect();
        backends.sort_unstable();
        backends.dedup();
        for backend in backends {
            let those = jails.iter().filter(|(_, own)| own.backend() == Some(backend));
            let first = those.clone().next().map(|(jail, _)| *jail).unwrap_or_default();
            match self.begin_empty_jail(backend) {
                Err(Error::Refused { message, .. }) => return Ok(Some((first.to_owned(), message))),
                other => other?,
            }
            let result = self.rehearse_in_empty_jail(those, kind_of(backend), defaults);
            self.client.call(&["stop", EMPTY_JAIL])?;
            if let Some(refused) = result? {
                return Ok(Some(refused));
            }
        }
        Ok(None)
    }

    fn rehearse_in_empty_jail<'j>(
        &mut self,
        jails: impl Iterator<Item = &'j (&'j str, Stream)>,
        kind: &'static str,
        defaults: &mut Vec<Defaults>,
    ) -> Result<Option<(String, String)>, Error> {
        if !defaults.iter().any(|known| known.kind == kind) {
            let values = self.values_of_empty_jail()?;
            defaults.push(Defaults { kind, values });
        }
        // It must read nothing with what it is told.
        self.client.call(&["set", EMPTY_JAIL, "idle", "on"])?;
        for (jail, own) in jails {
            match self.run_stream(&own.values_for(EMPTY_JAIL, &REHEARSED)) {
                Err(Error::Refused { message, .. }) => return Ok(Some(((*jail).to_owned(), message))),
                other => other?,
            }
        }
        Ok(None)
    }

    /// Sets what differs in a jail from what a start with these commands would give. `defaults` is kept between calls.
    /// Returns the words of what still differs. A jail that has to be restarted for it keeps its bans and is added to `restarted`.
    pub fn make_fresh(
        &mut self,
        jail: &JailName,
        stream: &Stream,
        defaults: &mut Vec<Defaults>,
        restarted: &mut Vec<Restarted>,
    ) -> Result<Vec<String>, Error> {
        let own = stream.of_jail(jail.as_str());
        if own.is_empty() {
            return Ok(Vec::new());
        }
        let stale = self.stale(jail, &own, defaults)?;
        if stale.is_empty() {
            return Ok(Vec::new());
        }
        for (word, value) in &stale {
            let value = if *word == "datepattern" { Value::from("") } else { value.clone() };
            let words = ["set", jail.as_str(), word].map(Value::from);
            match self.client.call_value(&Value::List(words.into_iter().chain([value]).collect())) {
                // Some refuse the value they have in a fresh jail; the comparison below sees it.
                Ok(_) | Err(Error::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        // A reload would lose Python actions.
        let has_python = own.actions().iter().any(|action| action.is_python);
        let is_built_in = stale.iter().any(|(word, _)| BUILT_IN.contains(word));
        if is_built_in && !has_python {
            self.reload_stream(Some(jail), &own)?;
        }
        if (is_built_in && has_python) || !self.stale(jail, &own, defaults)?.is_empty() {
            restarted.push(restart(self, jail, &own)?);
        }
        Ok(self.stale(jail, &own, defaults)?.into_iter().map(|(word, _)| word.to_owned()).collect())
    }

    /// What the commands do not name and what is not as in an empty jail, with the value it should have.
    fn stale(
        &mut self,
        jail: &JailName,
        own: &Stream,
        defaults: &mut Vec<Defaults>,
    ) -> Result<Vec<(&'static str, Value)>, Error> {
        let named = own.words_set();
        let mut stale = Vec::new();
        for word in KEPT.into_iter().filter(|word| !named.iter().any(|own| own == word)) {
            let Some(present) = self.value_of(jail.as_str(), word)? else { continue };
            let wanted = self.default_of(own, word, defaults)?;
            if let Some(wanted) = wanted.filter(|wanted| *wanted != present) {
                stale.push((word, wanted));
            }
        }
        Ok(stale)
    }

    /// A value as it is; `None` where this version of the daemon has none of that name.
    pub fn value_of(&mut self, jail: &str, word: &str) -> Result<Option<Value>, Error> {
        match self.client.ask(&["get", jail, word]) {
            Ok(value) => Ok(Some(value)),
            Err(Error::Refused { .. } | Error::Protocol(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn default_of(&mut self, own: &Stream, word: &str, defaults: &mut Vec<Defaults>) -> Result<Option<Value>, Error> {
        let kind = kind_of(own.backend().unwrap_or_default());
        if !defaults.iter().any(|known| known.kind == kind) {
            self.begin_empty_jail(kind)?;
            let values = self.values_of_empty_jail();
            self.client.call(&["stop", EMPTY_JAIL])?;
            defaults.push(Defaults { kind, values: values? });
        }
        let known = defaults.iter().find(|known| known.kind == kind);
        let value = known.and_then(|known| known.values.iter().find(|(name, _)| *name == word));
        Ok(value.map(|(_, value)| value.clone()))
    }

    /// Makes and starts the empty jail. Whoever calls it stops it.
    fn begin_empty_jail(&mut self, backend: &str) -> Result<(), Error> {
        // One that a killed process of ours has left.
        if self.jail_names()?.iter().any(|name| name.as_str() == EMPTY_JAIL) {
            self.client.call(&["stop", EMPTY_JAIL])?;
        }
        self.client.call(&["add", EMPTY_JAIL, backend])?;
        // One that was never started is stopped with complaints in the daemon's log.
        self.client.call(&["start", EMPTY_JAIL]).map(drop)
    }

    fn values_of_empty_jail(&mut self) -> Result<Vec<(&'static str, Value)>, Error> {
        let mut values = Vec::new();
        for word in KEPT {
            if let Some(value) = self.value_of(EMPTY_JAIL, word)? {
                values.push((word, value));
            }
        }
        Ok(values)
    }
}

/// Where lines come from decides over some values, how a file is watched over none.
fn kind_of(backend: &str) -> &'static str {
    if backend.to_ascii_lowercase().starts_with("systemd") { "systemd" } else { "polling" }
}
