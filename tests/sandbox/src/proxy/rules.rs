//! Rules: which requests are disturbed, how, and how often.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::request::RequestInfo;
use crate::gate::Gate;

type Matcher = Arc<dyn Fn(&RequestInfo) -> bool + Send + Sync>;
type Call = Arc<dyn Fn(&RequestInfo) + Send + Sync>;

/// What happens to a request.
#[derive(Clone)]
pub enum Action {
    /// It is forwarded later.
    Delay(Duration),
    /// It is answered by the proxy and never reaches the API server.
    Reply { status: u16, headers: Vec<(String, String)>, body: Bytes },
    /// The connection is closed; the API server never hears of it.
    ///
    /// Clients written in Go repeat a read on a new connection by themselves when this happens, so a rule that acts
    /// once is not seen by them; writes they do not repeat.
    Drop,
    /// The API server does it; the connection is closed instead of answered.
    ForwardThenDrop,
    /// The API server does it; the proxy answers something else.
    ForwardThenReply { status: u16, headers: Vec<(String, String)>, body: Bytes },
    /// It is neither forwarded nor answered, until the client gives up.
    Hang,
    /// The answer breaks off after so many bytes of its body.
    TruncateBody(usize),
    /// Every piece of the answer, so every event of a watch, comes so much later.
    HoldWatch(Duration),
    /// No piece of the answer, so no event of a watch, comes while the gate is closed.
    GateWatch(Gate),
    /// It is forwarded once the gate is open.
    HoldBack(Gate),
    /// The call is made, then the connection closed; the API server never hears of it.
    KillBefore(Call),
    /// The API server does it, then the call is made, then the connection closed.
    KillAfter(Call),
}

impl Action {
    /// Answers with a status and an empty body.
    pub fn status(status: u16) -> Self {
        Self::Reply { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// Calls before the request is forwarded, which it then is not: for ending the client before its write.
    pub fn kill_before(call: impl Fn(&RequestInfo) + Send + Sync + 'static) -> Self {
        Self::KillBefore(Arc::new(call))
    }

    /// Calls after the API server has answered, which the client never hears: for ending it after its write.
    pub fn kill_after(call: impl Fn(&RequestInfo) + Send + Sync + 'static) -> Self {
        Self::KillAfter(Arc::new(call))
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(time) => write!(formatter, "Delay({time:?})"),
            Self::Reply { status, .. } => write!(formatter, "Reply({status})"),
            Self::Drop => formatter.write_str("Drop"),
            Self::ForwardThenDrop => formatter.write_str("ForwardThenDrop"),
            Self::ForwardThenReply { status, .. } => write!(formatter, "ForwardThenReply({status})"),
            Self::Hang => formatter.write_str("Hang"),
            Self::TruncateBody(bytes) => write!(formatter, "TruncateBody({bytes})"),
            Self::HoldWatch(time) => write!(formatter, "HoldWatch({time:?})"),
            Self::GateWatch(_) => formatter.write_str("GateWatch"),
            Self::HoldBack(_) => formatter.write_str("HoldBack"),
            Self::KillBefore(_) => formatter.write_str("KillBefore"),
            Self::KillAfter(_) => formatter.write_str("KillAfter"),
        }
    }
}

/// An action for the requests that match.
pub struct Rule {
    matcher: Matcher,
    action: Action,
    skip: u64,
    times: Option<u64>,
}

impl Rule {
    /// Acts on every request that the matcher accepts.
    pub fn new(matcher: impl Fn(&RequestInfo) -> bool + Send + Sync + 'static, action: Action) -> Self {
        Self { matcher: Arc::new(matcher), action, skip: 0, times: None }
    }

    /// Acts on the n-th write through the proxy, counted from one.
    pub fn on_write(n: u64, action: Action) -> Self {
        Self::new(move |info| info.n_write == Some(n), action)
    }

    /// Lets so many matching requests pass first.
    #[must_use]
    pub fn skip(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// Acts so often and then never again.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.times = Some(count);
        self
    }
}

/// A rule in force.
#[derive(Debug, Clone)]
pub struct RuleHandle(Arc<Progress>);

#[derive(Debug, Default)]
struct Progress {
    seen: AtomicU64,
    acted: AtomicU64,
    removed: AtomicBool,
}

impl RuleHandle {
    /// How often the rule acted.
    pub fn hits(&self) -> u64 {
        self.0.acted.load(Ordering::SeqCst)
    }

    /// Ends the rule.
    pub fn remove(&self) {
        self.0.removed.store(true, Ordering::SeqCst);
    }
}

/// The rules in force, in the order in which they were added.
#[derive(Default)]
pub(super) struct Rules(Vec<(Rule, Arc<Progress>)>);

impl Rules {
    pub(super) fn add(&mut self, rule: Rule) -> RuleHandle {
        let progress = Arc::new(Progress::default());
        self.0.push((rule, Arc::clone(&progress)));
        RuleHandle(progress)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The action for the request, of the first rule that matches it and is not used up.
    pub(super) fn act_on(&mut self, info: &RequestInfo) -> Option<Action> {
        self.0.retain(|(_, progress)| !progress.removed.load(Ordering::SeqCst));
        self.0.iter().find_map(|(rule, progress)| {
            let used_up = rule.times.is_some_and(|times| progress.acted.load(Ordering::SeqCst) >= times);
            if used_up || !(rule.matcher)(info) {
                return None;
            }
            if progress.seen.fetch_add(1, Ordering::SeqCst) < rule.skip {
                return None;
            }
            progress.acted.fetch_add(1, Ordering::SeqCst);
            Some(rule.action.clone())
        })
    }
}
