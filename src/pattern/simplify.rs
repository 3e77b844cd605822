//! Rewrites a parsed pattern into an equal one that needs less of an engine.
//!
//! Two rewrites only, both met in nearly every pattern of fail2ban: the look-behind in its IPv6 expression, which
//! always holds, and the word boundaries around its date patterns. With them four of five patterns run in linear time.

use super::ast::{Assertion, Class, ClassItem, Node, Perl};

/// The equal, simpler pattern.
pub fn simplify(root: Node) -> Node {
    rewrite(root, None)
}

/// `before` is the code point known to stand directly before the node, whatever was matched so far.
fn rewrite(node: Node, before: Option<u32>) -> Node {
    match node {
        Node::Look { node, behind: true, negative: false } if before.is_some_and(|code| is_literal(&node, code)) => {
            Node::Empty
        }
        Node::Look { node, behind: false, negative: false } if is_boundary(&node, false) => {
            Node::Assert(Assertion::NotInsideWord)
        }
        Node::Concat(nodes) => rewrite_concat(nodes, before),
        Node::Alt(nodes) => Node::Alt(nodes.into_iter().map(|node| rewrite(node, before)).collect()),
        Node::Group(index, node) => Node::Group(index, Box::new(rewrite(*node, before))),
        Node::Atomic(node) => Node::Atomic(Box::new(rewrite(*node, before))),
        Node::Look { node, behind: false, negative } => {
            Node::Look { node: Box::new(rewrite(*node, before)), behind: false, negative }
        }
        Node::Repeat(mut repeat) => {
            // Only the first turn stands behind `before`.
            repeat.node = Box::new(rewrite(*repeat.node, None));
            Node::Repeat(repeat)
        }
        Node::Conditional { group, yes, no } => {
            Node::Conditional { group, yes: Box::new(rewrite(*yes, before)), no: Box::new(rewrite(*no, before)) }
        }
        other => other,
    }
}

fn rewrite_concat(nodes: Vec<Node>, mut before: Option<u32>) -> Node {
    let consumes_later: Vec<bool> =
        (0..nodes.len()).map(|index| nodes[index + 1..].iter().any(|node| !node.can_be_empty())).collect();
    let mut out = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.into_iter().enumerate() {
        let after = known_end(&node, before);
        match node {
            // At the very end of the text the two differ, but something is still to be consumed there.
            Node::Look { node, behind: false, negative: false }
                if consumes_later[index] && is_boundary(&node, true) =>
            {
                out.push(Node::Assert(Assertion::NotInsideWord));
            }
            other => match rewrite(other, before) {
                Node::Empty => {}
                node => out.push(node),
            },
        }
        before = after;
    }
    if out.is_empty() { Node::Empty } else { Node::Concat(out) }
}

fn is_literal(node: &Node, code: u32) -> bool {
    matches!(node, Node::Literal(own, super::ast::Fold::None) if *own == code)
}

/// The code point that certainly stands before whatever follows `node`.
fn known_end(node: &Node, before: Option<u32>) -> Option<u32> {
    match node {
        Node::Empty | Node::Assert(_) | Node::Look { .. } => before,
        Node::Literal(code, super::ast::Fold::None) => Some(*code),
        Node::Concat(nodes) => nodes.iter().fold(before, |before, node| known_end(node, before)),
        Node::Alt(nodes) => {
            let mut ends = nodes.iter().map(|node| known_end(node, before));
            let first = ends.next().flatten()?;
            ends.all(|end| end == Some(first)).then_some(first)
        }
        Node::Group(_, node) | Node::Atomic(node) => known_end(node, before),
        Node::Repeat(repeat) => {
            let body = known_end(&repeat.node, None);
            if repeat.min > 0 && !repeat.node.can_be_empty() {
                return body;
            }
            // The body may not take part at all, and then what stood before still does.
            (body.is_some() && body == before && !repeat.node.can_be_empty()).then_some(before).flatten()
        }
        _ => None,
    }
}

/// `\b|\W|$` (the end of a date), or with `begin` `^|\b|\W` (its beginning).
fn is_boundary(node: &Node, begin: bool) -> bool {
    let Node::Alt(parts) = node else { return false };
    let edge = if begin { Assertion::TextStart } else { Assertion::FinalLineEnd };
    let not_word = |node: &Node| match node {
        Node::Class(Class { items, negated: false, ascii: false, .. }) => {
            items.as_slice() == [ClassItem::Perl(Perl::Word, true)]
        }
        _ => false,
    };
    parts.len() == 3
        && parts.contains(&Node::Assert(edge))
        && parts.contains(&Node::Assert(Assertion::WordBoundary(false)))
        && parts.iter().any(not_word)
}
