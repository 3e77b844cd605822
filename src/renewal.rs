//! What a panic of the server comes to: whoever asked gets a 500, and the program begins anew, in the same process and with the sockets it
//! listens on.
//!
//! A panic is a fault of ours, and what it left half changed in memory is not to be trusted. So nothing is unwound (the tables for that, and the
//! code that would tidy up, are a fifth of the program): the log has its line, the client its answer, the children are killed, and `exec` puts the
//! program into its own place. For everybody else it is as if it had been killed and started at once, which it stands at every
//! moment; new connections wait in the kernel for the few milliseconds.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

/// Tells the program that begins anew what it listens on: its process id, then the descriptors, with blanks between them.
const VARIABLE: &str = "BANGUI_RENEWED";
/// The environment variable that names the program this is, where an emulator runs it.
const SELF_VARIABLE: &str = "BANGUI_SELF";
/// It begins anew once in this time at most: a fault that shows at each start must not take the processor.
const ROUND: Duration = Duration::from_secs(1);
/// How long killed children are waited for.
const REAP: Duration = Duration::from_millis(100);

/// Who is being answered.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// The connection, on which nothing of another answer is under way.
    pub socket: RawFd,
    /// A HEAD request: its answer has no body.
    pub head_only: bool,
}

struct Serving {
    since: Instant,
    listeners: Vec<RawFd>,
    headers: String,
}

#[derive(Default)]
struct State {
    /// `None`: a panic is the end, as of any command.
    serving: Option<Serving>,
    client: Option<Client>,
    request_id: String,
    children: Vec<u32>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

fn with(work: impl FnOnce(&mut State)) {
    // A panic inside of these few lines is then the end of the program, as it has to be.
    STATE.with(|state| state.try_borrow_mut().map_or((), |mut state| work(&mut state)));
}

/// What to start in order to start this program once more.
pub fn own_program() -> OsString {
    std::env::var_os(SELF_VARIABLE).unwrap_or_else(|| OsString::from("/proc/self/exe"))
}

/// From now on this thread serves, on these sockets; `headers` are those of every answer, each with its end of line.
pub fn serve_on(listeners: Vec<RawFd>, headers: String) {
    with(|state| state.serving = Some(Serving { since: Instant::now(), listeners, headers }));
}

/// Work for a client begins. `None`: it has no answer coming, or one is under way.
pub fn answering(client: Option<Client>, request_id: &str) {
    with(|state| {
        state.client = client;
        state.request_id.clear();
        state.request_id.push_str(request_id);
    });
}

/// Work for a client is over.
pub fn answered() {
    with(|state| state.client = None);
}

/// A child was started.
pub fn child_began(process: u32) {
    with(|state| state.children.push(process));
}

/// A child is off the process table.
pub fn child_ended(process: u32) {
    with(|state| state.children.retain(|other| *other != process));
}

/// What the program listened on before it began anew, in the order of its settings; nothing when this is an ordinary start.
pub fn inherited() -> Vec<OwnedFd> {
    let Ok(value) = std::env::var(VARIABLE) else { return Vec::new() };
    let mut words = value.split(' ');
    // A child of ours, and whatever that starts, has the variable too.
    if words.next() != Some(std::process::id().to_string().as_str()) {
        return Vec::new();
    }
    let descriptors: Vec<RawFd> = words.filter_map(|word| word.parse().ok()).collect();
    for descriptor in &descriptors {
        set_close_on_exec(*descriptor, true);
    }
    // SAFETY: this process left these open for itself, and nobody else knows of them.
    descriptors.into_iter().map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) }).collect()
}

/// For the panic hook: does not come back where this thread serves.
pub fn after_panic() {
    let Some(state) = STATE.with(|state| state.try_borrow_mut().ok().map(|mut state| std::mem::take(&mut *state)))
    else {
        return;
    };
    let Some(serving) = state.serving else { return };
    if let Some(client) = state.client {
        say_500(client, &state.request_id, &serving.headers);
    }
    end(&state.children);
    std::thread::sleep(ROUND.saturating_sub(serving.since.elapsed()));
    log::error!("{} bangui begins anew", state.request_id);
    let error = begin_anew(&serving.listeners);
    log::error!("cannot begin anew: {error}");
    std::process::exit(101);
}

/// Writes the answer as far as the connection takes it at once.
fn say_500(client: Client, request_id: &str, headers: &str) {
    let detail = format!("Something went wrong here (request {request_id}). The log has the details; try once more.");
    let body = format!(r#"{{"code":"internal_error","detail":"{detail}","metadata":{{}}}}"#);
    let text = format!(
        "HTTP/1.1 500 Internal Server Error\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         x-request-id: {request_id}\r\n{headers}\r\n{}",
        body.len(),
        if client.head_only { "" } else { &body }
    );
    // SAFETY: the connection is open and of this thread, which never goes back to it. It is closed at the end.
    let mut connection = unsafe { File::from_raw_fd(client.socket) };
    // Whoever is gone needs no answer.
    let _ = connection.write_all(text.as_bytes());
}

fn end(children: &[u32]) {
    let until = Instant::now() + REAP;
    for child in children {
        let Ok(child) = libc::pid_t::try_from(*child) else { continue };
        // SAFETY: a child that has not been waited for, so that the number is still its own.
        unsafe { libc::kill(child, libc::SIGKILL) };
        // SAFETY: as above; nothing is written anywhere.
        while unsafe { libc::waitpid(child, std::ptr::null_mut(), libc::WNOHANG) } == 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Comes back only with the reason why it could not.
fn begin_anew(listeners: &[RawFd]) -> io::Error {
    let mut value = std::process::id().to_string();
    for listener in listeners {
        set_close_on_exec(*listener, false);
        value.push_str(&format!(" {listener}"));
    }
    Command::new(own_program()).args(std::env::args_os().skip(1)).env(VARIABLE, value).exec()
}

fn set_close_on_exec(descriptor: RawFd, on: bool) {
    // SAFETY: sets one flag of a descriptor of this process.
    unsafe { libc::fcntl(descriptor, libc::F_SETFD, if on { libc::FD_CLOEXEC } else { 0 }) };
}
