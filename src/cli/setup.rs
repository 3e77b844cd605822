//! `bangui setup`: the setup without a browser, through the running server or without one. The time zone and the
//! socket are those of the settings, where they were given.

use serde_json::Value;

use super::invocation::{Failure, Invocation};
use super::on_database::{self, failed};
use crate::domain::actor::OWNER;
use crate::domain::audit::{Entry, What};
use crate::domain::time;
use crate::main_loop::control::Order;
use crate::store::Store;
use crate::store::audit::Doer;

const ALREADY: &str = "setup has been done already; bangui set-password replaces the password";

/// Completes setup.
pub fn run(invocation: &Invocation) -> Result<(), Failure> {
    let config = invocation.config()?;
    let hash = invocation.new_password_hash()?;
    let timezone = config.timezone.clone();
    let fail2ban_socket = config.fail2ban_socket.as_ref().map(|path| path.to_string_lossy().into_owned());
    let order =
        Order::Setup { hash: hash.clone(), timezone: timezone.clone(), fail2ban_socket: fail2ban_socket.clone() };
    on_database::run(&config.database, &order, |store| {
        let mut settings = vec![("timezone", timezone.as_deref().unwrap_or("UTC"))];
        settings.extend(fail2ban_socket.as_deref().map(|socket| ("fail2ban_socket", socket)));
        let entry = Entry::new(What::Setup, OWNER);
        let complete = |store: &mut Store| store.complete_setup(&hash, &settings);
        match store.noted(&entry, &Doer::console(), time::now(), complete).map_err(failed)? {
            true => Ok(Value::Bool(true)),
            false => Err(Failure::failed(ALREADY)),
        }
    })?;
    println!("Setup is complete. Start the server with: bangui serve");
    Ok(())
}
