//! Bans lifted, in a child: the actions behind each may take seconds.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::failure::Failure;
use super::held_set::SetPlace;
use crate::domain::address::IpOrNet;
use crate::domain::history::BLOCKLIST_JAIL;
use crate::domain::names::JailName;
use crate::fail2ban::database::Database;
use crate::fail2ban::{Client, Daemon, Error};

/// How long a daemon that is free may take to say so.
const ANSWERS: Duration = Duration::from_secs(2);
/// How long a ban or its removal may take: each runs the commands of an action.
pub(super) const CHANGES: Duration = Duration::from_secs(60);
/// How long a list may take: 100 000 bans are 1.3 s on a fast machine.
pub(super) const LISTS: Duration = Duration::from_secs(30);
/// How long a page of fail2ban's database may wait for the daemon's own writing.
const DATABASE: Duration = Duration::from_millis(500);

/// A daemon that has just answered, with patience for what comes.
pub(super) fn answering(socket: &std::path::Path, patience: Duration) -> Result<Daemon, Error> {
    let mut daemon = Daemon::new(Client::new(socket.to_owned(), ANSWERS));
    daemon.ping()?;
    daemon.client_mut().set_patience(patience);
    Ok(daemon)
}

/// A name that was checked before it became text.
pub(super) fn checked(jail: &str) -> Result<JailName, Failure> {
    JailName::from_daemon(jail).map_err(|error| Failure::Conflict(error.to_string()))
}

/// Remove bans.
#[derive(Debug, Serialize, Deserialize)]
pub struct Unban {
    /// fail2ban's socket.
    pub socket: PathBuf,
    /// The jail; `None` is every jail.
    pub jail: Option<String>,
    /// What is banned; `None` is everything.
    pub ip: Option<String>,
    /// The set of imported addresses, which counts as a jail.
    pub set: SetPlace,
}

impl Unban {
    /// The number of bans removed.
    pub fn run(self) -> Result<Value, Failure> {
        let lifted = self.lift()?;
        match self.unban() {
            Ok(count) => Ok(json!(count + lifted)),
            // There need not be such a jail where a set stands for it, nor a daemon.
            Err(Failure::Fail2ban(Error::UnknownJail(_))) if self.is_in_set() => Ok(json!(lifted)),
            Err(Failure::Fail2ban(Error::Unreachable { .. })) if lifted > 0 => Ok(json!(lifted)),
            Err(failure) => Err(failure),
        }
    }

    fn is_in_set(&self) -> bool {
        self.set.way.is_some() && self.jail.as_deref() == Some(BLOCKLIST_JAIL)
    }

    /// What is taken out of the set.
    fn lift(&self) -> Result<u64, Failure> {
        if self.jail.is_some() && !self.is_in_set() {
            return Ok(0);
        }
        let entry: Option<IpOrNet> = match &self.ip {
            Some(ip) => match ip.parse() {
                Ok(entry) => Some(entry),
                Err(_) => return Ok(0),
            },
            None => None,
        };
        let lifted = self.set.lift(entry.as_ref()).map_err(|error| Failure::CommandFailed(error.to_string()))?;
        Ok(lifted as u64)
    }

    fn unban(&self) -> Result<u64, Failure> {
        let mut daemon = answering(&self.socket, CHANGES)?;
        let jail = self.jail.as_deref().map(checked).transpose()?;
        let count = match (&jail, &self.ip) {
            (None, None) => daemon.unban_all()?,
            (None, Some(ip)) => daemon.unban_everywhere(&[ip])?,
            (Some(jail), Some(ip)) => {
                // An unknown jail is to be told from an address that is not banned.
                daemon.counters(jail)?;
                daemon.unban(jail, &[ip])?
            }
            (Some(jail), None) => empty(&mut daemon, jail)?,
        };
        Ok(count)
    }
}

/// Empties one jail, a few at a time, so that other clients of the daemon have their turn.
fn empty(daemon: &mut Daemon, jail: &JailName) -> Result<u64, Error> {
    let mut banned = Vec::new();
    daemon.each_banned(jail, &mut |text| banned.push(text.to_owned()))?;
    let mut count = 0;
    for some in banned.chunks(100) {
        let texts: Vec<&str> = some.iter().map(String::as_str).collect();
        count += daemon.unban(jail, &texts)?;
    }
    Ok(count)
}

/// fail2ban's database, where it has one that can be read.
pub(super) fn open_database(given: Option<PathBuf>, daemon: &mut Daemon) -> Option<Database> {
    let path = given.or_else(|| daemon.database_path().ok().flatten())?;
    Database::open(&path, DATABASE).ok()
}
