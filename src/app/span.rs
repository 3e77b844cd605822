//! A length of time as a parameter: whole seconds, or as fail2ban writes it.

use std::str::FromStr;

use super::input::Parameter;
use crate::conf;

/// Seconds, not below 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub i64);

/// A text is no length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSpan;

impl FromStr for Span {
    type Err = NoSpan;

    fn from_str(text: &str) -> Result<Span, NoSpan> {
        let seconds = conf::time::seconds(text).map_err(|_| NoSpan)?.as_f64().ceil();
        if (0.0..1e12).contains(&seconds) { Ok(Span(seconds as i64)) } else { Err(NoSpan) }
    }
}

impl Parameter for Span {
    const EXPECTED: &'static str = "seconds, or a time such as 10m or 4w,";
}
