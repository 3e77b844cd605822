//! The state of the program that handlers work with: settings, database, the daemon and what was last seen of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::apply::RunTime;
use crate::blocklist::held::HeldFile;
use crate::conf::Tree;
use crate::config::{Config, DEFAULT_FAIL2BAN_SOCKET, DEFAULT_SESSION_MINUTES};
use crate::domain::history::Place;
use crate::domain::json;
use crate::domain::time;
use crate::fail2ban::client::News;
use crate::fail2ban::database::Page;
use crate::fail2ban::{self, Client, commands::Daemon, restart::Bans};
use crate::geo::asking::Asking;
use crate::geo::{Geo, GeoSource};
use crate::jobs::held_set::SetPlace;
use crate::jobs::their_database::Theirs;
use crate::store::{self, Store, settings::Stored};

use super::Job;
use super::dispatch;
use super::imports::{Running, Tending};
use super::limits::Limits;

/// How long a quick command may hold the loop.
pub const QUICK: Duration = Duration::from_millis(300);

/// How long what the daemon's files say is taken to hold.
const FILES_HOLD: Duration = Duration::from_secs(3);

/// The longest answer to a quick command, in bytes: longer ones are lists, and lists are a child's work. A daemon
/// before 0.10 sends its bans along with every status, 20 bytes each.
const QUICK_REPLY: usize = 2 * 1024 * 1024;

/// What was last seen of the daemon.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Whether it answered.
    pub online: bool,
    /// Its version.
    pub version: Option<String>,
    /// Jails it runs.
    pub jails: u64,
    /// Addresses banned now, all jails together.
    pub bans: u64,
    /// Addresses with failures now, all jails together.
    pub failures: u64,
    /// When this was seen; `None` before the first look.
    pub taken: Option<Instant>,
    /// Something has happened since: look again soon.
    pub stale: bool,
}

/// How fail2ban's database was when it was last looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TheirDatabase {
    /// It has not been looked into: where it is is not known.
    Unknown,
    /// It can be read.
    Ok,
    /// The daemon keeps none.
    None,
    /// It cannot be read.
    Error,
}

/// What the daemon's own files say of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerFiles {
    /// Its log level.
    pub log_level: String,
    /// Where it writes its log.
    pub log_target: String,
    /// Its database; `None` where it keeps none.
    pub database: Option<PathBuf>,
}

/// A restart of the daemon.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Restarted {
    /// When it answered again, by RFC 3339.
    pub at: String,
    /// The former one did not answer any more and was ended as a process.
    pub was_hung: bool,
    /// What a killed one had banned and the new one has not taken up, by jail: the rules of that are likely to be there still.
    pub left_behind: Bans,
}

/// Everything a handler works with.
#[derive(Debug)]
pub struct Ctx {
    /// The settings given at start.
    pub config: Config,
    /// What setup stored.
    pub stored: Stored,
    /// Our database.
    pub store: Store,
    /// The daemon, for quick commands.
    pub daemon: Daemon,
    /// What was last seen of it.
    pub snapshot: Snapshot,
    /// The daemon may have started again: what held at run time only is to be set again.
    pub restarted: bool,
    /// How many daemons its client had met when that was last looked at.
    daemons_met: u64,
    /// A child of ours keeps it busy.
    pub daemon_is_taken: bool,
    /// Why it was not reached, where it was not, when it was last looked at.
    pub away: Option<fail2ban::Error>,
    /// The jails it ran when it was last seen.
    pub known_jails: Vec<String>,
    /// Jails whose pending values were changed while it hung: they were not what made it hang.
    pub changed_while_hung: Vec<String>,
    /// What the last restart of it by this program has led to.
    pub last_restart: Option<Restarted>,
    /// Where fail2ban's database is, as the daemon last said.
    pub known_database: Option<PathBuf>,
    /// What a child has read of it, for the archive to take.
    pub their_page: Option<Theirs<Page>>,
    /// Whether that could be read when it was last looked into.
    pub their_database: TheirDatabase,
    /// A write to our own database has failed, and none has gone well since.
    pub storage_fails: bool,
    /// From addresses to countries.
    pub geo: Geo,
    /// What a server outside is asked about addresses.
    pub asking: Asking,
    /// It has told something that is kept.
    pub has_places: bool,
    /// Where looking up countries of the archive again goes on: time and number of a row.
    pub resolve_from: Option<(i64, i64)>,
    /// The general rate limits.
    pub limits: Limits,
    /// What was said about proxies.
    pub proxies_said: dispatch::client::Said,
    /// The import of blocklists under way.
    pub import: Option<Running>,
    /// The set of imported addresses.
    pub tending: Tending,
    /// Jobs of timers, which no client waits for; the loop starts them.
    pub background: Vec<Job>,
    /// The backends of jails as the files name them, for daemons that do not tell; read again when the snapshot is stale.
    backends: Option<BTreeMap<String, String>>,
    /// What the daemon's own files say of it, and when they were read.
    server_files: Option<(Option<ServerFiles>, Instant)>,
    /// The last timer step did its work.
    pub scheduler_runs: bool,
    /// The name of this machine, in lower case.
    pub host_name: String,
    /// Origins of this program's own addresses need no entry here: they are same-origin.
    pub request_ids: RequestIds,
}

