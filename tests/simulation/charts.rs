//! A chart repository without HTTP.

use std::{sync::Arc, time::Duration};

use futures::{
    FutureExt as _,
    future::{BoxFuture, ready},
};
use helm_release_operator::{
    controller::Charts,
    release::ChartContent,
    sources::{ChartFacts, ChartRequest, CrdFile, SourceError, StoredChart},
    types::{ChartDigest, VersionRequest},
};
use semver::Version;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::world::World;

/// The repository as one life of the operator sees it.
pub struct SimulatedCharts {
    pub world: Arc<World>,
    pub operator: u64,
}

impl Charts for SimulatedCharts {
    fn chart(&self, request: ChartRequest) -> BoxFuture<'_, Result<StoredChart, SourceError>> {
        async move {
            let (time, fails) = {
                let mut state = self.world.lock();
                let disturbed = state.disturbed;
                let faults = self.world.settings.request_faults;
                (state.requests.range(5, 400), disturbed && state.requests.per_mille(faults))
            };
            sleep(Duration::from_millis(time)).await;
            self.world.with_operator(self.operator).await;
            if fails {
                self.world.tell("charts: the repository cannot be reached");
                let why = "connection refused".to_owned();
                return Err(SourceError::Unreachable { place: request.repository.place(), why });
            }
            self.find(&request)
        }
        .boxed()
    }

    fn crd_files<'a>(&'a self, _: &'a StoredChart) -> BoxFuture<'a, Result<Vec<CrdFile>, SourceError>> {
        ready(Ok(Vec::new())).boxed()
    }

    fn content<'a>(&'a self, chart: &'a StoredChart) -> BoxFuture<'a, Result<ChartContent, SourceError>> {
        // As the records of the simulation have it.
        let mut content = ChartContent::default();
        content.about(&json!({ "name": chart.name.as_str(), "version": chart.version.to_string() }));
        ready(Ok(content)).boxed()
    }
}

/// The newest version in the repository that satisfies a request.
fn newest(world: &World, request: &VersionRequest) -> Option<Version> {
    let passed = world.origin.elapsed();
    let there = |version: &&String| world.settings.published.get(*version).is_none_or(|at| *at <= passed);
    let versions = world.settings.behaviours.keys().filter(there);
    let all: Vec<Version> = versions.filter_map(|version| Version::parse(version).ok()).collect();
    request.choose(all.iter().map(|version| (version, ""))).cloned()
}

/// The version that an object asks for now.
pub fn wanted(world: &World, object: &Value) -> String {
    let asked = object["spec"]["releaseVersion"].as_str().unwrap_or_default();
    let found = VersionRequest::parse(asked).ok().and_then(|request| newest(world, &request));
    found.map_or_else(|| asked.to_owned(), |version| version.to_string())
}

/// Whether an object asks for a range.
pub fn follows(object: &Value) -> bool {
    let asked = object["spec"]["releaseVersion"].as_str().unwrap_or_default();
    VersionRequest::parse(asked).is_ok_and(|request| request.is_moving())
}

/// Whether a version is one that an object asks for, if perhaps not the newest.
pub fn satisfies(object: &Value, version: &str) -> bool {
    let asked = object["spec"]["releaseVersion"].as_str().unwrap_or_default();
    let (Ok(request), Ok(version)) = (VersionRequest::parse(asked), Version::parse(version)) else { return false };
    request.choose(std::iter::once((&version, ""))).is_some()
}

impl SimulatedCharts {
    fn find(&self, request: &ChartRequest) -> Result<StoredChart, SourceError> {
        let version = newest(&self.world, &request.version).ok_or_else(|| SourceError::VersionAbsent {
            place: request.repository.place(),
            chart: request.chart.clone(),
            wanted: "another version".to_owned(),
            newest: Vec::new(),
        })?;
        let hooks = self.world.settings.behaviour(&version.to_string()).has_hooks();
        Ok(StoredChart::unmanaged(
            ChartDigest::of(format!("{} {version}", request.chart).as_bytes()),
            format!("/charts/unicorn-{version}.tgz").into(),
            request.chart.clone(),
            version,
            ChartFacts { hooks, crds: false, library: false },
        ))
    }
}
