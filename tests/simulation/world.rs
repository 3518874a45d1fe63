//! What there is besides the operator: the objects of a cluster, their history, and what is written down of it all.

use std::{
    collections::BTreeMap,
    fmt::Display,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use helm_release_operator::cluster::Clock;
use hyper::body::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};

use crate::{
    behaviours::{Loss, Write},
    process::Latest,
    records::Record,
    rng::Rng,
    said::Said,
    scenario::Settings,
};

/// The moment at which every simulation begins.
const EPOCH_SECONDS: i64 = 1_800_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    HelmRelease,
    Secret,
    ConfigMap,
    Deployment,
    Pod,
}

pub const KINDS: [Kind; 5] = [Kind::HelmRelease, Kind::Secret, Kind::ConfigMap, Kind::Deployment, Kind::Pod];

impl Kind {
    pub fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::HelmRelease => ("helmrelease.dev/v1alpha1", "HelmRelease", "helmreleases"),
            Self::Secret => ("v1", "Secret", "secrets"),
            Self::ConfigMap => ("v1", "ConfigMap", "configmaps"),
            Self::Deployment => ("apps/v1", "Deployment", "deployments"),
            Self::Pod => ("v1", "Pod", "pods"),
        }
    }
}

/// Namespace and name.
pub type Name = (String, String);

pub fn name(namespace: &str, name: &str) -> Name {
    (namespace.to_owned(), name.to_owned())
}

/// One version of an object, and how it is told: every text is made once, however many listen.
#[derive(Debug)]
pub struct Object {
    value: Value,
    /// As the operator wrote it, where it did: the largest part, and a text is handed on as it is.
    status: Option<Bytes>,
    said: OnceLock<Said>,
    whole: OnceLock<Bytes>,
    meta: OnceLock<Bytes>,
    record: OnceLock<Option<Record>>,
}

impl Object {
    fn new(value: Value, status: Option<Bytes>) -> Arc<Self> {
        let (said, whole, meta, record) = (OnceLock::new(), OnceLock::new(), OnceLock::new(), OnceLock::new());
        Arc::new(Self { value, status, said, whole, meta, record })
    }

    /// As JSON, whole or its metadata alone.
    pub fn text(&self, only_metadata: bool) -> Bytes {
        let text = if only_metadata {
            self.meta.get_or_init(|| {
                let meta = serde_json::to_vec(&self.value["metadata"]).unwrap();
                let before = br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":"#;
                [&before[..], &meta, b"}"].concat().into()
            })
        } else {
            self.whole.get_or_init(|| {
                let mut text = serde_json::to_vec(&self.value).unwrap();
                if let Some(status) = &self.status {
                    text.pop();
                    text.extend_from_slice(br#","status":"#);
                    text.extend_from_slice(status);
                    text.push(b'}');
                }
                text.into()
            })
        };
        text.clone()
    }

    /// What the operator says of it; nothing where it has not said anything yet.
    pub fn said(&self) -> &Said {
        let read = |text: &Bytes| serde_json::from_slice(text).expect("a status can be read");
        self.said.get_or_init(|| self.status.as_ref().map(read).unwrap_or_default())
    }

    pub fn is_observed(&self) -> bool {
        self["metadata"]["generation"] == self.said().observed_generation
    }

    /// As a record of helm, if it is one.
    pub fn record(&self) -> Option<&Record> {
        self.record.get_or_init(|| Record::read(&self.value)).as_ref()
    }
}

impl Deref for Object {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.value
    }
}

/// One change, as watches tell it.
#[derive(Debug, Clone)]
pub struct Logged {
    pub at: Instant,
    pub version: u64,
    pub word: &'static str,
    pub object: Arc<Object>,
}

/// How a write to the store can be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    NotFound,
    Conflict,
    Exists,
}

/// Why nothing new can be made in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoNamespace {
    Gone,
    Going,
}

#[derive(Default)]
pub struct Shelf {
    pub objects: BTreeMap<Name, Arc<Object>>,
    pub log: Vec<Logged>,
}

