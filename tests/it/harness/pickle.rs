//! The wire values of fail2ban, for the scripted daemon: replies are encoded, requests decoded.
//!
//! Written apart from the program's own codec on purpose, so that one does not hide the other's mistakes. It decodes only what a
//! client may send (lists of text, numbers and lists) and panics on nothing: what it cannot read is an error text.

/// What ends every message in both directions.
pub const END: &[u8] = b"<F2B_END_COMMAND>";
/// What a polite client sends before it leaves; the terminator follows.
pub const CLOSE: &[u8] = b"<F2B_CLOSE_COMMAND>";

/// Which Python wrote the reply: the opcodes differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Python {
    /// Python 2.7, as with fail2ban 0.9 to 0.11: protocol 2, byte strings, text `GLOBAL`s.
    Two,
    /// Python 3.8 or later, as with 1.0 and 1.1: protocol 5, `STACK_GLOBAL`.
    Three,
}

/// One value of a reply or of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Python's `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// A number that fits four bytes, as all of the daemon's usual ones do.
    Int(i32),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Text(String),
    /// An address object: a call of `str` with the text, as fail2ban's `IPAddr` is written.
    Ip(String),
    /// A list.
    List(Vec<Value>),
    /// A tuple of any length.
    Tuple(Vec<Value>),
    /// A dictionary with text keys.
    Dict(Vec<(String, Value)>),
    /// An exception: module, class, arguments.
    Exception(&'static str, &'static str, Vec<Value>),
}

/// A text value.
pub fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

/// A list of texts.
pub fn texts(items: &[&str]) -> Value {
    Value::List(items.iter().map(|item| text(*item)).collect())
}

/// A reply that succeeded: `(0, payload)`.
pub fn success(payload: Value) -> Value {
    Value::Tuple(vec![Value::Int(0), payload])
}

/// A reply that failed: `(1, exception)`.
pub fn failure(module: &'static str, class: &'static str, args: Vec<Value>) -> Value {
    Value::Tuple(vec![Value::Int(1), Value::Exception(module, class, args)])
}

/// The failure the daemon answers for a jail it does not have.
pub fn unknown_jail(name: &str) -> Value {
    failure("fail2ban.exceptions", "UnknownJailException", vec![text(name)])
}

/// The pickle of one value, without the terminator.
pub fn encode(value: &Value, python: Python) -> Vec<u8> {
    let mut out = vec![
        0x80,
        match python {
            Python::Two => 2,
            Python::Three => 5,
        },
    ];
    write(&mut out, value, python);
    out.push(b'.');
    out
}

fn write(out: &mut Vec<u8>, value: &Value, python: Python) {
    match value {
        Value::None => out.push(b'N'),
        Value::Bool(true) => out.push(0x88),
        Value::Bool(false) => out.push(0x89),
        Value::Int(number @ 0..=255) => out.extend([b'K', *number as u8]),
        Value::Int(number) => {
            out.push(b'J');
            out.extend(number.to_le_bytes());
        }
        Value::Float(number) => {
            out.push(b'G');
            out.extend(number.to_be_bytes());
        }
        Value::Text(text) => write_text(out, text, python),
        Value::Ip(address) => {
            write_global(out, "builtins", "str", python);
            write_text(out, address, python);
            out.extend([0x85, b'R']);
        }
        Value::List(items) => {
            out.extend(b"](");
            items.iter().for_each(|item| write(out, item, python));
            out.push(b'e');
        }
        Value::Tuple(items) => {
            out.push(b'(');
            items.iter().for_each(|item| write(out, item, python));
            out.push(b't');
        }
        Value::Dict(items) => {
            out.extend(b"}(");
            for (key, item) in items {
                write_text(out, key, python);
                write(out, item, python);
            }
            out.push(b'u');
        }
        Value::Exception(module, class, args) => {
            write_global(out, module, class, python);
            write(out, &Value::Tuple(args.clone()), python);
            out.push(b'R');
        }
    }
}

fn write_text(out: &mut Vec<u8>, text: &str, python: Python) {
    let bytes = text.as_bytes();
    match (python, bytes.len()) {
        (Python::Two, 0..=255) => out.extend([b'U', bytes.len() as u8]),
        (Python::Three, 0..=255) => out.extend([0x8c, bytes.len() as u8]),
        (_, length) => {
            out.push(b'X');
            out.extend((length as u32).to_le_bytes());
        }
    }
    out.extend(bytes);
}

fn write_global(out: &mut Vec<u8>, module: &str, name: &str, python: Python) {
    if python == Python::Three {
        write_text(out, module, python);
        write_text(out, name, python);
        out.push(0x93);
        return;
    }
    let module = match (module, name) {
        ("builtins", "str") => "__builtin__",
        ("builtins", _) => "exceptions",
        (other, _) => other,
    };
    out.extend(format!("c{module}\n{name}\n").bytes());
}

/// The value of a client's request, read up to the STOP opcode.
pub fn decode(bytes: &[u8]) -> Result<Value, String> {
    let mut reader = Reader { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: Vec::new() };
    reader.run()
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: Vec<Value>,
}

