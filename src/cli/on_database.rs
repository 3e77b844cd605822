//! What a command does to our database: through the server that has it open, or directly where none runs.

use std::path::Path;

use serde_json::Value;

use super::invocation::Failure;
use crate::main_loop::control::{self, Order};
use crate::store::{Error, Store};

/// Gives what the server makes of the order, or else what is made `directly`.
pub fn run(
    database: &Path,
    order: &Order,
    directly: impl FnOnce(&mut Store) -> Result<Value, Failure>,
) -> Result<Value, Failure> {
    match Store::open(database) {
        Ok(mut store) => directly(&mut store),
        Err(Error::Locked(path)) => {
            let reply = control::ask(&path, order);
            reply.unwrap_or_else(|| Err(Error::Locked(path).to_string())).map_err(Failure::failed)
        }
        Err(error) => Err(failed(error)),
    }
}

/// It cannot be read or written.
pub fn failed(error: Error) -> Failure {
    Failure::failed(error.to_string())
}
