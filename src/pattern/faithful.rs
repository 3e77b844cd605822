//! Finds the few repetitions that the engines would carry out otherwise than Python, so that they are refused instead.
//!
//! In Python a turn that matches nothing ends a loop at once; the engines first go on to what else the turn could match. That
//! shows only where both are possible, or in what a group inside the loop holds.

use super::ast::{Class, ClassItem, Fold, Greed, Node, Repeat};
use super::error::PatternError;
use super::translate::ascii_members;

/// Characters something can begin with: a bit for each of ASCII, and one for all others together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Begin {
    ascii: u128,
    other: bool,
    /// It can match the empty text, or end the pattern.
    empty: bool,
}

const NOTHING: Begin = Begin { ascii: 0, other: false, empty: true };
const ANYTHING: Begin = Begin { ascii: u128::MAX, other: true, empty: true };

impl Begin {
    fn or(self, other: Begin) -> Begin {
        Begin { ascii: self.ascii | other.ascii, other: self.other || other.other, empty: self.empty || other.empty }
    }

    /// What `self` and then `next` begins with.
    fn then(self, next: Begin) -> Begin {
        if self.empty { Begin { empty: next.empty, ..self.or(next) } } else { self }
    }

    fn overlaps(self, other: Begin) -> bool {
        self.ascii & other.ascii != 0 || (self.other && other.other)
    }
}

/// Refuses a pattern that cannot be carried over.
pub fn check(root: &Node) -> Result<(), PatternError> {
    // After the last node the pattern has matched, whatever comes.
    visit(root, ANYTHING)
}

/// `follow` is what can come after the node.
fn visit(node: &Node, follow: Begin) -> Result<(), PatternError> {
    match node {
        Node::Concat(nodes) => {
            let mut follow = follow;
            for node in nodes.iter().rev() {
                visit(node, follow)?;
                follow = begin(node).then(follow);
            }
            Ok(())
        }
        Node::Repeat(repeat) => {
            if let Some(construct) = difference(repeat, follow) {
                return Err(PatternError::Unsupported { construct: construct.to_string(), position: repeat.start });
            }
            visit(&repeat.node, begin(&repeat.node).or(follow))
        }
        Node::Look { node, .. } => visit(node, ANYTHING),
        other => other.children().into_iter().try_for_each(|child| visit(child, follow)),
    }
}

fn difference(repeat: &Repeat, follow: Begin) -> Option<&'static str> {
    let single = matches!(repeat.node.as_ref(), Node::Literal(..) | Node::Any(_) | Node::Class(_));
    // What is repeated can then be matched in one way only, so that there is nothing in it to go on from.
    let many_ways = |node: &Node| {
        !matches!(node, Node::Literal(..) | Node::Any(_) | Node::Class(_) | Node::Concat(_) | Node::Assert(_))
    };
    if repeat.greed == Greed::Possessive && !single && (repeat.node.any(&many_ways) || repeat.node.can_be_empty()) {
        // Python before 3.11.5 goes on in the wrong place after such a loop, later ones do not.
        return Some(
            "a possessive quantifier after something that matches in several ways, where versions of Python differ",
        );
    }
    if repeat.max.is_some() || !repeat.node.can_be_empty() {
        return None;
    }
    if repeat.node.any(&|node| matches!(node, Node::Group(..))) {
        return Some("a group inside an unlimited repetition that can match nothing");
    }
    let prefers_nothing = |node: &Node| match node {
        Node::Alt(branches) => (0..branches.len()).any(|index| {
            let later = branches[index + 1..].iter().map(begin).fold(Begin { empty: false, ..NOTHING }, Begin::or);
            branches[index].can_be_empty() && later.overlaps(follow)
        }),
        Node::Repeat(inner) => inner.greed == Greed::Lazy && (inner.min == 0 || inner.node.can_be_empty()),
        Node::Conditional { .. } | Node::Backref(..) | Node::Atomic(_) => true,
        _ => false,
    };
    repeat.node.any(&prefers_nothing).then_some("an unlimited repetition of something that would rather match nothing")
}

fn begin(node: &Node) -> Begin {
    match node {
        Node::Empty | Node::Assert(_) | Node::Look { .. } => NOTHING,
        Node::Literal(code, fold) => {
            let class =
                Class { items: vec![ClassItem::Range(*code, *code)], negated: false, fold: *fold, ascii: false };
            begin_class(&class)
        }
        Node::Any(_) => Begin { empty: false, ..ANYTHING },
        Node::Class(class) => begin_class(class),
        Node::Concat(nodes) => nodes.iter().rev().fold(NOTHING, |after, node| begin(node).then(after)),
        Node::Alt(branches) => branches.iter().map(begin).fold(Begin { empty: false, ..NOTHING }, Begin::or),
        Node::Group(_, node) | Node::Atomic(node) => begin(node),
        Node::Repeat(repeat) => {
            let body = begin(&repeat.node);
            Begin { empty: body.empty || repeat.min == 0, ..body }
        }
        Node::Backref(..) => ANYTHING,
        Node::Conditional { yes, no, .. } => begin(yes).or(begin(no)),
    }
}

fn begin_class(class: &Class) -> Begin {
    let only_ascii = |item: &ClassItem| matches!(item, ClassItem::Range(_, high) if *high < 128);
    let other = class.negated || class.fold == Fold::Unicode || !class.items.iter().all(only_ascii);
    Begin { ascii: ascii_members(class), other, empty: false }
}

#[cfg(test)]
mod tests {
    use super::super::Pattern;

    #[test]
    fn only_loops_that_would_differ_are_refused() {
        for pattern in [r"(?:a?|b)*b", r"(?:a?|b)*", r"(?P<x>\w*)+", r"(?:a*?b?)*"] {
            assert!(Pattern::new(pattern, false).is_err(), "{pattern}");
        }
        for pattern in [
            r#"(?:[^\]"]*|"[^"]*")*\]"#,
            r"(?:a|b?)*",
            r"(?:a?b?)*",
            r"\d++",
            r"(?:ab)?+",
            r"(?P<x>a)*",
            r"(?:(?:a?|b)x)*",
        ] {
            assert!(Pattern::new(pattern, false).is_ok(), "{pattern}");
        }
    }
}
