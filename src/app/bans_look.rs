//! Keeps the table of what is banned in line with the daemon: before it is shown, the jails are asked for their counters, and one that
//! differs is read again in a child. Nothing is asked while nobody looks.

use std::time::{Duration, Instant};

use super::banned::Readiness;
use super::error::ApiError;
use super::request::Request;
use super::state::{Ctx, Job};
use crate::domain::names::JailName;
use crate::domain::time;
use crate::fail2ban::Error;
use crate::fail2ban::commands::JailCounters;
use crate::held::table::Signs;
use crate::jobs::Task;
use crate::jobs::read_held::ReadHeld;
use crate::server::response::Response;

/// How long a request may wait for a table that was never read.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many times as long as it took a look is trusted: so looking takes a tenth of the loop's time at most, and of the daemon's.
const TRUSTED: u32 = 10;
/// How long it is trusted at most.
const LONGEST_TRUSTED: Duration = Duration::from_millis(500);

impl Ctx {
    /// Sees to it that the table is what the daemon has, of one jail or of all. A request that has waited already is shown what is there,
    /// as long as it was ever read.
    pub fn ready_bans(&mut self, jail: Option<&JailName>, request: &Request) -> Result<Readiness, ApiError> {
        let is_last = request.has_waited;
        if self.banned.is_read || self.daemon_is_taken {
            return if is_last { self.as_it_is(jail, None) } else { Ok(Readiness::Reading) };
        }
        if let Some(failed) = self.banned.failed.take() {
            return self.as_it_is(jail, Some(failed));
        }
        let stale = match self.look_at_bans(jail) {
            Ok(stale) => stale,
            // Busy with somebody else's command: what is known is said, with its time.
            Err(error @ Error::Busy { .. }) => return self.as_it_is(jail, Some(error.into())),
            Err(error) => return Err(error.into()),
        };
        if stale.is_empty() {
            return Ok(Readiness::Ready);
        }
        // What it has waited for may have begun before it came, and so before what its client has done.
        let started = request.admitted.started;
        let has_seen = self.is_known(jail) && self.banned.read_began.is_some_and(|began| began >= started);
        if is_last && (has_seen || started.elapsed() > PATIENCE) {
            return self.as_it_is(jail, None);
        }
        self.begin_reading(stale)?;
        Ok(Readiness::Reading)
    }

    fn as_it_is(&self, jail: Option<&JailName>, error: Option<ApiError>) -> Result<Readiness, ApiError> {
        if self.is_known(jail) {
            return Ok(Readiness::Ready);
        }
        Err(error.unwrap_or_else(|| ApiError::busy("fail2ban is busy with another request; try again shortly.")))
    }

    fn is_known(&self, jail: Option<&JailName>) -> bool {
        let held = &self.banned.held;
        match jail {
            Some(jail) => held.jail(jail.as_str()).is_some_and(|jail| jail.is_known()),
            None => !held.jails().is_empty() && held.jails().iter().all(|jail| jail.is_known()),
        }
    }

    /// Asks the jails for their counters, and gives those that are to be read.
    fn look_at_bans(&mut self, jail: Option<&JailName>) -> Result<Vec<String>, Error> {
        let now = Instant::now();
        let is_there = jail.is_none_or(|jail| self.banned.held.jail(jail.as_str()).is_some());
        if is_there && self.banned.trusted_until.is_some_and(|until| now < until) {
            return Ok(Vec::new());
        }
        let seen = match jail {
            Some(jail) => match self.daemon.counters(jail) {
                Err(error @ Error::UnknownJail(_)) => {
                    self.banned.held.forget(jail.as_str());
                    return Err(error);
                }
                other => vec![other?],
            },
            None => self.daemon.all_counters()?,
        };
        if jail.is_none() {
            let names: Vec<&str> = seen.iter().map(|seen| seen.jail.as_str()).collect();
            self.banned.held.keep_only(&names);
        }
        self.own_bans.note_counters(&seen, now);
        self.heed_daemon();
        let mut stale = Vec::new();
        for JailCounters { jail, counters, .. } in seen {
            let ban_time = match self.daemon.ban_time(&jail) {
                // It stopped between the two questions.
                Err(Error::UnknownJail(_)) => continue,
                other => other?,
            };
            let signs = Signs { current: counters.currently_banned, total: counters.total_banned, ban_time };
            if !self.banned.held.agrees(jail.as_str(), signs, time::now()) {
                stale.push(jail.to_string());
            }
        }
        if jail.is_none() && stale.is_empty() {
            let done = Instant::now();
            self.banned.trusted_until = Some(done + ((done - now) * TRUSTED).min(LONGEST_TRUSTED));
        }
        Ok(stale)
    }

    fn begin_reading(&mut self, jails: Vec<String>) -> Result<(), ApiError> {
        let task = Task::ReadHeld(ReadHeld {
            socket: self.fail2ban_socket().to_owned(),
            database: self.config.fail2ban_database.clone(),
            jails,
            geo: self.geo_source()?,
        });
        self.banned.is_read = true;
        self.banned.read_began = Some(Instant::now());
        self.background.push(Job::new(task, |_, _| Ok(Response::no_content())));
        Ok(())
    }
}
