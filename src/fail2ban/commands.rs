//! What the daemon can be told and asked: the only place that knows its command words, and how they differ between versions.
//!
//! Here: the daemon as a whole. One jail is in `commands/jail.rs`, bans in `commands/bans.rs`. Nothing is cached but the version.

pub mod actions;
pub mod bans;
mod counters;
pub mod fresh;
pub mod jail;
pub mod own_time;
pub mod version;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::client::Client;
use super::encode::EncodeError;
use super::error::{Error, unexpected};
use super::stream::Stream;
use super::value::Value;
use crate::domain::names::{JailName, Place};
pub use counters::{Counters, JailCounters};
use version::Version;

/// A daemon, spoken to through one client.
#[derive(Debug)]
pub struct Daemon {
    client: Client,
    /// The version, and the connection on which it was asked.
    version: Option<(u64, Version)>,
}

/// What `get` tells of the daemon itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSettings {
    /// `INFO` and so on.
    pub log_level: String,
    /// A path, or `STDOUT`, `STDERR`, `SYSLOG`, `SYSTEMD-JOURNAL`.
    pub log_target: String,
    /// `auto` or a path.
    pub syslog_socket: Option<String>,
    /// The database; `None` where there is none.
    pub db_path: Option<String>,
    /// How long bans are remembered there, in seconds.
    pub db_purge_age: Option<i64>,
    /// How many matched lines are remembered of each ban; `None` before 0.10.
    pub db_max_matches: Option<i64>,
}

/// Text in a place where the daemon would take a leading `--` for an option.
fn not_an_option(text: &str) -> Result<&str, Error> {
    if text.starts_with("--") { Err(EncodeError::Option.into()) } else { Ok(text) }
}

impl Daemon {
    /// The daemon behind `client`.
    pub fn new(client: Client) -> Daemon {
        Daemon { client, version: None }
    }

    /// The client, for its descriptor and its state.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The client, for its patience.
    pub fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    fn ask_text(&mut self, words: &[&str], what: &str) -> Result<String, Error> {
        match self.client.ask(words)? {
            Value::Str(text) => Ok(text),
            _ => Err(unexpected(what)),
        }
    }

    /// Whether it answers.
    pub fn ping(&mut self) -> Result<(), Error> {
        match self.client.ask(&["ping"])?.as_str() {
            Some("pong") => Ok(()),
            _ => Err(unexpected("itself")),
        }
    }

    /// Its version; asked once a connection.
    pub fn version(&mut self) -> Result<Version, Error> {
        if let Some((connection, version)) = &self.version
            && *connection == self.client.connections()
            && self.client.is_connected()
        {
            return Ok(version.clone());
        }
        let text = self.ask_text(&["version"], "its version")?;
        let version = Version::parse(&text).ok_or_else(|| unexpected("its version"))?;
        self.version = Some((self.client.connections(), version.clone()));
        Ok(version)
    }

