//! A map by two words, such as namespace and name, that is asked without building a key.

use std::collections::HashMap;

/// By two words. The first is held once for all entries that share it.
#[derive(Debug)]
pub(super) struct Table<V>(HashMap<Box<str>, HashMap<Box<str>, V>>);

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<V> Table<V> {
    pub(super) fn get(&self, first: &str, second: &str) -> Option<&V> {
        self.0.get(first)?.get(second)
    }

    pub(super) fn get_mut(&mut self, first: &str, second: &str) -> Option<&mut V> {
        self.0.get_mut(first)?.get_mut(second)
    }

    pub(super) fn insert(&mut self, first: &str, second: &str, value: V) {
        self.0.entry(first.into()).or_default().insert(second.into(), value);
    }

    pub(super) fn remove(&mut self, first: &str, second: &str) -> Option<V> {
        let inner = self.0.get_mut(first)?;
        let value = inner.remove(second);
        if inner.is_empty() {
            self.0.remove(first);
        }
        value
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str, &V)> {
        self.0.iter().flat_map(|(first, inner)| inner.iter().map(|(second, value)| (&**first, &**second, value)))
    }

    /// Keeps what `keep` says, and may change it on the way.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&str, &str, &mut V) -> bool) {
        self.0.retain(|first, inner| {
            inner.retain(|second, value| keep(first, second, value));
            !inner.is_empty()
        });
    }

    pub(super) fn drain(self) -> impl Iterator<Item = (Box<str>, Box<str>, V)> {
        self.0
            .into_iter()
            .flat_map(|(first, inner)| inner.into_iter().map(move |(second, value)| (first.clone(), second, value)))
    }
}

impl<V: Default> Table<V> {
    pub(super) fn entry(&mut self, first: &str, second: &str) -> &mut V {
        if self.get(first, second).is_none() {
            self.insert(first, second, V::default());
        }
        self.0.entry(first.into()).or_default().entry(second.into()).or_default()
    }
}
