//! Listening sockets: TCP addresses and unix sockets, made with the options the loop relies on.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};

use mio::event;
use socket2::{Domain, Protocol, Socket, Type};

use super::request::Peer;
use super::stream::Stream;

/// The kernel's send buffer of each connection, in bytes: it bounds what a client that does not read costs.
const SEND_BUFFER: usize = 64 * 1024;
/// Connections the kernel keeps until they are accepted.
const BACKLOG: i32 = 128;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP address; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

/// An open listening socket.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(mio::net::TcpListener),
    /// A unix socket, whose file is removed when it is closed.
    Unix(mio::net::UnixListener, PathBuf),
}

/// A connection just accepted.
#[derive(Debug)]
pub struct Accepted {
    /// Its socket.
    pub stream: Stream,
    /// Its other end.
    pub peer: Peer,
}

impl Listener {
    /// Opens a listening socket. A unix socket left by a program that is gone is replaced, one in use is not.
    pub fn open(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => Self::open_tcp(*address),
            Address::Unix(path) => Self::open_unix(path),
        }
    }

    fn open_tcp(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            // Each address is listed on its own, so that what is open is what was asked for.
            socket.set_only_v6(true)?;
        }
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self::Tcp(mio::net::TcpListener::from_std(socket.into())))
    }

    fn open_unix(path: &Path) -> io::Result<Self> {
        let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
        if is_socket {
            if StdUnixStream::connect(path).is_ok() {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            fs::remove_file(path)?;
        }
        let listener = mio::net::UnixListener::bind(path)?;
        // A proxy of the same group may connect; nobody else.
        fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
        Ok(Self::Unix(listener, path.to_path_buf()))
    }

    /// The socket that was opened for this address before the program began anew.
    fn inherit(address: &Address, socket: OwnedFd) -> Self {
        match address {
            Address::Tcp(_) => Self::Tcp(mio::net::TcpListener::from_std(socket.into())),
            Address::Unix(path) => Self::Unix(mio::net::UnixListener::from_std(socket.into()), path.clone()),
        }
    }

    /// Its descriptor, for the program that begins anew.
    pub fn descriptor(&self) -> RawFd {
        match self {
            Self::Tcp(listener) => listener.as_raw_fd(),
            Self::Unix(listener, _) => listener.as_raw_fd(),
        }
    }

    /// For registration with the poll.
    pub fn source(&mut self) -> &mut dyn event::Source {
        match self {
            Self::Tcp(listener) => listener,
            Self::Unix(listener, _) => listener,
        }
    }

    /// The next connection that waits; `WouldBlock` when none does.
    pub fn accept(&self) -> io::Result<Accepted> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept()?;
                Accepted { stream: Stream::Tcp(stream), peer: Peer::Tcp(address.ip().to_canonical()) }
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept()?;
                Accepted { stream: Stream::Unix(stream), peer: Peer::Unix }
            }
        })
    }

    /// Where it listens: of a port that the system chose, which.
    pub fn address(&self) -> Option<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok().map(Address::Tcp),
            Self::Unix(_, path) => Some(Address::Unix(path.clone())),
        }
    }

    /// Where it listens, for people: `http://127.0.0.1:8000` or `unix:/run/bangui.sock`.
    pub fn describe(&self) -> String {
        match self {
            Self::Tcp(listener) => {
                listener.local_addr().map_or_else(|_| "http://?".into(), |address| format!("http://{address}"))
            }
            Self::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // Best effort: a file that stays is replaced at the next start.
            let _ = fs::remove_file(path);
        }
    }
}

/// Opens these addresses, or takes over the sockets that were opened for them before the program began anew. An error is a line for people.
pub fn open(addresses: &[Address], inherited: Vec<OwnedFd>) -> Result<Vec<Listener>, String> {
    if inherited.len() == addresses.len() {
        return Ok(addresses
            .iter()
            .zip(inherited)
            .map(|(address, socket)| Listener::inherit(address, socket))
            .collect());
    }
    let one = |address| Listener::open(address).map_err(|error| cannot_listen(address, &error));
    addresses.iter().map(one).collect()
}

/// Whether accepting failed because the process or the system has nothing left to accept with.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// The soft limit on open descriptors of this process.
pub fn descriptor_limit() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes one rlimit structure, and a whole one is passed.
    let answer = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    if answer == 0 { usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX) } else { 256 }
}
/// A line that says why an address cannot be listened on, and what to do.
fn cannot_listen(address: &Address, error: &io::Error) -> String {
    let place = match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(path) => format!("unix:{}", path.display()),
    };
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there; stop it or choose another --listen",
        io::ErrorKind::PermissionDenied => "permission denied; ports below 1024 are root's",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        _ => return format!("cannot listen on {place}: {error}"),
    };
    format!("cannot listen on {place}: {hint}")
}
