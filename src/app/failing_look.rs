//! Keeps what is known of those who fail in line with how the jails count, and has a child look at what is behind it. Nothing is asked while
//! nobody looks.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::error::ApiError;
use super::failing::Known;
use super::state::Ctx;
use crate::domain::json;
use crate::domain::names::JailName;
use crate::domain::time;
use crate::fail2ban::Error;
use crate::fail2ban::journal::Told;
use crate::files;
use crate::held::failing::Counting;
use crate::jobs::Task;
use crate::jobs::failing::{Found, LookAtFailing};
use crate::store;

/// How long what the journal told is taken for true: reading it starts a program.
const TRUSTED: Duration = Duration::from_secs(2);

impl Ctx {
    /// Where failures are known from now.
    pub fn failures_known(&mut self) -> Result<Known, Error> {
        self.failing.is_wanted = true;
        let level = self.daemon.log_level()?;
        if self.daemon_log.target.is_none() {
            self.daemon_log.target = Some(self.daemon.log_target()?);
        }
        if !["INFO", "DEBUG", "TRACEDEBUG", "HEAVYDEBUG"].contains(&level.as_str()) {
            return Ok(Known::Not(format!(
                "fail2ban's log level is {level}, and failures are written down at INFO and below: set log_level to INFO."
            )));
        }
        Ok(match (&self.daemon_log.target, &self.failing.why_not) {
            (Some(target), _) if target.starts_with('/') => match files::open(Path::new(target)) {
                Ok(_) => Known::Log,
                Err(error) => Known::Not(format!("fail2ban's log cannot be read: {target}: {error}.")),
            },
            (Some(_), Some(why_not)) if self.daemon_log.is_in_journal() => {
                Known::Not(format!("The journal, which fail2ban writes to, is not read: {why_not}"))
            }
            (Some(_), None) if self.daemon_log.is_in_journal() => Known::Journal,
            (Some(target), _) => Known::Not(format!(
                "fail2ban writes its log to {target}, where it cannot be read: set log_target to a file."
            )),
            (None, _) => Known::Not("Where fail2ban writes its log is not known yet.".to_owned()),
        })
    }

    /// Whether fail2ban's log is read: for one command only where that asks who fails.
    pub fn reads_log(&self, is_for_one: bool) -> bool {
        !is_for_one || (self.failing.is_wanted && self.failing_is_behind())
    }

    /// Whether fail2ban's log is still to be read to its end: so it is for a moment after the start, and after it has moved.
    pub fn failing_is_behind(&self) -> bool {
        let target = self.daemon_log.target.as_deref().filter(|target| target.starts_with('/'));
        target.is_some_and(|target| self.failing.caught_up.as_deref() != Some(Path::new(target)))
    }

    /// Asks the jails in which somebody fails how they count, and drops what does not count any more.
    pub fn count_failures(&mut self) -> Result<(), Error> {
        let now = time::now();
        self.failing.counting.clear();
        for name in self.failing.now.jails() {
            let Ok(jail) = JailName::from_daemon(&name) else { continue };
            match self.daemon.jail_limits(&jail) {
                Ok(limits) => {
                    let counting = Counting { find_time: limits.find_time, max_retry: limits.max_retry };
                    self.failing.now.drop_old(&name, counting, now);
                    self.failing.counting.insert(name, counting);
                }
                Err(Error::UnknownJail(_)) => self.failing.now.forget_jail(&name),
                Err(Error::NameTaken(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// How the jails count in which somebody fails.
    pub fn counting(&self) -> impl Iterator<Item = (&str, Counting)> {
        self.failing.counting.iter().map(|(jail, counting)| (jail.as_str(), *counting))
    }

    /// What a child is to look at before those who fail can be shown; `None` where all is known.
    pub fn look_at_failing(&self, known: &Known) -> Result<Option<Task>, store::Error> {
        let is_stale = self.failing.read_at.is_none_or(|at| at.elapsed() > TRUSTED);
        let journal = self.daemon_log.is_in_journal() && !matches!(known, Known::Log) && is_stale;
        let wanted = self.failing.now.unknown();
        if !journal && wanted.is_empty() {
            return Ok(None);
        }
        Ok(Some(Task::LookAtFailing(LookAtFailing {
            socket: self.fail2ban_socket().to_owned(),
            config_dir: self.config.fail2ban_config.clone(),
            allowed: self.config.allowed_log_dirs.clone(),
            wanted,
            journal,
            geo: self.geo_source()?,
        })))
    }

    /// Takes what a child has found.
    pub fn take_failing(&mut self, found: Value) -> Result<(), ApiError> {
        let found: Found = json::from_tree(found).map_err(ApiError::internal)?;
        let now = &mut self.failing.now;
        if found.told.is_some() || found.why_not.is_some() {
            self.failing.read_at = Some(Instant::now());
            self.failing.why_not = found.why_not;
        }
        if let Some(told) = found.told {
            now.forget_all();
            now.set_zone(0);
            for event in told {
                match event {
                    Told::Failure { jail, ip, at, count } => now.failed(&jail, &ip, at, count),
                    Told::Ban { jail, ip } => now.banned(&jail, &ip),
                    Told::Begun(jail) => now.forget_jail(&jail),
                    Told::Started => now.forget_all(),
                }
            }
        }
        for one in found.behind {
            now.learn(&one.jail, &one.ip, &one.users, one.country);
        }
        Ok(self.count_failures()?)
    }
}
