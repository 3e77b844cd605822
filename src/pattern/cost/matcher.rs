//! A backtracking matcher that goes the ways Python's `re` goes and counts what they cost there; what matches is not asked.
//!
//! Time is reckoned, not measured: each kind of step has a price in nanoseconds, fitted to CPython 3.11 on a processor of 3 GHz. So
//! a verdict does not depend on how busy this machine is.

use super::super::ast::{Assertion, Fold, Greed};
use super::piece::{Alphabet, Letters, MANY, Piece, Turns, Written, is_word};

/// Prices of steps, in nanoseconds.
mod price {
    /// A character compared.
    pub const LETTER: u64 = 3;
    /// A character looked up in a class.
    pub const CLASS: u64 = 5;
    /// A repetition of single characters begun.
    pub const RUN: u64 = 11;
    /// What follows it tried at one more place.
    pub const BACK: u64 = 6;
    /// An alternative passed over by its first character.
    pub const SKIP: u64 = 2;
    /// An alternative tried.
    pub const BRANCH: u64 = 19;
    /// Any other repetition begun.
    pub const ENTER: u64 = 26;
    /// A turn of it.
    pub const TURN: u64 = 8;
    /// A group's end noted.
    pub const MARK: u64 = 6;
    /// A zero-width test.
    pub const ASSERT: u64 = 6;
    /// Look-around, an atomic group, a back-reference.
    pub const LOOK: u64 = 6;
    /// A place of the text where a match could begin.
    pub const START: u64 = 5;
}

/// Choices kept at most: an expression that needs more counts as one without end.
const DEEPEST: usize = 60_000;

enum Op {
    Set(Letters, u64),
    Run {
        set: Letters,
        written: Written,
        min: u32,
        max: u32,
        greed: Greed,
        next: Letters,
    },
    Branch(Vec<(Letters, usize)>),
    Jump(usize),
    Enter {
        id: usize,
        until: usize,
    },
    Until {
        id: usize,
        min: u32,
        max: u32,
        lazy: bool,
        body: usize,
    },
    Mark(usize),
    Assert(Assertion),
    /// Its program follows and ends in `End`; `after` comes behind it.
    Look {
        back: u32,
        negative: bool,
        after: usize,
    },
    Atomic {
        after: usize,
    },
    Again(usize, Fold),
    If(usize, usize),
    End,
}

/// An expression ready to run.
pub struct Program {
    ops: Vec<Op>,
    loops: usize,
    marks: usize,
    first: Letters,
}

impl Program {
    /// Compiles.
    pub fn new(piece: &Piece) -> Program {
        let mut program = Program { ops: Vec::new(), loops: 0, marks: 2, first: piece.first() };
        program.add(piece, 0);
        program.ops.push(Op::End);
        program
    }

    /// `next`: the letters that what follows begins with, where that is a single letter.
    fn add(&mut self, piece: &Piece, next: Letters) {
        match piece {
            Piece::Set(letters, written) => {
                let price = if *written == Written::Class { price::CLASS } else { price::LETTER };
                self.ops.push(Op::Set(*letters, price));
            }
            Piece::Seq(pieces) => {
                for (at, piece) in pieces.iter().enumerate() {
                    let next = match pieces.get(at + 1) {
                        Some(Piece::Set(letters, Written::Letter)) => *letters,
                        Some(_) => 0,
                        None => next,
                    };
                    self.add(piece, next);
                }
            }
            Piece::Alt(branches) => self.branch(branches),
            Piece::Repeat(turns) => self.repeat(turns, next),
            Piece::Group(index, piece) => {
                self.marks = self.marks.max(2 * index + 2);
                self.ops.push(Op::Mark(2 * index));
                self.add(piece, 0);
                self.ops.push(Op::Mark(2 * index + 1));
            }
            Piece::Assert(assertion) => self.ops.push(Op::Assert(*assertion)),
            Piece::Look(piece, back, negative) => {
                self.nested(piece, |after| Op::Look { back: *back, negative: *negative, after });
            }
            Piece::Atomic(piece) => self.nested(piece, |after| Op::Atomic { after }),
            Piece::Again(group, fold) => self.ops.push(Op::Again(*group, *fold)),
            Piece::If(group, yes, no) => {
                let at = self.ops.len();
                self.ops.push(Op::End);
                self.add(yes, 0);
                let over = self.ops.len();
                self.ops.push(Op::End);
                self.ops[at] = Op::If(*group, over + 1);
                self.add(no, 0);
                self.ops[over] = Op::Jump(self.ops.len());
            }
        }
    }

