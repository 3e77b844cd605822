//! The real program as a child process: started on a free port with a clean environment, watched, and killed on drop.
//!
//! It learns the address from the line the program prints when it listens. It does no request of its own except through `client`.

use std::ffi::CString;
use std::io::{BufRead, BufReader};
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::client::Client;
use super::fake_daemon::FakeDaemon;
use super::http::Address;
use super::network::{Network, live_in};
use super::real_daemon::RealDaemon;
use super::release::Release;

/// The line a server prints for each address.
const LISTENING: &str = "listening on ";

/// The program under test: the one of this build, or that of `BANGUI_TEST_PROGRAM`, which is taken for a release build.
pub fn program() -> String {
    std::env::var("BANGUI_TEST_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_bangui").to_owned())
}

/// Whether that is a release build, of which the limits in time and memory are asked that the documents name.
pub fn is_release() -> bool {
    std::env::var_os("BANGUI_TEST_PROGRAM").is_some() || !cfg!(debug_assertions)
}

/// How a server is to be started.
pub struct Launch {
    socket: PathBuf,
    config: PathBuf,
    listen: Vec<String>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    descriptors: Option<u64>,
    disk: Option<&'static str>,
    network: Option<RawFd>,
    /// Files it sees in the place of others: what, and where.
    files: Vec<(CString, CString)>,
    /// A capability that it is not to have.
    without: Option<u64>,
}

impl Launch {
    /// For a daemon at this socket with this configuration directory.
    ///
    /// The general rate limits are off, since a test asks more often than a person; tests of the limits set them again. The start
    /// command is one that does nothing, so that no test ever restarts the machine's own service.
    pub fn new(socket: &Path, config: &Path) -> Launch {
        let off = ["ANONYMOUS", "SESSION", "BAN", "CONFIG", "IMPORT"];
        Launch {
            socket: socket.to_path_buf(),
            config: config.to_path_buf(),
            listen: vec!["127.0.0.1:0".into()],
            arguments: Vec::new(),
            environment: off
                .iter()
                .map(|name| (format!("BANGUI_RATE_LIMIT_{name}"), "0".into()))
                .chain([("BANGUI_FAIL2BAN_START_COMMAND".into(), "/bin/true".into())])
                .collect(),
            descriptors: None,
            disk: None,
            network: None,
            files: Vec::new(),
            without: None,
        }
    }

    /// For the scripted daemon.
    pub fn for_fake(daemon: &FakeDaemon) -> Launch {
        Launch::new(daemon.socket(), daemon.directory())
    }

    /// For the private real daemon, with its own start command.
    pub fn for_real(daemon: &RealDaemon) -> Launch {
        Launch::new(daemon.socket(), daemon.config())
            .env("BANGUI_FAIL2BAN_START_COMMAND", &daemon.start_command().display().to_string())
    }

    /// For no daemon at all.
    pub fn without_daemon() -> Launch {
        Launch::new(Path::new("/nonexistent/fail2ban.sock"), Path::new("/nonexistent/fail2ban"))
    }

