//! The connection to the daemon: blocking, one command at a time, and never longer than the patience of its owner.
//!
//! It frames, waits, checks who is at the other end and turns exceptions into errors. Which words make a command is not known here.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use super::encode::{self, TERMINATOR};
use super::error::{Error, unwrap_reply};
use super::pickle::{self, opcode::Framer};
use super::value::Value;

/// The largest reply that is read, unless set otherwise: 100 000 bans with their times take 6.3 MB.
const DEFAULT_REPLY_LIMIT: usize = 64 << 20;
/// How much is read at first, for most replies are short, and at most at once, in bytes.
const FIRST_READ: usize = 4 << 10;
const LARGEST_READ: usize = 8 << 20;
/// The first rest after an answer that did not come, and the longest one.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(5);

/// A client of one daemon. It connects at the first call, and keeps the connection for the next one.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    patience: Duration,
    reply_limit: usize,
    stream: Option<UnixStream>,
    connections: u64,
    rest: Option<Rest>,
}

/// When to leave a daemon alone that did not answer.
#[derive(Debug, Default)]
struct Rest {
    until: Option<Instant>,
    length: Duration,
}

/// Why one attempt on one connection failed.
enum Failure {
    /// The daemon was gone before any of the answer: another connection may do better.
    Gone(Error),
    /// Everything else.
    Final(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Final(error)
    }
}

impl Client {
    /// A client of the daemon at `socket`, each call of which takes at most `patience`. Nothing is connected yet.
    pub fn new(socket: PathBuf, patience: Duration) -> Client {
        Client { path: socket, patience, reply_limit: DEFAULT_REPLY_LIMIT, stream: None, connections: 0, rest: None }
    }

    /// The same client with another limit for replies, in bytes.
    pub fn with_reply_limit(mut self, bytes: usize) -> Client {
        self.reply_limit = bytes;
        self
    }

    /// The same client, which after an answer that did not come in time says `Busy` by itself for a second, and for up to five if that goes
    /// on. For whoever must not wait again and again, the event loop.
    pub fn with_rests(mut self) -> Client {
        self.rest = Some(Rest::default());
        self
    }

    /// Begins a rest as after an answer that did not come: somebody else found the daemon busy.
    pub fn begin_rest(&mut self) {
        let busy: Result<(), Error> = Err(Error::Busy { waited: Duration::ZERO });
        self.note(&busy);
    }

    /// Ends a rest: somebody else has seen the daemon answer.
    pub fn end_rest(&mut self) {
        self.note(&Ok(()));
    }

    /// Whether it rests, and says `Busy` without asking.
    pub fn is_resting(&self) -> bool {
        self.rest.as_ref().and_then(|rest| rest.until).is_some_and(|until| Instant::now() < until)
    }

    /// How long a call may take.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Changes how long a call may take from now on.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// The socket of the daemon.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a connection. The daemon may have closed it since.
    pub fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    /// The process behind the connection; `None` without one, and for a daemon in a container, whose number means nothing here.
    pub fn daemon_pid(&self) -> Option<i32> {
        let found = credentials(self.stream.as_ref()?).ok()?;
        (found.pid > 0).then_some(found.pid)
    }

    /// How many connections were made so far. What was learned of the daemon, its version for example, holds while this stays the same.
    pub fn connections(&self) -> u64 {
        self.connections
    }

    /// Closes the connection if the daemon has closed its end, or sent what nobody asked for; says whether it did.
    pub fn drop_if_closed(&mut self) -> bool {
        let closed = self.stream.as_ref().is_some_and(|stream| !is_quiet(stream));
        if closed {
            self.stream = None;
        }
        closed
    }

    /// Closes the connection; the next call makes a new one.
    pub fn disconnect(&mut self) {
        self.stream = None;
    }

