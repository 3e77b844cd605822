//! Watches the daemon between commands: the end of its idle connection is noticed at once, and one that did not
//! answer in time is pinged without waiting for it.

use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry};

use super::probe::{Outcome, Probe};
use crate::api::Ctx;
use crate::server::token::Source;

/// How often a ping is tried while the daemon does not even take connections.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// What is watched.
#[derive(Debug, Default)]
pub struct DaemonWatch {
    /// The connection registered, and which of the client's connections it is: descriptors are used again.
    watched: Option<(RawFd, u64)>,
    probe: Option<Probe>,
    probe_after: Option<Instant>,
}

impl DaemonWatch {
    /// Keeps up with the client: registers its present connection, and pings while it rests.
    pub fn follow(&mut self, ctx: &Ctx, registry: &Registry) {
        let client = ctx.daemon.client();
        let present = client.as_raw_fd().map(|fd| (fd, client.connections()));
        if present != self.watched {
            // A closed descriptor has left the poll by itself.
            self.watched = present.filter(|(fd, _)| {
                let registered = registry.register(&mut SourceFd(fd), Source::Daemon.token(), Interest::READABLE);
                registered.is_ok()
            });
        }
        let now = Instant::now();
        if !client.is_resting() {
            self.probe = None;
        } else if self.probe.is_none() && self.probe_after.is_none_or(|after| now >= after) {
            self.probe_after = Some(now + PROBE_EVERY);
            self.probe = Probe::send(client.path(), registry).ok();
        }
    }

    /// Something came on the idle connection: the daemon has closed it, for nothing was asked.
    pub fn on_connection_event(&mut self, ctx: &mut Ctx) {
        if ctx.daemon.client_mut().drop_if_closed() {
            ctx.snapshot.taken = None;
        }
    }

    /// The ping was answered, or its connection closed.
    pub fn on_probe_event(&mut self, ctx: &mut Ctx) {
        let outcome = self.probe.as_mut().map(Probe::check);
        match outcome {
            Some(Outcome::Pending) | None => {}
            Some(Outcome::Answered | Outcome::Gone) => {
                self.probe = None;
                ctx.daemon.client_mut().end_rest();
                ctx.snapshot.taken = None;
            }
        }
    }
}
