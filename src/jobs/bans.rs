//! Bans, in a child: the actions behind a ban may take seconds, and a list may be long.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::failure::Failure;
use super::frames::FrameWriter;
use super::held_set::SetPlace;
use crate::blocklist::held::HeldFile;
use crate::domain::address::IpOrNet;
use crate::domain::history::{BLOCKLIST_JAIL, Country};
use crate::domain::names::JailName;
use crate::domain::page::Page;
use crate::domain::time::{self, rfc3339};
use crate::fail2ban::commands::bans::LearnedZone;
use crate::fail2ban::database::{BanTimes, Database};
use crate::fail2ban::{Client, Daemon, Error};
use crate::geo::{Geo, GeoSource};

/// How long a daemon that is free may take to say so.
const ANSWERS: Duration = Duration::from_secs(2);
/// How long a ban or its removal may take: each runs the commands of an action.
const CHANGES: Duration = Duration::from_secs(60);
/// How long a list may take: 100 000 bans are 1.3 s on a fast machine.
const LISTS: Duration = Duration::from_secs(30);
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

/// Ban an address.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ban {
    /// fail2ban's socket.
    pub socket: PathBuf,
    /// The jail.
    pub jail: String,
    /// Canonical text of an address or a network.
    pub ip: String,
    /// Ban it although it is on the jail's ignore list.
    pub force: bool,
}

impl Ban {
    /// The number of new bans: 0 when it was banned already.
    pub fn run(self) -> Result<Value, Failure> {
        let mut daemon = answering(&self.socket, CHANGES)?;
        let jail = checked(&self.jail)?;
        let target: IpOrNet =
            self.ip.parse().map_err(|_| Failure::Conflict(format!("{} is not an address.", self.ip)))?;
        // Also tells whether there is such a jail.
        let ignored = daemon.ignore_list(&jail)?;
        let covers = |entry: &&String| entry.parse::<IpOrNet>().is_ok_and(|entry| entry.overlaps(&target));
        if let Some(entry) = ignored.iter().find(covers).filter(|_| !self.force) {
            let text = format!(
                "{} is on the ignore list of {} ({entry}); use force to ban it all the same.",
                self.ip, self.jail
            );
            return Err(Failure::Conflict(text));
        }
        let count = daemon.ban(&jail, &[target])?;
        Ok(json!(count))
    }
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

/// Stream the bans in force as `ActiveBanListResponse`.
#[derive(Debug, Serialize, Deserialize)]
pub struct List {
    /// fail2ban's socket.
    pub socket: PathBuf,
    /// fail2ban's database, where it was given; else the daemon is asked.
    pub database: Option<PathBuf>,
    /// One jail only.
    pub jail: Option<String>,
    /// What the set of imported addresses holds, where there is one.
    pub set: Option<PathBuf>,
    /// Files that know countries.
    pub geo: GeoSource,
}

/// `ActiveBan` of the contract.
#[derive(Debug, Serialize)]
struct ActiveBan<'a> {
    ip: &'a str,
    jail: &'a str,
    banned_at: Option<String>,
    expires_at: Option<String>,
    ban_count: i64,
    country: Option<Country>,
}

/// The items of a list on their way out.
struct Items<'a, 'w> {
    out: &'a mut FrameWriter<'w>,
    geo: Geo,
    count: u64,
    /// Why nothing more can be written.
    broken: Option<String>,
}

impl Items<'_, '_> {
    fn write(&mut self, bytes: &[u8]) {
        if let Err(error) = self.out.write_all(bytes) {
            self.broken = Some(error.to_string());
        }
    }

    fn add(&mut self, ip: &str, jail: &JailName, times: Option<&BanTimes>) {
        if self.count > 0 {
            self.write(b",");
        }
        self.count += 1;
        let ban = ActiveBan::new(ip, jail, times, &self.geo);
        if let Err(error) = serde_json::to_writer(&mut *self.out, &ban) {
            self.broken = Some(error.to_string());
        }
    }

