//! `bangui setup-link`: the link that sets up a running server from anywhere, told by that server.

use super::invocation::{Failure, Invocation};
use crate::domain::json;
use crate::main_loop::control::{self, Order};
use crate::services::first_run::{Opening, Ssh};

/// Prints the link, and behind it on standard error how it is opened from another machine.
pub fn run(invocation: &Invocation) -> Result<(), Failure> {
    let config = invocation.config()?;
    let reply = control::ask(&config.database, &Order::Opening).ok_or_else(|| {
        Failure::failed("no server runs with this database: bangui serve starts one, and bangui setup needs none")
    })?;
    let told = reply.map_err(Failure::failed)?;
    let opening: Opening = json::from_tree(told).map_err(|error| Failure::failed(error.to_string()))?;
    if opening.code.is_none() {
        return Err(Failure::failed("setup has been done already; bangui set-password replaces the password"));
    }
    let Some(link) = opening.link() else {
        let why = if opening.has_page {
            "only a proxy reaches this server, and allowed_hosts does not tell its name"
        } else {
            "this server shows no page (BANGUI_UI=0)"
        };
        return Err(Failure::failed(format!("{why}; bangui setup sets the password here")));
    };
    println!("{link}");
    if let Some(command) = opening.tunnel(&Ssh::here()) {
        eprintln!("From another machine, run this there first: {command}");
    }
    Ok(())
}
