//! An expression over an alphabet of 128 letters: what the matcher runs and the automaton is built of.
//!
//! Every set of characters is a mask of letters. What Python's compiler does to alternatives is done here, since it decides how
//! many ways there are to match a text.

use super::super::ast::{Assertion, Class, ClassItem, Fold, Greed, Node, Perl};

/// Which of an alphabet's letters.
pub type Letters = u128;

/// Without a limit.
pub const MANY: u32 = u32::MAX;

/// The characters that an expression is judged on: those that matter to it, one for each kind of the others.
pub struct Alphabet(Vec<char>);

impl Alphabet {
    /// The alphabet of an expression, and of a text that it is to be measured on.
    pub fn of(root: &Node, text: &str) -> Alphabet {
        let mut letters: Vec<char> = ('a'..='z').chain('0'..='9').chain(['\n', '\t']).collect();
        letters.extend((' '..='~').filter(|letter| !letter.is_ascii_alphanumeric()).chain('A'..='Z'));
        let mut alphabet = Alphabet(letters);
        alphabet.0.extend(['é', '€', '\u{a0}', '\u{663}']);
        text.chars().for_each(|letter| alphabet.add(letter));
        alphabet.add_all(root);
        alphabet
    }

    fn add(&mut self, letter: char) {
        if self.0.len() < 128 && !self.0.contains(&letter) {
            self.0.push(letter);
        }
    }

    fn add_all(&mut self, node: &Node) {
        match node {
            Node::Literal(code, _) => char::from_u32(*code).into_iter().for_each(|letter| self.add(letter)),
            Node::Class(class) => {
                for item in &class.items {
                    if let ClassItem::Range(low, high) = item {
                        let ends = [*low, *high, high.saturating_add(1)];
                        ends.into_iter().filter_map(char::from_u32).for_each(|letter| self.add(letter));
                    }
                }
            }
            other => other.children().into_iter().for_each(|child| self.add_all(child)),
        }
    }

    /// How many letters there are.
    pub fn len(&self) -> u8 {
        self.0.len() as u8
    }

    /// The character of a letter.
    pub fn character(&self, letter: u8) -> char {
        self.0[usize::from(letter)]
    }

    /// The letters of a text; what is not in the alphabet counts as the last one.
    pub fn letters(&self, text: &str) -> Vec<u8> {
        let last = self.0.len() - 1;
        text.chars().map(|own| self.0.iter().position(|letter| *letter == own).unwrap_or(last) as u8).collect()
    }

    /// The text of letters.
    pub fn text(&self, letters: &[u8]) -> String {
        letters.iter().map(|letter| self.character(*letter)).collect()
    }

    /// The letters for which `test` holds.
    pub fn mask(&self, test: impl Fn(char) -> bool) -> Letters {
        self.0.iter().enumerate().filter(|(_, letter)| test(**letter)).fold(0, |mask, (at, _)| mask | 1 << at)
    }
}

/// Whether two characters are equal under folding, as far as one letter stands for one.
fn forms(letter: char, fold: Fold) -> [char; 3] {
    match fold {
        Fold::None => [letter; 3],
        Fold::Ascii => [letter, letter.to_ascii_lowercase(), letter.to_ascii_uppercase()],
        Fold::Unicode => {
            let lower = letter.to_lowercase().next().unwrap_or(letter);
            [letter, lower, letter.to_uppercase().next().unwrap_or(letter)]
        }
    }
}

/// `\w`.
pub fn is_word(letter: char, ascii: bool) -> bool {
    letter == '_' || (letter.is_alphanumeric() && (letter.is_ascii() || !ascii))
}

fn is_perl(perl: Perl, letter: char, ascii: bool) -> bool {
    let in_reach = letter.is_ascii() || !ascii;
    match perl {
        Perl::Digit => letter.is_ascii_digit() || (!ascii && letter == '\u{663}'),
        Perl::Word => is_word(letter, ascii),
        Perl::Space => in_reach && (letter.is_whitespace() || (!ascii && ('\x1c'..='\x1f').contains(&letter))),
    }
}

fn in_class(class: &Class, letter: char) -> bool {
    let holds = |letter: char| {
        class.items.iter().any(|item| match item {
            ClassItem::Range(low, high) => (*low..=*high).contains(&(letter as u32)),
            ClassItem::Perl(perl, negated) => is_perl(*perl, letter, class.ascii) != *negated,
        })
    };
    forms(letter, class.fold).into_iter().any(holds) != class.negated
}

