//! `bangui unlock`: lifts every lock on logins, through the running server or without one.

use serde_json::Value;

use super::invocation::{Failure, Invocation};
use super::on_database::{self, failed};
use crate::domain::time;
use crate::main_loop::control::Order;

/// Forgives all failed logins.
pub fn run(invocation: &Invocation) -> Result<(), Failure> {
    let config = invocation.config()?;
    on_database::run(&config.database, &Order::Unlock, |store| {
        store.unlock(time::now()).map_err(failed)?;
        Ok(Value::Bool(true))
    })?;
    println!("All locks on logins are lifted.");
    Ok(())
}
