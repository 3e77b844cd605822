//! What is banned now, kept in memory: every jail's bans with their times, as the daemon last told them. Lists, counts and searches are
//! answered from here. Nothing here asks the daemon: a child reads it, `app` decides when.

pub mod pick;
pub mod row;
pub mod table;
