//! Commands of the program, one file each.

pub mod test_filter;
