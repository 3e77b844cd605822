//! Cuts a pickle into operations, and finds its end while it is still arriving.
//!
//! It knows how long each operation is and nothing of what it means; `pickle.rs` runs them.

/// The longest line of the text operations (`GLOBAL` and friends), in bytes; class names are far shorter.
const MAX_LINE: usize = 1024;

/// One operation: its code and the bytes of its argument, as a range of the buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Op {
    /// The operation code.
    pub code: u8,
    /// Where the argument starts.
    pub start: usize,
    /// Where it ends; the next operation follows, but for the newline of a text line.
    pub end: usize,
    /// Where the next operation starts.
    pub next: usize,
}

/// What `read_op` found.
pub(super) enum Step {
    /// A whole operation.
    Op(Op),
    /// The operation has not arrived completely; where it says itself how long it is, it ends there.
    Incomplete(usize),
    /// No pickle of the daemon's: an operation that is not known, or a line without end.
    Unknown(u8),
}

/// How the argument of an operation is delimited.
enum Argument {
    Fixed(usize),
    /// A little-endian length of so many bytes, then so many bytes.
    Counted(usize),
    /// Lines that end in a newline.
    Lines(usize),
}

fn argument(code: u8) -> Option<Argument> {
    use Argument::{Counted, Fixed, Lines};
    Some(match code {
        b'(' | b'.' | b'0' | b'1' | b'2' | b'N' | b'R' | b'a' | b'b' | b'd' | b'e' | b'l' | b't' | b's' | b'u'
        | b'}' | b']' | b')' => Fixed(0),
        0x81 | 0x85..=0x89 | 0x8f | 0x90 | 0x91 | 0x92 | 0x93 | 0x94 => Fixed(0),
        b'K' | b'q' | b'h' | 0x80 => Fixed(1),
        b'M' => Fixed(2),
        b'J' | b'r' | b'j' => Fixed(4),
        b'G' | 0x95 => Fixed(8),
        b'U' | b'C' | 0x8a | 0x8c => Counted(1),
        b'T' | b'X' | b'B' | 0x8b => Counted(4),
        0x8d | 0x8e | 0x96 => Counted(8),
        b'I' | b'L' | b'F' => Lines(1),
        b'c' => Lines(2),
        _ => return None,
    })
}

/// Reads the operation that starts at `at`.
pub(super) fn read_op(bytes: &[u8], at: usize) -> Step {
    let Some(&code) = bytes.get(at) else {
        return Step::Incomplete(0);
    };
    let start = at + 1;
    match argument(code) {
        None => Step::Unknown(code),
        Some(Argument::Fixed(length)) => whole(bytes, code, start, length),
        Some(Argument::Counted(width)) => {
            let Some(count) = bytes.get(start..start + width) else {
                return Step::Incomplete(0);
            };
            let count = count.iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
            match usize::try_from(count) {
                Ok(count) => whole(bytes, code, start + width, count),
                // Longer than this machine can address, so it will never be complete.
                Err(_) => Step::Unknown(code),
            }
        }
        Some(Argument::Lines(lines)) => {
            let seen = &bytes[start..bytes.len().min(start + MAX_LINE)];
            let mut ends = seen.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(index, _)| start + index);
            match ends.nth(lines - 1) {
                Some(end) => Step::Op(Op { code, start, end, next: end + 1 }),
                None if seen.len() == MAX_LINE => Step::Unknown(code),
                None => Step::Incomplete(0),
            }
        }
    }
}

fn whole(bytes: &[u8], code: u8, start: usize, length: usize) -> Step {
    match start.checked_add(length) {
        Some(end) if end <= bytes.len() => Step::Op(Op { code, start, end, next: end }),
        Some(end) => Step::Incomplete(end),
        None => Step::Unknown(code),
    }
}

/// Follows an arriving pickle to its STOP. Every byte is looked at once, however small the pieces it comes in.
#[derive(Debug, Default)]
pub(in crate::fail2ban) struct Framer {
    at: usize,
    needs: usize,
}

impl Framer {
    /// How many bytes there must be for it to go on, as far as what has arrived says.
    pub fn needs(&self) -> usize {
        self.needs
    }

    /// The length of the pickle, once all of it is in `bytes`; `None` while it is not. `bytes` only ever grows between calls.
    pub fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, u8> {
        loop {
            match read_op(bytes, self.at) {
                Step::Op(op) => {
                    self.at = op.next;
                    if op.code == b'.' {
                        return Ok(Some(self.at));
                    }
                }
                Step::Incomplete(needs) => {
                    self.needs = needs;
                    return Ok(None);
                }
                Step::Unknown(code) => return Err(code),
            }
        }
    }
}
