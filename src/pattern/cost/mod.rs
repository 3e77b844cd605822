//! Judges what an expression can cost: is there a line of at most 512 characters on which Python's `re` takes too long?
//!
//! Three steps: `ambiguity` finds on the `automaton` the words that can be repeated; lines are made of them here; `matcher` reckons
//! what each line costs. Only what a line shows is told of, so look-around, back-references and the order of alternatives are
//! judged as they are. What is not proved: that there is no worse line.

mod ambiguity;
mod automaton;
mod matcher;
mod piece;

use super::danger::Construct;
use super::parse::parse;
use ambiguity::{Ambiguity, Pump, Word};
use automaton::{Automaton, SEARCH, START};
use matcher::Program;
use piece::{Alphabet, Letters};

/// The longest line that is tried, in characters.
pub const LINE: usize = 512;
/// From here on an expression is refused, in nanoseconds.
pub const TOO_LONG: u64 = 1_000_000_000;
/// From here on it is told of, in nanoseconds.
pub const WORTH_TELLING: u64 = 50_000_000;

/// What a single try may take before it is left to extrapolation, in nanoseconds as reckoned.
const TRY: u64 = 8_000_000;
/// Lines tried, at most.
const MOST_CANDIDATES: usize = 24;

/// A line on which an expression is slow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slow {
    /// The part of the expression that is to blame.
    pub construct: Construct,
    /// The line.
    pub line: String,
    /// What a search in it takes, in nanoseconds; where it is more than [`TOO_LONG`], as far as that was reckoned.
    pub nanoseconds: u64,
    /// The time doubles with every few characters, where it otherwise grows with a power of the length.
    pub exponential: bool,
}

impl Slow {
    /// Whether it is to be refused.
    pub fn is_too_slow(&self) -> bool {
        self.nanoseconds >= TOO_LONG
    }
}

/// What was found of one expression.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The worst line found, if it is worth telling.
    pub slow: Option<Slow>,
    /// The expression is too large to be looked at as a whole.
    pub unfinished: bool,
}

/// Judges an expression in Python's dialect, tags replaced. One that does not parse costs nothing.
pub fn judge(expanded: &str, multi_line: bool) -> Judgement {
    let Ok(parsed) = parse(expanded, multi_line) else { return Judgement::default() };
    let alphabet = Alphabet::of(&parsed.root, "");
    let piece = piece::lower(&parsed.root, &alphabet);
    let automaton = Automaton::new(&piece, multi_line, alphabet.mask(|letter| letter != '\n'));
    let mut judge = Judge { alphabet: &alphabet, automaton: &automaton, program: Program::new(&piece), order: &[] };
    let mut unfinished = false;
    let mut worst: Option<(u64, Candidate, Word)> = None;
    // Rare letters keep the rest of the expression from matching; common ones please what looks at its surroundings.
    let common: Word = (0..alphabet.len()).collect();
    let mut rare = common.clone();
    rare.sort_by_cached_key(|letter| automaton.positions.iter().filter(|own| own.letters >> letter & 1 == 1).count());
    for order in [&rare, &common] {
        judge.order = order;
        let found = ambiguity::find(&automaton, order);
        unfinished |= found.cut;
        // With the square of the length at most, a line of this length takes a few milliseconds.
        if found.rounds.is_empty() && longest_chain(&found.links).is_none_or(|chain| chain.len() < 2) {
            break;
        }
        let candidate = judge.worst(&found);
        if candidate.as_ref().is_some_and(|(cost, ..)| worst.as_ref().is_none_or(|(worst, ..)| cost > worst)) {
            worst = candidate;
        }
        if worst.as_ref().is_none_or(|(cost, ..)| *cost >= TOO_LONG) {
            break;
        }
    }
    let slow = worst.filter(|(cost, ..)| *cost >= WORTH_TELLING).map(|(nanoseconds, candidate, line)| Slow {
        construct: Construct::of(expanded, candidate.place.unwrap_or((0, expanded.chars().count()))),
        line: alphabet.text(&line),
        nanoseconds,
        exponential: candidate.exponential,
    });
    Judgement { unfinished: unfinished && slow.is_none(), slow }
}

