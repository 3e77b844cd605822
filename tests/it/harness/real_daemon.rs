//! The installed fail2ban, private: own directory, socket, database and log, actions that do nothing, no firewall, no root.
//!
//! The stock filters are copied from the installed package at test time. Jails: `sshd` (stock filter), `lab` (a filter of one line),
//! `slow` (its ban takes three seconds), and `off`, which is configured but disabled.

use std::fs;
use std::io::Write;
use std::os::fd::RawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

use super::network::{Network, live_in};
use super::release::Release;

const JAILS: &str = "[DEFAULT]
ignoreip =
ignoreself = false
usedns = no
backend = polling
bantime = 1h
findtime = 10m
maxretry = 3
action = noop

[sshd]
enabled = true
filter = sshd
logpath = DIR/auth.log

[lab]
enabled = true
filter = lab
logpath = DIR/lab.log

[slow]
enabled = true
filter = lab
logpath = DIR/slow.log
action = slow

[off]
enabled = false
filter = lab
logpath = DIR/off.log
";

/// A running daemon of the machine's own version.
pub struct RealDaemon {
    directory: TempDir,
    socket: PathBuf,
    /// Its process number, and the thread that waits for its end: a daemon that exits must not linger as a zombie, or the program
    /// under test would see a process that an init would long have taken away.
    process: Option<(u32, JoinHandle<()>)>,
    /// The jails that are enabled.
    jails: &'static [&'static str],
    /// What it has in its environment besides.
    environment: Vec<(String, String)>,
    /// The network that it lives in, where that is not the machine's.
    network: Option<RawFd>,
}

impl RealDaemon {
    /// Writes the configuration, starts the daemon and waits until it answers.
    #[track_caller]
    pub fn start() -> RealDaemon {
        let mut daemon = RealDaemon::configured();
        daemon.start_again();
        daemon
    }

    /// One whose ban action for all ports is `action`, which runs `command` for each ban.
    #[track_caller]
    pub fn with_action(action: &str, command: &str) -> RealDaemon {
        let mut daemon = RealDaemon::configured();
        fs::write(daemon.path("jail.local"), format!("[DEFAULT]\nbanaction_allports = {action}\n")).unwrap();
        let text = format!(
            "[Definition]\nactionstart = true\nactionstop = true\nactioncheck =\nactionban = {command}\nactionunban = true\n"
        );
        fs::write(daemon.path(&format!("action.d/{action}.conf")), text).unwrap();
        daemon.start_again();
        daemon
    }

    /// Only writes the configuration; `start_again` starts it.
    #[track_caller]
    pub fn configured() -> RealDaemon {
        let directory = tempfile::tempdir().expect("a temporary directory");
        // The name is short because the path of a socket must fit 108 bytes.
        let socket = directory.path().join("f.sock");
        let daemon = RealDaemon {
            directory,
            socket,
            process: None,
            jails: &["lab", "slow", "sshd"],
            environment: Vec::new(),
            network: None,
        };
        daemon.write_configuration().expect("fail2ban is installed");
        daemon
    }

    /// Starts it on the configuration as the package installs it. Only where things are is different, by the files that are meant for that,
    /// and its action does nothing.
    #[track_caller]
    pub fn packaged() -> RealDaemon {
        let mut daemon = RealDaemon::configured();
        let made = fs::read_to_string(daemon.path("fail2ban.conf")).expect("it was just written");
        fs::remove_dir(daemon.path("jail.d")).expect("it is empty");
        copy_files(&Release::under_test().stock().join("jail.d"), &daemon.path("jail.d"))
            .expect("the package has some");
        for entry in fs::read_dir(Release::under_test().stock()).expect("fail2ban is installed").flatten() {
            if entry.path().is_file() {
                fs::copy(entry.path(), daemon.path(&entry.file_name().to_string_lossy())).expect("the disk has room");
            }
        }
        let log = daemon.path("auth.log").display().to_string();
        let paths = format!("[DEFAULT]\nsyslog_authpriv = {log}\nsshd_backend = polling\n");
        for (name, text) in [
            ("fail2ban.local", made.as_str()),
            ("paths-overrides.local", &paths),
            (
                "jail.local",
                "[DEFAULT]\nbackend = polling\nbanaction = noop\nbanaction_allports = noop\n[sshd]\nbackend = polling\n",
            ),
        ] {
            fs::write(daemon.path(name), text).expect("the disk has room");
        }
        daemon.jails = &["sshd"];
        daemon.start_again();
        daemon
    }

