//! From an address to a country.