/// Makes names for requests that come without one.
#[derive(Debug)]
pub struct RequestIds {
    prefix: u64,
    count: u64,
}

impl RequestIds {
    fn new() -> Self {
        let prefix = getrandom::u64().expect("the kernel has random bytes");
        Self { prefix, count: 0 }
    }

    /// A name no other request has.
    pub fn make(&mut self) -> String {
        self.count += 1;
        format!("{:016x}", self.prefix.wrapping_add(self.count.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }
}

impl Ctx {
    /// The state at start.
    pub fn new(config: Config, store: Store) -> Result<Self, store::Error> {
        let stored = store.stored()?;
        let socket = socket_of(&config, &stored);
        let geo = Geo::new(config.geoip_database.clone(), config.database.parent().map(Path::to_owned));
        Ok(Self {
            has_places: store.places()? > 0,
            asking: Asking::default(),
            daemon_is_taken: false,
            away: None,
            known_jails: Vec::new(),
            changed_while_hung: Vec::new(),
            last_restart: None,
            known_database: None,
            their_page: None,
            their_database: TheirDatabase::Unknown,
            storage_fails: false,
            resolve_from: None,
            geo,
            daemon: quick_daemon(socket),
            config,
            stored,
            store,
            snapshot: Snapshot::default(),
            restarted: false,
            daemons_met: 0,
            limits: Limits::default(),
            proxies_said: dispatch::client::Said::default(),
            import: None,
            tending: Tending::default(),
            background: Vec::new(),
            backends: None,
            server_files: None,
            scheduler_runs: true,
            host_name: host_name(),
            request_ids: RequestIds::new(),
        })
    }

    /// Reads again what setup stored, after it changed.
    pub fn reload_stored(&mut self) -> Result<(), store::Error> {
        self.stored = self.store.stored()?;
        let socket = socket_of(&self.config, &self.stored);
        if socket != self.fail2ban_socket() {
            self.daemon = quick_daemon(socket);
            self.daemons_met = 0;
            self.snapshot = Snapshot::default();
            self.known_database = None;
        }
        Ok(())
    }

    /// What is known of where an address is: by the files, else by what a server outside has told.
    pub fn place_of(&self, ip: &str) -> Place {
        let mut place = self.geo.look_up_text(ip);
        if place.country.is_none() && self.has_places {
            // What cannot be read is not known: whoever writes next says what is wrong with the database.
            let stored = || self.store.place(ip, time::now()).ok().flatten();
            let told = self.asking.learned(ip).cloned().or_else(stored).unwrap_or_default();
            place = Place { country: told.country, asn: place.asn.or(told.asn), org: place.org.or(told.org) };
        }
        self.geo.count(&place);
        place
    }

    /// What a child needs to know places.
    pub fn geo_source(&self) -> Result<GeoSource, store::Error> {
        let told = if self.has_places { self.store.countries_of_places(time::now())? } else { Vec::new() };
        Ok(GeoSource { files: self.geo.paths(), told })
    }

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
            let read = Tree::load(&self.config.fail2ban_config).ok().map(|tree| ServerFiles {
                log_level: tree.server_option("loglevel").unwrap_or_default(),
                log_target: tree.server_option("logtarget").unwrap_or_default(),
                database: tree.server_option("dbfile").filter(|path| path.starts_with('/')).map(PathBuf::from),
            });
            self.server_files = Some((read, Instant::now()));
        }
        self.server_files.as_ref()?.0.clone()
    }