    /// Adds what the set holds.
    fn add_held(&mut self, held: &HeldFile, jail: &JailName) {
        let now = time::now();
        let read = held.each(0, &mut |_, entry| {
            if i64::from(entry.until) > now {
                let ban_time = Some(f64::from(entry.until) - f64::from(entry.since));
                let times = BanTimes { banned_at: i64::from(entry.since), ban_time, count: 1 };
                self.add(&entry.net.to_string(), jail, Some(&times));
            }
            self.broken.is_none()
        });
        if let Err(error) = read {
            self.broken = Some(error.to_string());
        }
    }
}

impl List {
    /// Writes the answer.
    pub fn run(self, out: &mut FrameWriter<'_>) -> Result<Value, Failure> {
        let mut daemon = answering(&self.socket, LISTS)?;
        let only = self.jail.as_deref().map(checked).transpose()?;
        let is_asked_for = self.jail.as_deref().is_none_or(|jail| jail == BLOCKLIST_JAIL);
        let held = self.set.filter(|_| is_asked_for).and_then(|file| HeldFile::open(&file).ok().flatten());
        let jails = match &only {
            // There need not be such a jail where a set stands for it.
            Some(jail) if held.is_none() => {
                daemon.counters(jail)?;
                vec![jail.clone()]
            }
            _ => {
                daemon.jail_names()?.into_iter().filter(|name| only.as_ref().is_none_or(|only| only == name)).collect()
            }
        };
        let mut times = Times::read(self.database, only.as_ref(), &mut daemon);
        let mut items = Items { out, geo: Geo::open(&self.geo), count: 0, broken: None };
        items.write(br#"{"items":["#);
        for jail in &jails {
            let visited = each_present(&mut daemon, jail, &mut |ip, present| {
                let times = times.of(jail, ip, present);
                items.add(ip, jail, times.as_ref());
            });
            match visited {
                // A jail that stopped meanwhile has no bans in force.
                Err(Error::UnknownJail(_)) if only.is_none() => {}
                other => other?,
            }
        }
        if let Some(held) = held {
            items.add_held(&held, &checked(BLOCKLIST_JAIL)?);
        }
        let end = format!(r#"],"total":{}}}"#, items.count);
        items.write(end.as_bytes());
        // Nobody listens any more: there is nobody to tell either.
        items.broken.map_or(Ok(Value::Null), |_| Err(Failure::Crashed))
    }
}

impl<'a> ActiveBan<'a> {
    fn new(ip: &'a str, jail: &'a JailName, times: Option<&BanTimes>, geo: &Geo) -> Self {
        Self {
            ip,
            jail: jail.as_str(),
            banned_at: times.map(|times| rfc3339(times.banned_at)),
            expires_at: times.and_then(BanTimes::ends_at).map(rfc3339),
            ban_count: times.map_or(1, |times| times.count.max(1)),
            country: geo.look_up_text(ip).country,
        }
    }
}

/// What the daemon itself says of a ban in force: its start in seconds of its own time zone, and its length in seconds, -1 for ever.
type Present = (i64, i64);

/// Hands over what a jail has banned, and what the daemon says of it; before 0.11 it says nothing.
fn each_present(
    daemon: &mut Daemon,
    jail: &JailName,
    visit: &mut dyn FnMut(&str, Option<Present>),
) -> Result<(), Error> {
    let timed = daemon.each_banned_with_time(jail, &mut |line| {
        visit(line.ip, line.local_start().map(|start| (start, line.seconds)));
    })?;
    if timed.is_none() {
        daemon.each_banned(jail, &mut |ip| visit(ip, None))?;
    }
    Ok(())
}

/// The times of a ban in force: how long it lasts the daemon says, since its database keeps the length of the day it was made. When that
/// was the database says, or at least in which time zone the daemon's own text is; where neither can be told, the times are unknown.
fn in_force(zone: &mut LearnedZone, present: Option<Present>, remembered: Option<BanTimes>) -> Option<BanTimes> {
    let Some((local, seconds)) = present else { return remembered };
    let banned_at = zone.start(local, remembered.map(|times| times.banned_at))?;
    let count = remembered.map_or(1, |times| times.count);
    Some(BanTimes { banned_at, ban_time: Some(seconds as f64), count })
}

/// When the bans in force were made.
struct Times {
    by_jail: HashMap<String, HashMap<String, BanTimes>>,
    zone: LearnedZone,
}

impl Times {
    fn read(given: Option<PathBuf>, jail: Option<&JailName>, daemon: &mut Daemon) -> Self {
        let mut by_jail: HashMap<String, HashMap<String, BanTimes>> = HashMap::new();
        if let Some(database) = open_database(given, daemon) {
            let read = database.each_current(jail.map(JailName::as_str), &mut |ban| {
                by_jail.entry(ban.jail).or_default().insert(ban.ip, ban.times);
            });
            if read.is_err() {
                by_jail.clear();
            }
        }
        Self { by_jail, zone: LearnedZone::default() }
    }

    fn of(&mut self, jail: &JailName, ip: &str, present: Option<Present>) -> Option<BanTimes> {
        let remembered = self.by_jail.get(jail.as_str()).and_then(|jail| jail.get(ip)).copied();
        in_force(&mut self.zone, present, remembered)
    }
}

/// fail2ban's database, where it has one that can be read.
fn open_database(given: Option<PathBuf>, daemon: &mut Daemon) -> Option<Database> {
    let path = given.or_else(|| daemon.database_path().ok().flatten())?;
    Database::open(&path, DATABASE).ok()
}

/// A page of one jail's bans as `JailBannedIpsResponse`.
#[derive(Debug, Serialize, Deserialize)]
pub struct PageOf {
    /// fail2ban's socket.
    pub socket: PathBuf,
    /// fail2ban's database, where it was given; else the daemon is asked.
    pub database: Option<PathBuf>,
    /// The jail.
    pub jail: String,
    /// Only addresses that contain this text.
    pub search: Option<String>,
    /// Number of the page, from 1.
    pub page: u32,
    /// Its rows at most.
    pub page_size: u32,
    /// Files that know countries.
    pub geo: GeoSource,
}

impl PageOf {
    /// The answer.
    pub fn run(self) -> Result<Value, Failure> {
        let mut daemon = answering(&self.socket, LISTS)?;
        let jail = checked(&self.jail)?;
        let page = Page::new(self.page, self.page_size)
            .ok_or_else(|| Failure::Conflict("The page is out of range.".to_owned()))?;
        let wanted = page.offset()..page.offset() + u64::from(page.size());
        let search = self.search.as_deref().map(str::to_ascii_lowercase).unwrap_or_default();
        let (mut found, mut on_page) = (0, Vec::new());
        each_present(&mut daemon, &jail, &mut |ip, present| {
            if !ip.to_ascii_lowercase().contains(&search) {
                return;
            }
            if wanted.contains(&found) {
                on_page.push((ip.to_owned(), present));
            }
            found += 1;
        })?;
        let texts: Vec<&str> = on_page.iter().map(|(ip, _)| ip.as_str()).collect();
        let times = open_database(self.database, &mut daemon)
            .and_then(|database| database.times_of(jail.as_str(), &texts).ok())
            .unwrap_or_else(|| vec![None; texts.len()]);
        let geo = Geo::open(&self.geo);
        let mut zone = LearnedZone::default();
        let shown = on_page.iter().zip(times).map(|((ip, present), remembered)| {
            let times = in_force(&mut zone, *present, remembered);
            ActiveBan::new(ip, &jail, times.as_ref(), &geo)
        });
        let items: Vec<_> = shown.collect();
        Ok(json!({ "items": items, "pagination": page.describe(found) }))
    }
}
