//! The actions of a running jail, read back: which there are, and each command and parameter of them.

use serde_json::Value as JsonValue;

use super::Daemon;
use crate::domain::names::{JailName, Place};
use crate::fail2ban::error::Error;
use crate::fail2ban::error::unexpected;
use crate::fail2ban::value::Value;

impl Daemon {
    /// The names of the jail's actions, in their order.
    pub fn action_names(&mut self, jail: &JailName) -> Result<Vec<String>, Error> {
        let jail = self.named(Place::Get, jail)?;
        let names = self.client.ask(&["get", jail, "actions"])?;
        names.texts().ok_or_else(|| unexpected("its actions"))
    }

    /// The names of what an action holds: commands, parameters, and some of the daemon's own.
    pub fn action_properties(&mut self, jail: &JailName, action: &str) -> Result<Vec<String>, Error> {
        let jail = self.named(Place::Get, jail)?;
        let names = self.client.ask(&["get", jail, "actionproperties", action])?;
        names.texts().ok_or_else(|| unexpected("an action"))
    }

    /// A command or parameter of an action. `None`: there is none of that name, or it is nothing that can be told.
    pub fn action_property(&mut self, jail: &JailName, action: &str, property: &str) -> Result<Option<Value>, Error> {
        let jail = self.named(Place::Get, jail)?;
        match self.client.ask(&["get", jail, "action", action, property]) {
            Ok(value) => Ok(Some(value)),
            Err(Error::Refused { .. } | Error::Protocol(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Has an action do what it does for a ban (`ban`) or when one is lifted (`unban`), and nothing else: nobody is banned by it. `told` is what it
    /// is told of it, by the names that its commands use. What the action cannot do is refused.
    pub fn run_action(&mut self, jail: &JailName, action: &str, method: &str, told: &JsonValue) -> Result<(), Error> {
        let jail = self.named(Place::Set, jail)?;
        self.client.call(&["set", jail, "action", action, method, &told.to_string()]).map(drop)
    }

    /// Whether the jail reads the systemd journal, rather than files.
    pub fn reads_journal(&mut self, jail: &JailName) -> Result<bool, Error> {
        let status = self.client.ask(&["status", jail.as_str(), "short"])?;
        Ok(status.lookup("Filter").is_some_and(|filter| filter.lookup("Journal matches").is_some()))
    }
}
