//! Names, addresses, times and paging: pure, no I/O.
