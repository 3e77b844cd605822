//! Reads a regular expression as Python 3.11's `re` reads a `str` pattern.
//!
//! What Python refuses is refused here with Python's wording and position; what it accepts but cannot be carried
//! over faithfully is an error of its own kind. Nothing is compiled here.

mod group;

use super::ast::{Assertion, Class, ClassItem, Fold, Greed, Node, Perl, Repeat};
use super::error::PatternError;
use super::escape::{Escaped, Tokens};

/// Groups nested deeper than this are refused, so that no pattern exhausts the stack.
const MAX_DEPTH: usize = 100;
/// Python's limit for a count in `{…}`.
const MAX_REPEAT: u64 = 4_294_967_295;
/// A count above this is the same as no limit, since no text is that long.
const UNLIMITED: u64 = 70_000;

/// A pattern after parsing.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The whole pattern.
    pub root: Node,
    /// Group names with their numbers, in order of number.
    pub names: Vec<(String, usize)>,
    /// Number of capturing groups, not counting the whole match.
    pub groups: usize,
}

#[derive(Clone, Copy)]
struct Flags {
    ignore_case: bool,
    multi_line: bool,
    dot_all: bool,
    verbose: bool,
    ascii: bool,
}

impl Flags {
    fn fold(self) -> Fold {
        match (self.ignore_case, self.ascii) {
            (false, _) => Fold::None,
            (true, true) => Fold::Ascii,
            (true, false) => Fold::Unicode,
        }
    }

    fn set(&mut self, flag: char, on: bool) {
        match flag {
            'i' => self.ignore_case = on,
            'm' => self.multi_line = on,
            's' => self.dot_all = on,
            'x' => self.verbose = on,
            'a' => self.ascii = on,
            // The parser has refused every letter but these and `u`.
            _ => self.ascii = false,
        }
    }
}

struct Parser {
    tokens: Tokens,
    /// Width of each group from 0; `None` while it is open.
    widths: Vec<Option<(u64, u64)>>,
    names: Vec<(String, usize)>,
    /// Number of groups when the outermost look-behind began.
    look_behind_groups: Option<usize>,
    /// Numbers tested by conditionals, with their positions: valid only if such a group exists in the end.
    tested: Vec<(usize, usize)>,
    flags: Flags,
}

/// Parses `pattern`; `multi_line` is Python's `re.MULTILINE`.
pub fn parse(pattern: &str, multi_line: bool) -> Result<Parsed, PatternError> {
    let mut parser = Parser {
        tokens: Tokens::new(pattern)?,
        widths: vec![None],
        names: Vec::new(),
        look_behind_groups: None,
        tested: Vec::new(),
        flags: Flags { ignore_case: false, multi_line, dot_all: false, verbose: false, ascii: false },
    };
    let root = parser.alternatives(0)?;
    if parser.tokens.peek().is_some() {
        return Err(parser.refuse("unbalanced parenthesis", parser.tokens.position()));
    }
    for (group, at) in &parser.tested {
        if *group >= parser.widths.len() {
            return Err(parser.refuse(&format!("invalid group reference {group}"), *at));
        }
    }
    Ok(Parsed { root, names: parser.names, groups: parser.widths.len() - 1 })
}

impl Parser {
    fn refuse(&self, message: &str, at: usize) -> PatternError {
        PatternError::Syntax { message: message.to_string(), position: at }
    }

    fn alternatives(&mut self, depth: usize) -> Result<Node, PatternError> {
        if depth > MAX_DEPTH {
            return Err(PatternError::Unsupported {
                construct: format!("groups nested deeper than {MAX_DEPTH}"),
                position: self.tokens.position(),
            });
        }
        let mut branches = vec![self.sequence(depth, depth == 0)?];
        while self.tokens.eat('|') {
            branches.push(self.sequence(depth, false)?);
        }
        Ok(if branches.len() == 1 { branches.remove(0) } else { Node::Alt(branches) })
    }

    fn sequence(&mut self, depth: usize, first: bool) -> Result<Node, PatternError> {
        let mut nodes: Vec<Node> = Vec::new();
        // Where the last node begins, for the messages about its repetition.
        let mut start = 0;
        while let Some(token) = self.tokens.peek() {
            if token.is('|') || token.is(')') {
                break;
            }
            let at = self.tokens.position();
            self.tokens.next();
            if token.escaped {
                nodes.push(self.escape(token.character, at)?);
                start = at;
                continue;
            }
            let known = nodes.len();
            match token.character {
                ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' if self.flags.verbose => {}
                '#' if self.flags.verbose => self.skip_comment(),
                '[' => nodes.push(self.class(at)?),
                '.' => nodes.push(Node::Any(self.flags.dot_all)),
                '^' => nodes.push(Node::Assert(if self.flags.multi_line {
                    Assertion::LineStart
                } else {
                    Assertion::TextStart
                })),
                '$' => nodes.push(Node::Assert(if self.flags.multi_line {
                    Assertion::LineEnd
                } else {
                    Assertion::FinalLineEnd
                })),
                '(' => {
                    if let Some(node) = self.group(at, depth, first && nodes.is_empty())? {
                        nodes.push(node);
                    }
                }
                '*' => self.repeat(&mut nodes, (start, at), 0, None)?,
                '+' => self.repeat(&mut nodes, (start, at), 1, None)?,
                '?' => self.repeat(&mut nodes, (start, at), 0, Some(1))?,
                '{' => match self.counts(at)? {
                    Some((min, max)) => self.repeat(&mut nodes, (start, at), min, max)?,
                    None => nodes.push(self.literal('{')),
                },
                other => nodes.push(self.literal(other)),
            }
            if nodes.len() > known {
                start = at;
            }
        }
        Ok(match nodes.len() {
            0 => Node::Empty,
            1 => nodes.remove(0),
            _ => Node::Concat(nodes),
        })
    }

