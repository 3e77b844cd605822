//! Restarts the daemon, and does not stop it before it is likely to come back.
//!
//! Where a service manager runs it, its own restart is used; else it is stopped over its socket and started again. It takes seconds and runs
//! other programs: it is meant for a child process of ours.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::reload::Installation;
use super::said;
use super::{Client, Daemon, Version};
use crate::program::{self, NotRun};

/// How long the daemon may take to end: its actions lift every ban, 24 s for 2000 of them were measured.
const STOP_LIMIT: Duration = Duration::from_secs(120);
/// How long it may take to answer once the former one has ended.
const BACK_LIMIT: Duration = Duration::from_secs(10);
/// How long one question may take while it comes up.
const ASK_LIMIT: Duration = Duration::from_millis(500);
/// How often it is asked.
const ROUND: Duration = Duration::from_millis(50);

/// Where the daemon of a service manager has its socket; one with another socket is somebody's private one.
const SERVICE_SOCKETS: [&str; 2] = ["/run/fail2ban/fail2ban.sock", "/var/run/fail2ban/fail2ban.sock"];

/// What a restart has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The version that answers now.
    pub version: String,
    /// The jails that ran before.
    pub jails_before: Vec<String>,
    /// The jails that ran ten seconds after it answered, or as soon as all were back.
    pub jails_after: Vec<String>,
}

/// Why the daemon was not restarted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartError {
    /// What would start it again cannot be run; it was not stopped.
    CannotStart(String),
    /// It would not start with the files as they are; it was not stopped.
    BadConfiguration(String),
    /// It did not stop, or the service manager refused; it may be running on.
    NotStopped(String),
    /// It was stopped, and did not come back at two attempts.
    NotBack(String),
}

impl std::fmt::Display for RestartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RestartError::CannotStart(command) => {
                write!(
                    f,
                    "not restarted: {command} cannot be run, so fail2ban would stay down; set BANGUI_FAIL2BAN_START_COMMAND"
                )
            }
            RestartError::BadConfiguration(why) => {
                write!(f, "not restarted, fail2ban would not start with its files as they are: {why}")
            }
            RestartError::NotStopped(why) => write!(f, "fail2ban did not stop: {why}"),
            RestartError::NotBack(why) => {
                write!(f, "FAIL2BAN IS DOWN, it did not come back after two attempts: {why}; start it by hand")
            }
        }
    }
}

impl std::error::Error for RestartError {}

/// How to restart.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// One command of a service manager does it all.
    Service(Vec<String>),
    /// A command of the owner's starts it; it may stay in the foreground.
    Command(Vec<String>),
    /// The daemon's own client starts it.
    Client,
}

/// Restarts the daemon. `start_command`, words divided by blanks, is what the owner has configured to start it; it comes before everything
/// else there is.
pub fn restart(daemon: &mut Daemon, place: &Installation, start_command: Option<&str>) -> Result<Report, RestartError> {
    let way = match start_command.map(|command| command.split_whitespace().map(str::to_owned).collect::<Vec<_>>()) {
        Some(words) if !words.is_empty() => Way::Command(words),
        _ => service_of(&place.socket).map_or(Way::Client, Way::Service),
    };
    restart_by(&way, daemon, place)
}

/// OpenRC takes a service that ended by itself for a running one: it neither stops it nor starts it again before it is told.
const OPENRC_RESTART: &str = "rc-service fail2ban restart || { rc-service fail2ban zap && rc-service fail2ban start; }";

/// The restart command of the service manager that runs the daemon at `socket`, if one does.
fn service_of(socket: &Path) -> Option<Vec<String>> {
    let is_default = SERVICE_SOCKETS.iter().any(|default| socket == Path::new(default));
    let managers = [
        (
            "/run/systemd/system",
            &["systemctl", "is-active", "--quiet", "fail2ban"][..],
            &["systemctl", "restart", "fail2ban"][..],
        ),
        ("/run/openrc", &["rc-service", "fail2ban", "status"], &["sh", "-c", OPENRC_RESTART]),
        ("/etc/init.d/fail2ban", &["/etc/init.d/fail2ban", "status"], &["/etc/init.d/fail2ban", "restart"]),
    ];
    let (_, _, restart) = managers.iter().filter(|_| is_default).find(|(sign, status, _)| {
        Path::new(sign).exists() && run_words(status, BACK_LIMIT).is_ok_and(|outcome| outcome.success)
    })?;
    Some(restart.iter().map(|word| (*word).to_owned()).collect())
}

fn run_words<T: AsRef<OsStr>>(words: &[T], limit: Duration) -> Result<program::Outcome, NotRun> {
    let (program, args) = words.split_first().ok_or(NotRun::Missing)?;
    let args: Vec<&OsStr> = args.iter().map(AsRef::as_ref).collect();
    program::run(Path::new(program.as_ref()), &args, limit)
}

