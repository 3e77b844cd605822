//! What the operations of a pickle have built: a graph of small nodes, and the ways out of it.
//!
//! A memoized container may occur in the graph many times, and even in itself: the limits here are what keeps the tree made of it finite.

use std::borrow::Cow;

use super::error::PickleError;
use crate::fail2ban::value::Value;

/// How deep containers may nest; the daemon's own go to six.
const MAX_DEPTH: usize = 64;
/// Nodes and bytes of the finished tree: a memoized container may occur in it many times over.
const MAX_TREE_NODES: usize = 1_000_000;
const MAX_TREE_BYTES: usize = 64 << 20;

/// The index of a node.
pub(super) type Id = u32;
/// One value. Texts are ranges of the reply, so a node stays small.
#[derive(Clone, Copy)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    BigInt(u32, u32),
    Float(f64),
    Str(u32, u32),
    Bytes(u32, u32),
    /// An index of `Decoded::lists`, and what kind of container it is. A dictionary is a list of keys and values in turn.
    List(Id, Kind),
    /// A tuple of up to three, the form nearly all of them have.
    Tuple([Id; 3], u8),
    /// Module and name, as nodes for `STACK_GLOBAL`.
    Global(Id, Id),
    /// An index of `Decoded::calls`.
    Call(Id),
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    List,
    Tuple,
    Dict,
    Set,
}

pub(super) struct Call {
    pub(super) callee: Id,
    pub(super) args: Id,
    pub(super) state: Option<Id>,
}

/// A decoded reply: from here either the whole value, or one string after the other.
pub struct Decoded<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) nodes: Vec<Node>,
    pub(super) lists: Vec<Vec<Id>>,
    pub(super) calls: Vec<Call>,
    pub(super) root: Id,
}

impl<'a> Decoded<'a> {
    fn raw(&self, start: u32, end: u32) -> &'a [u8] {
        &self.bytes[start as usize..end as usize]
    }

    fn text_of(&self, id: Id) -> Option<Cow<'a, str>> {
        match self.nodes[id as usize] {
            Node::Str(start, end) => Some(String::from_utf8_lossy(self.raw(start, end))),
            _ => None,
        }
    }

    /// The argument of `str(text)`, whether the daemon runs on Python 2 or 3.
    pub(super) fn evaluated_str(&self, callee: Id, args: Id) -> Option<Id> {
        let (Node::Global(module, name), Node::Tuple([text, ..], 1)) =
            (self.nodes[callee as usize], self.nodes[args as usize])
        else {
            return None;
        };
        let builtin = matches!(&*self.text_of(module)?, "builtins" | "__builtin__");
        let string = matches!(&*self.text_of(name)?, "str" | "unicode");
        (builtin && string && matches!(self.nodes[text as usize], Node::Str(..))).then_some(text)
    }

    fn children(&self, id: Id) -> Option<(&[Id], Kind)> {
        match &self.nodes[id as usize] {
            Node::List(list, kind) => Some((&self.lists[*list as usize], *kind)),
            Node::Tuple(items, length) => Some((&items[..usize::from(*length)], Kind::Tuple)),
            _ => None,
        }
    }

    /// The whole value.
    pub fn value(&self) -> Result<Value, PickleError> {
        let mut budget = Budget { nodes: MAX_TREE_NODES, bytes: MAX_TREE_BYTES };
        self.build(self.root, 0, &mut budget)
    }

    /// Where the reply is `(0, list)`: calls `visit` for each text of the list, in order, and returns true. Entries that are not text are
    /// passed over. Where it is anything else, an error of the daemon's for example: false, and nothing was visited.
    pub fn each_string(&self, visit: &mut dyn FnMut(&str)) -> bool {
        let Some(([status, payload], Kind::Tuple)) = self.children(self.root) else {
            return false;
        };
        if !matches!(self.nodes[*status as usize], Node::Int(0)) {
            return false;
        }
        let Some((items, Kind::List | Kind::Tuple)) = self.children(*payload) else {
            return false;
        };
        for item in items {
            if let Some(text) = self.text_of(*item) {
                visit(&text);
            }
        }
        true
    }

    fn build(&self, id: Id, depth: usize, budget: &mut Budget) -> Result<Value, PickleError> {
        if depth > MAX_DEPTH {
            return Err(PickleError::TooMuch);
        }
        budget.take_node()?;
        Ok(match self.nodes[id as usize] {
            Node::None => Value::None,
            Node::Bool(flag) => Value::Bool(flag),
            Node::Int(number) => Value::Int(number),
            Node::BigInt(start, end) => big_integer(self.raw(start, end)),
            Node::Float(number) => Value::Float(number),
            Node::Str(start, end) => {
                budget.take_bytes(end - start)?;
                Value::Str(String::from_utf8_lossy(self.raw(start, end)).into_owned())
            }
            Node::Bytes(start, end) => {
                budget.take_bytes(end - start)?;
                Value::Bytes(self.raw(start, end).to_vec())
            }
            Node::List(..) | Node::Tuple(..) => self.build_container(id, depth, budget)?,
            Node::Global(..) => {
                let (module, name) = self.global(id, budget)?;
                Value::Global(format!("{module}.{name}"))
            }
            Node::Call(call) => self.build_call(&self.calls[call as usize], depth, budget)?,
        })
    }

    fn build_container(&self, id: Id, depth: usize, budget: &mut Budget) -> Result<Value, PickleError> {
        let (items, kind) = self.children(id).ok_or(PickleError::Malformed(0))?;
        // Checked before the space for them is taken.
        if items.len() > budget.nodes {
            return Err(PickleError::TooMuch);
        }
        let values = items.iter().map(|item| self.build(*item, depth + 1, budget)).collect::<Result<Vec<_>, _>>()?;
        Ok(match kind {
            Kind::List => Value::List(values),
            Kind::Tuple => Value::Tuple(values),
            Kind::Set => Value::Set(values),
            Kind::Dict => {
                let mut pairs = Vec::with_capacity(values.len() / 2);
                let mut values = values.into_iter();
                while let (Some(key), Some(value)) = (values.next(), values.next()) {
                    pairs.push((key, value));
                }
                Value::Dict(pairs)
            }
        })
    }

    fn global(&self, id: Id, budget: &mut Budget) -> Result<(String, String), PickleError> {
        let Node::Global(module, name) = self.nodes[id as usize] else {
            return Ok((String::new(), String::new()));
        };
        let texts = self.text_of(module).zip(self.text_of(name)).ok_or(PickleError::Malformed(0x93))?;
        budget.take_bytes((texts.0.len() + texts.1.len()) as u32)?;
        Ok((texts.0.into_owned(), texts.1.into_owned()))
    }

    fn build_call(&self, call: &Call, depth: usize, budget: &mut Budget) -> Result<Value, PickleError> {
        let (module, name) = self.global(call.callee, budget)?;
        let args = self.build(call.args, depth + 1, budget)?;
        let state = call.state.map(|state| self.build(state, depth + 1, budget)).transpose()?;
        // An ignore entry `file:PATH`: its present content is of no interest, its name is what the list shows.
        if name == "FileIPAddrSet"
            && let Some(file) = state.as_ref().and_then(|state| state.get("fileName")).and_then(Value::as_str)
        {
            return Ok(Value::Str(format!("file:{file}")));
        }
        Ok(Value::Object { module, name, args: Box::new(args), state: state.map(Box::new) })
    }
}

