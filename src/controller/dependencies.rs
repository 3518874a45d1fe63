//! How the releases are that an object depends on, by the main index. The index wakes the object when one changes, so
//! nothing is asked for and nothing is polled.
//!
//! An expression runs inside the pass: it is bounded to some milliseconds ([`Expression`]), and it runs only for an
//! object that has one, when that object or its dependency has changed.

use serde_json::{Value, json};

use crate::{
    api::{ConditionType, HelmRelease},
    cluster::{MainIndex, Seen},
    release::{Dependency, DependencyState, DependencyView, Tenancy},
    status::bounded,
    types::{Expression, ObjectKey},
};

/// Longest explanation, in bytes: it becomes part of a sentence.
const WHY_MAX_BYTES: usize = 512;

/// All dependencies in the order of the spec, and the way back to the object if there is one.
///
/// In strict tenancy the namespaces of others are closed: not even whether an object is there is told. The object's own
/// namespace is open, because whoever may write a HelmRelease there has the rights of any account that is there.
pub(super) fn look(
    main: &MainIndex,
    tenancy: Tenancy,
    object: &HelmRelease,
    key: &ObjectKey,
    depends_on: &[Dependency],
) -> (Vec<DependencyView>, Option<Vec<Box<str>>>) {
    if depends_on.is_empty() {
        return (Vec::new(), None);
    }
    let is_closed = |other: &ObjectKey| tenancy == Tenancy::Strict && other.namespace != key.namespace;
    let view = |dependency: &Dependency| {
        if is_closed(&dependency.object) {
            return DependencyView { name: dependency.object.to_string().into(), state: DependencyState::Foreign };
        }
        let state = match main.dependency(&dependency.object) {
            Seen::There(other) => state(object, &other, dependency.ready_when.as_ref()),
            Seen::Missing => DependencyState::Missing,
            Seen::Unwatched => DependencyState::Unwatched,
            Seen::Hidden(why) => DependencyState::Waiting { why: bounded(&why, WHY_MAX_BYTES).into() },
        };
        DependencyView { name: dependency.object.to_string().into(), state }
    };
    let cycle = main.cycle(key).filter(|way| !way.iter().any(is_closed));
    let cycle = cycle.map(|way| way.iter().map(|key| key.to_string().into()).collect());
    (depends_on.iter().map(view).collect(), cycle)
}

fn state(object: &HelmRelease, other: &HelmRelease, ready_when: Option<&Expression>) -> DependencyState {
    let problem = if other.metadata.deletion_timestamp.is_some() {
        Some("it is being deleted".to_owned())
    } else if let Some(expression) = ready_when {
        unmet(object, other, expression)
    } else {
        unready(other)
    };
    problem.map_or(DependencyState::Ready, |why| DependencyState::Waiting { why: bounded(&why, WHY_MAX_BYTES).into() })
}

/// What its condition Ready lacks. Its message is left where it is: in a chain of releases each change of words would
/// otherwise be written once for every link.
fn unready(other: &HelmRelease) -> Option<String> {
    let status = other.status.as_ref();
    let generation = other.metadata.generation.unwrap_or_default();
    let ready = status
        .filter(|status| status.observed_generation == generation)
        .and_then(|status| status.conditions.iter().find(|condition| condition.type_ == ConditionType::Ready.as_str()));
    match ready {
        None => Some("its present generation was not looked at yet".to_owned()),
        Some(ready) if ready.status == "True" => None,
        Some(ready) => Some(format!("it is not ready ({})", ready.reason)),
    }
}

/// What `readyWhen` lacks.
fn unmet(object: &HelmRelease, other: &HelmRelease, expression: &Expression) -> Option<String> {
    let (own, dep) = (shown(object), shown(other));
    let [self_name, dep_name] = Dependency::NAMES;
    match expression.holds(&[(self_name, &own), (dep_name, &dep)]) {
        Ok(true) => None,
        Ok(false) => Some("readyWhen is false".to_owned()),
        Err(error) => Some(format!("readyWhen has no answer: {error}")),
    }
}

