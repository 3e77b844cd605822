//! What signals ask for: a new look, or the end, which leaves answers under way their time.

use std::time::{Duration, Instant};

use super::run::MainLoop;

/// How long answers under way may take once the program is to stop.
const DRAIN: Duration = Duration::from_secs(5);

impl MainLoop {
    pub(super) fn on_signal(&mut self) {
        if self.signals.hung_up() {
            log::info!("SIGHUP: looking again at fail2ban and its files");
            self.ctx.expect_changes();
        }
        if self.signals.terminated() {
            self.stop();
        }
    }

    /// SIGTERM or SIGINT: no new connections, answers under way are finished.
    pub(super) fn stop(&mut self) {
        if self.stopping.is_none() {
            log::info!("stopping");
            self.connections.stop();
            self.ctx.flush_refusals(Instant::now());
            self.stopping = Some(Instant::now() + DRAIN);
            self.stop_import();
            self.stop_bulk();
        }
    }

    pub(super) fn is_done(&self) -> bool {
        let is_idle = !self.connections.any_open() && self.pending.is_empty();
        self.stopping.is_some_and(|until| is_idle || Instant::now() >= until)
    }
}
