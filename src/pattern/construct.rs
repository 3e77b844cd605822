//! A part of a pattern as written, and the one that is most likely to blame for a search that took too long.

use super::ast::{Node, Repeat};

/// A construct as written, with its place in the pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Construct {
    /// The construct, shortened in the middle when it is long.
    pub construct: String,
    /// Where it stands, in characters from 0.
    pub position: usize,
}

impl Construct {
    /// What stands in a pattern from one character to another.
    pub fn of(source: &str, (start, end): (usize, usize)) -> Construct {
        let written: Vec<char> = source.chars().skip(start).take(end.saturating_sub(start)).collect();
        let construct = if written.len() > 60 {
            let (first, last): (String, String) =
                (written[..28].iter().collect(), written[written.len() - 28..].iter().collect());
            format!("{first}…{last}")
        } else {
            written.into_iter().collect()
        };
        Construct { construct, position: start }
    }
}

/// The repetition most likely to blame for a search that took too long: one around another first, else the first unlimited one.
pub fn slowest_construct(root: &Node, source: &str) -> Construct {
    match nested_repeat(root).or_else(|| first_repeat(root)) {
        Some(repeat) => Construct::of(source, (repeat.start, repeat.end)),
        None => Construct { construct: "a back-reference or look-around".to_string(), position: 0 },
    }
}

/// True for a repetition that may take many turns.
fn is_many(repeat: &Repeat) -> bool {
    repeat.max.is_none_or(|max| max > 10)
}

/// The outermost repetition of something that is nothing but a repetition, give or take what may be absent: `(a+)+`, `(a+b?)*`.
/// One that must match something fixed in each turn, such as `(?:\d+,)*`, is harmless.
fn nested_repeat(node: &Node) -> Option<&Repeat> {
    if let Node::Repeat(repeat) = node
        && is_many(repeat)
        && is_ambiguous(&repeat.node)
    {
        return Some(repeat);
    }
    node.children().into_iter().find_map(nested_repeat)
}

fn is_ambiguous(body: &Node) -> bool {
    match body {
        Node::Repeat(inner) => is_many(inner),
        Node::Group(_, inner) => is_ambiguous(inner),
        Node::Alt(branches) => branches.iter().any(is_ambiguous),
        Node::Concat(nodes) => {
            let fixed = nodes.iter().filter(|node| !node.can_be_empty() && !is_ambiguous(node)).count();
            fixed == 0 && nodes.iter().any(is_ambiguous)
        }
        _ => false,
    }
}

fn first_repeat(node: &Node) -> Option<&Repeat> {
    if let Node::Repeat(repeat) = node
        && is_many(repeat)
    {
        return Some(repeat);
    }
    node.children().into_iter().find_map(first_repeat)
}