/// What the finished tree may still grow by.
struct Budget {
    nodes: usize,
    bytes: usize,
}

impl Budget {
    fn take_node(&mut self) -> Result<(), PickleError> {
        self.nodes = self.nodes.checked_sub(1).ok_or(PickleError::TooMuch)?;
        Ok(())
    }

    fn take_bytes(&mut self, count: u32) -> Result<(), PickleError> {
        self.bytes = self.bytes.checked_sub(count as usize).ok_or(PickleError::TooMuch)?;
        Ok(())
    }
}

/// A little-endian two's complement number of more than eight bytes, in decimal.
fn big_integer(bytes: &[u8]) -> Value {
    let negative = bytes.last().is_some_and(|top| top & 0x80 != 0);
    let mut magnitude: Vec<u8> = bytes.to_vec();
    if negative {
        let mut carry = true;
        for byte in &mut magnitude {
            let (sum, over) = (!*byte).overflowing_add(u8::from(carry));
            (*byte, carry) = (sum, over);
        }
    }
    let mut groups: Vec<u64> = Vec::new();
    for byte in magnitude.iter().rev() {
        let mut carry = u64::from(*byte);
        for group in &mut groups {
            let sum = *group * 256 + carry;
            (*group, carry) = (sum % 1_000_000_000, sum / 1_000_000_000);
        }
        if carry > 0 {
            groups.push(carry);
        }
    }
    let mut digits = if negative { "-".to_owned() } else { String::new() };
    match groups.pop() {
        None => digits.push('0'),
        Some(first) => digits.push_str(&first.to_string()),
    }
    for group in groups.iter().rev() {
        digits.push_str(&format!("{group:09}"));
    }
    match digits.parse() {
        Ok(number) => Value::Int(number),
        Err(_) => Value::BigInt(digits),
    }
}
