//! An operator for tests, over an API server, a repository and a helm that do what a test tells them.

use std::{sync::Arc, time::Duration};

use futures::{
    FutureExt as _,
    future::{BoxFuture, ready},
};
use jiff::Timestamp;
use kube::{Client, Config};

use serde_json::json;

use super::{Charts, Context, NoHelm, Parts, RunsHelm, Settings, Slots, assemble};
use crate::{
    api::HelmRelease,
    cluster::{Clock, Identities, Scope, mock},
    helm::{Auth, ClusterAccess, Invocation, Run, Stop},
    metrics::Metrics,
    release::{Cause, ChartContent, Desired, Identity, Inputs, SpecDefaults, Tenancy},
    sources::{ChartRequest, CrdFile, SourceError, StoredChart},
    types::{ChartDigest, ReleaseDigest},
};

/// What the API server answers where a release has no records.
pub(super) const NO_RECORDS: &str = r#"{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
    "items": [], "metadata": {"resourceVersion": "1"}}"#;

/// A repository that is away, or that breaks whoever asks it.
pub(super) struct Repository {
    pub(super) breaks: bool,
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

/// An operator in a cluster that answers as it is told to, and all that it asks there.
pub(super) fn context(
    repository: Repository,
    answer: impl Fn(&mock::Asked) -> (u16, String) + Send + Sync + 'static,
) -> (Arc<Context>, mock::Log) {
    let (client, log) = mock::client(answer);
    (context_of(client, repository), log)
}

/// The same over a client.
pub(super) fn context_of(client: Client, repository: Repository) -> Arc<Context> {
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

/// HelmRelease unicorn in the namespace apps.
pub(super) fn object() -> HelmRelease {
    serde_json::from_value(json!({
        "apiVersion": "helmrelease.dev/v1alpha1", "kind": "HelmRelease",
        "metadata": { "name": "unicorn", "namespace": "apps", "uid": "uid", "resourceVersion": "5" },
        "spec": { "releaseVersion": "1.0.0" },
    }))
    .unwrap()
}

pub(super) fn desired(context: &Context) -> Desired {
    Desired::parse(&object(), &context.settings.defaults).unwrap()
}

/// Inputs that status remembers.
pub(super) fn inputs(colour: &str) -> Inputs {
    Inputs {
        chart: "unicorn".into(),
        version: "1.0.0".into(),
        app_version: "".into(),
        chart_digest: ChartDigest::of(colour.as_bytes()),
        digest: ReleaseDigest::v1(&[colour.as_bytes()]),
        generation: 1,
        fingerprint: "sources".into(),
        terms: None,
        cause: Cause::Spec,
    }
}
