//! The loop that joins everything: it waits for the first of all things that can happen, and passes each to whom it
//! concerns. One thread; whatever may take long is a child process, and its outcome is one more thing that happens.

mod answering;
mod archive;
mod background;
mod ban_log;
pub mod control;
mod daemon;
mod geography;
mod held;
mod long_jobs;
mod mend;
mod parked;
mod probe;
mod quiet;
mod run;
mod signals;
mod steps;
mod stopping;
mod timers;
mod waiters;

pub use run::MainLoop;
