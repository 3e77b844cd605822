//! Reads what jails have banned, in a child, and hands it to the loop as it comes: the daemon's list with its times, when each ban was made
//! by its database, and where the addresses are.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bans::{LISTS, answering, checked, open_database};
use super::failure::Failure;
use super::frames::FrameWriter;
use crate::domain::names::JailName;
use crate::domain::time;
use crate::fail2ban::commands::bans::LearnedZone;
use crate::fail2ban::database::{BanTimes, Database};
use crate::fail2ban::{Daemon, Error};
use crate::geo::{Geo, GeoSource};
use crate::held::row::{Lasts, Told};
use crate::held::table::{self, Signs};
use crate::zones;

/// Read what these jails have banned.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReadHeld {
    /// fail2ban's socket.
    pub socket: PathBuf,
    /// fail2ban's database, where it was given; else the daemon is asked.
    pub database: Option<PathBuf>,
    /// The jails.
    pub jails: Vec<String>,
    /// Files that know countries.
    pub geo: GeoSource,
}

/// A ban as the daemon lists it.
pub(super) struct Listed {
    pub ip: String,
    /// In the daemon's own time zone, and how long it lasts; `None` before 0.11.
    pub present: Option<(i64, i64)>,
}

impl ReadHeld {
    /// Sends each jail that still runs.
    pub fn run(self, out: &mut FrameWriter<'_>) -> Result<Value, Failure> {
        let mut daemon = answering(&self.socket, LISTS)?;
        let database = open_database(self.database, &mut daemon);
        let geo = Geo::open(&self.geo);
        let mut zone = Zone::default();
        for name in &self.jails {
            let jail = checked(name)?;
            match read(&mut daemon, &jail, database.as_ref(), &mut zone, &geo, out) {
                // It stopped meanwhile.
                Err(Failure::Fail2ban(Error::UnknownJail(_))) => {}
                other => other?,
            }
        }
        Ok(Value::Null)
    }
}

fn read(
    daemon: &mut Daemon,
    jail: &JailName,
    database: Option<&Database>,
    zone: &mut Zone,
    geo: &Geo,
    out: &mut FrameWriter<'_>,
) -> Result<(), Failure> {
    let as_of = time::now();
    let counters = daemon.counters(jail)?.counters;
    let signs =
        Signs { current: counters.currently_banned, total: counters.total_banned, ban_time: daemon.ban_time(jail)? };
    let listed = list(daemon, jail)?;
    let remembered = remembered(database, jail, &listed);
    let mut bytes = Vec::with_capacity(64);
    table::begin(jail.as_str(), listed.len() as u32, &mut bytes);
    send(out, &mut bytes)?;
    // What the database has seen made tells the zone of the rest: those come first.
    zone.learn(&listed, &remembered);
    for ban in &listed {
        let times = remembered.get(&ban.ip).copied();
        let country = geo.look_up_text(&ban.ip).country;
        table::ban(&Told { country, ..zone.told(ban, times) }, &mut bytes);
        send(out, &mut bytes)?;
    }
    table::end(signs, as_of, &mut bytes);
    send(out, &mut bytes)
}

/// What a jail has banned, in the order in which it ends.
pub(super) fn list(daemon: &mut Daemon, jail: &JailName) -> Result<Vec<Listed>, Error> {
    let mut listed = Vec::new();
    let timed = daemon.each_banned_with_time(jail, &mut |line| {
        let present = line.local_start().map(|start| (start, line.seconds));
        listed.push(Listed { ip: line.ip.to_owned(), present });
    })?;
    if timed.is_none() {
        daemon.each_banned(jail, &mut |ip| listed.push(Listed { ip: ip.to_owned(), present: None }))?;
    }
    Ok(listed)
}

fn send(out: &mut FrameWriter<'_>, bytes: &mut Vec<u8>) -> Result<(), Failure> {
    // Nobody listens any more.
    out.write_all(bytes).map_err(|_| Failure::Crashed)?;
    bytes.clear();
    Ok(())
}

/// What the database remembers of these; nothing where it cannot be read.
pub(super) fn remembered(database: Option<&Database>, jail: &JailName, listed: &[Listed]) -> HashMap<String, BanTimes> {
    let mut times = HashMap::new();
    let Some(database) = database else { return times };
    if listed.len() <= FEW {
        let ips: Vec<&str> = listed.iter().map(|ban| ban.ip.as_str()).collect();
        if let Ok(found) = database.times_of(jail.as_str(), &ips) {
            let known = listed.iter().zip(found).filter_map(|(ban, times)| Some((ban.ip.clone(), times?)));
            times.extend(known);
        }
        return times;
    }
    let read = database.each_current(Some(jail.as_str()), &mut |ban| {
        times.insert(ban.ip, ban.times);
    });
    if read.is_err() {
        times.clear();
    }
    times
}

/// So many are looked up one by one in the database; of more, the whole table is read.
const FEW: usize = 500;

/// The time zone in which the daemon lists bans: learned from its database, else that of this machine.
#[derive(Default)]
pub(super) struct Zone {
    learned: LearnedZone,
    machine: Option<TimeZone>,
}

impl Zone {
    pub fn learn(&mut self, listed: &[Listed], remembered: &HashMap<String, BanTimes>) {
        for ban in listed.iter().rev() {
            if let (Some((local, _)), Some(times)) = (ban.present, remembered.get(&ban.ip)) {
                self.learned.start(local, Some(times.banned_at));
            }
        }
    }

    pub fn told<'a>(&mut self, ban: &'a Listed, remembered: Option<BanTimes>) -> Told<'a> {
        let count = remembered.map_or(1, |times| times.count);
        let Some((local, seconds)) = ban.present else {
            let lasts = match remembered.and_then(|times| times.ban_time) {
                Some(seconds) if seconds < 0.0 => Lasts::Forever,
                Some(seconds) => Lasts::Seconds(seconds as i64),
                None => Lasts::Unknown,
            };
            return Told { ip: &ban.ip, since: remembered.map(|times| times.banned_at), lasts, count, country: None };
        };
        let since =
            self.learned.start(local, remembered.map(|times| times.banned_at)).or_else(|| self.of_machine(local));
        let lasts = if seconds < 0 { Lasts::Forever } else { Lasts::Seconds(seconds) };
        Told { ip: &ban.ip, since, lasts, count, country: None }
    }

    /// The moment at which the clocks of this machine show it; `None` where that is still to come, for then the daemon has another zone.
    fn of_machine(&mut self, local: i64) -> Option<i64> {
        let zone = self.machine.get_or_insert_with(zones::local);
        let shown: DateTime = jiff::Timestamp::from_second(local).ok()?.to_zoned(TimeZone::UTC).datetime();
        let moment = zone.to_ambiguous_zoned(shown).compatible().ok()?.timestamp().as_second();
        (moment <= time::now() + 1).then_some(moment)
    }
}