/// What a search for an expression in a line takes, in nanoseconds; it is not reckoned on behind `limit`.
pub fn measure(expanded: &str, multi_line: bool, line: &str, limit: u64) -> u64 {
    let Ok(parsed) = parse(expanded, multi_line) else { return 0 };
    let text = format!("{line}\n");
    let alphabet = Alphabet::of(&parsed.root, &text);
    let program = Program::new(&piece::lower(&parsed.root, &alphabet));
    matcher::search(&program, &alphabet, &alphabet.letters(&text), limit).0
}

/// A kind of line: a beginning, words that are repeated one after the other, an end.
#[derive(Clone, Debug)]
struct Candidate {
    prefix: Word,
    blocks: Vec<Word>,
    suffix: Word,
    place: Option<(usize, usize)>,
    exponential: bool,
    /// Letters that can come next in the loop.
    around: Letters,
}

impl Candidate {
    /// The line of at most this many letters.
    fn line(&self, length: usize) -> Word {
        let room = length.saturating_sub(self.prefix.len() + self.suffix.len());
        let share = room / self.blocks.len().max(1);
        let mut line = self.prefix.clone();
        for block in &self.blocks {
            (0..share / block.len().max(1)).for_each(|_| line.extend(block));
        }
        line.extend(&self.suffix);
        line
    }
}

struct Judge<'a> {
    alphabet: &'a Alphabet,
    automaton: &'a Automaton,
    program: Program,
    order: &'a [u8],
}

