//! Where a crash happens, and to whom.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::Signal;
use sandbox::proxy::{Action, RequestInfo, Rule, RuleHandle, Verb};

use super::journey::{Hooks, Journey};
use crate::scenario::Scenario;
use crate::stage::Operator;
use crate::stage::process::{children_of, signal};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// The operator is killed at this one of its own writes, counted from one.
    Write { number: u64, side: Side },
    /// helm is ended in this phase of that run.
    Helm { run: Run, phase: Phase, end: End },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The API server never hears of the write.
    Before,
    /// The API server has done it, and the operator never hears of that.
    After,
}

/// One run of helm in a journey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    /// The one that brings what the user changed.
    Change,
    /// The rollback of that.
    WayBack,
}

/// How far helm is when it is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing is written of the run.
    BeforeRecord,
    /// The record says `pending-*` or `uninstalling`, and no object is touched.
    Pending,
    /// The hook before the objects was started and is waited for.
    Hook,
    /// The same with the hook after the objects.
    HookAfter,
    /// The objects are written or deleted, and no record says so.
    Applied,
    /// The old record says `superseded` and the new one is pending: nothing is deployed.
    Superseded,
    /// The record says `deployed`, or is deleted, and helm has not heard of it.
    Written,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// helm is asked to end, and may still say so in its record.
    Terminated,
    Killed,
    KilledWithOperator,
}

impl Run {
    pub(crate) fn all(journey: Journey) -> &'static [Self] {
        match journey {
            Journey::FailingUpgrade => &[Self::Change, Self::WayBack],
            Journey::Install | Journey::Upgrade | Journey::Values | Journey::Uninstall => &[Self::Change],
        }
    }
}

impl Phase {
    pub(crate) fn all(journey: Journey, run: Run) -> &'static [Self] {
        use Phase::{Applied, BeforeRecord, Hook, HookAfter, Pending, Superseded, Written};
        match (journey, run) {
            (Journey::Install | Journey::Uninstall, _) => &[BeforeRecord, Pending, Hook, HookAfter, Applied, Written],
            // With hooks helm waits for objects that never become ready, and comes to none after them.
            (Journey::FailingUpgrade, Run::Change) => &[BeforeRecord, Pending, Hook, Applied, Superseded, Written],
            (Journey::Upgrade | Journey::FailingUpgrade | Journey::Values, _) => {
                &[BeforeRecord, Pending, Hook, HookAfter, Applied, Superseded, Written]
            }
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::BeforeRecord => "before its record",
            Self::Pending => "with its record pending",
            Self::Hook => "in a hook",
            Self::HookAfter => "in a hook after its objects",
            Self::Applied => "after its objects",
            Self::Superseded => "with the old record superseded",
            Self::Written => "with its record written",
        }
    }

    /// The request at which helm is ended, and how many like it come by before.
    fn request(self, journey: Journey, run: Run) -> (Matcher, u64) {
        let earlier_runs = match run {
            Run::Change => 0,
            Run::WayBack => 1,
        };
        let superseding = u64::from(journey != Journey::Install);
        let rewritten = earlier_runs * (1 + superseding);
        let removes = journey == Journey::Uninstall;
        match self {
            Self::BeforeRecord if removes => (Box::new(is_rewritten_record), 0),
            Self::BeforeRecord => {
                (Box::new(|info| info.resource == "secrets" && info.verb == Verb::Create), earlier_runs)
            }
            Self::Pending => (Box::new(|info| info.resource == "deployments" && info.is_write()), earlier_runs),
            // The run before a rollback has come to its first one.
            Self::Hook => (wait_for_hook(earlier_runs + 1), 0),
            Self::HookAfter => (wait_for_hook(earlier_runs + 2), 0),
            Self::Applied | Self::Written if removes => {
                (Box::new(|info| info.resource == "secrets" && info.verb == Verb::Delete), 0)
            }
            Self::Applied => (Box::new(is_rewritten_record), rewritten),
            Self::Superseded => (Box::new(is_rewritten_record), rewritten + 1),
            Self::Written => (Box::new(is_rewritten_record), rewritten + superseding),
        }
    }

    /// Whether the request is still done.
    fn side(self) -> Side {
        match self {
            Self::Written => Side::After,
            Self::BeforeRecord | Self::Pending | Self::Hook | Self::HookAfter | Self::Applied | Self::Superseded => {
                Side::Before
            }
        }
    }
}

/// The first look at a hook after so many were made.
fn wait_for_hook(made: u64) -> Matcher {
    let seen = AtomicU64::new(0);
    Box::new(move |info| {
        let is_hook = info.resource == "jobs";
        if is_hook && matches!(info.verb, Verb::Create | Verb::Patch) {
            seen.fetch_add(1, Ordering::SeqCst);
        }
        is_hook && matches!(info.verb, Verb::List | Verb::Watch) && seen.load(Ordering::SeqCst) == made
    })
}

