//! SIGTERM, SIGINT and SIGHUP as events of the loop.

use std::io::{self, Read};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::net::UnixStream;
use mio::{Interest, Registry};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};

use crate::server::token::Source;

/// The signals caught so far.
#[derive(Debug)]
pub struct Signals {
    wake: UnixStream,
    terminated: Arc<AtomicBool>,
    hung_up: Arc<AtomicBool>,
}

impl Signals {
    /// Catches them from now on. Each sets its flag first, then wakes the loop.
    pub fn catch() -> io::Result<Self> {
        let (receiver, sender) = StdUnixStream::pair()?;
        receiver.set_nonblocking(true)?;
        sender.set_nonblocking(true)?;
        let (terminated, hung_up) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        for (signal, caught) in [(SIGTERM, &terminated), (SIGINT, &terminated), (SIGHUP, &hung_up)] {
            flag::register(signal, Arc::clone(caught))?;
            pipe::register(signal, sender.try_clone()?)?;
        }
        Ok(Self { wake: UnixStream::from_std(receiver), terminated, hung_up })
    }

    /// Registers what wakes the loop.
    pub fn register(&mut self, registry: &Registry) -> io::Result<()> {
        registry.register(&mut self.wake, Source::Signal.token(), Interest::READABLE)
    }

    /// Whether SIGHUP came since the last call.
    pub fn hung_up(&mut self) -> bool {
        // What is left unread would not be reported again.
        while matches!(self.wake.read(&mut [0; 64]), Ok(1..)) {}
        self.hung_up.swap(false, Ordering::Relaxed)
    }

    /// Whether SIGTERM or SIGINT came.
    pub fn terminated(&self) -> bool {
        self.terminated.load(Ordering::Relaxed)
    }
}
