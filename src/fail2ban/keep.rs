//! Restarts a jail and keeps its bans, each to its old end.
//!
//! The daemon's own restore cannot do it: it shortens each ban to the jail's present ban time, forgets those that are older, skips ignored
//! addresses, and gives nothing back without a database. So the bans are read before, and what is missing or ends too early is banned again.
//! A ban that its jail's database remembers as longer than it was is left so: to shorten it would mean to lift it first.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::commands::Daemon;
use super::commands::bans::zone_of;
use super::database::Database;
use super::error::Error;
use super::stream::Stream;
use super::value::Value;
use crate::domain::names::JailName;

/// How long nothing may come back before the rest is taken for missing; more where single bans take long.
const STALLED: Duration = Duration::from_secs(1);
/// How long the daemon's own restore is waited for: 7 000 bans with nftables.
const RESTORED: Duration = Duration::from_secs(120);
/// How often it is looked at.
const ROUND: Duration = Duration::from_millis(20);
/// How long a page of the daemon's database may wait for the daemon's own writing.
const DATABASE: Duration = Duration::from_millis(500);
/// How many bans are made in one command, so that other clients of the daemon have their turn.
const BATCH: usize = 10;
/// Ends that differ by less are the same: the daemon rounds to seconds.
const SAME: i64 = 2;

/// A jail that was restarted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restarted {
    /// The jail.
    pub jail: String,
    /// The bans it had.
    pub bans: usize,
    /// Those of them that it has no longer, though they have not ended.
    pub missing: usize,
    /// Milliseconds from the first rule that went to the last that was back.
    pub away_ms: u64,
}

impl std::fmt::Display for Restarted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.away_ms as f64 / 1000.0;
        write!(f, "Jail {} was restarted; its {} bans were out of force for {seconds:.1} s", self.jail, self.bans)?;
        match self.missing {
            0 => Ok(()),
            missing => write!(f, ", and {missing} of them are not back"),
        }
    }
}

/// One ban; times are seconds in the daemon's own time zone.
#[derive(Debug, Clone, PartialEq)]
struct Ban {
    ip: String,
    start: i64,
    /// `None` for a daemon that tells no times, -1 for ever.
    seconds: Option<i64>,
}

impl Ban {
    /// `i64::MAX` for never.
    fn end(&self) -> i64 {
        match self.seconds {
            None | Some(-1) => i64::MAX,
            Some(seconds) => self.start.saturating_add(seconds),
        }
    }
}

/// The bans of a jail at one moment.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    bans: Vec<Ban>,
}

impl Kept {
    /// Reads them: 1.3 s for 100 000 on a fast machine.
    pub fn read(daemon: &mut Daemon, jail: &JailName) -> Result<Kept, Error> {
        let mut bans = Vec::new();
        let timed = daemon.each_banned_with_time(jail, &mut |line| {
            let start = line.local_start().unwrap_or(0);
            bans.push(Ban { ip: line.ip.to_owned(), start, seconds: Some(line.seconds) });
        })?;
        if timed.is_none() {
            daemon.each_banned(jail, &mut |ip| bans.push(Ban { ip: ip.to_owned(), start: 0, seconds: None }))?;
        }
        Ok(Kept { bans })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bans.is_empty()
    }

    /// The longest of them in seconds, -1 for ever; `None` where there is none, or where the daemon tells no times.
    fn longest(&self) -> Option<i64> {
        let lengths = self.bans.iter().filter_map(|ban| ban.seconds);
        lengths.max_by_key(|seconds| if *seconds < 0 { i64::MAX } else { *seconds })
    }

