//! What a readiness event belongs to, packed into mio's one number. A generation tells a late event of a
//! closed source from its successor in the same slot.

use mio::Token;

/// The kinds of event source of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A listening socket; the index is its place in the list.
    Listener(usize),
    /// A client's connection.
    Connection(Slot),
    /// A child's standard output.
    ChildOutput(Slot),
    /// A child's standard input.
    ChildInput(Slot),
    /// The idle connection to fail2ban, watched for its end.
    Daemon,
    /// The probe sent to a fail2ban that did not answer in time.
    Probe,
    /// SIGTERM or SIGINT.
    Signal,
    /// The control socket of the other commands of this program.
    Control,
    /// What tells of changes of fail2ban's log.
    BanLog,
}

/// A place in a table and the generation of what lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Place in the table, below 1024.
    pub index: usize,
    /// Counts the uses of the place, modulo 2^16.
    pub generation: u16,
}

const INDEX_BITS: u32 = 10;
const KIND_SHIFT: u32 = 26;

impl Source {
    /// The number registered with the poll.
    pub fn token(self) -> Token {
        let (kind, index, generation) = match self {
            Source::Listener(index) => (0, index, 0),
            Source::Connection(slot) => (1, slot.index, slot.generation),
            Source::ChildOutput(slot) => (2, slot.index, slot.generation),
            Source::ChildInput(slot) => (3, slot.index, slot.generation),
            Source::Daemon => (4, 0, 0),
            Source::Probe => (5, 0, 0),
            Source::Signal => (6, 0, 0),
            Source::Control => (7, 0, 0),
            Source::BanLog => (8, 0, 0),
        };
        debug_assert!(index < 1 << INDEX_BITS);
        Token((kind << KIND_SHIFT) | (usize::from(generation) << INDEX_BITS) | index)
    }

    /// What a number stands for; `None` for one that `token` never makes.
    pub fn of(token: Token) -> Option<Self> {
        let slot =
            Slot { index: token.0 & ((1 << INDEX_BITS) - 1), generation: ((token.0 >> INDEX_BITS) & 0xffff) as u16 };
        Some(match token.0 >> KIND_SHIFT {
            0 => Source::Listener(slot.index),
            1 => Source::Connection(slot),
            2 => Source::ChildOutput(slot),
            3 => Source::ChildInput(slot),
            4 => Source::Daemon,
            5 => Source::Probe,
            6 => Source::Signal,
            7 => Source::Control,
            8 => Source::BanLog,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_comes_back_from_its_token() {
        let slot = Slot { index: 1023, generation: u16::MAX };
        for source in [
            Source::Listener(3),
            Source::Connection(slot),
            Source::ChildOutput(slot),
            Source::ChildInput(Slot { index: 0, generation: 1 }),
            Source::Daemon,
            Source::Probe,
            Source::Signal,
            Source::Control,
            Source::BanLog,
        ] {
            assert_eq!(Source::of(source.token()), Some(source));
        }
    }
}