    /// Sets variables of its environment, from its next start on.
    pub fn set_environment(&mut self, variables: &[(String, String)]) {
        self.environment = variables.to_vec();
    }

    /// Has it live in a network, which outlives it, from its next start on.
    pub fn live_in(&mut self, network: &Network) {
        self.network = Some(network.descriptor());
    }

    /// Its configuration directory, which is also where its socket, database and logs are.
    pub fn config(&self) -> &Path {
        self.directory.path()
    }

    /// The path of its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A file in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A script that starts it in the background, for the program's restart.
    pub fn start_command(&self) -> PathBuf {
        self.path("start.sh")
    }

    /// Starts it, after `stop` or `kill`, and waits until it answers.
    #[track_caller]
    pub fn start_again(&mut self) {
        let mut command = Release::under_test().program("fail2ban-server");
        command
            .args(["-xf", "--logtarget"])
            .arg(self.path("f.log"))
            .args(self.options())
            .arg("start")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        super::die_with_us(&mut command);
        self.network.iter().for_each(|network| live_in(&mut command, *network));
        let mut child = command.spawn().expect("fail2ban-server is installed");
        let pid = child.id();
        let waiting = std::thread::spawn(move || drop(child.wait()));
        self.process = Some((pid, waiting));
        self.wait_for_pong();
    }

    /// Waits until it answers a ping.
    #[track_caller]
    pub fn wait_for_pong(&self) {
        let start = std::time::Instant::now();
        while !self.is_up() {
            assert!(start.elapsed() < Duration::from_secs(30), "fail2ban does not answer; its log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        // A pong comes before the jails are there.
        super::wait_until("the jails", Duration::from_secs(10), || {
            let (_, text) = self.try_client(&["status"]);
            self.jails.iter().all(|jail| text.contains(jail))
        });
    }

    /// Whether it answers a ping.
    pub fn is_up(&self) -> bool {
        self.socket().exists() && self.try_client(&["ping"]).0
    }

    /// Runs fail2ban-client against it; gives what it printed, or panics when it failed.
    #[track_caller]
    pub fn client(&self, arguments: &[&str]) -> String {
        let (well, text) = self.try_client(arguments);
        assert!(well, "fail2ban-client {arguments:?}: {text}");
        text
    }

    /// Runs fail2ban-client against it; whether it went well, and what it printed.
    pub fn try_client(&self, arguments: &[&str]) -> (bool, String) {
        let output = Release::under_test()
            .program("fail2ban-client")
            .args(self.options())
            .args(arguments)
            .output()
            .expect("fail2ban-client is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), text.trim().to_string())
    }

    /// The addresses banned in a jail now, as the daemon lists them.
    #[track_caller]
    pub fn banned(&self, jail: &str) -> Vec<String> {
        self.client(&["get", jail, "banip"]).split_whitespace().map(str::to_string).collect()
    }

    /// Adds a line to one of its log files, e.g. `auth.log`.
    pub fn append_log(&self, file: &str, line: &str) {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(self.path(file))
            .expect("the log file was made with the configuration");
        writeln!(file, "{line}").expect("the disk has room");
    }

    /// What it logged itself.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("f.log")).unwrap_or_default()
    }

    /// Stops it in an orderly way.
    #[track_caller]
    pub fn stop(&mut self) {
        self.client(&["stop"]);
        if let Some((_, waiting)) = self.process.take() {
            let _ = waiting.join();
        }
        super::wait_until("fail2ban's end", Duration::from_secs(20), || !self.is_up());
    }

    /// Kills it; its socket file stays.
    pub fn kill(&mut self) {
        if let Some((pid, waiting)) = self.process.take() {
            if !waiting.is_finished() {
                // SAFETY: kill only takes two numbers; nobody has waited for the process yet, so the number is still its own.
                unsafe { libc::kill(pid as i32, libc::SIGKILL) };
            }
            let _ = waiting.join();
        }
        // One that the program has restarted is no child of ours, but names itself in the pid file.
        let pid = fs::read_to_string(self.path("f.pid")).ok().and_then(|pid| pid.trim().parse::<i32>().ok());
        if let Some(pid) = pid
            && self.is_ours(pid)
        {
            // SAFETY: kill only takes two numbers; the process was just seen to be our daemon.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            super::wait_until("fail2ban's end", Duration::from_secs(10), || !super::is_alive(pid as u32));
        }
    }

    fn is_ours(&self, pid: i32) -> bool {
        let own = self.directory.path().as_os_str().as_encoded_bytes();
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.windows(own.len()).any(|part| part == own))
    }

    fn options(&self) -> Vec<std::ffi::OsString> {
        [("-c", self.config().to_path_buf()), ("-s", self.path("f.sock")), ("-p", self.path("f.pid"))]
            .into_iter()
            .flat_map(|(option, path)| [option.into(), path.into()])
            .collect()
    }

    fn write_configuration(&self) -> std::io::Result<()> {
        let directory = self.directory.path().display().to_string();
        for kind in ["filter.d", "action.d"] {
            copy_files(&Release::under_test().stock().join(kind), &self.path(kind))?;
        }
        for empty in ["jail.d", "fail2ban.d"] {
            fs::create_dir(self.path(empty))?;
        }
        for log in ["auth.log", "lab.log", "slow.log", "off.log"] {
            fs::write(self.path(log), "")?;
        }
        let fail2ban = format!(
            "[Definition]\nloglevel = INFO\nlogtarget = {directory}/f.log\nsyslogsocket = auto\nsocket = {directory}/f.sock\n\
             pidfile = {directory}/f.pid\ndbfile = {directory}/f.sqlite3\ndbpurgeage = 1d\ndbmaxmatches = 10\n\
             [Thread]\nstacksize = 0\n"
        );
        fs::write(self.path("fail2ban.conf"), fail2ban)?;
        fs::write(self.path("jail.conf"), JAILS.replace("DIR", &directory))?;
        fs::write(self.path("filter.d/lab.conf"), "[Definition]\nfailregex = ^lab: bad <HOST>$\nignoreregex =\n")?;
        for (name, command) in [("noop", "true"), ("slow", "sleep 3")] {
            let action = format!(
                "[Definition]\nactionstart = true\nactionstop = true\nactioncheck =\nactionban = {command}\nactionunban = true\n"
            );
            fs::write(self.path(&format!("action.d/{name}.conf")), action)?;
        }
        let server = Release::under_test().program("fail2ban-server");
        let server = server.get_program().to_string_lossy();
        let start = format!(
            "#!/bin/sh\nexec {server} -xb -c {directory} -s {directory}/f.sock -p {directory}/f.pid --logtarget {directory}/f.log start\n"
        );
        fs::write(self.start_command(), start)?;
        fs::set_permissions(self.start_command(), fs::Permissions::from_mode(0o755))
    }
}

impl Drop for RealDaemon {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- log of fail2ban ---\n{}", self.log());
        }
    }
}

