//! Our own SQLite database.
