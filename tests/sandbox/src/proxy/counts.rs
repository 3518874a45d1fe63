//! How often which client asked what.

use std::collections::BTreeMap;
use std::fmt;

use super::request::{RequestInfo, Verb};

/// What requests are counted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountKey {
    pub user_agent: String,
    pub verb: Verb,
    /// The resource, with its subresource after a slash: `secrets`, `helmreleases/status`.
    pub resource: String,
}

impl CountKey {
    pub(super) fn of(info: &RequestInfo) -> Self {
        let resource = match &info.subresource {
            Some(subresource) => format!("{}/{subresource}", info.resource),
            None => info.resource.clone(),
        };
        Self { user_agent: info.user_agent.clone(), verb: info.verb, resource }
    }
}

/// Numbers of requests; prints as a table for the message of a test.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<CountKey, u64>);

impl Counts {
    pub(super) fn add(&mut self, key: CountKey) {
        *self.0.entry(key).or_default() += 1;
    }

    /// The sum over the keys that satisfy the condition.
    pub fn total(&self, condition: impl Fn(&CountKey) -> bool) -> u64 {
        self.0.iter().filter(|(key, _)| condition(key)).map(|(_, count)| count).sum()
    }

    /// What was added since an earlier snapshot of the same proxy.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let rest = |key: &CountKey, count: u64| count.saturating_sub(earlier.0.get(key).copied().unwrap_or_default());
        Self(
            self.0
                .iter()
                .map(|(key, count)| (key.clone(), rest(key, *count)))
                .filter(|(_, count)| *count > 0)
                .collect(),
        )
    }

    /// The keys with their numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&CountKey, u64)> {
        self.0.iter().map(|(key, count)| (key, *count))
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (CountKey { user_agent, verb, resource }, count) in &self.0 {
            writeln!(formatter, "{count:>6}  {verb:?} {resource}  {user_agent}")?;
        }
        Ok(())
    }
}
