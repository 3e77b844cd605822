//! Decodes a reply of the daemon: any bytes give a value or an error, never a panic, and never more memory than the limits below allow.
//!
//! The operations build nodes in an arena; strings stay where they are in the reply. Nothing a pickle names is ever looked up or called: a
//! construction becomes a record of its name and arguments. Only `str(text)` is evaluated, because the daemon wraps every address in it.
//! Encoding is in `encode.rs`.

mod error;
pub(super) mod opcode;
mod tree;

pub use error::PickleError;
use opcode::{Op, Step, read_op};
pub use tree::Decoded;
use tree::{Call, Id, Kind, Node};

/// Nodes of one reply: a ban needs three, so this is enough for 600 000 of them.
const MAX_NODES: usize = 2_000_000;
/// Stack pushes of one reply: a ban needs four.
const MAX_PUSHES: usize = 6_000_000;
/// Bytes of an integer; the daemon's largest so far had 11.
const MAX_INTEGER: usize = 128;
/// How far a memo index may leap over what is filled. The daemon's never leap.
const MAX_MEMO_LEAP: usize = 256;

/// An unfilled place of the memo.
const UNFILLED: Id = Id::MAX;

/// Decodes a pickle that fills `bytes` from the first to the last.
pub fn decode(bytes: &[u8]) -> Result<Decoded<'_>, PickleError> {
    if u32::try_from(bytes.len()).is_err() {
        return Err(PickleError::TooMuch);
    }
    let decoded = Decoded { bytes, nodes: Vec::new(), lists: Vec::new(), calls: Vec::new(), root: 0 };
    let mut machine = Machine { decoded, stack: Vec::new(), marks: Vec::new(), memo: Vec::new(), pushes: 0 };
    let mut at = 0;
    loop {
        match read_op(bytes, at) {
            Step::Incomplete(_) => return Err(PickleError::Truncated),
            Step::Unknown(code) => return Err(PickleError::Malformed(code)),
            Step::Op(op) => {
                at = op.next;
                if op.code != b'.' {
                    machine.run(op).map_err(|fault| fault.unwrap_or(PickleError::Malformed(op.code)))?;
                } else if at == bytes.len() {
                    machine.decoded.root = machine.pop().map_err(|_| PickleError::Malformed(b'.'))?;
                    return Ok(machine.decoded);
                } else {
                    return Err(PickleError::Trailing);
                }
            }
        }
    }
}

/// `Err(None)`: this operation makes no sense here.
type Run<T = ()> = Result<T, Option<PickleError>>;

struct Machine<'a> {
    decoded: Decoded<'a>,
    stack: Vec<Id>,
    /// Heights of the stack at which a MARK stands.
    marks: Vec<usize>,
    memo: Vec<Id>,
    pushes: usize,
}

