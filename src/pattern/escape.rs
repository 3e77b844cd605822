//! The characters of a pattern: tokens, backslash escapes and character classes of Python's dialect.
//!
//! Knows nothing of groups and quantifiers (see `parse`).

use std::fmt;

use super::ast::{ClassItem, Perl};
use super::error::PatternError;

/// One character of the pattern, or a backslash with the character after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// The character.
    pub character: char,
    /// True when a backslash stands before it.
    pub escaped: bool,
}

impl Token {
    /// True for this character without a backslash.
    pub fn is(self, character: char) -> bool {
        !self.escaped && self.character == character
    }

    /// Characters it takes in the pattern: 1 or 2.
    pub fn width(self) -> usize {
        1 + usize::from(self.escaped)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.escaped { write!(f, "\\{}", self.character) } else { write!(f, "{}", self.character) }
    }
}

/// What a backslash escape outside a class stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escaped {
    /// A code point.
    Literal(u32),
    /// `\d` and its family.
    Perl(ClassItem),
    /// `\A`.
    TextStart,
    /// `\Z`.
    TextEnd,
    /// `\b`.
    Boundary,
    /// `\B`.
    NotBoundary,
    /// `\1` to `\99`.
    Group(usize),
}

/// Reads a pattern token by token. Positions are in characters from 0, as Python counts.
pub struct Tokens {
    characters: Vec<char>,
    index: usize,
}

impl Tokens {
    /// Fails on a backslash with nothing after it.
    pub fn new(pattern: &str) -> Result<Tokens, PatternError> {
        let characters: Vec<char> = pattern.chars().collect();
        let trailing = characters.iter().rev().take_while(|character| **character == '\\').count();
        if trailing % 2 == 1 {
            return Err(refuse("bad escape (end of pattern)", characters.len() - 1));
        }
        Ok(Tokens { characters, index: 0 })
    }

    /// Position of the next token.
    pub fn position(&self) -> usize {
        self.index
    }

    /// The next token without taking it.
    pub fn peek(&self) -> Option<Token> {
        let character = *self.characters.get(self.index)?;
        if character != '\\' {
            return Some(Token { character, escaped: false });
        }
        self.characters.get(self.index + 1).map(|after| Token { character: *after, escaped: true })
    }

