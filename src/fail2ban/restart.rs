//! Restarts the daemon, whatever state it is in, and does not end it before it is likely to come back.
//!
//! Where a service manager runs it, its own restart is used; else it is stopped over its socket and started again. One that does not listen
//! any more is ended as a process. It takes seconds and runs other programs: it is meant for a child process of ours.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::error::{Error, Reason};
use super::process::{Ended, Process};
use super::reload::Installation;
use super::said;
use super::{Client, Daemon, Version};
use crate::domain::names::JailName;
use crate::program::{self, NotRun, Started};

/// How long the daemon may take to end: its actions lift every ban, 24 s for 2000 of them were measured.
const STOP_LIMIT: Duration = Duration::from_secs(120);
/// How long it may take to answer once the former one has ended.
const BACK_LIMIT: Duration = Duration::from_secs(10);
/// How long one question may take while it comes up.
const ASK_LIMIT: Duration = Duration::from_millis(500);
/// How often it is asked.
const ROUND: Duration = Duration::from_millis(50);
/// How long the new daemon may take to take up the bans of a killed one.
const RESTORE_LIMIT: Duration = Duration::from_secs(5);

/// Where the daemon of a service manager has its socket; one with another socket is somebody's private one.
const SERVICE_SOCKETS: [&str; 2] = ["/run/fail2ban/fail2ban.sock", "/var/run/fail2ban/fail2ban.sock"];

/// Addresses by jail.
pub type Bans = BTreeMap<String, Vec<String>>;

/// What a restart is to know.
pub struct Asked<'a> {
    /// Words divided by blanks: what the owner has configured to start it. It comes before everything else there is.
    pub start_command: Option<&'a str>,
    /// The process that was last seen behind the socket.
    pub known_pid: Option<i32>,
    /// What the daemon's database says is banned, asked for only when its rules may be left behind.
    pub remembered: &'a mut dyn FnMut() -> Bans,
    /// Called once the former one has ended, before the next one is started: whoever changes files has its time to end.
    pub settle: &'a mut dyn FnMut(),
}

/// What a restart has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The version that answers now.
    pub version: String,
    /// The jails that ran before.
    pub jails_before: Vec<String>,
    /// The jails that ran ten seconds after it answered, or as soon as all were back.
    pub jails_after: Vec<String>,
    /// The former one did not listen any more, and its process was ended.
    pub was_hung: bool,
    /// Its process had to be killed, so that its actions lifted nothing.
    pub was_killed: bool,
    /// What a killed daemon had banned, as far as its database knew, and the new one has not taken up: the rules of its actions are
    /// likely to be there still, and nobody will lift them.
    pub left_behind: Bans,
}

/// Why the daemon was not restarted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RestartError {
    /// What would start it again cannot be run; it was not stopped.
    CannotStart(String),
    /// It would not start with the files as they are; it was not stopped.
    BadConfiguration(String),
    /// It did not stop, or the service manager refused; it may be running on.
    NotStopped(String),
    /// It was stopped, and did not come back at two attempts.
    NotBack(String),
    /// It cannot be reached, and nothing can be done about it from here.
    OutOfReach(Error),
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
            RestartError::OutOfReach(error) => error.fmt(f),
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

/// How the daemon was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It answers.
    Well,
    /// Somebody listens, and does not answer as a daemon should.
    Hung,
    /// Nobody listens.
    Gone,
}

