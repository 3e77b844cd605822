//! What a connection and its owner tell each other: how a turn went, and how the connection stands.

use std::time::Instant;

use super::body::BadBody;
use super::request::BadHead;

/// Why a request cannot be understood. The connection is closed after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Its head.
    Head(BadHead),
    /// Its body.
    Body(BadBody),
    /// It did not come in time.
    Late,
    /// All requests together take more memory than they may.
    NoRoom,
}

/// What a turn ended with.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing to do before the next readiness event, or before the owner answers.
    Blocked,
    /// There is more to do, but others come first.
    Yield,
    /// A head is there: call `judge`.
    Head,
    /// A whole request is there: call `take_request`.
    Request,
    /// The request cannot be understood: answer that with `respond`.
    Broken(Problem),
    /// The connection is over; drop it.
    Closed,
}

/// How a connection counts when room is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Has not finished a request: the first to go.
    HalfOpen,
    /// Idle after at least one answer.
    Idle,
    /// Its client does not take the answer; since when.
    Stalled(Instant),
    /// Its request is being answered: never closed to make room.
    Busy,
}

/// What each answer needs beside itself.
#[derive(Debug)]
pub struct Fixed<'a> {
    /// Whole header lines, each ended by CR LF.
    pub headers: &'a [u8],
    /// The `Date` header's value.
    pub date: &'a str,
}

/// What a turn has used so far.
#[derive(Debug, Default)]
pub struct TurnBudget {
    /// Bytes read.
    pub bytes: usize,
    /// Requests answered; counted by the owner of the turn.
    pub requests: u32,
}
