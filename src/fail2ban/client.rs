//! The connection to the daemon: blocking, one command at a time, and never longer than the patience of its owner.
//!
//! It frames, waits, checks who is at the other end and turns exceptions into errors. Which words make a command is not known here.

mod wire;

use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::encode;
use super::error::{Error, unwrap_reply};
use super::pickle;
use super::process::Process;
use super::value::Value;
use wire::{Deadline, Failure, connect, is_quiet, receive, send};

pub use wire::credentials;

/// The largest reply that is read, unless set otherwise: 100 000 bans with their times take 6.3 MB.
const DEFAULT_REPLY_LIMIT: usize = 64 << 20;
/// The first rest after an answer that did not come, and the longest one.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(5);

/// A client of one daemon. It connects at the first call, and keeps the connection for the next one.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    patience: Duration,
    reply_limit: usize,
    stream: Option<UnixStream>,
    connections: u64,
    /// The process behind the last connection; it may have ended since.
    last_peer: Option<Peer>,
    daemons: u64,
    news: Option<News>,
    rest: Option<Rest>,
}

/// A process: its number, and when it was started, since numbers are given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Peer {
    pid: i32,
    started: Option<u64>,
}

/// What a command has learned about the daemon beside its answer.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// It is there: it answered.
    Answered,
    /// It is not.
    Away(Error),
}

/// When to leave a daemon alone that did not answer.
#[derive(Debug, Default)]
struct Rest {
    until: Option<Instant>,
    length: Duration,
}

impl Client {
    /// A client of the daemon at `socket`, each call of which takes at most `patience`. Nothing is connected yet.
    pub fn new(socket: PathBuf, patience: Duration) -> Client {
        Client {
            path: socket,
            patience,
            reply_limit: DEFAULT_REPLY_LIMIT,
            stream: None,
            connections: 0,
            last_peer: None,
            daemons: 0,
            news: None,
            rest: None,
        }
    }

    /// The same client with another limit for replies, in bytes.
    pub fn with_reply_limit(mut self, bytes: usize) -> Client {
        self.reply_limit = bytes;
        self
    }

    /// The same client, which after an answer that did not come in time says `Busy` by itself for a second, and for up to five if that goes
    /// on. For whoever must not wait again and again, the event loop.
    pub fn with_rests(mut self) -> Client {
        self.rest = Some(Rest::default());
        self
    }

    /// Begins a rest as after an answer that did not come: somebody else found the daemon busy.
    pub fn begin_rest(&mut self) {
        let busy: Result<(), Error> = Err(Error::Busy { waited: Duration::ZERO });
        self.note(&busy);
    }

    /// Ends a rest: somebody else has seen the daemon answer.
    pub fn end_rest(&mut self) {
        self.note(&Ok(()));
    }

    /// Whether it rests, and says `Busy` without asking.
    pub fn is_resting(&self) -> bool {
        self.rest.as_ref().and_then(|rest| rest.until).is_some_and(|until| Instant::now() < until)
    }

    /// How long a call may take.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Changes how long a call may take from now on.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// The socket of the daemon.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a connection. The daemon may have closed it since.
    pub fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    /// The process behind the connection; `None` without one, and for a daemon in a container, whose number means nothing here.
    pub fn daemon_pid(&self) -> Option<i32> {
        let found = credentials(self.stream.as_ref()?).ok()?;
        (found.pid > 0).then_some(found.pid)
    }

    /// The process behind the last connection there was, whether it is still open or not.
    pub fn last_daemon_pid(&self) -> Option<i32> {
        self.last_peer.map(|peer| peer.pid)
    }

    /// How many daemons there were behind the connections so far. What was set in one at run time holds while this stays the same.
    /// One that cannot be told from the one before, because it runs in a container, counts as another.
    pub fn daemons(&self) -> u64 {
        self.daemons
    }

    /// What the commands since the last call of this have learned about the daemon. That it is busy is no news.
    pub fn take_news(&mut self) -> Option<News> {
        self.news.take()
    }

    /// How many connections were made so far. What was learned of the daemon, its version for example, holds while this stays the same.
    pub fn connections(&self) -> u64 {
        self.connections
    }

    /// Closes the connection if the daemon has closed its end, or sent what nobody asked for; says whether it did.
    pub fn drop_if_closed(&mut self) -> bool {
        let closed = self.stream.as_ref().is_some_and(|stream| !is_quiet(stream));
        if closed {
            self.stream = None;
        }
        closed
    }

    /// Closes the connection; the next call makes a new one.
    pub fn disconnect(&mut self) {
        self.stream = None;
    }