/// Restarts the daemon. One that does not answer within the patience of `daemon` is taken to hang.
pub fn restart(daemon: &mut Daemon, place: &Installation, asked: &mut Asked<'_>) -> Result<Report, RestartError> {
    let state = match daemon.ping() {
        Ok(()) => State::Well,
        Err(Error::Unreachable { reason: Reason::Absent | Reason::Refused, .. }) => State::Gone,
        Err(error @ (Error::Unreachable { .. } | Error::Untrusted { .. })) => {
            return Err(RestartError::OutOfReach(error));
        }
        Err(_) => State::Hung,
    };
    let way = match asked.start_command.map(|command| command.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    {
        Some(words) if !words.is_empty() => Way::Command(words),
        _ => service_of(&place.socket, state).map_or(Way::Client, Way::Service),
    };
    restart_by(&way, state, daemon, place, asked)
}

/// OpenRC takes a service that ended by itself for a running one: it neither stops it nor starts it again before it is told.
const OPENRC_RESTART: &str = "rc-service fail2ban restart || { rc-service fail2ban zap && rc-service fail2ban start; }";

/// The restart command of the service manager that runs the daemon at `socket`, if one does; of one that could, where it does not run.
fn service_of(socket: &Path, state: State) -> Option<Vec<String>> {
    let is_default = SERVICE_SOCKETS.iter().any(|default| socket == Path::new(default));
    let managers = [
        (
            "/run/systemd/system",
            &["systemctl", "is-active", "--quiet", "fail2ban"][..],
            &["systemctl", "cat", "fail2ban"][..],
            &["systemctl", "restart", "fail2ban"][..],
        ),
        (
            "/run/openrc",
            &["rc-service", "fail2ban", "status"],
            &["rc-service", "--exists", "fail2ban"],
            &["sh", "-c", OPENRC_RESTART],
        ),
        ("/etc/init.d/fail2ban", &["/etc/init.d/fail2ban", "status"], &["true"], &["/etc/init.d/fail2ban", "restart"]),
    ];
    let says_yes = |words: &[&str]| run_words(words, BACK_LIMIT).is_ok_and(|outcome| outcome.success);
    let (.., restart) = managers.iter().filter(|_| is_default).find(|(sign, status, exists, _)| {
        Path::new(sign).exists() && (says_yes(status) || (state != State::Well && says_yes(exists)))
    })?;
    Some(restart.iter().map(|word| (*word).to_owned()).collect())
}

fn run_words<T: AsRef<OsStr>>(words: &[T], limit: Duration) -> Result<program::Outcome, NotRun> {
    let (program, args) = words.split_first().ok_or(NotRun::Missing)?;
    let args: Vec<&OsStr> = args.iter().map(AsRef::as_ref).collect();
    program::run(Path::new(program.as_ref()), &args, limit)
}

fn restart_by(
    way: &Way,
    state: State,
    daemon: &mut Daemon,
    place: &Installation,
    asked: &mut Asked<'_>,
) -> Result<Report, RestartError> {
    check(way, state, place)?;
    let jails_before = if state == State::Well { names(daemon).unwrap_or_default() } else { Vec::new() };
    let ended = match (state, way) {
        (State::Well, Way::Service(words)) => {
            daemon.client_mut().disconnect();
            run_service(words).map_err(RestartError::NotStopped)?;
            Some(Ended::Asked)
        }
        (State::Well, _) => Some(stop(daemon, place, asked)?),
        (State::Hung, _) => Some(end(daemon, place, asked)?),
        // One whose socket somebody has removed is still at work.
        (State::Gone, _) => match process_of(None, place, asked) {
            Ok(process) => Some(process.end().map_err(RestartError::NotStopped)?),
            Err(_) => None,
        },
    };
    daemon.client_mut().disconnect();
    // A daemon that ends in order takes its socket away.
    let left_socket = remove_stale(&place.socket);
    let was_killed = ended == Some(Ended::Killed) || (state == State::Gone && left_socket);
    let remembered = if was_killed { (asked.remembered)() } else { Bans::new() };
    (asked.settle)();
    let is_started = state == State::Well && matches!(way, Way::Service(_));
    match start(way, is_started, place) {
        Ok(version) => {
            let jails_after = wait_for_jails(place, &jails_before);
            let left_behind = left_behind(place, remembered);
            let was_hung = state == State::Hung;
            let was_killed = ended == Some(Ended::Killed);
            Ok(Report { version: version.to_string(), jails_before, jails_after, was_hung, was_killed, left_behind })
        }
        Err(why) if remembered.is_empty() => Err(RestartError::NotBack(why)),
        Err(why) => Err(RestartError::NotBack(format!(
            "{why}; the rules of what it had banned were left behind: {}",
            shown(&remembered)
        ))),
    }
}

/// Starts it, twice if need be, and waits until it answers. The error is what the last start said.
fn start(way: &Way, is_started: bool, place: &Installation) -> Result<Version, String> {
    let mut why = "it did not answer within 10 s".to_owned();
    for attempt in 0..2 {
        let mut running = None;
        let tried = match way {
            // The service manager has started it already.
            Way::Service(_) if attempt == 0 && is_started => Ok(()),
            Way::Service(words) => run_service(words),
            Way::Command(words) => start_command(words).map(|started| running = Some(started)),
            Way::Client => start_by_client(place),
        };
        tried.unwrap_or_else(|error| why = error);
        let version = wait_for_answer(place);
        if let Some(running) = running {
            let said = running.said();
            if let Some(line) = said.lines().map(str::trim).rfind(|line| !line.is_empty()) {
                why = format!("it did not answer within 10 s, and its start said: {line}");
            }
            running.stop_listening();
        }
        if let Some(version) = version {
            return Ok(version);
        }
    }
    Err(why)
}

fn run_service(words: &[String]) -> Result<(), String> {
    let start = Instant::now();
    match run_words(words, STOP_LIMIT) {
        Ok(outcome) if outcome.success => Ok(()),
        Ok(outcome) => Err(said::reason(&outcome)),
        Err(error) => Err(said(&error, start)),
    }
}

/// Makes sure that it can be started, before it is stopped.
fn check(way: &Way, state: State, place: &Installation) -> Result<(), RestartError> {
    let program = match way {
        Way::Service(words) | Way::Command(words) => words.first().map(PathBuf::from).unwrap_or_default(),
        Way::Client => place.client.clone(),
    };
    let out_of_reach = |why: String| {
        let reason = if place.socket.exists() { Reason::Refused } else { Reason::Absent };
        RestartError::OutOfReach(Error::Unreachable { path: place.socket.clone(), reason, why })
    };
    if program::find(&program).is_none() {
        let program = program.display();
        return Err(match state {
            State::Gone => out_of_reach(format!(
                "it does not run, and {program}, which would start it, cannot be run: install it, or set BANGUI_FAIL2BAN_START_COMMAND"
            )),
            _ => RestartError::CannotStart(program.to_string()),
        });
    }
    if state == State::Gone && !place.config_dir.exists() {
        let directory = place.config_dir.display();
        return Err(out_of_reach(format!(
            "it does not run, and there is no configuration {directory} to start it with: install it, or set BANGUI_FAIL2BAN_CONFIG_DIR"
        )));
    }
    // Where the client is on this machine, it can tell whether the files can be read at all. It finds no wrong expression, but a missing log.
    match place.run_client(&["-t"], STOP_LIMIT) {
        Ok(outcome) if !outcome.success => Err(RestartError::BadConfiguration(said::reason(&outcome))),
        _ => Ok(()),
    }
}

/// Stops the daemon over its socket and waits until it is gone; ends its process if it does not go.
fn stop(daemon: &mut Daemon, place: &Installation, asked: &Asked<'_>) -> Result<Ended, RestartError> {
    let pid = daemon.client().daemon_pid();
    let process = pid.and_then(|pid| Process::of_daemon(pid, &place.socket).ok());
    let patience = daemon.client().patience();
    daemon.client_mut().set_patience(STOP_LIMIT);
    let stopped = daemon.stop_server();
    daemon.client_mut().set_patience(patience);
    match stopped {
        // A daemon that ends while it answers has ended.
        Ok(()) | Err(Error::Protocol(_) | Error::ShuttingDown) => {}
        Err(error @ Error::Refused { .. }) => return Err(RestartError::NotStopped(error.to_string())),
        Err(_) => return end(daemon, place, asked),
    }
    let deadline = Instant::now() + BACK_LIMIT;
    while !is_gone(daemon, process.as_ref(), pid) {
        if Instant::now() > deadline {
            return end(daemon, place, asked);
        }
        std::thread::sleep(ROUND);
    }
    Ok(Ended::Asked)
}

/// Whether the process is gone, where it can be seen, and nobody listens at its socket.
fn is_gone(daemon: &mut Daemon, process: Option<&Process>, pid: Option<i32>) -> bool {
    let runs = match process {
        Some(process) => process.runs(),
        // A zombie waits for its parent only.
        None => pid.is_some_and(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
        }),
    };
    !runs && matches!(daemon.ping(), Err(Error::Unreachable { .. }))
}

