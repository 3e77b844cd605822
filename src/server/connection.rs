//! One client's connection: reads requests, one at a time, and writes their answers, in order. It never waits:
//! every method does what can be done now. What a request means is decided by its owner, in two questions: may it
//! go on (once the head is there), and what is the answer (once the body is there).

use std::borrow::Cow;
use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use tiny_http::Method;

use super::body::BodyReader;
use super::outgoing::{Outgoing, Written};
use super::request::{BadHead, Framing, Head, MAX_HEAD_BYTES, Peer, has_end};
use super::response::{Length, Response};
use super::stream::Stream;
use super::turn::{Fixed, Problem, Standing, Turn, TurnBudget};

/// Head and body together must have come this long after the first byte.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(10);
/// A connection on which nothing is asked is closed after this.
pub const IDLE_DEADLINE: Duration = Duration::from_secs(30);
/// An answer of which the client takes nothing is dropped after this.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(30);
/// How long a closing connection is still read, so that its last answer is not lost to a reset.
const LINGER_DEADLINE: Duration = Duration::from_secs(2);
/// What is still read of a closing connection, in bytes.
const LINGER_BYTES: usize = 256 * 1024;
/// What one turn may read, in bytes, before others have theirs.
const TURN_BYTES: usize = 64 * 1024;
/// Requests one turn may answer before others have theirs.
const TURN_REQUESTS: u32 = 16;
/// A streamed answer takes no more from its source while this many bytes wait for the client.
const STREAM_ROOM: usize = 64 * 1024;

/// Where a connection stands.
#[derive(Debug)]
enum State {
    /// Between requests, or inside a head.
    Head,
    /// A head is there, and nobody has said yet whether its request may go on.
    Judging(Box<Head>),
    /// Inside a body.
    Body(Box<Head>, BodyReader),
    /// A whole request is there, for its owner to take.
    Whole(Box<Head>, Vec<u8>),
    /// The request cannot be understood; its owner does not know yet.
    Broken(Problem),
    /// Its owner works on the answer.
    Answering,
    /// The head of a streamed answer is out, its parts follow.
    Streaming,
    /// The whole answer is in `out`.
    Writing,
    /// Nothing more is written; what still comes is thrown away.
    Lingering { left: usize },
}

/// A client's connection. `T` is what its owner wants to remember of a request between judging and answering it.
#[derive(Debug)]
pub struct Connection<T> {
    /// The socket, for registration with the poll.
    pub stream: Stream,
    /// Where it comes from.
    pub peer: Peer,
    state: State,
    admitted: Option<T>,
    input: Vec<u8>,
    searched: usize,
    out: Outgoing,
    readable: bool,
    writable: bool,
    keep_alive: bool,
    http11: bool,
    chunked: bool,
    head_only: bool,
    served: u64,
    deadline: Instant,
    /// Since when the state or the progress is what it is.
    since: Instant,
}

impl<T> Connection<T> {
    /// A connection just accepted.
    pub fn new(stream: Stream, peer: Peer, now: Instant) -> Self {
        Self {
            stream,
            peer,
            state: State::Head,
            admitted: None,
            input: Vec::new(),
            searched: 0,
            out: Outgoing::default(),
            // Edge-triggered: assume both until a call says otherwise.
            readable: true,
            writable: true,
            keep_alive: true,
            http11: true,
            chunked: false,
            head_only: false,
            served: 0,
            deadline: now + IDLE_DEADLINE,
            since: now,
        }
    }

    /// Notes what the poll reported.
    pub fn on_ready(&mut self, readable: bool, writable: bool) {
        self.readable |= readable;
        self.writable |= writable;
    }

    /// Bytes held for the request that is coming in, and for its answer.
    pub fn buffered(&self) -> usize {
        let body = match &self.state {
            State::Body(_, reader) => reader.body.capacity(),
            State::Whole(_, body) => body.capacity(),
            _ => 0,
        };
        self.input.capacity() + self.out.held() + body
    }

