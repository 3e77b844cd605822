//! Restarts a jail and keeps its bans, each to its old end.
//!
//! The daemon's own restore cannot do it: it shortens each ban to the jail's present ban time, forgets those that are older, skips ignored
//! addresses, and gives nothing back without a database. So the bans are read before, and what is missing or ends too early is banned again.
//! One that the database remembers as longer than it was is lifted and made again. So is a ban by an id (`<F-ID>`): the daemon lists it after
//! its restore, and none of its commands has run.

mod again;
mod bans;
mod restore;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::commands::Daemon;
use super::database::Database;
use super::error::Error;
use super::stream::Stream;
use crate::domain::names::JailName;
use again::{Again, Zone};
pub use bans::Kept;
use bans::Round;
use restore::{expected, wait_for_actions, wait_for_restore};

/// How long a page of the daemon's database may wait for the daemon's own writing.
const DATABASE: Duration = Duration::from_secs(3);
/// How often bans are looked at and made again that are not as they were.
const ROUNDS: usize = 5;

/// A jail that was restarted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restarted {
    /// The jail.
    pub jail: String,
    /// The bans it had.
    pub bans: usize,
    /// Those of them that it has no longer, though they have not ended.
    pub missing: usize,
    /// Those that are bans by an id, whose actions ran with the id alone: the daemon does not tell their addresses.
    #[serde(default)]
    pub by_id: usize,
    /// Milliseconds from the first rule that went to the last that was back.
    pub away_ms: u64,
}

impl std::fmt::Display for Restarted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.away_ms as f64 / 1000.0;
        write!(f, "Jail {} was restarted; its {} bans were out of force for {seconds:.1} s", self.jail, self.bans)?;
        if self.missing > 0 {
            write!(f, ", and {} of them are not back", self.missing)?;
        }
        match self.by_id {
            0 => Ok(()),
            ids => write!(f, "; {ids} of them are by an id, and their actions ran with the id in place of the address"),
        }
    }
}

impl Kept {
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
        let by_id = self.bans.iter().filter(|ban| ban.is_id()).count();
        Ok(Restarted { jail: jail.as_str().to_owned(), bans: self.bans.len(), missing, by_id, away_ms })
    }

    /// Waits for what the daemon restores by itself and bans the rest again. Returns how many are missing in the end.
    pub fn bring_back(&self, daemon: &mut Daemon, jail: &JailName, own: &Stream) -> Result<usize, Error> {
        if self.is_empty() {
            return Ok(0);
        }
        wait_for_actions(daemon, jail, own)?;
        let database = daemon.database_path()?.and_then(|path| Database::open(&path, DATABASE).ok());
        if let Some(database) = &database {
            wait_for_restore(daemon, jail, expected(database, jail, own, Some(self)))?;
        }
        let mut zone = Zone::of(jail, self, database.as_ref());
        let mut again = Again::new(daemon, jail, own, database.as_ref());
        if !zone.is_sure {
            let present = Kept::read(again.daemon, jail)?;
            let left = self.not_in(&present, zone.now(), Round::First);
            if let Some(one) = left.into_iter().find(|one| !present.has(one.ban)) {
                // Its start tells what time it is for the daemon.
                again.ban(&[one], &zone)?;
                zone.learn(&Kept::read(again.daemon, jail)?, one.ban);
            }
        }
        for round in 0..ROUNDS {
            let present = Kept::read(again.daemon, jail)?;
            let left = self.not_in(&present, zone.now(), if round == 0 { Round::First } else { Round::Later });
            if left.is_empty() {
                return Ok(0);
            }
            again.ban(&left, &zone)?;
        }
        let present = Kept::read(again.daemon, jail)?;
        let left = self.not_in(&present, zone.now(), Round::Later);
        Ok(left.into_iter().filter(|one| !present.has(one.ban)).count())
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
    database.map_or(Ok(()), |database| wait_for_restore(daemon, jail, expected(&database, jail, own, None)))
}
