//! The daemon: its socket, its commands and its database.
