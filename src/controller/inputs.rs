//! What is known of the inputs of each release: looked up once for each state of what they come from.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    release::{Inputs, InputsProblem, InputsProblemKind, InputsView},
    sources::StoredChart,
    types::{ObjectKey, Redacted, ReleaseDigest},
};

/// What helm is given, found by a look-up and kept until a run takes it.
#[derive(Debug)]
pub struct Prepared {
    pub inputs: Inputs,
    pub chart: StoredChart,
    /// The merged values, a JSON object.
    pub values: Redacted<Vec<u8>>,
    /// When the first of it was read.
    pub read_at: Timestamp,
}

enum State {
    /// With what the look-up before found for the same sources: a range is looked up again beside a release that goes
    /// on as it is.
    Underway(Option<Inputs>),
    Failed {
        problem: InputsProblem,
        at: Timestamp,
    },
    Known {
        inputs: Inputs,
        look_again: Option<Timestamp>,
        passed_over: Option<Box<str>>,
    },
    /// What was known, or is remembered in status, was found not to be what there is.
    Outdated,
}

struct Entry {
    fingerprint: Box<str>,
    state: State,
    /// Failed look-ups in a row.
    tries: u32,
    prepared: Option<Arc<Prepared>>,
}

/// The inputs of all releases. Values are held only between a look-up and the run that it is made for.
#[derive(Default)]
pub struct InputsIndex {
    entries: Mutex<HashMap<ObjectKey, Entry>>,
}

/// When a moving version is due again.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// `None` for a version that does not move.
    pub interval: Option<SignedDuration>,
    /// When this process began to know of the object at the earliest.
    pub since: Timestamp,
}

impl InputsIndex {
    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known for a state of the sources. `remembered` is what status holds: after a restart with the same
    /// sources nothing is looked up, and a range is due one interval after the start.
    pub fn look(
        &self,
        key: &ObjectKey,
        fingerprint: &str,
        remembered: Option<&Inputs>,
        schedule: Schedule,
    ) -> InputsView {
        let mut entries = self.lock();
        match entries.get(key).filter(|entry| *entry.fingerprint == *fingerprint) {
            Some(Entry { state: State::Outdated, .. }) => InputsView::Stale,
            Some(Entry { state: State::Underway(None), .. }) => InputsView::Underway,
            Some(Entry { state: State::Underway(Some(known)), .. }) => {
                InputsView::Known { inputs: known.clone(), look_again: None, passed_over: None }
            }
            Some(Entry { state: State::Failed { problem, at }, tries, .. }) => {
                InputsView::Failed { problem: problem.clone(), tries: *tries, at: *at }
            }
            Some(Entry { state: State::Known { inputs, look_again, passed_over }, .. }) => {
                InputsView::Known { inputs: inputs.clone(), look_again: *look_again, passed_over: passed_over.clone() }
            }
            None => match remembered.filter(|inputs| *inputs.fingerprint == *fingerprint) {
                None => InputsView::Stale,
                Some(inputs) => {
                    let look_again = schedule.next(schedule.since, key);
                    let state = State::Known { inputs: inputs.clone(), look_again, passed_over: None };
                    let entry = Entry { fingerprint: fingerprint.into(), state, tries: 0, prepared: None };
                    entries.insert(key.clone(), entry);
                    InputsView::Known { inputs: inputs.clone(), look_again, passed_over: None }
                }
            },
        }
    }

    /// Begins a look-up. `false` when one for the same state is under way.
    #[must_use]
    pub fn begin(&self, key: &ObjectKey, fingerprint: &str) -> bool {
        let mut entries = self.lock();
        let same = entries.get(key).filter(|entry| *entry.fingerprint == *fingerprint);
        let known = match same.map(|entry| &entry.state) {
            Some(State::Underway(_)) => return false,
            Some(State::Known { inputs, .. }) => Some(inputs.clone()),
            Some(State::Failed { .. } | State::Outdated) | None => None,
        };
        let tries = same.map_or(0, |entry| entry.tries);
        let entry = Entry { fingerprint: fingerprint.into(), state: State::Underway(known), tries, prepared: None };
        entries.insert(key.clone(), entry);
        true
    }

    /// Ends a look-up, unless a newer one has taken its place.
    pub fn end(
        &self,
        key: &ObjectKey,
        fingerprint: &str,
        found: Result<Prepared, InputsProblem>,
        schedule: Schedule,
        now: Timestamp,
    ) {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(key).filter(|entry| *entry.fingerprint == *fingerprint) else { return };
        match found {
            Ok(prepared) => {
                entry.tries = 0;
                let (inputs, look_again) = (prepared.inputs.clone(), schedule.next(now, key));
                entry.state = State::Known { inputs, look_again, passed_over: None };
                entry.prepared = Some(Arc::new(prepared));
            }
            Err(problem) => {
                entry.tries = entry.tries.saturating_add(1);
                entry.state = match &entry.state {
                    // A repository that is away for a moment, or behind, takes nothing from a release that is as
                    // declared.
                    State::Underway(Some(known)) if problem.transient || problem.kind == InputsProblemKind::Older => {
                        State::Known {
                            inputs: known.clone(),
                            look_again: schedule.next(now, key),
                            passed_over: (problem.kind == InputsProblemKind::Older).then_some(problem.message),
                        }
                    }
                    State::Underway(_) | State::Failed { .. } | State::Known { .. } | State::Outdated => {
                        State::Failed { problem, at: now }
                    }
                };
            }
        }
    }