    /// Takes the next token.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<Token> {
        let token = self.peek()?;
        self.index += token.width();
        Some(token)
    }

    /// Takes the next token if it is this character without a backslash.
    pub fn eat(&mut self, character: char) -> bool {
        let found = self.peek().is_some_and(|token| token.is(character));
        if found {
            self.index += 1;
        }
        found
    }

    /// A place to come back to.
    pub fn mark(&self) -> usize {
        self.index
    }

    /// Comes back to a place.
    pub fn reset(&mut self, mark: usize) {
        self.index = mark;
    }

    /// Takes decimal digits, as many as there are.
    pub fn digits(&mut self) -> String {
        self.take_while(usize::MAX, |character| character.is_ascii_digit())
    }

    fn take_while(&mut self, most: usize, wanted: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(token) = self.peek() {
            if token.escaped || !wanted(token.character) || taken.len() >= most {
                break;
            }
            taken.push(token.character);
            self.index += 1;
        }
        taken
    }

    /// Takes everything up to `terminator`, and the terminator.
    pub fn until(&mut self, terminator: char, what: &str) -> Result<String, PatternError> {
        let (start, mut taken) = (self.index, String::new());
        loop {
            match self.next() {
                None if taken.is_empty() => {
                    return Err(refuse(&format!("missing {what}"), self.index));
                }
                None => {
                    return Err(refuse(&format!("missing {terminator}, unterminated name"), start));
                }
                Some(token) if token.is(terminator) && taken.is_empty() => {
                    return Err(refuse(&format!("missing {what}"), start));
                }
                Some(token) if token.is(terminator) => return Ok(taken),
                Some(token) => taken.push_str(&token.to_string()),
            }
        }
    }

    /// The escape whose backslash stands at `at` and whose character has been taken. `groups` is the number of groups
    /// opened so far, the whole match included.
    pub fn escape(&mut self, character: char, at: usize, groups: usize) -> Result<Escaped, PatternError> {
        match character {
            'A' => return Ok(Escaped::TextStart),
            'Z' => return Ok(Escaped::TextEnd),
            'b' => return Ok(Escaped::Boundary),
            'B' => return Ok(Escaped::NotBoundary),
            '0' => {
                let digits = self.take_while(2, |digit| ('0'..='7').contains(&digit));
                return Ok(Escaped::Literal(u32::from_str_radix(&format!("0{digits}"), 8).unwrap_or(0)));
            }
            '1'..='9' => return self.reference(character, at, groups),
            _ => {}
        }
        if let Some(item) = perl(character) {
            return Ok(Escaped::Perl(item));
        }
        self.character_escape(character, at).map(Escaped::Literal)
    }

    /// `\12` is a group, `\123` an octal escape.
    fn reference(&mut self, first: char, at: usize, groups: usize) -> Result<Escaped, PatternError> {
        let mut digits = first.to_string();
        digits.push_str(&self.take_while(1, |digit| digit.is_ascii_digit()));
        let octal = |text: &str| text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        if digits.len() == 2 && octal(&digits) {
            let third = self.take_while(1, |digit| ('0'..='7').contains(&digit));
            if !third.is_empty() {
                digits.push_str(&third);
                return octal_value(&digits, at).map(Escaped::Literal);
            }
        }
        let group: usize = digits.parse().unwrap_or(usize::MAX);
        if group < groups {
            Ok(Escaped::Group(group))
        } else {
            Err(refuse(&format!("invalid group reference {group}"), at + 1))
        }
    }

    /// `{DIGIT ONE}` behind `\N`. Only ASCII's names are known here.
    fn named_character(&mut self, at: usize) -> Result<u32, PatternError> {
        let open = self.take_while(1, |letter| letter == '{');
        if open.is_empty() {
            return Err(refuse("missing {", at + 2));
        }
        let name = self.take_while(usize::MAX, |letter| letter != '}');
        if name.is_empty() {
            return Err(refuse("missing character name", at + 3));
        }
        if self.take_while(1, |letter| letter == '}').is_empty() {
            return Err(refuse("missing }, unterminated name", at + 3));
        }
        char_named(&name).ok_or_else(|| PatternError::Unsupported {
            construct: format!(
                "the character name '{name}', of which only those of ASCII are known; give its number as \\uXXXX"
            ),
            position: at,
        })
    }

    /// Escapes that mean the same inside and outside a class.
    fn character_escape(&mut self, character: char, at: usize) -> Result<u32, PatternError> {
        let digits = match character {
            'a' => return Ok(7),
            'f' => return Ok(12),
            'n' => return Ok(10),
            'r' => return Ok(13),
            't' => return Ok(9),
            'v' => return Ok(11),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            'N' => return self.named_character(at),
            other if other.is_ascii_alphanumeric() => {
                return Err(refuse(&format!("bad escape \\{other}"), at));
            }
            other => return Ok(other as u32),
        };
        let text = self.take_while(digits, |digit| digit.is_ascii_hexdigit());
        if text.len() != digits {
            return Err(refuse(&format!("incomplete escape \\{character}{text}"), at));
        }
        match u32::from_str_radix(&text, 16) {
            Ok(code) if code <= 0x10_ffff => Ok(code),
            _ => Err(refuse(&format!("bad escape \\{character}{text}"), at)),
        }
    }

    /// A class after its `[`, which stands at `at`: its members, and whether it is negated.
    pub fn class(&mut self, at: usize) -> Result<(Vec<ClassItem>, bool), PatternError> {
        let unterminated = || refuse("unterminated character set", at);
        let negated = self.eat('^');
        let mut items = Vec::new();
        loop {
            let start = self.index;
            let token = self.next().ok_or_else(unterminated)?;
            if token.is(']') && !items.is_empty() {
                return Ok((items, negated));
            }
            let low = self.class_member(token, start)?;
            if !self.eat('-') {
                items.push(low);
                continue;
            }
            let high_start = self.index;
            let token_high = self.next().ok_or_else(unterminated)?;
            if token_high.is(']') {
                items.push(low);
                items.push(ClassItem::Range('-' as u32, '-' as u32));
                return Ok((items, negated));
            }
            let high = self.class_member(token_high, high_start)?;
            match (low, high) {
                (ClassItem::Range(low, _), ClassItem::Range(high, _)) if low <= high => {
                    items.push(ClassItem::Range(low, high))
                }
                _ => {
                    return Err(refuse(&format!("bad character range {token}-{token_high}"), start));
                }
            }
        }
    }

    fn class_member(&mut self, token: Token, at: usize) -> Result<ClassItem, PatternError> {
        let single = |code: u32| ClassItem::Range(code, code);
        if !token.escaped {
            return Ok(single(token.character as u32));
        }
        if let Some(item) = perl(token.character) {
            return Ok(item);
        }
        match token.character {
            'b' => Ok(single(8)),
            '0'..='7' => {
                let more = self.take_while(2, |digit| ('0'..='7').contains(&digit));
                octal_value(&format!("{}{more}", token.character), at).map(single)
            }
            other => self.character_escape(other, at).map(single),
        }
    }
}

