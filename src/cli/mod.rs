//! Commands of the program, one file each.

pub mod dump_config;