    /// How it counts when room is needed, and since when.
    pub fn standing(&self) -> (Standing, Instant) {
        let standing = match &self.state {
            State::Head if self.served > 0 && self.input.is_empty() => Standing::Idle,
            State::Head | State::Body(..) | State::Lingering { .. } => Standing::HalfOpen,
            State::Writing => Standing::Stalled(self.since),
            State::Judging(_) | State::Whole(..) | State::Broken(_) | State::Answering | State::Streaming => {
                Standing::Busy
            }
        };
        (standing, self.since)
    }

    /// Whether its time is over.
    pub fn is_overdue(&self, now: Instant) -> bool {
        let waits_for_owner = match self.state {
            State::Answering => true,
            State::Streaming => self.out.waiting() == 0,
            _ => false,
        };
        !waits_for_owner && now >= self.deadline
    }

    /// If a request is in the making, it is given up, and the owner is to say so. False: there is none.
    pub fn give_up_request(&mut self, problem: Problem) -> bool {
        let begun =
            matches!(self.state, State::Body(..)) || (matches!(self.state, State::Head) && !self.input.is_empty());
        if begun {
            self.fail(problem);
        }
        begun
    }

    /// Does what can be done now.
    pub fn turn(&mut self, now: Instant, scratch: &mut [u8], budget: &mut TurnBudget) -> Turn {
        loop {
            match &mut self.state {
                State::Judging(_) => return Turn::Head,
                State::Whole(..) => return Turn::Request,
                State::Broken(problem) => {
                    let problem = *problem;
                    self.state = State::Answering;
                    return Turn::Broken(problem);
                }
                State::Answering => return Turn::Blocked,
                State::Writing | State::Streaming => {
                    let streaming = matches!(self.state, State::Streaming);
                    match self.write(now) {
                        Ok(true) if streaming => return Turn::Blocked,
                        Ok(true) => self.after_answer(now),
                        Ok(false) => return Turn::Blocked,
                        Err(_) => return Turn::Closed,
                    }
                    if budget.requests >= TURN_REQUESTS {
                        return Turn::Yield;
                    }
                }
                State::Lingering { .. } => match self.linger(scratch, budget) {
                    Some(turn) => return turn,
                    None => continue,
                },
                State::Head => {
                    if self.advance_head() {
                        continue;
                    }
                    match self.read(scratch, budget) {
                        Read1::Some if self.deadline_is_idle() => {
                            self.deadline = now + REQUEST_DEADLINE;
                            self.since = now;
                        }
                        Read1::Some => {}
                        Read1::Ended(turn) => return turn,
                    }
                }
                State::Body(_, reader) => {
                    match reader.take(&self.input) {
                        Ok(used) => self.consume(used),
                        Err(problem) => {
                            self.fail(Problem::Body(problem));
                            continue;
                        }
                    }
                    if self.finish_body() {
                        continue;
                    }
                    match self.read(scratch, budget) {
                        Read1::Some => {}
                        Read1::Ended(turn) => return turn,
                    }
                }
            }
        }
    }

    /// Whether the running deadline is the one of an idle connection: no byte of a request has come yet.
    fn deadline_is_idle(&self) -> bool {
        self.searched == 0
    }

    /// Looks for a whole head in the input. True: the state has changed.
    fn advance_head(&mut self) -> bool {
        let blank = self.input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        // Empty lines before a request are allowed; they count towards the size of its head.
        if blank == self.input.len() && blank > MAX_HEAD_BYTES {
            self.fail(Problem::Head(BadHead::TooLarge));
            return true;
        }
        let from = self.searched.max(blank);
        self.searched = self.input.len();
        if blank == self.input.len() || !has_end(&self.input[blank..], from - blank) {
            if self.input.len() > MAX_HEAD_BYTES {
                self.fail(Problem::Head(BadHead::TooLarge));
                return true;
            }
            return false;
        }
        match Head::parse(&self.input[blank..]) {
            Ok(Some((head, length))) => {
                self.consume(blank + length);
                self.searched = 0;
                self.http11 = head.http11;
                self.keep_alive = head.keep_alive;
                self.head_only = head.method == Method::Head;
                self.state = State::Judging(Box::new(head));
            }
            Ok(None) => self.fail(Problem::Head(BadHead::Malformed("the request head is not valid HTTP/1.1"))),
            Err(problem) => self.fail(Problem::Head(problem)),
        }
        true
    }