impl Machine<'_> {
    fn run(&mut self, op: Op) -> Run {
        let argument = &self.decoded.bytes[op.start..op.end];
        match op.code {
            0x80 | 0x95 => Ok(()),
            b'(' => {
                self.count()?;
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'N' => self.put(Node::None),
            0x88 => self.put(Node::Bool(true)),
            0x89 => self.put(Node::Bool(false)),
            b'K' | b'M' => self.put(Node::Int(little_endian(argument, false))),
            b'J' => self.put(Node::Int(little_endian(argument, true))),
            0x8a | 0x8b => match argument.len() {
                0..=8 => self.put(Node::Int(little_endian(argument, true))),
                9..=MAX_INTEGER => self.put(Node::BigInt(op.start as u32, op.end as u32)),
                _ => Err(Some(PickleError::TooMuch)),
            },
            b'G' => self.put(Node::Float(f64::from_be_bytes(argument.try_into().map_err(|_| None)?))),
            b'I' | b'L' | b'F' => self.text_number(op),
            b'U' | b'T' | b'X' | 0x8c | 0x8d => self.put(Node::Str(op.start as u32, op.end as u32)),
            b'B' | b'C' | 0x8e | 0x96 => self.put(Node::Bytes(op.start as u32, op.end as u32)),
            b']' => self.container(Kind::List, Vec::new()),
            b'}' => self.container(Kind::Dict, Vec::new()),
            0x8f => self.container(Kind::Set, Vec::new()),
            b')' => self.put(Node::Tuple([0; 3], 0)),
            0x85..=0x87 => self.small_tuple(usize::from(op.code - 0x84)),
            b't' | b'l' | b'd' | 0x91 => {
                let kind = match op.code {
                    b't' => Kind::Tuple,
                    b'l' => Kind::List,
                    b'd' => Kind::Dict,
                    _ => Kind::Set,
                };
                let items = self.above_mark()?;
                self.container(kind, items)
            }
            b'a' => self.append(Kind::List, 1),
            b's' => self.append(Kind::Dict, 2),
            b'e' => self.append_marked(Kind::List),
            b'u' => self.append_marked(Kind::Dict),
            0x90 => self.append_marked(Kind::Set),
            b'0' | b'1' => {
                if op.code == b'1' {
                    self.above_mark().map(drop)
                } else {
                    self.pop().map(drop)
                }
            }
            b'2' => {
                let top = *self.stack.last().ok_or(None)?;
                self.push(top)
            }
            0x94 => self.remember(self.memo.len()),
            b'q' | b'r' => self.remember(little_endian(argument, false) as usize),
            b'h' | b'j' => {
                let id = *self.memo.get(little_endian(argument, false) as usize).ok_or(None)?;
                if id == UNFILLED { Err(None) } else { self.push(id) }
            }
            b'c' => self.text_global(op),
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                self.put(Node::Global(module, name))
            }
            b'R' | 0x81 => self.call(false),
            0x92 => self.call(true),
            b'b' => self.build(),
            _ => Err(None),
        }
    }

    fn count(&mut self) -> Run {
        self.pushes += 1;
        if self.pushes > MAX_PUSHES { Err(Some(PickleError::TooMuch)) } else { Ok(()) }
    }

    fn push(&mut self, id: Id) -> Run {
        self.count()?;
        self.stack.push(id);
        Ok(())
    }

    fn node(&mut self, node: Node) -> Run<Id> {
        if self.decoded.nodes.len() >= MAX_NODES {
            return Err(Some(PickleError::TooMuch));
        }
        self.decoded.nodes.push(node);
        Ok((self.decoded.nodes.len() - 1) as Id)
    }

    fn put(&mut self, node: Node) -> Run {
        let id = self.node(node)?;
        self.push(id)
    }

    /// Takes the top of the stack, but nothing that lies under a MARK.
    fn pop(&mut self) -> Run<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(None);
        }
        self.stack.pop().ok_or(None)
    }

    fn above_mark(&mut self) -> Run<Vec<Id>> {
        let mark = self.marks.pop().ok_or(None)?;
        // A POP never goes below a mark, so the stack is at least as high as it was.
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn container(&mut self, kind: Kind, items: Vec<Id>) -> Run {
        if kind == Kind::Dict && !items.len().is_multiple_of(2) {
            return Err(None);
        }
        self.decoded.lists.push(items);
        self.put(Node::List((self.decoded.lists.len() - 1) as Id, kind))
    }

    fn small_tuple(&mut self, length: usize) -> Run {
        let mut items = [0; 3];
        for item in items[..length].iter_mut().rev() {
            *item = self.pop()?;
        }
        self.put(Node::Tuple(items, length as u8))
    }

    fn list_of_top(&mut self, kind: Kind) -> Run<&mut Vec<Id>> {
        let top = *self.stack.last().ok_or(None)?;
        match self.decoded.nodes[top as usize] {
            Node::List(list, found) if found == kind => Ok(&mut self.decoded.lists[list as usize]),
            _ => Err(None),
        }
    }

    fn append(&mut self, kind: Kind, count: usize) -> Run {
        let mut items = [0; 2];
        for item in items[..count].iter_mut().rev() {
            *item = self.pop()?;
        }
        self.list_of_top(kind)?.extend_from_slice(&items[..count]);
        Ok(())
    }

    fn append_marked(&mut self, kind: Kind) -> Run {
        let items = self.above_mark()?;
        if kind == Kind::Dict && !items.len().is_multiple_of(2) {
            return Err(None);
        }
        self.list_of_top(kind)?.extend_from_slice(&items);
        Ok(())
    }

    fn remember(&mut self, index: usize) -> Run {
        let top = *self.stack.last().ok_or(None)?;
        if index >= MAX_NODES || index > self.memo.len() + MAX_MEMO_LEAP {
            return Err(Some(PickleError::TooMuch));
        }
        if index >= self.memo.len() {
            self.memo.resize(index + 1, UNFILLED);
        }
        self.memo[index] = top;
        Ok(())
    }

    fn text_number(&mut self, op: Op) -> Run {
        let text = std::str::from_utf8(&self.decoded.bytes[op.start..op.end]).map_err(|_| None)?;
        let node = match (op.code, text) {
            (b'I', "00") => Node::Bool(false),
            (b'I', "01") => Node::Bool(true),
            (b'F', text) => Node::Float(text.parse().map_err(|_| None)?),
            (_, text) => Node::Int(text.trim_end_matches('L').parse().map_err(|_| None)?),
        };
        self.put(node)
    }

    fn text_global(&mut self, op: Op) -> Run {
        let lines = &self.decoded.bytes[op.start..op.end];
        let middle = op.start + lines.iter().position(|byte| *byte == b'\n').ok_or(None)?;
        let module = self.node(Node::Str(op.start as u32, middle as u32))?;
        let name = self.node(Node::Str(middle as u32 + 1, op.end as u32))?;
        self.put(Node::Global(module, name))
    }

    fn call(&mut self, keywords: bool) -> Run {
        if keywords {
            self.pop()?;
        }
        let (args, callee) = (self.pop()?, self.pop()?);
        if let Some(text) = self.decoded.evaluated_str(callee, args) {
            return self.push(text);
        }
        self.decoded.calls.push(Call { callee, args, state: None });
        self.put(Node::Call((self.decoded.calls.len() - 1) as Id))
    }

    fn build(&mut self) -> Run {
        let state = self.pop()?;
        let top = *self.stack.last().ok_or(None)?;
        if let Node::Call(call) = self.decoded.nodes[top as usize] {
            self.decoded.calls[call as usize].state = Some(state);
        }
        Ok(())
    }
}

/// Up to eight bytes as a number.
fn little_endian(bytes: &[u8], signed: bool) -> i64 {
    let fill = if signed && bytes.last().is_some_and(|top| top & 0x80 != 0) { 0xff } else { 0 };
    let mut whole = [fill; 8];
    whole[..bytes.len()].copy_from_slice(bytes);
    i64::from_le_bytes(whole)
}

#[cfg(test)]
mod tests;
