//! The parsed form of a regular expression in Python's dialect.
//!
//! Flags are already resolved into the nodes, names into group numbers. This file knows neither the text syntax
//! (see `parse`) nor the engines (see `translate`); it only answers questions about shape and width.

/// Which letters are equal under case-insensitive matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// Case matters.
    None,
    /// `(?ai)`: only ASCII letters fold.
    Ascii,
    /// `(?i)`: simple Unicode folding, with Python's additions.
    Unicode,
}

/// One of `\d`, `\w`, `\s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Perl {
    /// Decimal digits.
    Digit,
    /// Letters, numbers and the underscore.
    Word,
    /// White space, to which Python also counts U+001C to U+001F.
    Space,
}

/// One member of a character class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassItem {
    /// Code points from the first to the second, both included.
    Range(u32, u32),
    /// `\d` and its family; the flag is true for the upper-case (negated) form.
    Perl(Perl, bool),
}

/// A character class, `[…]` or a bare `\d`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// What it contains, in the order written.
    pub items: Vec<ClassItem>,
    /// `[^…]`.
    pub negated: bool,
    /// Case folding of its ranges.
    pub fold: Fold,
    /// `(?a)`: `\d \w \s` mean ASCII only.
    pub ascii: bool,
}

/// A zero-width test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assertion {
    /// `\A`, or `^` without the flag `m`.
    TextStart,
    /// `^` with the flag `m`.
    LineStart,
    /// `\Z`.
    TextEnd,
    /// `$` without the flag `m`: the end, or before a newline that ends the text.
    FinalLineEnd,
    /// `$` with the flag `m`.
    LineEnd,
    /// `\b`; true when only ASCII letters count.
    WordBoundary(bool),
    /// `\B`; true when only ASCII letters count. Python never matches it in an empty text.
    NotWordBoundary(bool),
    /// Not between two word characters. Nobody writes it; `simplify` finds it in the boundaries of date patterns.
    NotInsideWord,
}

/// How a repetition chooses its count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greed {
    /// As many as possible, giving back when needed.
    Greedy,
    /// As few as possible.
    Lazy,
    /// As many as possible, giving nothing back.
    Possessive,
}

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Matches the empty text.
    Empty,
    /// One code point (a lone surrogate is possible, and never matches).
    Literal(u32, Fold),
    /// `.`; true when it also matches a newline.
    Any(bool),
    /// A character class.
    Class(Class),
    /// A zero-width test.
    Assert(Assertion),
    /// One after the other.
    Concat(Vec<Node>),
    /// The first alternative that leads to a match.
    Alt(Vec<Node>),
    /// A capturing group with its number, from 1.
    Group(usize, Box<Node>),
    /// A repetition.
    Repeat(Repeat),
    /// Look-ahead or look-behind.
    Look {
        /// What is looked for.
        node: Box<Node>,
        /// True for look-behind.
        behind: bool,
        /// True for `(?!…)` and `(?<!…)`.
        negative: bool,
    },
    /// `(?>…)`.
    Atomic(Box<Node>),
    /// `(?P=name)` or `\1`.
    Backref(usize, Fold),
    /// `(?(name)yes|no)`.
    Conditional {
        /// The group that decides.
        group: usize,
        /// Tried when the group took part in the match.
        yes: Box<Node>,
        /// Tried otherwise.
        no: Box<Node>,
    },
}

/// A repetition, `x*`, `x{2,5}?` and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// What is repeated.
    pub node: Box<Node>,
    /// Fewest times.
    pub min: u32,
    /// Most times; `None` without a limit.
    pub max: Option<u32>,
    /// How it chooses.
    pub greed: Greed,
    /// Where what is repeated begins in the pattern, in characters from 0.
    pub start: usize,
    /// The character after the whole quantifier, in characters from 0.
    pub end: usize,
}

/// Widths larger than this are all the same: no text is that long.
pub const WIDTH_CAP: u64 = u32::MAX as u64;

impl Node {
    /// Fewest and most characters a match can have, each capped at [`WIDTH_CAP`]. `groups` holds the widths of closed groups, by number.
    pub fn width(&self, groups: &[Option<(u64, u64)>]) -> (u64, u64) {
        let (low, high) = match self {
            Node::Empty | Node::Assert(_) | Node::Look { .. } => (0, 0),
            Node::Literal(..) | Node::Any(_) | Node::Class(_) => (1, 1),
            Node::Concat(nodes) => nodes.iter().fold((0, 0), |(low, high), node| {
                let (more_low, more_high) = node.width(groups);
                ((low + more_low).min(WIDTH_CAP), (high + more_high).min(WIDTH_CAP))
            }),
            Node::Alt(nodes) => nodes.iter().fold((WIDTH_CAP, 0), |(low, high), node| {
                let (other_low, other_high) = node.width(groups);
                (low.min(other_low), high.max(other_high))
            }),
            Node::Group(_, node) | Node::Atomic(node) => node.width(groups),
            Node::Repeat(repeat) => {
                let (low, high) = repeat.node.width(groups);
                let most = repeat.max.map_or(WIDTH_CAP, u64::from);
                (low.saturating_mul(u64::from(repeat.min)), high.saturating_mul(most))
            }
            Node::Backref(group, _) => groups.get(*group).copied().flatten().unwrap_or((0, WIDTH_CAP)),
            Node::Conditional { yes, no, .. } => {
                let ((a, b), (c, d)) = (yes.width(groups), no.width(groups));
                (a.min(c), b.max(d))
            }
        };
        (low.min(WIDTH_CAP), high.min(WIDTH_CAP))
    }

    /// True when the node can match the empty text as far as its shape tells.
    pub fn can_be_empty(&self) -> bool {
        self.width(&[]).0 == 0
    }

    /// The direct children, in order.
    pub fn children(&self) -> Vec<&Node> {
        match self {
            Node::Concat(nodes) | Node::Alt(nodes) => nodes.iter().collect(),
            Node::Group(_, node) | Node::Atomic(node) | Node::Look { node, .. } => vec![node],
            Node::Repeat(repeat) => vec![&repeat.node],
            Node::Conditional { yes, no, .. } => vec![yes, no],
            _ => Vec::new(),
        }
    }

    /// True when `test` holds for this node or any node below it.
    pub fn any(&self, test: &dyn Fn(&Node) -> bool) -> bool {
        test(self) || self.children().into_iter().any(|child| child.any(test))
    }

    /// The node that captures into group `index`, if it is at or below this one.
    pub fn find_group(&self, index: usize) -> Option<&Node> {
        match self {
            Node::Group(own, node) if *own == index => Some(node),
            _ => self.children().into_iter().find_map(|child| child.find_group(index)),
        }
    }
}
