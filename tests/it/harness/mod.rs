//! What the integration tests stand on: the real program, a client, the contract, and two daemons.
//!
//! `server` starts the program, `shim` takes its clock and its disk away, `http` and `client` talk to it, `contract` holds every answer
//! against `openapi.json`, `fake_daemon` is a scripted fail2ban that can misbehave, `real_daemon` is the installed one in a private
//! directory; `list_server` serves blocklists, `name_server` answers for names, and `network` is a network of a test's own.
//! Nothing here knows what a single endpoint means; that is said in the test files, one per router.

pub mod client;
pub mod contract;
pub mod fake_daemon;
mod fake_replies;
pub mod http;
pub mod list_server;
pub mod name_server;
pub mod network;
pub mod pickle;
pub mod real_daemon;
pub mod receiver;
pub mod release;
pub mod rules;
pub mod server;
pub mod shim;

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

/// Calls `check` every ten milliseconds until it says yes.
///
/// Panics, naming `what` was waited for, when `limit` has passed. Tests wait this way and never sleep for a fixed time.
#[track_caller]
pub fn wait_until(what: &str, limit: Duration, mut check: impl FnMut() -> bool) {
    let start = Instant::now();
    while !check() {
        assert!(start.elapsed() < limit, "still waiting for {what} after {limit:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Says past the test runner, which keeps what tests that pass print to itself, which test could not look at what, and why: the machine
/// or its owner does not allow it. It begins a line of its own: with one thread the runner has already begun one.
pub fn left_out(what: &str) {
    let here = std::thread::current();
    let test = here.name().unwrap_or("a test");
    // Where not even this can be written, nobody listens.
    let _ = writeln!(std::io::stderr(), "\nLEFT OUT: {test}: {what}");
}

/// The same for what could be installed and is not. Panics where `BANGUI_LEAVE_NOTHING_OUT` is set, since everything is installed there.
#[track_caller]
pub fn not_installed(what: &str) {
    assert!(std::env::var_os("BANGUI_LEAVE_NOTHING_OUT").is_none(), "this was to be tested: {what}");
    left_out(what);
}

/// Whether a program is installed.
pub fn is_installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
}

/// The middle one of the times, which the noise of a shared machine does not move.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Makes the kernel kill the child when the thread that starts it ends, so that a test that panics leaves nothing behind.
///
/// The signal follows the *thread*, not the process: start daemons and servers in the test's own thread.
pub fn die_with_us(command: &mut Command) {
    // SAFETY: prctl and getppid are async-signal-safe, and the closure allocates nothing.
    unsafe {
        command.pre_exec(|| {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
}

/// Whether a process of this number exists and is no zombie.
pub fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit_once(") ").map(|(_, rest)| !rest.starts_with('Z')))
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_as_soon_as_the_condition_holds() {
        let start = Instant::now();
        let mut calls = 0;
        wait_until("three calls", Duration::from_secs(5), || {
            calls += 1;
            calls == 3
        });
        assert!(start.elapsed() < Duration::from_secs(1));
    }

    #[test]
    #[should_panic(expected = "still waiting for the moon")]
    fn waiting_in_vain_names_what_was_waited_for() {
        wait_until("the moon", Duration::from_millis(30), || false);
    }

    #[test]
    fn a_child_dies_with_the_thread_that_started_it() {
        let pid = std::thread::spawn(|| {
            let mut command = Command::new("sleep");
            command.arg("60");
            die_with_us(&mut command);
            // Deliberately neither killed nor waited for: the kernel has to do it.
            command.spawn().unwrap().id()
        })
        .join()
        .unwrap();
        wait_until("the child's death", Duration::from_secs(5), || !is_alive(pid));
    }
}
