//! `bangui unlock`: lifts every lock on logins, through the running server or without one.

use super::invocation::{Failure, Invocation};
use crate::domain::audit::{Entry, What};
use crate::domain::time;
use crate::main_loop::control::{self, Order};
use crate::store::audit::Doer;
use crate::store::{Error, Store};

/// Forgives all failed logins.
pub fn run(invocation: &Invocation) -> Result<(), Failure> {
    let config = invocation.config()?;
    match Store::open(&config.database) {
        Ok(mut store) => {
            let unlock = |store: &mut Store| store.unlock_logins().map(|()| true);
            let done = store.noted(&Entry::new(What::Unlock, ""), &Doer::console(), time::now(), unlock);
            done.map_err(|error| Failure::failed(error.to_string()))?;
        }
        Err(Error::Locked(path)) => {
            let reply = control::ask(&path, &Order::Unlock);
            reply.unwrap_or_else(|| Err(Error::Locked(path).to_string())).map_err(Failure::failed)?;
        }
        Err(error) => return Err(Failure::failed(error.to_string())),
    }
    println!("All locks on logins are lifted.");
    Ok(())
}
