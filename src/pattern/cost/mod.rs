//! Judges what an expression can cost: is there a line of at most 512 characters on which Python's `re` takes too long?
//!
//! Three steps: `ambiguity` finds on the `automaton` the words that can be repeated; lines are made of them here; `matcher` reckons
//! what each line costs. Only what a line shows is told of, so look-around, back-references and the order of alternatives are
//! judged as they are. What is not proved: that there is no worse line.

mod ambiguity;
mod automaton;
mod matcher;
pub(super) mod piece;
mod tour;

use std::cell::Cell;

use super::construct::Construct;
use super::parse::parse;
use ambiguity::{Ambiguity, Pump, Word};
use automaton::{Automaton, MANY_WAYS, SEARCH, START};
use matcher::Program;
use piece::{Alphabet, Letters, Piece};

/// The longest line that is tried, in characters.
pub const LINE: usize = 512;
/// From here on an expression is refused, in nanoseconds.
pub const TOO_LONG: u64 = 1_000_000_000;
/// From here on it is told of, in nanoseconds.
pub const WORTH_TELLING: u64 = 50_000_000;

/// What a single try may take before it is left to extrapolation, in nanoseconds as reckoned.
const TRY: u64 = 2_000_000;
/// Lines tried, at most, of each kind.
const MOST_CANDIDATES: usize = 24;
/// Steps of the matcher for one expression at most: a count and not a clock, so that a verdict is the same on a busy machine.
const MOST_STEPS: u64 = 16_000_000;
/// Those of them that are left for the kind of line that promises most.
const KEPT_STEPS: u64 = MOST_STEPS / 2;
/// Those that may be taken beside to reckon lines of what is repeated a few times only: their time has an end, and is looked for. Where
/// it has not come after these, they are taken for lines without one, to be on the safe side.
const COUNTED_STEPS: u64 = 40_000_000;

/// A line on which an expression is slow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slow {
    /// The part of the expression that is to blame.
    pub construct: Construct,
    /// The line.
    pub line: String,
    /// What a search in it takes, in nanoseconds; where it is more than [`TOO_LONG`], as far as that was reckoned.
    pub nanoseconds: u64,
    /// The line is what a prefregex would have to let through, and no line was found that brings it there.
    pub is_content: bool,
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
    /// Not everything could be looked at: the expression is too large, or its lines take too long to reckon.
    pub unfinished: bool,
}

/// Judges an expression in Python's dialect, tags replaced. One that does not parse costs nothing.
pub fn judge(expanded: &str, multi_line: bool) -> Judgement {
    judge_within(expanded, multi_line, &|_| true)
}

/// The same on lines of letters that may occur.
pub(super) fn judge_within(expanded: &str, multi_line: bool, may_occur: &dyn Fn(char) -> bool) -> Judgement {
    let Ok(parsed) = parse(expanded, multi_line) else { return Judgement::default() };
    let alphabet = Alphabet::of(&parsed.root, "");
    let piece = piece::lower(&parsed.root, &alphabet);
    let automaton = Automaton::new(&piece, multi_line, alphabet.mask(|letter| letter != '\n' && may_occur(letter)));
    let left = Cell::new(MOST_STEPS - KEPT_STEPS);
    let (kept, program) = (Cell::new(KEPT_STEPS), Program::new(&piece));
    let counted = Cell::new(COUNTED_STEPS);
    let mut judge =
        Judge { alphabet: &alphabet, automaton: &automaton, piece: &piece, program, order: &[], left, kept, counted };
    let choices = piece.ways() > MANY_WAYS;
    let mut unfinished = false;
    let mut best: Option<Sample> = None;
    // Rare letters keep the rest of the expression from matching; common ones please what looks at its surroundings.
    let common: Word = (0..alphabet.len()).collect();
    let mut rare = common.clone();
    rare.sort_by_cached_key(|letter| automaton.positions.iter().filter(|own| own.letters >> letter & 1 == 1).count());
    for order in [&rare, &common] {
        judge.order = order;
        let found = ambiguity::find(&automaton, order);
        unfinished |= found.cut;
        // With the square of the length at most, a line of this length takes a few milliseconds.
        if !choices && found.rounds.is_empty() && longest_chain(&found.links).is_none_or(|chain| chain.len() < 2) {
            break;
        }
        best = worse(best, judge.sample(&found, choices));
        if best.as_ref().is_none_or(|best| best.cost >= TOO_LONG) {
            break;
        }
    }
    unfinished |= judge.left.get() == 0 || judge.counted.get() == 0;
    let worst = best.map(|sample| judge.grow(sample));
    let slow = worst.filter(|sample| sample.cost >= WORTH_TELLING).map(|Sample { candidate, cost, line, .. }| Slow {
        construct: Construct::of(expanded, candidate.place.unwrap_or((0, expanded.chars().count()))),
        line: alphabet.text(&line),
        nanoseconds: cost,
        exponential: candidate.exponential,
        is_content: false,
    });
    Judgement { unfinished: unfinished && slow.is_none(), slow }
}