fn restart_by(way: &Way, daemon: &mut Daemon, place: &Installation) -> Result<Report, RestartError> {
    check(way, place)?;
    let jails_before = names(daemon).unwrap_or_default();
    if let Way::Service(words) = way {
        daemon.client_mut().disconnect();
        let start = Instant::now();
        match run_words(words, STOP_LIMIT) {
            Ok(outcome) if outcome.success => {}
            Ok(outcome) => return Err(RestartError::NotStopped(said::reason(&outcome))),
            Err(error) => return Err(RestartError::NotStopped(said(&error, start))),
        }
    } else {
        stop(daemon)?;
    }
    let mut why = "it did not answer within 10 s".to_owned();
    for attempt in 0..2 {
        match way {
            // The service manager has started it already.
            Way::Service(_) if attempt == 0 => {}
            Way::Service(words) => drop(run_words(words, STOP_LIMIT)),
            Way::Command(words) => start_command(words).unwrap_or_else(|error| why = error),
            Way::Client => start_by_client(place).unwrap_or_else(|error| why = error),
        }
        if let Some(version) = wait_for_answer(place) {
            let jails_after = wait_for_jails(place, &jails_before);
            return Ok(Report { version: version.to_string(), jails_before, jails_after });
        }
    }
    Err(RestartError::NotBack(why))
}

/// Makes sure that it can be started, before it is stopped.
fn check(way: &Way, place: &Installation) -> Result<(), RestartError> {
    let program = match way {
        Way::Service(words) | Way::Command(words) => words.first().map(PathBuf::from).unwrap_or_default(),
        Way::Client => place.client.clone(),
    };
    if program::find(&program).is_none() {
        return Err(RestartError::CannotStart(program.display().to_string()));
    }
    // Where the client is on this machine, it can tell whether the files can be read at all. It finds no wrong expression, but a missing log.
    match place.run_client(&["-t"], STOP_LIMIT) {
        Ok(outcome) if !outcome.success => Err(RestartError::BadConfiguration(said::reason(&outcome))),
        _ => Ok(()),
    }
}

/// Stops the daemon over its socket and waits until it is gone. One that is not there is gone.
fn stop(daemon: &mut Daemon) -> Result<(), RestartError> {
    let still = |error: &Error| RestartError::NotStopped(error.to_string());
    match daemon.ping() {
        Ok(()) => {}
        Err(Error::Unreachable { .. }) => return Ok(()),
        Err(error) => return Err(still(&error)),
    }
    let pid = daemon.client().daemon_pid();
    let patience = daemon.client().patience();
    daemon.client_mut().set_patience(STOP_LIMIT);
    let stopped = daemon.stop_server();
    daemon.client_mut().set_patience(patience);
    match stopped {
        // A daemon that ends while it answers has ended.
        Ok(()) | Err(Error::Protocol(_) | Error::ShuttingDown) => {}
        Err(error) => return Err(still(&error)),
    }
    let deadline = Instant::now() + BACK_LIMIT;
    while !is_gone(daemon, pid) {
        if Instant::now() > deadline {
            return Err(RestartError::NotStopped("it still runs 10 s after it said it would end".to_owned()));
        }
        std::thread::sleep(ROUND);
    }
    Ok(())
}

/// Whether the process is gone, where it can be seen, and nobody listens at its socket.
fn is_gone(daemon: &mut Daemon, pid: Option<i32>) -> bool {
    // A zombie waits for its parent only.
    let runs = pid.is_some_and(|pid| {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
    });
    !runs && matches!(daemon.ping(), Err(Error::Unreachable { .. }))
}

fn start_command(words: &[String]) -> Result<(), String> {
    let (program, args) = words.split_first().ok_or_else(String::new)?;
    let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
    // Not waited for: it may be the daemon itself, in the foreground.
    program::start(Path::new(program), &args).map(drop).map_err(|error| said(&error, Instant::now()))
}

/// Has the client start it; `-x` because a daemon that was killed leaves its socket behind.
fn start_by_client(place: &Installation) -> Result<(), String> {
    let start = Instant::now();
    match place.run_client(&["-x", "start"], BACK_LIMIT) {
        Ok(outcome) if outcome.success => Ok(()),
        Ok(outcome) => Err(said::reason(&outcome)),
        Err(error) => Err(said(&error, start)),
    }
}

fn said(error: &NotRun, start: Instant) -> String {
    match error {
        NotRun::Missing => "the command is gone".to_owned(),
        NotRun::Failed(why) => why.clone(),
        NotRun::TooLong => format!("the command took more than {} s", start.elapsed().as_secs()),
    }
}

fn wait_for_answer(place: &Installation) -> Option<Version> {
    let deadline = Instant::now() + BACK_LIMIT;
    loop {
        if let Ok(version) = Daemon::new(Client::new(place.socket.clone(), ASK_LIMIT)).version() {
            return Some(version);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(ROUND);
    }
}

/// The jails come one after the other once the daemon answers.
fn wait_for_jails(place: &Installation, before: &[String]) -> Vec<String> {
    let deadline = Instant::now() + BACK_LIMIT;
    let mut daemon = Daemon::new(Client::new(place.socket.clone(), ASK_LIMIT));
    loop {
        let now = names(&mut daemon).unwrap_or_default();
        if before.iter().all(|jail| now.contains(jail)) || Instant::now() > deadline {
            return now;
        }
        std::thread::sleep(ROUND);
    }
}

fn names(daemon: &mut Daemon) -> Result<Vec<String>, Error> {
    Ok(daemon.jail_names()?.iter().map(|name| name.as_str().to_owned()).collect())
}

#[cfg(test)]
mod tests;
