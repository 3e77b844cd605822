//! Loads the configuration into the daemon without disarming it: reload, and the start of a stopped jail.
//!
//! A plain reload with an error in the files leaves the daemon without jails, one after such a failure loses those that were left half
//! made, and actions that are new or changed are lost in it or never started. So the commands that fail2ban's client computes are loaded
//! here jail by jail, and a jail that was lost is put back from the last commands that loaded well. The files are not checked or changed. It takes seconds and runs other programs: it is meant for a child process of ours.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Daemon;
use super::commands::fresh::Defaults;
use super::commands::version::Version;
use super::difference::{Strictness, difference};
use super::error::Error;
use super::keep::{Kept, Restarted, start_anew};
use super::said;
use super::stream::Stream;
use crate::domain::names::JailName;
use crate::program::{self, NotRun, Outcome};

/// How long the client may take to read the files: 0.2 s for a hundred jails on a fast machine, a hundred times that on a slow one.
const READ_LIMIT: Duration = Duration::from_secs(30);
/// How long it may take to have the daemon load them: each jail that ends runs its actions.
const LOAD_LIMIT: Duration = Duration::from_secs(120);

/// Where the daemon and its client are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installation {
    /// The daemon's socket.
    pub socket: PathBuf,
    /// The directory with `jail.conf`.
    pub config_dir: PathBuf,
    /// The daemon's pid file, where it is not the one the files name.
    pub pid_file: Option<PathBuf>,
    /// The client: a path, or a name to be searched.
    pub client: PathBuf,
    /// The version of the daemon, where it was seen; its files are read as that reads them.
    #[serde(default)]
    pub version: Option<String>,
}

/// What to load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// Everything.
    All,
    /// These jails, whether they run or not.
    Jails {
        /// Their names.
        names: Vec<String>,
        /// Whether one that the files do not enable is stopped; else that is an error.
        stops: bool,
    },
}

/// The commands of all files, computed without the client.
#[derive(Debug, Clone, PartialEq)]
pub struct Computed {
    /// The commands.
    pub stream: Stream,
    /// Why jails were left out; empty where none was.
    pub errors: String,
}

/// What a reload has done.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The jails that ran before.
    pub jails_before: Vec<String>,
    /// The jails that run now. One that is missing is one the files no longer enable.
    pub jails_after: Vec<String>,
    /// The commands of all files as they are now: what to give to the next reload as the last good ones.
    pub stream: Stream,
    /// The jails that were loaded.
    pub loaded: Vec<String>,
    /// The jails that had to be restarted.
    pub restarted: Vec<Restarted>,
    /// What empty jails have.
    pub defaults: Vec<Defaults>,
}

/// Why nothing was loaded, or not everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ReloadError {
    /// There is no client on this machine.
    NoClient,
    /// The client is of another version than the daemon, whose jails it might cost.
    OtherVersion {
        /// The client's.
        client: String,
        /// The daemon's.
        daemon: String,
    },
    /// The client or the daemon refused the files; all jails are as before.
    Refused(String),
    /// Loading would have cost these jails, so it was not tried.
    WouldLose {
        /// The jails.
        jails: Vec<String>,
        /// What is wrong with the files.
        why: String,
    },
    /// The files do not enable the jail.
    NotEnabled(String),
    /// Loading has cost jails.
    Lost {
        /// The jails that were lost.
        jails: Vec<String>,
        /// Those of them that are still missing; the others were put back as they were.
        missing: Vec<String>,
        /// What was wrong.
        why: String,
    },
    /// It was loaded, and the daemon has something else in force than the files say.
    Differs {
        /// The jail.
        jail: String,
        /// What differs, in words that follow its name.
        what: String,
    },
    /// The client did not finish in time.
    TooLong,
    /// The daemon did not answer as it should.
    Daemon(Error),
}

