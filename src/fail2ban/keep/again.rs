//! Bans that a restarted jail has lost, made once more, each to its old end.
//!
//! The daemon's own restore may still be under way, and its actions may be slow. A ban that the restore brings later than we made it would
//! be measured from our moment, with its whole length, if it ended later than ours; so ours ends no earlier than the one that the database
//! remembers.
//!
//! A ban cannot be given an end, only a length, which counts from the moment the daemon makes it: that may be long after we have asked for
//! it, where the machine is busy, actions are slow or others have their turn before. So the daemon is told the end, and reckons itself what
//! is left until then: it evaluates a ban time as an expression. One that does not is told seconds.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::bans::{Ban, Kept, Left, SAME};
use crate::domain::names::JailName;
use crate::fail2ban::commands::Daemon;
use crate::fail2ban::commands::bans::zone_of;
use crate::fail2ban::database::{BanTimes, Database};
use crate::fail2ban::error::Error;
use crate::fail2ban::stream::Stream;
use crate::fail2ban::value::Value;

/// How many bans are made before the jail may work again, so that other clients of the daemon have their turn too.
const BATCH: usize = 10;
/// A ban that takes less is made together with others; else they would keep other clients waiting.
const QUICK: Duration = Duration::from_millis(50);

/// What is added to an end, in seconds: the daemon cuts off what is left of a ban to whole seconds, and again where it lists bans, so that
/// they would end earlier each time. A whole one is right at every moment of a second; what is left is only a second too much where the next
/// one begins between reckoning it and banning.
const CUT_OFF: f64 = 1.0;

/// A ban that is made again, and when it is to end, in seconds of the daemon's zone; `None` for never.
type Planned<'b> = (Left<'b>, Option<f64>);

/// A jail in which bans are made again.
pub(super) struct Again<'a> {
    pub daemon: &'a mut Daemon,
    pub jail: &'a JailName,
    /// The jail's commands.
    pub own: &'a Stream,
    /// The daemon's, where it keeps one.
    pub database: Option<&'a Database>,
    /// Whether it evaluates ban times, as far as is known.
    evaluates: bool,
}

impl<'a> Again<'a> {
    pub fn new(
        daemon: &'a mut Daemon,
        jail: &'a JailName,
        own: &'a Stream,
        database: Option<&'a Database>,
    ) -> Again<'a> {
        Again { daemon, jail, own, database, evaluates: true }
    }

    /// Bans each again. The jail rests meanwhile, or other bans would be measured by the ban time that is set for a moment.
    pub fn ban(&mut self, bans: &[Left<'_>], zone: &Zone) -> Result<(), Error> {
        for some in bans.chunks(BATCH) {
            self.ban_some(some, zone)?;
        }
        Ok(())
    }

    fn ban_some(&mut self, bans: &[Left<'_>], zone: &Zone) -> Result<(), Error> {
        let (times, growth) = (self.own_commands("bantime"), self.own_commands("bantime.increment"));
        if times.is_empty() || bans.iter().any(|one| one.ban.seconds.is_none()) {
            return self.run(bans.iter().map(|one| self.set("banip", &one.ban.ip)).collect());
        }
        let mut begin = vec![self.set("idle", "on")];
        if !growth.is_empty() {
            begin.push(self.set("bantime.increment", "false"));
        }
        let plan = self.plan(bans, zone);
        let made = self.run(begin).and_then(|()| self.make(&plan, zone));
        // Whatever went wrong, the jail gets its own times back and works on.
        let end = times.into_iter().chain(growth).chain([self.set("idle", "off")]).collect();
        made.and(self.run(end))
    }

    /// Where the first one was quick, the others go in one command.
    fn make(&mut self, bans: &[Planned<'_>], zone: &Zone) -> Result<(), Error> {
        let mut rest = bans;
        while let Some((one, others)) = rest.split_first() {
            let began = Instant::now();
            self.make_one(one, zone)?;
            rest = others;
            if self.evaluates && began.elapsed() < QUICK && !rest.is_empty() {
                let commands = rest.iter().flat_map(|one| [self.first(one, zone), self.second(one, zone)]).flatten();
                return self.run(commands.collect());
            }
        }
        Ok(())
    }

    fn make_one(&mut self, one: &Planned<'_>, zone: &Zone) -> Result<(), Error> {
        if self.evaluates {
            let commands = [self.first(one, zone), self.second(one, zone)].concat();
            match self.run(commands) {
                // It is the ban time that it does not take; nothing was banned yet.
                Err(Error::Refused { .. }) => self.evaluates = false,
                result => return result,
            }
        }
        // What the actions take of the time is taken off again.
        self.run(self.first(one, zone))?;
        self.run(self.second(one, zone))
    }

    /// It bans, and runs the actions.
    fn first(&self, (one, end): &Planned<'_>, zone: &Zone) -> Vec<Value> {
        let lifted = one.is_lifted.then(|| self.set("unbanip", &one.ban.ip));
        let made = [self.set("bantime", &self.rest(*end, zone)), self.set("banip", &one.ban.ip)];
        lifted.into_iter().chain(made).collect()
    }

    /// It gives the ban a time of its own. For ever is more than any time, so that it needs another one.
    fn second(&self, (one, end): &Planned<'_>, zone: &Zone) -> Vec<Value> {
        let mut commands = self.first(&(Left { is_lifted: false, ..*one }, *end), zone);
        if end.is_none() {
            commands.extend([self.set("bantime", "-1"), self.set("banip", &one.ban.ip)]);
        }
        commands
    }

    /// What is left of a ban: for the daemon to reckon, or in whole seconds, rounded up.
    fn rest(&self, end: Option<f64>, zone: &Zone) -> String {
        match end {
            None => "3600".to_owned(),
            Some(end) if self.evaluates => format!("max(1,int({:.3}-time.time()))", end - zone.offset as f64),
            Some(end) => ((end - CUT_OFF).ceil() as i64 - zone.now()).max(1).to_string(),
        }
    }

    /// When each is to end: as it did. What the database remembers is never before that, or it would move it; and where that is much later,
    /// it has to go, which a lift does.
    fn plan<'b>(&self, bans: &[Left<'b>], zone: &Zone) -> Vec<Planned<'b>> {
        let ips: Vec<&Ban> = bans.iter().map(|one| one.ban).collect();
        let remembered = times_of(self.database, self.jail, &ips);
        let planned = bans.iter().enumerate().map(|(at, one)| {
            let own = one.ban.end();
            if own == i64::MAX {
                return (*one, None);
            }
            let own = own as f64 + CUT_OFF;
            let theirs = match &remembered {
                Some(all) => all.get(at).copied().flatten().map_or(0.0, |times| zone.end_of(&times)),
                // It may be a bit later, and as much later does no harm.
                None => own + SAME as f64,
            };
            let is_far = theirs > own + SAME as f64;
            let is_lifted = one.is_lifted || is_far;
            (Left { is_lifted, ..*one }, Some(if is_far { own } else { own.max(theirs) }))
        });
        planned.collect()
    }

    fn set(&self, word: &str, value: &str) -> Value {
        Value::List(["set", self.jail.as_str(), word, value].map(Value::from).to_vec())
    }

    fn own_commands(&self, name: &str) -> Vec<Value> {
        let words = ["set", self.jail.as_str(), name].map(Value::from);
        let values = self.own.values_of(name).into_iter().cloned();
        values.map(|value| Value::List(words.iter().cloned().chain([value]).collect())).collect()
    }

    fn run(&mut self, commands: Vec<Value>) -> Result<(), Error> {
        self.daemon.run_stream(&Stream::of_commands(commands))
    }
}