/// What an expression may see: nothing of the values, which may hold secrets.
fn shown(object: &HelmRelease) -> Value {
    // Only maps with keys that are no texts cannot be written, and an object has none.
    let mut shown = serde_json::to_value(object).unwrap_or_else(|_| json!({}));
    for (path, field) in [("/spec", "values"), ("/metadata", "managedFields")] {
        if let Some(Value::Object(fields)) = shown.pointer_mut(path) {
            fields.remove(field);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{MainWakes, Scope};

    fn object(name: &str, rest: &Value) -> HelmRelease {
        let mut object = json!({"apiVersion": "helmrelease.dev/v1alpha1", "kind": "HelmRelease",
            "metadata": {"name": name, "namespace": "apps", "resourceVersion": "5", "generation": 2,
                "managedFields": [{"manager": "m"}]},
            "spec": {"values": {"password": "hunter2"}}});
        for (path, value) in rest.as_object().unwrap() {
            object.pointer_mut(path.rsplit_once('/').unwrap().0).unwrap()[path.rsplit_once('/').unwrap().1] =
                value.clone();
        }
        serde_json::from_value(object).unwrap()
    }

    fn status(observed: i64, ready: &str, reason: &str) -> Value {
        json!({"observedGeneration": observed, "deployed": {"revision": 3, "version": "1.2.0", "since": "2026-01-01T00:00:00Z"},
            "conditions": [{"type": "Ready", "status": ready, "reason": reason, "message": "said",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}]})
    }

    fn state_of(rest: &Value, ready_when: Option<&str>) -> DependencyState {
        let expression = ready_when.map(|source| Expression::parse(source, &Dependency::NAMES).unwrap());
        state(&object("a", &json!({})), &object("b", rest), expression.as_ref())
    }

    fn waiting(why: &str) -> DependencyState {
        DependencyState::Waiting { why: why.into() }
    }

    #[test]
    fn ready_condition_counts_for_the_present_generation_only() {
        let of = |status: Value| state_of(&json!({ "/status": status }), None);
        assert_eq!(of(status(2, "True", "Succeeded")), DependencyState::Ready);
        assert_eq!(of(status(1, "True", "Succeeded")), waiting("its present generation was not looked at yet"));
        assert_eq!(of(status(2, "False", "InstallFailed")), waiting("it is not ready (InstallFailed)"));
        assert_eq!(of(status(2, "Unknown", "Progressing")), waiting("it is not ready (Progressing)"));
        assert_eq!(state_of(&json!({}), None), waiting("its present generation was not looked at yet"));
    }

    #[test]
    fn dependency_that_is_being_deleted_is_not_ready() {
        let rest =
            json!({"/metadata/deletionTimestamp": "2026-01-01T00:00:00Z", "/status": status(2, "True", "Succeeded")});
        assert_eq!(state_of(&rest, None), waiting("it is being deleted"));
        assert_eq!(state_of(&rest, Some("true")), waiting("it is being deleted"));
    }

    #[test]
    fn expression_replaces_the_condition() {
        let of = |source: &str| state_of(&json!({ "/status": status(1, "False", "Unhealthy") }), Some(source));
        assert_eq!(of("dep.status.deployed.version == '1.2.0' && self.metadata.name == 'a'"), DependencyState::Ready);
        assert_eq!(of("dep.status.deployed.revision > 3"), waiting("readyWhen is false"));
        assert_eq!(
            of("dep.status.operation.id == 'x'"),
            waiting("readyWhen has no answer: there is no field \"operation\"")
        );
        assert_eq!(of("dep.status"), waiting("readyWhen has no answer: it gives a map, not true or false"));
    }

    #[test]
    fn expression_sees_no_values() {
        for source in ["has(dep.spec.values)", "has(self.spec.values)", "has(dep.metadata.managedFields)"] {
            assert_eq!(state_of(&json!({}), Some(source)), waiting("readyWhen is false"), "{source}");
        }
    }

    #[test]
    fn strict_tenancy_tells_nothing_of_other_namespaces() {
        let main = MainIndex::new(Scope::Cluster, MainWakes::default());
        main.fold(0, crate::cluster::Change::Begin);
        let on = |name: &str| json!({"/spec/dependsOn": [{"name": name, "namespace": "far"}, {"name": "b"}]});
        let mut far = object("c", &json!({"/spec/dependsOn": [{"name": "a", "namespace": "apps"}]}));
        far.metadata.namespace = Some("far".into());
        let mut other = object("o", &json!({"/status": status(2, "True", "Succeeded")}));
        other.metadata.namespace = Some("far".into());
        let own = object("a", &on("c"));
        main.fold(0, crate::cluster::Change::Complete { at: jiff::Timestamp::UNIX_EPOCH, version: 1 });
        for object in [&own, &far, &other, &object("b", &json!({"/status": status(2, "True", "Succeeded")}))] {
            main.observe(object.clone());
        }
        let look = |tenancy, name: &str| {
            let own = object("a", &on(name));
            let keys = crate::release::dependency_keys(&own).into_iter();
            let depends_on: Vec<_> = keys.map(|object| Dependency { object, ready_when: None }).collect();
            look(&main, tenancy, &own, &ObjectKey::new("apps", "a"), &depends_on)
        };
        let (views, cycle) = look(Tenancy::Trusted, "c");
        assert_eq!(views[0].state, waiting("its present generation was not looked at yet"));
        assert_eq!(cycle.unwrap().len(), 3);
        for name in ["c", "o", "missing"] {
            let (views, cycle) = look(Tenancy::Strict, name);
            assert_eq!(
                [&views[0].state, &views[1].state],
                [&DependencyState::Foreign, &DependencyState::Ready],
                "{name}"
            );
            assert_eq!(cycle, None, "the way would name what is closed");
        }
    }

    #[test]
    fn what_is_not_seen_is_told_apart() {
        let main = MainIndex::new(Scope::Namespaces(vec!["apps".into()]), MainWakes::default());
        let own = object("a", &json!({"/spec/dependsOn": [{"name": "b"}, {"name": "c", "namespace": "far"}]}));
        let depends_on: Vec<Dependency> = crate::release::dependency_keys(&own)
            .into_iter()
            .map(|object| Dependency { object, ready_when: None })
            .collect();
        let look = || look(&main, Tenancy::Trusted, &own, &ObjectKey::new("apps", "a"), &depends_on).0;
        let view = |name: &str, state| DependencyView { name: name.into(), state };
        assert_eq!(look(), [view("apps/b", waiting("it is not in view")), view("far/c", DependencyState::Unwatched)]);
        main.fold(0, crate::cluster::Change::Begin);
        main.fold(0, crate::cluster::Change::Complete { at: jiff::Timestamp::UNIX_EPOCH, version: 9 });
        assert_eq!(look().first(), Some(&view("apps/b", DependencyState::Missing)));
    }
}