    /// Starts the jail that had them from its commands, and sees to it that it has them again. It must not run.
    /// One whose start fails is removed, since it would break the next reload.
    pub fn start(
        &self,
        daemon: &mut Daemon,
        jail: &JailName,
        own: &Stream,
        began: Instant,
    ) -> Result<Restarted, Error> {
        let commands = self.longest().map(|longest| own.restoring(longest));
        if let Err(error) = daemon.run_stream(commands.as_ref().unwrap_or(own)) {
            // What cannot be removed is found by the comparison of the jails.
            let _ = daemon.stop_jail(jail);
            return Err(error);
        }
        let missing = self.bring_back(daemon, jail, own)?;
        let away_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Restarted { jail: jail.as_str().to_owned(), bans: self.bans.len(), missing, away_ms })
    }

    /// Waits for what the daemon restores by itself and bans the rest again. Returns how many are missing in the end.
    pub fn bring_back(&self, daemon: &mut Daemon, jail: &JailName, own: &Stream) -> Result<usize, Error> {
        if self.is_empty() {
            return Ok(0);
        }
        if daemon.database_path()?.is_some() {
            wait_for_restore(daemon, jail, self.bans.len() as u64)?;
        }
        let present = Kept::read(daemon, jail)?;
        let mut zone = Zone::of(daemon, jail, self)?;
        let mut left = self.not_in(&present, zone.now());
        if let (false, Some(at)) = (zone.is_sure, left.iter().position(|ban| !present.has(ban))) {
            // Its start tells what time it is for the daemon.
            let first = left.swap_remove(at);
            again(daemon, jail, own, &[first], zone.now())?;
            let present = Kept::read(daemon, jail)?;
            zone.learn(&present, first);
            left = self.not_in(&present, zone.now());
        }
        for some in left.chunks(BATCH) {
            again(daemon, jail, own, some, zone.now())?;
        }
        if left.is_empty() {
            return Ok(0);
        }
        let present = Kept::read(daemon, jail)?;
        Ok(self.not_in(&present, zone.now()).into_iter().filter(|ban| !present.has(ban)).count())
    }

    fn has(&self, ban: &Ban) -> bool {
        self.bans.iter().any(|own| own.ip == ban.ip)
    }

    /// Those that are missing in `present` or end too early there, but for those that end anyway.
    fn not_in(&self, present: &Kept, now: i64) -> Vec<&Ban> {
        let ends: HashMap<&str, i64> = present.bans.iter().map(|ban| (ban.ip.as_str(), ban.end())).collect();
        let is_there = |ban: &Ban| ends.get(ban.ip.as_str()).is_some_and(|end| end.saturating_add(SAME) > ban.end());
        self.bans.iter().filter(|ban| ban.end() > now + SAME && !is_there(ban)).collect()
    }
}

/// Stops a jail while the daemon still has its old commands, and starts it from these. Its bans stay.
pub fn restart(daemon: &mut Daemon, jail: &JailName, own: &Stream) -> Result<Restarted, Error> {
    let kept = Kept::read(daemon, jail)?;
    let began = Instant::now();
    daemon.stop_jail(jail)?;
    kept.start(daemon, jail, own, began)
}

/// Starts a jail that did not run, and waits for the bans that the daemon remembers of it: whoever bans in it next must see them.
/// One whose start fails is removed.
pub fn start_anew(daemon: &mut Daemon, jail: &JailName, own: &Stream) -> Result<(), Error> {
    Kept::default().start(daemon, jail, own, Instant::now())?;
    let database = daemon.database_path()?.and_then(|path| Database::open(&path, DATABASE).ok());
    let mut remembered = 0;
    // Without its rows it is not known what to wait for.
    let _ = database.map(|database| database.each_current(Some(jail.as_str()), &mut |_| remembered += 1));
    wait_for_restore(daemon, jail, remembered)
}

/// Waits until the jail has so many bans, or nothing more comes.
fn wait_for_restore(daemon: &mut Daemon, jail: &JailName, wanted: u64) -> Result<(), Error> {
    let (start, mut count, mut since, mut longest) = (Instant::now(), 0, Instant::now(), STALLED / 3);
    while start.elapsed() < RESTORED {
        let now = daemon.counters(jail)?.counters.currently_banned;
        if now >= wanted {
            return Ok(());
        }
        if now > count {
            longest = longest.max(since.elapsed());
            (count, since) = (now, Instant::now());
        } else if since.elapsed() > longest * 3 {
            return Ok(());
        }
        std::thread::sleep(ROUND);
    }
    Ok(())
}

