//! What is seen of the daemon: by looking at it, by commands that other work has sent, and by its files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::error::ApiError;
use super::seen::{ServerFiles, Snapshot};
use super::state::{Ctx, Job};
use crate::conf::Tree;
use crate::domain::address::IpOrNet;
use crate::domain::history::BLOCKLIST_JAIL;
use crate::domain::{json, time};
use crate::fail2ban;
use crate::fail2ban::client::News;
use crate::fail2ban::commands::JailCounters;
use crate::jobs::Task;
use crate::jobs::restored::CountRestored;
use crate::server::response::Response;

/// How long what the daemon's files say is taken to hold.
const FILES_HOLD: Duration = Duration::from_secs(3);

impl Ctx {
    /// Where fail2ban's database is: as configured, else as the daemon says now or has said while it answers. `None` where it keeps none.
    pub fn fail2ban_database(&mut self) -> Result<Option<PathBuf>, fail2ban::Error> {
        if let Some(path) = &self.config.fail2ban_database {
            return Ok(Some(path.clone()));
        }
        if let Some(path) = self.known_database.as_ref().filter(|_| self.snapshot.online) {
            return Ok(Some(path.clone()));
        }
        match self.daemon.database_path() {
            // Busy with bans is not away: its database is where it was.
            Err(fail2ban::Error::Busy { .. }) if self.known_database.is_some() => {}
            Err(fail2ban::Error::Unreachable { .. } | fail2ban::Error::ShuttingDown)
                if self.known_database.is_some() => {}
            // Its past is there without it, where its files say.
            Err(error) => match self.server_files() {
                Some(files) => self.known_database = files.database,
                None => return Err(error),
            },
            Ok(path) => self.known_database = path,
        }
        Ok(self.known_database.clone())
    }

    /// What the daemon's own files say of it; `None` where they cannot be read. They are read again after some seconds.
    pub fn server_files(&mut self) -> Option<ServerFiles> {
        let is_fresh = self.server_files.as_ref().is_some_and(|(_, at)| at.elapsed() < FILES_HOLD);
        if !is_fresh {
            let read = Tree::load_server(&self.config.fail2ban_config).ok().map(|tree| ServerFiles {
                log_level: tree.server_option("loglevel").unwrap_or_default(),
                log_target: tree.server_option("logtarget").unwrap_or_default(),
                database: tree.server_option("dbfile").filter(|path| path.starts_with('/')).map(PathBuf::from),
            });
            self.server_files = Some((read, Instant::now()));
        }
        self.server_files.as_ref()?.0.clone()
    }

    /// The jails that have exactly this banned, and that of imported addresses where the set of our own covers it.
    pub fn jails_banning(&mut self, ip: &IpOrNet) -> Result<Vec<String>, fail2ban::Error> {
        let mut jails: Vec<String> =
            self.daemon.jails_banning(&ip.to_string())?.iter().map(ToString::to_string).collect();
        let is_held = self.held().is_some_and(|held| held.covers(ip, time::now()).unwrap_or(false));
        if is_held && !jails.iter().any(|jail| jail == BLOCKLIST_JAIL) {
            jails.push(BLOCKLIST_JAIL.to_owned());
        }
        Ok(jails)
    }

    /// What has been seen of the daemon and its files may be out of date.
    pub fn expect_changes(&mut self) {
        self.snapshot.stale = true;
        self.metrics.doubt();
        self.banned.doubt();
        self.protection.doubt();
        self.backends = None;
    }

    /// The daemon or a jail was started: anything may be different of what is banned.
    pub fn distrust_bans(&mut self) {
        self.banned.distrust();
        self.own_bans.doubt(Instant::now());
    }

    /// How the files have the log of each jail watched, where that was read since the last change.
    pub fn backends(&self) -> Option<&BTreeMap<String, String>> {
        self.backends.as_ref()
    }

    /// Remembers how the files have the log of each jail watched.
    pub fn set_backends(&mut self, backends: BTreeMap<String, String>) {
        self.backends = Some(backends);
    }

    /// Takes over what commands on the loop have learned beside their answers: the daemon is gone, is back, or is another process. They
    /// use up the end of the idle connection, so nothing else may ever tell of it.
    pub fn heed_daemon(&mut self) {
        let client = self.daemon.client_mut();
        let (daemons, news) = (client.daemons(), client.take_news());
        if daemons != self.daemons_met {
            self.daemons_met = daemons;
            self.restarted = true;
            self.restoring.begin();
            self.distrust_bans();
            self.expect_changes();
        }
        match news {
            Some(News::Away(error)) => self.note_away(error),
            Some(News::Answered) if !self.snapshot.online => self.expect_changes(),
            _ => {}
        }
    }

