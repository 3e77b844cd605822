//! `bangui totp reset NAME`: a user whose authenticator is lost logs in by the password alone again, through the running server or without
//! one.

use super::invocation::{Failure, Invocation};
use crate::domain::audit::{Entry, What};
use crate::domain::time;
use crate::main_loop::control::{self, Order};
use crate::store::audit::Doer;
use crate::store::{Error, Store};

/// Removes the second factor of a user.
pub fn run(invocation: &Invocation) -> Result<(), Failure> {
    let words: Vec<&str> = invocation.arguments.iter().map(String::as_str).collect();
    let ["reset", name] = words.as_slice() else { return Err(Failure::usage("totp is followed by reset NAME")) };
    let config = invocation.config()?;
    let was_there = match Store::open(&config.database) {
        Ok(mut store) => {
            let found = store.user(name).map_err(|error| Failure::failed(error.to_string()))?;
            let Some(row) = found else {
                return Err(Failure::failed(format!("there is no user {name}; bangui user lists those there are")));
            };
            let remove = |store: &mut Store| store.remove_second_factor(row.user.id);
            let done = store.noted(&Entry::new(What::TotpDisabled, *name), &Doer::console(), time::now(), remove);
            done.map_err(|error| Failure::failed(error.to_string()))?
        }
        Err(Error::Locked(path)) => {
            let reply = control::ask(&path, &Order::ResetTotp { user: (*name).to_owned() });
            let done = reply.unwrap_or_else(|| Err(Error::Locked(path).to_string())).map_err(Failure::failed)?;
            done == serde_json::Value::Bool(true)
        }
        Err(error) => return Err(Failure::failed(error.to_string())),
    };
    if was_there {
        println!("{name} logs in by the password alone again; the recovery codes are of no use any more.");
    } else {
        println!("{name} has no second factor: the password alone is asked for.");
    }
    Ok(())
}