    fn fail(&mut self, problem: Problem) {
        self.keep_alive = false;
        self.state = State::Broken(problem);
    }

    /// The head that waits for a judgement.
    pub fn head(&self) -> Option<&Head> {
        match &self.state {
            State::Judging(head) | State::Body(head, _) | State::Whole(head, _) => Some(head),
            _ => None,
        }
    }

    /// The request of the head may go on: its body is read up to `limit` bytes.
    pub fn admit(&mut self, remembered: T, limit: usize) {
        let State::Judging(head) = std::mem::replace(&mut self.state, State::Answering) else { return };
        match BodyReader::new(head.framing, limit) {
            Ok(reader) => {
                if head.expects_continue && !reader.is_done() && self.input.is_empty() {
                    self.out.buffer().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                    // If the client cannot take 25 bytes now, they go out with the answer.
                    let _ = self.out.write_to(&mut self.stream);
                }
                self.admitted = Some(remembered);
                self.state = State::Body(head, reader);
                self.finish_body();
            }
            Err(problem) => self.fail(Problem::Body(problem)),
        }
    }

    /// If the whole body is there: the state changes, and the answer is true.
    fn finish_body(&mut self) -> bool {
        if !matches!(&self.state, State::Body(_, reader) if reader.is_done()) {
            return false;
        }
        if let State::Body(head, reader) = std::mem::replace(&mut self.state, State::Answering) {
            self.state = State::Whole(head, reader.body);
        }
        true
    }

    /// The whole request; from now on the owner owes an answer.
    pub fn take_request(&mut self) -> Option<(Head, Vec<u8>, T)> {
        let State::Whole(head, body) = std::mem::replace(&mut self.state, State::Answering) else { return None };
        if self.input.is_empty() {
            self.input = Vec::new();
        }
        self.admitted.take().map(|admitted| (*head, body, admitted))
    }

    /// Refuses the request of the head: when its body has not come, the connection ends after the answer.
    pub fn refuse(&mut self, response: Response, now: Instant, fixed: &Fixed<'_>) {
        let whole = match &self.state {
            State::Judging(head) => head.framing == Framing::Length(0),
            _ => false,
        };
        self.keep_alive &= whole;
        self.admitted = None;
        self.respond(response, now, fixed);
    }

    /// The whole answer.
    pub fn respond(&mut self, response: Response, now: Instant, fixed: &Fixed<'_>) {
        let length = Length::Known(response.body.len());
        response.print_head(self.out.buffer(), length, self.keep_alive, fixed.headers, fixed.date);
        self.out.set_body(if self.head_only { Cow::Borrowed(&[]) } else { response.body });
        self.start_writing(State::Writing, now);
    }

    /// The head of an answer whose parts follow through `stream_part`. False: the client wants no body, send none.
    pub fn stream_head(&mut self, response: &Response, now: Instant, fixed: &Fixed<'_>) -> bool {
        self.chunked = self.http11;
        self.keep_alive &= self.http11;
        let length = if self.chunked { Length::Chunked } else { Length::UntilClose };
        response.print_head(self.out.buffer(), length, self.keep_alive, fixed.headers, fixed.date);
        self.start_writing(if self.head_only { State::Writing } else { State::Streaming }, now);
        !self.head_only
    }

    /// Whether more parts are welcome; while not, leave them where they are.
    pub fn stream_room(&self) -> bool {
        self.out.waiting() < STREAM_ROOM
    }

    /// One part of a streamed answer.
    pub fn stream_part(&mut self, bytes: &[u8], now: Instant) {
        if bytes.is_empty() || !matches!(self.state, State::Streaming) {
            return;
        }
        if self.out.waiting() == 0 {
            // Until now it was the source that took its time, not the client.
            self.start_writing(State::Streaming, now);
        }
        if self.chunked {
            self.out.push_chunk(bytes);
        } else {
            self.out.buffer().extend_from_slice(bytes);
        }
    }

