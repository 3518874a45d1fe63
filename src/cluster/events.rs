//! Events about `HelmRelease`s, sent by a task of their own: saying something never holds up a pass.
//!
//! kube's `Recorder` is not used: it takes events with other words for the same event, and the new words are lost.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use kube::{Client, Resource};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::FIELD_MANAGER;
use super::clock::Clock;
use super::error::{ClusterError, cut};
use super::lease::Leadership;
use super::locked::locked;
use super::requests::{REQUEST_DEADLINE, Target};
use crate::api::HelmRelease;

/// Events that wait. A burst of one event for each of a thousand releases passes; beyond it the oldest are dropped.
pub const EVENTS_MAX: usize = 1000;
/// Bytes of a note; the API server accepts 1 kB.
const NOTE_MAX_BYTES: usize = 1000;
/// Characters of reason and action; what the API server accepts.
const WORD_MAX_BYTES: usize = 128;
/// Bytes of the object's name in the name of an event, which has at most 253 and ends in a number of 33.
const NAME_MAX_BYTES: usize = 216;
/// For so long the same thing is not said again of an object.
const REPEAT_AFTER: Duration = Duration::from_secs(600);
/// Objects whose last event is remembered; beyond it all are forgotten, which at worst says something twice.
const REMEMBERED_MAX: usize = 10_000;

/// Whether somebody should care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    Normal,
    Warning,
}

/// Something that happened to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub about: Target,
    pub kind: EventKind,
    /// A CamelCase word.
    pub reason: Box<str>,
    /// What was done, a CamelCase word.
    pub action: Box<str>,
    pub note: Box<str>,
}

/// A bounded queue, and the task that empties it.
#[derive(Debug)]
pub struct Events {
    queue: Mutex<Queue>,
    more: Notify,
    /// Which of the replicas speaks.
    instance: Box<str>,
    dropped: AtomicU64,
    failed: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Event>,
    /// By uid, what was last said of an object, and when.
    last: HashMap<Box<str>, (Event, Instant)>,
    /// Tells two events of one nanosecond apart.
    number: u32,
}

