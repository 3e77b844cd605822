//! Finds words on which an automaton can go several ways: round a loop and back to where it began (then there are exponentially many),
//! or from one loop to another (then their number grows with a power of the length).
//!
//! The literature calls these EDA and IDA. Work is limited; what was not looked at is said.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use super::automaton::Automaton;
use super::piece::Letters;

/// A word of letters.
pub type Word = Vec<u8>;

/// Steps of the whole search at most.
const MOST_WORK: usize = 400_000;
/// Longest word between two loops that is looked for: longer ones fit into a line too seldom to matter.
const LONGEST_LINK: usize = 10;
/// Words of one loop at most.
const MOST_ROUNDS: usize = 4;
/// States of the search between two loops.
const MOST_BETWEEN: usize = 3000;

/// A word that can be repeated, and where.
#[derive(Clone, Debug)]
pub struct Pump {
    /// The position it leads from and back to.
    pub from: usize,
    /// The position it also leads to; the same for one round a loop.
    pub to: usize,
    /// The word.
    pub word: Word,
}

/// What was found.
pub struct Ambiguity {
    /// Exponential ones.
    pub rounds: Vec<Pump>,
    /// From loop to loop.
    pub links: Vec<Pump>,
    /// Not everything could be looked at.
    pub cut: bool,
}

/// Searches an automaton. Words are made of the letters that come first in `order`.
pub fn find(automaton: &Automaton, order: &[u8]) -> Ambiguity {
    let mut finder = Finder { automaton, order, work: MOST_WORK, part: Rc::default() };
    let loops = finder.loops();
    let mut part = vec![usize::MAX; automaton.follow.len()];
    for (number, own) in loops.iter().enumerate() {
        own.iter().for_each(|position| part[*position] = number);
    }
    finder.part = part.into();
    let rounds: Vec<Pump> = loops.iter().flat_map(|own| finder.rounds(own)).collect();
    let links = finder.links(&loops);
    Ambiguity { rounds, links, cut: automaton.cut || finder.work == 0 }
}

/// A word that leads from one position to another, the shortest.
pub fn path(automaton: &Automaton, order: &[u8], from: usize, to: usize) -> Option<Word> {
    let finder = Finder { automaton, order, work: MOST_WORK, part: Rc::default() };
    finder.path(from, to, &|_| true)
}

struct Finder<'a> {
    automaton: &'a Automaton,
    order: &'a [u8],
    work: usize,
    /// The loop that each position belongs to, if any.
    part: Rc<[usize]>,
}

/// From where, by which letter.
type Came<S> = HashMap<S, (S, u8)>;

