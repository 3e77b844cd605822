//! The bytes between us and the daemon: connect, send, receive, each before a deadline.
//!
//! Which connection is used again, and what is asked twice, is decided in `client.rs`.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::fail2ban::encode::TERMINATOR;
use crate::fail2ban::error::{Error, Reason};
use crate::fail2ban::pickle::{PickleError, opcode::Framer};

/// How much is read at first, for most replies are short, and at most at once, in bytes.
const FIRST_READ: usize = 4 << 10;
const LARGEST_READ: usize = 8 << 20;

/// Why one attempt on one connection failed.
pub(super) enum Failure {
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

/// The end of a call, however many reads and writes it takes.
pub(super) struct Deadline {
    pub at: Instant,
    pub patience: Duration,
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

pub(super) fn connect(path: &Path, deadline: &Deadline) -> Result<UnixStream, Error> {
    let failed = |reason: Reason, why: String| Error::Unreachable { path: path.to_owned(), reason, why };
    let unreachable = |why: String| failed(Reason::Refused, why);
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
                    ErrorKind::NotFound => failed(
                        Reason::Absent,
                        "there is no such socket; start fail2ban, or name the socket it uses".to_owned(),
                    ),
                    ErrorKind::ConnectionRefused => unreachable(
                        "nobody listens there; start fail2ban (a file left by a crash does no harm)".to_owned(),
                    ),
                    ErrorKind::PermissionDenied => {
                        failed(Reason::NotPermitted, "permission denied; run as root".to_owned())
                    }
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
pub(super) fn is_quiet(stream: &UnixStream) -> bool {
    let mut byte = 0u8;
    // SAFETY: one byte is read at most, into `byte`, which outlives the call; the descriptor is open as long as `stream` is.
    let count =
        unsafe { libc::recv(stream.as_raw_fd(), (&raw mut byte).cast(), 1, libc::MSG_PEEK | libc::MSG_DONTWAIT) };
    count < 0 && std::io::Error::last_os_error().kind() == ErrorKind::WouldBlock
}

fn gone(what: &str) -> Failure {
    Failure::Gone(Error::Protocol(format!("fail2ban closed the connection {what}; it may be restarting, try again")))
}

pub(super) fn send(stream: &mut UnixStream, mut request: &[u8], deadline: &Deadline) -> Result<(), Failure> {
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
pub(super) fn receive(stream: &mut UnixStream, limit: usize, deadline: &Deadline) -> Result<(Vec<u8>, usize), Failure> {
    let mut buffer = Vec::new();
    let mut filled = 0;
    let mut framer = Framer::default();
    let mut pickle_end = None;
    loop {
        if pickle_end.is_none() {
            pickle_end = framer.end(&buffer[..filled]).map_err(|code| Error::from(PickleError::Malformed(code)))?;
        }
        if let Some(end) = pickle_end {
            let behind = &buffer[end..filled];
            if behind == TERMINATOR {
                return Ok((buffer, end));
            }
            if !TERMINATOR.starts_with(behind) {
                return Err(Error::from(PickleError::Trailing).into());
            }
        }
        // A length that is declared and would be too much is not waited for.
        if filled >= limit || framer.needs() > limit {
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
