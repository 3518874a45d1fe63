//! Finds out what helm is to be given: reads values, resolves and fetches the chart, and makes the digest of it all.
//!
//! Runs in a task of its own. The only place where values are read, and where the release digest is made.
//!
//! In strict tenancy values and logins are read as the service account of the release, at each look-up anew, so the API
//! server itself decides and no answer about rights is kept. What a look-up has read is kept for the run that it was
//! made for, and counts for [`READ_COUNTS_FOR`]: then a right that was taken away is found out before helm starts. A
//! release that is as declared reads nothing, and loses nothing with a right.

use std::sync::Arc;

use futures::{FutureExt as _, future::BoxFuture};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::{
    Context,
    definitions::{self, UnusableError},
    floor::{Floor, Known},
    inputs::Prepared,
    offload::offload,
    operate::identity,
};
use crate::{
    api::{CrdsPolicy, ValuesKind},
    cluster::{ClusterError, NOT_IMPERSONATED, Ref, Requests, UNAUTHENTICATED, ValuesData},
    release::{
        Cause, ChartContent, Desired, Identity, Inputs, InputsProblem, InputsProblemKind, Tenancy, ValuesSource, merge,
        set_path,
    },
    sources::{ChartRequest, CrdFile, Credentials, RepositoryUrl, SourceError, Sources, StoredChart},
    types::{ObjectKey, Redacted, ReleaseDigest},
};

/// Most bytes of values from one key: a ConfigMap or Secret holds no more than that.
const VALUES_BYTES_MAX: usize = 1 << 20;

/// How long in strict tenancy what was read may be handed to helm without reading it again: longer than most runs wait
/// for a slot, and about as long as it takes to see that taking a right away had its effect.
const READ_COUNTS_FOR: SignedDuration = SignedDuration::from_secs(60);

/// Where charts come from.
pub trait Charts: Send + Sync {
    /// The version that satisfies the request now, at hand as a file.
    fn chart(&self, request: ChartRequest) -> BoxFuture<'_, Result<StoredChart, SourceError>>;

    /// The manifests under `crds/` of such a chart and its subcharts.
    fn crd_files<'a>(&'a self, chart: &'a StoredChart) -> BoxFuture<'a, Result<Vec<CrdFile>, SourceError>>;

    /// What such a chart consists of.
    fn content<'a>(&'a self, chart: &'a StoredChart) -> BoxFuture<'a, Result<ChartContent, SourceError>>;
}

impl Charts for Sources {
    fn chart(&self, request: ChartRequest) -> BoxFuture<'_, Result<StoredChart, SourceError>> {
        async move {
            let resolved = self.resolve(&request).await?;
            self.fetch(&resolved, request.credentials.as_ref()).await
        }
        .boxed()
    }

    fn crd_files<'a>(&'a self, chart: &'a StoredChart) -> BoxFuture<'a, Result<Vec<CrdFile>, SourceError>> {
        Sources::crd_files(self, chart).boxed()
    }

    fn content<'a>(&'a self, chart: &'a StoredChart) -> BoxFuture<'a, Result<ChartContent, SourceError>> {
        Sources::content(self, chart).boxed()
    }
}

