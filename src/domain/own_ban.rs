//! A ban that was made here: what fail2ban does not know of it.

use serde::{Deserialize, Serialize};

use std::rc::Rc;

use super::actor::Actor;

/// The end of a ban that never ends.
pub const NEVER: i64 = i64::MAX;
/// The longest note, in characters.
pub const LONGEST_NOTE: usize = 500;

/// A ban that was made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnBan {
    /// The jail.
    pub jail: String,
    /// What is banned, in its canonical form.
    pub ip: String,
    /// When, in Unix seconds.
    pub at: i64,
    /// When it is to end, in Unix seconds, `NEVER` for never; `None` where it lasts as long as the jail's bans do.
    pub until: Option<i64>,
    /// Why; empty where nobody said. Many that were made together share it.
    pub note: Rc<str>,
    /// Who made it.
    pub actor: Actor,
}

/// What was done about a ban here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ours {
    /// Who made it, where it was made here.
    pub actor: Option<Actor>,
    /// Why; empty where nobody said.
    pub note: String,
    /// It was lifted before its time.
    pub lift: Option<Lift>,
}

/// A ban was lifted here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lift {
    /// Unix seconds.
    pub at: i64,
    /// By whom.
    pub actor: Actor,
    /// Why; empty where nobody said.
    pub note: String,
}
