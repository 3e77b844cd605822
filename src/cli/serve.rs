//! `bangui serve`: the server.

use super::invocation::{Failure, Invocation};
use crate::app::Ctx;
use crate::log_sink;
use crate::main_loop::MainLoop;
use crate::store::Store;

/// Runs until a signal ends it.
pub fn run(invocation: &Invocation) -> Result<(), Failure> {
    let config = invocation.config()?;
    log_sink::start(config.log_level);
    let store = Store::open(&config.database).map_err(|error| Failure::failed(error.to_string()))?;
    let ctx = Ctx::new(config, store).map_err(|error| Failure::failed(error.to_string()))?;
    MainLoop::new(ctx).and_then(MainLoop::run).map_err(Failure::failed)
}
