//! Networks of a test's own: namespaces of the kernel that hold nothing but what is put there, so that packet filters, addresses and names
//! can be what the test needs and the machine keeps its own.
//!
//! Only root may make one. Where that is not so the test says it and does nothing.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use super::{left_out, not_installed};

/// What shows that a program is installed and that the kernel has what it needs, without leaving anything behind.
const PROBES: &[&[&str]] = &[
    &["ip", "link", "set", "lo", "up"],
    &["nft", "add table inet probe; add set inet probe s { type ipv4_addr; flags interval; }; delete table inet probe"],
    &["ipset", "list"],
    &["iptables", "-L"],
    &["ip6tables", "-L"],
];

/// A namespace. It ends with the last process and descriptor in it.
pub struct Network {
    file: File,
}

/// Moves the calling thread, or a child before it starts its program.
fn enter(descriptor: RawFd) -> io::Result<()> {
    // SAFETY: setns takes two numbers and is async-signal-safe.
    match unsafe { libc::setns(descriptor, libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

impl Network {
    /// A new one with nothing but loopback; `None`, with a line that says so, where this is not allowed or one of `programs` does not work.
    pub fn make(programs: &[&str]) -> Option<Network> {
        let made = std::thread::spawn(|| {
            // SAFETY: unshare takes one number; only this thread, which ends at once, is moved.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
                return Err(io::Error::last_os_error());
            }
            File::open("/proc/thread-self/ns/net")
        });
        match made.join().unwrap() {
            Ok(file) => {
                let network = Network { file };
                let is_usable = PROBES.iter().all(|probe| {
                    let is_asked = probe[0] == "ip" || programs.contains(&probe[0]);
                    !is_asked || network.can(probe)
                });
                is_usable.then_some(network)
            }
            Err(error) => {
                left_out(&format!("what needs a network of its own, which only root may make: {error}"));
                None
            }
        }
    }

    /// Whether a program is there and the kernel does what it asks for.
    fn can(&self, probe: &[&str]) -> bool {
        let mut command = Command::new(probe[0]);
        live_in(command.args(&probe[1..]), self.descriptor());
        let why = match command.output() {
            Ok(output) if output.status.success() => return true,
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => {
                not_installed(&format!("what needs {}: {error}", probe[0]));
                return false;
            }
        };
        left_out(&format!("what needs {}: {why}", probe[0]));
        false
    }

    /// Its descriptor, for a child that is to live in it.
    pub fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Does something in it, on a thread of its own.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                enter(self.descriptor()).unwrap();
                work()
            });
            inside.join().unwrap()
        })
    }

    /// Runs a program in it, however it ends.
    pub fn try_run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        live_in(&mut command, self.descriptor());
        command.output().unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Runs a program in it to a good end and gives what it printed.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> String {
        let output = self.try_run(words);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Joins it to another by a cable: each end has these addresses with the lengths of their networks.
    pub fn join(&self, own: &[&str], other: &Network, others: &[&str]) {
        self.join_by("cable", own, other, others);
    }

    /// The same by a cable of this name at both ends.
    pub fn join_by(&self, cable: &str, own: &[&str], other: &Network, others: &[&str]) {
        let there = format!("/proc/{}/fd/{}", std::process::id(), other.descriptor());
        self.run(&["ip", "link", "add", cable, "type", "veth", "peer", "name", cable, "netns", &there]);
        for (network, addresses) in [(self, own), (other, others)] {
            for address in addresses {
                let mut words = vec!["ip", "address", "add", address, "dev", cable];
                if address.contains(':') {
                    // Whether anybody else has it is not asked: it is used at once.
                    words.push("nodad");
                }
                network.run(&words);
            }
            network.run(&["ip", "link", "set", cable, "up"]);
        }
    }
}

/// Has a program live in a network.
pub fn live_in(command: &mut Command, network: RawFd) {
    // SAFETY: between fork and exec only setns runs, which is async-signal-safe.
    unsafe {
        command.pre_exec(move || enter(network));
    }
}