    /// The connection's descriptor, for noticing that the daemon has closed it. It changes with every new connection.
    pub fn as_raw_fd(&self) -> Option<RawFd> {
        self.stream.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Sends a command once and returns what it answers. For commands that change something.
    pub fn call(&mut self, words: &[&str]) -> Result<Value, Error> {
        let request = encode::encode_words(words)?;
        self.exchange(&request, false, value_of)
    }

    /// Sends a question and returns the answer. It is asked again, on a new connection, when the daemon was restarted since the last call.
    pub fn ask(&mut self, words: &[&str]) -> Result<Value, Error> {
        let request = encode::encode_words(words)?;
        self.exchange(&request, true, value_of)
    }

    /// Sends a command that holds lists, once.
    pub fn call_value(&mut self, command: &Value) -> Result<Value, Error> {
        let request = encode::encode(command)?;
        self.exchange(&request, false, value_of)
    }

    /// Asks for a long list of texts and hands them over one by one, without building a value for each. Returns their number.
    pub fn ask_strings(&mut self, words: &[&str], visit: &mut dyn FnMut(&str)) -> Result<usize, Error> {
        let request = encode::encode_words(words)?;
        self.exchange(&request, true, |reply| {
            let decoded = pickle::decode(reply)?;
            let mut count = 0;
            let mut counting = |text: &str| {
                count += 1;
                visit(text);
            };
            if decoded.each_string(&mut counting) {
                return Ok(count);
            }
            // An error of the daemon's, or no list.
            match unwrap_reply(decoded.value()?)? {
                Value::None => Ok(0),
                _ => Err(Error::Protocol("the reply is no list".to_owned())),
            }
        })
    }

    /// One request and its reply, with one repetition where that is safe.
    fn exchange<T>(
        &mut self,
        request: &[u8],
        repeatable: bool,
        read: impl FnOnce(&[u8]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if let Some(until) = self.rest.as_ref().and_then(|rest| rest.until)
            && Instant::now() < until
        {
            return Err(Error::Busy { waited: Duration::ZERO });
        }
        let deadline = Deadline { at: Instant::now() + self.patience, patience: self.patience };
        let result = self.exchange_before(&deadline, request, repeatable);
        self.note(&result);
        let (buffer, length) = result?;
        read(&buffer[..length])
    }

    fn exchange_before(
        &mut self,
        deadline: &Deadline,
        request: &[u8],
        repeatable: bool,
    ) -> Result<(Vec<u8>, usize), Error> {
        // A connection on which something waits to be read has been closed by the daemon, or carries an answer nobody asked for. Found
        // before anything is sent, so a new one is always safe.
        if self.stream.as_ref().is_some_and(|stream| !is_quiet(stream)) {
            self.stream = None;
        }
        let reused = self.stream.is_some();
        match self.attempt(deadline, request) {
            Err(Failure::Gone(_)) if reused && repeatable => match self.attempt(deadline, request) {
                Ok(reply) => Ok(reply),
                Err(Failure::Gone(error) | Failure::Final(error)) => Err(error),
            },
            Ok(reply) => Ok(reply),
            Err(Failure::Gone(error) | Failure::Final(error)) => Err(error),
        }
    }

    /// The stream is out of `self` while an answer is outstanding, and comes back only behind a complete one.
    fn attempt(&mut self, deadline: &Deadline, request: &[u8]) -> Result<(Vec<u8>, usize), Failure> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = connect(&self.path, deadline)?;
                self.connections += 1;
                stream
            }
        };
        send(&mut stream, request, deadline)?;
        let reply = receive(&mut stream, self.reply_limit, deadline)?;
        self.stream = Some(stream);
        Ok(reply)
    }

    fn note<T>(&mut self, result: &Result<T, Error>) {
        let Some(rest) = &mut self.rest else { return };
        if matches!(result, Err(Error::Busy { .. })) {
            rest.length = (rest.length * 2).clamp(FIRST_REST, LONGEST_REST);
            rest.until = Some(Instant::now() + rest.length);
        } else {
            *rest = Rest::default();
        }
    }
}

fn value_of(reply: &[u8]) -> Result<Value, Error> {
    unwrap_reply(pickle::decode(reply)?.value()?)
}

/// The end of a call, however many reads and writes it takes.
struct Deadline {
    at: Instant,
    patience: Duration,
}

impl Deadline {
    /// What is left; never zero, because a socket takes zero for "for ever".
    fn left(&self) -> Result<Duration, Error> {
        let left = self.at.saturating_duration_since(Instant::now());
        if left < Duration::from_micros(10) { Err(self.missed()) } else { Ok(left) }
    }

    fn missed(&self) -> Error {
        Error::Busy { waited: self.patience }
    }
}

