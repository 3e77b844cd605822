//! `bangui set-password`: replaces the owner's password, through the running server or without one.

use serde_json::Value;

use super::invocation::{Failure, Invocation};
use super::on_database::{self, failed};
use crate::domain::time;
use crate::main_loop::control::Order;

/// Replaces the password.
pub fn run(invocation: &Invocation) -> Result<(), Failure> {
    let config = invocation.config()?;
    let hash = invocation.new_password_hash()?;
    on_database::run(&config.database, &Order::SetPassword { hash: hash.clone() }, |store| {
        if store.stored().map_err(failed)?.password_hash.is_none() {
            return Err(Failure::failed("setup is not done yet; use bangui setup"));
        }
        store.set_owner_password(&hash, time::now()).map_err(failed)?;
        Ok(Value::Bool(true))
    })?;
    println!("The owner's password is changed, the owner's sessions have ended, and all locks on logins are lifted.");
    Ok(())
}
