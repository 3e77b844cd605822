//! Many bans made or lifted, in a child: many addresses in one command, as many as keep the daemon busy for a moment only, so that others
//! have their turn between. It ends between two commands when it is asked to, and tells what became of each address.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::bans::{CHANGES, answering, checked};
use super::failure::Failure;
use super::frames::FrameWriter;
use super::held_set::SetPlace;
use super::pace::{HOLD, Pace};
use crate::domain::address::IpOrNet;
use crate::domain::history::BLOCKLIST_JAIL;
use crate::domain::names::JailName;
use crate::domain::own_ban::NEVER;
use crate::domain::time;
use crate::fail2ban::commands::own_time::Timed;
use crate::fail2ban::{Daemon, Error};

/// Addresses in one command at most.
const MOST: usize = 250;
/// How often it is told how far it is.
const TELL: Duration = Duration::from_millis(100);

/// What becomes of an address, one letter each.
pub mod fate {
    /// Nothing was done.
    pub const NOT_DONE: u8 = b'-';
    /// It is banned, and was not before.
    pub const BANNED: u8 = b'b';
    /// It is banned, and was before.
    pub const WAS_BANNED: u8 = b'w';
    /// The jail's ignore list names it.
    pub const IGNORED: u8 = b'g';
    /// It was lifted.
    pub const LIFTED: u8 = b'l';
    /// It was not banned.
    pub const NOT_BANNED: u8 = b'n';
}

/// What is to be done with each.
#[derive(Debug, Serialize, Deserialize)]
pub enum What {
    /// Ban it in a jail.
    Ban {
        /// The jail.
        jail: String,
        /// When the bans are to end, in Unix seconds, `NEVER` for never; `None` as the jail has it.
        until: Option<i64>,
        /// The jail rests now and is to go on resting.
        is_paused: bool,
        /// Ban also what is on the jail's ignore list.
        force: bool,
    },
    /// Lift it.
    Lift {
        /// The jail; `None` is every jail.
        jail: Option<String>,
        /// The set of imported addresses, which counts as a jail.
        set: SetPlace,
    },
}

/// Ban or lift many addresses.
#[derive(Debug, Serialize, Deserialize)]
pub struct Bulk {
    /// fail2ban's socket.
    pub socket: PathBuf,
    /// Canonical texts of addresses and networks; what is to be lifted may also be exactly what the daemon lists.
    pub texts: Vec<String>,
    /// What is to be done with them.
    pub what: What,
}

/// What was done.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Done {
    /// What became of each, in the order in which they were given, by the letters of `fate`.
    pub fates: String,
    /// The entries of the ignore list that keep addresses from being banned, with the places of these.
    pub ignored: Vec<(usize, String)>,
    /// Why the rest was not done.
    pub failure: Option<Failure>,
    /// It was asked to end.
    pub is_cancelled: bool,
}

/// How bans are to be made, as `What::Ban` says.
#[derive(Clone, Copy)]
struct How {
    until: Option<i64>,
    is_paused: bool,
    force: bool,
}

/// A run under way.
struct Run<'a, 'w> {
    texts: &'a [String],
    fates: Vec<u8>,
    out: &'a mut FrameWriter<'w>,
    told: Instant,
}

impl Bulk {
    /// A `Done`. The whole fails only where nothing was done.
    pub fn run(self, out: &mut FrameWriter<'_>) -> Result<Value, Failure> {
        let mut done = Done::default();
        let texts = self.texts.as_slice();
        let mut run = Run { texts, fates: vec![fate::NOT_DONE; texts.len()], out, told: Instant::now() };
        let result = match &self.what {
            What::Ban { jail, until, is_paused, force } => {
                let how = How { until: *until, is_paused: *is_paused, force: *force };
                run.ban(&self.socket, jail, how, &mut done)
            }
            What::Lift { jail, set } => run.lift(&self.socket, jail.as_deref(), set),
        };
        let has_done = run.fates.iter().any(|fate| *fate != fate::NOT_DONE);
        match result {
            Ok(is_whole) => done.is_cancelled = !is_whole,
            Err(failure) if has_done => done.failure = Some(failure),
            Err(failure) => return Err(failure),
        }
        done.fates = String::from_utf8_lossy(&run.fates).into_owned();
        Ok(json!(done))
    }
}