/// How a set of letters is written, which decides what Python makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// As a character.
    Letter,
    /// As a class that says what it contains.
    Class,
    /// As `.` or as a class that says what it does not contain.
    Other,
}

/// A piece of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// One letter of these.
    Set(Letters, Written),
    /// One after the other.
    Seq(Vec<Piece>),
    /// The first that leads to a match.
    Alt(Vec<Piece>),
    /// A repetition.
    Repeat(Box<Turns>),
    /// A group, by number.
    Group(usize, Box<Piece>),
    /// A zero-width test.
    Assert(Assertion),
    /// Look-around: what, how many characters back, whether it must not be there.
    Look(Box<Piece>, u32, bool),
    /// `(?>…)`.
    Atomic(Box<Piece>),
    /// A back-reference.
    Again(usize, Fold),
    /// `(?(1)yes|no)`.
    If(usize, Box<Piece>, Box<Piece>),
}

/// A repetition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turns {
    /// What is repeated.
    pub body: Piece,
    /// Fewest times.
    pub min: u32,
    /// Most times, [`MANY`] for no limit.
    pub max: u32,
    /// How it chooses.
    pub greed: Greed,
    /// Where it is written, in characters.
    pub place: (usize, usize),
}

impl Turns {
    /// See [`Piece::ways`].
    pub fn ways(&self) -> u64 {
        if self.max == MANY {
            return 1;
        }
        let of_one = self.body.ways();
        if of_one == 1 {
            return u64::from(self.max.saturating_sub(self.min)) + 1;
        }
        // More turns than these only say what is plain already: it is many.
        let of = |turns: u32| (0..turns.min(64)).fold(1, |all: u64, _| all.saturating_mul(of_one));
        (self.min..=self.max).take(64).map(of).fold(0, u64::saturating_add)
    }
}

/// The expression in an alphabet.
pub fn lower(node: &Node, alphabet: &Alphabet) -> Piece {
    Lower { alphabet }.piece(node)
}

struct Lower<'a> {
    alphabet: &'a Alphabet,
}

impl Lower<'_> {
    fn piece(&self, node: &Node) -> Piece {
        let boxed = |node: &Node| Box::new(self.piece(node));
        match node {
            Node::Empty => Piece::Seq(Vec::new()),
            Node::Literal(code, fold) => {
                let wanted = char::from_u32(*code).map(|own| forms(own, *fold));
                let same = |letter| {
                    wanted.is_some_and(|wanted| {
                        wanted.contains(&letter) || (*fold != Fold::None && forms(letter, *fold).contains(&wanted[0]))
                    })
                };
                Piece::Set(self.alphabet.mask(same), Written::Letter)
            }
            Node::Any(newline) => Piece::Set(self.alphabet.mask(|letter| *newline || letter != '\n'), Written::Other),
            Node::Class(class) => {
                let written = if class.negated { Written::Other } else { Written::Class };
                Piece::Set(self.alphabet.mask(|letter| in_class(class, letter)), written)
            }
            Node::Assert(assertion) => Piece::Assert(*assertion),
            Node::Concat(nodes) => {
                let mut all = Vec::new();
                for node in nodes {
                    flat(self.piece(node), &mut all);
                }
                one(all)
            }
            Node::Alt(branches) => self.alternatives(branches),
            Node::Group(index, node) => Piece::Group(*index, boxed(node)),
            Node::Repeat(repeat) => Piece::Repeat(Box::new(Turns {
                body: self.piece(&repeat.node),
                min: repeat.min,
                max: repeat.max.unwrap_or(MANY),
                greed: repeat.greed,
                place: (repeat.start, repeat.end),
            })),
            Node::Look { node, behind, negative } => {
                let back = if *behind { u32::try_from(node.width(&[]).0).unwrap_or(MANY) } else { 0 };
                Piece::Look(boxed(node), back, *negative)
            }
            Node::Atomic(node) => Piece::Atomic(boxed(node)),
            Node::Backref(group, fold) => Piece::Again(*group, *fold),
            Node::Conditional { group, yes, no } => Piece::If(*group, boxed(yes), boxed(no)),
        }
    }

    /// Python takes out what all alternatives begin with, and makes one class of those that are a single character.
    fn alternatives(&self, branches: &[Node]) -> Piece {
        let mut branches: Vec<Vec<Piece>> = branches
            .iter()
            .map(|node| {
                let mut all = Vec::new();
                flat(self.piece(node), &mut all);
                all
            })
            .collect();
        let mut before = Vec::new();
        while let Some(first) = branches[0].first().cloned()
            && branches.iter().all(|branch| branch.first() == Some(&first))
        {
            branches.iter_mut().for_each(|branch| drop(branch.remove(0)));
            before.push(first);
        }
        let class = branches.iter().try_fold(0, |mask, branch| match branch.as_slice() {
            [Piece::Set(letters, Written::Letter | Written::Class)] => Some(mask | letters),
            _ => None,
        });
        before.push(match class {
            Some(letters) => Piece::Set(letters, Written::Class),
            None => Piece::Alt(branches.into_iter().map(one).collect()),
        });
        one(before)
    }
}

