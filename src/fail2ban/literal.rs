//! Reads Python literals, which is how `fail2ban-client -d` prints the commands it would send.
//!
//! Only what `repr` of plain data prints is read: no expressions, no bytes, no sets. Any text gives a value or nothing.

use super::value::Value;

/// How deep lists may nest; the client's own go to four.
const MAX_DEPTH: usize = 32;

/// The value of a text that is one Python literal and nothing else.
pub fn parse(text: &str) -> Option<Value> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.blanks();
    (reader.at == text.len()).then_some(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn take(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.blanks();
        match self.peek()? {
            '[' => Some(Value::List(self.items(']', depth)?.0)),
            '(' => {
                let (mut items, comma) = self.items(')', depth)?;
                // Without a comma these are just parentheses.
                if items.len() == 1 && !comma { items.pop() } else { Some(Value::Tuple(items)) }
            }
            '{' => self.dictionary(depth),
            '\'' | '"' => self.string(),
            // Python 2 marks its texts.
            'u' if self.rest().starts_with("u'") || self.rest().starts_with("u\"") => {
                self.at += 1;
                self.string()
            }
            _ => self.word(),
        }
    }

    /// Items up to the closing bracket, and whether a comma came last.
    fn items(&mut self, close: char, depth: usize) -> Option<(Vec<Value>, bool)> {
        self.next()?;
        let (mut items, mut comma) = (Vec::new(), false);
        loop {
            self.blanks();
            if self.peek()? == close {
                self.next()?;
                return Some((items, comma));
            }
            if !items.is_empty() && !comma {
                return None;
            }
            items.push(self.value(depth + 1)?);
            self.blanks();
            comma = self.take(",");
        }
    }

    fn dictionary(&mut self, depth: usize) -> Option<Value> {
        self.next()?;
        let (mut pairs, mut comma) = (Vec::new(), true);
        loop {
            self.blanks();
            if self.take("}") {
                return Some(Value::Dict(pairs));
            }
            if !comma {
                return None;
            }
            let key = self.value(depth + 1)?;
            self.blanks();
            if !self.take(":") {
                return None;
            }
            pairs.push((key, self.value(depth + 1)?));
            self.blanks();
            comma = self.take(",");
        }
    }

    fn string(&mut self) -> Option<Value> {
        let quote = self.next()?;
        let mut text = String::new();
        loop {
            match self.next()? {
                c if c == quote => return Some(Value::Str(text)),
                '\\' => text.push(self.escape()?),
                c => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let digits = match self.next()? {
            'n' => return Some('\n'),
            't' => return Some('\t'),
            'r' => return Some('\r'),
            c @ ('\\' | '\'' | '"') => return Some(c),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return None,
        };
        let hex = self.rest().get(..digits)?;
        self.at += digits;
        if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        // Half a surrogate pair, a file name that is no text, cannot be sent back as it was.
        char::from_u32(u32::from_str_radix(hex, 16).ok()?)
    }

    fn word(&mut self) -> Option<Value> {
        let length = self
            .rest()
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+')))
            .unwrap_or(self.rest().len());
        let word = &self.rest()[..length];
        self.at += length;
        match word {
            "None" => Some(Value::None),
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            _ => {
                if !word.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
                    return None;
                }
                // Python 2 marks its long integers.
                let integer = word.strip_suffix('L').unwrap_or(word).parse().ok().map(Value::Int);
                integer.or_else(|| word.parse().ok().map(Value::Float))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: &[Value]) -> Value {
        Value::List(items.to_vec())
    }

    #[test]
    fn what_the_client_prints_is_read() {
        let text = Value::from;
        for (line, expected) in [
            ("['set', 'loglevel', 'INFO']", list(&[text("set"), text("loglevel"), text("INFO")])),
            (
                "['set', 'dbmaxmatches', 10, -1, 0.5, 1e3, True, False, None]",
                list(&[
                    text("set"),
                    text("dbmaxmatches"),
                    Value::Int(10),
                    Value::Int(-1),
                    Value::Float(0.5),
                    Value::Float(1000.0),
                    Value::Bool(true),
                    Value::Bool(false),
                    Value::None,
                ]),
            ),
            ("[u'x', 10L, ]", list(&[text("x"), Value::Int(10)])),
            (
                r#"["it's", '"', '\\n\n\t\r\'\x00\u20ac\U0001f600ä']"#,
                list(&[text("it's"), text("\""), text("\\n\n\t\r'\0€😀ä")]),
            ),
            (
                "['multi-set', 'a', [['p', ''], []]]",
                list(&[text("multi-set"), text("a"), list(&[list(&[text("p"), text("")]), list(&[])])]),
            ),
            (
                "{'stacksize': 0, 'b': [1]}",
                Value::Dict(vec![(text("stacksize"), Value::Int(0)), (text("b"), list(&[Value::Int(1)]))]),
            ),
            ("{}", Value::Dict(vec![])),
            ("()", Value::Tuple(vec![])),
            ("(1,)", Value::Tuple(vec![Value::Int(1)])),
            ("((1))", Value::Int(1)),
            (" 'x' ", text("x")),
        ] {
            assert_eq!(parse(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn anything_else_is_nothing() {
        for line in [
            "",
            "[",
            "]",
            "['a'",
            "['a' 'b']",
            "[,]",
            "['a',,]",
            "'a",
            "'\\",
            "'\\x4'",
            "'\\x+1'",
            "'\\ud83d'",
            "'\\q'",
            "x",
            "inf",
            "[1] 2",
            "{'a'}",
            "{'a': 1 'b': 2}",
            "b'x'",
            "1+1",
            "__import__('os')",
            "'\\U00110000'",
            "-",
            "nan",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
        assert_eq!(parse(&"[".repeat(1_000_000)), None);
        assert_eq!(parse(&format!("{}{}", "[".repeat(40), "]".repeat(40))), None);
    }
}
