//! The daemon as a process of this machine: which one it is, and how it is ended when it no longer listens to what it is told.
//!
//! Nothing is ended that is not seen, in `/proc`, to be a fail2ban-server with the socket in question, in our own namespace of processes.
//! It waits for seconds: it is meant for a child process of ours.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::files;

/// How long the daemon may take to end after the signal that asks it to.
const TERM_LIMIT: Duration = Duration::from_secs(10);
/// How long the kernel may take to end it once it has been killed.
const KILL_LIMIT: Duration = Duration::from_secs(5);
/// How often it is looked for.
const ROUND: Duration = Duration::from_millis(20);
/// The name of the daemon's program.
const PROGRAM: &str = "fail2ban-server";
/// The longest pid file that is read, in bytes.
const MAX_PID_FILE: u64 = 64;

/// A process that was seen to be the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pid: i32,
    /// When it was started, in ticks since the machine was: a number that is given to another process has another start.
    started: u64,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, when it was asked to: its actions have lifted their rules.
    Asked,
    /// It was killed: what it had put into the packet filter is still there.
    Killed,
}

impl Process {
    /// The process `pid`, if it is the daemon of `socket`. The error is a sentence that says why it is not ended.
    pub fn of_daemon(pid: i32, socket: &Path) -> Result<Process, String> {
        let (state, started) = stat(pid).ok_or(format!("there is no process {pid}"))?;
        if state == 'Z' {
            return Err(format!("process {pid} has ended already"));
        }
        let own = std::fs::read_link("/proc/self/ns/pid").ok();
        if own.is_some() && std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok() != own {
            return Err(format!(
                "process {pid} runs in a container, or we may not look at it: end it there, or run as root"
            ));
        }
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<String> =
            line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        // The program itself, or the script behind its interpreter and that one's options.
        if !words.iter().take(4).any(|word| Path::new(word).file_name().is_some_and(|name| name == PROGRAM)) {
            return Err(format!("process {pid} is not {PROGRAM}"));
        }
        if !was_told(&words, socket) && !holds(pid, socket) {
            return Err(format!("process {pid} is a {PROGRAM} with another socket"));
        }
        Ok(Process { pid, started })
    }

    /// The process that a pid file names, if it is the daemon of `socket`.
    pub fn of_pid_file(path: &Path, socket: &Path) -> Result<Process, String> {
        let unusable = |why: String| format!("the pid file {}: {why}", path.display());
        let bytes = files::read(path, MAX_PID_FILE).map_err(|error| unusable(error.to_string()))?;
        let text = String::from_utf8_lossy(&bytes);
        let pid = text.trim().parse::<i32>().ok().filter(|pid| *pid > 1);
        Process::of_daemon(pid.ok_or_else(|| unusable("it holds no number of a process".to_owned()))?, socket)
    }

    /// When the process `pid` was started, in ticks since the machine was; `None` where it has ended or is out of sight.
    pub fn start_of(pid: i32) -> Option<u64> {
        stat(pid).map(|(_, started)| started)
    }

    /// Its number.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether it still runs. One that nobody has waited for yet has ended.
    pub fn runs(&self) -> bool {
        stat(self.pid).is_some_and(|(state, started)| started == self.started && !matches!(state, 'Z' | 'X'))
    }

    /// Ends it: asks, waits for ten seconds, kills. The error is a sentence.
    pub fn end(&self) -> Result<Ended, String> {
        self.signal(libc::SIGTERM)?;
        // One that was stopped hears nothing before it goes on.
        self.signal(libc::SIGCONT)?;
        if self.ends_within(TERM_LIMIT) {
            return Ok(Ended::Asked);
        }
        self.signal(libc::SIGKILL)?;
        if self.ends_within(KILL_LIMIT) {
            return Ok(Ended::Killed);
        }
        Err(format!("process {} does not end even when it is killed: the kernel holds it, look at its disk", self.pid))
    }

    /// Whether it ends within so long.
    pub fn ends_within(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.runs() {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(ROUND);
        }
        true
    }

    fn signal(&self, signal: i32) -> Result<(), String> {
        if !self.runs() {
            return Ok(());
        }
        // SAFETY: kill takes two numbers and touches no memory; the process was just seen to be the one that was meant.
        if unsafe { libc::kill(self.pid, signal) } == 0 {
            return Ok(());
        }
        let error = std::io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::ESRCH) => Ok(()),
            Some(libc::EPERM) => Err(format!("we may not end process {}: run as root", self.pid)),
            _ => Err(format!("process {} cannot be ended: {error}", self.pid)),
        }
    }
}

/// The state and the start of a process.
fn stat(pid: i32) -> Option<(char, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything.
    let mut rest = text.rsplit(')').next()?.split_whitespace();
    let state = rest.next()?.chars().next()?;
    Some((state, rest.nth(18)?.parse().ok()?))
}

/// Whether the command line names the socket.
fn was_told(words: &[String], socket: &Path) -> bool {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let given = match word.as_str() {
            "-s" | "--socket" => words.next().map(String::as_str),
            other => other.strip_prefix("--socket="),
        };
        if let Some(given) = given {
            return is_same(Path::new(given), socket);
        }
    }
    false
}

/// Whether a descriptor of the process is bound to the socket.
fn holds(pid: i32, socket: &Path) -> bool {
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/unix")).unwrap_or_default();
    let bound = table.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let inode = words.nth(6)?;
        is_same(Path::new(words.next()?), socket).then(|| format!("socket:[{inode}]"))
    });
    let bound: Vec<String> = bound.collect();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut open = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    !bound.is_empty() && open.any(|link| bound.iter().any(|name| link.as_os_str() == name.as_str()))
}

/// Whether two paths name one place: `/var/run` is a link to `/run`.
fn is_same(one: &Path, other: &Path) -> bool {
    let resolved =
        |path: &Path| -> Option<PathBuf> { Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?)) };
    one == other || resolved(one).is_some_and(|one| resolved(other) == Some(one))
}