impl std::fmt::Display for ReloadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ReloadError::NoClient => {
                write!(f, "fail2ban-client is not on this machine: install it, or reload where fail2ban runs")
            }
            ReloadError::OtherVersion { client, daemon } => {
                write!(
                    f,
                    "fail2ban-client is version {client}, the daemon is {daemon}: reload with the daemon's own client"
                )
            }
            ReloadError::Refused(why) => write!(f, "nothing was loaded, all jails run on: {why}"),
            ReloadError::WouldLose { jails, why } => {
                write!(f, "nothing was loaded, because these jails would be lost: {}: {why}", jails.join(", "))
            }
            ReloadError::NotEnabled(jail) => {
                write!(f, "the configuration does not enable jail '{jail}': set enabled = true")
            }
            ReloadError::Lost { jails, missing, why } if missing.is_empty() => {
                write!(f, "loading failed, and {} put back as before: {why}", jails.join(", "))
            }
            ReloadError::Lost { missing, why, .. } => {
                write!(f, "loading failed, and these jails are NOT RUNNING: {}: {why}", missing.join(", "))
            }
            ReloadError::Differs { jail, what } => {
                write!(f, "after loading, fail2ban's jail '{jail}' {what}: look at fail2ban's log for the reason")
            }
            ReloadError::TooLong => write!(f, "fail2ban-client did not finish in time: look at the daemon's log"),
            ReloadError::Daemon(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReloadError {}

impl From<Error> for ReloadError {
    fn from(error: Error) -> ReloadError {
        ReloadError::Daemon(error)
    }
}

impl From<NotRun> for ReloadError {
    fn from(error: NotRun) -> ReloadError {
        match error {
            NotRun::Missing => ReloadError::NoClient,
            NotRun::Failed(why) => ReloadError::Refused(format!("fail2ban-client cannot be started: {why}")),
            NotRun::TooLong => ReloadError::TooLong,
        }
    }
}

impl Installation {
    /// The version that its files are read as: the daemon's, else that of the package its client belongs to. `None` where neither is known.
    pub fn release(&self) -> Option<String> {
        self.version.clone().or_else(|| super::installed::version(&self.client))
    }

    /// Runs the client on this installation.
    pub(super) fn run_client(&self, words: &[&str], limit: Duration) -> Result<Outcome, NotRun> {
        let mut args: Vec<&OsStr> = vec!["-s".as_ref(), self.socket.as_ref(), "-c".as_ref(), self.config_dir.as_ref()];
        if let Some(pid_file) = &self.pid_file {
            args.extend([OsStr::new("-p"), pid_file.as_ref()]);
        }
        args.extend(words.iter().map(OsStr::new));
        program::run(&self.client, &args, limit)
    }

    /// Makes sure that there is a client and that it is of the daemon's version. The two differ when one of them is in a container, and a
    /// client then sends what the daemon does not know, which costs all jails.
    pub fn check_client(&self, daemon: &mut Daemon) -> Result<(), ReloadError> {
        let outcome = program::run(&self.client, &["-V".as_ref()], READ_LIMIT)?;
        // 0.9 says `Fail2Ban v0.9.7` and who wrote it.
        let mut words = outcome.stdout.split_whitespace().map(|word| word.trim_start_matches('v'));
        let client = words.find_map(Version::parse);
        let daemon = daemon.version()?;
        match client {
            Some(client) if client == daemon => Ok(()),
            other => {
                let client = other.map_or("unknown".to_owned(), |version| version.to_string());
                Err(ReloadError::OtherVersion { client, daemon: daemon.to_string() })
            }
        }
    }

    /// The commands of the files as they are, the errors the client met (it leaves out a jail whose filter is missing and goes on), and the
    /// jails of whose log files none exists.
    pub fn stream(&self) -> Result<(Stream, String, Vec<String>), ReloadError> {
        let outcome = self.run_client(&["-d"], READ_LIMIT)?;
        if !outcome.success {
            return Err(ReloadError::Refused(said::errors_in(&outcome.stderr)));
        }
        match Stream::parse(&outcome.stdout) {
            Some(stream) => {
                let without_logs = said::without_logs(&outcome.stderr);
                let started = stream.jails();
                let without_logs = without_logs.filter(|jail| started.iter().any(|name| name == jail));
                let without_logs = without_logs.map(str::to_owned).collect();
                Ok((stream, said::errors_in(&outcome.stderr), without_logs))
            }
            None => Err(ReloadError::Refused("fail2ban-client -d printed what is no command".to_owned())),
        }
    }
}

fn names(daemon: &mut Daemon) -> Result<Vec<String>, Error> {
    Ok(daemon.jail_names()?.iter().map(|name| name.as_str().to_owned()).collect())
}

/// The jails that can be loaded, stopped and put back. One whose name the daemon takes for a word of its own cannot stand in any file and
/// cannot be made again: a load leaves it alone.
fn commandable(daemon: &mut Daemon) -> Result<Vec<String>, Error> {
    Ok(names(daemon)?.into_iter().filter(|name| !is_taken(name)).collect())
}

fn is_taken(jail: &str) -> bool {
    JailName::from_daemon(jail).is_ok_and(|name| name.is_taken())
}

/// What is in `these` and not in `those`.
fn without(these: &[String], those: &[String]) -> Vec<String> {
    these.iter().filter(|name| !those.contains(name)).cloned().collect()
}

/// Loads the files into the daemon, and puts back what that costs. `last_good` are the commands of the last reload that went well, where
/// there was one.
///
/// Jail by jail, so that a mistake that only the daemon finds costs one of them for a moment, and not all. A jail whose actions or source
/// of lines differ is stopped first, while the daemon has its old commands, and started from the new ones with its bans.
pub fn reload(
    daemon: &mut Daemon,
    place: &Installation,
    scope: &Scope,
    last_good: Option<&Stream>,
    computed: Option<&Computed>,
) -> Result<Report, ReloadError> {
    let (running, before) = (names(daemon)?, commandable(daemon)?);
    let (stream, errors) = commands(daemon, place, scope, computed)?;
    let wanted = plan(&before, &stream.jails(), errors, scope)?;
    let loaded: Vec<String> = match scope {
        Scope::All => stream.jails(),
        Scope::Jails { names, .. } => stream.jails().into_iter().filter(|jail| names.contains(jail)).collect(),
    };
    if let Some(jail) = loaded.iter().find(|jail| is_taken(jail)) {
        // Its commands would be the daemon's own: `set logtarget usedns warn` has it log to a file `usedns`.
        let why =
            format!("fail2ban takes the name of jail '{jail}' for a word of its own: give its section another name");
        return Err(ReloadError::Refused(why));
    }
    let mut reload =
        Reload { daemon, before: &before, stream: &stream, last_good, restarted: Vec::new(), kept: Vec::new() };
    let mut defaults = Vec::new();
    if reload.daemon.version()?.is_modern() {
        // Nothing is touched before that went well.
        let own: Vec<(&str, Stream)> = loaded.iter().map(|jail| (jail.as_str(), stream.of_jail(jail))).collect();
        if let Some((jail, why)) = reload.daemon.rehearse(&own, &mut defaults)? {
            return Err(ReloadError::Refused(format!("jail '{jail}': {why}")));
        }
    }
    let outcome = match reload.daemon.version()?.is_modern() {
        true => reload.load(scope, &loaded),
        false => reload.load_old(place, scope, &loaded),
    };
    let why = match outcome {
        Ok(()) => {
            let missing = without(&wanted, &names(reload.daemon)?);
            if missing.is_empty() { None } else { Some(format!("{} did not start", missing.join(", "))) }
        }
        Err(ReloadError::Daemon(error @ (Error::Refused { .. } | Error::UnknownJail(_)))) => Some(error.to_string()),
        Err(ReloadError::Refused(why)) => Some(why),
        Err(error) => return Err(error),
    };
    if let Some(why) = why {
        return Err(reload.put_back(why)?);
    }
    let restarted = reload.restarted;
    let jails_after = names(daemon)?;
    Ok(Report { jails_before: running, jails_after, stream, loaded, restarted, defaults })
}

/// The commands of the files, and the errors that fail2ban's client met.
fn commands(
    daemon: &mut Daemon,
    place: &Installation,
    scope: &Scope,
    computed: Option<&Computed>,
) -> Result<(Stream, String), ReloadError> {
    // Without the daemon's own client, the commands are those we computed ourselves, where there are any.
    let computed = match (place.check_client(daemon), computed) {
        (Err(ReloadError::NoClient | ReloadError::OtherVersion { .. }), Some(computed))
            if daemon.version()?.is_modern() =>
        {
            Some(computed)
        }
        (checked, _) => checked.map(|()| None)?,
    };
    match computed {
        Some(computed) => Ok((computed.stream.clone(), computed.errors.clone())),
        None => {
            let (stream, errors, without_logs) = place.stream()?;
            // To print commands the client does without the log files that it demands to load them.
            let is_loaded = |jail: &&String| match scope {
                Scope::All => true,
                Scope::Jails { names, .. } => names.contains(jail),
            };
            if let Some(jail) = without_logs.iter().find(is_loaded) {
                return Err(ReloadError::Refused(format!("no log file of jail {jail} exists")));
            }
            Ok((stream, errors))
        }
    }
}

/// The jails that must run afterwards; an error where the files would cost one by mistake. One that the files no longer enable is no mistake.
fn plan(before: &[String], started: &[String], errors: String, scope: &Scope) -> Result<Vec<String>, ReloadError> {
    match scope {
        Scope::All => {
            let lost = without(before, started);
            if started.is_empty() && !before.is_empty() {
                // Nobody means to switch everything off by a reload: a directory is empty, or another one than the daemon's.
                let why = if errors.is_empty() { "the files enable no jail at all".to_owned() } else { errors };
                return Err(ReloadError::WouldLose { jails: lost, why });
            }
            if lost.is_empty() || errors.is_empty() {
                Ok(started.to_vec())
            } else {
                Err(ReloadError::WouldLose { jails: lost, why: errors })
            }
        }
        Scope::Jails { names, stops } => {
            let mut wanted = before.to_vec();
            for jail in names {
                match (started.contains(jail), before.contains(jail), errors.is_empty()) {
                    (true, true, _) => {}
                    (true, false, _) => wanted.push(jail.clone()),
                    (false, _, true) if *stops => wanted.retain(|name| name != jail),
                    (false, _, true) => return Err(ReloadError::NotEnabled(jail.clone())),
                    (false, true, false) => {
                        return Err(ReloadError::WouldLose { jails: vec![jail.clone()], why: errors });
                    }
                    (false, false, false) => return Err(ReloadError::Refused(errors)),
                }
            }
            Ok(wanted)
        }
    }
}

/// A reload that is under way.
struct Reload<'a> {
    daemon: &'a mut Daemon,
    before: &'a [String],
    stream: &'a Stream,
    last_good: Option<&'a Stream>,
    restarted: Vec<Restarted>,
    /// The bans of jails that were stopped.
    kept: Vec<(String, Kept)>,
}

