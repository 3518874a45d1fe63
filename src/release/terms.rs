//! On what terms the inputs of a release are tried: what a new attempt may be hoped to end differently for.

use super::{Desired, Policy};
use crate::types::ReleaseDigest;

impl Desired {
    /// Digest of what an attempt depends on beside what helm is given: how long it may take, what of the chart runs,
    /// what counts as failed and who does it. A change of it is a reason to try again what was given up; a change of
    /// anything else in a spec, such as `suspend` or `interval`, is none.
    pub fn terms(&self) -> ReleaseDigest {
        let Policy {
            namespace: _,
            release: _,
            suspend: _,
            interval: _,
            timeout,
            max_history: _,
            crds,
            install_failure,
            upgrade_failure,
            retries,
            force_conflicts,
            hooks,
            test,
            deletion: _,
            drift: _,
            // An object that stands in the way may be taken now.
            adopt,
        } = &self.policy;
        let how = (timeout, crds, install_failure, upgrade_failure, retries, force_conflicts, hooks, test);
        let who = (&self.service_account, self.create_namespace, adopt);
        // Plain enums, numbers and texts: there is nothing in them that JSON cannot say.
        ReleaseDigest::v1(&[&serde_json::to_vec(&(how, who)).unwrap_or_default()])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{api::HelmRelease, release::SpecDefaults};

    fn terms(spec: &Value) -> ReleaseDigest {
        let object: HelmRelease = serde_json::from_value(json!({
            "apiVersion": "helmrelease.dev/v1alpha1", "kind": "HelmRelease",
            "metadata": {"name": "web", "namespace": "apps"}, "spec": spec,
        }))
        .unwrap();
        let defaults =
            SpecDefaults { repository: Some("https://charts.example.com".into()), ..SpecDefaults::default() };
        Desired::parse(&object, &defaults).unwrap().terms()
    }

    #[test]
    fn only_what_bears_on_an_attempt_changes_them() {
        let plain = terms(&json!({}));
        for spec in [
            json!({"suspend": true}),
            json!({"interval": "1h"}),
            json!({"maxHistory": 9}),
            json!({"deletionPolicy": "Orphan"}),
            json!({"dependsOn": [{"name": "other"}]}),
            json!({"driftDetection": {"mode": "Correct"}}),
            // Are part of the release digest.
            json!({"values": {"a": 1}}),
            json!({"releaseVersion": "1.2.3"}),
        ] {
            assert_eq!(terms(&spec), plain, "{spec}");
        }
        let mut seen = vec![plain];
        for spec in [
            json!({"timeout": "9m"}),
            json!({"crds": "CreateReplace"}),
            json!({"upgrade": {"retries": 3}}),
            json!({"upgrade": {"onFailure": "Keep"}}),
            json!({"upgrade": {"forceConflicts": true}}),
            json!({"install": {"onFailure": "Uninstall"}}),
            json!({"rollback": {"hooks": "Skip"}}),
            json!({"test": {"enabled": true}}),
            json!({"serviceAccountName": "deployer"}),
            json!({"createNamespace": true}),
            json!({"adopt": "ReleaseAndObjects"}),
        ] {
            let terms = terms(&spec);
            assert!(!seen.contains(&terms), "{spec}");
            seen.push(terms);
        }
    }
}