impl Finder<'_> {
    /// A letter of a set: the one before if possible, so that words stay simple.
    fn pick(&self, letters: Letters, before: Option<u8>) -> u8 {
        match before {
            Some(letter) if letters >> letter & 1 == 1 => letter,
            _ => self.order.iter().copied().find(|letter| letters >> letter & 1 == 1).unwrap_or_default(),
        }
    }

    fn letters(&self, position: usize) -> Letters {
        self.automaton.positions[position].letters
    }

    fn spend(&mut self, steps: usize) -> bool {
        self.work = self.work.saturating_sub(steps);
        self.work > 0
    }

    /// The strongly connected parts that have a way round, in an order in which each comes before those that it leads to.
    fn loops(&self) -> Vec<Vec<usize>> {
        let mut tarjan = Tarjan {
            follow: &self.automaton.follow,
            index: vec![0; self.automaton.follow.len()],
            low: vec![0; self.automaton.follow.len()],
            next: 1,
            stack: Vec::new(),
            parts: Vec::new(),
        };
        tarjan.all();
        let mut parts = tarjan.parts;
        parts.reverse();
        parts.retain(|part| part.len() > 1 || self.automaton.follow[part[0]].iter().any(|(to, _)| *to == part[0]));
        parts
    }

    fn path(&self, from: usize, to: usize, within: &dyn Fn(usize) -> bool) -> Option<Word> {
        let mut came: Came<usize> = HashMap::new();
        let mut queue = VecDeque::from([from]);
        if from == to {
            return Some(Word::new());
        }
        while let Some(position) = queue.pop_front() {
            let before = came.get(&position).map(|(_, letter)| *letter);
            for (next, _) in &self.automaton.follow[position] {
                if *next == from || came.contains_key(next) || !within(*next) || self.letters(*next) == 0 {
                    continue;
                }
                came.insert(*next, (position, self.pick(self.letters(*next), before)));
                if *next == to {
                    return Some(word_to(&came, from, to));
                }
                queue.push_back(*next);
            }
        }
        None
    }

    /// Words on which there are two different ways round a loop, a few of them. It is enough to leave the diagonal and come back to it: along it one gets anywhere.
    fn rounds(&mut self, own: &[usize]) -> Vec<Pump> {
        let mut found: Vec<Pump> = Vec::new();
        let part = Rc::clone(&self.part);
        let within = |position: usize| part[position] == part[own[0]];
        let mut came: Came<(usize, usize)> = HashMap::new();
        let mut queue: VecDeque<(usize, usize)> = own.iter().map(|position| (*position, *position)).collect();
        while let Some((p, q)) = queue.pop_front() {
            let before = came.get(&(p, q)).map(|(_, letter)| *letter);
            for (p2, twice) in &self.automaton.follow[p] {
                for (q2, _) in &self.automaton.follow[q] {
                    if !self.spend(1) || found.len() >= MOST_ROUNDS {
                        return found;
                    }
                    let both = self.letters(*p2) & self.letters(*q2);
                    if both == 0 || p2 > q2 && p == q || !within(*p2) || !within(*q2) {
                        continue;
                    }
                    let letter = self.pick(both, before);
                    if p2 == q2 {
                        if p == q && !twice {
                            continue;
                        }
                        self.spend(own.len());
                        let mut word = word_from_diagonal(&came, (p, q));
                        let start = word.0;
                        word.1.push(letter);
                        word.1.extend(self.path(*p2, start, &within).unwrap_or_default());
                        let word = root(word.1);
                        if found.iter().all(|known| known.word != word) {
                            found.push(Pump { from: start, to: start, word });
                        }
                        continue;
                    }
                    let next = (*p2.min(q2), *p2.max(q2));
                    came.entry(next).or_insert_with(|| {
                        queue.push_back(next);
                        ((p, q), letter)
                    });
                }
            }
        }
        found
    }

    /// For each two loops of which one leads to the other, a word that leads round the first, round the second, and from one to the other.
    fn links(&mut self, loops: &[Vec<usize>]) -> Vec<Pump> {
        let sets: Vec<Letters> =
            loops.iter().map(|own| own.iter().fold(0, |set, position| set | self.letters(*position))).collect();
        let mut found = Vec::new();
        for (at, first) in loops.iter().enumerate() {
            for (other, second) in loops.iter().enumerate().skip(at + 1) {
                if !self.spend(1) {
                    return found;
                }
                if sets[at] & sets[other] == 0 {
                    continue;
                }
                let starts = first.iter().take(3).flat_map(|p| second.iter().take(3).map(move |q| (*p, *q)));
                let pump = starts.into_iter().find_map(|(p, q)| self.link(p, q));
                found.extend(pump);
            }
        }
        found
    }

    fn link(&mut self, p: usize, q: usize) -> Option<Pump> {
        type Triple = (usize, usize, usize);
        let (start, goal): (Triple, Triple) = ((p, p, q), (p, q, q));
        let mut came: Came<Triple> = HashMap::new();
        let mut queue = VecDeque::from([(start, 0)]);
        let part = Rc::clone(&self.part);
        let (first, second) = (part[p], part[q]);
        while let Some(((a, b, c), length)) = queue.pop_front() {
            if length >= LONGEST_LINK || came.len() > MOST_BETWEEN {
                continue;
            }
            let before = came.get(&(a, b, c)).map(|(_, letter)| *letter);
            for (a2, _) in self.automaton.follow[a].iter().filter(|(a2, _)| part[*a2] == first) {
                for (c2, _) in self.automaton.follow[c].iter().filter(|(c2, _)| part[*c2] == second) {
                    let outer = self.letters(*a2) & self.letters(*c2);
                    if outer == 0 {
                        continue;
                    }
                    if !self.spend(1 + self.automaton.follow[b].len()) {
                        return None;
                    }
                    for (b2, _) in &self.automaton.follow[b] {
                        let all = outer & self.letters(*b2);
                        let next = (*a2, *b2, *c2);
                        if all == 0 || next == start || came.contains_key(&next) {
                            continue;
                        }
                        came.insert(next, ((a, b, c), self.pick(all, before)));
                        if next == goal {
                            return Some(Pump { from: p, to: q, word: root(word_to(&came, start, goal)) });
                        }
                        queue.push_back((next, length + 1));
                    }
                }
            }
        }
        None
    }
}

