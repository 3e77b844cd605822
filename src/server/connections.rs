//! All connections together: accepting them, keeping them within limits, handing over what has come.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use jiff::fmt::rfc2822::DateTimePrinter;
use mio::{Interest, Registry};

use super::connection::Connection;
use super::listen::{Accepted, Listener, descriptor_limit, is_out_of_descriptors};
use super::request::{Head, Peer};
use super::response::Response;
use super::stream::Stream;
use super::token::{Slot, Source};
use super::turn::{Fixed, Problem, Standing, Turn, TurnBudget};

/// Connections at a time, where the descriptors allow it.
const MAX_CONNECTIONS: usize = 128;
/// Descriptors kept for the database, children and files.
const RESERVED_DESCRIPTORS: usize = 32;
/// All buffers of all connections together, in bytes.
pub const MAX_BUFFERED: usize = 4 * 1024 * 1024;
/// Connections accepted in one turn of the loop.
const ACCEPTS_PER_TURN: usize = 16;

/// How long accepting rests when there is neither a descriptor nor anybody to drop.
pub(super) const ACCEPT_REST: Duration = Duration::from_millis(200);

/// What the owner has to act on.
#[derive(Debug, PartialEq, Eq)]
pub enum HttpEvent {
    /// A head is there: judge it with `admit` or `refuse`.
    Head(Slot),
    /// A whole request is there: `take_request`, and answer it now or later.
    Request(Slot),
    /// A request that cannot be understood: answer that with `respond`.
    Broken(Slot, Problem),
    /// The client went away while its request was being answered.
    Gone(Slot),
}

struct Place<T> {
    generation: u16,
    connection: Option<Box<Connection<T>>>,
    queued: bool,
    /// Its part of `Connections::buffered`, in bytes.
    counted: usize,
}

/// All connections. `T` is what the owner remembers of a request between judging and answering it.
pub struct Connections<T> {
    pub(super) listeners: Vec<Listener>,
    places: Vec<Place<T>>,
    pub(super) free: Vec<usize>,
    pub(super) ready: VecDeque<Slot>,
    pub(super) events: VecDeque<HttpEvent>,
    pub(super) buffered: usize,
    pub(super) scratch: Box<[u8]>,
    pub(super) reserve: Option<File>,
    pub(super) accept_pending: bool,
    pub(super) accept_rest_until: Option<Instant>,
    pub(super) trusts: Box<dyn Fn(IpAddr) -> bool>,
    pub(super) fixed_headers: Vec<u8>,
    pub(super) date: String,
    pub(super) date_at: Instant,
    pub(super) now: Instant,
}

impl<T> Connections<T> {
    /// `headers` are printed in every answer; `trusts` tells a trusted proxy, which has no limit of its own.
    pub fn new(listeners: Vec<Listener>, headers: &[(&str, &str)], trusts: Box<dyn Fn(IpAddr) -> bool>) -> Self {
        let capacity = MAX_CONNECTIONS.min(descriptor_limit().saturating_sub(RESERVED_DESCRIPTORS)).max(4);
        let places =
            (0..capacity).map(|_| Place { generation: 0, connection: None, queued: false, counted: 0 }).collect();
        let mut fixed_headers = Vec::new();
        for (name, value) in headers {
            fixed_headers.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let now = Instant::now();
        Self {
            listeners,
            places,
            free: (0..capacity).rev().collect(),
            ready: VecDeque::new(),
            events: VecDeque::new(),
            buffered: 0,
            scratch: vec![0; 32 * 1024].into_boxed_slice(),
            reserve: File::open("/dev/null").ok(),
            accept_pending: true,
            accept_rest_until: None,
            trusts,
            fixed_headers,
            date: http_date(),
            date_at: now,
            now,
        }
    }

    /// What is listened on, in the order in which it was given.
    pub fn listeners(&self) -> Vec<RawFd> {
        self.listeners.iter().map(Listener::descriptor).collect()
    }

    /// The headers of every answer, each with its end of line.
    pub fn fixed_headers(&self) -> String {
        String::from_utf8_lossy(&self.fixed_headers).into_owned()
    }

    /// The socket of a connection on which nothing is on its way to the client.
    pub fn silent_socket(&mut self, slot: Slot) -> Option<RawFd> {
        self.get(slot).and_then(|connection| connection.silent_socket())
    }

    /// Registers the listeners.
    pub fn register(&mut self, registry: &Registry) -> io::Result<()> {
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            registry.register(listener.source(), Source::Listener(index).token(), Interest::READABLE)?;
        }
        Ok(())
    }

