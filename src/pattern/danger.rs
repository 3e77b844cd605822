//! Finds what is dangerous in a pattern: exponential repetition, a match of nothing, a prefix that lets others choose the address.
//!
//! It warns; it refuses nothing. It judges by shape alone, so it can be wrong in both directions for unusual patterns.

use super::ast::{Node, Repeat};

/// A construct with its place in the pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Construct {
    /// The construct in short.
    pub construct: String,
    /// Where it stands, in characters from 0.
    pub position: usize,
}

/// The repetition most likely to blame for a search that took too long: one around another first, else the first unlimited one.
pub fn slowest_construct(root: &Node) -> Construct {
    nested_repeat(root).or_else(|| first_repeat(root)).map_or(
        Construct {
            construct: "a back-reference or look-around".to_string(),
            position: 0,
        },
        describe,
    )
}

fn describe(repeat: &Repeat) -> Construct {
    let construct = match (repeat.min, repeat.max) {
        (0, None) => "*".to_string(),
        (1, None) => "+".to_string(),
        (min, None) => format!("{{{min},}}"),
        (0, Some(1)) => "?".to_string(),
        (min, Some(max)) => format!("{{{min},{max}}}"),
    };
    Construct {
        construct,
        position: repeat.at,
    }
}

/// True for a repetition that may take many turns.
fn is_many(repeat: &Repeat) -> bool {
    repeat.max.is_none_or(|max| max > 10)
}

/// The outermost repetition of something that itself repeats without limit: `(a+)+`.
pub fn nested_repeat(node: &Node) -> Option<&Repeat> {
    if let Node::Repeat(repeat) = node
        && is_many(repeat)
        && repeat
            .node
            .any(&|inner| matches!(inner, Node::Repeat(inner) if is_many(inner)))
    {
        return Some(repeat);
    }
    node.children().into_iter().find_map(nested_repeat)
}

fn first_repeat(node: &Node) -> Option<&Repeat> {
    if let Node::Repeat(repeat) = node
        && is_many(repeat)
    {
        return Some(repeat);
    }
    node.children().into_iter().find_map(first_repeat)
}
