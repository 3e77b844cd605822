//! What is on its way to a client: a head and parts in a buffer of ours, and a body that may be borrowed from the
//! program itself, so that a client that reads slowly costs no copy of it.

use std::borrow::Cow;
use std::io::{self, IoSlice, Write};

use super::stream::Stream;

/// A buffer that has been this large is given back, in bytes.
const KEPT: usize = 4096;

/// What is still to be written.
#[derive(Debug, Default)]
pub struct Outgoing {
    buffer: Vec<u8>,
    buffer_done: usize,
    body: Cow<'static, [u8]>,
    body_done: usize,
}

/// How far a write came.
#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    /// All is out.
    All,
    /// The client takes no more now; whether it took anything this time.
    Blocked(bool),
}

impl Outgoing {
    /// The buffer, for a head or a part.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// What follows the buffer.
    pub fn set_body(&mut self, body: Cow<'static, [u8]>) {
        self.body = body;
        self.body_done = 0;
    }

    /// One chunk of a chunked body.
    pub fn push_chunk(&mut self, bytes: &[u8]) {
        write!(self.buffer, "{:x}\r\n", bytes.len()).expect("writing to a Vec cannot fail");
        self.buffer.extend_from_slice(bytes);
        self.buffer.extend_from_slice(b"\r\n");
    }

    /// Bytes of the buffer that are not out yet.
    pub fn waiting(&self) -> usize {
        self.buffer.len() - self.buffer_done
    }

    /// Whether all is out.
    pub fn is_empty(&self) -> bool {
        self.waiting() == 0 && self.body_done == self.body.len()
    }

    /// Bytes of memory held.
    pub fn held(&self) -> usize {
        let body = match &self.body {
            Cow::Owned(bytes) => bytes.capacity(),
            Cow::Borrowed(_) => 0,
        };
        self.buffer.capacity() + body
    }

    /// Writes until all is out or the client takes no more.
    pub fn write_to(&mut self, stream: &mut Stream) -> io::Result<Written> {
        let mut moved = false;
        loop {
            let head = &self.buffer[self.buffer_done..];
            let body = &self.body[self.body_done..];
            if head.is_empty() && body.is_empty() {
                self.buffer.clear();
                self.buffer.shrink_to(KEPT);
                self.buffer_done = 0;
                self.set_body(Cow::Borrowed(&[]));
                return Ok(Written::All);
            }
            match stream.write(&[IoSlice::new(head), IoSlice::new(body)]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    let of_head = count.min(head.len());
                    self.buffer_done += of_head;
                    self.body_done += count - of_head;
                    moved = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Written::Blocked(moved)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