/// The letters on the way to a state that a search has come to.
fn word_to<S: Copy + Eq + std::hash::Hash>(came: &Came<S>, from: S, to: S) -> Word {
    let mut word = Word::new();
    let mut state = to;
    while state != from {
        let Some((before, letter)) = came.get(&state) else { break };
        word.push(*letter);
        state = *before;
    }
    word.reverse();
    word
}

fn word_from_diagonal(came: &Came<(usize, usize)>, to: (usize, usize)) -> (usize, Word) {
    let mut word = Word::new();
    let mut state = to;
    while state.0 != state.1 {
        let Some((before, letter)) = came.get(&state) else { break };
        word.push(*letter);
        state = *before;
    }
    word.reverse();
    (state.0, word)
}

/// The shortest word that this one repeats.
fn root(word: Word) -> Word {
    let length = word.len();
    let period =
        (1..=length).find(|period| length.is_multiple_of(*period) && word[*period..] == word[..length - period]);
    word[..period.unwrap_or(length)].to_vec()
}

/// Tarjan's algorithm.
struct Tarjan<'a> {
    follow: &'a [Vec<(usize, bool)>],
    index: Vec<usize>,
    low: Vec<usize>,
    next: usize,
    stack: Vec<usize>,
    parts: Vec<Vec<usize>>,
}

/// The index of what belongs to a part already.
const DONE: usize = usize::MAX;

impl Tarjan<'_> {
    /// Without recursion, for a long expression is a long way.
    fn all(&mut self) {
        for root in 0..self.follow.len() {
            if self.index[root] != 0 {
                continue;
            }
            let mut calls = vec![(root, 0)];
            self.enter(root);
            while let Some((position, edge)) = calls.pop() {
                let Some((next, _)) = self.follow[position].get(edge) else {
                    self.leave(position);
                    if let Some((caller, _)) = calls.last() {
                        self.low[*caller] = self.low[*caller].min(self.low[position]);
                    }
                    continue;
                };
                calls.push((position, edge + 1));
                match self.index[*next] {
                    0 => {
                        self.enter(*next);
                        calls.push((*next, 0));
                    }
                    DONE => {}
                    index => self.low[position] = self.low[position].min(index),
                }
            }
        }
    }

    fn enter(&mut self, position: usize) {
        (self.index[position], self.low[position]) = (self.next, self.next);
        self.next += 1;
        self.stack.push(position);
    }

    fn leave(&mut self, position: usize) {
        if self.low[position] != self.index[position] {
            return;
        }
        let mut part = Vec::new();
        while let Some(member) = self.stack.pop() {
            self.index[member] = DONE;
            part.push(member);
            if member == position {
                break;
            }
        }
        self.parts.push(part);
    }
}
