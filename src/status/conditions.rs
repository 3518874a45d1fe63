//! All conditions, from one function: so none can contradict another.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{
    Reason, bounded,
    words::{Saying, Truth, say},
};
use crate::{
    api::{ConditionType, OperationKind},
    plan::{Because, Plan},
    release::{Health, InputsProblemKind, InputsView, Snapshot, Spec},
};

/// Longest message of a detail condition, in bytes.
const DETAIL_MAX_BYTES: usize = 512;

pub(super) fn find(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == kind.as_str())
}

struct Writer<'a> {
    before: &'a [Condition],
    generation: i64,
    now: Timestamp,
    out: Vec<Condition>,
}

impl Writer<'_> {
    fn put(&mut self, kind: ConditionType, truth: Truth, reason: Reason, message: String) {
        let before = find(self.before, kind).filter(|before| before.status == truth.as_str());
        let since = before.map_or_else(|| whole_second(self.now), |before| before.last_transition_time.0);
        self.out.push(Condition {
            type_: kind.as_str().to_owned(),
            status: truth.as_str().to_owned(),
            reason: reason.as_str().to_owned(),
            message,
            observed_generation: Some(self.generation.max(0)),
            last_transition_time: Time(since),
        });
    }
}

/// The API server keeps seconds: what is compared with what it returns must have no more.
fn whole_second(moment: Timestamp) -> Timestamp {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment)
}

pub(super) fn all(before: &[Condition], snapshot: &Snapshot, plan: &Plan, saying: Saying) -> Vec<Condition> {
    let Saying { ready, reason, message, reconciling, stalled } = saying;
    let generation = snapshot.object.generation;
    let mut writer = Writer { before, generation, now: snapshot.now, out: Vec::new() };
    writer.put(ConditionType::Ready, ready, reason, message.clone());
    // Abnormal-true, as kstatus reads them: absent means no.
    if reconciling {
        let waits = reason == Reason::DependencyNotReady;
        let why = if ready == Truth::False && !waits { Reason::Retrying } else { Reason::Progressing };
        writer.put(ConditionType::Reconciling, Truth::True, why, message.clone());
    }
    if stalled {
        writer.put(ConditionType::Stalled, Truth::True, reason, message.clone());
    }
    chart(&mut writer, snapshot, plan);
    released(&mut writer, snapshot, plan, &message);
    healthy(&mut writer, snapshot, plan);
    tested(&mut writer, snapshot, plan);
    drifted(&mut writer, snapshot, plan);
    writer.out
}

fn chart(writer: &mut Writer<'_>, snapshot: &Snapshot, plan: &Plan) {
    match (&snapshot.inputs, &plan.memory.desired) {
        (InputsView::Failed { problem, .. }, _) => {
            let reason = match problem.kind {
                InputsProblemKind::Chart | InputsProblemKind::Older => Reason::ChartUnavailable,
                InputsProblemKind::Values => Reason::ValuesUnavailable,
                InputsProblemKind::Refused | InputsProblemKind::Forbidden => Reason::Refused,
            };
            writer.put(ConditionType::ChartReady, Truth::False, reason, bounded(&problem.message, DETAIL_MAX_BYTES));
        }
        (view, Some(desired)) => {
            let mut message = format!("{} {} is at hand", desired.chart, desired.label());
            if let InputsView::Known { passed_over: Some(why), .. } = view {
                message = bounded(&format!("{message}; {why}"), DETAIL_MAX_BYTES);
            }
            writer.put(ConditionType::ChartReady, Truth::True, Reason::Succeeded, message);
        }
        (_, None) => {}
    }
}

/// helm is at work on the objects; tests leave them as they are.
fn is_replacing(plan: &Plan) -> bool {
    match plan.because {
        Because::Running { kind, .. } => kind != OperationKind::Test,
        _ => false,
    }
}

/// Whether helm has the desired digest deployed.
fn released(writer: &mut Writer<'_>, snapshot: &Snapshot, plan: &Plan, message: &str) {
    let Some(desired) = &plan.memory.desired else { return };
    if is_replacing(plan) {
        // What the records say in the middle of a run is over before anybody reads it, and the first record of a
        // release is no news that would be worth a write.
        writer.put(ConditionType::Released, Truth::Unknown, Reason::Progressing, bounded(message, DETAIL_MAX_BYTES));
        return;
    }
    let Some(newest) = snapshot.records.is().and_then(|records| records.newest()) else { return };
    let reached =
        newest.status == crate::release::RecordStatus::Deployed && newest.digest.as_ref() == Some(&desired.digest);
    if reached {
        let mut message = format!("{} is deployed as revision {}", desired.label(), newest.revision);
        if let Some(left) = plan.memory.definitions.as_ref().filter(|left| left.digest == desired.digest) {
            message = bounded(&format!("{message}; {left}"), DETAIL_MAX_BYTES);
        }
        writer.put(ConditionType::Released, Truth::True, Reason::Succeeded, message);
        return;
    }
    let said = say(&plan.because);
    let (truth, reason) = match said.ready {
        Truth::False => (Truth::False, said.reason),
        Truth::True | Truth::Unknown => (Truth::Unknown, Reason::Progressing),
    };
    writer.put(ConditionType::Released, truth, reason, bounded(message, DETAIL_MAX_BYTES));
}