    /// The inputs of `digest` could not be had again, where they were needed: a look-up like any other, with its own
    /// delays and its own sentence. The digest goes on being remembered, and nothing is tried with it until it can be
    /// had again. Newer inputs are left as they are.
    pub fn fail(&self, key: &ObjectKey, digest: &ReleaseDigest, problem: InputsProblem, now: Timestamp) {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(key) else { return };
        if matches!(&entry.state, State::Known { inputs, .. } if inputs.digest == *digest) {
            entry.tries = entry.tries.saturating_add(1);
            entry.state = State::Failed { problem, at: now };
            entry.prepared = None;
        }
    }

    /// Something else was found than the known inputs of `digest`, where they were needed; newer ones are left as they
    /// are. It is looked up anew: to forget it would bring back what status remembers, which is the same.
    pub fn outdate(&self, key: &ObjectKey, digest: &ReleaseDigest) {
        self.amend(key, digest, |state| *state = State::Outdated);
    }

    /// The inputs of `digest` stay known and are due for a look-up now: they are deployed and good, whatever was found
    /// or not found in their place.
    pub fn look_again(&self, key: &ObjectKey, digest: &ReleaseDigest, now: Timestamp) {
        self.amend(key, digest, |state| {
            if let State::Known { look_again, .. } = state {
                *look_again = Some(now);
            }
        });
    }

    fn amend(&self, key: &ObjectKey, digest: &ReleaseDigest, amend: impl FnOnce(&mut State)) {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(key) else { return };
        if matches!(&entry.state, State::Known { inputs, .. } if inputs.digest == *digest) {
            amend(&mut entry.state);
            entry.prepared = None;
        }
    }

    /// Whether the chart that a look-up found has hooks; helm waits for those.
    pub fn has_hooks(&self, key: &ObjectKey) -> bool {
        let entries = self.lock();
        entries.get(key).and_then(|entry| entry.prepared.as_ref()).is_some_and(|prepared| prepared.chart.facts.hooks)
    }

    /// What a look-up found, left where it is for the run that may follow.
    pub fn prepared(&self, key: &ObjectKey) -> Option<Arc<Prepared>> {
        self.lock().get(key)?.prepared.clone()
    }

    /// Hands over what a look-up found, for the run that it was made for.
    pub fn take(&self, key: &ObjectKey) -> Option<Arc<Prepared>> {
        self.lock().get_mut(key)?.prepared.take()
    }

    /// Lets go of values that no run will need: the release is as declared.
    pub fn settle(&self, key: &ObjectKey) {
        if let Some(entry) = self.lock().get_mut(key) {
            entry.prepared = None;
        }
    }

    pub fn forget(&self, key: &ObjectKey) {
        self.lock().remove(key);
    }
}

impl Schedule {
    fn next(self, from: Timestamp, key: &ObjectKey) -> Option<Timestamp> {
        let interval = self.interval?;
        // Up to a tenth later, differently for each object: a repository is not asked by all at once.
        let sum = key
            .namespace
            .bytes()
            .chain(key.name.bytes())
            .fold(7_i64, |sum, byte| sum.wrapping_mul(31).wrapping_add(i64::from(byte)) & 0xffff);
        let jitter = SignedDuration::from_millis(i64::try_from(interval.as_millis()).ok()? / 10 * (sum % 100) / 100);
        from.checked_add(interval).ok()?.checked_add(jitter).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_that_turned_out_to_be_others_are_looked_up_whatever_status_remembers() {
        let (index, key) = (InputsIndex::default(), ObjectKey::new("apps", "unicorn"));
        let remembered = crate::controller::mock::inputs("pink");
        let schedule = Schedule { interval: None, since: Timestamp::UNIX_EPOCH };
        let look = || index.look(&key, "sources", Some(&remembered), schedule);
        assert!(matches!(look(), InputsView::Known { .. }));
        let digest = remembered.digest.clone();
        index.outdate(&key, &digest);
        assert_eq!(look(), InputsView::Stale);
        assert!(index.begin(&key, "sources"));
        assert_eq!(look(), InputsView::Underway);
        index.outdate(&key, &digest);
        assert_eq!(look(), InputsView::Underway, "a look-up under way finds what there is");
    }

    #[test]
    fn newer_inputs_are_kept_where_older_ones_turned_out_to_be_others() {
        let (index, key) = (InputsIndex::default(), ObjectKey::new("apps", "unicorn"));
        let [older, newer] = ["pink", "blue"].map(crate::controller::mock::inputs);
        let schedule = Schedule { interval: None, since: Timestamp::UNIX_EPOCH };
        let look = || index.look(&key, "sources", Some(&newer), schedule);
        let known = look();
        assert!(matches!(&known, InputsView::Known { inputs, .. } if *inputs == newer));
        index.outdate(&key, &older.digest);
        index.look_again(&key, &older.digest, Timestamp::UNIX_EPOCH);
        assert_eq!(look(), known);
    }

    #[test]
    fn inputs_of_a_good_release_stay_known_where_there_are_only_older_ones() {
        let (index, key, now) = (InputsIndex::default(), ObjectKey::new("apps", "unicorn"), Timestamp::UNIX_EPOCH);
        let deployed = crate::controller::mock::inputs("pink");
        let schedule = Schedule { interval: Some(SignedDuration::from_mins(10)), since: now };
        let look = || index.look(&key, "sources", Some(&deployed), schedule);
        let _ = look();
        index.look_again(&key, &deployed.digest, now);
        let due = InputsView::Known { inputs: deployed.clone(), look_again: Some(now), passed_over: None };
        assert_eq!(look(), due);
        assert!(index.begin(&key, "sources"));
        let problem = InputsProblem { kind: InputsProblemKind::Older, message: "older".into(), transient: false };
        index.end(&key, "sources", Err(problem), schedule, now);
        let InputsView::Known { inputs, look_again: Some(later), passed_over } = look() else { panic!("{:?}", look()) };
        assert!(inputs == deployed && later > now && passed_over.as_deref() == Some("older"));
    }
}
