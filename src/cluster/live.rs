//! The index of live objects: the judgement of every object that helm has put into the cluster, one watch for each kind
//! in use. Health is read here, never waited for.
//!
//! Who is woken is decided by membership alone: annotations and labels can be written by anybody.

mod kind;
mod pods;
mod print;
mod run;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use kind::{KindWatch, Told, Woken};
use pods::Pods;
pub use pods::PodsAsked;
pub use print::{LivePrint, Print};

use super::locked::locked;
use super::scope::Scope;
use super::table::Table;
use super::wakes::Wakes;
use crate::health::{Judgement, MemberView, combine, judge};
use crate::release::{HealthView, Member};
use crate::types::ReleaseKey;

/// A kind that is first asked for when the operator has run for so long is asked for because of a new release, not
/// because the operator has just started; opening its watch is then no reason to start counting time anew.
const STARTED_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// What is known of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberLook {
    Pending,
    Refused(Box<str>),
    Missing,
    Is(Judgement),
}

/// Judgements of all objects of the kinds that some release has.
#[derive(Debug)]
pub struct LiveIndex {
    scope: Scope,
    /// Milliseconds since 1970.
    started: AtomicI64,
    state: Mutex<State>,
    pods: Arc<Mutex<Pods>>,
    /// Something is to be watched that is not watched yet.
    more: Arc<Notify>,
    /// A definition was installed: who waits for a kind asks again.
    defined: Notify,
    wakes: Wakes<ReleaseKey>,
}

#[derive(Debug, Default)]
struct State {
    /// By API version and kind.
    kinds: Table<KindWatch>,
    wants: HashMap<Arc<ReleaseKey>, Box<[Member]>>,
    /// Releases that are to look again also where the judgement of an object stays what it was.
    attentive: HashSet<ReleaseKey>,
}

impl LiveIndex {
    /// `started` is when the operator began to look.
    pub fn new(scope: Scope, started: Timestamp, wakes: Wakes<ReleaseKey>) -> Self {
        Self {
            scope,
            started: AtomicI64::new(started.as_millisecond()),
            state: Mutex::default(),
            pods: Arc::default(),
            more: Arc::default(),
            defined: Notify::default(),
            wakes,
        }
    }

    /// It is now that the operator begins to look: it has stood by before.
    pub fn look_from(&self, now: Timestamp) {
        self.started.store(now.as_millisecond(), Ordering::Relaxed);
    }

    fn started(&self) -> Timestamp {
        Timestamp::from_millisecond(self.started.load(Ordering::Relaxed)).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// These are the members of the release from now on; their kinds are watched. Cheap when nothing has changed.
    pub fn want(&self, release: &ReleaseKey, members: &[Member], now: Timestamp) {
        let mut state = locked(&self.state);
        if state.wants.get(release).is_some_and(|wanted| **wanted == *members) {
            return;
        }
        // What stays a member keeps what is known of it, such as a Job that is done and gone.
        state.drop_wants(release, members);
        if members.is_empty() {
            return;
        }
        let release = Arc::new(release.clone());
        let since = (now.duration_since(self.started()) >= STARTED_AFTER).then(|| self.started());
        for member in members {
            if state.kinds.get(&member.api_version, &member.kind).is_none() {
                let watch = KindWatch::new(&member.api_version, &member.kind, since);
                state.kinds.insert(&member.api_version, &member.kind, watch);
                self.more.notify_one();
            }
            if let Some(kind) = state.kinds.get_mut(&member.api_version, &member.kind) {
                kind.want(member, &release);
            }
        }
        state.wants.insert(release, members.into());
    }

    /// Whether the release is to look again at every change that somebody makes to a member, and not only where its
    /// judgement changes.
    pub fn attend(&self, release: &ReleaseKey, closely: bool) {
        let attentive = &mut locked(&self.state).attentive;
        if !closely {
            attentive.remove(release);
        } else if !attentive.contains(release) {
            attentive.insert(release.clone());
        }
    }

    /// What the watches tell of the state of each member; `None` while one cannot be told of.
    pub fn prints(&self, members: &[Member]) -> Option<Vec<LivePrint>> {
        let state = locked(&self.state);
        members.iter().map(|member| state.print(member, &self.scope)).collect()
    }

    /// Kinds that were not there may be there now.
    pub fn look_for_kinds(&self) {
        self.defined.notify_waiters();
    }

    /// The release is gone. Watches that it alone used are dropped some minutes later.
    pub fn forget(&self, release: &ReleaseKey) {
        let mut state = locked(&self.state);
        state.drop_wants(release, &[]);
        state.attentive.remove(release);
    }

    pub fn look(&self, member: &Member) -> MemberLook {
        match locked(&self.state).view(member, &self.scope) {
            Look::Judged { judgement, .. } => MemberLook::Is(judgement.clone()),
            Look::Missing | Look::Done => MemberLook::Missing,
            Look::Pending => MemberLook::Pending,
            Look::Refused(why) => MemberLook::Refused(why),
        }
    }

    /// Takes in an object that we have just read, with its type. It never moves an entry back.
    pub fn observe(&self, object: &Value) {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let mut state = locked(&self.state);
        let Some(kind) = state.kinds.get_mut(text("/apiVersion"), text("/kind")) else { return };
        let place = kind.place(&self.scope, text("/metadata/namespace"));
        let told = Told {
            namespace: text("/metadata/namespace").into(),
            name: text("/metadata/name").into(),
            print: Print::of(object),
            judgement: judge(object),
        };
        let woken = kind.observe(place, told);
        let wakes = state.to_wake(woken);
        drop(state);
        self.wakes.wake_all(wakes);
    }

    /// Since when all kinds of these members that may be watched are seen live; `None` while one is not.
    pub fn live_since(&self, members: &[Member]) -> Option<Timestamp> {
        locked(&self.state).live_since(members, &self.scope, self.started())
    }

    /// The health of a release, from its members and the pods that are watched at this moment. What is not there and
    /// may be gone counts as done, unless it was seen last in another state.
    pub fn health_of(&self, members: &[Member], may_be_gone: impl Fn(&Member) -> bool) -> HealthView {
        let state = locked(&self.state);
        let pods = locked(&self.pods);
        let look = |member: &Member| match state.view(member, &self.scope) {
            Look::Missing if may_be_gone(member) => Look::Done,
            look => look,
        };
        let looks: Vec<Look<'_>> = members.iter().map(look).collect();
        let views = members.iter().zip(looks.iter().map(Look::as_member_view));
        let mut namespaces: Vec<&str> = members.iter().map(|member| &*member.namespace).collect();
        namespaces.sort_unstable();
        namespaces.dedup();
        let health = combine(views, namespaces.into_iter().flat_map(|namespace| pods.facts(namespace)));
        let is_there = |(member, look): &(&Member, &Look<'_>)| match look {
            Look::Judged { there, .. } => *there,
            Look::Missing => !state.is_live(member, &self.scope),
            // What is not in view is not known to be gone.
            Look::Pending => true,
            // A kind that is there no more has no objects, and what may not be seen must not be waited for for ever.
            Look::Refused(_) | Look::Done => false,
        };
        let missing = members
            .iter()
            .zip(&looks)
            .find(|(member, look)| matches!(look, Look::Missing) && !is_there(&(member, look)));
        let present = members.iter().zip(&looks).filter(is_there).map(|(member, _)| member.clone());
        HealthView {
            health,
            live_since: state.live_since(members, &self.scope, self.started()),
            present: present.collect(),
            missing: missing.map(|(member, _)| member.clone()),
        }
    }

    /// Watches the pods of a namespace for as long as the answer is held; the release is woken when they change.
    #[must_use = "the pods are watched only while this is held"]
    pub fn judge_pods(&self, namespace: &str, release: &ReleaseKey) -> PodsAsked {
        if locked(&self.pods).ask(namespace, release) {
            self.more.notify_one();
        }
        PodsAsked::new(Arc::clone(&self.pods), namespace, release)
    }
}

/// What the state says of a member, borrowed from it.
#[derive(Debug)]
enum Look<'a> {
    Pending,
    Refused(Box<str>),
    Missing,
    /// Not there, as is its way.
    Done,
    /// `there` is false for what has done its work and went.
    Judged {
        judgement: &'a Judgement,
        there: bool,
    },
}