impl Judge<'_> {
    fn cost(&self, line: &[u8], limit: u64) -> u64 {
        let newline = self.alphabet.letters("\n");
        let text: Word = line.iter().copied().chain(newline).collect();
        matcher::search(&self.program, self.alphabet, &text, limit).0
    }

    /// The worst line that can be made of what was found, and its cost.
    fn worst(&self, found: &Ambiguity) -> Option<(u64, Candidate, Word)> {
        let mut worst: Option<(u64, Candidate, Word)> = None;
        let mut keep = |candidate: &Candidate, (cost, line): (u64, Word)| {
            if worst.as_ref().is_none_or(|(worst, ..)| cost > *worst) {
                worst = Some((cost, candidate.clone(), line));
            }
            cost >= TOO_LONG
        };
        let mut tried: Vec<(u64, Candidate)> = Vec::new();
        'all: for candidate in self.candidates(found) {
            for suffix in self.suffixes(&candidate) {
                let candidate = Candidate { suffix, ..candidate.clone() };
                let cost = self.cost(&candidate.line(48), TRY);
                if cost > TRY && keep(&candidate, self.grow(&candidate)) {
                    tried.clear();
                    break 'all;
                }
                tried.push((cost, candidate));
            }
        }
        tried.retain(|(cost, _)| *cost <= TRY);
        tried.sort_by_key(|(cost, _)| std::cmp::Reverse(*cost));
        let _ = tried.iter().take(3).any(|(_, candidate)| keep(candidate, self.grow(candidate)));
        worst
    }

    /// The cost of ever longer lines of a kind, until it is plain what the longest takes.
    fn grow(&self, candidate: &Candidate) -> (u64, Word) {
        let longest = candidate.line(LINE);
        let mut worst = (0, Word::new());
        let mut limit = TOO_LONG;
        let mut before = 0;
        // What exceeds these takes at least a second on the longest line, if it grows with the third power or faster.
        for (length, most) in [(32, TRY), (64, TRY), (128, 4 * TRY), (256, 16 * TRY)] {
            let line = candidate.line(length);
            let cost = self.cost(&line, most);
            if cost > worst.0 {
                worst = (cost, line);
            }
            if cost > most {
                // It is only made sure that it goes on like this.
                limit = 10 * TRY;
                break;
            }
            let growth = cost as f64 / before.max(1) as f64;
            if length == 128 && cost as f64 * growth * growth < WORTH_TELLING as f64 / 2.0 {
                return worst;
            }
            before = cost;
        }
        let cost = self.cost(&longest, limit);
        if cost > limit {
            return (TOO_LONG, longest);
        }
        if cost > worst.0 { (cost, longest) } else { worst }
    }

    fn candidates(&self, found: &Ambiguity) -> Vec<Candidate> {
        let mut all: Vec<Candidate> = Vec::new();
        for pump in &found.rounds {
            all.extend(self.candidate(&[pump], true));
        }
        if let Some(chain) = longest_chain(&found.links) {
            all.extend(self.candidate(&chain, false));
        }
        let mut words: Vec<&Word> = Vec::new();
        for pump in &found.links {
            if !words.contains(&&pump.word) && words.len() < MOST_CANDIDATES {
                words.push(&pump.word);
                let goes_round = found.rounds.iter().any(|round| round.word == pump.word);
                all.extend(self.candidate(&[pump], goes_round));
            }
        }
        // Something foreign between the words can keep what comes behind from matching.
        let single = all.iter().filter(|candidate| candidate.blocks.len() == 1);
        let spaced = single.filter_map(|candidate| {
            let letter = self.order.iter().find(|letter| candidate.around >> **letter & 1 == 1)?;
            let block = candidate.blocks[0].iter().chain([letter]).copied().collect();
            Some(Candidate { blocks: vec![block], ..candidate.clone() })
        });
        let spaced: Vec<Candidate> = spaced.collect();
        all.extend(spaced);
        all
    }

    fn candidate(&self, pumps: &[&Pump], exponential: bool) -> Option<Candidate> {
        let first = pumps.first()?;
        let prefix = match first.from {
            SEARCH => Word::new(),
            from => ambiguity::path(self.automaton, self.order, START, from)?,
        };
        let mut blocks: Vec<Word> = Vec::new();
        for pump in pumps {
            if blocks.last() != Some(&pump.word) {
                blocks.push(pump.word.clone());
            }
        }
        let places: Vec<(usize, usize)> = pumps
            .iter()
            .flat_map(|pump| [pump.from, pump.to])
            .filter_map(|position| self.automaton.positions[position].place)
            .collect();
        let start = places.iter().map(|place| place.0).min();
        let end = places.iter().map(|place| place.1).max();
        let next = self.automaton.follow[first.from].iter().map(|(to, _)| self.automaton.positions[*to].letters);
        let around = next.fold(0, |all, letters| all | letters);
        Some(Candidate { prefix, blocks, suffix: Word::new(), place: start.zip(end), exponential, around })
    }

    /// Ends that may keep a line from matching: none, and the letter that fits worst behind it.
    fn suffixes(&self, candidate: &Candidate) -> Vec<Word> {
        let mut reached: Vec<usize> = vec![START];
        for letter in candidate.line(24) {
            reached = self.step(&reached, letter);
        }
        let letters = self.automaton.positions[SEARCH].letters;
        let worst = (0..128u8).rev().filter(|letter| letters >> letter & 1 == 1);
        let worst = worst.min_by_key(|letter| self.step(&reached, *letter).len());
        [Some(Word::new()), worst.map(|letter| vec![letter])].into_iter().flatten().collect()
    }

    fn step(&self, reached: &[usize], letter: u8) -> Vec<usize> {
        let mut next: Vec<usize> = Vec::new();
        for position in reached {
            for (to, _) in &self.automaton.follow[*position] {
                let letters: Letters = self.automaton.positions[*to].letters;
                if letters >> letter & 1 == 1 && !next.contains(to) {
                    next.push(*to);
                }
            }
        }
        next
    }
}

/// The links that make the longest way from loop to loop, each of which multiplies the ways there are.
fn longest_chain(links: &[Pump]) -> Option<Vec<&Pump>> {
    // Links come ordered by the loop that they lead from.
    let mut best: Vec<(f64, Option<usize>)> = Vec::with_capacity(links.len());
    for (at, link) in links.iter().enumerate() {
        let worth = (200.0 / link.word.len() as f64).ln();
        let before = (0..at).filter(|before| links[*before].to == link.from);
        let before = before.max_by(|a, b| best[*a].0.total_cmp(&best[*b].0));
        best.push((worth + before.map_or(0.0, |before| best[before].0), before));
    }
    let mut at = Some((0..links.len()).max_by(|a, b| best[*a].0.total_cmp(&best[*b].0))?);
    let mut chain = Vec::new();
    while let Some(link) = at {
        chain.push(&links[link]);
        at = best[link].1;
    }
    chain.reverse();
    Some(chain)
}
