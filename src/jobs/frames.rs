//! The frames a child sends: one byte of kind, four of length (little endian), the payload. The last one is an end
//! frame; output that stops without it is a failure.

use std::io::{self, Write};

use serde_json::Value;

use super::failure::Failure;
use crate::domain::json;

/// The longest payload, in bytes: more is a child gone wrong.
const MAX_PAYLOAD: usize = 8 * 1024 * 1024;
/// Parts of a streamed answer are collected to this many bytes.
const PART_BYTES: usize = 32 * 1024;

const PART: u8 = b'D';
const PROGRESS: u8 = b'P';
const DONE: u8 = b'R';
const FAILED: u8 = b'F';

/// What a child says.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// Bytes of a streamed answer.
    Part(Vec<u8>),
    /// How far it is.
    Progress(Value),
    /// The end: it is done, and this is the result.
    Done(Value),
    /// The end: it failed.
    Failed(Failure),
}

impl Frame {
    /// Whether nothing follows.
    pub fn is_end(&self) -> bool {
        matches!(self, Frame::Done(_) | Frame::Failed(_))
    }
}

/// Writes frames. Bytes of a streamed answer are collected, so that small writes cost little.
pub struct FrameWriter<'a> {
    output: &'a mut dyn Write,
    part: Vec<u8>,
}

impl<'a> FrameWriter<'a> {
    /// Frames go to `output`.
    pub fn new(output: &'a mut dyn Write) -> Self {
        Self { output, part: Vec::new() }
    }

    fn frame(&mut self, kind: u8, payload: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(5 + payload.len());
        bytes.push(kind);
        bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes.extend_from_slice(payload);
        self.output.write_all(&bytes)
    }

    fn flush_part(&mut self) -> io::Result<()> {
        let part = std::mem::take(&mut self.part);
        if part.is_empty() { Ok(()) } else { self.frame(PART, &part) }
    }

    /// Says how far it is.
    pub fn progress(&mut self, value: &Value) -> io::Result<()> {
        self.flush_part()?;
        self.frame(PROGRESS, value.to_string().as_bytes())?;
        // Standard output waits for the end of a line, which no frame has.
        self.output.flush()
    }

    /// The end: done.
    pub fn done(mut self, value: &Value) -> io::Result<()> {
        self.flush_part()?;
        self.frame(DONE, value.to_string().as_bytes())
    }

    /// The end: failed.
    pub fn failed(mut self, failure: &Failure) -> io::Result<()> {
        self.flush_part()?;
        self.frame(FAILED, json::text(failure)?.as_bytes())
    }
}

impl Write for FrameWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.part.extend_from_slice(bytes);
        if self.part.len() >= PART_BYTES {
            self.flush_part()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_part()?;
        self.output.flush()
    }
}

/// Takes the first whole frame off the front of `buffer`; `Err` when what is there is no frame.
pub fn take(buffer: &mut Vec<u8>) -> Result<Option<Frame>, Failure> {
    let Some((head, rest)) = buffer.split_first_chunk::<5>() else { return Ok(None) };
    let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if length > MAX_PAYLOAD {
        return Err(Failure::Crashed);
    }
    let Some(payload) = rest.get(..length) else { return Ok(None) };
    let frame = match head[0] {
        PART => Frame::Part(payload.to_vec()),
        PROGRESS => Frame::Progress(json::tree(payload).map_err(|_| Failure::Crashed)?),
        DONE => Frame::Done(json::tree(payload).map_err(|_| Failure::Crashed)?),
        FAILED => Frame::Failed(json::read(payload).map_err(|_| Failure::Crashed)?),
        _ => return Err(Failure::Crashed),
    };
    buffer.drain(..5 + length);
    Ok(Some(frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_whole_and_in_order() {
        let mut bytes = Vec::new();
        let mut writer = FrameWriter::new(&mut bytes);
        writer.write_all(b"hello ").unwrap();
        writer.write_all(b"world").unwrap();
        writer.progress(&Value::from(1)).unwrap();
        writer.done(&Value::from("end")).unwrap();
        let mut buffer = Vec::new();
        let mut frames = Vec::new();
        for byte in bytes {
            buffer.push(byte);
            frames.extend(take(&mut buffer).unwrap());
        }
        assert_eq!(
            frames,
            [Frame::Part(b"hello world".to_vec()), Frame::Progress(1.into()), Frame::Done("end".into())]
        );
        assert!(buffer.is_empty());
    }

    #[test]
    fn what_is_no_frame_is_a_crash() {
        assert_eq!(take(&mut b"X\x00\x00\x00\x00".to_vec()), Err(Failure::Crashed));
        assert_eq!(take(&mut b"R\xff\xff\xff\xff".to_vec()), Err(Failure::Crashed));
        assert_eq!(take(&mut b"R\x01\x00\x00\x00}".to_vec()), Err(Failure::Crashed));
    }
}