/// Everything that changes, behind one lock.
pub struct State {
    pub shelves: BTreeMap<Kind, Shelf>,
    pub version: u64,
    uids: u64,
    /// Number of the operator that lives; the ones before are dead.
    pub operator: u64,
    /// Requests fail and watches break by chance.
    pub disturbed: bool,
    /// The next write of helm's that goes wrong, where a story says so.
    pub broken: Option<(Write, Loss)>,
    /// The helm process that was started last, for stories in which there is but one.
    pub latest: Latest,
    /// A namespace that is not there, or takes nothing new; elsewhere there are all that anybody asks for.
    pub no_namespace: Option<NoNamespace>,
    pub requests: Rng,
    pub helm: Rng,
    /// Operators' helm processes at work, by release.
    pub at_work: BTreeMap<Name, &'static str>,
    /// Objects whose status is going to change by itself.
    pub changing: u32,
    /// Requests by the operator that may change something.
    pub writes: u64,
    /// What must not have happened.
    pub wrong: Vec<String>,
    pub ledger: crate::ledger::Ledger,
    trace: String,
    digest: u64,
    keep_trace: bool,
}

/// The world of one seed.
pub struct World {
    state: Mutex<State>,
    news: BTreeMap<Kind, watch::Sender<usize>>,
    pub origin: Instant,
    pub settings: Settings,
}