    /// The end of a streamed answer. One that is not `complete` ends the connection without the last chunk, which tells the client.
    pub fn stream_end(&mut self, complete: bool, now: Instant) {
        if !matches!(self.state, State::Streaming) {
            return;
        }
        if complete && self.chunked {
            self.out.buffer().extend_from_slice(b"0\r\n\r\n");
        }
        self.keep_alive &= complete;
        self.start_writing(State::Writing, now);
    }

    /// Whether a streamed answer is under way.
    pub fn is_streaming(&self) -> bool {
        matches!(self.state, State::Streaming)
    }

    /// The socket, where nothing is on its way to the client.
    pub fn silent_socket(&self) -> Option<RawFd> {
        (self.out.is_empty() && !self.is_streaming()).then(|| self.stream.descriptor())
    }

    /// Whether nothing is under way: it can be closed at once when the server stops.
    pub fn is_quiet(&self) -> bool {
        matches!(self.state, State::Head | State::Lingering { .. } | State::Body(..))
    }

    /// No request is taken after the one under way.
    pub fn close_after_answer(&mut self) {
        self.keep_alive = false;
    }

    fn start_writing(&mut self, state: State, now: Instant) {
        self.state = state;
        self.since = now;
        self.deadline = now + WRITE_DEADLINE;
    }

    /// Writes what is there. True: all of it is out.
    fn write(&mut self, now: Instant) -> io::Result<bool> {
        if !self.writable {
            return Ok(false);
        }
        let written = self.out.write_to(&mut self.stream)?;
        self.writable = written == Written::All;
        if written != Written::Blocked(false) {
            self.since = now;
            self.deadline = now + WRITE_DEADLINE;
        }
        Ok(self.writable)
    }

    fn after_answer(&mut self, now: Instant) {
        self.served += 1;
        self.since = now;
        self.searched = 0;
        if self.keep_alive {
            self.state = State::Head;
            // What is already there of the next request starts its time.
            self.deadline = now + if self.input.is_empty() { IDLE_DEADLINE } else { REQUEST_DEADLINE };
        } else {
            self.stream.shutdown_write();
            self.input = Vec::new();
            self.state = State::Lingering { left: LINGER_BYTES };
            self.deadline = now + LINGER_DEADLINE;
        }
    }

    /// Throws away what comes. `None`: go on.
    fn linger(&mut self, scratch: &mut [u8], budget: &mut TurnBudget) -> Option<Turn> {
        if !self.readable {
            return Some(Turn::Blocked);
        }
        if budget.bytes >= TURN_BYTES {
            return Some(Turn::Yield);
        }
        let State::Lingering { left } = &mut self.state else { return None };
        match self.stream.read(scratch) {
            Ok(0) => Some(Turn::Closed),
            Ok(count) if count > *left => Some(Turn::Closed),
            Ok(count) => {
                *left -= count;
                budget.bytes += count;
                None
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Some(Turn::Blocked)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
            Err(_) => Some(Turn::Closed),
        }
    }

    fn read(&mut self, scratch: &mut [u8], budget: &mut TurnBudget) -> Read1 {
        if !self.readable {
            return Read1::Ended(Turn::Blocked);
        }
        if budget.bytes >= TURN_BYTES {
            return Read1::Ended(Turn::Yield);
        }
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Read1::Ended(Turn::Closed),
                Ok(count) => {
                    self.input.extend_from_slice(&scratch[..count]);
                    budget.bytes += count;
                    return Read1::Some;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    if self.input.is_empty() {
                        self.input = Vec::new();
                    }
                    return Read1::Ended(Turn::Blocked);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Read1::Ended(Turn::Closed),
            }
        }
    }

    fn consume(&mut self, count: usize) {
        if count == self.input.len() {
            self.input.clear();
        } else {
            self.input.drain(..count);
        }
    }
}

enum Read1 {
    Some,
    Ended(Turn),
}

#[cfg(test)]
mod tests;