/// What a search for an expression in a line takes, in nanoseconds; it is not reckoned on behind `limit`.
pub fn measure(expanded: &str, multi_line: bool, line: &str, limit: u64) -> u64 {
    let Ok(parsed) = parse(expanded, multi_line) else { return 0 };
    let text = format!("{line}\n");
    let alphabet = Alphabet::of(&parsed.root, &text);
    let program = Program::new(&piece::lower(&parsed.root, &alphabet));
    matcher::search(&program, &alphabet, &alphabet.letters(&text), limit, u64::MAX).nanoseconds
}

/// A kind of line: a beginning, words that are repeated one after the other, an end.
#[derive(Clone, Debug)]
struct Candidate {
    prefix: Word,
    blocks: Vec<Word>,
    suffix: Word,
    place: Option<(usize, usize)>,
    exponential: bool,
    /// The time goes on growing with the length: nothing in it is counted.
    endless: bool,
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
    piece: &'a Piece,
    program: Program,
    order: &'a [u8],
    /// Steps of the matcher that may still be taken.
    left: Cell<u64>,
    /// Those that are kept for the kind of line that promises most.
    kept: Cell<u64>,
    /// Those that are kept for lines whose time has an end.
    counted: Cell<u64>,
}

/// A kind of line, and what the worst one of it takes that was tried.
#[derive(Debug)]
struct Sample {
    candidate: Candidate,
    cost: u64,
    /// What one of half the length takes.
    before: u64,
    line: Word,
}

/// The worse of two.
fn worse(one: Option<Sample>, other: Option<Sample>) -> Option<Sample> {
    [one, other].into_iter().flatten().max_by_key(|sample| sample.cost)
}