fn flat(piece: Piece, all: &mut Vec<Piece>) {
    match piece {
        Piece::Seq(pieces) => all.extend(pieces),
        other => all.push(other),
    }
}

fn one(mut all: Vec<Piece>) -> Piece {
    if all.len() == 1 { all.remove(0) } else { Piece::Seq(all) }
}

impl Piece {
    /// Whether it can match the empty text.
    pub fn can_be_empty(&self) -> bool {
        match self {
            Piece::Set(..) => false,
            Piece::Seq(pieces) => pieces.iter().all(Piece::can_be_empty),
            Piece::Alt(pieces) => pieces.iter().any(Piece::can_be_empty),
            Piece::Repeat(turns) => turns.min == 0 || turns.body.can_be_empty(),
            Piece::Group(_, piece) | Piece::Atomic(piece) => piece.can_be_empty(),
            Piece::If(_, yes, no) => yes.can_be_empty() || no.can_be_empty(),
            Piece::Assert(_) | Piece::Look(..) | Piece::Again(..) => true,
        }
    }

    /// The letters it must begin with: all, where that is not plain.
    pub fn first(&self) -> Letters {
        match self {
            Piece::Set(letters, _) => *letters,
            Piece::Seq(pieces) => pieces.first().map_or(Letters::MAX, Piece::first),
            Piece::Group(_, piece) => piece.first(),
            _ => Letters::MAX,
        }
    }

    /// In how many ways it can take part in sharing out a text, as far as that is bounded: multiplied over what stands in a row and
    /// over the turns of a repetition. A repetition without end counts as one, for it is looked at as a loop.
    pub fn ways(&self) -> u64 {
        match self {
            Piece::Seq(pieces) => pieces.iter().map(Piece::ways).fold(1, u64::saturating_mul),
            Piece::Alt(pieces) => ways_of_alternatives(pieces),
            Piece::Repeat(turns) => turns.ways(),
            Piece::Group(_, piece) | Piece::Atomic(piece) => piece.ways(),
            Piece::If(_, yes, no) => yes.ways().max(no.ways()),
            Piece::Set(..) | Piece::Again(..) | Piece::Assert(_) | Piece::Look(..) => 1,
        }
    }

    /// The letters it can begin with: all, where it can be empty or that is not plain.
    pub fn starts(&self) -> Letters {
        match self {
            Piece::Alt(pieces) => pieces.iter().map(Piece::starts).fold(0, |all, letters| all | letters),
            Piece::Repeat(turns) if turns.min > 0 => turns.body.starts(),
            Piece::Seq(pieces) => pieces.first().map_or(Letters::MAX, Piece::starts),
            Piece::Group(_, piece) | Piece::Atomic(piece) => piece.starts(),
            other => other.first(),
        }
    }

    /// How many letters stand in it.
    pub fn size(&self) -> usize {
        match self {
            Piece::Seq(pieces) | Piece::Alt(pieces) => pieces.iter().map(Piece::size).sum(),
            Piece::Repeat(turns) => turns.body.size(),
            Piece::Group(_, piece) | Piece::Atomic(piece) | Piece::Look(piece, ..) => piece.size(),
            Piece::If(_, yes, no) => yes.size() + no.size(),
            Piece::Set(..) | Piece::Again(..) => 1,
            Piece::Assert(_) => 0,
        }
    }
}

/// Those alternatives count that can begin with the same letter; of the others at most one fits.
fn ways_of_alternatives(pieces: &[Piece]) -> u64 {
    let of: Vec<(Letters, u64)> = pieces.iter().map(|piece| (piece.starts(), piece.ways())).collect();
    let with = |letter: u32| of.iter().filter(move |(starts, _)| starts >> letter & 1 == 1);
    (0..Letters::BITS)
        .map(|letter| with(letter).map(|(_, ways)| *ways).fold(0, u64::saturating_add))
        .max()
        .unwrap_or(1)
        .max(1)
}
