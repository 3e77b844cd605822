//! The daemon as a service, in a child: itself restarted, a jail stopped. Its configuration is loaded in `apply.rs`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::bans::{answering, checked};
use super::definitions::tree_of;
use super::failure::Failure;
use crate::apply::check::check;
use crate::apply::{self, Problem, Scope};
use crate::conf::{StreamOptions, Tree};
use crate::domain::time;
use crate::fail2ban::database::{Ban, Database};
use crate::fail2ban::reload::Installation;
use crate::fail2ban::restart::{self, Bans, RestartError};
use crate::fail2ban::{Client, Daemon};
use crate::files;

/// How long the daemon may take to stop a jail: each ban is lifted by its action.
pub(super) const CHANGES: Duration = Duration::from_secs(120);

/// Stop a jail.
#[derive(Debug, Serialize, Deserialize)]
pub struct StopJail {
    /// fail2ban's socket.
    pub socket: PathBuf,
    /// The jail.
    pub jail: String,
}

impl StopJail {
    /// Whether it ran before.
    pub fn run(self) -> Result<Value, Failure> {
        let mut daemon = answering(&self.socket, CHANGES)?;
        let jail = checked(&self.jail)?;
        Ok(json!(daemon.stop_jail(&jail)?))
    }
}

/// The longest file that is looked into, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// Whether any file of the configuration has a section of a jail's name.
pub(super) fn names_jail(config_dir: &Path, name: &str) -> bool {
    let header = format!("[{name}]");
    let mut files = vec![config_dir.join("jail.conf"), config_dir.join("jail.local")];
    let entries = std::fs::read_dir(config_dir.join("jail.d")).into_iter().flatten().flatten();
    files.extend(entries.map(|entry| entry.path()));
    files.iter().any(|path| {
        // Bytes, because a comment in another encoding must not hide the file.
        files::read(path, MAX_FILE)
            .is_ok_and(|text| text.split(|byte| *byte == b'\n').any(|line| line.starts_with(header.as_bytes())))
    })
}

/// Restart the daemon.
#[derive(Debug, Serialize, Deserialize)]
pub struct Restart {
    /// Where the daemon, its files and its client are.
    pub place: Installation,
    /// What the owner has configured to start it.
    pub start_command: Option<String>,
    /// The process that was last seen behind the socket.
    pub known_pid: Option<i32>,
    /// The daemon's database, where it is known; else the one its files name.
    pub database: Option<PathBuf>,
    /// The journal of applies, which have their time to end before the daemon starts again.
    pub journal: PathBuf,
    /// Other work of ours keeps the daemon busy, so that it may take longer to answer without being hung.
    pub is_busy: bool,
}

/// How long the daemon may take to answer before it is taken to hang, and how long where work of ours keeps it busy.
const ANSWERS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));
/// How long an apply may take to put back its files once the daemon has gone.
const APPLY_ENDS: Duration = Duration::from_secs(15);
/// How long the daemon's database may take to say who is banned: a restart does not depend on it.
const REMEMBERS: Duration = Duration::from_secs(5);

impl Restart {
    /// The report of it.
    pub fn run(self) -> Result<Value, Failure> {
        let Restart { mut place, start_command, known_pid, database, journal, is_busy } = self;
        let patience = if is_busy { ANSWERS.1 } else { ANSWERS.0 };
        let mut daemon = Daemon::new(Client::new(place.socket.clone(), patience));
        let tree = tree_of(&place).ok();
        let option = |key| tree.as_ref().and_then(|tree| tree.server_option(key)).map(PathBuf::from);
        place.pid_file = place.pid_file.or_else(|| option("pidfile"));
        let problem = tree.as_ref().and_then(problem);
        // A daemon that is started would wait for it.
        let odd = tree.as_ref().and_then(Tree::odd_file).and_then(|error| error.trouble());
        if let Some(trouble) = odd {
            return Err(Failure::Files(trouble));
        }
        if let Some(problem) = problem {
            return Err(RestartError::BadConfiguration(problem.to_string()).into());
        }
        let database = database.or_else(|| option("dbfile"));
        let mut turn = None;
        let mut asked = restart::Asked {
            start_command: start_command.as_deref(),
            known_pid,
            remembered: &mut || remembered(database.as_deref()),
            settle: &mut || turn = apply::take_turn(&journal, APPLY_ENDS).ok(),
        };
        let report = restart::restart(&mut daemon, &place, &mut asked)?;
        Ok(json!(report))
    }
}

/// What the daemon would refuse of its files when it starts. What cannot be judged here is left to its own programs.
fn problem(tree: &Tree) -> Option<Problem> {
    let problem =
        check(tree, &StreamOptions { version: tree.version().clone(), ..StreamOptions::default() }, &Scope::All)
            .err()?;
    (problem.jail.is_some() || problem.line.is_some()).then_some(problem)
}

/// Who is banned as the database has it; nobody where it does not say in time.
fn remembered(path: Option<&Path>) -> Bans {
    let Some(path) = path.map(Path::to_owned) else { return Bans::new() };
    let (sender, receiver) = std::sync::mpsc::channel();
    // A thread of this child: it may wait for a file system, or for rows without end, and ends with the child.
    std::thread::spawn(move || {
        let mut bans = Bans::new();
        let now = time::now();
        let visit = &mut |ban: Ban| {
            if ban.times.ends_at().is_none_or(|end| end > now) {
                bans.entry(ban.jail).or_default().push(ban.ip);
            }
        };
        let read =
            Database::open(&path, Duration::from_millis(500)).and_then(|database| database.each_current(None, visit));
        // Nobody may be there any more.
        let _ = sender.send(read.map(|()| bans));
    });
    receiver.recv_timeout(REMEMBERS).ok().and_then(Result::ok).unwrap_or_default()
}
