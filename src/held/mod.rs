//! What is banned now, and who is about to be, kept in memory: every jail's bans with their times, as the daemon last told them, and the
//! failures that its log tells of. Lists, counts and searches are answered from here. Nothing here asks the daemon: a child reads it, `app`
//! decides when.

pub mod failing;
pub mod pick;
pub mod row;
pub mod table;