/// The health of the newest revision's objects.
fn healthy(writer: &mut Writer<'_>, snapshot: &Snapshot, plan: &Plan) {
    let Some(inventory) = plan.memory.inventory.as_ref().filter(|inventory| inventory.revision > 0) else { return };
    let judged = snapshot.memory.inventory.as_ref().is_some_and(|known| known.revision == inventory.revision);
    let judging = matches!(plan.because, Because::Judging { .. });
    let (truth, reason, message) = match &snapshot.health.health {
        _ if is_replacing(plan) => (Truth::Unknown, Reason::Progressing, "helm is at work".to_owned()),
        _ if !judged => (Truth::Unknown, Reason::Progressing, "not looked at yet".to_owned()),
        Health::Healthy => {
            (Truth::True, Reason::Succeeded, format!("all {} objects are healthy", inventory.members.len()))
        }
        Health::Progressing { member, .. } if judging => {
            (Truth::Unknown, Reason::Progressing, format!("waiting for {member}"))
        }
        Health::Failed { member, why } | Health::Progressing { member, why } => {
            (Truth::False, Reason::Unhealthy, format!("{member}: {}", why.text))
        }
        Health::Unknown { why, .. } => (Truth::Unknown, Reason::ViewIncomplete, why.to_string()),
    };
    writer.put(ConditionType::Healthy, truth, reason, bounded(&message, DETAIL_MAX_BYTES));
}

/// The last run of tests on the newest revision; absent where there was none, or where tests are not enabled.
fn tested(writer: &mut Writer<'_>, snapshot: &Snapshot, plan: &Plan) {
    let enabled = matches!(&snapshot.spec, Spec::Valid(policy) if policy.test.enabled);
    let newest = snapshot.records.is().and_then(|records| records.newest()).map(|newest| newest.revision);
    if !enabled {
        return;
    }
    if let Because::Running { kind: OperationKind::Test, .. } = plan.because {
        let message = "the tests are running".to_owned();
        return writer.put(ConditionType::Tested, Truth::Unknown, Reason::Progressing, message);
    }
    let Some(tested) = plan.memory.tested.as_ref().filter(|tested| Some(tested.revision) == newest) else { return };
    let (truth, reason) =
        if tested.passed { (Truth::True, Reason::Succeeded) } else { (Truth::False, Reason::TestFailed) };
    writer.put(ConditionType::Tested, truth, reason, bounded(&tested.message, DETAIL_MAX_BYTES));
}

/// What was found of the newest revision's objects; absent where there was nothing.
fn drifted(writer: &mut Writer<'_>, snapshot: &Snapshot, plan: &Plan) {
    let newest = snapshot.records.is().and_then(|records| records.newest()).map(|newest| newest.revision);
    let Spec::Valid(policy) = &snapshot.spec else { return };
    // What goes is not corrected any more.
    if snapshot.object.deleting {
        return;
    }
    let Some(drift) = plan.memory.drift.as_ref().filter(|drift| Some(drift.revision) == newest) else { return };
    let message = bounded(&super::drift::sentence(drift, policy.drift, plan), DETAIL_MAX_BYTES);
    if drift.finding.count > 0 {
        writer.put(ConditionType::Drifted, Truth::True, Reason::Drifted, message);
    } else if drift.finding.unseen.is_some() {
        writer.put(ConditionType::Drifted, Truth::Unknown, Reason::ViewIncomplete, message);
    }
}

pub(super) fn malformed(before: &[Condition], generation: i64, error: &str, now: Timestamp) -> Vec<Condition> {
    let message = bounded(&format!("the object cannot be read: {error}"), DETAIL_MAX_BYTES);
    let mut writer = Writer { before, generation, now, out: Vec::new() };
    writer.put(ConditionType::Ready, Truth::False, Reason::InvalidSpec, message.clone());
    writer.put(ConditionType::Stalled, Truth::True, Reason::InvalidSpec, message);
    writer.out
}

/// What was done with a version, as the beginning of a sentence about it.
pub(super) fn done(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::Install => "installed",
        OperationKind::Upgrade => "upgraded to",
        OperationKind::Rollback => "rolled back to",
        OperationKind::Test => "tested",
        OperationKind::Uninstall => "uninstalled",
    }
}