impl Judge<'_> {
    fn cost(&self, line: &[u8], limit: u64) -> u64 {
        let newline = self.alphabet.letters("\n");
        let text: Word = line.iter().copied().chain(newline).collect();
        let reckoned = matcher::search(&self.program, self.alphabet, &text, limit, self.left.get());
        self.left.set(reckoned.left);
        reckoned.nanoseconds
    }

    /// The kind of line that promises most of those that can be made of what was found, tried in a quarter of the longest.
    fn sample(&self, found: &Ambiguity, choices: bool) -> Option<Sample> {
        let mut tried: Vec<(u64, Candidate)> = Vec::new();
        let mut candidates = self.candidates(found);
        if choices {
            candidates.extend(self.toured());
        }
        let mut best: Option<Sample> = None;
        for candidate in candidates {
            for suffix in self.suffixes(&candidate) {
                let candidate = Candidate { suffix, ..candidate.clone() };
                let cost = self.cost(&candidate.line(48), TRY);
                let sure = if cost > TRY { self.confirm(&candidate) } else { None };
                match sure {
                    Some(sure) if sure.cost >= TOO_LONG => return Some(sure),
                    Some(sure) => best = worse(best, Some(sure)),
                    None => tried.push((cost, candidate)),
                }
            }
        }
        tried.sort_by_key(|(cost, _)| std::cmp::Reverse(*cost));
        for (_, candidate) in tried.into_iter().take(3) {
            let before = self.cost(&candidate.line(LINE / 8), 16 * TRY);
            let line = candidate.line(LINE / 4);
            let cost = self.cost(&line, 16 * TRY);
            if cost > 16 * TRY
                && let Some(sure) = self.confirm(&candidate)
            {
                best = worse(best, Some(sure));
                continue;
            }
            best = worse(best, Some(Sample { candidate, cost, before, line }));
        }
        best
    }

    /// The longest line of a kind of which a shorter one is so slow that this one takes a second: it is only made sure that it goes on like this.
    fn confirm(&self, candidate: &Candidate) -> Option<Sample> {
        let line = candidate.line(LINE);
        if !candidate.endless {
            return Some(self.counted(candidate, line));
        }
        self.left.set(self.left.get() + self.kept.take());
        let cost = self.cost(&line, 40 * TRY);
        let long = cost > 40 * TRY || self.left.get() == 0 && cost > 20 * TRY;
        long.then(|| Sample { candidate: candidate.clone(), cost: TOO_LONG, before: cost, line })
    }

    /// A line in which a few turns only are taken, however long it is: it is reckoned to its end.
    fn counted(&self, candidate: &Candidate, line: Word) -> Sample {
        let own = self.left.replace(self.counted.take());
        let reckoned = self.cost(&line, TOO_LONG);
        self.counted.set(self.left.replace(own));
        let given_up = self.counted.get() == 0 && reckoned > TOO_LONG / 8;
        let cost = if given_up { TOO_LONG } else { reckoned.min(TOO_LONG) };
        Sample { candidate: candidate.clone(), cost, before: cost, line }
    }

    /// What longer lines of a kind take. Where it would take too long to reckon the longest, it is said to grow as it did before.
    fn grow(&self, sample: Sample) -> Sample {
        if sample.cost >= TOO_LONG || sample.line.len() == sample.candidate.line(LINE).len() {
            return sample;
        }
        self.left.set(self.left.get() + self.kept.take());
        let growth = |after: u64, before: u64| after as f64 / before.max(1) as f64;
        let candidate = sample.candidate.clone();
        let half = candidate.line(LINE / 2);
        let cost = self.cost(&half, 64 * TRY);
        if cost > 64 * TRY
            && let Some(sure) = self.confirm(&candidate)
        {
            return sure;
        }
        let known = self.left.get() > 0;
        if known && cost < sample.cost {
            return sample;
        }
        let before = growth(sample.cost, sample.before);
        let expected =
            if known { cost as f64 * growth(cost, sample.cost) } else { sample.cost as f64 * before * before };
        let sample = Sample { cost, before: sample.cost, line: half, candidate };
        if expected < WORTH_TELLING as f64 / 2.0 {
            return sample;
        }
        let longest = sample.candidate.line(LINE);
        let reckoned = self.cost(&longest, TOO_LONG);
        let cost = if self.left.get() > 0 { reckoned } else { reckoned.max(expected as u64) };
        if cost < sample.cost { sample } else { Sample { cost: cost.min(TOO_LONG), line: longest, ..sample } }
    }

    fn candidates(&self, found: &Ambiguity) -> Vec<Candidate> {
        let mut all: Vec<Candidate> = Vec::new();
        for pump in found.rounds.iter().take(MOST_CANDIDATES) {
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

    /// A line for the choices that stand in a row.
    fn toured(&self) -> Option<Candidate> {
        let letters = self.automaton.positions[SEARCH].letters;
        let tour = tour::tour(self.piece, self.order, letters, LINE - 1)?;
        Some(Candidate {
            prefix: tour.word,
            blocks: Vec::new(),
            suffix: Word::new(),
            place: tour.place,
            exponential: false,
            endless: false,
            around: 0,
        })
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
        let positions = pumps.iter().flat_map(|pump| [pump.from, pump.to]);
        let endless = positions.into_iter().all(|position| self.automaton.positions[position].endless);
        Some(Candidate { prefix, blocks, suffix: Word::new(), place: start.zip(end), exponential, endless, around })
    }

    /// Ends that may keep a line from matching: the letter that fits worst behind it, and none.
    fn suffixes(&self, candidate: &Candidate) -> Vec<Word> {
        let mut reached: Vec<usize> = vec![START];
        for letter in candidate.line(24) {
            reached = self.step(&reached, letter);
        }
        let letters = self.automaton.positions[SEARCH].letters;
        let worst = (0..128u8).rev().filter(|letter| letters >> letter & 1 == 1);
        let worst = worst.min_by_key(|letter| self.step(&reached, *letter).len());
        [worst.map(|letter| vec![letter]), Some(Word::new())].into_iter().flatten().collect()
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
