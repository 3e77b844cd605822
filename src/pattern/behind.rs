//! Judges a failregex behind a prefregex: it is searched for in what the prefregex's `<F-CONTENT>` has matched, and nowhere else.
//!
//! A line is made that the prefregex lets through and whose content is the slow one; then both are reckoned on what they really get to see.
//! Where no such line is found the failregex is judged as if its text could pass in some other form: to be on the safe side.

use super::compile::Pattern;
use super::cost::piece::{self, Alphabet, Letters, Piece};
use super::cost::{Judgement, LINE, Slow, judge_within, measure};

/// How far a line that passes is reckoned, in nanoseconds: what a slow text takes is known, and only whether it is that text has to be seen.
const ENOUGH: u64 = 40_000_000;
/// The group of a prefregex that the failregex get to see.
const CONTENT: &str = "content";

/// A prefregex in Python's dialect, tags replaced.
pub struct Prefix {
    pattern: Pattern,
    alphabet: Alphabet,
    piece: Piece,
    /// The group of its content; without one the failregex see the whole line.
    content: Option<usize>,
}

impl Prefix {
    /// `None` for one that this program cannot search for: then each failregex is judged by itself.
    pub fn new(expanded: &str) -> Option<Prefix> {
        let pattern = Pattern::new(expanded, false).ok()?;
        let alphabet = Alphabet::of(pattern.root(), "");
        let piece = piece::lower(pattern.root(), &alphabet);
        let content = pattern.group(CONTENT);
        Some(Prefix { pattern, alphabet, piece, content })
    }

    /// As it was given.
    pub fn source(&self) -> &str {
        self.pattern.source()
    }

    /// Judges a failregex behind it. Letters that its content cannot have are not tried. The line is one that passes, where one of the forms
    /// that are tried does; else it is the content alone, and the failregex is judged as if that could pass in some other form.
    pub fn judge(&self, expanded: &str, multi_line: bool) -> Judgement {
        let inside = self.content.map(|index| find(&self.piece, index).map_or(Letters::MAX, letters));
        let may_occur = |letter: char| inside.is_none_or(|inside| self.mask_of(letter) & inside != 0);
        let judgement = judge_within(expanded, multi_line, &may_occur);
        let Some(slow) = &judgement.slow else { return judgement };
        match self.passed(expanded, multi_line, slow) {
            Some(passed) => Judgement { slow: Some(passed), ..judgement },
            None => Judgement { slow: Some(Slow { is_content: true, ..slow.clone() }), ..judgement },
        }
    }

    /// What both searches in a real line take, in nanoseconds, the failregex's as far as the line passes.
    pub fn measure(&self, expanded: &str, multi_line: bool, line: &str, limit: u64) -> u64 {
        let own = measure(self.pattern.source(), false, line, limit);
        let content = self.content_of(line);
        own + content.map_or(0, |content| measure(expanded, multi_line, &content, limit))
    }

    fn mask_of(&self, letter: char) -> Letters {
        self.alphabet.letters(&letter.to_string()).into_iter().fold(0, |mask, letter| mask | 1 << letter)
    }

    /// The same with a line that passes, where it is as slow on what of it comes through.
    fn passed(&self, expanded: &str, multi_line: bool, slow: &Slow) -> Option<Slow> {
        let around = [(true, true), (false, false), (true, false), (false, true)];
        let lines = around.into_iter().filter_map(|(before, behind)| self.line(&slow.line, before, behind));
        lines.filter(|line| line.chars().count() <= 2 * LINE).find_map(|line| {
            let content = self.content_of(&line)?;
            let enough = (slow.nanoseconds / 2).min(ENOUGH);
            (measure(expanded, multi_line, &content, enough) >= enough).then(|| Slow { line, ..slow.clone() })
        })
    }

    /// What the failregex get to see of a line; `None` for one that does not pass.
    fn content_of(&self, line: &str) -> Option<String> {
        let text = format!("{line}\n");
        let found = self.pattern.search(&text, 0).ok()??;
        let span = self.content.and_then(|index| found.span(index)).filter(|(start, end)| start < end);
        Some(span.map_or_else(|| line.to_owned(), |(start, end)| text[start..end].trim_end_matches('\n').to_owned()))
    }

    /// A line with a text in the place of the content; `before` and `behind`: without what the prefregex asks for in front of it and after
    /// it, which the text may hold itself.
    fn line(&self, text: &str, before: bool, behind: bool) -> Option<String> {
        let Some(index) = self.content else { return Some(text.to_owned()) };
        let mut walk = Walk { alphabet: &self.alphabet, index, groups: Vec::new(), out: String::new(), at: None };
        let is_whole = walk.piece(&self.piece);
        let at = walk.at.filter(|_| is_whole)?;
        let front = if before { &walk.out[..at] } else { "" };
        let rest = if behind { &walk.out[at..] } else { "" };
        Some(format!("{front}{text}{rest}"))
    }
}

/// A text that a prefregex matches, the shortest but for its content, of which only the place is noted.
struct Walk<'w> {
    alphabet: &'w Alphabet,
    index: usize,
    groups: Vec<(usize, String)>,
    out: String,
    at: Option<usize>,
}

