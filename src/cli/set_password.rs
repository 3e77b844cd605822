//! `bangui set-password`: replaces the owner's password, through the running server or without one.

use super::invocation::{Failure, Invocation};
use crate::domain::actor::OWNER;
use crate::domain::audit::{Entry, What};
use crate::domain::time;
use crate::main_loop::control::{self, Order};
use crate::store::audit::Doer;
use crate::store::{Error, OWNER_ID, Store};

/// Replaces the password.
pub fn run(invocation: &Invocation) -> Result<(), Failure> {
    let config = invocation.config()?;
    let hash = invocation.new_password_hash()?;
    match Store::open(&config.database) {
        Ok(mut store) => {
            let stored = store.stored().map_err(|error| Failure::failed(error.to_string()))?;
            if stored.password_hash.is_none() {
                return Err(Failure::failed("setup is not done yet; use bangui setup"));
            }
            let change = |store: &mut Store| {
                store.change_password(OWNER_ID, &hash, None)?;
                store.unlock_logins()?;
                Ok(true)
            };
            let changed = store.noted(&Entry::new(What::PasswordChanged, OWNER), &Doer::console(), time::now(), change);
            changed.map_err(|error| Failure::failed(error.to_string()))?;
        }
        Err(Error::Locked(path)) => {
            let reply = control::ask(&path, &Order::SetPassword { hash });
            reply.unwrap_or_else(|| Err(Error::Locked(path).to_string())).map_err(Failure::failed)?;
        }
        Err(error) => return Err(Failure::failed(error.to_string())),
    }
    println!("The owner's password is changed, the owner's sessions have ended, and all locks on logins are lifted.");
    Ok(())
}
