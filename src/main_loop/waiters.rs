//! Who waits for an answer while the loop goes on: for a child, for the daemon, for the next step on our own database.

use std::time::Instant;

use tiny_http::Method;

use crate::app::csv::Csv;
use crate::app::state::Undo;
use crate::app::{Admitted, Finish, Request, Steps};
use crate::jobs::Lane;
use crate::server::token::Slot;

/// Said to whoever would wait and finds no place.
pub const TOO_MANY: &str = "Too many slow requests are waiting; try again shortly.";

/// A task under way, and who waits for it.
pub struct Pending {
    pub slot: Slot,
    pub method: Method,
    pub admitted: Admitted,
    pub then: Option<Finish>,
    /// Turns what is streamed into CSV, where that is wanted.
    pub csv: Option<Csv>,
    /// What the child streams is packed with gzip.
    pub packed: bool,
    /// The head of a streamed answer is out.
    pub streaming: bool,
    pub detached: bool,
    /// The client is gone; the outcome still counts.
    pub abandoned: bool,
    /// The client does not wait: its outcome is kept under this name.
    pub job: Option<String>,
    pub lane: Lane,
    /// Changes the configuration.
    pub applies: bool,
    /// May have changed what is banned in ways that no counter shows.
    pub unsettles: bool,
    pub undo: Option<Undo>,
}

/// A task that no client waits for.
pub struct Background {
    pub lane: Lane,
    pub finish: Option<Finish>,
    /// Reads what is banned, and changes nothing.
    pub reads_bans: bool,
    pub unsettles: bool,
}

/// A request that waits until the daemon is free, or until the archive has everything.
pub struct Parked {
    pub slot: Slot,
    pub request: Request,
    pub for_archive: bool,
    pub until: Instant,
}

/// A request that is worked on.
pub struct Stepping {
    pub slot: Slot,
    pub method: Method,
    pub admitted: Admitted,
    pub steps: Steps,
    /// Turns what is streamed into CSV, where that is wanted.
    pub csv: Option<Csv>,
    /// The head of a streamed answer is out.
    pub streaming: bool,
    pub until: Instant,
}

impl Stepping {
    /// Whether it changes something.
    pub fn changes(&self) -> bool {
        self.admitted.route.is_some_and(|route| route.changes)
    }
}
