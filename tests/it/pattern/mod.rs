//! Parity of `pattern` with the installed fail2ban and its Python: expressions, filters, mutated input, speed.
//!
//! The yardsticks are asked at test time, in child processes; nothing of theirs is kept here.

mod dates;
mod mutation;
mod oracle;
mod raw;
mod samples;
mod speed;
mod whole;
