//! Who depends on whom, by the specs that are seen. Kept for both directions: a change wakes those who wait for it, and
//! a walk finds those who wait for themselves.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use crate::types::ObjectKey;

/// Objects that a walk for a cycle looks at: far more than releases that depend on each other in practice. In a larger
/// tangle a cycle is not named, and its members wait for each other by name.
const WALK_MAX: usize = 1000;

#[derive(Debug, Default)]
pub(super) struct Dependents {
    needs: HashMap<ObjectKey, Vec<ObjectKey>>,
    needed: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
}

impl Dependents {
    /// Says what an object depends on now.
    pub(super) fn set(&mut self, key: &ObjectKey, needs: Vec<ObjectKey>) {
        if self.needs.get(key).map_or(&[][..], Vec::as_slice) == needs {
            return;
        }
        for old in self.needs.remove(key).unwrap_or_default() {
            if let Some(dependents) = self.needed.get_mut(&old) {
                dependents.remove(key);
                if dependents.is_empty() {
                    self.needed.remove(&old);
                }
            }
        }
        for new in &needs {
            self.needed.entry(new.clone()).or_default().insert(key.clone());
        }
        if !needs.is_empty() {
            self.needs.insert(key.clone(), needs);
        }
    }

    /// Those who depend on an object, whether it is there or not.
    pub(super) fn of(&self, key: &ObjectKey) -> impl Iterator<Item = &ObjectKey> {
        self.needed.get(key).into_iter().flatten()
    }

    /// The shortest way from an object back to itself, both ends included.
    pub(super) fn cycle(&self, start: &ObjectKey) -> Option<Vec<ObjectKey>> {
        let mut came_from: HashMap<&ObjectKey, &ObjectKey> = HashMap::new();
        let mut met: HashSet<&ObjectKey> = HashSet::new();
        let mut waiting: VecDeque<&ObjectKey> = VecDeque::from([start]);
        while let Some(here) = waiting.pop_front() {
            for next in self.needs.get(here).into_iter().flatten() {
                if next == start {
                    let mut way = vec![start.clone()];
                    let mut step = here;
                    while step != start {
                        way.push(step.clone());
                        step = came_from.get(step)?;
                    }
                    way.push(start.clone());
                    way.reverse();
                    return Some(way);
                }
                if met.len() < WALK_MAX && met.insert(next) {
                    came_from.insert(next, here);
                    waiting.push_back(next);
                }
            }
        }
        None
    }

    /// Nothing is kept of what is gone.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.needs.is_empty() && self.needed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("apps", name)
    }

    fn of(edges: &[(&str, &[&str])]) -> Dependents {
        let mut dependents = Dependents::default();
        for (name, needs) in edges {
            dependents.set(&key(name), needs.iter().map(|need| key(need)).collect());
        }
        dependents
    }

    fn cycle(edges: &[(&str, &[&str])], start: &str) -> Option<Vec<String>> {
        Some(of(edges).cycle(&key(start))?.iter().map(|key| key.name.to_string()).collect())
    }

    #[test]
    fn cycles_are_found_with_their_shortest_way() {
        let ring: &[(&str, &[&str])] = &[("a", &["x", "b"]), ("b", &["c"]), ("c", &["a", "b"]), ("d", &["a"])];
        assert_eq!(cycle(ring, "a").unwrap(), ["a", "b", "c", "a"]);
        assert_eq!(cycle(ring, "b").unwrap(), ["b", "c", "b"]);
        assert_eq!(cycle(ring, "d"), None, "it waits for a cycle, but is no part of it");
        assert_eq!(cycle(&[("a", &["a"])], "a").unwrap(), ["a", "a"]);
        assert_eq!(cycle(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"])], "a"), None, "a diamond is no cycle");
        let other = of(&[("a", &["b"])]).cycle(&ObjectKey::new("other", "b"));
        assert_eq!(other, None, "names count with their namespaces");
    }

    #[test]
    fn walk_is_bounded() {
        let mut chain = Dependents::default();
        for n in 0..5000 {
            chain.set(&key(&n.to_string()), vec![key(&(n + 1).to_string())]);
        }
        chain.set(&key("5000"), vec![key("0")]);
        assert_eq!(chain.cycle(&key("0")), None);
        chain.set(&key("900"), vec![key("0")]);
        assert_eq!(chain.cycle(&key("0")).unwrap().len(), 902);
    }

    #[test]
    fn what_is_no_longer_needed_is_forgotten() {
        let mut dependents = of(&[("a", &["x", "y"]), ("b", &["x"])]);
        assert_eq!(dependents.of(&key("x")).collect::<Vec<_>>(), [&key("a"), &key("b")]);
        dependents.set(&key("a"), vec![key("y")]);
        assert_eq!(dependents.of(&key("x")).collect::<Vec<_>>(), [&key("b")]);
        dependents.set(&key("a"), Vec::new());
        dependents.set(&key("b"), Vec::new());
        assert!(dependents.is_empty());
    }
}
