//! One `ping`, sent to a daemon that did not answer in time, whose answer the loop does not wait for but is told of.
//! So a hung daemon costs the loop nothing, and its return is noticed at once.

use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use mio::net::UnixStream;
use mio::{Interest, Registry};

use crate::fail2ban::encode;
use crate::server::token::Source;

/// A ping under way.
#[derive(Debug)]
pub struct Probe {
    stream: UnixStream,
}

/// What became of a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The daemon still owes the answer.
    Pending,
    /// It answered.
    Answered,
    /// It closed the connection.
    Gone,
}

impl Probe {
    /// Sends a ping. `WouldBlock`: the daemon takes no connections now.
    pub fn send(socket: &Path, registry: &Registry) -> io::Result<Self> {
        let mut stream = UnixStream::connect(socket)?;
        let request = encode::encode_words(&["ping"]).map_err(io::Error::other)?;
        // A few bytes always fit into the buffer of a new connection.
        stream.write_all(&request)?;
        registry.register(&mut stream, Source::Probe.token(), Interest::READABLE)?;
        Ok(Self { stream })
    }

    /// Looks for the answer.
    pub fn check(&mut self) -> Outcome {
        match self.stream.read(&mut [0; 256]) {
            Ok(0) => Outcome::Gone,
            Ok(_) => Outcome::Answered,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Outcome::Pending,
            Err(_) => Outcome::Gone,
        }
    }
}
