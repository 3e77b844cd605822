//! Reads a regular expression as Python 3.11's `re` reads a `str` pattern.
//!
//! What Python refuses is refused here with Python's wording and position; what it accepts but cannot be carried
//! over faithfully is an error of its own kind. Nothing is compiled here.

use super::PatternError;
use super::ast::{Assertion, Class, Fold, Greed, Node, Repeat, WIDTH_CAP};
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
        flags: Flags {
            ignore_case: false,
            multi_line,
            dot_all: false,
            verbose: false,
            ascii: false,
        },
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
    Ok(Parsed {
        root,
        names: parser.names,
        groups: parser.widths.len() - 1,
    })
}

impl Parser {
    fn refuse(&self, message: &str, at: usize) -> PatternError {
        PatternError::Syntax {
            message: message.to_string(),
            position: at,
        }
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
        Ok(if branches.len() == 1 {
            branches.remove(0)
        } else {
            Node::Alt(branches)
        })
    }

    fn sequence(&mut self, depth: usize, first: bool) -> Result<Node, PatternError> {
        let mut nodes: Vec<Node> = Vec::new();
        while let Some(token) = self.tokens.peek() {
            if token.is('|') || token.is(')') {
                break;
            }
            let at = self.tokens.position();
            self.tokens.next();
            if token.escaped {
                nodes.push(self.escape(token.character, at)?);
                continue;
            }
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
                '*' => self.repeat(&mut nodes, at, 0, None)?,
                '+' => self.repeat(&mut nodes, at, 1, None)?,
                '?' => self.repeat(&mut nodes, at, 0, Some(1))?,
                '{' => match self.counts(at)? {
                    Some((min, max)) => self.repeat(&mut nodes, at, min, max)?,
                    None => nodes.push(self.literal('{')),
                },
                other => nodes.push(self.literal(other)),
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
        let high = if self.tokens.eat(',') {
            self.tokens.digits()
        } else {
            low.clone()
        };
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
        let max = max
            .filter(|max| *max <= UNLIMITED)
            .and_then(|max| u32::try_from(max).ok());
        Ok(Some((min, max)))
    }

    fn repeat(
        &mut self,
        nodes: &mut Vec<Node>,
        at: usize,
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
        nodes.push(Node::Repeat(Repeat {
            node: Box::new(node),
            min,
            max,
            greed,
            at,
            end,
        }));
        Ok(())
    }

    fn group(
        &mut self,
        start: usize,
        depth: usize,
        global_allowed: bool,
    ) -> Result<Option<Node>, PatternError> {
        if !self.tokens.eat('?') {
            return self.capture(None, start, depth).map(Some);
        }
        let token = self
            .tokens
            .next()
            .ok_or_else(|| self.refuse("unexpected end of pattern", self.tokens.position()))?;
        let at = self.tokens.position();
        match (token.escaped, token.character) {
            (false, 'P') => self.named(start, depth).map(Some),
            (false, ':') => self.plain(start, depth).map(|node| Some(wrap(node))),
            (false, '#') => loop {
                match self.tokens.next() {
                    None => return Err(self.refuse("missing ), unterminated comment", start)),
                    Some(token) if token.is(')') => return Ok(None),
                    Some(_) => {}
                }
            },
            (false, '=') => self.look(start, depth, false, false).map(Some),
            (false, '!') => self.look(start, depth, false, true).map(Some),
            (false, '<') => {
                let next = self.tokens.next().ok_or_else(|| {
                    self.refuse("unexpected end of pattern", self.tokens.position())
                })?;
                if next.is('=') || next.is('!') {
                    return self.look(start, depth, true, next.is('!')).map(Some);
                }
                Err(self.refuse(&format!("unknown extension ?<{next}"), at - 1))
            }
            (false, '(') => self.conditional(start, depth).map(Some),
            (false, '>') => self
                .plain(start, depth)
                .map(|node| Some(Node::Atomic(Box::new(node)))),
            (false, 'a' | 'i' | 'L' | 'm' | 's' | 't' | 'u' | 'x' | '-') => {
                self.flag_group(token.character, start, depth, global_allowed)
            }
            _ => Err(self.refuse(
                &format!("unknown extension ?{token}"),
                at - token.width() - 1,
            )),
        }
    }

    fn close(&mut self, start: usize) -> Result<(), PatternError> {
        if self.tokens.eat(')') {
            Ok(())
        } else {
            Err(self.refuse("missing ), unterminated subpattern", start))
        }
    }

    fn plain(&mut self, start: usize, depth: usize) -> Result<Node, PatternError> {
        let outer = self.flags;
        let node = self.alternatives(depth + 1)?;
        self.flags = outer;
        self.close(start)?;
        Ok(node)
    }

    fn capture(
        &mut self,
        name: Option<(String, usize)>,
        start: usize,
        depth: usize,
    ) -> Result<Node, PatternError> {
        let index = self.widths.len();
        self.widths.push(None);
        if let Some((name, at)) = name {
            if let Some((_, other)) = self.names.iter().find(|(known, _)| *known == name) {
                let message = format!(
                    "redefinition of group name '{name}' as group {index}; was group {other}"
                );
                return Err(self.refuse(&message, at));
            }
            self.names.push((name, index));
        }
        let node = self.plain(start, depth)?;
        self.widths[index] = Some(node.width(&self.widths));
        Ok(Node::Group(index, Box::new(node)))
    }

    fn named(&mut self, start: usize, depth: usize) -> Result<Node, PatternError> {
        if self.tokens.eat('<') {
            let name = self.name('>', "group name")?;
            return self.capture(Some(name), start, depth);
        }
        if self.tokens.eat('=') {
            let (name, at) = self.name(')', "group name")?;
            let group = self.group_of(&name, at)?;
            self.check_reference(group, at)?;
            return Ok(Node::Backref(group, self.flags.fold()));
        }
        let at = self.tokens.position();
        match self.tokens.next() {
            None => Err(self.refuse("unexpected end of pattern", at)),
            Some(token) => Err(self.refuse(&format!("unknown extension ?P{token}"), at - 2)),
        }
    }

    fn group_of(&self, name: &str, at: usize) -> Result<usize, PatternError> {
        let found = self.names.iter().find(|(known, _)| known == name);
        found
            .map(|(_, group)| *group)
            .ok_or_else(|| self.refuse(&format!("unknown group name '{name}'"), at))
    }

    /// A name up to `terminator`, checked to be an identifier, and where it stands.
    fn name(&mut self, terminator: char, what: &str) -> Result<(String, usize), PatternError> {
        let at = self.tokens.position();
        let name = self.tokens.until(terminator, what)?;
        if !is_identifier(&name) {
            return Err(self.refuse(&format!("bad character in group name '{name}'"), at));
        }
        Ok((name, at))
    }

    fn check_reference(&self, group: usize, at: usize) -> Result<(), PatternError> {
        let closed = self.widths.get(group).copied().flatten().is_some();
        if !closed {
            return Err(self.refuse("cannot refer to an open group", at));
        }
        self.check_look_behind(group, at)
    }

    fn check_look_behind(&self, group: usize, at: usize) -> Result<(), PatternError> {
        let Some(known) = self.look_behind_groups else {
            return Ok(());
        };
        if self.widths.get(group).copied().flatten().is_none() {
            return Err(self.refuse("cannot refer to an open group", at));
        }
        if group >= known {
            return Err(self.refuse(
                "cannot refer to group defined in the same lookbehind subpattern",
                at,
            ));
        }
        Ok(())
    }

    fn look(
        &mut self,
        start: usize,
        depth: usize,
        behind: bool,
        negative: bool,
    ) -> Result<Node, PatternError> {
        let outer = self.look_behind_groups;
        if behind && outer.is_none() {
            self.look_behind_groups = Some(self.widths.len());
        }
        let node = self.plain(start, depth)?;
        if behind && outer.is_none() {
            self.look_behind_groups = None;
        }
        if behind {
            let (low, high) = node.width(&self.widths);
            if low != high || high >= WIDTH_CAP {
                return Err(self.refuse("look-behind requires fixed-width pattern", start));
            }
        }
        Ok(Node::Look {
            node: Box::new(node),
            behind,
            negative,
        })
    }

    fn conditional(&mut self, start: usize, depth: usize) -> Result<Node, PatternError> {
        let at = self.tokens.position();
        let name = self.tokens.until(')', "group name")?;
        let group = if is_identifier(&name) {
            self.group_of(&name, at)?
        } else {
            let group = match name.parse::<usize>() {
                Ok(group) if name.bytes().all(|byte| byte.is_ascii_digit()) => group,
                _ => return Err(self.refuse(&format!("bad character in group name '{name}'"), at)),
            };
            if group == 0 {
                return Err(self.refuse("bad group number", at));
            }
            self.tested.push((group, at));
            group
        };
        self.check_look_behind(group, at)?;
        let outer = self.flags;
        let yes = self.sequence(depth + 1, false)?;
        let no = if self.tokens.eat('|') {
            let no = self.sequence(depth + 1, false)?;
            if self.tokens.peek().is_some_and(|token| token.is('|')) {
                return Err(self.refuse(
                    "conditional backref with more than two branches",
                    self.tokens.position(),
                ));
            }
            no
        } else {
            Node::Empty
        };
        self.flags = outer;
        self.close(start)?;
        Ok(Node::Conditional {
            group,
            yes: Box::new(yes),
            no: Box::new(no),
        })
    }

    /// `(?i)` at the start, or `(?i-s:…)`.
    fn flag_group(
        &mut self,
        first: char,
        start: usize,
        depth: usize,
        global_allowed: bool,
    ) -> Result<Option<Node>, PatternError> {
        let (on, off, end) = self.flag_letters(first)?;
        if end == ')' {
            if !global_allowed {
                return Err(self.refuse("global flags not at the start of the expression", start));
            }
            on.chars().for_each(|flag| self.flags.set(flag, true));
            return Ok(None);
        }
        if let Some(flag) = on.chars().find(|flag| off.contains(*flag)) {
            return Err(self.refuse(
                &format!("bad inline flags: flag '{flag}' turned on and off"),
                start,
            ));
        }
        let outer = self.flags;
        on.chars().for_each(|flag| self.flags.set(flag, true));
        off.chars().for_each(|flag| self.flags.set(flag, false));
        let node = self.alternatives(depth + 1)?;
        self.flags = outer;
        self.close(start)?;
        Ok(Some(wrap(node)))
    }

    /// The letters turned on, the letters turned off, and the character that ended them: `)` or `:`.
    fn flag_letters(&mut self, first: char) -> Result<(String, String, char), PatternError> {
        let (mut on, mut off, mut negative) = (String::new(), String::new(), false);
        let mut letter = first;
        loop {
            let at = self.tokens.position() - 1;
            match letter {
                '-' if !negative => {
                    negative = true;
                    if !self
                        .tokens
                        .peek()
                        .is_some_and(|token| !token.escaped && "aiLmstux".contains(token.character))
                    {
                        return Err(self.refuse("missing flag", at + 1));
                    }
                }
                ')' if !negative => return Ok((on, off, ')')),
                ':' => return Ok((on, off, ':')),
                'L' if !negative => {
                    return Err(self.refuse(
                        "bad inline flags: cannot use 'L' flag with a str pattern",
                        at,
                    ));
                }
                'a' | 'u' | 'L' if negative => {
                    return Err(self.refuse(
                        "bad inline flags: cannot turn off flags 'a', 'u' and 'L'",
                        at,
                    ));
                }
                't' => {
                    return Err(PatternError::Unsupported {
                        construct: "the flag 't'".to_string(),
                        position: at,
                    });
                }
                'a' if on.contains('u') => {
                    return Err(self.refuse(
                        "bad inline flags: flags 'a', 'u' and 'L' are incompatible",
                        at,
                    ));
                }
                'u' if on.contains('a') => {
                    return Err(self.refuse(
                        "bad inline flags: flags 'a', 'u' and 'L' are incompatible",
                        at,
                    ));
                }
                'a' | 'i' | 'm' | 's' | 'u' | 'x' if negative => off.push(letter),
                'a' | 'i' | 'm' | 's' | 'u' | 'x' => on.push(letter),
                other if other.is_alphabetic() => return Err(self.refuse("unknown flag", at)),
                _ => {
                    return Err(self.refuse(
                        if negative {
                            "missing :"
                        } else {
                            "missing -, : or )"
                        },
                        at,
                    ));
                }
            }
            letter = match self.tokens.next() {
                Some(token) if !token.escaped => token.character,
                _ => {
                    return Err(self.refuse(
                        if negative {
                            "missing :"
                        } else {
                            "missing -, : or )"
                        },
                        self.tokens.position(),
                    ));
                }
            };
        }
    }

    fn class(&mut self, at: usize) -> Result<Node, PatternError> {
        let (items, negated) = self.tokens.class(at)?;
        Ok(Node::Class(Class {
            items,
            negated,
            fold: self.flags.fold(),
            ascii: self.flags.ascii,
        }))
    }

    fn escape(&mut self, character: char, at: usize) -> Result<Node, PatternError> {
        let groups = self.widths.len();
        Ok(match self.tokens.escape(character, at, groups)? {
            Escaped::Literal(code) => Node::Literal(code, self.flags.fold()),
            Escaped::Perl(item) => Node::Class(Class {
                items: vec![item],
                negated: false,
                fold: Fold::None,
                ascii: self.flags.ascii,
            }),
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

/// Hides the shape of a group's content, so that a quantifier after it applies to the group: `(?:a*)*`, `(?:^)*`.
fn wrap(node: Node) -> Node {
    match node {
        Node::Repeat(_) | Node::Assert(_) => Node::Concat(vec![node]),
        other => other,
    }
}

/// Python's `str.isidentifier`, for letters outside ASCII by their general nature.
fn is_identifier(name: &str) -> bool {
    let mut characters = name.chars();
    characters
        .next()
        .is_some_and(|first| first == '_' || first.is_alphabetic())
        && characters.all(|other| other == '_' || other.is_alphanumeric())
}
