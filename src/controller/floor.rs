//! Below which version a range does not take a release by itself.
//!
//! Status tells what was last judged good. Where status was lost, or the object was made anew, helm's record tells: a
//! repository that has lost a version, or a mirror that is behind, would otherwise take the release down.
//!
//! A range that is stopped names the version that stops it, so a record of somebody else is read with the rights of
//! the object that is to have the release.

use semver::Version;

use super::{Context, adoption, offload::decoded, rights};
use crate::{
    api::Adopt,
    cluster::ClusterError,
    release::{Deployed, Desired, Identity, OwnerId, RecordStatus, Records},
    types::{ObjectKey, VersionRequest},
};

/// What is known of a release when its chart is looked up.
pub(super) struct Known<'a> {
    /// By status.
    pub deployed: Option<&'a Deployed>,
    pub records: &'a Records,
    pub owner: &'a OwnerId,
}

impl Known<'_> {
    /// The revision that tells what the release has: the newest that was judged good or taken over or, where somebody
    /// else's release is to be adopted, what is deployed.
    fn revision(&self, adopt: Adopt) -> Option<u32> {
        if matches!(self.records.newest()?.status, RecordStatus::Uninstalled | RecordStatus::Uninstalling) {
            return None;
        }
        let good = || self.records.iter().rev().find(|record| record.is_verified() || record.is_adopted());
        let found = match (self.records.belong_to(self.owner), adopt) {
            (true, _) => good(),
            (false, Adopt::Release | Adopt::ReleaseAndObjects) => self.records.deployed(),
            (false, Adopt::Never) => None,
        };
        found.map(|record| record.revision)
    }
}

/// The chart that a release has, as far as a range is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Floor {
    chart: Box<str>,
    version: Version,
    app_version: Box<str>,
}

impl Floor {
    fn new(chart: &str, version: &str, app_version: &str) -> Option<Self> {
        let version = Version::parse(version).ok()?;
        Some(Self { chart: chart.into(), version, app_version: app_version.into() })
    }

    /// What status tells, else what the record tells. `None` where every version may be installed.
    pub(super) async fn of(
        context: &Context,
        (key, desired): (&ObjectKey, &Desired),
        known: Known<'_>,
    ) -> Result<Option<Self>, ClusterError> {
        let told = |told: &Deployed| Self::new(&told.chart, &told.version, &told.app_version);
        // Status may name a revision instead, of which nothing was known when it was judged.
        if let Some(floor) = known.deployed.and_then(told) {
            return Ok(Some(floor));
        }
        let Some(revision) = known.revision(desired.policy.adopt) else { return Ok(None) };
        let record = if known.records.belong_to(known.owner) {
            let release = desired.policy.key();
            let read = context.requests.read_record_data(&release, revision).await;
            read.map_err(|error| rights::to_read_records(error, &Identity::Own, &release))
        } else {
            adoption::record_of_others(context, key, desired, revision).await
        };
        let Some(record) = record? else { return Ok(None) };
        // One that cannot be read is the planner's concern.
        Ok(decoded(&record)
            .await
            .ok()
            .and_then(|told| Self::new(&told.chart_name, &told.chart_version, &told.app_version)))
    }

    /// The version that stays deployed, if installing `found` would go down without anybody having asked for it.
    pub(super) fn stops(self, request: &VersionRequest, chart: &str, found: &Version) -> Option<Version> {
        let down = *self.chart == *chart && request.goes_down_by_itself(found, &self.version, &self.app_version);
        down.then_some(self.version)
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::{
        controller::mock::{self, Repository},
        release::Record,
    };

    fn record(revision: u32, status: RecordStatus, (owner, good): (&OwnerId, bool)) -> Record {
        Record {
            revision,
            status,
            digest: None,
            owner: Some(owner.clone()),
            stamp: Some(revision),
            verified: good.then_some(revision),
            cleared: None,
            adopted: None,
            written: 0,
        }
    }

    #[test]
    fn the_newest_good_revision_tells_what_the_release_has() {
        use RecordStatus::{Deployed, Failed, Superseded, Uninstalled};
        let (ours, other) = (OwnerId::from_label("a"), OwnerId::from_label("b"));
        let tells = |adopt, records: &[(RecordStatus, (&OwnerId, bool))]| {
            let made = (1..).zip(records).map(|(revision, (status, of))| record(revision, *status, *of));
            Known { deployed: None, records: &Records::new(made.collect()), owner: &ours }.revision(adopt)
        };
        let rolled_back = [(Superseded, (&ours, true)), (Failed, (&ours, false)), (Deployed, (&ours, true))];
        assert_eq!(tells(Adopt::Never, &rolled_back), Some(3));
        assert_eq!(tells(Adopt::Never, &rolled_back[..2]), Some(1), "what failed holds nobody back");
        assert_eq!(tells(Adopt::Never, &[(Superseded, (&ours, true)), (Uninstalled, (&ours, true))]), None);
        let of_another = [(Superseded, (&other, true)), (Deployed, (&other, false))];
        assert_eq!([Adopt::Never, Adopt::Release].map(|adopt| tells(adopt, &of_another)), [None, Some(2)]);
        assert_eq!(tells(Adopt::Release, &[]), None);
    }

    /// The chart that a release of ours has, whose record is of unicorn 1.2.0, where status tells this.
    async fn floor(deployed: Option<&Deployed>) -> Option<Floor> {
        let chart = json!({ "metadata": { "name": "unicorn", "version": "1.2.0", "appVersion": "pink" } });
        let data = STANDARD.encode(STANDARD.encode(json!({ "version": 1, "chart": chart }).to_string()));
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "data": { "release": data },
            "metadata": { "name": "sh.helm.release.v1.unicorn.v1" } });
        let (context, _) = mock::context(Repository { breaks: true }, move |_| (200, secret.to_string()));
        let (owner, desired) = (OwnerId::from_label("a"), mock::desired(&context));
        let records = Records::new(vec![record(1, RecordStatus::Deployed, (&owner, true))]);
        let known = Known { deployed, records: &records, owner: &owner };
        Floor::of(&context, (&ObjectKey::new("apps", "unicorn"), &desired), known).await.unwrap()
    }

    #[tokio::test]
    async fn helms_record_is_asked_where_status_names_no_version() {
        let of_record = Floor::new("unicorn", "1.2.0", "pink");
        assert!(of_record.is_some());
        assert_eq!(floor(None).await, of_record);
        let known = |chart: &str, version: &str| Deployed {
            revision: 1,
            chart: chart.into(),
            version: version.into(),
            app_version: "pink".into(),
            digest: None,
            since: Timestamp::UNIX_EPOCH,
        };
        assert_eq!(floor(Some(&known("", "revision 1"))).await, of_record);
        assert_eq!(floor(Some(&known("unicorn", "1.5.0"))).await, Floor::new("unicorn", "1.5.0", "pink"));
    }
}
