//! Loads the configuration into the daemon without disarming it: reload, and the start of a stopped jail.
//!
//! A plain reload with an error in the files leaves the daemon without jails, and one after such a failure loses those that were left half
//! made. So here the jails are compared before and after, and what was lost is put back from the last commands that loaded well. The files
//! are not checked or changed here. It takes seconds and runs other programs: it is meant for a child process of ours.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Daemon;
use super::commands::version::Version;
use super::error::Error;
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
}

/// What to load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// Everything.
    All,
    /// One jail, whether it runs or not.
    Jail(String),
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The jails that ran before.
    pub jails_before: Vec<String>,
    /// The jails that run now. One that is missing is one the files no longer enable.
    pub jails_after: Vec<String>,
    /// The commands of all files as they are now: what to give to the next reload as the last good ones.
    pub stream: Stream,
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
                    "fail2ban-client is version {client}, the daemon {daemon}: reload with the daemon's own client"
                )
            }
            ReloadError::Refused(why) => write!(f, "nothing was loaded, all jails run on: {why}"),
            ReloadError::WouldLose { jails, why } => {
                write!(f, "nothing was loaded, it would cost {}: {why}", jails.join(", "))
            }
            ReloadError::NotEnabled(jail) => {
                write!(f, "the configuration does not enable jail '{jail}': set enabled = true")
            }
            ReloadError::Lost { jails, missing, why } if missing.is_empty() => {
                write!(f, "loading failed, {} put back as before: {why}", jails.join(", "))
            }
            ReloadError::Lost { missing, why, .. } => {
                write!(f, "loading failed, NOT RUNNING: {}: {why}", missing.join(", "))
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

    /// The commands of the files as they are, and the errors the client met: it leaves out a jail whose filter is missing and goes on.
    pub fn stream(&self) -> Result<(Stream, String), ReloadError> {
        let outcome = self.run_client(&["-d"], READ_LIMIT)?;
        if !outcome.success {
            return Err(ReloadError::Refused(said::errors_in(&outcome.stderr)));
        }
        match Stream::parse(&outcome.stdout) {
            Some(stream) => Ok((stream, said::errors_in(&outcome.stderr))),
            None => Err(ReloadError::Refused("fail2ban-client -d printed what is no command".to_owned())),
        }
    }
}

fn names(daemon: &mut Daemon) -> Result<Vec<String>, Error> {
    Ok(daemon.jail_names()?.iter().map(|name| name.as_str().to_owned()).collect())
}

/// What is in `these` and not in `those`.
fn without(these: &[String], those: &[String]) -> Vec<String> {
    these.iter().filter(|name| !those.contains(name)).cloned().collect()
}

/// Loads the files into the daemon, and puts back what that costs. `last_good` are the commands of the last reload that went well, where
/// there was one.
pub fn reload(
    daemon: &mut Daemon,
    place: &Installation,
    scope: &Scope,
    last_good: Option<&Stream>,
    computed: Option<&Computed>,
) -> Result<Report, ReloadError> {
    // Without the daemon's own client, the commands are those we computed ourselves, where there are any.
    let computed = match (place.check_client(daemon), computed) {
        (Err(ReloadError::NoClient | ReloadError::OtherVersion { .. }), Some(computed))
            if daemon.version()?.is_modern() =>
        {
            Some(computed)
        }
        (checked, _) => checked.map(|()| None)?,
    };
    let before = names(daemon)?;
    let (stream, errors) = match computed {
        Some(computed) => (computed.stream.clone(), computed.errors.clone()),
        None => place.stream()?,
    };
    let wanted = plan(&before, &stream.jails(), errors, scope)?;
    let outcome = match computed {
        Some(_) => send(daemon, &stream, scope)?,
        None => load(daemon, place, &before, scope)?,
    };
    let mut reload = Reload { daemon, before: &before, stream: &stream, last_good };
    let mut why = None;
    if outcome.success {
        // The daemon drops a jail that an earlier failure had left half made, and says OK.
        for jail in without(&wanted, &names(reload.daemon)?) {
            if let Err(error) = reload.make(&stream, &jail) {
                why = Some(error.to_string());
            }
        }
    } else {
        why = Some(said::reason(&outcome));
    }
    if let Some(why) = why {
        return Err(reload.put_back(scope, why)?);
    }
    let jails_after = names(daemon)?;
    Ok(Report { jails_before: before, jails_after, stream })
}

