//! Reads a list that is packed by gzip, or plain: the first bytes tell. It is unpacked as it comes, never whole.
//!
//! Other ways of packing are not read; the parser refuses them as binary.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;

use super::parse::{Limits, ParseError, Parsed, Parser};

/// The first bytes of what gzip has packed.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Reads a list piece by piece.
pub struct Reader {
    /// What came before it was enough to tell.
    first: Vec<u8>,
    is_told: bool,
    most: u64,
    /// The list is plain, as far as is known.
    plain: Option<Parser>,
    /// The list is packed.
    packed: Option<Box<MultiGzDecoder<Sink>>>,
}

/// What is unpacked goes straight to the parser.
struct Sink {
    parser: Parser,
    /// Bytes that are still read.
    left: u64,
    most: u64,
    error: Option<ParseError>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let fed = match self.left.checked_sub(bytes.len() as u64) {
            Some(left) => {
                self.left = left;
                self.parser.feed(bytes)
            }
            None => Err(ParseError::TooLarge(self.most)),
        };
        fed.map(|()| bytes.len()).map_err(|error| {
            self.error = Some(error);
            io::Error::other("not read on")
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why the decoder did not take what came.
fn refused(decoder: &mut MultiGzDecoder<Sink>) -> ParseError {
    decoder.get_mut().error.take().unwrap_or(ParseError::Damaged)
}

impl Reader {
    /// Keeps the first `sample` entries in the order of the list; of a packed one at most `most` bytes are unpacked.
    pub fn new(limits: Limits, sample: usize, most: u64) -> Reader {
        let plain = Some(Parser::new(limits, sample));
        Reader { first: Vec::new(), is_told: false, most, plain, packed: None }
    }

    /// Lines so far.
    pub fn lines(&self) -> u64 {
        let packed = self.packed.as_ref().map(|decoder| &decoder.get_ref().parser);
        packed.or(self.plain.as_ref()).map_or(0, Parser::lines)
    }

    /// Takes the next piece.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), ParseError> {
        if !self.is_told {
            self.first.extend_from_slice(bytes);
            return if self.first.len() < MAGIC.len() { Ok(()) } else { self.begin() };
        }
        if let Some(decoder) = &mut self.packed {
            return decoder.write_all(bytes).map_err(|_| refused(decoder));
        }
        self.plain.as_mut().map_or(Ok(()), |parser| parser.feed(bytes))
    }

    fn begin(&mut self) -> Result<(), ParseError> {
        self.is_told = true;
        let begun = std::mem::take(&mut self.first);
        if begun.starts_with(&MAGIC)
            && let Some(parser) = self.plain.take()
        {
            let sink = Sink { parser, left: self.most, most: self.most, error: None };
            self.packed = Some(Box::new(MultiGzDecoder::new(sink)));
        }
        self.feed(&begun)
    }

    /// The whole list.
    pub fn finish(mut self) -> Result<Parsed, ParseError> {
        if !self.is_told {
            self.begin()?;
        }
        if let Some(mut decoder) = self.packed {
            decoder.try_finish().map_err(|_| refused(&mut decoder))?;
            return decoder.finish().map_err(|_| ParseError::Damaged)?.parser.finish();
        }
        self.plain.map_or(Err(ParseError::Empty(0)), Parser::finish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8], size: usize, most: u64) -> Result<Parsed, ParseError> {
        let mut reader = Reader::new(Limits::DEFAULT, 10, most);
        for piece in bytes.chunks(size) {
            reader.feed(piece)?;
        }
        reader.finish()
    }

    #[test]
    fn a_packed_list_is_read_like_a_plain_one_wherever_it_is_cut() {
        let text = b"8.8.8.8\n9.9.9.9\n# x\n";
        let plain = read(text, 100, 1000).unwrap();
        assert_eq!((plain.lines, plain.entries.len()), (3, 2));
        let packed = gzip(text);
        // Two files of gzip one behind the other are one.
        let two = [gzip(&text[..8]), gzip(&text[8..])].concat();
        for size in [1, 2, 3, 1000] {
            assert_eq!(read(text, size, 1000).unwrap(), plain);
            assert_eq!(read(&packed, size, 1000).unwrap(), plain);
            assert_eq!(read(&two, size, 1000).unwrap(), plain, "pieces of {size}");
        }
        assert_eq!(read(b"8", 1, 1000), Err(ParseError::Empty(1)));
    }

    #[test]
    fn a_packed_list_that_is_damaged_or_grows_too_large_is_an_error() {
        let packed = gzip(&b"8.8.8.8\n9.9.9.9\n".repeat(50));
        assert_eq!(read(&packed[..packed.len() - 9], 7, 100_000), Err(ParseError::Damaged));
        let mut wrong = packed.clone();
        let last = wrong.len() - 6;
        wrong[last] ^= 1;
        assert_eq!(read(&wrong, 7, 100_000), Err(ParseError::Damaged));
        assert_eq!(read(&packed, 7, 100), Err(ParseError::TooLarge(100)));
        assert_eq!(read(&gzip(&packed), 7, 100_000), Err(ParseError::Binary));
    }
}
