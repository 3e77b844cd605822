//! Watches the daemon between commands: the end of its idle connection is noticed at once, and one that did not
//! answer in time is pinged without waiting for it.

use std::io::ErrorKind;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry};

use super::probe::{Outcome, Probe};
use crate::app::Ctx;
use crate::server::token::Source;

/// How often a ping is tried while the daemon does not even take connections.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// What is watched.
#[derive(Debug, Default)]
pub struct DaemonWatch {
    /// The connection registered, and which of the client's connections it is: descriptors are used again.
    watched: Option<(PathBuf, RawFd, u64)>,
    /// The daemon did not answer in time, and is left alone until a ping says that it is back.
    hangs: bool,
    probe: Option<Probe>,
    probe_at: Option<Instant>,
}

impl DaemonWatch {
    /// Keeps up with the client: registers its present connection, and pings while the daemon does not answer.
    pub fn follow(&mut self, ctx: &mut Ctx, registry: &Registry) {
        let client = ctx.daemon.client_mut();
        let present = client.as_raw_fd().map(|fd| (client.path().to_owned(), fd, client.connections()));
        if present != self.watched {
            // A closed descriptor has left the poll by itself.
            self.watched = present.filter(|(_, fd, _)| {
                let registered = registry.register(&mut SourceFd(fd), Source::Daemon.token(), Interest::READABLE);
                registered.is_ok()
            });
        }
        let is_news = !self.hangs && client.is_resting();
        self.hangs |= is_news;
        if is_news {
            // Health and dashboard are to say so now, not at the next look.
            ctx.expect_changes();
        }
        let client = ctx.daemon.client_mut();
        let now = Instant::now();
        if !self.hangs || self.probe_at.is_some_and(|at| now < at) {
            return;
        }
        self.probe_at = Some(now + PROBE_EVERY);
        // A ping that is still not answered is replaced: that one connection may be what hangs.
        match Probe::send(client.path(), registry) {
            Ok(probe) => self.probe = Some(probe),
            // Its queue of connections is full: it hangs on.
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.probe = None,
            // It is gone, which the next command will say better.
            Err(_) => return self.is_back(ctx),
        }
        if !client.is_resting() {
            client.begin_rest();
        }
    }

    /// It answers again, or can be told not to be there: commands may be sent.
    pub fn is_back(&mut self, ctx: &mut Ctx) {
        *self = Self { watched: self.watched.take(), ..Self::default() };
        ctx.daemon.client_mut().end_rest();
        ctx.expect_changes();
    }

    /// Something came on the idle connection: the daemon has closed it, for nothing was asked.
    pub fn on_connection_event(&mut self, ctx: &mut Ctx) {
        if ctx.daemon.client_mut().drop_if_closed() {
            ctx.expect_changes();
            ctx.restarted = true;
        }
    }

    /// The ping was answered, or its connection closed.
    pub fn on_probe_event(&mut self, ctx: &mut Ctx) {
        match self.probe.as_mut().map(Probe::check) {
            Some(Outcome::Answered | Outcome::Gone) => self.is_back(ctx),
            Some(Outcome::Pending) | None => {}
        }
    }
}