    /// fail2ban's socket.
    pub fn fail2ban_socket(&self) -> &Path {
        self.daemon.client().path()
    }

    /// What holds in jails at run time only and is set again after a reload: pending values and idle.
    pub fn run_time(&self) -> Result<Vec<RunTime>, store::Error> {
        let mut all: Vec<RunTime> = Vec::new();
        for (jail, changes) in self.store.all_pending()? {
            // What this program wrote it can read; a value it no longer knows is passed over.
            let values = json::read(&changes).unwrap_or_default();
            all.push(RunTime { jail, idle: None, values });
        }
        for (jail, idle) in self.store.all_idle()? {
            match all.iter_mut().find(|known| known.jail == jail) {
                Some(known) => known.idle = Some(idle),
                None => all.push(RunTime { jail, idle: Some(idle), ..RunTime::default() }),
            }
        }
        Ok(all)
    }

    /// Where the journal of an apply is kept: beside the database, which survives a crash as well.
    pub fn apply_journal(&self) -> PathBuf {
        let mut path = self.store.path().as_os_str().to_owned();
        path.push(".apply");
        path.into()
    }

    /// Where lists and the set of imported addresses are kept: beside the database.
    pub fn set_place(&self) -> SetPlace {
        SetPlace::beside(self.store.path(), self.config.blocklist_way)
    }

    /// What the set of imported addresses holds; `None` where there is none, or where its file is damaged and the next import makes it anew.
    pub fn held(&self) -> Option<HeldFile> {
        HeldFile::open(&self.set_place().file()?).ok().flatten()
    }

    /// The time zone of schedules.
    pub fn timezone(&self) -> &str {
        self.config.timezone.as_deref().or(self.stored.timezone.as_deref()).unwrap_or("UTC")
    }

    /// How long a session lasts, in seconds.
    pub fn session_seconds(&self) -> i64 {
        let minutes = self.config.session_minutes.or(self.stored.session_minutes).unwrap_or(DEFAULT_SESSION_MINUTES);
        i64::from(minutes) * 60
    }

    /// Whether setup is done.
    pub fn is_set_up(&self) -> bool {
        self.stored.password_hash.is_some()
    }

    /// What has been seen of the daemon and its files may be out of date.
    pub fn expect_changes(&mut self) {
        self.snapshot.stale = true;
        self.backends = None;
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
                    self.restarted = true;
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

    fn look(&mut self) -> Result<Snapshot, fail2ban::Error> {
        let version = self.daemon.version()?.as_str().to_owned();
        let mut seen = Snapshot { online: true, version: Some(version), ..Snapshot::default() };
        let counters = self.daemon.all_counters()?;
        self.known_jails = counters.iter().map(|jail| jail.jail.to_string()).collect();
        for jail in counters {
            seen.jails += 1;
            seen.bans += jail.counters.currently_banned;
            seen.failures += jail.counters.currently_failed;
        }
        seen.bans += self.held().and_then(|held| held.count_at(time::now()).ok()).unwrap_or(0) as u64;
        Ok(seen)
    }
}

fn quick_daemon(socket: PathBuf) -> Daemon {
    Daemon::new(Client::new(socket, QUICK).with_rests().with_reply_limit(QUICK_REPLY))
}

fn socket_of(config: &Config, stored: &Stored) -> PathBuf {
    let given = config.fail2ban_socket.clone().or_else(|| stored.fail2ban_socket.clone());
    given.unwrap_or_else(|| DEFAULT_FAIL2BAN_SOCKET.into())
}

/// The name the kernel knows this machine by, in lower case; empty when it has none.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_ascii_lowercase()
}