/// Ends the process of a daemon that does not listen any more.
fn end(daemon: &Daemon, place: &Installation, asked: &Asked<'_>) -> Result<Ended, RestartError> {
    let process = process_of(daemon.client().last_daemon_pid(), place, asked).map_err(|why| {
        RestartError::NotStopped(format!(
            "it does not answer, and its process cannot be ended from here: {why}; end it by hand"
        ))
    })?;
    process.end().map_err(RestartError::NotStopped)
}

/// The daemon's process: by our own connection, else as it was last seen, else by its pid file. The error is a sentence.
fn process_of(pid: Option<i32>, place: &Installation, asked: &Asked<'_>) -> Result<Process, String> {
    let mut why = None;
    for pid in [pid, asked.known_pid].into_iter().flatten() {
        match Process::of_daemon(pid, &place.socket) {
            Ok(process) => return Ok(process),
            Err(problem) => why = why.or(Some(problem)),
        }
    }
    match place.pid_file.as_deref().map(|path| Process::of_pid_file(path, &place.socket)) {
        Some(Ok(process)) => Ok(process),
        Some(Err(problem)) => Err(why.unwrap_or(problem)),
        None => Err(why.unwrap_or_else(|| "it is not known which process it is".to_owned())),
    }
}

/// Removes a socket that nobody listens at: whoever starts a daemon without force would stumble over it. Says whether it did.
fn remove_stale(socket: &Path) -> bool {
    let is_socket = socket.symlink_metadata().is_ok_and(|found| found.file_type().is_socket());
    let is_stale = || {
        let asked = Daemon::new(Client::new(socket.to_owned(), ASK_LIMIT)).ping();
        matches!(asked, Err(Error::Unreachable { reason: Reason::Refused, .. }))
    };
    is_socket && is_stale() && std::fs::remove_file(socket).is_ok()
}

