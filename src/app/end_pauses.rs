//! Jails are let rest and work again, by whoever asks and when their time is over.

use std::time::{Duration, Instant};

use super::error::ApiError;
use super::pauses::SETTING;
use super::state::Ctx;
use crate::domain::names::JailName;
use crate::domain::time;
use crate::fail2ban::Error;
use crate::store;

/// How soon it is tried again, where fail2ban did not take it.
const AGAIN: Duration = Duration::from_secs(2);

impl Ctx {
    /// Lets a jail rest, until then or for as long as nobody says otherwise; or work again. It is noted before fail2ban is told.
    pub fn pause(&mut self, jail: &JailName, rests: bool, until: Option<i64>) -> Result<(), ApiError> {
        let before = (self.store.jail_idle(jail.as_str())?, self.pauses.ends.get(jail.as_str()).copied());
        self.note_pause(jail.as_str(), Some(rests), until)?;
        if let Err(error) = self.daemon.set_idle(jail, rests) {
            self.note_pause(jail.as_str(), before.0, before.1)?;
            return Err(error.into());
        }
        Ok(())
    }

    /// Notes whether a jail rests, and until when.
    pub fn note_pause(&mut self, jail: &str, rests: Option<bool>, until: Option<i64>) -> Result<(), store::Error> {
        let mut ends = self.pauses.ends.clone();
        match until {
            Some(until) => drop(ends.insert(jail.to_owned(), until)),
            None => drop(ends.remove(jail)),
        }
        if ends != self.pauses.ends {
            self.store.set_settings(&[(SETTING, &serde_json::json!(ends).to_string())])?;
            self.pauses.ends = ends;
        }
        self.store.set_jail_idle(Some(jail), rests)
    }

    /// Ends pauses whose time is over, as soon as fail2ban can be told.
    pub fn end_pauses(&mut self, daemon_is_free: bool, now: Instant) {
        let is_due = self.pauses.next(now, time::now()).is_some_and(|end| end <= now);
        if !is_due || !daemon_is_free || !self.snapshot.online {
            return;
        }
        let unix_now = time::now();
        let over: Vec<String> =
            self.pauses.ends.iter().filter(|(_, end)| **end <= unix_now).map(|(jail, _)| jail.clone()).collect();
        for jail in over {
            let told = match JailName::from_daemon(&jail) {
                Ok(name) => self.daemon.set_idle(&name, false),
                Err(_) => Ok(()),
            };
            match told {
                // One that does not run does not rest either.
                Ok(()) | Err(Error::UnknownJail(_)) => {
                    if let Err(error) = self.note_pause(&jail, Some(false), None) {
                        log::warn!("the end of a pause of {jail} cannot be noted: {error}");
                        self.pauses.not_before = Some(now + AGAIN);
                    }
                }
                Err(error) => {
                    log::warn!("{jail} is to watch its logs again and cannot be told: {error}");
                    self.pauses.not_before = Some(now + AGAIN);
                }
            }
        }
    }
}
