//! A chart repository without HTTP.

use std::{sync::Arc, time::Duration};

use futures::{
    FutureExt as _,
    future::{BoxFuture, ready},
};
use helm_release_operator::{
    controller::Charts,
    sources::{ChartFacts, ChartRequest, CrdFile, SourceError, StoredChart},
    types::ChartDigest,
};
use semver::Version;
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
}

impl SimulatedCharts {
    fn find(&self, request: &ChartRequest) -> Result<StoredChart, SourceError> {
        let all: Vec<Version> =
            self.world.settings.behaviours.keys().filter_map(|version| Version::parse(version).ok()).collect();
        let found = request.version.choose(all.iter().map(|version| (version, "")));
        let version = found.cloned().ok_or_else(|| SourceError::VersionAbsent {
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