impl Run<'_, '_> {
    /// Whether it came to its end.
    fn ban(
        &mut self,
        socket: &std::path::Path,
        jail: &str,
        How { until, is_paused, force }: How,
        done: &mut Done,
    ) -> Result<bool, Failure> {
        let mut daemon = answering(socket, CHANGES)?;
        let jail = checked(jail)?;
        // Also tells whether there is such a jail.
        let entries = daemon.ignore_list(&jail)?;
        let ignoring: Vec<(IpOrNet, &String)> =
            entries.iter().filter_map(|entry| Some((entry.parse().ok()?, entry))).collect();
        let mut banned = self.banned_among(&mut daemon, &jail)?;
        let nets: Vec<Option<IpOrNet>> = self.texts.iter().map(|text| text.parse().ok()).collect();
        for (at, net) in nets.iter().enumerate() {
            let Some(net) = net.as_ref().filter(|_| !force) else { continue };
            if let Some((_, entry)) = ignoring.iter().find(|(ignored, _)| ignored.overlaps(net)) {
                self.fates[at] = fate::IGNORED;
                done.ignored.push((at, (*entry).clone()));
            }
        }
        self.in_chunks(&mut |texts, fates, chunk| {
            let mut seen: Vec<bool> = Vec::new();
            for at in chunk {
                seen.push(!banned.insert(texts[*at].clone()));
            }
            match until {
                None => {
                    let nets: Vec<IpOrNet> = chunk.iter().filter_map(|at| nets[*at]).collect();
                    daemon.ban(&jail, &nets)?;
                }
                Some(until) => {
                    let seconds = if until == NEVER { -1 } else { (until - time::now()).max(1) };
                    let timed = |(at, was): (&usize, &bool)| Timed {
                        ip: texts[*at].clone(),
                        seconds,
                        is_lifted: *was && seconds >= 0,
                    };
                    let timed: Vec<Timed> = chunk.iter().zip(&seen).map(timed).collect();
                    daemon.ban_for(&jail, &timed, is_paused)?;
                }
            }
            for (at, was) in chunk.iter().zip(seen) {
                fates[*at] = if was { fate::WAS_BANNED } else { fate::BANNED };
            }
            Ok(())
        })
    }

    /// Whether it came to its end.
    fn lift(&mut self, socket: &std::path::Path, jail: Option<&str>, set: &SetPlace) -> Result<bool, Failure> {
        let is_of_set = set.way.is_some() && jail.is_none_or(|jail| jail == BLOCKLIST_JAIL);
        if is_of_set {
            let nets: Vec<(usize, IpOrNet)> =
                self.texts.iter().enumerate().filter_map(|(at, text)| Some((at, text.parse().ok()?))).collect();
            let wanted = nets.iter().map(|(_, net)| *net).collect();
            let lifted = set.lift_all(&wanted).map_err(|error| Failure::CommandFailed(error.to_string()))?;
            for (at, _) in nets.iter().filter(|(_, net)| lifted.has(net)) {
                self.fates[*at] = fate::LIFTED;
            }
        }
        match self.lift_in_jails(socket, jail) {
            // There need not be such a jail where a set stands for it, nor a daemon.
            Err(Failure::Fail2ban(Error::UnknownJail(_) | Error::Unreachable { .. })) if is_of_set => {
                let left = self.fates.iter_mut().filter(|fate| **fate == fate::NOT_DONE);
                left.for_each(|fate| *fate = fate::NOT_BANNED);
                Ok(true)
            }
            other => other,
        }
    }