    fn nested(&mut self, piece: &Piece, op: impl Fn(usize) -> Op) {
        let at = self.ops.len();
        self.ops.push(Op::End);
        self.add(piece, 0);
        self.ops.push(Op::End);
        self.ops[at] = op(self.ops.len());
    }

    fn branch(&mut self, branches: &[Piece]) {
        let at = self.ops.len();
        self.ops.push(Op::End);
        let (mut starts, mut ends) = (Vec::new(), Vec::new());
        for piece in branches {
            starts.push((piece.first(), self.ops.len()));
            self.add(piece, 0);
            ends.push(self.ops.len());
            self.ops.push(Op::End);
        }
        let after = self.ops.len();
        ends.into_iter().for_each(|end| self.ops[end] = Op::Jump(after));
        self.ops[at] = Op::Branch(starts);
    }

    fn repeat(&mut self, turns: &Turns, next: Letters) {
        let Turns { body, min, max, greed, .. } = turns;
        if let Piece::Set(set, written) = body {
            let next = if next == 0 { Letters::MAX } else { next };
            self.ops.push(Op::Run { set: *set, written: *written, min: *min, max: *max, greed: *greed, next });
            return;
        }
        let around = self.ops.len();
        if *greed == Greed::Possessive {
            self.ops.push(Op::End);
        }
        let (id, enter) = (self.loops, self.ops.len());
        self.loops += 1;
        self.ops.push(Op::End);
        self.add(body, 0);
        self.ops[enter] = Op::Enter { id, until: self.ops.len() };
        self.ops.push(Op::Until { id, min: *min, max: *max, lazy: *greed == Greed::Lazy, body: enter + 1 });
        if *greed == Greed::Possessive {
            self.ops.push(Op::End);
            self.ops[around] = Op::Atomic { after: self.ops.len() };
        }
    }
}

/// What is done when a way fails.
enum Back {
    Go(usize, usize),
    /// A repetition of single characters gives one back, down to the second place.
    Less(usize, usize, usize, Letters),
    /// A lazy one takes one more, up to the second place.
    More(usize, usize, usize),
    Branch(usize, usize, usize),
    /// A lazy repetition takes one more turn.
    Turn(usize, usize),
    Loop(usize, (u32, usize)),
    Mark(usize, usize),
}

const NOWHERE: usize = usize::MAX;

/// A search that counts.
pub struct Run<'r> {
    program: &'r Program,
    alphabet: &'r Alphabet,
    text: &'r [u8],
    back: Vec<Back>,
    loops: Vec<(u32, usize)>,
    marks: Vec<usize>,
    spent: u64,
    limit: u64,
    left: u64,
}

/// What a search came to.
#[derive(Clone, Copy, Debug)]
pub struct Reckoned {
    /// What it takes in Python, in nanoseconds; given up behind the limit.
    pub nanoseconds: u64,
    /// The steps that are left of those it might take here; with none left it was not reckoned to its end.
    pub left: u64,
}

/// Reckons a search for the program in `text`, up to `limit` nanoseconds of Python's and `steps` of our own: what is done once here is one step, four letters passed over are another.
pub fn search(program: &Program, alphabet: &Alphabet, text: &[u8], limit: u64, steps: u64) -> Reckoned {
    let mut run = Run {
        program,
        alphabet,
        text,
        back: Vec::new(),
        loops: vec![(0, NOWHERE); program.loops],
        marks: vec![NOWHERE; program.marks],
        spent: 0,
        limit,
        left: steps,
    };
    for start in 0..=text.len() {
        run.spent += price::START;
        if program.first != Letters::MAX && text.get(start).is_none_or(|letter| program.first >> letter & 1 == 0) {
            continue;
        }
        run.back.clear();
        if run.go(0, start).is_some() || run.spent > limit || run.left == 0 {
            break;
        }
    }
    Reckoned { nanoseconds: run.spent, left: run.left }
}

