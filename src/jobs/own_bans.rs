//! Bans that are made here, in a child: with the jail's time or their own, and made again where the daemon has lost or shortened them.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::bans::{CHANGES, LISTS, answering, checked, open_database};
use super::failure::Failure;
use super::read_held::{self, Listed};
use super::refusal::Refusal;
use crate::domain::address::IpOrNet;
use crate::domain::names::JailName;
use crate::domain::own_ban::NEVER;
use crate::domain::time;
use crate::fail2ban::commands::own_time::Timed;
use crate::fail2ban::database::Database;
use crate::fail2ban::{Daemon, Error};
use crate::held::row::{Lasts, Told};

/// Ends that differ by less are the same: the daemon rounds to seconds.
const SAME: i64 = 2;
/// How long after its start a daemon counts as new, in seconds, whoever has noticed.
const NEW: i64 = 120;
/// Bans that are made in one command before other clients of the daemon have their turn.
const BATCH: usize = 10;
/// How long a jail that starts is waited for.
const STARTS: Duration = Duration::from_secs(5);
/// How often it is looked for.
const ROUND: Duration = Duration::from_millis(50);

/// Ban an address in one or more jails.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ban {
    /// fail2ban's socket.
    pub socket: PathBuf,
    /// The jails, and whether each rests now and is to go on resting.
    pub jails: Vec<(String, bool)>,
    /// Canonical text of an address or a network.
    pub ip: String,
    /// Ban it although it is on the ignore list of a jail.
    pub force: bool,
    /// How many seconds, -1 for ever; `None` as long as the jail's bans last.
    pub seconds: Option<i64>,
}

/// What became of a ban in one jail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Made {
    /// The jail.
    pub jail: String,
    /// It was banned there before.
    pub was_banned: bool,
    /// The entry of the jail's ignore list that keeps it from being banned.
    pub ignored_by: Option<String>,
    /// Why it is not, where it is not.
    pub failure: Option<Failure>,
}

impl Ban {
    /// A `Made` for each jail. The whole fails only where the daemon does not answer.
    pub fn run(self) -> Result<Value, Failure> {
        let mut daemon = answering(&self.socket, CHANGES)?;
        let mut all = Vec::new();
        for (jail, is_paused) in &self.jails {
            let mut ignored_by = None;
            let made = checked(jail).and_then(|name| self.ban(&mut daemon, &name, *is_paused, &mut ignored_by));
            let (was_banned, failure) = match made {
                Ok(was_banned) => (was_banned, None),
                Err(failure @ Failure::Fail2ban(Error::Busy { .. } | Error::Unreachable { .. })) => {
                    return Err(failure);
                }
                Err(failure) => (false, Some(failure)),
            };
            all.push(Made { jail: jail.clone(), was_banned, ignored_by, failure });
        }
        Ok(json!(all))
    }

    /// Whether it was banned before.
    fn ban(
        &self,
        daemon: &mut Daemon,
        jail: &JailName,
        is_paused: bool,
        ignored_by: &mut Option<String>,
    ) -> Result<bool, Failure> {
        let target: IpOrNet =
            self.ip.parse().map_err(|_| Failure::Conflict(format!("{} is not an address.", self.ip)))?;
        // Also tells whether there is such a jail.
        let ignored = daemon.ignore_list(jail)?;
        if let Some(entry) = target.ignored_by(&ignored).filter(|_| !self.force) {
            *ignored_by = Some(entry.clone());
            let (jail, ip, entry) = (jail.to_string(), self.ip.clone(), entry.clone());
            return Err(Failure::Refused(Refusal::Ignored { jail, ip, entry }));
        }
        let Some(seconds) = self.seconds else { return Ok(daemon.ban(jail, &[target])? == 0) };
        let was_banned = daemon.is_banned(jail, &self.ip)?;
        // Lifted where it may last longer, for the daemon only ever lengthens.
        let is_lifted = was_banned && seconds >= 0;
        daemon.ban_for(jail, &[Timed { ip: self.ip.clone(), seconds, is_lifted }], is_paused)?;
        Ok(was_banned)
    }
}

/// See to it that bans last as long as was said.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeepEnds {
    /// fail2ban's socket.
    pub socket: PathBuf,
    /// fail2ban's database, where it was given; else the daemon is asked.
    pub database: Option<PathBuf>,
    /// The bans.
    pub bans: Vec<Kept>,
    /// Jails that rest and are to go on resting.
    pub paused: Vec<String>,
    /// The daemon, or a jail, was started: without a database nobody else tells that a ban was lost and not lifted.
    pub is_restart: bool,
}

/// A ban that is to last as long as was said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The jail.
    pub jail: String,
    /// What is banned.
    pub ip: String,
    /// When it was made, in Unix seconds.
    pub at: i64,
    /// When it is to end; `None` as the jail has it.
    pub until: Option<i64>,
    /// It is known that the daemon has lost it, and that nobody has lifted it.
    pub is_lost: bool,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Jail and address of bans that were lifted or are over: nothing is to be kept of them.
    pub gone: Vec<(String, String)>,
    /// Jail and address of bans that were made again, or lengthened to their end.
    pub again: Vec<(String, String)>,
    /// Jail and address of bans that the daemon had before it was started and has no more, not even a row: whether it has ever written
    /// one tells whether they were lifted or lost.
    pub missing: Vec<(String, String)>,
    /// Jails that do not run.
    pub absent: Vec<String>,
}

