//! Counters with closed label sets. The only place that knows which library counts.

use prometheus::{Encoder as _, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

/// Before every name.
const PREFIX: &str = "helm_release_operator";

/// A metric could not be registered: two have the same name, which is a mistake in this file.
#[derive(Debug, thiserror::Error)]
#[error("metric cannot be registered: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

/// All counters of one operator.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    /// Passes, by how they ended: `written`, `unchanged`, `conflict`, `error`.
    pub passes: IntCounterVec,
    /// helm's runs, by kind and result.
    pub operations: IntCounterVec,
    /// Failed runs, by class.
    pub failures: IntCounterVec,
    /// Releases by what the last pass of this process said of Ready.
    pub releases: IntGaugeVec,
    pub quarantined: IntGauge,
    /// Releases whose objects are not as their charts state them.
    pub drifted: IntGauge,
    /// Comparisons of a release's objects with its chart, by result: `same`, `drifted`, `unseen`, `error`.
    pub comparisons: IntCounterVec,
    pub helm_started: IntCounter,
    pub helm_running: IntGauge,
    pub queued: IntGauge,
    pub running: IntGauge,
    /// Tasks that work for a release now: runs of helm, look-ups, reads.
    pub tasks: IntGauge,
    /// All tasks of the process, watches and connections included.
    pub tasks_alive: IntGauge,
    /// 1 for the operator that acts, 0 for one that stands by.
    pub leader: IntGauge,
    /// Attempts to get or keep the lease, by result: `renewed`, `conflict`, `error`.
    pub lease_renewals: IntCounterVec,
    /// Objects that could not be read.
    pub malformed: IntCounter,
    /// Secrets that helm's label calls records and that are none.
    pub malformed_records: IntCounter,
    /// Labels of the operator's on records that cannot be read, by label.
    pub malformed_labels: IntCounterVec,
    /// Records whose payload cannot be read.
    pub malformed_payloads: IntCounter,
    /// Events that were dropped because the queue was full.
    pub events_dropped: IntCounter,
}

impl Metrics {
    pub fn new() -> Result<Self, MetricsError> {
        let registry = Registry::new_custom(Some(PREFIX.to_owned()), None)?;
        let counters = |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let metric = IntGauge::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let metric = IntCounter::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let releases = IntGaugeVec::new(
            Opts::new("releases", "Releases that this process has looked at, by the status of their Ready condition."),
            &["ready"],
        )?;
        registry.register(Box::new(releases.clone()))?;
        Ok(Self {
            passes: counters("reconciles_total", "Passes over a release, by result.", &["result"])?,
            operations: counters("operations_total", "Runs of helm, by kind and result.", &["kind", "result"])?,
            failures: counters("operation_failures_total", "Failed runs of helm, by class.", &["class"])?,
            releases,
            quarantined: gauge("quarantined_releases", "Releases whose desired version is quarantined.")?,
            drifted: gauge("drifted_releases", "Releases whose objects are not as their charts state them.")?,
            comparisons: counters(
                "drift_comparisons_total",
                "Comparisons of the objects of a release with its chart, by result.",
                &["result"],
            )?,
            helm_started: counter(
                "helm_processes_started_total",
                "helm processes started since the operator started.",
            )?,
            helm_running: gauge("helm_processes_running", "helm processes that are running.")?,
            queued: gauge("board_queued", "Releases that wait for a helm slot.")?,
            running: gauge("board_running", "Releases that helm works on.")?,
            tasks: gauge("tasks_running", "Tasks that work for a release now: runs of helm, look-ups, reads.")?,
            tasks_alive: gauge("tasks_alive", "All tasks of the process, watches and connections included.")?,
            leader: gauge("leader", "1 for the operator that acts, 0 for one that stands by.")?,
            lease_renewals: counters(
                "lease_renewals_total",
                "Attempts to get or keep the lease, by result.",
                &["result"],
            )?,
            malformed: counter("malformed_objects_total", "Objects that could not be read.")?,
            malformed_records: counter(
                "malformed_records_total",
                "Secrets with helm's label that are no records, each time that one was seen.",
            )?,
            malformed_labels: counters(
                "malformed_labels_total",
                "Labels of the operator's on helm's records that cannot be read, by label, each time that one was seen.",
                &["label"],
            )?,
            malformed_payloads: counter(
                "malformed_payloads_total",
                "Records whose payload cannot be read, each time that one was looked into.",
            )?,
            events_dropped: counter("events_dropped_total", "Events dropped because their queue was full.")?,
            registry,
        })
    }

    /// The page that Prometheus reads.
    pub fn page(&self) -> Result<Vec<u8>, MetricsError> {
        let mut page = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut page)?;
        Ok(page)
    }

    /// Media type of [`Metrics::page`].
    pub fn media_type() -> &'static str {
        prometheus::TEXT_FORMAT
    }
}
