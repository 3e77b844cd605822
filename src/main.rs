//! The `bangui` program: arguments become a `Config`, which becomes one command.

fn main() {}