impl KeepEnds {
    /// A `Found`.
    pub fn run(self) -> Result<Value, Failure> {
        let mut daemon = answering(&self.socket, LISTS)?;
        let database = open_database(self.database.clone(), &mut daemon);
        let mut found = Found::default();
        for of_jail in self.bans.chunk_by(|a, b| a.jail == b.jail) {
            let Some(Kept { jail: name, .. }) = of_jail.first() else { continue };
            match self.keep(&mut daemon, &checked(name)?, of_jail, database.as_ref(), &mut found) {
                Err(Failure::Fail2ban(Error::UnknownJail(_))) => found.absent.push(name.clone()),
                other => other?,
            }
        }
        Ok(json!(found))
    }

    fn keep(
        &self,
        daemon: &mut Daemon,
        jail: &JailName,
        bans: &[Kept],
        database: Option<&Database>,
        found: &mut Found,
    ) -> Result<(), Failure> {
        if self.is_restart {
            wait_for(daemon, jail)?;
        }
        let listed = read_held::list(daemon, jail)?;
        if listed.iter().any(|ban| ban.present.is_none()) {
            // A daemon that tells no times has no bans with times of their own either.
            return Ok(());
        }
        let remembered = read_held::remembered(database, jail, &listed);
        let mut zone = read_held::Zone::default();
        zone.learn(&listed, &remembered);
        let mut end = |ban: &Listed| match zone.told(ban, remembered.get(&ban.ip).copied()) {
            Told { lasts: Lasts::Seconds(seconds), since: Some(since), .. } => (since + seconds, since),
            // What cannot be told is not touched.
            _ => (NEVER, 0),
        };
        let ends: HashMap<&str, (i64, i64)> = listed.iter().map(|ban| (ban.ip.as_str(), end(ban))).collect();
        let ips: Vec<&str> = bans.iter().map(|ban| ban.ip.as_str()).collect();
        let rows = database.and_then(|database| database.times_of(jail.as_str(), &ips).ok());
        let (now, mut again) = (time::now(), Vec::new());
        let ban_time = daemon.ban_time(jail)?;
        let started = self.socket.metadata().map_or(now, |socket| socket.mtime());
        for (at, ban) in bans.iter().enumerate() {
            let name = || (ban.jail.clone(), ban.ip.clone());
            // A lift takes the daemon's own row as well; a ban that the daemon has lost leaves it, where it was written by then.
            let has_row = rows.as_ref().is_some_and(|rows| rows[at].is_some());
            let is_lost = has_row || ban.is_lost || (self.is_restart && rows.is_none());
            // It may have been started a moment ago, and the loop does not know yet.
            let is_new = self.is_restart || now - started < NEW;
            let is_older = is_new && ban.at <= started + SAME;
            // Those of the jail's own time that have a row come back by themselves.
            let of_jail = || ban_time.filter(|_| !has_row).map(|time| if time < 0 { NEVER } else { ban.at + time });
            let until = ban.until.or_else(of_jail).filter(|until| *until > now);
            match (ends.get(ban.ip.as_str()), until) {
                (None, Some(_)) if !is_lost && is_older => found.missing.push(name()),
                (None, Some(until)) if is_lost => again.push((timed(ban, until, now), name())),
                (Some((end, since)), Some(until)) if ban.until.is_some() && end.saturating_add(SAME) < until => {
                    // One that was made under a later clock keeps its beginning where it is only lengthened, and would last for decades.
                    again.push((Timed { is_lifted: *since > now + SAME, ..timed(ban, until, now) }, name()))
                }
                (None, None) if ban.until.is_none() && is_lost => {}
                (None, _) => found.gone.push(name()),
                (Some(_), _) => {}
            }
        }
        let is_paused = self.paused.iter().any(|paused| paused == jail.as_str());
        for some in again.chunks(BATCH) {
            let timed: Vec<Timed> = some.iter().map(|(timed, _)| timed.clone()).collect();
            daemon.ban_for(jail, &timed, is_paused)?;
            found.again.extend(some.iter().map(|(_, name)| name.clone()));
        }
        Ok(())
    }
}

fn timed(ban: &Kept, until: i64, now: i64) -> Timed {
    Timed { ip: ban.ip.clone(), seconds: if until == NEVER { -1 } else { until - now }, is_lifted: false }
}

/// Waits until a jail that is being started is there.
fn wait_for(daemon: &mut Daemon, jail: &JailName) -> Result<(), Error> {
    let begun = Instant::now();
    loop {
        match daemon.counters(jail) {
            Err(Error::UnknownJail(_)) if begun.elapsed() < STARTS => std::thread::sleep(ROUND),
            other => return other.map(drop),
        }
    }
}
