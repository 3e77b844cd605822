//! `bangui serve`: the server.

use super::{Failure, Invocation};
use crate::api::Ctx;
use crate::log_sink::LogSink;
use crate::main_loop::MainLoop;
use crate::store::Store;

/// Runs until a signal ends it.
pub fn run(invocation: &Invocation) -> Result<(), Failure> {
    let config = invocation.config()?;
    start_log(config.log_level);
    let store = Store::open(&config.database).map_err(|error| Failure::failed(error.to_string()))?;
    let ctx = Ctx::new(config, store).map_err(|error| Failure::failed(error.to_string()))?;
    MainLoop::new(ctx).and_then(MainLoop::run).map_err(Failure::failed)
}

/// Logs to standard error: the service manager knows where that goes, and a router has no flash to spare for it.
fn start_log(level: log::LevelFilter) {
    let config = simplelog::ConfigBuilder::new()
        .set_time_format_rfc3339()
        .set_thread_level(log::LevelFilter::Off)
        .set_target_level(log::LevelFilter::Off)
        .set_location_level(log::LevelFilter::Off)
        .build();
    // Fails only where a logger is set already, and this is the one place that sets one.
    let _ = simplelog::WriteLogger::init(level, config, LogSink::stderr());
}