impl Reader<'_> {
    fn run(&mut self) -> Result<Value, String> {
        loop {
            let opcode = self.take(1)?[0];
            match opcode {
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                b'(' => self.marks.push(self.stack.len()),
                b']' => self.stack.push(Value::List(Vec::new())),
                b'N' => self.stack.push(Value::None),
                0x88 => self.stack.push(Value::Bool(true)),
                0x89 => self.stack.push(Value::Bool(false)),
                b'K' => {
                    let byte = self.take(1)?[0];
                    self.stack.push(Value::Int(i32::from(byte)));
                }
                b'M' => {
                    let pair = [self.take(1)?[0], self.take(1)?[0]];
                    self.stack.push(Value::Int(i32::from(u16::from_le_bytes(pair))));
                }
                b'J' => {
                    let number = self.length(4)? as u32 as i32;
                    self.stack.push(Value::Int(number));
                }
                b'X' => self.text(4)?,
                0x8c => self.text(1)?,
                b'U' => self.text(1)?,
                b'q' => self.remember(1)?,
                b'r' => self.remember(4)?,
                0x94 => self.memo.push(self.top()?.clone()),
                b'h' => self.recall(1)?,
                b'j' => self.recall(4)?,
                b'a' => self.append(1)?,
                b'e' => {
                    let mark = self.marks.pop().ok_or("APPENDS without MARK")?;
                    self.append(self.stack.len().saturating_sub(mark))?;
                }
                b'.' => return self.stack.pop().ok_or_else(|| "empty stack".into()),
                other => return Err(format!("opcode {other:#04x} is not one a client sends")),
            }
        }
    }

    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let end = self.at.checked_add(count).ok_or("length overflows")?;
        let slice = self.bytes.get(self.at..end).ok_or("pickle data was truncated")?;
        self.at = end;
        Ok(slice)
    }

    fn length(&mut self, width: usize) -> Result<usize, String> {
        let bytes = self.take(width)?;
        Ok(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    }

    fn text(&mut self, width: usize) -> Result<(), String> {
        let length = self.length(width)?;
        let bytes = self.take(length)?.to_vec();
        let text = String::from_utf8(bytes).map_err(|_| "text that is not UTF-8")?;
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn top(&self) -> Result<&Value, String> {
        self.stack.last().ok_or_else(|| "empty stack".into())
    }

    fn remember(&mut self, width: usize) -> Result<(), String> {
        let index = self.length(width)?;
        let value = self.top()?.clone();
        if index > self.memo.len() {
            return Err("memo index out of order".into());
        }
        self.memo.truncate(index);
        self.memo.push(value);
        Ok(())
    }

    fn recall(&mut self, width: usize) -> Result<(), String> {
        let index = self.length(width)?;
        let value = self.memo.get(index).cloned().ok_or("no such memo")?;
        self.stack.push(value);
        Ok(())
    }

    fn append(&mut self, count: usize) -> Result<(), String> {
        let start = self.stack.len().checked_sub(count).ok_or("empty stack")?;
        let items = self.stack.split_off(start);
        match self.stack.last_mut() {
            Some(Value::List(list)) => list.extend(items),
            _ => return Err("append to something that is no list".into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    /// What the machine's own Python makes of a pickle, as `repr` prints it.
    fn python_repr(pickle: &[u8]) -> String {
        let mut child = Command::new("python3")
            .args(["-c", "import sys,pickle; print(repr(pickle.loads(sys.stdin.buffer.read())))"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(pickle).unwrap();
        let output = child.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_string()
    }

    #[test]
    fn python_reads_our_replies_as_what_they_say() {
        let value = success(Value::List(vec![
            Value::Tuple(vec![text("Currently banned"), Value::Int(300)]),
            Value::Int(-1),
            Value::Float(0.5),
            Value::Bool(true),
            Value::None,
            Value::Ip("203.0.113.1".into()),
            text("ä".repeat(200)),
            Value::Dict(vec![("lab".into(), Value::List(vec![]))]),
            Value::Exception("builtins", "ValueError", vec![text("no")]),
        ]));
        let expected = format!(
            "(0, [('Currently banned', 300), -1, 0.5, True, None, '203.0.113.1', '{}', {{'lab': []}}, ValueError('no')])",
            "ä".repeat(200)
        );
        assert_eq!(python_repr(&encode(&value, Python::Three)), expected);
    }

    #[test]
    fn replies_of_python_2_use_its_opcodes() {
        let bytes = encode(&unknown_jail("x"), Python::Two);
        assert!(bytes.starts_with(&[0x80, 2]));
        let global = b"cfail2ban.exceptions\nUnknownJailException\n";
        assert!(bytes.windows(global.len()).any(|part| part == global));
        let ip = encode(&Value::Ip("203.0.113.1".into()), Python::Two);
        assert!(ip[2..].starts_with(b"c__builtin__\nstr\nU\x0b203.0.113.1"));
    }

    #[test]
    fn requests_of_every_protocol_decode_alike() {
        let wanted = Value::List(vec![
            text("reload"),
            text("--all"),
            Value::List(vec![]),
            Value::List(vec![Value::List(vec![text("set"), text("set"), Value::Int(3600)])]),
        ]);
        for protocol in ["2", "3", "4", "5"] {
            let code = format!(
                "import sys,pickle; sys.stdout.buffer.write(pickle.dumps(['reload','--all',[],[['set','set',3600]]],{protocol}))"
            );
            let output = Command::new("python3").args(["-c", &code]).output().unwrap();
            assert_eq!(decode(&output.stdout).unwrap(), wanted, "protocol {protocol}");
        }
    }

    #[test]
    fn broken_requests_are_errors_at_every_length() {
        let whole = b"\x80\x02](X\x04\x00\x00\x00pinge.";
        assert_eq!(decode(whole).unwrap(), texts(&["ping"]));
        for length in 0..whole.len() {
            assert!(decode(&whole[..length]).is_err(), "cut to {length}");
        }
    }
}
