//! The switches of a mutation run: `run` copies this file into its copy of the tree, never into the project.
//! `MUTANT_ON=7` makes the seventh mutant real; `MUTANT_TRACE=FILE` writes down which ones the run came past.

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// More than there are mutants.
const MOST: usize = 20_000;

static CHOSEN: OnceLock<usize> = OnceLock::new();
static TRACE: OnceLock<Option<String>> = OnceLock::new();
static SEEN: [AtomicBool; MOST] = [const { AtomicBool::new(false) }; MOST];

/// Whether this mutant is the one to be.
pub fn on(number: usize) -> bool {
    let chosen = *CHOSEN.get_or_init(|| std::env::var("MUTANT_ON").ok().and_then(|text| text.parse().ok()).unwrap_or(0));
    if chosen != 0 {
        return chosen == number;
    }
    let trace = TRACE.get_or_init(|| std::env::var("MUTANT_TRACE").ok());
    if let Some(path) = trace
        && !SEEN[number].swap(true, Ordering::Relaxed)
        && let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(path)
    {
        let _ = file.write_all(format!("{number}\n").as_bytes());
    }
    false
}

/// `<`, or `<=`.
pub fn lt<A: PartialOrd<B> + ?Sized, B: ?Sized>(number: usize, a: &A, b: &B) -> bool {
    if on(number) { a <= b } else { a < b }
}

/// `<=`, or `<`.
pub fn le<A: PartialOrd<B> + ?Sized, B: ?Sized>(number: usize, a: &A, b: &B) -> bool {
    if on(number) { a < b } else { a <= b }
}

/// `>`, or `>=`.
pub fn gt<A: PartialOrd<B> + ?Sized, B: ?Sized>(number: usize, a: &A, b: &B) -> bool {
    if on(number) { a >= b } else { a > b }
}

/// `>=`, or `>`.
pub fn ge<A: PartialOrd<B> + ?Sized, B: ?Sized>(number: usize, a: &A, b: &B) -> bool {
    if on(number) { a > b } else { a >= b }
}

/// A number, or one more.
#[macro_export]
macro_rules! mutant_more {
    ($number:literal, $value:expr) => {
        (if $crate::mutant::on($number) { $value + 1 } else { $value })
    };
}

/// A time span, or twice that.
#[macro_export]
macro_rules! mutant_twice {
    ($number:literal, $value:expr) => {
        (if $crate::mutant::on($number) { $value * 2 } else { $value })
    };
}

/// Something, or nothing.
#[macro_export]
macro_rules! mutant_none {
    ($number:literal, $value:expr) => {
        (if $crate::mutant::on($number) { None } else { $value })
    };
}