/// Bans each again, to its old end.
///
/// The ban time of the jail is set for a moment: the first command bans, the second one gives the ban a time of its own. For ever is more
/// than any time, so that it needs a third. The jail rests meanwhile, or other bans would be measured by that time.
fn again(daemon: &mut Daemon, jail: &JailName, own: &Stream, bans: &[&Ban], now: i64) -> Result<(), Error> {
    let command = |words: &[&str]| Value::List(words.iter().map(|word| Value::from(*word)).collect());
    let set = |word: &str, value: &str| command(&["set", jail.as_str(), word, value]);
    let own = |name: &str| {
        let values = own.values_of(name).into_iter().cloned();
        let words = ["set", jail.as_str(), name].map(Value::from);
        values.map(move |value| Value::List(words.iter().cloned().chain([value]).collect())).collect::<Vec<_>>()
    };
    let (times, growth) = (own("bantime"), own("bantime.increment"));
    let mut commands = Vec::new();
    let has_times = !times.is_empty() && bans.iter().all(|ban| ban.seconds.is_some());
    if has_times {
        commands.push(set("idle", "on"));
        if !growth.is_empty() {
            commands.push(set("bantime.increment", "false"));
        }
    }
    for ban in bans {
        let forever = ban.end() == i64::MAX;
        let seconds = if forever { 3600 } else { (ban.end() - now).max(1) };
        if !has_times {
            commands.push(set("banip", &ban.ip));
            continue;
        }
        commands.extend([set("bantime", &seconds.to_string()), set("banip", &ban.ip), set("banip", &ban.ip)]);
        if forever {
            commands.extend([set("bantime", "-1"), set("banip", &ban.ip)]);
        }
    }
    if has_times {
        commands.extend(times.into_iter().chain(growth));
        commands.push(set("idle", "off"));
    }
    daemon.run_stream(&Stream::of_commands(commands))
}

/// What time it is for the daemon, which lists bans in a time zone of its own and does not tell which.
struct Zone {
    offset: i64,
    /// Whether it was learnt from the daemon; else it is this process's own.
    is_sure: bool,
}

impl Zone {
    fn of(daemon: &mut Daemon, jail: &JailName, kept: &Kept) -> Result<Zone, Error> {
        let own = TimeZone::system().to_offset(Timestamp::now()).seconds();
        let mut zone = Zone { offset: i64::from(own), is_sure: false };
        // Its database has the same times in UTC.
        let database = daemon.database_path()?.and_then(|path| Database::open(&path, DATABASE).ok());
        let some: Vec<&Ban> = kept.bans.iter().take(20).collect();
        let ips: Vec<&str> = some.iter().map(|ban| ban.ip.as_str()).collect();
        let times = database.and_then(|database| database.times_of(jail.as_str(), &ips).ok()).unwrap_or_default();
        let known = some.iter().zip(&times).find_map(|(ban, times)| Some((ban.start, times.as_ref()?.banned_at)));
        if let Some((local, utc)) = known {
            zone.set(local, utc);
        }
        Ok(zone)
    }

    fn set(&mut self, local: i64, utc: i64) {
        self.offset = zone_of(local, utc);
        self.is_sure = true;
    }

    /// A ban that was just made tells it.
    fn learn(&mut self, present: &Kept, made: &Ban) {
        if let Some(ban) = present.bans.iter().find(|ban| ban.ip == made.ip && ban.seconds.is_some()) {
            self.set(ban.start, Timestamp::now().as_second());
        }
    }

    fn now(&self) -> i64 {
        Timestamp::now().as_second() + self.offset
    }
}
