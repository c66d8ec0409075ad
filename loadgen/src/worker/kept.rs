//! Connections that wait for another operation of their tenant. Bounded: where there is no room,
//! the one that waits longest goes.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

/// Connections of tenants that are kept, all workers together, beyond those that are used at once.
const MAX: usize = 10_000;

/// How many connections each of so many workers keeps: one for every tenant, as far as that goes.
pub fn bound(tenants: usize, workers: usize) -> usize {
    tenants.min(MAX.div_ceil(workers))
}

/// What is kept, by a key.
pub struct Kept<T> {
    limit: usize,
    /// By when they were put, which counts up; and under their keys the same numbers.
    by_age: BTreeMap<u64, (usize, T)>,
    by_key: HashMap<usize, Vec<u64>>,
    next: u64,
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("limit", &self.limit)
            .field("kept", &self.by_age.len())
            .finish_non_exhaustive()
    }
}

impl<T> Kept<T> {
    /// Keeps at most `limit`.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            by_age: BTreeMap::new(),
            by_key: HashMap::new(),
            next: 0,
        }
    }

    /// Keeps `kept` under `key`. Gives back what there is no room for.
    #[must_use]
    pub fn put(&mut self, key: usize, kept: T) -> Option<T> {
        if self.limit == 0 {
            return Some(kept);
        }
        let evicted = match self.by_age.len() >= self.limit {
            true => self.take_oldest(),
            false => None,
        };
        self.by_age.insert(self.next, (key, kept));
        self.by_key.entry(key).or_default().push(self.next);
        self.next += 1;
        evicted
    }

    /// Takes what was put under `key` last: the target has closed it least likely.
    pub fn take(&mut self, key: usize) -> Option<T> {
        let numbers = self.by_key.get_mut(&key)?;
        let number = numbers.pop()?;
        let (_, kept) = self.by_age.remove(&number)?;
        Some(kept)
    }

    /// Takes what waits longest, whatever its key.
    pub fn take_oldest(&mut self) -> Option<T> {
        let (number, (key, kept)) = self.by_age.pop_first()?;
        if let Some(numbers) = self.by_key.get_mut(&key) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.by_key.remove(&key);
            }
        }
        Some(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_a_key_is_taken_and_the_oldest_of_all_goes() {
        let mut kept = Kept::new(3);
        for (key, name) in [(1, "a"), (2, "b"), (1, "c")] {
            assert_eq!(kept.put(key, name), None);
        }
        assert_eq!(kept.put(2, "d"), Some("a"));
        assert_eq!(kept.take(1), Some("c"));
        assert_eq!(kept.take(1), None);
        assert_eq!((kept.take(2), kept.take(2)), (Some("d"), Some("b")));
        assert_eq!(kept.take_oldest(), None);
        assert_eq!(Kept::new(0).put(1, "x"), Some("x"));
    }
}