    fn lift_in_jails(&mut self, socket: &std::path::Path, jail: Option<&str>) -> Result<bool, Failure> {
        let mut daemon = answering(socket, CHANGES)?;
        let jail = jail.map(checked).transpose()?;
        let jails = match &jail {
            // Where its name is taken for another word, lifting is done in all of them.
            Some(jail) if !jail.is_taken() => vec![jail.clone()],
            Some(jail) => {
                daemon.counters(jail)?;
                daemon.jail_names()?
            }
            None => daemon.jail_names()?,
        };
        let mut banned = HashSet::new();
        for jail in &jails {
            banned.extend(self.banned_among(&mut daemon, jail)?);
        }
        let was_lifted: Vec<bool> = self.fates.iter().map(|fate| *fate == fate::LIFTED).collect();
        let mut left = Vec::new();
        for (at, text) in self.texts.iter().enumerate() {
            // The same a second time is not banned any more.
            let is_banned = banned.remove(text);
            match (is_banned, was_lifted[at]) {
                (true, _) => left.push(at),
                (false, true) => {}
                (false, false) => self.fates[at] = fate::NOT_BANNED,
            }
        }
        self.chunks_of(left, &mut |texts, fates, chunk| {
            let some: Vec<&str> = chunk.iter().map(|at| texts[*at].as_str()).collect();
            match &jail {
                Some(jail) => daemon.unban(jail, &some)?,
                None => daemon.unban_everywhere(&some)?,
            };
            chunk.iter().for_each(|at| fates[*at] = fate::LIFTED);
            Ok(())
        })
    }

    /// Those of the given texts that a jail has banned.
    fn banned_among(&self, daemon: &mut Daemon, jail: &JailName) -> Result<HashSet<String>, Error> {
        let wanted: HashSet<&str> = self.texts.iter().map(String::as_str).collect();
        let mut banned = HashSet::new();
        daemon.each_banned(jail, &mut |text| {
            if wanted.contains(text) {
                banned.insert(text.to_owned());
            }
        })?;
        Ok(banned)
    }

    fn in_chunks(&mut self, work: &mut Work<'_>) -> Result<bool, Failure> {
        let open = |at: &usize| self.fates[*at] == fate::NOT_DONE;
        let open = (0..self.texts.len()).filter(open).collect();
        self.chunks_of(open, work)
    }

    /// Does something with these, as many at a time as keep the daemon busy for a moment. Whether it came to its end.
    fn chunks_of(&mut self, places: Vec<usize>, work: &mut Work<'_>) -> Result<bool, Failure> {
        let mut pace = Pace::of(HOLD, MOST);
        let (mut rest, total) = (places.as_slice(), self.texts.len());
        while !rest.is_empty() {
            if is_cancelled() {
                return Ok(false);
            }
            let (chunk, behind) = rest.split_at(pace.chunk().min(rest.len()));
            let start = Instant::now();
            work(self.texts, &mut self.fates, chunk)?;
            pace.note(chunk.len(), start.elapsed());
            rest = behind;
            if self.told.elapsed() >= TELL {
                self.told = Instant::now();
                // Nobody listens any more only when the parent is gone, and we go with it.
                let _ = self.out.progress(&json!({ "done": total - rest.len(), "total": total }));
            }
        }
        Ok(true)
    }
}

/// What is done with a few of the texts, named by their places: the daemon is told, and their fates are noted.
type Work<'a> = dyn FnMut(&[String], &mut [u8], &[usize]) -> Result<(), Failure> + 'a;

/// Whether this child was asked to end: SIGTERM is held back from its start, so that it is seen between two commands and never in one.
fn is_cancelled() -> bool {
    // SAFETY: an all-zero sigset_t is one to be written to, and outlives both calls.
    unsafe {
        let mut pending: libc::sigset_t = std::mem::zeroed();
        libc::sigpending(&raw mut pending) == 0 && libc::sigismember(&raw const pending, libc::SIGTERM) == 1
    }
}