impl World {
    pub fn new(settings: Settings, keep_trace: bool) -> Arc<Self> {
        let seed = settings.seed;
        let state = State {
            shelves: KINDS.into_iter().map(|kind| (kind, Shelf::default())).collect(),
            version: 100,
            uids: 0,
            operator: 0,
            disturbed: true,
            broken: None,
            latest: Latest::default(),
            no_namespace: None,
            requests: Rng::new(seed, 2),
            helm: Rng::new(seed, 3),
            at_work: BTreeMap::new(),
            changing: 0,
            writes: 0,
            wrong: Vec::new(),
            ledger: crate::ledger::Ledger::default(),
            trace: String::new(),
            digest: 0xcbf2_9ce4_8422_2325,
            keep_trace,
        };
        let news = KINDS.into_iter().map(|kind| (kind, watch::Sender::new(0))).collect();
        Arc::new(Self { state: Mutex::new(state), news, origin: Instant::now(), settings })
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.origin.elapsed()).unwrap();
        Timestamp::from_second(EPOCH_SECONDS).unwrap() + passed
    }

    pub fn clock(&self) -> Clock {
        let origin = self.origin;
        Clock::new(move || {
            Timestamp::from_second(EPOCH_SECONDS).unwrap() + SignedDuration::try_from(origin.elapsed()).unwrap()
        })
    }

    /// A line of the story, with its time.
    pub fn tell(&self, line: impl Display) {
        let at = self.origin.elapsed();
        self.lock().tell(at, &line);
    }

    pub fn wrong(&self, what: impl Display) {
        self.tell(format_args!("WRONG: {what}"));
        self.lock().wrong.push(what.to_string());
    }

    /// Ends only while that life of the operator goes on: the dead get no answers and take no steps.
    pub async fn with_operator(&self, number: u64) {
        if self.lock().operator != number {
            std::future::pending::<()>().await;
        }
    }

    /// One that is going cannot be made anew.
    pub fn make_namespace(&self) {
        let _ = self.lock().no_namespace.take_if(|why| *why == NoNamespace::Gone);
    }

    pub fn trace(&self) -> (String, u64) {
        let state = self.lock();
        (state.trace.clone(), state.digest)
    }

    pub fn news(&self, kind: Kind) -> watch::Receiver<usize> {
        self.news[&kind].subscribe()
    }

    pub fn get(&self, kind: Kind, name: &Name) -> Option<Arc<Object>> {
        self.lock().shelves[&kind].objects.get(name).cloned()
    }

    /// A new object, with all that the API server adds.
    pub fn create(&self, kind: Kind, name: &Name, mut object: Value) -> Result<Arc<Object>, Refusal> {
        let now = self.now();
        let mut state = self.lock();
        if state.shelves[&kind].objects.contains_key(name) {
            return Err(Refusal::Exists);
        }
        state.uids += 1;
        let uid = format!("uid-{}", state.uids);
        let (api_version, kind_name, _) = kind.names();
        object["apiVersion"] = json!(api_version);
        object["kind"] = json!(kind_name);
        let meta = &mut object["metadata"];
        meta["namespace"] = json!(name.0);
        meta["name"] = json!(name.1);
        meta["uid"] = json!(uid);
        // The API server counts those of what has a status beside a spec.
        if matches!(kind, Kind::HelmRelease | Kind::Deployment) {
            meta["generation"] = json!(1);
        }
        meta["creationTimestamp"] = json!(format!("{now:.0}"));
        Ok(self.put(&mut state, kind, name, (object, None), "ADDED"))
    }

    /// Changes an object. A write that changes nothing is none.
    pub fn change(&self, kind: Kind, name: &Name, change: impl FnOnce(&mut Value)) -> Result<Arc<Object>, Refusal> {
        let mut state = self.lock();
        let Some(old) = state.shelves[&kind].objects.get(name).cloned() else { return Err(Refusal::NotFound) };
        let mut new = old.value.clone();
        change(&mut new);
        if new == old.value {
            return Ok(old);
        }
        let deletion = |object: &Value| object["metadata"]["deletionTimestamp"].clone();
        if new["spec"] != old["spec"] || deletion(&new) != deletion(&old) {
            let generation = old["metadata"]["generation"].as_i64().unwrap_or(1) + 1;
            new["metadata"]["generation"] = json!(generation);
        }
        let held = new["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
        if !deletion(&new).is_null() && !held {
            drop(state);
            return self.remove(kind, name).map(|()| Object::new(new, None));
        }
        Ok(self.put(&mut state, kind, name, (new, old.status.clone()), "MODIFIED"))
    }

    /// What the operator writes as the status of a `HelmRelease`.
    pub fn say(&self, name: &Name, status: Bytes) -> Result<Arc<Object>, Refusal> {
        let mut state = self.lock();
        let kind = Kind::HelmRelease;
        let Some(old) = state.shelves[&kind].objects.get(name).cloned() else { return Err(Refusal::NotFound) };
        if old.status.as_ref() == Some(&status) {
            return Ok(old);
        }
        Ok(self.put(&mut state, kind, name, (old.value.clone(), Some(status)), "MODIFIED"))
    }

    /// Asks for the end of an object; what has a finalizer stays for now.
    pub fn delete(&self, kind: Kind, name: &Name) {
        let now = format!("{:.0}", self.now());
        let _ = self.change(kind, name, |object| {
            if object["metadata"]["deletionTimestamp"].is_null() {
                object["metadata"]["deletionTimestamp"] = json!(now);
            }
        });
    }

    pub fn remove(&self, kind: Kind, name: &Name) -> Result<(), Refusal> {
        let mut state = self.lock();
        let Some(old) = state.shelves.get_mut(&kind).and_then(|shelf| shelf.objects.remove(name)) else {
            return Err(Refusal::NotFound);
        };
        state.version += 1;
        let mut gone = old.value.clone();
        gone["metadata"]["resourceVersion"] = json!(state.version.to_string());
        self.log(&mut state, kind, "DELETED", Object::new(gone, old.status.clone()));
        Ok(())
    }

    fn put(
        &self,
        state: &mut State,
        kind: Kind,
        name: &Name,
        (mut object, status): (Value, Option<Bytes>),
        word: &'static str,
    ) -> Arc<Object> {
        state.version += 1;
        // Where the operator goes by the time of the last write.
        if kind == Kind::Secret {
            object["metadata"]["managedFields"] = json!([{ "time": format!("{:.0}", self.now()) }]);
        }
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        let object = Object::new(object, status);
        if let Some(shelf) = state.shelves.get_mut(&kind) {
            shelf.objects.insert(name.clone(), Arc::clone(&object));
        }
        self.log(state, kind, word, Arc::clone(&object));
        object
    }

    fn log(&self, state: &mut State, kind: Kind, word: &'static str, object: Arc<Object>) {
        let version = state.version;
        let Some(kept) = state.shelves.get_mut(&kind) else { return };
        kept.log.push(Logged { at: Instant::now(), version, word, object });
        self.news[&kind].send_replace(kept.log.len());
    }
}

impl State {
    fn tell(&mut self, at: Duration, line: &dyn Display) {
        let line = format!("{:>10.3} {line}\n", at.as_secs_f64());
        for byte in line.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.keep_trace {
            self.trace.push_str(&line);
        }
    }
}