    /// The name of a jail, to stand in that place of a command. An error where the daemon would take it for a word of its own.
    pub(super) fn named<'j>(&mut self, place: Place, jail: &'j JailName) -> Result<&'j str, Error> {
        let has_place = place != Place::OldStop || !self.version()?.is_modern();
        if has_place && jail.is_taken_in(place) {
            // An unknown jail is told from one that cannot be commanded.
            self.counters(jail)?;
            return Err(Error::NameTaken(jail.as_str().to_owned()));
        }
        Ok(jail.as_str())
    }

    /// The jails it runs, in its order. One with a control character in its name is left out.
    ///
    /// The daemon lists them in one text, where `a, b` may be one jail or two. That text is in doubt exactly where it has more parts than
    /// there are jails; then the names are the keys of another answer. Not always, because before 1.1.0 that one has all bans in it.
    pub fn jail_names(&mut self) -> Result<Vec<JailName>, Error> {
        let version = self.version()?;
        if version.has_stats() {
            let stats = self.client.ask(&["stats"])?;
            let pairs = stats.pairs().ok_or_else(|| unexpected("its jails"))?;
            return Ok(pairs.iter().filter_map(|(name, _)| JailName::from_daemon(name.as_str()?).ok()).collect());
        }
        let status = self.client.ask(&["status"])?;
        let list = status.lookup("Jail list").and_then(Value::as_str).ok_or_else(|| unexpected("its jails"))?;
        let number = status.lookup("Number of jail").and_then(Value::as_i64);
        let parts: Vec<&str> = list.split(", ").collect();
        let is_sure = list.is_empty() || number.is_some_and(|number| number == parts.len() as i64);
        if !is_sure && version.is_modern() {
            let mut names = Vec::new();
            self.each_jail_with_bans(&mut |name, _| names.extend(JailName::from_daemon(name).ok()))?;
            return Ok(names);
        }
        Ok(parts.iter().filter_map(|name| JailName::from_daemon(name).ok()).collect())
    }

    /// The counters of all jails: one short answer from 1.1.0, one per jail before. A jail that stops meanwhile is left out.
    pub fn all_counters(&mut self) -> Result<Vec<JailCounters>, Error> {
        if self.version()?.has_stats() {
            let stats = self.client.ask(&["stats"])?;
            let pairs = stats.pairs().ok_or_else(|| unexpected("its jails"))?;
            let named =
                pairs.iter().filter_map(|(name, value)| Some((JailName::from_daemon(name.as_str()?).ok()?, value)));
            return named.map(|(jail, value)| counters::from_stats(jail, value)).collect();
        }
        let mut all = Vec::new();
        for jail in self.jail_names()? {
            match self.counters(&jail) {
                Ok(counters) => all.push(counters),
                Err(Error::UnknownJail(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// The file of its database, `None` where it has none. `:memory:` is a possible answer.
    pub fn database_path(&mut self) -> Result<Option<PathBuf>, Error> {
        match self.client.ask(&["get", "dbfile"])? {
            Value::None => Ok(None),
            Value::Str(path) => Ok(Some(PathBuf::from(path))),
            _ => Err(unexpected("its database")),
        }
    }

    /// What it can be asked about itself.
    pub fn server_settings(&mut self) -> Result<ServerSettings, Error> {
        let db_max_matches =
            if self.version()?.is_modern() { self.client.ask(&["get", "dbmaxmatches"])?.as_i64() } else { None };
        Ok(ServerSettings {
            log_level: self.log_level()?,
            log_target: self.log_target()?,
            syslog_socket: self.client.ask(&["get", "syslogsocket"])?.as_str().map(str::to_owned),
            db_path: self.client.ask(&["get", "dbfile"])?.as_str().map(str::to_owned),
            db_purge_age: self.client.ask(&["get", "dbpurgeage"])?.as_i64(),
            db_max_matches,
        })
    }

    /// Where it writes its log: a path, or `STDOUT`, `STDERR`, `SYSLOG`, `SYSTEMD-JOURNAL`.
    pub fn log_target(&mut self) -> Result<String, Error> {
        self.ask_text(&["get", "logtarget"], "its log target")
    }

    /// How much it writes there: `INFO` and so on.
    pub fn log_level(&mut self) -> Result<String, Error> {
        self.ask_text(&["get", "loglevel"], "its log level")
    }

    /// Sets the log level, which the caller has checked to be one. Returns what is in effect.
    pub fn set_log_level(&mut self, level: &str) -> Result<String, Error> {
        Ok(self.client.call(&["set", "loglevel", level])?.shown())
    }

    /// Sets the log target, which the caller has checked: the daemon writes there as root. Returns what is in effect.
    pub fn set_log_target(&mut self, target: &str) -> Result<String, Error> {
        Ok(self.client.call(&["set", "logtarget", target])?.shown())
    }

    /// Sets the socket of syslog, which the daemon does not check. Returns what is in effect.
    pub fn set_syslog_socket(&mut self, path: &str) -> Result<String, Error> {
        Ok(self.client.call(&["set", "syslogsocket", path])?.shown())
    }

    /// Sets for how many seconds bans are remembered. `None` where there is no database.
    pub fn set_db_purge_age(&mut self, seconds: u32) -> Result<Option<i64>, Error> {
        Ok(self.client.call(&["set", "dbpurgeage", &seconds.to_string()])?.as_i64())
    }

    /// Sets how many lines are remembered of a ban. `None` where there is no database.
    pub fn set_db_max_matches(&mut self, lines: u32) -> Result<Option<i64>, Error> {
        Ok(self.client.call(&["set", "dbmaxmatches", &lines.to_string()])?.as_i64())
    }

    /// Reopens its log file, or flushes it. Returns its word for what was done.
    pub fn flush_logs(&mut self) -> Result<String, Error> {
        Ok(self.client.call(&["flushlogs"])?.shown())
    }

    /// Runs a stream of commands as `fail2ban-client -d` computes it, in place of what is configured: every jail the stream does not start
    /// again is removed, and **all** of them when a command of it fails. From 0.10.
    pub fn reload_stream(&mut self, scope: Option<&JailName>, stream: &Stream) -> Result<(), Error> {
        let scope = scope.map_or("--all", JailName::as_str);
        let command = [Value::from("reload"), Value::from(scope), Value::List(Vec::new()), stream.to_value()];
        self.client.call_value(&Value::List(command.to_vec())).map(drop)
    }

    /// Runs a stream of commands beside what is configured, to its end or to the first that fails.
    pub fn run_stream(&mut self, stream: &Stream) -> Result<(), Error> {
        if self.version()?.is_modern() {
            let command = Value::List(vec![Value::from("server-stream"), stream.to_value()]);
            return self.client.call_value(&command).map(drop);
        }
        stream.commands().iter().try_for_each(|command| self.client.call_value(command).map(drop))
    }

    /// Ends the daemon. The answer comes when all jails are down, which takes as long as their actions take; then the connection is gone.
    pub fn stop_server(&mut self) -> Result<(), Error> {
        let result = self.client.call(&["stop"]);
        self.client.disconnect();
        result.map(drop)
    }
}

#[cfg(test)]
mod tests;
