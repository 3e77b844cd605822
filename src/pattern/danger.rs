//! Finds what is dangerous in a pattern: a match of nothing, a prefix that lets others choose the address.
//!
//! It warns; it refuses nothing. It judges by shape alone, so it can be wrong in both directions for unusual patterns. What a pattern
//! costs is judged in `cost`.

use super::ast::{Assertion, ClassItem, Node, Repeat};
use super::compile::Pattern;
use super::construct::Construct;

/// Something that works, but not as its author is likely to want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The pattern matches the empty text, so it matches every line.
    MatchesNothing,
    /// Before the address stands something that matches anything, and nothing behind it is fixed: whoever can write into the log
    /// chooses which address is banned.
    GreedyPrefix(Construct),
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Warning::MatchesNothing => f.write_str("the pattern matches the empty text and so every line; anchor it with ^ and name what the line must hold"),
            Warning::GreedyPrefix(Construct { construct, position }) => write!(
                f,
                "`{construct}` at position {position} stands before the address and matches anything, so text in the line can pose as the address; \
                 anchor the pattern at both ends or match precisely what stands before the address"
            ),
        }
    }
}

/// Everything to warn of in a pattern.
pub fn warnings(pattern: &Pattern) -> Vec<Warning> {
    let mut found = Vec::new();
    if matches_nothing(pattern.root()) {
        found.push(Warning::MatchesNothing);
    }
    if let Some(repeat) = greedy_prefix(pattern) {
        found.push(Warning::GreedyPrefix(describe(pattern, repeat)));
    }
    found
}

fn describe(pattern: &Pattern, repeat: &Repeat) -> Construct {
    Construct::of(pattern.source(), (repeat.start, repeat.end))
}

/// True when the empty text can match at every place: no width is needed, and nothing ties it to a place.
fn matches_nothing(root: &Node) -> bool {
    let tied = |node: &Node| matches!(node, Node::Assert(_) | Node::Look { .. } | Node::Conditional { .. });
    root.can_be_empty()
        && (!root.any(&tied) || matches!(root, Node::Alt(branches) if branches.iter().any(matches_nothing)))
}

/// A repetition of anything, as in `.*`, before the first group that tells the host, in a pattern whose end is not fixed.
fn greedy_prefix(pattern: &Pattern) -> Option<&Repeat> {
    let Node::Concat(nodes) = pattern.root() else {
        return None;
    };
    let hosts: Vec<usize> = ["ip4", "ip6", "dns"].iter().filter_map(|name| pattern.group(name)).collect();
    let holds_host = |node: &Node| node.any(&|node| matches!(node, Node::Group(index, _) if hosts.contains(index)));
    let host = nodes.iter().position(holds_host)?;
    let prefix = nodes[..host].iter().find_map(anything)?;
    let rest = &nodes[host + 1..];
    let ends_fixed =
        matches!(rest.last(), Some(Node::Assert(Assertion::FinalLineEnd | Assertion::LineEnd | Assertion::TextEnd)));
    let loose_rest =
        rest.iter().any(|node| node.any(&|node| matches!(node, Node::Repeat(repeat) if is_anything(repeat))));
    (!ends_fixed || loose_rest).then_some(prefix)
}

fn anything(node: &Node) -> Option<&Repeat> {
    match node {
        Node::Repeat(repeat) if is_anything(repeat) => Some(repeat),
        Node::Repeat(repeat) => anything(&repeat.node),
        Node::Look { .. } => None,
        other => other.children().into_iter().find_map(anything),
    }
}

/// `.*`, `.+`, `\S*`, `[^x]*` and lazy ones: unlimited, and of nearly any character, the blank included.
fn is_anything(repeat: &Repeat) -> bool {
    let wide = match repeat.node.as_ref() {
        Node::Any(_) => true,
        Node::Class(class) => {
            class.negated
                && class.items.iter().all(|item| matches!(item, ClassItem::Range(low, high) if high - low < 2))
        }
        _ => false,
    };
    repeat.max.is_none() && wide
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(pattern: &str) -> Vec<Warning> {
        warnings(&Pattern::new(pattern, false).unwrap())
    }

    #[test]
    fn dangerous_shapes_are_named() {
        let construct = |construct: &str, position: usize| Construct { construct: construct.to_string(), position };
        assert_eq!(warned("a*"), [Warning::MatchesNothing]);
        let host = r"(?P<ip4>\d+\.\d+)";
        assert_eq!(warned(&format!("^fail .* from {host}")), [Warning::GreedyPrefix(construct(".*", 6))]);
        assert_eq!(warned(&format!("^fail .* from {host}.*$")), [Warning::GreedyPrefix(construct(".*", 6))]);
        assert_eq!(warned(&format!("^fail .* from {host}$")), []);
        assert_eq!(warned(&format!("^fail \\S+ from {host}")), []);
        assert_eq!(warned(r"^(?:\d+,)*x"), []);
    }
}