/// Why the inputs cannot be had. Never holds a value.
#[derive(Debug, thiserror::Error)]
enum PrepareError {
    #[error("{0}")]
    Source(#[from] SourceError),
    #[error("{kind} {name} does not exist in namespace {namespace}; create it, or set optional in spec.valuesFrom")]
    NoObject { kind: &'static str, name: Box<str>, namespace: Box<str> },
    #[error("{kind} {name} has no key {key}; add it, or set valuesKey or optional in spec.valuesFrom")]
    NoKey { kind: &'static str, name: Box<str>, key: Box<str> },
    #[error("{kind} {name}: {key} {why}")]
    BadValues { kind: &'static str, name: Box<str>, key: Box<str>, why: String },
    #[error("Secret {name} for the chart repository {why}")]
    BadCredentials { name: Box<str>, why: &'static str },
    #[error("{what} cannot be read: {source}")]
    Unreadable { what: String, source: ClusterError },
    #[error(
        "service account {account} may not get {kind} {name} in namespace {namespace}; give it that right, or take \
         {kind} {name} out of the spec"
    )]
    Forbidden { account: Box<str>, kind: &'static str, name: Box<str>, namespace: Box<str> },
    #[error("the operator may not act as service account {account}: {why}")]
    NotImpersonated { account: Box<str>, why: Box<str> },
    #[error(
        "releaseVersion {request} has no match newer than {found} any more, and {deployed} is deployed: a range does \
         not go down by itself; name the older version to have it"
    )]
    Older { request: String, found: String, deployed: String },
    #[error("helm's record, which tells which version is deployed, cannot be read: {0}")]
    Record(#[source] ClusterError),
    #[error("chart {0} is a library, which cannot be installed; name an application chart")]
    Library(Box<str>),
    #[error("{0}")]
    Definitions(#[from] UnusableError),
    #[error("the values cannot be written as JSON")]
    Unwritable,
}

impl PrepareError {
    fn problem(&self) -> InputsProblem {
        let (kind, transient) = match self {
            Self::Source(error) | Self::Definitions(UnusableError::Source(error)) => {
                (InputsProblemKind::Chart, error.is_transient())
            }
            Self::BadCredentials { .. } => (InputsProblemKind::Chart, false),
            Self::Older { .. } => (InputsProblemKind::Older, false),
            Self::Library(_) | Self::Definitions(UnusableError::Refused { .. }) => (InputsProblemKind::Refused, false),
            Self::Forbidden { .. } | Self::NotImpersonated { .. } | Self::Record(ClusterError::Forbidden(_)) => {
                (InputsProblemKind::Forbidden, false)
            }
            Self::Record(source) => (InputsProblemKind::Chart, source.is_transient()),
            Self::Unreadable { source, .. } => (InputsProblemKind::Values, source.is_transient()),
            Self::NoObject { .. } | Self::NoKey { .. } | Self::BadValues { .. } | Self::Unwritable => {
                (InputsProblemKind::Values, false)
            }
        };
        InputsProblem { kind, message: self.to_string().into(), transient }
    }
}

/// The inputs of a release as they are now; a range does not go by itself below what is `known` to be deployed.
pub(super) async fn prepare(
    context: &Context,
    key: &ObjectKey,
    desired: &Desired,
    known: Option<Known<'_>>,
    (fingerprint, anew): (&str, bool),
) -> Result<Prepared, InputsProblem> {
    let read_at = context.clock.now();
    let sources = Sourced::new(context, key, desired).map_err(|error| error.problem())?;
    let values = values(&sources, desired).await.map_err(|error| error.problem())?;
    let chart = chart(context, &sources, desired, anew).await.map_err(|error| error.problem())?;
    not_older(context, key, desired, &chart, known).await.map_err(|error| error.problem())?;
    let values = serde_json::to_vec(&Value::Object(values)).map_err(|_| PrepareError::Unwritable.problem())?;
    let hex = chart.digest.hex();
    let mut parts = vec![
        desired.policy.namespace.as_str().as_bytes(),
        desired.policy.release.as_str().as_bytes(),
        hex.as_bytes(),
        // Keys are sorted, numbers and texts are as they were read: equal values have equal bytes.
        &values,
    ];
    if chart.facts.crds {
        // Who asks for definitions to be replaced asks for a run that does it.
        parts.push(desired.policy.crds.as_str().as_bytes());
    }
    let digest = ReleaseDigest::v1(&parts);
    let inputs = Inputs {
        chart: chart.name.as_str().into(),
        version: chart.version.to_string().into(),
        app_version: chart.app_version.clone(),
        chart_digest: chart.digest,
        digest,
        generation: 0,
        fingerprint: fingerprint.into(),
        terms: Some(desired.terms()),
        cause: Cause::default(),
    };
    Ok(Prepared { inputs, chart, values: Redacted::new(values), read_at })
}

/// What a look-up found, for use now; looked up again where nothing is kept, as after a restart, where a digest is
/// remembered and values are not, and where it is kept for too long.
pub(super) async fn at_hand(
    context: &Context,
    key: &ObjectKey,
    desired: &Desired,
    kept: Option<Arc<Prepared>>,
    known: Option<Known<'_>>,
) -> Result<Arc<Prepared>, InputsProblem> {
    let now = context.clock.now();
    if let Some(kept) = kept.filter(|kept| counts(context.settings.tenancy, kept.read_at, now)) {
        return Ok(kept);
    }
    prepare(context, key, desired, known, ("", false)).await.map(Arc::new)
}

fn counts(tenancy: Tenancy, read_at: Timestamp, now: Timestamp) -> bool {
    match tenancy {
        Tenancy::Trusted => true,
        Tenancy::Strict => now.duration_since(read_at) < READ_COUNTS_FOR,
    }
}

/// Reads what an object names, in its own namespace.
struct Sourced<'a> {
    requests: Requests,
    key: &'a ObjectKey,
    /// Whose rights are meant where one is missing; `None` for the operator's.
    account: Option<Box<str>>,
}

impl<'a> Sourced<'a> {
    fn new(context: &Context, key: &'a ObjectKey, desired: &Desired) -> Result<Self, PrepareError> {
        let identity = identity(key, desired.service_account.as_deref(), context);
        let requests = context.reads_for(&identity);
        let requests =
            requests.map_err(|source| PrepareError::Unreadable { what: "what the spec names".to_owned(), source })?;
        let account = match (identity, context.settings.tenancy) {
            (Identity::ServiceAccount { name, .. }, Tenancy::Strict) => Some(name),
            (Identity::ServiceAccount { .. } | Identity::Own, _) => None,
        };
        Ok(Self { requests, key, account })
    }

    /// The data of an object; `None` where there is none. Who may not read it is not told whether it is there, so it
    /// does not count as missing.
    async fn read(&self, kind: ValuesKind, name: &str) -> Result<Option<ValuesData>, PrepareError> {
        let reference = Ref { kind, namespace: self.key.namespace.clone(), name: name.into() };
        let read = self.requests.read_values(&reference).await;
        read.map_err(|error| match (error, self.account.clone()) {
            (ClusterError::Forbidden(why), Some(account)) if why.contains(NOT_IMPERSONATED) => {
                PrepareError::NotImpersonated { account, why }
            }
            (ClusterError::Forbidden(why), Some(account)) if !why.contains(UNAUTHENTICATED) => {
                PrepareError::Forbidden {
                    account,
                    kind: kind.as_str(),
                    name: name.into(),
                    namespace: self.key.namespace.clone(),
                }
            }
            (source, _) => PrepareError::Unreadable { what: format!("{} {name}", kind.as_str()), source },
        })
    }
}

async fn not_older(
    context: &Context,
    key: &ObjectKey,
    desired: &Desired,
    found: &StoredChart,
    known: Option<Known<'_>>,
) -> Result<(), PrepareError> {
    let Some(known) = known.filter(|_| desired.version.is_moving()) else { return Ok(()) };
    let floor = Floor::of(context, (key, desired), known).await.map_err(PrepareError::Record)?;
    let Some(deployed) = floor.and_then(|floor| floor.stops(&desired.version, found.name.as_str(), &found.version))
    else {
        return Ok(());
    };
    let (request, found) = (desired.version.to_string(), found.version.to_string());
    Err(PrepareError::Older { request, found, deployed: deployed.to_string() })
}

async fn values(sources: &Sourced<'_>, desired: &Desired) -> Result<Map<String, Value>, PrepareError> {
    let mut merged = Map::new();
    for source in &desired.values_from {
        let Some(text) = text(sources, source).await? else { continue };
        let bad = |why: String| PrepareError::BadValues {
            kind: source.kind.as_str(),
            name: source.name.clone(),
            key: source.key.clone(),
            why,
        };
        match &source.target_path {
            Some(path) => {
                let text = text.trim_end_matches('\n');
                set_path(&mut merged, path, text).map_err(|error| bad(format!("cannot be put: {error}")))?;
            }
            None => merge(&mut merged, offload(move || parse(&text)).await.map_err(bad)?),
        }
    }
    merge(&mut merged, desired.values.clone());
    Ok(merged)
}

/// A YAML or JSON map. The parser's own message is not used: it may quote the text.
fn parse(text: &str) -> Result<Map<String, Value>, String> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_saphyr::from_str::<Value>(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err("is not a map of values; write key: value pairs, or set targetPath for a single value".into()),
        Err(error) => Err(match error.location() {
            Some(place) => format!("is not YAML at line {} column {}", place.line(), place.column()),
            None => "is not YAML".into(),
        }),
    }
}

async fn text(sources: &Sourced<'_>, source: &ValuesSource) -> Result<Option<String>, PrepareError> {
    let kind = source.kind.as_str();
    let Some(data) = sources.read(source.kind, &source.name).await? else {
        return if source.optional {
            Ok(None)
        } else {
            Err(PrepareError::NoObject { kind, name: source.name.clone(), namespace: sources.key.namespace.clone() })
        };
    };
    let bad = |why: &str| PrepareError::BadValues {
        kind,
        name: source.name.clone(),
        key: source.key.clone(),
        why: why.to_owned(),
    };
    match data.data.get(&*source.key) {
        None if source.optional => Ok(None),
        None => Err(PrepareError::NoKey { kind, name: source.name.clone(), key: source.key.clone() }),
        Some(bytes) if bytes.len() > VALUES_BYTES_MAX => Err(bad("is larger than 1 MiB")),
        Some(bytes) => String::from_utf8(bytes.clone()).map(Some).map_err(|_| bad("is not text in UTF-8")),
    }
}

async fn chart(
    context: &Context,
    sources: &Sourced<'_>,
    desired: &Desired,
    anew: bool,
) -> Result<StoredChart, PrepareError> {
    let repository = RepositoryUrl::parse(&desired.repository, context.settings.allow_http)?;
    let credentials = match &desired.repository_secret {
        Some(name) => Some(credentials(sources, name).await?),
        None => None,
    };
    let request =
        ChartRequest { repository, chart: desired.chart.clone(), version: desired.version.clone(), credentials, anew };
    let chart = context.charts.chart(request).await?;
    if chart.facts.library {
        return Err(PrepareError::Library(chart.name.as_str().into()));
    }
    if chart.facts.crds && desired.policy.crds != CrdsPolicy::Skip {
        // Nothing is installed of a chart that cannot be installed whole.
        definitions::read(context, &chart).await?;
    }
    Ok(chart)
}

async fn credentials(sources: &Sourced<'_>, name: &str) -> Result<Credentials, PrepareError> {
    let bad = |why| PrepareError::BadCredentials { name: name.into(), why };
    let read = sources.read(ValuesKind::Secret, name).await?;
    let data = read.ok_or_else(|| bad("does not exist; create it with the keys username and password"))?.data;
    let text = |key: &str| data.get(key).and_then(|bytes| String::from_utf8(bytes.clone()).ok());
    match (text("username"), text("password")) {
        (Some(username), Some(password)) => Ok(Credentials { username, password: Redacted::new(password) }),
        _ => Err(bad("needs the keys username and password")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_with_rights_of_others_counts_for_a_minute() {
        let read_at = Timestamp::UNIX_EPOCH;
        let after = |seconds| read_at.checked_add(SignedDuration::from_secs(seconds)).unwrap();
        assert!(counts(Tenancy::Strict, read_at, after(59)));
        assert!(!counts(Tenancy::Strict, read_at, after(60)));
        assert!(counts(Tenancy::Trusted, read_at, after(1_000_000)));
    }
}
