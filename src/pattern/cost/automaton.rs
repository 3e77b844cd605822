//! The automaton of an expression, by positions: a state is the set of letters just read, as it is written.
//!
//! It takes for granted what only a matcher can know (look-around holds, a back-reference repeats its group in any form), so it
//! has every way that Python can go and perhaps more. What it finds is measured afterwards.

use super::super::ast::Assertion;
use super::piece::{Letters, MANY, Piece, Turns};

/// Sets that a bounded repetition may be written out to; a larger one is taken for a loop.
const MOST_WRITTEN_OUT: u64 = 8;
/// A row of optional pieces that can share out a text in more ways than this is taken for a loop.
pub const MANY_WAYS: u64 = 1000;
/// States at most.
const MOST_STATES: usize = 6000;

/// The start of every match, before anything was read.
pub const START: usize = 0;
/// What a search passes over before a match begins.
pub const SEARCH: usize = 1;

enum State {
    Set(usize),
    /// Goes on to all of these at once.
    Split(Vec<usize>),
    /// Passed at the start of the text only.
    AtStart(usize),
    Dead,
}

/// What a position is.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    /// The letters read on the way into it.
    pub letters: Letters,
    /// The outermost repetition around it.
    pub place: Option<(usize, usize)>,
    /// The innermost loop around it has no end: its turns are not counted.
    pub endless: bool,
}

/// The automaton.
pub struct Automaton {
    /// The positions.
    pub positions: Vec<Position>,
    /// Where each leads, and whether in more than one way without reading anything.
    pub follow: Vec<Vec<(usize, bool)>>,
    /// It was cut short, for it is too large.
    pub cut: bool,
}

struct Builder {
    states: Vec<State>,
    positions: Vec<Position>,
    /// The state behind each position.
    behind: Vec<usize>,
    place: Option<(usize, usize)>,
    endless: bool,
    multi_line: bool,
    line: Letters,
    cut: bool,
    groups: Vec<(usize, Piece)>,
}

impl Automaton {
    /// Of an expression. `line`: the letters that a line can hold.
    pub fn new(piece: &Piece, multi_line: bool, line: Letters) -> Automaton {
        let outside = Position { letters: 0, place: None, endless: true };
        let search = Position { letters: line, place: None, endless: true };
        let mut builder = Builder {
            states: vec![State::Dead],
            positions: vec![outside, search],
            behind: vec![0, 0],
            place: None,
            endless: false,
            multi_line,
            line,
            cut: false,
            groups: Vec::new(),
        };
        let start = builder.add(piece, 0);
        let mut follow: Vec<Vec<(usize, bool)>> = Vec::with_capacity(builder.positions.len());
        let mut closure = Closure { states: &builder.states, found: Vec::new(), visits: vec![0; builder.states.len()] };
        let later = closure.of(start, false);
        let mut first = closure.of(start, true);
        let searched = if later.is_empty() { None } else { Some((SEARCH, false)) };
        first.extend(searched);
        follow.push(first);
        follow.push(later.into_iter().chain(searched).collect());
        for behind in &builder.behind[2..] {
            follow.push(closure.of(*behind, false));
        }
        // A line holds no newline: what reads nothing else leads nowhere.
        for ways in &mut follow {
            ways.retain(|(to, _)| builder.positions[*to].letters != 0);
        }
        Automaton { positions: builder.positions, follow, cut: builder.cut }
    }
}

impl Builder {
    fn state(&mut self, state: State) -> usize {
        self.states.push(state);
        self.states.len() - 1
    }

    /// The state that a piece begins with when `next` comes behind it.
    fn add(&mut self, piece: &Piece, next: usize) -> usize {
        if self.states.len() > MOST_STATES {
            self.cut = true;
            return 0;
        }
        match piece {
            Piece::Set(letters, _) => {
                self.positions.push(Position {
                    letters: letters & self.line,
                    place: self.place,
                    endless: self.endless,
                });
                self.behind.push(next);
                let position = self.positions.len() - 1;
                self.state(State::Set(position))
            }
            Piece::Seq(pieces) => self.sequence(pieces, next),
            Piece::Alt(branches) => {
                let starts = branches.iter().map(|branch| self.add(branch, next)).collect();
                self.state(State::Split(starts))
            }
            Piece::If(_, yes, no) => {
                let starts = vec![self.add(yes, next), self.add(no, next)];
                self.state(State::Split(starts))
            }
            Piece::Group(index, piece) => {
                self.groups.push((*index, (**piece).clone()));
                self.add(piece, next)
            }
            Piece::Atomic(piece) => self.add(piece, next),
            Piece::Assert(Assertion::TextStart) => self.state(State::AtStart(next)),
            Piece::Assert(Assertion::LineEnd) if self.multi_line => next,
            Piece::Assert(Assertion::TextEnd | Assertion::FinalLineEnd | Assertion::LineEnd) => 0,
            Piece::Assert(_) => next,
            // What is looked for leads nowhere by itself, and does not stand in the way.
            Piece::Look(piece, ..) => {
                let inside = self.add(piece, 0);
                self.state(State::Split(vec![inside, next]))
            }
            Piece::Again(group, _) => {
                let body = self.groups.iter().position(|(index, _)| index == group).map(|at| self.groups.remove(at).1);
                body.map_or(next, |body| self.add(&body, next))
            }
            Piece::Repeat(turns) => self.repeat(turns, next),
        }
    }

