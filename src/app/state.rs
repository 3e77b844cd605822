//! The state of the program that handlers work with: settings, database, the daemon and what was last seen of it.

use std::collections::BTreeMap;
use std::hash::RandomState;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::remembered::Remembered;
use crate::apply::RunTime;
use crate::blocklist::held::HeldFile;
use crate::config::{Config, DEFAULT_FAIL2BAN_SOCKET, DEFAULT_SESSION_MINUTES};
use crate::domain::hex::hex;
use crate::domain::history::Place;
use crate::domain::jail_values::JailValues;
use crate::domain::json;
use crate::domain::permission::Commands;
use crate::domain::time;
use crate::fail2ban::database::Page;
use crate::fail2ban::{self, Client, commands::Daemon};
use crate::geo::asking::Asking;
use crate::geo::{Geo, GeoSource};
use crate::jobs::Task;
use crate::jobs::held_set::SetPlace;
use crate::jobs::their_database::Theirs;
use crate::machine;
use crate::server::listen::Address;
use crate::server::response::Response;
use crate::store::{self, Store, settings::Stored};

use super::acting::{Acting, Refusals};
use super::banned::Banned;
use super::challenges::Challenges;
use super::daemon_log::DaemonLog;
use super::error::ApiError;
use super::failing::Failing;
use super::gzip::Gzip;
use super::imports::{Running, Tending};
use super::late::Late;
use super::limits::Limits;
use super::long_jobs::LongJobs;
use super::metrics::Metrics;
use super::never_ban::NeverBans;
use super::notifying::Notifying;
use super::own_bans::OwnBans;
use super::pauses::Pauses;
use super::protection::Protection;
use super::request_ids::RequestIds;
use super::restoring::Restoring;
use super::seen::{ByHand, ProxiesSaid, Restarted, ServerFiles, Snapshot, TheirDatabase};
use super::uses::Uses;

/// How long a quick command may hold the loop.
pub const QUICK: Duration = Duration::from_millis(300);

/// The longest answer to a quick command, in bytes: longer ones are lists, and lists are a child's work. A daemon
/// before 0.10 sends its bans along with every status, 20 bytes each.
const QUICK_REPLY: usize = 2 * 1024 * 1024;

/// Everything a handler works with.
#[derive(Debug)]
pub struct Ctx {
    /// Who is acting in this turn of the loop: what is written notes it.
    pub acting: Acting,
    /// What was refused and is not written down yet.
    pub refusals: Refusals,
    /// Only what a request would do is wanted: whoever would write says that instead.
    pub dry_run: bool,
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
    /// What is banned now.
    pub banned: Banned,
    /// What of it was banned here.
    pub own_bans: OwnBans,
    /// Who is failing now.
    pub failing: Failing,
    /// What metrics need beside that.
    pub metrics: Metrics,
    /// When sessions and keys were last used.
    pub uses: Uses,
    /// Logins that still lack the second factor.
    pub challenges: Challenges,
    /// Whether what is asked for in this turn may change commands that root runs, as far as who asks is concerned.
    pub holds_actions: bool,
    /// Work whose clients do not wait for its end.
    pub long_jobs: LongJobs,
    /// Many bans are being made or lifted: what is noted of them is not compared with what the daemon has.
    pub bulk_is_under_way: bool,
    /// What could not be noted of bans, and is noted later.
    pub late: Late,
    /// What is to be done next for the request whose task has ended, before it is answered.
    pub next_job: Option<Box<Job>>,
    /// What is never banned.
    pub never_ban: NeverBans,
    /// Jails that rest until a given time.
    pub pauses: Pauses,
    /// Whether this machine is protected.
    pub protection: Protection,
    /// What is being told to people.
    pub notifying: Notifying,
    /// The daemon may have started again: what held at run time only is to be set again.
    pub restarted: bool,
    /// What could not be set again, a sentence each.
    pub not_in_force: Vec<String>,
    /// How many daemons its client had met when that was last looked at.
    pub(super) daemons_met: u64,
    /// A child of ours keeps it busy.
    pub daemon_is_taken: bool,
    /// Why it was not reached, where it was not, when it was last looked at.
    pub away: Option<fail2ban::Error>,
    /// Answers about the configuration that still hold.
    pub remembered: Remembered,
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
    /// What it tells of what it does.
    pub daemon_log: DaemonLog,
    /// What it restores after its start.
    pub restoring: Restoring,
    /// What somebody has changed of the files by hand, as it was found: a timer writes it down.
    pub by_hand: Option<ByHand>,
    /// How many changes were written down since the start.
    pub changes_noted: u64,
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
    /// Who has it may set up from anywhere, once; it is in the setup link.
    pub setup_code: String,
    /// Where this server listens.
    pub listens: Vec<Address>,
    /// The general rate limits.
    pub limits: Limits,
    /// What was said about proxies.
    pub proxies_said: ProxiesSaid,
    /// The import of blocklists under way.
    pub import: Option<Running>,
    /// The set of imported addresses.
    pub tending: Tending,
    /// Jobs of timers, which no client waits for; the loop starts them.
    pub background: Vec<Job>,
    /// The backends of jails as the files name them, for daemons that do not tell; read again when the snapshot is stale.
    pub(super) backends: Option<BTreeMap<String, String>>,
    /// What the daemon's own files say of it, and when they were read.
    pub(super) server_files: Option<(Option<ServerFiles>, Instant)>,
    /// The name of this machine, in lower case.
    pub host_name: String,
    /// Packs answers.
    pub gzip: Gzip,
    /// Makes numbers of states, others after each start.
    pub(super) numbers: RandomState,
    /// Origins of this program's own addresses need no entry here: they are same-origin.
    pub request_ids: RequestIds,
}