    fn literal(&self, character: char) -> Node {
        Node::Literal(character as u32, self.flags.fold())
    }

    fn skip_comment(&mut self) {
        while let Some(token) = self.tokens.next() {
            if token.is('\n') {
                break;
            }
        }
    }

    /// `{2,5}` after its brace: the counts, or `None` when it is an ordinary brace.
    fn counts(&mut self, at: usize) -> Result<Option<(u32, Option<u32>)>, PatternError> {
        if self.tokens.peek().is_some_and(|token| token.is('}')) {
            return Ok(None);
        }
        let back = self.tokens.mark();
        let low = self.tokens.digits();
        let high = if self.tokens.eat(',') { self.tokens.digits() } else { low.clone() };
        if !self.tokens.eat('}') {
            self.tokens.reset(back);
            return Ok(None);
        }
        let number = |digits: &str| -> Result<Option<u64>, PatternError> {
            if digits.is_empty() {
                return Ok(None);
            }
            match digits.parse::<u64>() {
                Ok(number) if number < MAX_REPEAT => Ok(Some(number)),
                _ => Err(PatternError::Syntax {
                    message: "the repetition number is too large".to_string(),
                    position: at,
                }),
            }
        };
        let (min, max) = (number(&low)?.unwrap_or(0), number(&high)?);
        if max.is_some_and(|max| max < min) {
            return Err(self.refuse("min repeat greater than max repeat", at + 1));
        }
        // A minimum that no text reaches is kept as it is: the engine then refuses it for its size.
        let min = u32::try_from(min).unwrap_or(u32::MAX);
        let max = max.filter(|max| *max <= UNLIMITED).and_then(|max| u32::try_from(max).ok());
        Ok(Some((min, max)))
    }

    fn repeat(
        &mut self,
        nodes: &mut Vec<Node>,
        (start, at): (usize, usize),
        min: u32,
        max: Option<u32>,
    ) -> Result<(), PatternError> {
        let node = match nodes.last() {
            None | Some(Node::Assert(_)) => return Err(self.refuse("nothing to repeat", at)),
            Some(Node::Repeat(_)) => return Err(self.refuse("multiple repeat", at)),
            Some(_) => nodes.pop().unwrap_or(Node::Empty),
        };
        let greed = if self.tokens.eat('?') {
            Greed::Lazy
        } else if self.tokens.eat('+') {
            Greed::Possessive
        } else {
            Greed::Greedy
        };
        let end = self.tokens.position();
        let is_hopeless = u64::from(min) > UNLIMITED && !node.can_be_empty();
        if is_hopeless && !node.any(&|node| matches!(node, Node::Group(..))) {
            // No text is that long, and no engine need count so far: it matches nothing.
            let items = vec![ClassItem::Perl(Perl::Space, false), ClassItem::Perl(Perl::Space, true)];
            nodes.push(Node::Class(Class { items, negated: true, fold: Fold::None, ascii: false }));
            return Ok(());
        }
        nodes.push(Node::Repeat(Repeat { node: Box::new(node), min, max, greed, start, end }));
        Ok(())
    }

    fn class(&mut self, at: usize) -> Result<Node, PatternError> {
        let (items, negated) = self.tokens.class(at)?;
        Ok(Node::Class(Class { items, negated, fold: self.flags.fold(), ascii: self.flags.ascii }))
    }

    fn escape(&mut self, character: char, at: usize) -> Result<Node, PatternError> {
        let groups = self.widths.len();
        Ok(match self.tokens.escape(character, at, groups)? {
            Escaped::Literal(code) => Node::Literal(code, self.flags.fold()),
            Escaped::Perl(item) => {
                Node::Class(Class { items: vec![item], negated: false, fold: Fold::None, ascii: self.flags.ascii })
            }
            Escaped::TextStart => Node::Assert(Assertion::TextStart),
            Escaped::TextEnd => Node::Assert(Assertion::TextEnd),
            Escaped::Boundary => Node::Assert(Assertion::WordBoundary(self.flags.ascii)),
            Escaped::NotBoundary => Node::Assert(Assertion::NotWordBoundary(self.flags.ascii)),
            Escaped::Group(group) => {
                self.check_reference(group, at)?;
                Node::Backref(group, self.flags.fold())
            }
        })
    }
}
