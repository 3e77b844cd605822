//! `bangui remove-set`: takes the set of imported addresses out of the packet filter, before an uninstall for example. Needs no server and no
//! database; the bans of fail2ban stay.

use super::invocation::{Failure, Invocation};
use crate::jobs::held_set::SetPlace;

/// Removes what any way may have made. The next import of a running server fills it anew.
pub fn run(invocation: &Invocation) -> Result<(), Failure> {
    let config = invocation.config()?;
    // The server knows it by where links lead.
    let database = std::fs::canonicalize(&config.database).unwrap_or(config.database);
    let place = SetPlace::beside(&database, config.blocklist_way, config.blocklist_reach);
    let removed = place.remove().map_err(|error| Failure::failed(format!("the set is not removed: {error}")))?;
    println!(
        "{}",
        if removed { "The set of imported addresses is removed." } else { "There is no set of imported addresses." }
    );
    Ok(())
}