/// Work for a child, and what becomes of its outcome.
pub struct Job {
    /// What the child does.
    pub task: Task,
    /// Waits before others of its lane.
    pub urgent: bool,
    /// Goes on when the client leaves.
    pub detached: bool,
    /// Takes back what was done for it beforehand, where it fails.
    pub undo: Option<Undo>,
    /// How its outcome becomes an answer.
    pub then: Then,
}

/// Turns the result of a child into an answer, on the loop.
pub type Finish = Box<dyn FnOnce(&mut Ctx, Value) -> Result<Response, ApiError>>;

/// Takes back, on the loop, what was done for a task that has failed.
pub type Undo = Box<dyn FnOnce(&mut Ctx)>;

/// How the outcome of a task becomes an answer.
pub enum Then {
    /// From its result.
    Finish(Finish),
    /// What it sends is the JSON of the answer; whether packed with gzip.
    Stream(bool),
}

/// What a step of long work on our own database led to.
#[derive(Debug)]
pub enum Step {
    /// There is more to do.
    More,
    /// A number of what the answer will say, before it is streamed: whoever has it already is told so, and it goes on for the others.
    State(u64),
    /// A part of the JSON of the answer; more follows.
    Part(Vec<u8>),
    /// The answer, or the last part of its JSON.
    Done(Response),
    /// A child does the rest.
    Job(Box<Job>),
}

/// Work on our own database that may be too long for one turn of the loop: a few milliseconds each time it is called, until it is done.
pub type Steps = Box<dyn FnMut(&mut Ctx) -> Result<Step, ApiError>>;

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("task", &self.task).finish_non_exhaustive()
    }
}

impl Job {
    /// A task whose result `finish` turns into the answer.
    pub fn new(task: Task, finish: impl FnOnce(&mut Ctx, Value) -> Result<Response, ApiError> + 'static) -> Self {
        Self { task, urgent: false, detached: false, undo: None, then: Then::Finish(Box::new(finish)) }
    }

    /// A task that writes the answer itself, packed with gzip or not.
    pub fn stream(task: Task, packed: bool) -> Self {
        Self { task, urgent: false, detached: false, undo: None, then: Then::Stream(packed) }
    }

    /// The same; `undo` is called where it fails.
    pub fn undone_by(mut self, undo: impl FnOnce(&mut Ctx) + 'static) -> Self {
        self.undo = Some(Box::new(undo));
        self
    }

    /// The same, to its end even when the client leaves.
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }
}

/// What a handler led to.
pub enum Outcome {
    /// The answer.
    Answer(Response),
    /// A child works on it.
    Job(Box<Job>),
    /// The loop works on it, between other things.
    Steps(Steps),
    /// The daemon is being read: the request is handled again when that has ended.
    Again,
    /// The request is handled again when the archive has everything that fail2ban has told so far.
    AfterArchive,
}