fn is_rewritten_record(info: &RequestInfo) -> bool {
    info.resource == "secrets" && info.verb == Verb::Update
}

impl End {
    pub(crate) const ALL: [Self; 3] = [Self::Terminated, Self::Killed, Self::KilledWithOperator];
}

impl Point {
    /// The phases first: their numbers do not depend on how many writes there are.
    pub(crate) fn all(journey: Journey, writes: u64) -> Vec<Self> {
        let runs = Run::all(journey).iter();
        let phases = runs.flat_map(|&run| Phase::all(journey, run).iter().map(move |&phase| (run, phase)));
        let phases = phases.flat_map(|(run, phase)| End::ALL.map(|end| Self::Helm { run, phase, end }));
        let sides = [Side::Before, Side::After];
        let writes = (1..=writes).flat_map(|number| sides.map(|side| Self::Write { number, side }));
        phases.chain(writes).collect()
    }

    pub(crate) fn hooks(self) -> Hooks {
        match self {
            Self::Helm { phase: Phase::Hook | Phase::HookAfter, .. } => Hooks::Present,
            Self::Helm { .. } | Self::Write { .. } => Hooks::Absent,
        }
    }

    /// Another operator has to be started afterwards.
    pub(crate) fn ends_the_operator(self) -> bool {
        match self {
            Self::Write { .. } | Self::Helm { end: End::KilledWithOperator, .. } => true,
            Self::Helm { end: End::Terminated | End::Killed, .. } => false,
        }
    }
}

impl std::fmt::Display for Point {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Write { number, side: Side::Before } => write!(formatter, "operator killed before write {number}"),
            Self::Write { number, side: Side::After } => write!(formatter, "operator killed after write {number}"),
            Self::Helm { run, phase, end } => {
                let run = match run {
                    Run::Change => "",
                    Run::WayBack => " in the rollback",
                };
                let whom = match end {
                    End::Terminated => "helm terminated",
                    End::Killed => "helm killed",
                    End::KilledWithOperator => "helm and operator killed",
                };
                write!(formatter, "{whom}{run} {}", phase.as_str())
            }
        }
    }
}

/// One of the operator's own writes; those of the lease come by the clock.
pub(crate) fn is_own_write(info: &RequestInfo) -> bool {
    !is_helms(info) && info.is_write() && info.resource != "leases"
}

fn is_helms(info: &RequestInfo) -> bool {
    info.user_agent.starts_with("Helm/")
}

/// A request in a few words.
pub(crate) fn told(info: &RequestInfo) -> String {
    let parts = [Some(info.resource.as_str()), info.subresource.as_deref(), info.name.as_deref()];
    format!("{} {}", info.method, parts.into_iter().flatten().collect::<Vec<_>>().join("/"))
}

type Matcher = Box<dyn Fn(&RequestInfo) -> bool + Send + Sync>;

/// A crash that waits for its moment.
pub(crate) struct Trap {
    rule: RuleHandle,
    caught: Arc<Mutex<String>>,
}

impl Trap {
    /// Counts from now on.
    pub(crate) fn lay(s: &Scenario<'_>, operator: &Operator, journey: Journey, point: Point) -> Self {
        let caught = Arc::new(Mutex::new(String::new()));
        let (pid, told_to) = (operator.pid(), Arc::clone(&caught));
        let strike = move |info: &RequestInfo| {
            *told_to.lock().unwrap_or_else(PoisonError::into_inner) = told(info);
            match point {
                Point::Write { .. } => kill(pid),
                Point::Helm { end, .. } => strike_helm(pid, end),
            }
        };
        let (is_it, earlier, side): (Matcher, _, _) = match point {
            Point::Write { number, side } => (Box::new(is_own_write), number - 1, side),
            Point::Helm { run, phase, .. } => {
                let (is_it, earlier) = phase.request(journey, run);
                (Box::new(move |info| is_helms(info) && is_it(info)), earlier, phase.side())
            }
        };
        let action = match side {
            Side::Before => Action::kill_before(strike),
            Side::After => Action::kill_after(strike),
        };
        let rule = Rule::new(is_it, action).skip(earlier);
        Self { rule: s.proxy.rule(rule.times(1)), caught }
    }

    /// It does not spring any more.
    pub(crate) fn disarm(&self) {
        self.rule.remove();
    }

    pub(crate) fn has_sprung(&self) -> bool {
        self.rule.hits() > 0
    }

    /// The request at which it happened.
    pub(crate) fn caught(&self) -> String {
        self.caught.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn strike_helm(operator: u32, end: End) {
    let helm = children_of(operator);
    match end {
        End::Terminated => helm.into_iter().for_each(|pid| drop(signal(pid, Signal::TERM))),
        End::Killed => helm.into_iter().for_each(kill),
        End::KilledWithOperator => std::iter::once(operator).chain(helm).for_each(kill),
    }
}

/// Nothing is there to kill when the process was faster, and the story goes on as if it had been.
fn kill(pid: u32) {
    drop(signal(pid, Signal::KILL));
}