fn connect(path: &Path, deadline: &Deadline) -> Result<UnixStream, Error> {
    let unreachable = |why: String| Error::Unreachable { path: path.to_owned(), why };
    let address =
        SockAddr::unix(path).map_err(|error| unreachable(format!("no usable path for a socket ({error})")))?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)
        .map_err(|error| unreachable(format!("no socket to be had ({error})")))?;
    loop {
        // The daemon's backlog is one connection: where it is full, this is how long the kernel lets us wait for a place.
        socket.set_write_timeout(Some(deadline.left()?)).map_err(|error| unreachable(error.to_string()))?;
        match socket.connect(&address) {
            Ok(()) => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => deadline.missed(),
                    ErrorKind::NotFound => {
                        unreachable("there is no such socket; start fail2ban, or name the socket it uses".to_owned())
                    }
                    ErrorKind::ConnectionRefused => unreachable(
                        "nobody listens there; start fail2ban (a file left by a crash does no harm)".to_owned(),
                    ),
                    ErrorKind::PermissionDenied => unreachable("permission denied; run as root".to_owned()),
                    _ => unreachable(error.to_string()),
                });
            }
        }
    }
    let stream = UnixStream::from(std::os::fd::OwnedFd::from(socket));
    let uid = credentials(&stream)
        .map(|found| found.uid)
        .map_err(|error| unreachable(format!("cannot tell whose it is ({error})")))?;
    // SAFETY: geteuid takes nothing, touches no memory and cannot fail.
    let ours = unsafe { libc::geteuid() };
    if uid != 0 && uid != ours {
        return Err(Error::Untrusted { path: path.to_owned(), uid });
    }
    Ok(stream)
}

/// Who listens at the other end.
pub fn credentials(stream: &UnixStream) -> std::io::Result<libc::ucred> {
    let mut found = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the pointer and the length describe `found`, which outlives the call; the descriptor is open as long as `stream` is.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &raw mut length,
        )
    };
    if result == 0 { Ok(found) } else { Err(std::io::Error::last_os_error()) }
}

/// Whether an idle connection is open and silent, as it should be.
fn is_quiet(stream: &UnixStream) -> bool {
    let mut byte = 0u8;
    // SAFETY: one byte is read at most, into `byte`, which outlives the call; the descriptor is open as long as `stream` is.
    let count =
        unsafe { libc::recv(stream.as_raw_fd(), (&raw mut byte).cast(), 1, libc::MSG_PEEK | libc::MSG_DONTWAIT) };
    count < 0 && std::io::Error::last_os_error().kind() == ErrorKind::WouldBlock
}

fn gone(what: &str) -> Failure {
    Failure::Gone(Error::Protocol(format!("fail2ban closed the connection {what}; it may be restarting, try again")))
}

fn send(stream: &mut UnixStream, mut request: &[u8], deadline: &Deadline) -> Result<(), Failure> {
    while !request.is_empty() {
        set_timeout(stream.set_write_timeout(Some(deadline.left()?)))?;
        match stream.write(request) {
            Ok(count) => request = &request[count..],
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                    return Err(deadline.missed().into());
                }
                _ => return Err(gone("before it took the command")),
            },
        }
    }
    Ok(())
}

/// Reads to the STOP of the pickle and the terminator behind it, which must be all there is. Returns the buffer and the pickle's length.
fn receive(stream: &mut UnixStream, limit: usize, deadline: &Deadline) -> Result<(Vec<u8>, usize), Failure> {
    let mut buffer = Vec::new();
    let mut filled = 0;
    let mut framer = Framer::default();
    let mut pickle_end = None;
    loop {
        if pickle_end.is_none() {
            pickle_end =
                framer.end(&buffer[..filled]).map_err(|code| Error::from(pickle::PickleError::Malformed(code)))?;
        }
        if let Some(end) = pickle_end {
            let behind = &buffer[end..filled];
            if behind == TERMINATOR {
                return Ok((buffer, end));
            }
            if !TERMINATOR.starts_with(behind) {
                return Err(Error::from(pickle::PickleError::Trailing).into());
            }
        }
        if filled >= limit {
            return Err(Error::Protocol(format!("the reply is longer than {} KiB", limit >> 10)).into());
        }
        if filled == buffer.len() {
            buffer.resize(filled + filled.clamp(FIRST_READ, LARGEST_READ), 0);
        }
        set_timeout(stream.set_read_timeout(Some(deadline.left()?)))?;
        match stream.read(&mut buffer[filled..]) {
            Ok(0) if filled == 0 => return Err(gone("without an answer")),
            Ok(0) => {
                return Err(
                    Error::Protocol("fail2ban closed the connection in the middle of its answer".to_owned()).into()
                );
            }
            Ok(count) => filled += count,
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                    return Err(deadline.missed().into());
                }
                _ if filled == 0 => return Err(gone("without an answer")),
                _ => {
                    return Err(
                        Error::Protocol(format!("the connection broke in the middle of the answer ({error})")).into()
                    );
                }
            },
        }
    }
}

fn set_timeout(result: std::io::Result<()>) -> Result<(), Error> {
    result.map_err(|error| Error::Protocol(format!("cannot limit the wait ({error})")))
}

#[cfg(test)]
mod tests;
