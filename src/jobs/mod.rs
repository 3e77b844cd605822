//! The slow lane: what a child process runs, and the timers that start it.