/// The names of ASCII's characters that are no letters and digits, from the blank on, those of the others left out.
const SIGNS: &str = "SPACE,EXCLAMATION MARK,QUOTATION MARK,NUMBER SIGN,DOLLAR SIGN,PERCENT SIGN,AMPERSAND,APOSTROPHE,LEFT PARENTHESIS,\
RIGHT PARENTHESIS,ASTERISK,PLUS SIGN,COMMA,HYPHEN-MINUS,FULL STOP,SOLIDUS,\
COLON,SEMICOLON,LESS-THAN SIGN,EQUALS SIGN,GREATER-THAN SIGN,QUESTION MARK,COMMERCIAL AT,\
LEFT SQUARE BRACKET,REVERSE SOLIDUS,RIGHT SQUARE BRACKET,CIRCUMFLEX ACCENT,LOW LINE,GRAVE ACCENT,\
LEFT CURLY BRACKET,VERTICAL LINE,RIGHT CURLY BRACKET,TILDE";
const DIGITS: [&str; 10] = ["ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE"];

/// The character of ASCII with this name, which may be in any case.
fn char_named(name: &str) -> Option<u32> {
    let name = name.to_ascii_uppercase();
    let letter = |first: u32, text: &str| match text.as_bytes() {
        [letter @ b'A'..=b'Z'] => Some(first + u32::from(letter - b'A')),
        _ => None,
    };
    if let Some(text) = name.strip_prefix("LATIN SMALL LETTER ") {
        return letter(u32::from(b'a'), text);
    }
    if let Some(text) = name.strip_prefix("LATIN CAPITAL LETTER ") {
        return letter(u32::from(b'A'), text);
    }
    if let Some(text) = name.strip_prefix("DIGIT ") {
        return Some(u32::from(b'0') + u32::try_from(DIGITS.iter().position(|digit| *digit == text)?).ok()?);
    }
    let signs = (' '..='~').filter(|sign| !sign.is_ascii_alphanumeric());
    SIGNS.split(',').zip(signs).find(|(known, _)| *known == name).map(|(_, sign)| u32::from(sign))
}

fn perl(character: char) -> Option<ClassItem> {
    let kind = match character.to_ascii_lowercase() {
        'd' => Perl::Digit,
        'w' => Perl::Word,
        's' => Perl::Space,
        _ => return None,
    };
    Some(ClassItem::Perl(kind, character.is_ascii_uppercase()))
}

fn octal_value(digits: &str, at: usize) -> Result<u32, PatternError> {
    match u32::from_str_radix(digits, 8) {
        Ok(code) if code <= 0o377 => Ok(code),
        _ => Err(refuse(&format!("octal escape value \\{digits} outside of range 0-0o377"), at)),
    }
}

fn refuse(message: &str, position: usize) -> PatternError {
    PatternError::Syntax { message: message.to_string(), position }
}