/// What the database remembers of each: nothing without one. `None` where it cannot be read.
fn times_of(database: Option<&Database>, jail: &JailName, bans: &[&Ban]) -> Option<Vec<Option<BanTimes>>> {
    let ips: Vec<&str> = bans.iter().map(|ban| ban.ip.as_str()).collect();
    database.map_or_else(|| Some(vec![None; bans.len()]), |database| database.times_of(jail.as_str(), &ips).ok())
}

/// What time it is for the daemon, which lists bans in a time zone of its own and does not tell which.
pub(super) struct Zone {
    offset: i64,
    /// Whether it was learnt from the daemon; else it is this process's own.
    pub is_sure: bool,
}

impl Zone {
    pub fn of(jail: &JailName, kept: &Kept, database: Option<&Database>) -> Zone {
        let own = TimeZone::system().to_offset(Timestamp::now()).seconds();
        let mut zone = Zone { offset: i64::from(own), is_sure: false };
        // Its database has the same times in UTC; or those of an earlier ban of the same address, which tell nothing.
        let some: Vec<&Ban> = kept.bans.iter().take(20).collect();
        let is_same = |local: i64, utc: i64| (local - zone_of(local, utc) - utc).abs() <= 1;
        let known = some.iter().zip(times_of(database, jail, &some).unwrap_or_default()).find_map(|(ban, times)| {
            let utc = times?.banned_at;
            is_same(ban.start, utc).then_some((ban.start, utc))
        });
        if let Some((local, utc)) = known {
            zone.set(local, utc);
        }
        zone
    }

    fn set(&mut self, local: i64, utc: i64) {
        self.offset = zone_of(local, utc);
        self.is_sure = true;
    }

    /// A ban that was just made tells it.
    pub fn learn(&mut self, present: &Kept, made: &Ban) {
        if let Some(ban) = present.bans.iter().find(|ban| ban.ip == made.ip && ban.seconds.is_some()) {
            self.set(ban.start, Timestamp::now().as_second());
        }
    }

    /// Seconds in the daemon's zone.
    pub fn now(&self) -> i64 {
        Timestamp::now().as_second() + self.offset
    }

    fn end_of(&self, times: &BanTimes) -> f64 {
        match times.ban_time {
            Some(seconds) if seconds < 0.0 => f64::INFINITY,
            Some(seconds) => times.banned_at.saturating_add(self.offset) as f64 + seconds,
            None => 0.0,
        }
    }
}