    /// Sets one environment variable; a later one of the same name wins.
    pub fn env(mut self, name: &str, value: &str) -> Launch {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Adds arguments.
    pub fn args(mut self, arguments: &[&str]) -> Launch {
        self.arguments.extend(arguments.iter().map(|argument| argument.to_string()));
        self
    }

    /// Listens here instead of on a free port of 127.0.0.1; give it again for several addresses.
    pub fn listen(mut self, addresses: &[&str]) -> Launch {
        self.listen = addresses.iter().map(|address| address.to_string()).collect();
        self
    }

    /// The most file descriptors the server may have (`RLIMIT_NOFILE`).
    pub fn descriptors(mut self, most: u64) -> Launch {
        self.descriptors = Some(most);
        self
    }

    /// Has its database on a disk of its own, of this size as `mount` takes it, which nobody else sees: only `Server::disk` leads there.
    pub fn on_disk(mut self, size: &'static str) -> Launch {
        self.disk = Some(size);
        self
    }

    /// Lives in a network of the test's own, which must outlive it, and listens on a unix socket beside its database.
    pub fn in_network(mut self, network: &Network) -> Launch {
        self.network = Some(network.descriptor());
        self
    }

    /// Sees a file in the place of another, which only root can arrange.
    pub fn seeing(mut self, file: &Path, place: &Path) -> Launch {
        let text = |path: &Path| CString::new(path.as_os_str().as_encoded_bytes()).expect("a path has no zero in it");
        self.files.push((text(file), text(place)));
        self
    }

    /// Starts the server with a database of its own and waits until it listens.
    #[track_caller]
    pub fn start(self) -> Server {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (child, log, addresses) = self.spawn(directory.path());
        Server { launch: self, directory, child, log, addresses }
    }

    #[track_caller]
    fn spawn(&self, directory: &Path) -> (Child, Log, Vec<Address>) {
        let mut command = self.command(directory);
        super::die_with_us(&mut command);
        if let Some(most) = self.descriptors {
            limit_descriptors(&mut command, most);
        }
        if let Some(network) = self.network {
            live_in(&mut command, network);
        }
        if !self.files.is_empty() {
            mount_files(&mut command, self.files.clone());
        }
        if let Some(number) = self.without {
            drop_capability(&mut command, number);
        }
        let mut child = command.spawn().expect("the program of this project starts");
        let log = Log::default();
        let (send, receive) = mpsc::channel();
        let stderr = child.stderr.take().expect("stderr is piped");
        let lines = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if let Some(at) = line.find(LISTENING) {
                    let _ = send.send(parse_address(&line[at + LISTENING.len()..]));
                }
                lines.0.lock().unwrap().push(line);
            }
        });
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut addresses = Vec::new();
        while addresses.len() < self.listen.len() {
            let left = deadline.saturating_duration_since(Instant::now());
            match receive.recv_timeout(left) {
                Ok(address) => addresses.push(address),
                Err(_) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    panic!("the server does not listen; its log:\n{}", log.text());
                }
            }
        }
        (child, log, addresses)
    }

    fn command(&self, directory: &Path) -> Command {
        let program = program();
        let mut command = match self.disk {
            None => Command::new(program),
            Some(size) => {
                let mut command = Command::new("unshare");
                let script = format!("mount -t tmpfs -o size={size} tmpfs \"$0\" && exec \"$@\"");
                // Whoever is not root becomes it in a name space of his own.
                command.args(["--map-root-user", "--mount", "sh", "-c", &script]).arg(directory).arg(program);
                command
            }
        };
        command.arg("serve");
        let unix = [format!("unix:{}", directory.join("b.sock").display())];
        for address in if self.network.is_some() { &unix[..] } else { &self.listen[..] } {
            command.args(["--listen", address]);
        }
        command
            .arg("--database")
            .arg(directory.join("bangui.db"))
            .arg("--fail2ban-socket")
            .arg(&self.socket)
            .arg("--fail2ban-config")
            .arg(&self.config)
            .args(&self.arguments)
            .env_clear()
            .env("PATH", Release::under_test().search_path())
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }
}

fn limit_descriptors(command: &mut Command, most: u64) {
    use std::os::unix::process::CommandExt;
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: setrlimit is async-signal-safe and reads one struct that the closure owns.
    unsafe {
        command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_NOFILE, &limit) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}