fn start_command(words: &[String]) -> Result<Started, String> {
    let (program, args) = words.split_first().ok_or_else(String::new)?;
    let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
    // Not waited for: it may be the daemon itself, in the foreground.
    program::start(Path::new(program), &args).map_err(|error| said(&error, Instant::now()))
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

/// What a killed daemon had banned and the new one does not: its rules are nobody's now.
fn left_behind(place: &Installation, mut remembered: Bans) -> Bans {
    let deadline = Instant::now() + RESTORE_LIMIT;
    let mut daemon = Daemon::new(Client::new(place.socket.clone(), RESTORE_LIMIT));
    while !remembered.is_empty() {
        for (jail, addresses) in &mut remembered {
            let mut held = std::collections::HashSet::new();
            let known = JailName::from_daemon(jail).map(|name| {
                daemon.each_banned(&name, &mut |ip| {
                    held.insert(ip.to_owned());
                })
            });
            if matches!(known, Ok(Ok(_))) {
                addresses.retain(|address| !held.contains(address));
            }
        }
        remembered.retain(|_, addresses| !addresses.is_empty());
        if Instant::now() > deadline {
            break;
        }
        std::thread::sleep(ROUND);
    }
    remembered
}

/// Bans as a person reads them, the first ones by name.
pub fn shown(bans: &Bans) -> String {
    const NAMED: usize = 20;
    let jails = bans.iter().map(|(jail, addresses)| {
        let named = addresses.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = addresses.len().saturating_sub(NAMED);
        if more > 0 { format!("{jail}: {named} and {more} more") } else { format!("{jail}: {named}") }
    });
    jails.collect::<Vec<_>>().join("; ")
}

fn names(daemon: &mut Daemon) -> Result<Vec<String>, Error> {
    Ok(daemon.jail_names()?.iter().map(|name| name.as_str().to_owned()).collect())
}

#[cfg(test)]
mod tests;