/// Has the daemon load commands that we computed.
fn send(daemon: &mut Daemon, stream: &Stream, scope: &Scope) -> Result<Outcome, ReloadError> {
    let result = match scope {
        Scope::All => daemon.reload_stream(None, stream),
        Scope::Jail(jail) => {
            let name = JailName::from_daemon(jail).map_err(|error| ReloadError::Refused(error.to_string()))?;
            let own = stream.of_jail(jail);
            if daemon.jail_names()?.contains(&name) {
                daemon.reload_stream(Some(&name), &own)
            } else {
                daemon.run_stream(&own)
            }
        }
    };
    match result {
        Ok(()) => Ok(Outcome { success: true, stdout: String::new(), stderr: String::new() }),
        Err(error @ (Error::Refused { .. } | Error::UnknownJail(_))) => {
            Ok(Outcome { success: false, stdout: error.to_string(), stderr: String::new() })
        }
        Err(error) => Err(error.into()),
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
        Scope::Jail(jail) => {
            if started.contains(jail) {
                let mut wanted = before.to_vec();
                if !wanted.contains(jail) {
                    wanted.push(jail.clone());
                }
                Ok(wanted)
            } else if errors.is_empty() {
                Err(ReloadError::NotEnabled(jail.clone()))
            } else if before.contains(jail) {
                Err(ReloadError::WouldLose { jails: vec![jail.clone()], why: errors })
            } else {
                Err(ReloadError::Refused(errors))
            }
        }
    }
}

/// Has the client load the files.
fn load(daemon: &mut Daemon, place: &Installation, before: &[String], scope: &Scope) -> Result<Outcome, ReloadError> {
    // Our own connection is closed meanwhile: the daemon accepts few.
    let modern = daemon.version()?.is_modern();
    daemon.client_mut().disconnect();
    let nothing = Outcome { success: true, stdout: String::new(), stderr: String::new() };
    Ok(match scope {
        Scope::All => place.run_client(&["reload"], LOAD_LIMIT)?,
        Scope::Jail(jail) if modern => place.run_client(&["reload", "--if-exists", jail], LOAD_LIMIT)?,
        Scope::Jail(jail) if before.contains(jail) => place.run_client(&["reload", jail], LOAD_LIMIT)?,
        // 0.9 cannot reload what does not run; it is made from its commands.
        Scope::Jail(_) => nothing,
    })
}

/// A reload that has to be repaired.
struct Reload<'a> {
    daemon: &'a mut Daemon,
    before: &'a [String],
    stream: &'a Stream,
    last_good: Option<&'a Stream>,
}

impl Reload<'_> {
    /// Makes one jail from its commands. One that fails half-way is removed, since it would break the next reload.
    fn make(&mut self, stream: &Stream, jail: &str) -> Result<(), Error> {
        let commands = stream.of_jail(jail);
        if commands.is_empty() {
            return Err(Error::UnknownJail(jail.to_owned()));
        }
        let result = self.daemon.run_stream(&commands);
        if result.is_err() {
            self.remove(jail);
        }
        result
    }

    fn remove(&mut self, jail: &str) {
        if let Ok(name) = JailName::from_daemon(jail) {
            // What cannot be removed is found by the comparison afterwards.
            let _ = self.daemon.stop_jail(&name);
        }
    }

    /// Brings back the jails that are missing, from the last good commands or else, jail by jail, from the present ones.
    fn put_back(&mut self, scope: &Scope, why: String) -> Result<ReloadError, ReloadError> {
        let now = names(self.daemon)?;
        let lost = without(self.before, &now);
        // What a failed reload has newly made is half made.
        for jail in without(&now, self.before) {
            self.remove(&jail);
        }
        if lost.is_empty() {
            return Ok(ReloadError::Refused(why));
        }
        if let (Scope::All, Some(good)) = (scope, self.last_good)
            && self.daemon.version()?.is_modern()
        {
            // Its failure shows in what is missing below.
            let _ = self.daemon.reload_stream(None, good);
        }
        for stream in self.last_good.into_iter().chain([self.stream]) {
            for jail in without(&lost, &names(self.daemon)?) {
                // Likewise.
                let _ = self.make(stream, &jail);
            }
        }
        let missing = without(&lost, &names(self.daemon)?);
        Ok(ReloadError::Lost { jails: lost, missing, why })
    }
}

#[cfg(test)]
mod tests;