impl Ctx {
    /// The state at start.
    pub fn new(config: Config, store: Store) -> Result<Self, store::Error> {
        let stored = store.stored()?;
        let own_bans = OwnBans::new(store.own_bans()?, Instant::now());
        let pauses = Pauses::of(&store)?;
        let protection = Protection::of(&store, Instant::now())?;
        let notifying = Notifying::of(&store)?;
        let never_ban = NeverBans::new(store.never_ban()?, Instant::now());
        let socket = socket_of(&config, &stored);
        let geo = Geo::new(config.geoip_database.clone(), config.database.parent().map(Path::to_owned));
        let mut ctx = Self {
            acting: Acting::SYSTEM,
            refusals: Refusals::default(),
            dry_run: false,
            has_places: store.places()? > 0,
            asking: Asking::default(),
            daemon_is_taken: false,
            away: None,
            remembered: Remembered::default(),
            known_jails: Vec::new(),
            changed_while_hung: Vec::new(),
            last_restart: None,
            known_database: None,
            their_page: None,
            their_database: TheirDatabase::Unknown,
            daemon_log: DaemonLog::default(),
            restoring: Restoring::default(),
            by_hand: None,
            changes_noted: 0,
            storage_fails: false,
            resolve_from: None,
            geo,
            daemon: quick_daemon(socket),
            config,
            stored,
            store,
            snapshot: Snapshot::default(),
            banned: Banned::default(),
            own_bans,
            failing: Failing::default(),
            metrics: Metrics::default(),
            uses: Uses::default(),
            challenges: Challenges::default(),
            holds_actions: true,
            long_jobs: LongJobs::default(),
            bulk_is_under_way: false,
            late: Late::default(),
            next_job: None,
            never_ban,
            pauses,
            protection,
            notifying,
            restarted: false,
            not_in_force: Vec::new(),
            daemons_met: 0,
            setup_code: hex(&getrandom::u64().expect("the kernel has random bytes").to_be_bytes()),
            listens: Vec::new(),
            limits: Limits::default(),
            proxies_said: ProxiesSaid::default(),
            import: None,
            tending: Tending::default(),
            background: Vec::new(),
            backends: None,
            server_files: None,
            host_name: machine::host_name(),
            gzip: Gzip::default(),
            numbers: RandomState::new(),
            request_ids: RequestIds::default(),
        };
        ctx.take_stored_settings()?;
        Ok(ctx)
    }

    /// Does something in the name of somebody.
    pub fn acting_as<T>(&mut self, who: Acting, work: impl FnOnce(&mut Ctx) -> T) -> T {
        self.acting = who;
        let done = work(self);
        self.acting = Acting::SYSTEM;
        done
    }

    /// Reads again what setup stored, after it changed.
    pub fn reload_stored(&mut self) -> Result<(), store::Error> {
        self.stored = self.store.stored()?;
        self.take_stored_settings()?;
        let socket = socket_of(&self.config, &self.stored);
        if socket != self.fail2ban_socket() {
            self.daemon = quick_daemon(socket);
            self.daemons_met = 0;
            self.banned = Banned::default();
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

    /// fail2ban's socket.
    pub fn fail2ban_socket(&self) -> &Path {
        self.daemon.client().path()
    }

    /// What holds in jails at run time only and is set again after a reload: pending values and idle.
    pub fn run_time(&self) -> Result<Vec<RunTime>, store::Error> {
        let mut all: Vec<RunTime> = Vec::new();
        for (jail, changes) in self.store.all_pending()? {
            // What this program wrote it can read; a value it no longer knows is passed over.
            let mut values: JailValues = json::read(&changes).unwrap_or_default();
            if let Some(list) = &mut values.ignore_ips {
                // The daemon is given a whole list.
                list.extend(self.never_ban.told().into_iter().filter(|own| own.holds_in(&jail)).map(|own| own.entry));
            }
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
        SetPlace::beside(self.store.path(), self.config.blocklist_way, self.config.blocklist_reach)
    }

    /// What the set of imported addresses holds; `None` where there is none, or where its file is damaged and the next import makes it anew.
    pub fn held(&self) -> Option<HeldFile> {
        HeldFile::open(&self.set_place().file()?).ok().flatten()
    }

    /// The time zone of schedules, and of what is shown.
    pub fn timezone(&self) -> &str {
        self.config.timezone.as_deref().unwrap_or("UTC")
    }

    /// How long a session lasts, in seconds.
    pub fn session_seconds(&self) -> i64 {
        let minutes = self.config.session_minutes.or(self.stored.session_minutes).unwrap_or(DEFAULT_SESSION_MINUTES);
        i64::from(minutes) * 60
    }

    /// Whether commands that root runs may be changed by who asks.
    pub fn commands(&self) -> Commands {
        match (self.config.allow_action_edit, self.holds_actions) {
            (false, _) => Commands::Off,
            (true, false) => Commands::OutOfScope,
            (true, true) => Commands::Allowed,
        }
    }

    /// Whether setup is done.
    pub fn is_set_up(&self) -> bool {
        self.stored.password_hash.is_some()
    }
}

fn quick_daemon(socket: PathBuf) -> Daemon {
    Daemon::new(Client::new(socket, QUICK).with_rests().with_reply_limit(QUICK_REPLY))
}

fn socket_of(config: &Config, stored: &Stored) -> PathBuf {
    let given = config.fail2ban_socket.clone().or_else(|| stored.fail2ban_socket.clone());
    given.unwrap_or_else(|| DEFAULT_FAIL2BAN_SOCKET.into())
}