    /// Built from the end; a row of optional pieces becomes a loop.
    fn sequence(&mut self, pieces: &[Piece], next: usize) -> usize {
        let Some(end) = pieces.iter().rposition(|piece| piece.ways() > 1) else {
            return pieces.iter().rev().fold(next, |next, piece| self.add(piece, next));
        };
        let start = pieces[..=end].iter().rposition(|piece| piece.ways() == 1).map_or(0, |at| at + 1);
        let next = pieces[end + 1..].iter().rev().fold(next, |next, piece| self.add(piece, next));
        let row = &pieces[start..=end];
        let product = row.iter().map(Piece::ways).fold(1, u64::saturating_mul);
        let begin = if product > MANY_WAYS && row.len() > 1 {
            let again = self.state(State::Dead);
            let outer = std::mem::replace(&mut self.endless, false);
            let begin = row.iter().rev().fold(again, |next, piece| self.add(piece, next));
            self.endless = outer;
            self.states[again] = State::Split(vec![begin, next]);
            begin
        } else {
            row.iter().rev().fold(next, |next, piece| self.add(piece, next))
        };
        self.sequence(&pieces[..start], begin)
    }

    /// Written out, or a loop where that is too much or the turns can share out a text in many ways.
    fn repeat(&mut self, turns: &Turns, next: usize) -> usize {
        let Turns { body, min, max, place, .. } = turns;
        if *max == 0 {
            return next;
        }
        let outer = self.place;
        let written_out = u64::from(*max).saturating_mul(body.size().max(1) as u64) <= MOST_WRITTEN_OUT;
        let shares = *max > 1 && turns.ways() > MANY_WAYS;
        let start = if (written_out && !shares) || *max == 1 {
            (0..*max).fold(next, |after, turn| {
                let start = self.add(body, after);
                // The last turns may be left out: each leads behind the whole.
                let optional = *max - turn > *min;
                if optional { self.state(State::Split(vec![start, next])) } else { start }
            })
        } else {
            self.place = outer.or(Some(*place));
            let around = std::mem::replace(&mut self.endless, *max == MANY);
            let again = self.state(State::Dead);
            let start = self.add(body, again);
            self.endless = around;
            // Turns that are due may match nothing, each of them.
            let twice = *min > 1 && body.can_be_empty();
            let ways = if twice { vec![start, start, next] } else { vec![start, next] };
            self.states[again] = State::Split(ways);
            if *min == 0 { again } else { start }
        };
        self.place = outer;
        start
    }
}

/// What can be read next, and in how many ways one gets there.
struct Closure<'s> {
    states: &'s [State],
    found: Vec<(usize, bool)>,
    visits: Vec<u8>,
}

impl Closure<'_> {
    fn of(&mut self, start: usize, at_start: bool) -> Vec<(usize, bool)> {
        let mut touched = Vec::new();
        self.found = Vec::new();
        self.visit(start, at_start, &mut touched);
        touched.into_iter().for_each(|state| self.visits[state] = 0);
        std::mem::take(&mut self.found)
    }

    fn visit(&mut self, state: usize, at_start: bool, touched: &mut Vec<usize>) {
        // Twice is as good as often. It also is what Python does of a loop that matches nothing: one such turn, then it goes on.
        if self.visits[state] >= 2 {
            return;
        }
        self.visits[state] += 1;
        touched.push(state);
        match &self.states[state] {
            State::Set(position) => match self.found.iter_mut().find(|(known, _)| known == position) {
                Some(known) => known.1 = true,
                None => self.found.push((*position, false)),
            },
            State::Split(ways) => ways.iter().for_each(|way| self.visit(*way, at_start, touched)),
            State::AtStart(next) if at_start => self.visit(*next, at_start, touched),
            State::AtStart(_) | State::Dead => {}
        }
    }
}
