//! The edits of a jail's own file that make values permanent.
