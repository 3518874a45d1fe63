//! One attempt, over an API server, a repository and a helm that do what a test tells them.

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::{
    controller::{
        inputs::Schedule,
        mock::{self, Repository},
    },
    plan::Priority,
    release::{Cause, Flight, InputsProblemKind, InputsView, LABEL_DIGEST, LABEL_VERIFIED},
    types::ReleaseDigest,
};

/// An operator in a cluster without a record.
fn context(repository: Repository) -> Arc<Context> {
    mock::context(repository, |asked| {
        assert!(asked.path.ends_with("/secrets"), "{asked:?}");
        (200, mock::NO_RECORDS.to_owned())
    })
    .0
}

/// A first install whose inputs are known and not at hand, as after a restart.
fn attempt(context: &Context, digest: &ReleaseDigest) -> Attempt {
    let desired = mock::desired(context);
    let started = Timestamp::UNIX_EPOCH;
    Attempt {
        key: ObjectKey::new("apps", "unicorn"),
        operation: Operation {
            id: "1-0".into(),
            kind: OperationKind::Install,
            digest: Some(digest.clone()),
            revision: 1,
            of: None,
            target: None,
            cause: Cause::Spec,
            started,
            deadline: started + SignedDuration::from_mins(5),
            holder: "test".into(),
        },
        policy: desired.policy.clone(),
        desired: Some(desired),
        service_account: None,
        prepared: None,
        members: Vec::new(),
        way_back: None,
        failed_rollbacks: 0,
        was_refused: false,
        takes_objects: false,
        stop: Stop::default(),
        wanted_to_end: CancellationToken::new(),
    }
}

/// Plays the attempt in a slot that was granted, and returns what the board holds afterwards.
async fn played(context: &Arc<Context>, attempt: Attempt) -> Outcome {
    let key = attempt.key.clone();
    assert!(context.board.ask(&key, Priority::FirstInstall, false));
    assert!(context.board.start(&key, &attempt.operation.id, false, Box::new(Brake::default())));
    operate(Arc::clone(context), attempt).await;
    match context.board.flight(&key) {
        Flight::Ended(outcome) => outcome,
        other => panic!("the seat is not given back: {other:?}"),
    }
}

#[tokio::test]
async fn a_defect_in_the_middle_of_a_run_gives_the_seat_back_and_is_counted() {
    let context = context(Repository { breaks: true });
    let digest = ReleaseDigest::v1(&[b"blue"]);
    let outcome = played(&context, attempt(&context, &digest)).await;
    let Ended::Failed(failure) = &outcome.ended else { panic!("{outcome:?}") };
    assert_eq!(failure.class, FailureClass::Internal);
    assert!(failure.message.contains("defect of the operator"), "{}", failure.message);
    assert!(outcome.records.is_some(), "what there is was read");
    assert_eq!(context.metrics.failures.with_label_values(&["Internal"]).get(), 1);
}

#[tokio::test]
async fn inputs_that_cannot_be_had_again_count_as_looked_up_and_not_found() {
    let context = context(Repository { breaks: false });
    let (key, digest) = (ObjectKey::new("apps", "unicorn"), ReleaseDigest::v1(&[b"blue"]));
    let inputs = mock::inputs("blue");
    let schedule = Schedule { interval: None, since: Timestamp::UNIX_EPOCH };
    let look = || context.inputs.look(&key, "sources", Some(&inputs), schedule);
    assert!(matches!(look(), InputsView::Known { .. }));
    let outcome = played(&context, attempt(&context, &digest)).await;
    let Ended::NotStarted(failure) = &outcome.ended else { panic!("{outcome:?}") };
    assert_eq!(failure.class, FailureClass::InputsChanged);
    let InputsView::Failed { problem, tries: 1, .. } = look() else { panic!("{:?}", look()) };
    assert_eq!((problem.kind, problem.transient), (InputsProblemKind::Chart, true));
    assert!(problem.message.contains("connection refused"), "{}", problem.message);
}

#[tokio::test]
async fn inputs_of_a_good_release_stay_known_while_the_repository_is_away() {
    let inputs = mock::inputs("blue");
    let labels = serde_json::json!({ "owner": "helm", "name": "unicorn", "version": "1", "status": "deployed",
        LABEL_DIGEST: inputs.digest.as_str(), LABEL_VERIFIED: "1" });
    let (context, _) = mock::context(Repository { breaks: false }, move |asked| {
        assert!(asked.path.ends_with("/secrets"), "{asked:?}");
        let meta = serde_json::json!({ "name": "sh.helm.release.v1.unicorn.v1", "namespace": "apps",
            "resourceVersion": "8", "labels": labels });
        let list = serde_json::json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
            "items": [{ "metadata": meta }], "metadata": { "resourceVersion": "9" } });
        (200, list.to_string())
    });
    let key = ObjectKey::new("apps", "unicorn");
    let schedule = Schedule { interval: None, since: Timestamp::UNIX_EPOCH };
    let look = || context.inputs.look(&key, "sources", Some(&inputs), schedule);
    assert!(matches!(look(), InputsView::Known { look_again: None, .. }));
    let mut correction = attempt(&context, &inputs.digest);
    correction.operation =
        Operation { kind: OperationKind::Upgrade, revision: 2, cause: Cause::Drift, ..correction.operation };
    let outcome = played(&context, correction).await;
    let Ended::NotStarted(failure) = &outcome.ended else { panic!("{outcome:?}") };
    assert!(failure.message.contains("connection refused"), "{}", failure.message);
    assert!(matches!(look(), InputsView::Known { look_again: Some(_), .. }), "{:?}", look());
}