    /// The clock of this turn of the loop.
    pub fn set_now(&mut self, now: Instant) {
        self.now = now;
        if now.duration_since(self.date_at) >= Duration::from_secs(1) {
            self.date = http_date();
            self.date_at = now;
        }
    }

    /// A listener is ready.
    pub fn on_listener_ready(&mut self) {
        self.accept_pending = true;
    }

    /// A connection is ready.
    pub fn on_ready(&mut self, slot: Slot, event: &mio::event::Event) {
        let Some(connection) = self.get(slot) else { return };
        connection.on_ready(event.is_readable() || event.is_read_closed(), event.is_writable());
        // Who closes its side while it waits for an answer has gone: that cannot be told from one that would still read.
        let gone = event.is_error() || event.is_write_closed() || event.is_read_closed();
        if gone && connection.standing().0 == Standing::Busy {
            self.close(slot);
            self.events.push_back(HttpEvent::Gone(slot));
            return;
        }
        self.queue(slot);
    }

    /// The next thing to act on, after doing what the ready connections allow; `None` when all are blocked. `turns` bounds the work.
    pub fn next_event(&mut self, turns: &mut usize) -> Option<HttpEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if *turns == 0 {
                return None;
            }
            *turns -= 1;
            let slot = self.ready.pop_front()?;
            if self.get(slot).is_none() {
                continue;
            }
            self.places[slot.index].queued = false;
            self.run(slot);
        }
    }

    /// Whether connections wait for their turn.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty() || !self.events.is_empty()
    }

    /// How many turns are waiting: one round.
    pub fn round(&self) -> usize {
        self.ready.len() + self.events.len()
    }

    fn run(&mut self, slot: Slot) {
        let mut budget = TurnBudget::default();
        let place = &mut self.places[slot.index];
        let Some(connection) = place.connection.as_mut() else { return };
        let mut turn = connection.turn(self.now, &mut self.scratch, &mut budget);
        self.recount(slot.index);
        // Whoever makes the sum too large pays for it.
        if self.buffered > MAX_BUFFERED && self.give_up_request(slot.index, Problem::NoRoom) {
            turn = Turn::Yield;
        }
        match turn {
            Turn::Blocked => {}
            Turn::Yield => self.queue(slot),
            Turn::Head => self.events.push_back(HttpEvent::Head(slot)),
            Turn::Request => self.events.push_back(HttpEvent::Request(slot)),
            Turn::Broken(problem) => self.events.push_back(HttpEvent::Broken(slot, problem)),
            Turn::Closed => {
                // Whoever still makes parts of its answer is to know.
                let is_streaming = self.get(slot).is_some_and(|connection| connection.is_streaming());
                self.close(slot);
                if is_streaming {
                    self.events.push_back(HttpEvent::Gone(slot));
                }
            }
        }
    }

    /// Brings `buffered` up to date after anything that may change what a place holds.
    fn recount(&mut self, index: usize) {
        let place = &mut self.places[index];
        let holds = place.connection.as_deref().map_or(0, Connection::buffered);
        self.buffered = self.buffered - place.counted + holds;
        place.counted = holds;
    }

    /// Gives up the request in the making, if there is one: true.
    fn give_up_request(&mut self, index: usize, problem: Problem) -> bool {
        let connection = self.places[index].connection.as_deref_mut();
        let begun = connection.is_some_and(|connection| connection.give_up_request(problem));
        self.recount(index);
        begun
    }

    fn queue(&mut self, slot: Slot) {
        let place = &mut self.places[slot.index];
        if !place.queued {
            place.queued = true;
            self.ready.push_back(slot);
        }
    }

    fn get(&mut self, slot: Slot) -> Option<&mut Connection<T>> {
        let place = self.places.get_mut(slot.index)?;
        if place.generation != slot.generation {
            return None;
        }
        place.connection.as_deref_mut()
    }

    /// Does `work` on a connection, keeps count of its buffers and gives it a turn.
    fn with<R>(&mut self, slot: Slot, work: impl FnOnce(&mut Connection<T>, Instant, &Fixed<'_>) -> R) -> Option<R> {
        let place = self.places.get_mut(slot.index)?;
        if place.generation != slot.generation {
            return None;
        }
        let connection = place.connection.as_deref_mut()?;
        let fixed = Fixed { headers: &self.fixed_headers, date: &self.date };
        let result = work(connection, self.now, &fixed);
        self.recount(slot.index);
        self.queue(slot);
        Some(result)
    }

    /// Where a connection comes from.
    pub fn peer(&mut self, slot: Slot) -> Option<Peer> {
        self.get(slot).map(|connection| connection.peer)
    }

    /// The head that is to be judged.
    pub fn head(&mut self, slot: Slot) -> Option<(&Head, Peer)> {
        let connection = self.get(slot)?;
        let peer = connection.peer;
        connection.head().map(|head| (head, peer))
    }

    /// The request may go on, with a body of at most `limit` bytes.
    pub fn admit(&mut self, slot: Slot, remembered: T, limit: usize) {
        self.with(slot, |connection, _, _| connection.admit(remembered, limit));
    }

    /// The request may not go on.
    pub fn refuse(&mut self, slot: Slot, response: Response) {
        self.with(slot, |connection, now, fixed| connection.refuse(response, now, fixed));
    }

    /// The whole request, its body and what was remembered of it.
    pub fn take_request(&mut self, slot: Slot) -> Option<(Head, Vec<u8>, T, Peer)> {
        self.with(slot, |connection, _, _| {
            let peer = connection.peer;
            connection.take_request().map(|(head, body, remembered)| (head, body, remembered, peer))
        })
        .flatten()
    }

    /// The answer to a request taken.
    pub fn respond(&mut self, slot: Slot, response: Response) {
        self.with(slot, |connection, now, fixed| connection.respond(response, now, fixed));
    }

    /// The head of an answer that comes in parts. False: the client is gone or wants no body.
    pub fn stream_head(&mut self, slot: Slot, response: &Response) -> bool {
        self.with(slot, |connection, now, fixed| connection.stream_head(response, now, fixed)).unwrap_or(false)
    }

    /// A part of a streamed answer.
    pub fn stream_part(&mut self, slot: Slot, bytes: &[u8]) {
        self.with(slot, |connection, now, _| connection.stream_part(bytes, now));
    }

    /// The end of a streamed answer, whole or broken off.
    pub fn stream_end(&mut self, slot: Slot, complete: bool) {
        self.with(slot, |connection, now, _| connection.stream_end(complete, now));
    }

    /// Whether a streamed answer can take more now.
    pub fn stream_room(&mut self, slot: Slot) -> bool {
        self.get(slot).is_some_and(|connection| connection.stream_room())
    }

    /// Whether all buffers together leave room for another body.
    pub fn has_buffer_room(&self) -> bool {
        self.buffered < MAX_BUFFERED
    }

    pub(super) fn close(&mut self, slot: Slot) {
        let place = &mut self.places[slot.index];
        if place.connection.take().is_some() {
            place.generation = place.generation.wrapping_add(1);
            place.queued = false;
            self.recount(slot.index);
            self.free.push(slot.index);
        }
    }

    /// Ends what is overdue. Call a few times a second.
    pub fn expire(&mut self) {
        let now = self.now;
        debug_assert_eq!(self.buffered, self.open().map(|(_, connection)| connection.buffered()).sum::<usize>());
        for index in 0..self.places.len() {
            let place = &mut self.places[index];
            let slot = Slot { index, generation: place.generation };
            let Some(connection) = place.connection.as_deref().filter(|one| one.is_overdue(now)) else { continue };
            if connection.is_streaming() {
                self.close(slot);
                self.events.push_back(HttpEvent::Gone(slot));
            } else if self.give_up_request(index, Problem::Late) {
                self.queue(slot);
            } else {
                self.close(slot);
            }
        }
    }

    /// Whether any connection is open: then deadlines must be looked at.
    pub fn any_open(&self) -> bool {
        self.free.len() < self.places.len()
    }

    /// Accepts what waits, as far as there is room. Call last in a turn of the loop.
    pub fn accept(&mut self, registry: &Registry) {
        if self.accept_rest_until.is_some_and(|until| self.now < until) {
            return;
        }
        if !self.accept_pending {
            return;
        }
        let mut accepted = 0;
        for index in 0..self.listeners.len() {
            while accepted < ACCEPTS_PER_TURN {
                match self.listeners[index].accept() {
                    Ok(found) => {
                        accepted += 1;
                        if !self.welcome(found, registry) {
                            return;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if is_out_of_descriptors(&error) => return self.without_descriptors(index),
                    // The client went away before it was accepted: the next one is not affected.
                    Err(_) => accepted += 1,
                }
            }
        }
        self.accept_pending = accepted >= ACCEPTS_PER_TURN;
    }

    /// Whether to come back at once to accept more.
    pub fn wants_accept(&self) -> bool {
        self.accept_pending && self.accept_rest_until.is_none_or(|until| self.now >= until)
    }

    /// When accepting starts again after a rest.
    pub fn accept_rest_until(&self) -> Option<Instant> {
        self.accept_rest_until.filter(|until| self.now < *until)
    }

    /// Takes over a connection that was accepted elsewhere. It is closed where there is no place for it.
    pub fn adopt(&mut self, found: Accepted, registry: &Registry) {
        self.welcome(found, registry);
    }

    /// Gives a new connection a place. False: there is none, and accepting rests.
    fn welcome(&mut self, found: Accepted, registry: &Registry) -> bool {
        if self.is_over_share(found.peer) {
            return true;
        }
        if self.free.is_empty() && !self.make_room() {
            self.accept_rest_until = Some(self.now + ACCEPT_REST);
            return false;
        }
        let Some(index) = self.free.pop() else { return false };
        let place = &mut self.places[index];
        let slot = Slot { index, generation: place.generation };
        let mut connection = Box::new(Connection::new(found.stream, found.peer, self.now));
        let token = Source::Connection(slot).token();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = match &mut connection.stream {
            Stream::Tcp(stream) => registry.register(stream, token, interest),
            Stream::Unix(stream) => registry.register(stream, token, interest),
        };
        if registered.is_err() {
            self.free.push(index);
            return true;
        }
        place.connection = Some(connection);
        self.queue(slot);
        true
    }

    pub(super) fn open(&self) -> impl Iterator<Item = (Slot, &Connection<T>)> {
        self.places.iter().enumerate().filter_map(|(index, place)| {
            let slot = Slot { index, generation: place.generation };
            place.connection.as_deref().map(|connection| (slot, connection))
        })
    }

    /// Stops accepting and closes what is quiet; what is being answered ends by itself.
    pub fn stop(&mut self) {
        self.listeners.clear();
        self.accept_pending = false;
        for index in 0..self.places.len() {
            let place = &mut self.places[index];
            let slot = Slot { index, generation: place.generation };
            match place.connection.as_deref_mut() {
                Some(connection) if connection.is_quiet() => self.close(slot),
                Some(connection) => connection.close_after_answer(),
                None => {}
            }
        }
    }
}

/// Now, as HTTP writes it.
fn http_date() -> String {
    let seconds = crate::domain::time::now();
    let now = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap_or_default()
}