/// Mounts files over others in a name space of the child's own.
fn mount_files(command: &mut Command, files: Vec<(CString, CString)>) {
    use std::os::unix::process::CommandExt;
    let mount = |from: *const libc::c_char, to: *const libc::c_char, flags| {
        // SAFETY: both texts end in zero and live as long as the call; type and data are not used with these flags.
        match unsafe { libc::mount(from, to, std::ptr::null(), flags, std::ptr::null()) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: unshare and mount are system calls, and nothing is allocated between fork and exec.
    unsafe {
        command.pre_exec(move || {
            if libc::unshare(libc::CLONE_NEWNS) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            mount(c"none".as_ptr(), c"/".as_ptr(), libc::MS_REC | libc::MS_PRIVATE)?;
            files.iter().try_for_each(|(from, to)| mount(from.as_ptr(), to.as_ptr(), libc::MS_BIND))
        });
    }
}

fn drop_capability(command: &mut Command, number: u64) {
    use std::os::unix::process::CommandExt;
    // SAFETY: prctl is async-signal-safe and takes numbers only.
    unsafe {
        command.pre_exec(move || match libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}

fn parse_address(text: &str) -> Address {
    let text = text.trim();
    match text.strip_prefix("unix:") {
        Some(path) => Address::Unix(path.into()),
        None => {
            let host = text.trim_start_matches("http://");
            let host = host.split('/').next().unwrap_or_default();
            Address::Tcp(host.parse().expect("the server prints the address it bound"))
        }
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn text(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }
}

/// A running server.
pub struct Server {
    launch: Launch,
    directory: TempDir,
    child: Child,
    log: Log,
    addresses: Vec<Address>,
}

impl Server {
    /// A server for the real daemon, set up, and a client that is logged in.
    #[track_caller]
    pub fn ready(daemon: &RealDaemon) -> (Server, Client) {
        Launch::for_real(daemon).start().into_ready()
    }

    /// A server for the scripted daemon, set up, and a client that is logged in.
    #[track_caller]
    pub fn ready_fake(daemon: &FakeDaemon) -> (Server, Client) {
        Launch::for_fake(daemon).start().into_ready()
    }

    /// Does the setup, logs in, and hands itself back with that client.
    #[track_caller]
    pub fn into_ready(self) -> (Server, Client) {
        let client = self.client();
        client.setup();
        let client = client.login();
        (self, client)
    }

    /// A client without a session, for the first address.
    pub fn client(&self) -> Client {
        Client::new(self.address().clone())
    }

    /// The first address.
    pub fn address(&self) -> &Address {
        &self.addresses[0]
    }

    /// All addresses, in the order in which the server printed them.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most bytes of memory that it, and each child it starts from now on, may write to (`RLIMIT_DATA`).
    pub fn limit_memory(&self, most: u64) {
        self.limit(libc::RLIMIT_DATA, most);
    }

    /// The most bytes of addresses that it, and each child it starts from now on, may have (`RLIMIT_AS`).
    pub fn limit_addresses(&self, most: u64) {
        self.limit(libc::RLIMIT_AS, most);
    }

    fn limit(&self, what: libc::__rlimit_resource_t, most: u64) {
        let limit = libc::rlimit { rlim_cur: most, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: prlimit reads one struct, and writes nowhere.
        let done = unsafe { libc::prlimit(self.pid() as i32, what, &limit, std::ptr::null_mut()) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    }

    /// Where its database is.
    pub fn database(&self) -> PathBuf {
        self.directory.path().join("bangui.db")
    }

    /// Where its database lies, as seen from here, when it has a disk of its own.
    pub fn disk(&self) -> PathBuf {
        let directory = self.directory.path().strip_prefix("/").expect("directories for tests are absolute");
        Path::new("/proc").join(self.pid().to_string()).join("root").join(directory)
    }

    /// Everything it has logged so far.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Its number of threads.
    #[track_caller]
    pub fn threads(&self) -> u64 {
        self.status_field("Threads:")
    }

    /// Its resident memory in KiB.
    #[track_caller]
    pub fn rss_kib(&self) -> u64 {
        self.status_field("VmRSS:")
    }

    /// How many file descriptors it has open.
    pub fn open_descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("the server runs").count()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills it at once (SIGKILL) and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end (SIGTERM) and gives its exit code, or `None` when it has not ended within `limit`.
    pub fn terminate(&mut self, limit: Duration) -> Option<i32> {
        // SAFETY: kill only takes two numbers, and the child has not been waited for, so its number is still its own.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// Starts it again on the same database, after `kill` or `terminate`. The address may change.
    #[track_caller]
    pub fn start_again(&mut self) {
        let (child, log, addresses) = self.launch.spawn(self.directory.path());
        self.child = child;
        self.log = log;
        self.addresses = addresses;
    }

    /// The same server with one more environment variable, started again on the same database.
    #[track_caller]
    pub fn with_env(mut self, name: &str, value: &str) -> Server {
        self.kill();
        self.launch.environment.push((name.into(), value.into()));
        self.start_again();
        self
    }

    /// The same server without a capability, by its number, though it is root.
    #[track_caller]
    pub fn without_capability(mut self, number: u64) -> Server {
        self.kill();
        self.launch.without = Some(number);
        self.start_again();
        self
    }

    /// The same server with every capability again.
    #[track_caller]
    pub fn with_capabilities(mut self) -> Server {
        self.kill();
        self.launch.without = None;
        self.start_again();
        self
    }

    #[track_caller]
    fn status_field(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the server runs");
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .unwrap_or_else(|| panic!("no {name} in the status of the server, it has ended"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- log of the server ---\n{}", self.log());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_addresses_are_understood() {
        let v4 = parse_address("http://127.0.0.1:8000");
        assert_eq!(v4, Address::Tcp("127.0.0.1:8000".parse().unwrap()));
        let v6 = parse_address("http://[::1]:8000/");
        assert_eq!(v6, Address::Tcp("[::1]:8000".parse().unwrap()));
        let unix = parse_address("unix:/run/b.sock");
        assert_eq!(unix, Address::Unix("/run/b.sock".into()));
    }
}