impl Run<'_> {
    fn has(&self, set: Letters, at: usize) -> bool {
        self.text.get(at).is_some_and(|letter| set >> letter & 1 == 1)
    }

    /// Runs from an operation to its `End`; where it ended.
    fn go(&mut self, mut pc: usize, mut at: usize) -> Option<usize> {
        let base = self.back.len();
        let program = self.program;
        loop {
            if self.left == 0 {
                return None;
            }
            self.left -= 1;
            if self.spent > self.limit || self.back.len() > DEEPEST {
                self.spent = self.spent.max(self.limit + 1);
                return None;
            }
            let next = match &program.ops[pc] {
                Op::End => return Some(at),
                Op::Jump(to) => Some((*to, at)),
                Op::Set(set, price) => {
                    self.spent += price;
                    self.has(*set, at).then_some((pc + 1, at + 1))
                }
                Op::Run { .. } => self.run(pc, at),
                Op::Branch(_) => self.branch(pc, 0, at),
                Op::Enter { id, until } => {
                    self.spent += price::ENTER;
                    self.set_loop(*id, (0, NOWHERE));
                    Some((*until, at))
                }
                Op::Until { .. } => self.until(pc, at),
                Op::Mark(index) => {
                    self.spent += price::MARK;
                    self.back.push(Back::Mark(*index, self.marks[*index]));
                    self.marks[*index] = at;
                    Some((pc + 1, at))
                }
                Op::Assert(assertion) => {
                    self.spent += price::ASSERT;
                    self.holds(*assertion, at).then_some((pc + 1, at))
                }
                Op::Look { back, negative, after } => self.look(pc, at, *back, *negative, *after),
                Op::Atomic { after } => self.inner(pc + 1, at).map(|end| (*after, end)),
                Op::Again(group, fold) => self.again(*group, *fold, at).map(|end| (pc + 1, end)),
                Op::If(group, no) => {
                    let is_set = self.marks.get(2 * group + 1).is_some_and(|mark| *mark != NOWHERE);
                    Some((if is_set { pc + 1 } else { *no }, at))
                }
            };
            match next.or_else(|| self.fail(base)) {
                Some(next) => (pc, at) = next,
                None => return None,
            }
        }
    }

    /// Goes back to the last choice above `base`.
    fn fail(&mut self, base: usize) -> Option<(usize, usize)> {
        while self.back.len() > base {
            self.left = self.left.saturating_sub(1);
            match self.back.pop()? {
                Back::Go(pc, at) => return Some((pc, at)),
                Back::Less(pc, at, low, next) => {
                    let place = self.give_back(at, low, next);
                    if let Some(place) = place {
                        self.spent += price::BACK;
                        if place > low {
                            self.back.push(Back::Less(pc, place - 1, low, next));
                        }
                        return Some((pc, place));
                    }
                }
                Back::More(pc, at, high) => {
                    let Op::Run { set, .. } = &self.program.ops[pc] else { return None };
                    self.spent += price::BACK;
                    if at < high && self.has(*set, at) {
                        self.back.push(Back::More(pc, at + 1, high));
                        return Some((pc + 1, at + 1));
                    }
                }
                Back::Branch(pc, branch, at) => {
                    if let Some(next) = self.branch(pc, branch, at) {
                        return Some(next);
                    }
                }
                Back::Turn(pc, at) => {
                    let Op::Until { id, max, body, .. } = &self.program.ops[pc] else { return None };
                    let (count, last) = self.loops[*id];
                    if (*max == MANY || count < *max) && at != last {
                        self.spent += price::TURN;
                        self.set_loop(*id, (count + 1, at));
                        return Some((*body, at));
                    }
                }
                Back::Loop(id, old) => self.loops[id] = old,
                Back::Mark(index, old) => self.marks[index] = old,
            }
        }
        None
    }

    /// The next place from `at` down to `low` where what follows can begin.
    fn give_back(&mut self, mut at: usize, low: usize, next: Letters) -> Option<usize> {
        while next != Letters::MAX && !self.has(next, at) {
            self.spent += 1;
            self.left = self.left.saturating_sub(u64::from(at & 3 == 0));
            if at == low {
                return None;
            }
            at -= 1;
        }
        Some(at)
    }

    fn run(&mut self, pc: usize, at: usize) -> Option<(usize, usize)> {
        let Op::Run { set, written, min, max, greed, next } = &self.program.ops[pc] else { return None };
        self.spent += price::RUN;
        let high = at.saturating_add(*max as usize).min(self.text.len());
        let low = at + *min as usize;
        if *greed == Greed::Lazy {
            let all = (at..low).all(|place| self.has(*set, place));
            self.spent += u64::from(*min) * price::LETTER;
            if !all {
                return None;
            }
            self.back.push(Back::More(pc, low, high));
            return Some((pc + 1, low));
        }
        let mut end = at;
        while end < high && self.has(*set, end) {
            end += 1;
        }
        let taken = (end - at) as u64;
        self.left = self.left.saturating_sub(taken / 4);
        self.spent += if *written == Written::Class { taken * price::CLASS } else { taken };
        if end < low {
            return None;
        }
        if *greed == Greed::Possessive {
            return Some((pc + 1, end));
        }
        let place = self.give_back(end, low, *next)?;
        self.spent += price::BACK;
        if place > low {
            self.back.push(Back::Less(pc + 1, place - 1, low, *next));
        }
        Some((pc + 1, place))
    }

    fn branch(&mut self, pc: usize, from: usize, at: usize) -> Option<(usize, usize)> {
        let Op::Branch(branches) = &self.program.ops[pc] else { return None };
        for (index, (first, start)) in branches.iter().enumerate().skip(from) {
            if *first != Letters::MAX && !self.has(*first, at) {
                self.spent += price::SKIP;
                continue;
            }
            self.spent += price::BRANCH;
            self.back.push(Back::Branch(pc, index + 1, at));
            return Some((*start, at));
        }
        None
    }

    fn set_loop(&mut self, id: usize, new: (u32, usize)) {
        self.back.push(Back::Loop(id, self.loops[id]));
        self.loops[id] = new;
    }

    fn until(&mut self, pc: usize, at: usize) -> Option<(usize, usize)> {
        let Op::Until { id, min, max, lazy, body } = &self.program.ops[pc] else { return None };
        self.spent += price::TURN;
        let (count, last) = self.loops[*id];
        if count < *min {
            self.set_loop(*id, (count + 1, last));
            return Some((*body, at));
        }
        if *lazy {
            self.back.push(Back::Turn(pc, at));
            return Some((pc + 1, at));
        }
        // Python ends a loop whose last turn has matched nothing.
        if (*max == MANY || count < *max) && at != last {
            self.back.push(Back::Go(pc + 1, at));
            self.set_loop(*id, (count + 1, at));
            return Some((*body, at));
        }
        Some((pc + 1, at))
    }

    /// What ends in `End`, on its own: its choices are forgotten, what it has captured is not.
    fn inner(&mut self, pc: usize, at: usize) -> Option<usize> {
        self.spent += price::LOOK;
        let base = self.back.len();
        let end = self.go(pc, at)?;
        let kept: Vec<Back> =
            self.back.drain(base..).filter(|back| matches!(back, Back::Loop(..) | Back::Mark(..))).collect();
        self.back.extend(kept);
        Some(end)
    }

    fn look(&mut self, pc: usize, at: usize, back: u32, negative: bool, after: usize) -> Option<(usize, usize)> {
        let base = self.back.len();
        let found = at.checked_sub(back as usize).and_then(|start| self.inner(pc + 1, start)).is_some();
        if negative && found {
            // What it has captured is undone; there is no choice among it.
            let _ = self.fail(base);
        }
        (found != negative).then_some((after, at))
    }

    fn again(&mut self, group: usize, fold: Fold, at: usize) -> Option<usize> {
        self.spent += price::LOOK;
        let (start, end) = (*self.marks.get(2 * group)?, *self.marks.get(2 * group + 1)?);
        if start == NOWHERE || end == NOWHERE || end < start {
            return None;
        }
        let length = end - start;
        self.spent += length as u64 * price::LETTER;
        let lower = |letter: &u8| self.alphabet.character(*letter).to_ascii_lowercase();
        let (own, other) = (&self.text[start..end], self.text.get(at..at + length)?);
        let same = own == other || (fold != Fold::None && own.iter().map(lower).eq(other.iter().map(lower)));
        same.then_some(at + length)
    }

    fn holds(&self, assertion: Assertion, at: usize) -> bool {
        let letter = |at: usize| self.text.get(at).map(|letter| self.alphabet.character(*letter));
        let before = at.checked_sub(1).and_then(letter);
        let word = |letter: Option<char>, ascii| letter.is_some_and(|letter| is_word(letter, ascii));
        let end = self.text.len();
        match assertion {
            Assertion::TextStart => at == 0,
            Assertion::LineStart => at == 0 || before == Some('\n'),
            Assertion::TextEnd => at == end,
            Assertion::FinalLineEnd => at == end || (at + 1 == end && letter(at) == Some('\n')),
            Assertion::LineEnd => at == end || letter(at) == Some('\n'),
            Assertion::WordBoundary(ascii) => word(before, ascii) != word(letter(at), ascii),
            Assertion::NotWordBoundary(ascii) => word(before, ascii) == word(letter(at), ascii),
            Assertion::NotInsideWord => !(word(before, false) && word(letter(at), false)),
        }
    }
}
