//! Looks whether this machine is protected, in a child: collects what the checks of `protection` want to know, and has them judge it.
//!
//! It reads and changes nothing: fail2ban is asked, its files, logs and the packet filter are looked at. Everything has a limit, since a page
//! waits for it: what cannot be found out in that time is said to be unknown.

mod asked;
mod boot;
pub(super) mod configured;
pub(super) mod logs;
mod own_log;
mod packet_filter;
pub mod prove;
mod trial;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::bans::answering;
use super::failure::Failure;
use super::why::Why;
use crate::domain::time;
use crate::fail2ban::{Daemon, Error, Reason};
use crate::machine;
use crate::protection::checks::check;
use crate::protection::facts::{Daemon as State, Facts};
use crate::zones;

/// How long fail2ban may take for one answer.
const ANSWERS: Duration = Duration::from_secs(5);
/// Where the service of a package listens.
const USUAL: [&str; 2] = ["/var/run/fail2ban/fail2ban.sock", "/run/fail2ban/fail2ban.sock"];
/// How long filters are tried, for all jails together.
const TRIALS: Duration = Duration::from_millis(1500);

/// Look whether this machine is protected.
#[derive(Debug, Serialize, Deserialize)]
pub struct Look {
    /// fail2ban's socket.
    pub socket: PathBuf,
    /// The directory with `jail.conf`.
    pub config_dir: PathBuf,
    /// Where logs may be read.
    pub allowed: Vec<PathBuf>,
    /// Jails that were told to rest.
    pub resting: Vec<String>,
    /// Of jails that hold many, some of the addresses: a long list would keep fail2ban busy.
    pub some_bans: BTreeMap<String, Vec<String>>,
}

/// Where fail2ban runs, as seen from here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Place {
    /// It sees other files.
    other_files: bool,
    /// It has another packet filter.
    other_network: bool,
}

impl Look {
    /// The `Report`.
    pub fn run(self) -> Result<Value, Failure> {
        Ok(json!(check(&self.facts())))
    }

    /// What was seen.
    fn facts(&self) -> Facts {
        let mut facts = Facts { now: time::now(), ..Facts::default() };
        match answering(&self.socket, ANSWERS).and_then(|mut daemon| self.collect(&mut daemon, &mut facts)) {
            Ok(()) => {}
            Err(error) => {
                facts = Facts { now: facts.now, daemon: self.away(&error), ..Facts::default() };
            }
        }
        facts
    }

    fn collect(&self, daemon: &mut Daemon, facts: &mut Facts) -> Result<(), Error> {
        let place = Place::of(daemon.client().daemon_pid());
        let version = daemon.version()?;
        let mut asked = asked::jails(daemon, &self.some_bans, &self.resting)?;
        let log_target = daemon.log_target()?;
        let configured = configured::read(&self.config_dir, version.as_str(), &asked);
        let until = Instant::now() + TRIALS;
        for jail in &mut asked {
            logs::look(jail, place.other_files);
            jail.trial = match configured.as_ref().and_then(|all| all.filters.get(&jail.name)) {
                Some(definition) => trial::run(jail, definition, &self.allowed, until),
                None => Err("What the files say of this jail is not known here.".to_owned()),
            };
        }
        facts.packet_filter = packet_filter::look(daemon, &mut asked, place.other_network);
        facts.own_log = own_log::look(&log_target, &self.allowed, facts.now, &zones::local());
        facts.remembered = asked::remembered(daemon)?;
        facts.ipv6_is_off = configured.as_ref().is_some_and(|all| all.ipv6_is_off);
        facts.enabled = configured.map(|all| all.enabled);
        if !place.other_network {
            facts.own_addresses =
                machine::own_addresses().into_iter().filter(|own| is_reached_by_others(*own)).collect();
        }
        // One of somebody's own has its own way of being started.
        if !place.other_files && USUAL.iter().any(|usual| self.socket == Path::new(usual)) {
            facts.boot_command = boot::missing(Path::new("/"));
        }
        facts.jails = asked;
        Ok(())
    }

    /// Why fail2ban does not answer.
    fn away(&self, error: &Error) -> State {
        match error {
            Error::Busy { .. } | Error::Unreachable { reason: Reason::Timeout, .. } => State::Busy,
            Error::Unreachable { reason: Reason::NotPermitted, .. } => State::NotPermitted(format!("{error}.")),
            _ => {
                let found = Why { config_dir: self.config_dir.clone(), log: None }.look();
                let problems = found.problems.iter().map(|problem| format!("{problem}."));
                State::Away(std::iter::once(format!("{error}.")).chain(problems).collect())
            }
        }
    }
}

/// Neither loopback nor of one cable only.
fn is_reached_by_others(own: IpAddr) -> bool {
    match own {
        IpAddr::V4(own) => !own.is_loopback() && !own.is_link_local(),
        IpAddr::V6(own) => !own.is_loopback() && !own.is_unicast_link_local(),
    }
}

impl Place {
    /// Of the process behind the socket; `None` for one that has no number here.
    fn of(pid: Option<i32>) -> Place {
        let Some(pid) = pid else { return Place { other_files: true, other_network: true } };
        let differs = |what: &str| {
            let of = |who: &str| std::fs::read_link(Path::new("/proc").join(who).join("ns").join(what));
            // What may not be looked at is taken for the same: this program runs beside it as a rule.
            matches!((of("self"), of(&pid.to_string())), (Ok(own), Ok(other)) if own != other)
        };
        Place { other_files: differs("mnt"), other_network: differs("net") }
    }
}