impl Reload<'_> {
    fn load(&mut self, scope: &Scope, loaded: &[String]) -> Result<(), ReloadError> {
        if *scope == Scope::All {
            self.daemon.run_stream(&self.stream.of_server())?;
        }
        loaded.iter().try_for_each(|jail| self.load_jail(jail))?;
        let mut gone = without(self.before, loaded);
        if let Scope::Jails { names, .. } = scope {
            gone.retain(|jail| names.contains(jail));
        }
        gone.iter().try_for_each(|jail| self.stop(jail))
    }

    fn load_jail(&mut self, jail: &str) -> Result<(), ReloadError> {
        let name = JailName::from_daemon(jail).map_err(|error| ReloadError::Refused(error.to_string()))?;
        let own = self.stream.of_jail(jail);
        if !self.before.iter().any(|running| running == jail) {
            return Ok(start_anew(self.daemon, &name, &own)?);
        }
        let differs = difference(self.daemon, &name, &own, Strictness::BeforeLoad)?.is_some()
            || self.backend_before(jail).is_some_and(|backend| Some(backend) != own.backend());
        if differs {
            let kept = Kept::read(self.daemon, &name)?;
            let began = Instant::now();
            self.kept.push((jail.to_owned(), kept.clone()));
            self.daemon.stop_jail(&name)?;
            self.restarted.push(kept.start(self.daemon, &name, &own, began)?);
            return Ok(());
        }
        Ok(self.daemon.reload_stream(Some(&name), &own)?)
    }

    /// What the jail was made with, as far as it is known: the daemon restarts it by itself where that changes, and keeps no ban for it.
    fn backend_before(&self, jail: &str) -> Option<&str> {
        self.last_good?.backend_of(jail)
    }

    fn stop(&mut self, jail: &str) -> Result<(), ReloadError> {
        let name = JailName::from_daemon(jail).map_err(|error| ReloadError::Refused(error.to_string()))?;
        self.kept.push((jail.to_owned(), Kept::read(self.daemon, &name)?));
        self.daemon.stop_jail(&name)?;
        Ok(())
    }

    /// Has the client of a daemon before 0.10 load the files: it stops what it loads.
    fn load_old(&mut self, place: &Installation, scope: &Scope, loaded: &[String]) -> Result<(), ReloadError> {
        // Our own connection is closed meanwhile: the daemon accepts few.
        self.daemon.client_mut().disconnect();
        let mut outcomes = Vec::new();
        match scope {
            Scope::All => outcomes.push(place.run_client(&["reload"], LOAD_LIMIT)?),
            Scope::Jails { .. } => {
                for jail in loaded {
                    // It cannot reload what does not run; that is made from its commands.
                    match self.before.contains(jail) {
                        true => outcomes.push(place.run_client(&["reload", jail], LOAD_LIMIT)?),
                        false => self.load_jail(jail)?,
                    }
                }
            }
        }
        let failed = outcomes.iter().find(|outcome| !outcome.success);
        failed.map_or(Ok(()), |outcome| Err(ReloadError::Refused(said::reason(outcome))))
    }

    /// Makes one jail from these commands, with the bans it had.
    fn make(&mut self, stream: &Stream, jail: &str) -> Result<(), Error> {
        let commands = stream.of_jail(jail);
        let Ok(name) = JailName::from_daemon(jail) else { return Err(Error::UnknownJail(jail.to_owned())) };
        if commands.is_empty() {
            return Err(Error::UnknownJail(jail.to_owned()));
        }
        match self.kept.iter().find(|(kept, _)| kept == jail) {
            Some((_, kept)) => kept.start(self.daemon, &name, &commands, Instant::now()).map(drop),
            // A reload in place has cost it; its bans are in the daemon's database.
            None => Kept::default().start(self.daemon, &name, &commands.restoring(-1), Instant::now()).map(drop),
        }
    }

    /// Brings back the jails that are missing, from the last good commands or else, jail by jail, from the present ones.
    fn put_back(&mut self, why: String) -> Result<ReloadError, ReloadError> {
        let now = names(self.daemon)?;
        let lost = without(self.before, &now);
        // What a failed reload has newly made is half made.
        for jail in without(&now, self.before) {
            if let Ok(name) = JailName::from_daemon(&jail) {
                // What cannot be removed is found by the comparison afterwards.
                let _ = self.daemon.stop_jail(&name);
            }
        }
        if lost.is_empty() {
            return Ok(ReloadError::Refused(why));
        }
        let last_good = self.last_good;
        for stream in last_good.into_iter().chain([self.stream]) {
            for jail in without(&lost, &names(self.daemon)?) {
                // Its failure shows in what is missing below.
                let _ = self.make(stream, &jail);
            }
        }
        let missing = without(&lost, &names(self.daemon)?);
        Ok(ReloadError::Lost { jails: lost, missing, why })
    }
}

#[cfg(test)]
mod tests;
