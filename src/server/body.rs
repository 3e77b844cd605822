//! Reads the body of a request out of the connection's bytes, as they come, within a limit.

use super::request::Framing;

/// The longest line of chunked framing (a chunk size, an extension or a trailer), in bytes.
const MAX_FRAMING_LINE: usize = 256;
/// The most bytes of trailers, which are read and thrown away.
const MAX_TRAILERS: usize = 2048;

/// Progress of one body.
#[derive(Debug)]
pub struct BodyReader {
    state: State,
    limit: usize,
    /// What was read so far.
    pub body: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Fixed { remaining: usize },
    ChunkSize,
    ChunkData { remaining: usize },
    ChunkEnd,
    Trailers { seen: usize },
    Done,
}

/// Why a body was refused. The connection is closed after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadBody {
    /// More bytes than the route allows.
    TooLarge,
    /// The chunked framing is broken.
    Malformed,
}

impl BodyReader {
    /// `limit` in bytes. A length announced above it is refused before a byte is read.
    pub fn new(framing: Framing, limit: usize) -> Result<Self, BadBody> {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(length) if length > limit as u64 => return Err(BadBody::TooLarge),
            Framing::Length(length) => State::Fixed { remaining: length as usize },
            Framing::Chunked => State::ChunkSize,
        };
        Ok(Self { state, limit, body: Vec::new() })
    }

    /// Whether the whole body is there.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Takes what it can from the start of `input` and says how many bytes that was. 0 means: more is needed, or done.
    pub fn take(&mut self, input: &[u8]) -> Result<usize, BadBody> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            let step = match &mut self.state {
                State::Done => return Ok(used),
                State::Fixed { remaining } | State::ChunkData { remaining } => {
                    let count = rest.len().min(*remaining);
                    if self.body.len() + count > self.limit {
                        return Err(BadBody::TooLarge);
                    }
                    self.body.extend_from_slice(&rest[..count]);
                    *remaining -= count;
                    if *remaining == 0 {
                        let fixed = matches!(self.state, State::Fixed { .. });
                        self.state = if fixed { State::Done } else { State::ChunkEnd };
                    }
                    count
                }
                State::ChunkEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        self.state = State::ChunkSize;
                        2
                    }
                    [] | [b'\r'] => 0,
                    _ => return Err(BadBody::Malformed),
                },
                State::ChunkSize => self.chunk_size(rest)?,
                State::Trailers { .. } => self.trailer(rest)?,
            };
            if step == 0 {
                return Ok(used);
            }
            used += step;
        }
    }

    fn chunk_size(&mut self, rest: &[u8]) -> Result<usize, BadBody> {
        let Some(line) = line(rest)? else { return Ok(0) };
        if !line.iter().all(|byte| is_field_byte(*byte)) {
            return Err(BadBody::Malformed);
        }
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
        let size = std::str::from_utf8(digits)
            .ok()
            .filter(|text| !text.is_empty() && text.len() <= 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|text| usize::from_str_radix(text, 16).ok())
            .ok_or(BadBody::Malformed)?;
        if self.body.len().saturating_add(size) > self.limit {
            return Err(BadBody::TooLarge);
        }
        self.state = if size == 0 { State::Trailers { seen: 0 } } else { State::ChunkData { remaining: size } };
        Ok(line.len() + 2)
    }

    fn trailer(&mut self, rest: &[u8]) -> Result<usize, BadBody> {
        let Some(line) = line(rest)? else { return Ok(0) };
        let length = line.len() + 2;
        match &mut self.state {
            State::Trailers { .. } if line.is_empty() => self.state = State::Done,
            State::Trailers { seen } => {
                *seen += length;
                if *seen > MAX_TRAILERS || !is_field(line) {
                    return Err(BadBody::Malformed);
                }
            }
            _ => {}
        }
        Ok(length)
    }
}

/// Whether a line is a field, `name: value`: a folded or broken one is read in two ways by two readers.
fn is_field(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return false };
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    colon > 0 && line[..colon].iter().all(is_token) && line[colon..].iter().all(|byte| is_field_byte(*byte))
}

/// What the value of a field may hold: no control byte but the tab.
fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

/// The first line of `rest` without its CR LF; `None` while it is incomplete.
fn line(rest: &[u8]) -> Result<Option<&[u8]>, BadBody> {
    match rest.iter().take(MAX_FRAMING_LINE + 2).position(|byte| *byte == b'\n') {
        Some(end) if end > 0 && rest[end - 1] == b'\r' => Ok(Some(&rest[..end - 1])),
        Some(_) => Err(BadBody::Malformed),
        None if rest.len() > MAX_FRAMING_LINE => Err(BadBody::Malformed),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `input` in pieces of `step` bytes; gives the body and the bytes left over.
    fn read(framing: Framing, limit: usize, input: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), BadBody> {
        let mut reader = BodyReader::new(framing, limit)?;
        let mut buffer: Vec<u8> = Vec::new();
        for piece in input.chunks(step) {
            buffer.extend_from_slice(piece);
            let used = reader.take(&buffer)?;
            buffer.drain(..used);
        }
        Ok((reader.body.clone(), buffer.len(), reader.is_done()))
    }

    #[test]
    fn chunks_in_pieces_of_any_size() {
        let input = b"5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nT: v\r\n\r\nNEXT";
        for step in 1..input.len() {
            let (body, left, done) = read(Framing::Chunked, 100, input, step).unwrap();
            assert_eq!((body.as_slice(), left, done), (&b"hello world"[..], 4, true), "step {step}");
        }
    }

    #[test]
    fn limits_hold_for_both_framings() {
        assert_eq!(BodyReader::new(Framing::Length(11), 10).unwrap_err(), BadBody::TooLarge);
        assert_eq!(read(Framing::Chunked, 10, b"b\r\n", 9).unwrap_err(), BadBody::TooLarge);
        assert_eq!(read(Framing::Length(10), 10, b"0123456789", 3).unwrap().0.len(), 10);
    }

    #[test]
    fn broken_chunks_are_refused() {
        for bad in [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "+2\r\n",
            " 2\r\n",
            "2 \r\n",
            "2\t\r\n",
            "2 ;a\r\n",
            "0x1\r\n",
            "1\r\nab\r\n",
            "1\nx",
            "fffffffff\r\n",
            "2;a\0\r\n",
            "2;a\rb\r\n",
            ";a\r\n",
            "1_0\r\n",
            "0\r\n folded: x\r\n",
            "0\r\nno field\r\n",
            "0\r\n: x\r\n",
            "0\r\na b: x\r\n",
            "0\r\na: x\0\r\n",
            "0\r\na: x\n",
        ] {
            assert!(read(Framing::Chunked, 1 << 30, bad.as_bytes(), 64).is_err(), "{bad:?}");
        }
        assert!(read(Framing::Chunked, 10, &[b'1'; 400], 400).is_err());
        let endless = ["0\r\n".to_owned(), "t: v\r\n".repeat(400)].concat();
        assert!(read(Framing::Chunked, 10, endless.as_bytes(), 64).is_err(), "trailers have a limit");
    }
}
