//! Makes a text that an expression of many small choices in a row can share out in many ways.
//!
//! The automaton sees loops. Where nothing is repeated without end, as in `(?:a|aa){8}(?:b|bb){8}`, no word can be repeated for ever;
//! so the expression itself is walked here, and each choice is made differently from the one before. What comes of it is measured.

use super::piece::{Letters, MANY, Piece, Turns};

/// A text, and the part of the expression with the choices in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tour {
    /// The text up to behind the last choice.
    pub word: Vec<u8>,
    /// From the first repetition with a choice in it to the last.
    pub place: Option<(usize, usize)>,
}

/// The text of at most `longest` letters, all of `line`; those that come first in `order` are preferred.
pub fn tour(piece: &Piece, order: &[u8], line: Letters, longest: usize) -> Option<Tour> {
    let mut walk = Walk {
        order,
        line,
        longest,
        turn: 0,
        word: Vec::new(),
        chosen: 0,
        place: None,
        groups: Vec::new(),
        stuck: false,
    };
    walk.piece(piece);
    walk.word.truncate(walk.chosen.min(longest));
    (!walk.stuck && walk.chosen > 0).then_some(Tour { word: walk.word, place: walk.place })
}

struct Walk<'w> {
    order: &'w [u8],
    line: Letters,
    longest: usize,
    /// Choices made so far.
    turn: usize,
    word: Vec<u8>,
    /// How long the text was behind the last choice.
    chosen: usize,
    place: Option<(usize, usize)>,
    groups: Vec<(usize, usize, usize)>,
    /// Something cannot be matched by a line.
    stuck: bool,
}

impl Walk<'_> {
    fn piece(&mut self, piece: &Piece) {
        if self.stuck || self.word.len() >= self.longest {
            return;
        }
        match piece {
            Piece::Set(letters, _) => self.letter(*letters & self.line),
            Piece::Seq(pieces) => pieces.iter().for_each(|piece| self.piece(piece)),
            Piece::Alt(branches) => self.alternatives(piece, branches),
            Piece::Repeat(turns) => self.repeat(turns),
            Piece::Group(index, piece) => {
                let start = self.word.len();
                self.piece(piece);
                self.groups.push((*index, start, self.word.len()));
            }
            Piece::Atomic(piece) => self.piece(piece),
            Piece::If(_, yes, _) => self.piece(yes),
            Piece::Again(index, _) => {
                if let Some((_, start, end)) = self.groups.iter().rev().find(|(known, ..)| known == index) {
                    let again = self.word[*start..*end].to_vec();
                    self.word.extend(again);
                }
            }
            Piece::Assert(_) | Piece::Look(..) => {}
        }
    }

    /// The letter before if possible, so that neighbours can take from each other.
    fn letter(&mut self, letters: Letters) {
        let before = self.word.last().copied().filter(|letter| letters >> letter & 1 == 1);
        let letter = before.or_else(|| self.order.iter().copied().find(|letter| letters >> letter & 1 == 1));
        match letter {
            Some(letter) => self.word.push(letter),
            None => self.stuck = true,
        }
    }

    fn choice(&mut self, of: usize) -> usize {
        self.turn += 1;
        (self.turn - 1) % of.max(1)
    }

    fn alternatives(&mut self, piece: &Piece, branches: &[Piece]) {
        if piece.ways() == 1 {
            branches.first().into_iter().for_each(|branch| self.piece(branch));
            return;
        }
        // Of those that can begin with the letter that most can begin with.
        let fits = |letter: u8| branches.iter().filter(move |branch| branch.starts() >> letter & 1 == 1);
        let letters = self.order.iter().rev().copied().filter(|letter| self.line >> letter & 1 == 1);
        let Some(letter) = letters.max_by_key(|letter| fits(*letter).count()) else { return };
        let open: Vec<&Piece> = fits(letter).collect();
        match open[self.choice(open.len())] {
            Piece::Set(..) => self.word.push(letter),
            other => self.piece(other),
        }
        self.chosen = self.word.len();
    }

    fn repeat(&mut self, turns: &Turns) {
        let Turns { body, min, max, place, .. } = turns;
        let open = turns.ways() > 1;
        let many = if *max == MANY || min == max {
            *min
        } else if body.ways() > 1 || max - min > 8 {
            min + (max - min).div_ceil(2)
        } else {
            min + self.choice((max - min) as usize + 1) as u32
        };
        for _ in 0..many {
            if self.word.len() >= self.longest || self.stuck {
                break;
            }
            let before = self.word.len();
            self.piece(body);
            if self.word.len() == before && self.turn > 2 * self.longest {
                break;
            }
        }
        if open {
            self.chosen = self.word.len();
            let (start, end) = self.place.unwrap_or(*place);
            self.place = Some((start.min(place.0), end.max(place.1)));
        }
    }
}
