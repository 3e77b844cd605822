//! `bangui setup`: the setup without a browser, through the running server or without one. The time zone and the
//! socket are those of the settings, where they were given.

use super::invocation::{Failure, Invocation};
use crate::domain::actor::OWNER;
use crate::domain::audit::{Entry, What};
use crate::domain::time;
use crate::main_loop::control::{self, Order};
use crate::store::audit::Doer;
use crate::store::{Error, Store};

const ALREADY: &str = "setup has been done already; bangui set-password replaces the password";

/// Completes setup.
pub fn run(invocation: &Invocation) -> Result<(), Failure> {
    let config = invocation.config()?;
    let hash = invocation.new_password_hash()?;
    let timezone = config.timezone.clone();
    let fail2ban_socket = config.fail2ban_socket.as_ref().map(|path| path.to_string_lossy().into_owned());
    match Store::open(&config.database) {
        Ok(mut store) => {
            let mut settings = vec![("timezone", timezone.as_deref().unwrap_or("UTC"))];
            settings.extend(fail2ban_socket.as_deref().map(|socket| ("fail2ban_socket", socket)));
            let entry = Entry::new(What::Setup, OWNER);
            let complete = |store: &mut Store| store.complete_setup(&hash, &settings);
            let done = store.noted(&entry, &Doer::console(), time::now(), complete);
            let done = done.map_err(|error| Failure::failed(error.to_string()))?;
            if !done {
                return Err(Failure::failed(ALREADY));
            }
        }
        Err(Error::Locked(path)) => {
            let reply = control::ask(&path, &Order::Setup { hash, timezone, fail2ban_socket });
            reply.unwrap_or_else(|| Err(Error::Locked(path).to_string())).map_err(Failure::failed)?;
        }
        Err(error) => return Err(Failure::failed(error.to_string())),
    }
    println!("Setup is complete. Start the server with: bangui serve");
    Ok(())
}
