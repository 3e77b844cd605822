//! Everything that begins with a parenthesis: groups, look-around, conditionals, flags.

use super::super::ast::{Node, WIDTH_CAP};
use super::super::error::PatternError;
use super::Parser;

impl Parser {
    pub(super) fn group(
        &mut self,
        start: usize,
        depth: usize,
        global_allowed: bool,
    ) -> Result<Option<Node>, PatternError> {
        if !self.tokens.eat('?') {
            return self.capture(None, start, depth).map(Some);
        }
        let token =
            self.tokens.next().ok_or_else(|| self.refuse("unexpected end of pattern", self.tokens.position()))?;
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
                let next = self
                    .tokens
                    .next()
                    .ok_or_else(|| self.refuse("unexpected end of pattern", self.tokens.position()))?;
                if next.is('=') || next.is('!') {
                    return self.look(start, depth, true, next.is('!')).map(Some);
                }
                Err(self.refuse(&format!("unknown extension ?<{next}"), at - 1))
            }
            (false, '(') => self.conditional(start, depth).map(Some),
            (false, '>') => self.plain(start, depth).map(|node| Some(Node::Atomic(Box::new(node)))),
            (false, 'a' | 'i' | 'L' | 'm' | 's' | 't' | 'u' | 'x' | '-') => {
                self.flag_group(token.character, start, depth, global_allowed)
            }
            _ => Err(self.refuse(&format!("unknown extension ?{token}"), at - token.width() - 1)),
        }
    }

    fn close(&mut self, start: usize) -> Result<(), PatternError> {
        if self.tokens.eat(')') { Ok(()) } else { Err(self.refuse("missing ), unterminated subpattern", start)) }
    }

    fn plain(&mut self, start: usize, depth: usize) -> Result<Node, PatternError> {
        let outer = self.flags;
        let node = self.alternatives(depth + 1)?;
        self.flags = outer;
        self.close(start)?;
        Ok(node)
    }

    fn capture(&mut self, name: Option<(String, usize)>, start: usize, depth: usize) -> Result<Node, PatternError> {
        let index = self.widths.len();
        self.widths.push(None);
        if let Some((name, at)) = name {
            if let Some((_, other)) = self.names.iter().find(|(known, _)| *known == name) {
                let message = format!("redefinition of group name '{name}' as group {index}; was group {other}");
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
        found.map(|(_, group)| *group).ok_or_else(|| self.refuse(&format!("unknown group name '{name}'"), at))
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

    pub(super) fn check_reference(&self, group: usize, at: usize) -> Result<(), PatternError> {
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
            return Err(self.refuse("cannot refer to group defined in the same lookbehind subpattern", at));
        }
        Ok(())
    }

    fn look(&mut self, start: usize, depth: usize, behind: bool, negative: bool) -> Result<Node, PatternError> {
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
        Ok(Node::Look { node: Box::new(node), behind, negative })
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
        if self.widths.get(group).is_some_and(Option::is_none) {
            let construct = "a conditional inside the group it asks for".to_string();
            return Err(PatternError::Unsupported { construct, position: at });
        }
        let outer = self.flags;
        let yes = self.sequence(depth + 1, false)?;
        let no = if self.tokens.eat('|') {
            let no = self.sequence(depth + 1, false)?;
            if self.tokens.peek().is_some_and(|token| token.is('|')) {
                return Err(self.refuse("conditional backref with more than two branches", self.tokens.position()));
            }
            no
        } else {
            Node::Empty
        };
        self.flags = outer;
        self.close(start)?;
        Ok(Node::Conditional { group, yes: Box::new(yes), no: Box::new(no) })
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
            return Err(self.refuse(&format!("bad inline flags: flag '{flag}' turned on and off"), start));
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
                    if !self.tokens.peek().is_some_and(|token| !token.escaped && "aiLmstux".contains(token.character)) {
                        return Err(self.refuse("missing flag", at + 1));
                    }
                }
                ')' if !negative => return Ok((on, off, ')')),
                ':' => return Ok((on, off, ':')),
                'L' if !negative => {
                    return Err(self.refuse("bad inline flags: cannot use 'L' flag with a str pattern", at));
                }
                'a' | 'u' | 'L' if negative => {
                    return Err(self.refuse("bad inline flags: cannot turn off flags 'a', 'u' and 'L'", at));
                }
                't' => {
                    return Err(PatternError::Unsupported { construct: "the flag 't'".to_string(), position: at });
                }
                'a' if on.contains('u') => {
                    return Err(self.refuse("bad inline flags: flags 'a', 'u' and 'L' are incompatible", at));
                }
                'u' if on.contains('a') => {
                    return Err(self.refuse("bad inline flags: flags 'a', 'u' and 'L' are incompatible", at));
                }
                'a' | 'i' | 'm' | 's' | 'u' | 'x' if negative => off.push(letter),
                'a' | 'i' | 'm' | 's' | 'u' | 'x' => on.push(letter),
                other if other.is_alphabetic() => return Err(self.refuse("unknown flag", at)),
                _ => {
                    return Err(self.refuse(if negative { "missing :" } else { "missing -, : or )" }, at));
                }
            }
            letter = match self.tokens.next() {
                Some(token) if !token.escaped => token.character,
                _ => {
                    return Err(
                        self.refuse(if negative { "missing :" } else { "missing -, : or )" }, self.tokens.position())
                    );
                }
            };
        }
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
    characters.next().is_some_and(|first| first == '_' || first.is_alphabetic())
        && characters.all(|other| other == '_' || other.is_alphanumeric())
}
