//! One address or network let out of jails, and of what is imported, in a child; what became of it in each jail is told. Networks that it lies
//! in stay banned.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::bans::{CHANGES, answering, checked};
use super::failure::Failure;
use super::held_set::SetPlace;
use crate::blocklist::set::AddressSet;
use crate::domain::address::IpOrNet;
use crate::domain::history::BLOCKLIST_JAIL;
use crate::domain::names::JailName;
use crate::fail2ban::{Daemon, Error};

/// How many bans are lifted by one command, so that other clients of the daemon have their turn.
const SOME: usize = 100;

/// Let an address out, or a network with all that lies in it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Release {
    /// fail2ban's socket.
    pub socket: PathBuf,
    /// The jails; none for all that run.
    pub jails: Vec<String>,
    /// Canonical text of the address or network.
    pub ip: String,
    /// The set of imported addresses, which counts as a jail.
    pub set: SetPlace,
}

/// What became of it in one jail.
#[derive(Debug, Serialize, Deserialize)]
pub struct Released {
    /// The jail.
    pub jail: String,
    /// How many bans were lifted.
    pub lifted: u64,
    /// Why it was not, where it was not.
    pub failure: Option<Failure>,
}

impl Release {
    /// A `Released` for each jail. Nothing is lifted where one of the jails does not run.
    pub fn run(self) -> Result<Value, Failure> {
        let net: IpOrNet = self.ip.parse().map_err(|_| Failure::Conflict(format!("{} is not an address.", self.ip)))?;
        let is_of_set = self.set.way.is_some() && self.is_wanted(BLOCKLIST_JAIL);
        let mut all = Vec::new();
        match self.running(is_of_set) {
            Ok((mut daemon, jails)) => {
                for jail in jails {
                    match self.lift(&mut daemon, &jail, &net) {
                        Ok(lifted) => all.push(Released { jail: jail.to_string(), lifted, failure: None }),
                        // It has stopped since it was looked at.
                        Err(Error::UnknownJail(_)) => {}
                        Err(error) => {
                            let failure = Some(error.into());
                            all.push(Released { jail: jail.to_string(), lifted: 0, failure });
                        }
                    }
                }
            }
            // What is imported is let out without it.
            Err(Failure::Fail2ban(Error::Unreachable { .. })) if is_of_set && self.is_imported(&net) => {}
            Err(failure) => return Err(failure),
        }
        if is_of_set {
            self.lift_imported(&net, &mut all);
        }
        Ok(json!(all))
    }

    fn is_wanted(&self, jail: &str) -> bool {
        self.jails.is_empty() || self.jails.iter().any(|own| own == jail)
    }

    fn is_imported(&self, net: &IpOrNet) -> bool {
        self.set.held().entries().iter().any(|entry| net.contains(&entry.net))
    }

    /// The jails that are meant; that of imports need not run where a set stands for it.
    fn running(&self, is_of_set: bool) -> Result<(Daemon, Vec<JailName>), Failure> {
        let mut daemon = answering(&self.socket, CHANGES)?;
        if self.jails.is_empty() {
            let jails = daemon.jail_names()?;
            return Ok((daemon, jails));
        }
        let mut jails = Vec::new();
        for name in &self.jails {
            let jail = checked(name)?;
            match daemon.counters(&jail) {
                Ok(_) => jails.push(jail),
                Err(Error::UnknownJail(_)) if is_of_set && name == BLOCKLIST_JAIL => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok((daemon, jails))
    }

    fn lift(&self, daemon: &mut Daemon, jail: &JailName, net: &IpOrNet) -> Result<u64, Error> {
        if !net.is_network() {
            return daemon.unban(jail, &[&self.ip]);
        }
        let mut inside = Vec::new();
        daemon.each_banned(jail, &mut |text| {
            if text.parse::<IpOrNet>().is_ok_and(|banned| net.contains(&banned)) {
                inside.push(text.to_owned());
            }
        })?;
        let mut lifted = 0;
        for some in inside.chunks(SOME) {
            let texts: Vec<&str> = some.iter().map(String::as_str).collect();
            lifted += daemon.unban(jail, &texts)?;
        }
        Ok(lifted)
    }

    /// Takes it out of the set; the jail of imports then has what both have lifted.
    fn lift_imported(&self, net: &IpOrNet, all: &mut Vec<Released>) {
        let inside: AddressSet =
            self.set.held().entries().iter().map(|entry| entry.net).filter(|entry| net.contains(entry)).collect();
        let lifted = if inside.is_empty() { Ok(0) } else { self.set.lift_all(&inside).map(|lifted| lifted.len()) };
        let (count, failure) = match lifted {
            Ok(count) => (count as u64, None),
            Err(error) => (0, Some(Failure::CommandFailed(error.to_string()))),
        };
        match all.iter_mut().find(|one| one.jail == BLOCKLIST_JAIL) {
            Some(one) => {
                one.lifted += count;
                one.failure = one.failure.take().or(failure);
            }
            None => all.push(Released { jail: BLOCKLIST_JAIL.to_owned(), lifted: count, failure }),
        }
    }
}
