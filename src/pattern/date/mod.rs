//! Finds the date in a log line as fail2ban does, and reads it.
//!
//! `fields` knows the directives (`%Y`) and what was captured for them means; `zone` the names of time zones; `template`
//! one date pattern; `detector` a list of them, with fail2ban's way of preferring the one that fits. Nothing here reads a clock but
//! through [`Clock`].

mod boundary;
mod clock;
mod detector;
mod fields;
mod template;
mod zone;

pub use clock::Clock;
pub use detector::{DateDetector, Stamp};
pub use zone::offset_minutes;
