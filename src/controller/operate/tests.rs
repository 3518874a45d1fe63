//! One attempt, over an API server, a repository and a helm that do what a test tells them.

use futures::future::{BoxFuture, ready};
use jiff::{SignedDuration, Timestamp};
use kube::{Client, Config};
use serde_json::json;

use super::*;
use crate::{
    api::HelmRelease,
    cluster::{Clock, Identities, Scope, mock},
    controller::{Charts, Parts, RunsHelm, Settings, Slots, assemble, inputs::Schedule},
    helm::{Auth, ClusterAccess, Run},
    metrics::Metrics,
    plan::Priority,
    release::{Cause, ChartContent, Flight, Inputs, InputsProblemKind, InputsView, SpecDefaults, Tenancy},
    sources::{ChartRequest, CrdFile, SourceError},
    types::{ChartDigest, ReleaseDigest},
};

/// A repository that is away, or that breaks whoever asks it.
struct Repository {
    breaks: bool,
}

impl Charts for Repository {
    fn chart(&self, request: ChartRequest) -> BoxFuture<'_, Result<StoredChart, SourceError>> {
        assert!(!self.breaks, "a defect");
        let why = "connection refused".to_owned();
        ready(Err(SourceError::Unreachable { place: request.repository.place(), why })).boxed()
    }

    fn crd_files<'a>(&'a self, _: &'a StoredChart) -> BoxFuture<'a, Result<Vec<CrdFile>, SourceError>> {
        unreachable!("no chart is at hand")
    }

    fn content<'a>(&'a self, _: &'a StoredChart) -> BoxFuture<'a, Result<ChartContent, SourceError>> {
        unreachable!("no chart is at hand")
    }
}

struct NoRun;

impl RunsHelm for NoRun {
    fn find(&self) -> BoxFuture<'_, Result<(), NoHelm>> {
        unreachable!("helm is not asked")
    }

    fn run<'a>(
        &'a self,
        _: &'a Invocation,
        _: &'a ClusterAccess,
        _: &'a Identity,
        _: &'a Stop,
    ) -> BoxFuture<'a, Result<Run, NoHelm>> {
        unreachable!("helm is not asked")
    }

    fn processes(&self) -> (u64, usize) {
        (0, 0)
    }
}

/// An operator in a cluster without a record.
fn context(repository: Repository) -> Arc<Context> {
    let (client, _) = mock::client(|asked| {
        assert!(asked.path.ends_with("/secrets"), "{asked:?}");
        let list = json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "items": [],
            "metadata": { "resourceVersion": "1" } });
        (200, list.to_string())
    });
    assembled(client, repository)
}

/// An operator in a cluster that answers as the client does, with no repository.
pub(in crate::controller) fn operator(client: Client) -> Arc<Context> {
    assembled(client, Repository { breaks: false })
}

fn assembled(client: Client, repository: Repository) -> Arc<Context> {
    let access = ClusterAccess {
        server: "https://10.0.0.1".to_owned(),
        authority: None,
        tls_server_name: None,
        auth: Auth::TokenFile("/token".into()),
        proxy_url: None,
        insecure: false,
    };
    let assembled = assemble(Parts {
        client,
        identities: Identities::new(Config::new(http::Uri::from_static("https://10.0.0.1"))),
        clock: Clock::new(|| Timestamp::UNIX_EPOCH),
        scope: Scope::Cluster,
        settings: Settings {
            defaults: SpecDefaults { repository: Some("https://charts.example".into()), ..SpecDefaults::default() },
            allow_http: false,
            tenancy: Tenancy::Trusted,
            slots: Slots { computing: 1, waiting: 1 },
            drain: Duration::from_secs(1),
        },
        charts: Box::new(repository),
        helm: Box::new(NoRun),
        access,
        metrics: Metrics::new().unwrap(),
        holder: "test".into(),
        started: Timestamp::UNIX_EPOCH,
        lease: None,
    });
    Arc::clone(assembled.context())
}

/// A first install whose inputs are known and not at hand, as after a restart.
fn attempt(context: &Context, digest: &ReleaseDigest) -> Attempt {
    let object: HelmRelease = serde_json::from_value(json!({
        "apiVersion": "helmrelease.dev/v1alpha1", "kind": "HelmRelease",
        "metadata": { "name": "unicorn", "namespace": "apps" }, "spec": { "releaseVersion": "1.0.0" },
    }))
    .unwrap();
    let desired = Desired::parse(&object, &context.settings.defaults).unwrap();
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
    let inputs = Inputs {
        chart: "unicorn".into(),
        version: "1.0.0".into(),
        app_version: "".into(),
        chart_digest: ChartDigest::of(b"blue"),
        digest: digest.clone(),
        generation: 1,
        fingerprint: "sources".into(),
        terms: None,
        cause: Cause::Spec,
    };
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