    /// A command has found the daemon away: that is said from now on, and looked at again at once.
    pub fn note_away(&mut self, error: fail2ban::Error) {
        if self.snapshot.online {
            self.set_away(error);
            self.expect_changes();
        }
    }

    fn set_away(&mut self, error: fail2ban::Error) {
        if self.snapshot.online || self.snapshot.taken.is_none() {
            log::warn!("{error}");
        }
        self.metrics.count(&error);
        self.snapshot = Snapshot { online: false, taken: Some(Instant::now()), ..Snapshot::default() };
        self.away = Some(error);
    }

    /// Looks at the daemon: at most three short commands, and one for each jail before 1.1.0.
    pub fn take_snapshot(&mut self) -> Result<(), fail2ban::Error> {
        let looked = self.look();
        // What this look has learned is in the snapshot.
        self.daemon.client_mut().take_news();
        let taken = Some(Instant::now());
        match looked {
            Ok(snapshot) => {
                if !self.snapshot.online {
                    self.daemon_log.target = self.daemon.log_target().ok().or(self.daemon_log.target.take());
                    self.restarted = true;
                    self.distrust_bans();
                    log::info!("fail2ban {} answers", snapshot.version.as_deref().unwrap_or("?"));
                }
                self.snapshot = Snapshot { taken, ..snapshot };
                Ok(())
            }
            Err(error) => {
                self.set_away(error.clone());
                Err(error)
            }
        }
    }

    /// Looks at the daemon for somebody who wants to see it now: one that is busy has been seen, and is not away.
    pub fn look_again(&mut self) {
        match self.look() {
            Ok(snapshot) => {
                self.daemon.client_mut().take_news();
                self.snapshot = Snapshot { taken: Some(Instant::now()), ..snapshot };
            }
            Err(fail2ban::Error::Busy { .. }) => {}
            Err(error) => self.note_away(error),
        }
    }

    /// Asks some of the jails for their limits, for metrics. True: they are known of all.
    pub fn learn_limits(&mut self) -> Result<bool, fail2ban::Error> {
        let (unknown, is_all) = self.metrics.unknown(&self.snapshot.counters);
        for jail in unknown {
            let limits = match self.daemon.jail_limits(&jail) {
                // It has stopped, or its name stands in the way of the question.
                Err(fail2ban::Error::UnknownJail(_) | fail2ban::Error::NameTaken(_)) => None,
                other => Some(other?),
            };
            self.metrics.learn(&jail, limits);
        }
        Ok(is_all)
    }

    fn look(&mut self) -> Result<Snapshot, fail2ban::Error> {
        let version = self.daemon.version()?.as_str().to_owned();
        let mut seen = Snapshot { online: true, version: Some(version), ..Snapshot::default() };
        let counters = self.daemon.all_counters()?;
        self.own_bans.note_counters(&counters, Instant::now());
        self.note_restoring(&counters);
        self.known_jails = counters.iter().map(|jail| jail.jail.to_string()).collect();
        for jail in &counters {
            seen.jails += 1;
            seen.bans += jail.counters.currently_banned;
            seen.made += jail.counters.total_banned;
            seen.failures += jail.counters.currently_failed;
        }
        seen.counters = counters;
        seen.bans += self.held().and_then(|held| held.count_at(time::now()).ok()).unwrap_or(0) as u64;
        Ok(seen)
    }

    /// Jails were looked at: what they have restored since is noted, and how much it is to become is asked for once.
    pub fn note_restoring(&mut self, seen: &[JailCounters]) {
        if !self.restoring.note(seen) {
            return;
        }
        let task = Task::CountRestored(CountRestored {
            socket: self.fail2ban_socket().to_owned(),
            database: self.config.fail2ban_database.clone(),
        });
        self.background.push(Job::new(task, |ctx, counted| {
            ctx.restoring.expect(json::from_tree(counted).map_err(ApiError::internal)?);
            // What it has now is told by the next look.
            ctx.snapshot.stale = true;
            Ok(Response::no_content())
        }));
    }
}