/// Copies the files of one directory and of the directories in it.
fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_files(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_bans_by_hand_and_by_log_and_survives_a_kill() {
        let mut daemon = RealDaemon::start();
        assert_eq!(daemon.client(&["set", "lab", "banip", "203.0.113.1"]), "1");
        assert_eq!(daemon.banned("lab"), ["203.0.113.1"]);
        assert!(!daemon.client(&["status"]).contains("off"));
        for _ in 0..3 {
            daemon.append_log("auth.log", &failed_login("198.51.100.9"));
        }
        super::super::wait_until("a ban from the log", Duration::from_secs(20), || {
            daemon.banned("sshd") == ["198.51.100.9"]
        });
        daemon.kill();
        assert!(!daemon.is_up());
        assert!(daemon.socket().exists(), "a crash leaves the socket file");
        daemon.start_again();
        daemon.stop();
        assert!(!daemon.socket().exists());
    }

    #[test]
    fn a_daemon_started_by_its_script_is_killed_as_well() {
        let mut daemon = RealDaemon::configured();
        let status = Command::new(daemon.start_command()).stdout(Stdio::null()).status().unwrap();
        assert!(status.success());
        daemon.wait_for_pong();
        let pid: u32 = fs::read_to_string(daemon.path("f.pid")).unwrap().trim().parse().unwrap();
        daemon.kill();
        assert!(!super::super::is_alive(pid));
    }

    /// A line as sshd logs it now.
    fn failed_login(address: &str) -> String {
        let now = Command::new("date").arg("+%b %e %H:%M:%S").output().unwrap();
        let now = String::from_utf8(now.stdout).unwrap();
        format!("{} host sshd[1]: Failed password for root from {address} port 4 ssh2", now.trim_end())
    }
}