impl Events {
    pub fn new(instance: &str) -> Self {
        Self {
            queue: Mutex::default(),
            more: Notify::new(),
            instance: cut(instance, WORD_MAX_BYTES).into(),
            dropped: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// Never waits. What was just said of the object is not said again.
    pub fn say(&self, event: Event) {
        let now = Instant::now();
        let mut queue = locked(&self.queue);
        let last = queue.last.get(&event.about.uid);
        if last.is_some_and(|(last, at)| *last == event && now.duration_since(*at) < REPEAT_AFTER) {
            return;
        }
        if queue.last.len() >= REMEMBERED_MAX {
            queue.last.clear();
        }
        queue.last.insert(event.about.uid.clone(), (event.clone(), now));
        if queue.waiting.len() >= EVENTS_MAX {
            queue.waiting.pop_front();
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        queue.waiting.push_back(event);
        drop(queue);
        self.more.notify_one();
    }

    /// The object is gone.
    pub fn forget(&self, uid: &str) {
        locked(&self.queue).last.remove(uid);
    }

    /// Sends what waits, one after the other; never ends. Whoever does not lead any more says nothing: a process that was
    /// stopped for long would tell as news what another has gone on from.
    pub async fn run(self: Arc<Self>, client: Client, clock: Clock, leadership: Leadership) {
        loop {
            let next = self.next();
            let Some((event, number)) = next else {
                self.more.notified().await;
                continue;
            };
            let sent = if leadership.may_act() {
                self.send(&client, &event, number, clock.now()).await
            } else {
                Err(ClusterError::NotLeading)
            };
            if let Err(error) = sent {
                self.failed.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(namespace = %event.about.namespace, name = %event.about.name, %error, "event not sent");
            }
        }
    }

    /// Dropped because too many waited.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Not taken by the API server.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    fn next(&self) -> Option<(Event, u32)> {
        let mut queue = locked(&self.queue);
        let event = queue.waiting.pop_front()?;
        queue.number = queue.number.wrapping_add(1);
        Some((event, queue.number))
    }

    async fn send(&self, client: &Client, event: &Event, number: u32, now: Timestamp) -> Result<(), ClusterError> {
        let body = self.body(event, number, now).to_string().into_bytes();
        let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", event.about.namespace);
        let request = kube::core::Request::new(path).create(&kube::api::PostParams::default(), body);
        let request = request.map_err(kube::Error::BuildRequest)?;
        let answer = timeout(REQUEST_DEADLINE, client.request_text(request)).await;
        answer.map_err(|_| ClusterError::Timeout)??;
        Ok(())
    }

    fn body(&self, event: &Event, number: u32, now: Timestamp) -> Value {
        let about = &event.about;
        let name = cut(&about.name, NAME_MAX_BYTES).trim_end_matches('.');
        json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "namespace": about.namespace,
                "name": format!("{name}.{:x}.{number:x}", now.as_nanosecond()),
            },
            "eventTime": format!("{now:.6}"),
            "type": match event.kind { EventKind::Normal => "Normal", EventKind::Warning => "Warning" },
            "reason": cut(&event.reason, WORD_MAX_BYTES),
            "action": cut(&event.action, WORD_MAX_BYTES),
            "note": cut(&event.note, NOTE_MAX_BYTES),
            "reportingController": FIELD_MANAGER,
            "reportingInstance": self.instance,
            "regarding": {
                "apiVersion": HelmRelease::api_version(&()),
                "kind": HelmRelease::kind(&()),
                "namespace": about.namespace,
                "name": about.name,
                "uid": about.uid,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::mock::{client, log_of};
    use super::*;

    fn event(uid: &str, note: &str) -> Event {
        Event {
            about: Target { namespace: "apps".into(), name: "web".into(), uid: uid.into() },
            kind: EventKind::Warning,
            reason: "UpgradeFailed".into(),
            action: "Upgrade".into(),
            note: note.into(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn equal_events_in_a_row_are_said_once() {
        let events = Events::new("pod-1");
        for note in ["a", "a", "b", "a"] {
            events.say(event("u", note));
        }
        events.say(event("other", "a"));
        let said: Vec<_> = std::iter::from_fn(|| events.next()).map(|(event, _)| event.note).collect();
        assert_eq!(said, ["a", "b", "a", "a"].map(Box::from));
        tokio::time::advance(REPEAT_AFTER).await;
        events.say(event("u", "a"));
        assert!(events.next().is_some(), "it is said again after a while");
    }

    #[test]
    fn full_queue_drops_the_oldest_and_counts() {
        let events = Events::new("pod-1");
        for number in 0..=EVENTS_MAX {
            events.say(event("u", &number.to_string()));
        }
        assert_eq!(events.dropped(), 1);
        assert_eq!(events.next().unwrap().0.note, "1".into());
    }

    #[test]
    fn body_keeps_the_limits_of_the_api_server() {
        let mut long = event("u", &"é".repeat(900));
        long.about.name = "a".repeat(253).into();
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let body = Events::new("pod-1").body(&long, u32::MAX, now);
        assert_eq!(body["note"].as_str().unwrap().len(), NOTE_MAX_BYTES);
        assert!(body["metadata"]["name"].as_str().unwrap().len() <= 253);
        assert_eq!(body["eventTime"], "2023-11-14T22:13:20.000000Z");
    }

    #[tokio::test]
    async fn events_go_out_one_after_the_other_and_failures_are_counted() {
        let (client, log) = client(|asked| {
            let refused = asked.body["note"] == "a";
            if refused { super::super::mock::failure(403, "Forbidden", "no") } else { (201, "{}".to_owned()) }
        });
        let events = Arc::new(Events::new("pod-1"));
        events.say(event("u", "a"));
        events.say(event("u", "b"));
        let sent = async {
            while log_of(&log).len() < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = Arc::clone(&events).run(client, Clock::system(), Leadership::unelected()) => {}
            () = sent => {}
        }
        let log = log_of(&log);
        assert_eq!((&*log[1].method, &*log[1].path), ("POST", "/apis/events.k8s.io/v1/namespaces/apps/events"));
        assert_eq!(log[1].body["regarding"]["uid"], "u");
        assert_eq!((log[1].body["note"].as_str(), events.failed()), (Some("b"), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_lead_says_nothing() {
        let (client, log) = client(|_| (201, "{}".to_owned()));
        let events = Arc::new(Events::new("pod-1"));
        events.say(event("u", "a"));
        let running = Arc::clone(&events).run(client, Clock::system(), Leadership::elected());
        let _ = timeout(REQUEST_DEADLINE, running).await;
        assert_eq!((log_of(&log).len(), events.failed()), (0, 1));
    }
}