    /// The connection's descriptor, for noticing that the daemon has closed it. It changes with every new connection.
    pub fn as_raw_fd(&self) -> Option<RawFd> {
        self.stream.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Sends a command once and returns what it answers. For commands that change something.
    pub fn call(&mut self, words: &[&str]) -> Result<Value, Error> {
        let request = encode::encode_words(words)?;
        self.exchange(&request, false, value_of)
    }

    /// Sends a question and returns the answer. It is asked again, on a new connection, when the daemon was restarted since the last call.
    pub fn ask(&mut self, words: &[&str]) -> Result<Value, Error> {
        let request = encode::encode_words(words)?;
        self.exchange(&request, true, value_of)
    }

    /// Sends a command that holds lists, once.
    pub fn call_value(&mut self, command: &Value) -> Result<Value, Error> {
        let request = encode::encode(command)?;
        self.exchange(&request, false, value_of)
    }

    /// Asks for a long list of texts and hands them over one by one, without building a value for each. Returns their number.
    pub fn ask_strings(&mut self, words: &[&str], visit: &mut dyn FnMut(&str)) -> Result<usize, Error> {
        let request = encode::encode_words(words)?;
        self.exchange(&request, true, |reply| {
            let decoded = pickle::decode(reply)?;
            let mut count = 0;
            let mut counting = |text: &str| {
                count += 1;
                visit(text);
            };
            if decoded.each_string(&mut counting) {
                return Ok(count);
            }
            // An error of the daemon's, or no list.
            match unwrap_reply(decoded.value()?)? {
                Value::None => Ok(0),
                _ => Err(Error::Protocol("the reply is no list".to_owned())),
            }
        })
    }

    /// One request and its reply, with one repetition where that is safe.
    fn exchange<T>(
        &mut self,
        request: &[u8],
        repeatable: bool,
        read: impl FnOnce(&[u8]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if let Some(until) = self.rest.as_ref().and_then(|rest| rest.until)
            && Instant::now() < until
        {
            return Err(Error::Busy { waited: Duration::ZERO });
        }
        let deadline = Deadline { at: Instant::now() + self.patience, patience: self.patience };
        let result = self.exchange_before(&deadline, request, repeatable);
        self.note(&result);
        let answer = result.and_then(|(buffer, length)| read(&buffer[..length]));
        match &answer {
            Err(error) if error.is_away() => self.news = Some(News::Away(error.clone())),
            Err(Error::Busy { .. } | Error::Unsendable(_)) => {}
            _ => self.news = Some(News::Answered),
        }
        answer
    }

    fn exchange_before(
        &mut self,
        deadline: &Deadline,
        request: &[u8],
        repeatable: bool,
    ) -> Result<(Vec<u8>, usize), Error> {
        // A connection on which something waits to be read has been closed by the daemon, or carries an answer nobody asked for. Found
        // before anything is sent, so a new one is always safe.
        if self.stream.as_ref().is_some_and(|stream| !is_quiet(stream)) {
            self.stream = None;
        }
        let reused = self.stream.is_some();
        match self.attempt(deadline, request) {
            Err(Failure::Gone(_)) if reused && repeatable => match self.attempt(deadline, request) {
                Ok(reply) => Ok(reply),
                Err(Failure::Gone(error) | Failure::Final(error)) => Err(error),
            },
            Ok(reply) => Ok(reply),
            Err(Failure::Gone(error) | Failure::Final(error)) => Err(error),
        }
    }

    /// The stream is out of `self` while an answer is outstanding, and comes back only behind a complete one.
    fn attempt(&mut self, deadline: &Deadline, request: &[u8]) -> Result<(Vec<u8>, usize), Failure> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = connect(&self.path, deadline)?;
                self.connections += 1;
                self.note_peer(&stream);
                stream
            }
        };
        send(&mut stream, request, deadline)?;
        let reply = receive(&mut stream, self.reply_limit, deadline)?;
        self.stream = Some(stream);
        Ok(reply)
    }

    fn note_peer(&mut self, stream: &UnixStream) {
        let pid = credentials(stream).ok().map(|found| found.pid).filter(|pid| *pid > 0);
        let peer = pid.map(|pid| Peer { pid, started: Process::start_of(pid) });
        if peer.is_none() || peer != self.last_peer {
            self.daemons += 1;
        }
        self.last_peer = peer;
    }

    fn note<T>(&mut self, result: &Result<T, Error>) {
        let Some(rest) = &mut self.rest else { return };
        if matches!(result, Err(Error::Busy { .. })) {
            rest.length = (rest.length * 2).clamp(FIRST_REST, LONGEST_REST);
            rest.until = Some(Instant::now() + rest.length);
        } else {
            *rest = Rest::default();
        }
    }
}

fn value_of(reply: &[u8]) -> Result<Value, Error> {
    unwrap_reply(pickle::decode(reply)?.value()?)
}

#[cfg(test)]
mod tests;