impl Walk<'_> {
    /// Whether a line can match the piece.
    fn piece(&mut self, piece: &Piece) -> bool {
        match piece {
            Piece::Set(letters, _) => {
                let known = (0..self.alphabet.len()).filter(|letter| letters >> letter & 1 == 1);
                let Some(letter) = known.map(|letter| self.alphabet.character(letter)).find(|letter| *letter != '\n')
                else {
                    return false;
                };
                self.out.push(letter);
                true
            }
            Piece::Seq(pieces) => pieces.iter().all(|piece| self.piece(piece)),
            Piece::Alt(branches) => {
                let with = branches.iter().find(|branch| holds(branch, self.index));
                with.or(branches.first()).is_none_or(|branch| self.piece(branch))
            }
            Piece::Repeat(turns) => {
                let least = if holds(&turns.body, self.index) { turns.min.max(1) } else { turns.min };
                (0..least.min(LINE as u32)).all(|_| self.piece(&turns.body))
            }
            Piece::Group(index, _) if *index == self.index => {
                self.at = Some(self.out.len());
                true
            }
            Piece::Group(index, piece) => {
                let start = self.out.len();
                let is_whole = self.piece(piece);
                self.groups.push((*index, self.out[start..].to_owned()));
                is_whole
            }
            Piece::Atomic(piece) => self.piece(piece),
            Piece::If(_, yes, _) => self.piece(yes),
            Piece::Again(index, _) => {
                let known = self.groups.iter().rev().find(|(known, _)| known == index);
                let again = known.map(|(_, text)| text.clone()).unwrap_or_default();
                self.out.push_str(&again);
                true
            }
            Piece::Assert(_) | Piece::Look(..) => true,
        }
    }
}

/// Whether a group is in a piece.
fn holds(piece: &Piece, index: usize) -> bool {
    find(piece, index).is_some()
}

/// A group's inside.
fn find(piece: &Piece, index: usize) -> Option<&Piece> {
    match piece {
        Piece::Group(own, inside) if *own == index => Some(inside),
        Piece::Group(_, inside) | Piece::Atomic(inside) => find(inside, index),
        Piece::Seq(all) | Piece::Alt(all) => all.iter().find_map(|piece| find(piece, index)),
        Piece::Repeat(turns) => find(&turns.body, index),
        Piece::If(_, yes, no) => find(yes, index).or_else(|| find(no, index)),
        Piece::Set(..) | Piece::Assert(_) | Piece::Look(..) | Piece::Again(..) => None,
    }
}

/// Every letter that a piece can hold.
fn letters(piece: &Piece) -> Letters {
    match piece {
        Piece::Set(letters, _) => *letters,
        Piece::Seq(all) | Piece::Alt(all) => all.iter().map(letters).fold(0, |mask, own| mask | own),
        Piece::Repeat(turns) => letters(&turns.body),
        Piece::Group(_, inside) | Piece::Atomic(inside) => letters(inside),
        Piece::If(_, yes, no) => letters(yes) | letters(no),
        // What stands elsewhere may be anything.
        Piece::Again(..) => Letters::MAX,
        Piece::Assert(_) | Piece::Look(..) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "^(?:a|aa)+b";

    fn judged(prefregex: &str, failregex: &str) -> Option<Slow> {
        Prefix::new(prefregex).unwrap().judge(failregex, false).slow
    }

    #[test]
    fn a_line_that_brings_the_slow_text_through_is_told() {
        for prefregex in [
            r"^x (?P<content>.+)$",
            r"^\s*(?:sshd\[\d+\]: )?x (?P<content>.+?)(?: \[end\])$",
            r"^(?:y|x (?P<content>\S+)) \d+$",
        ] {
            let slow = judged(prefregex, EVIL).unwrap_or_else(|| panic!("{prefregex}"));
            assert!(slow.is_too_slow() && !slow.is_content, "{prefregex}: {slow:?}");
            let content = Prefix::new(prefregex).unwrap().content_of(&slow.line).unwrap();
            assert!(content.len() < slow.line.len() && measure(EVIL, false, &content, ENOUGH) >= ENOUGH, "{slow:?}");
        }
    }

    #[test]
    fn letters_that_the_content_cannot_have_do_no_harm() {
        assert_eq!(judged(r"^x (?P<content>[0-9 ]+)$", EVIL), None);
        assert!(judged(r"^x (?P<content>[0-9 ]+)$", r"^(?:\d|\d\d)+b").is_some_and(|slow| slow.is_too_slow()));
    }

    #[test]
    fn what_no_line_was_found_for_is_judged_as_if_there_were_one() {
        for prefregex in [r"^.*(?P<content>.+)$", "^x"] {
            let slow = judged(prefregex, EVIL).unwrap();
            assert!(slow.is_too_slow() && slow.is_content, "{prefregex}: {slow:?}");
        }
    }

    #[test]
    fn of_a_real_line_only_what_passes_is_searched() {
        let prefix = Prefix::new(r"^x (?P<content>.+)$").unwrap();
        let line = "a".repeat(200);
        assert!(prefix.measure(EVIL, false, &format!("x {line}"), ENOUGH) >= ENOUGH);
        assert!(prefix.measure(EVIL, false, &format!("y {line}"), ENOUGH) < ENOUGH / 10);
    }
}