impl Look<'_> {
    fn as_member_view(&self) -> MemberView<'_> {
        match self {
            Self::Pending => MemberView::Pending,
            Self::Refused(why) => MemberView::Refused(why),
            Self::Missing => MemberView::Missing,
            Self::Done => MemberView::Done,
            Self::Judged { judgement, .. } => MemberView::Judged(judgement),
        }
    }
}

impl State {
    fn view(&self, member: &Member, scope: &Scope) -> Look<'_> {
        self.kinds.get(&member.api_version, &member.kind).map_or(Look::Pending, |kind| kind.look(member, scope))
    }

    fn print(&self, member: &Member, scope: &Scope) -> Option<LivePrint> {
        let kind = self.kinds.get(&member.api_version, &member.kind)?;
        match kind.look(member, scope) {
            Look::Pending => None,
            Look::Refused(_) => Some(LivePrint::Unwatched),
            Look::Missing => Some(LivePrint::Absent),
            Look::Done | Look::Judged { there: false, .. } => Some(LivePrint::Finished),
            Look::Judged { there: true, .. } => kind.print(member).map(LivePrint::There),
        }
    }

    fn to_wake(&self, Woken { mut judged, stirred }: Woken) -> Vec<ReleaseKey> {
        judged.extend(stirred.into_iter().filter(|release| self.attentive.contains(&**release)));
        judged.into_iter().map(|release| (*release).clone()).collect()
    }

    fn is_live(&self, member: &Member, scope: &Scope) -> bool {
        let kind = self.kinds.get(&member.api_version, &member.kind);
        kind.is_some_and(|kind| kind.since(member, scope).is_some())
    }

    fn live_since(&self, members: &[Member], scope: &Scope, started: Timestamp) -> Option<Timestamp> {
        members.iter().try_fold(started, |latest, member| {
            let kind = self.kinds.get(&member.api_version, &member.kind)?;
            // What may not be watched is judged by nobody, and holds up no verdict on the others.
            if matches!(kind.look(member, scope), Look::Refused(_)) {
                return Some(latest);
            }
            kind.since(member, scope).map(|since| since.max(latest))
        })
    }

    fn drop_wants(&mut self, release: &ReleaseKey, except: &[Member]) {
        let except: HashSet<&Member> = except.iter().collect();
        let wanted = self.wants.remove(release).unwrap_or_default();
        for member in wanted.into_iter().filter(|member| !except.contains(member)) {
            if let Some(kind) = self.kinds.get_mut(&member.api_version, &member.kind) {
                kind.unwant(&member, release, Instant::now());
            }
        }
    }
}
