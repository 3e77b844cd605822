//! A real fail2ban for tests: in a directory of its own, with an action that does nothing, without root's files and without a firewall.
//!
//! It needs the package fail2ban, as `make test` does.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::reload::Installation;
use super::{Client, Daemon};

/// How long a daemon may take to come up on a loaded machine.
const START: Duration = Duration::from_secs(30);

/// A running daemon; dropping it ends it.
pub(crate) struct RealDaemon {
    pub directory: tempfile::TempDir,
    child: Option<Child>,
}

const FAIL2BAN_CONF: &str = "[Definition]
loglevel = INFO
logtarget = @/fail2ban.log
syslogsocket = auto
socket = @/f.sock
pidfile = @/f.pid
dbfile = @/f.sqlite3
dbpurgeage = 1d
dbmaxmatches = 10
[Thread]
";

const JAIL_CONF: &str = "[DEFAULT]
backend = polling
usedns = no
ignoreself = false
bantime = 600
findtime = 600
maxretry = 3
filter = %(__name__)s
action = noop
[one]
enabled = true
filter = plain
logpath = @/one.log
bantime.increment = true
bantime.factor = 2
bantime.maxtime = 1w
[two]
enabled = true
filter = plain
logpath = @/two.log
datepattern = ^%%Y-%%m-%%d %%H:%%M:%%S
[off]
enabled = false
filter = plain
logpath = @/two.log
";

const FILTER: &str = "[Definition]
failregex = ^\\s*login failed user=<F-USER>\\S*</F-USER> from <HOST>$
";

const ACTION: &str = "[Definition]
actionstart =
actionstop =
actionban =
actionunban =
actionflush = true
";

impl RealDaemon {
    /// Writes the configuration and starts the daemon.
    pub fn start() -> RealDaemon {
        let mut daemon = RealDaemon { directory: tempfile::tempdir().unwrap(), child: None };
        let root = daemon.path("").display().to_string();
        let root = root.trim_end_matches('/');
        for (name, text) in [
            ("fail2ban.conf", FAIL2BAN_CONF),
            ("jail.conf", JAIL_CONF),
            ("filter.d/plain.conf", FILTER),
            ("action.d/noop.conf", ACTION),
            ("one.log", ""),
            ("two.log", ""),
        ] {
            daemon.write(name, &text.replace('@', root));
        }
        daemon.run();
        daemon
    }

    /// A path in the daemon's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file in the daemon's directory.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Starts the daemon on the files as they are, and waits until it answers.
    pub fn run(&mut self) {
        let mut command = Command::new("fail2ban-server");
        command.arg("-xf").arg("-c").arg(self.directory.path()).arg("-s").arg(self.socket());
        command.arg("-p").arg(self.path("f.pid")).arg("start");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().expect("the package fail2ban is installed"));
        let mut daemon = self.daemon();
        poll("the daemon answers", || daemon.ping().is_ok());
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.path("f.sock")
    }

    /// Where it and its client are.
    pub fn installation(&self) -> Installation {
        Installation {
            socket: self.socket(),
            config_dir: self.directory.path().to_owned(),
            pid_file: Some(self.path("f.pid")),
            client: PathBuf::from("fail2ban-client"),
            version: None,
        }
    }

    /// A connection to it, with patience.
    pub fn daemon(&self) -> Daemon {
        Daemon::new(Client::new(self.socket(), Duration::from_secs(20)))
    }

    /// Whether the process still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }
}

impl Drop for RealDaemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        // A test may have had it started by somebody else.
        if let Some(pid) = read_pid(&self.path("f.pid")) {
            // SAFETY: kill takes two integers; the process is one this directory's own pid file names.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
}

fn read_pid(path: &Path) -> Option<i32> {
    let pid: i32 = std::fs::read_to_string(path).ok()?.trim().parse().ok()?;
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let directory = path.parent()?.to_str()?;
    // The number may belong to somebody else by now.
    String::from_utf8_lossy(&command).contains(directory).then_some(pid)
}

/// Waits until something holds.
pub(crate) fn poll(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + START;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {START:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
