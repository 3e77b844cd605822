//! `bangui totp reset NAME`: a user whose authenticator is lost logs in by the password alone again, through the running server or without
//! one.

use serde_json::Value;

use super::invocation::{Failure, Invocation};
use super::on_database::{self, failed};
use crate::domain::time;
use crate::main_loop::control::Order;

/// Removes the second factor of a user.
pub fn run(invocation: &Invocation) -> Result<(), Failure> {
    let words: Vec<&str> = invocation.arguments.iter().map(String::as_str).collect();
    let ["reset", name] = words.as_slice() else { return Err(Failure::usage("totp is followed by reset NAME")) };
    let config = invocation.config()?;
    let was_there = on_database::run(&config.database, &Order::ResetTotp { user: (*name).to_owned() }, |store| {
        let Some(row) = store.user(name).map_err(failed)? else {
            return Err(Failure::failed(format!("there is no user {name}; bangui user lists those there are")));
        };
        Ok(Value::Bool(store.reset_second_factor(&row.user, time::now()).map_err(failed)?))
    })?;
    if was_there == Value::Bool(true) {
        println!("{name} logs in by the password alone again; the recovery codes are of no use any more.");
    } else {
        println!("{name} has no second factor: the password alone is asked for.");
    }
    Ok(())
}
