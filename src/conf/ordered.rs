//! A map that remembers the order in which its keys first came, as Python's dictionaries do.
//!
//! The order of a command stream is the order of such dictionaries, so it must be kept exactly. Removal is not needed
//! and not offered.

use std::collections::HashMap;
use std::rc::Rc;

/// Keys with values, in the order of their first insertion.
#[derive(Clone, Debug)]
pub struct Ordered<V> {
    items: Vec<(Rc<str>, V)>,
    index: HashMap<Rc<str>, usize>,
}

impl<V> Default for Ordered<V> {
    fn default() -> Self {
        Ordered {
            items: Vec::new(),
            index: HashMap::new(),
        }
    }
}

impl<V> Ordered<V> {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&V> {
        self.index.get(key).map(|&at| &self.items[at].1)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        match self.index.get(key) {
            Some(&at) => Some(&mut self.items[at].1),
            None => None,
        }
    }

    /// Whether the key is there.
    pub fn contains(&self, key: &str) -> bool {
        self.index.contains_key(key)
    }

    /// Sets a key. A key that is there keeps its place in the order.
    pub fn insert(&mut self, key: impl Into<Rc<str>>, value: V) {
        let key = key.into();
        match self.index.get(&key) {
            Some(&at) => self.items[at].1 = value,
            None => {
                self.index.insert(key.clone(), self.items.len());
                self.items.push((key, value));
            }
        }
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

impl<V: Clone> Ordered<V> {
    /// Sets every key of `other`, in its order.
    pub fn extend(&mut self, other: &Ordered<V>) {
        for (key, value) in other.iter() {
            self.insert(key.clone(), value.clone());
        }
    }

    /// A copy of this map, extended by `other`.
    pub fn merged(&self, other: &Ordered<V>) -> Ordered<V> {
        let mut both = self.clone();
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
}
