//! A map that remembers the order in which its keys first came, as Python's dictionaries do.
//!
//! The order of a command stream is the order of such dictionaries, so it must be kept exactly. Removal is not needed
//! and not offered.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

/// Up to this many keys are searched one by one, which is faster than hashing and needs no index. Nearly all maps of a
/// configuration are that small.
const LINEAR: usize = 96;

/// A hash map for short keys.
pub type Index<K, V> = HashMap<K, V, BuildHasherDefault<KeyHash>>;

/// After FNV-1a, eight bytes at a time. Who could choose keys that collide is the administrator, whose files take the time they take.
#[derive(Clone, Debug)]
pub struct KeyHash(u64);

impl Default for KeyHash {
    fn default() -> Self {
        KeyHash(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for KeyHash {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.0 = (self.0 ^ u64::from_ne_bytes(*word)).wrapping_mul(0x100_0000_01b3);
            self.0 ^= self.0 >> 32;
        }
        for byte in rest {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn write_usize(&mut self, number: usize) {
        self.0 = (self.0 ^ number as u64).wrapping_mul(0x100_0000_01b3);
    }

    fn finish(&self) -> u64 {
        // The map takes its control bits from the top, where a short key has not come by multiplying.
        self.0 ^ self.0.rotate_left(32)
    }
}

/// Keys with values, in the order of their first insertion.
#[derive(Clone, Debug)]
pub struct Ordered<V> {
    items: Vec<(Rc<str>, V)>,
    /// A byte of each key that tells most apart, in the order of the keys, eight to a number from its low end: all can be looked through at
    /// once.
    marks: Vec<u64>,
    /// Where each key is; empty while there are few.
    index: Index<Rc<str>, usize>,
}

/// The lowest and the highest bit of each byte.
const LOW_BITS: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGH_BITS: u64 = u64::from_ne_bytes([0x80; 8]);

/// A byte made of length, first, middle and last byte of a key.
fn mark(key: &str) -> u8 {
    let bytes = key.as_bytes();
    let length = bytes.len();
    if length == 0 {
        return 0;
    }
    let (first, middle, last) = (bytes[0], bytes[length / 2], bytes[length - 1]);
    (length as u8).wrapping_mul(31) ^ first.wrapping_mul(7) ^ middle.wrapping_mul(13) ^ last
}

impl<V> Default for Ordered<V> {
    fn default() -> Self {
        Ordered { items: Vec::new(), marks: Vec::new(), index: Index::default() }
    }
}

impl<V> Ordered<V> {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty map with room for so many keys.
    pub fn with_capacity(count: usize) -> Self {
        Ordered {
            items: Vec::with_capacity(count),
            marks: Vec::with_capacity(count.div_ceil(8)),
            index: Index::default(),
        }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The place of a key in the order, from 0.
    pub fn position(&self, key: &str) -> Option<usize> {
        if self.items.len() > LINEAR {
            return self.index.get(key).copied();
        }
        let mark = mark(key);
        // Eight at a time: a byte that equals the mark becomes zero, and the lowest zero byte borrows from its highest bit.
        let wanted = u64::from_ne_bytes([mark; 8]);
        for (chunk, marks) in self.marks.iter().enumerate() {
            let differ = marks ^ wanted;
            let mut equal = differ.wrapping_sub(LOW_BITS) & !differ & HIGH_BITS;
            while equal != 0 {
                let at = chunk * 8 + equal.trailing_zeros() as usize / 8;
                if self.items.get(at).is_some_and(|(own, _)| own.len() == key.len() && **own == *key) {
                    return Some(at);
                }
                equal &= equal - 1;
            }
        }
        None
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&V> {
        self.position(key).map(|at| &self.items[at].1)
    }

    /// The key at a place that [`Ordered::position`] gave.
    pub fn key(&self, place: usize) -> &Rc<str> {
        &self.items[place].0
    }

    /// The value at a place that [`Ordered::position`] gave.
    pub fn at(&self, place: usize) -> &V {
        &self.items[place].1
    }

    /// The value at a place, to be changed.
    pub fn at_mut(&mut self, place: usize) -> &mut V {
        &mut self.items[place].1
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        match self.position(key) {
            Some(at) => Some(&mut self.items[at].1),
            None => None,
        }
    }

    /// Whether the key is there.
    pub fn contains(&self, key: &str) -> bool {
        self.position(key).is_some()
    }

    /// Sets a key. A key that is there keeps its place in the order.
    pub fn insert(&mut self, key: impl Into<Rc<str>>, value: V) {
        let key = key.into();
        if let Some(at) = self.position(&key) {
            self.items[at].1 = value;
            return;
        }
        self.push_mark(mark(&key));
        self.items.push((key, value));
        let last = self.items.len() - 1;
        if last > LINEAR {
            self.index.insert(self.items[last].0.clone(), last);
        } else if last == LINEAR {
            let keys = self.items.iter().map(|(key, _)| key.clone());
            self.index = keys.zip(0..).collect();
        }
    }

    fn push_mark(&mut self, mark: u8) {
        let (chunk, shift) = (self.items.len() / 8, self.items.len() % 8 * 8);
        if shift == 0 {
            self.marks.push(0);
        }
        self.marks[chunk] |= u64::from(mark) << shift;
    }

    /// Keys with values, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Rc<str>, &V)> {
        self.items.iter().map(|(key, value)| (key, value))
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &Rc<str>> {
        self.items.iter().map(|(key, _)| key)
    }
}

impl<V> IntoIterator for Ordered<V> {
    type Item = (Rc<str>, V);
    type IntoIter = std::vec::IntoIter<(Rc<str>, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<V: Clone> Ordered<V> {
    /// Sets every key of `other`, in its order.
    pub fn extend(&mut self, other: &Ordered<V>) {
        for (key, value) in other.iter() {
            self.insert(key.clone(), value.clone());
        }
    }

    /// A copy of this map, extended by `other`.
    pub fn merged(&self, other: &Ordered<V>) -> Ordered<V> {
        let mut both = Ordered::with_capacity(self.len() + other.len());
        both.index = self.index.clone();
        both.items.extend_from_slice(&self.items);
        both.marks.extend_from_slice(&self.marks);
        both.extend(other);
        both
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_set_again_keeps_its_place() {
        let mut map = Ordered::new();
        map.insert("b", 1);
        map.insert("a", 2);
        map.insert("b", 3);
        let seen: Vec<(&str, i32)> = map.iter().map(|(key, value)| (&**key, *value)).collect();
        assert_eq!(seen, [("b", 3), ("a", 2)]);
        assert_eq!(map.get("a"), Some(&2));
        assert_eq!(map.get("c"), None);
    }

    #[test]
    fn large_maps_find_the_same_as_small_ones() {
        let mut map = Ordered::new();
        for number in 0..3 * LINEAR {
            map.insert(number.to_string(), number);
            map.insert("0", 0);
            for there in 0..=number {
                assert_eq!(map.get(&there.to_string()), Some(&there));
            }
            assert!(!map.contains("x"));
        }
        assert_eq!(map.len(), 3 * LINEAR);
    }
}
