//! The closed vocabulary of reasons: what a script or an alert may rely on.

use std::fmt;

macro_rules! reasons {
    ($($name:ident: $meaning:literal, $todo:literal;)*) => {
        /// The reason of a condition or event. Stable: a name is never given another meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $(#[doc = $meaning] $name,)* }

        impl Reason {
            /// Every reason, for the catalogue.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// What it means, for the catalogue.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }

            /// What to do about it, for the catalogue.
            pub fn to_do(self) -> &'static str {
                match self { $(Self::$name => $todo,)* }
            }
        }
    };
}

reasons! {
    Succeeded: "The desired version is deployed and good.", "Nothing.";
    Progressing: "Work is under way.", "Wait; the message names what is waited for.";
    Suspended: "spec.suspend is true.", "Set spec.suspend to false to go on.";
    ViewIncomplete: "The operator does not see all it needs.", "Wait; if it lasts, check the operator's rights and the API server.";
    InstallFailed: "The first install failed.", "Read the message; correct chart or values. It is tried again by itself.";
    UpgradeFailed: "An upgrade failed and nothing was rolled back.", "Read the message; correct chart or values.";
    TestFailed: "Tests of the chart failed, and nothing was rolled back.", "Look at the test that the message names; correct chart or values. After a first install the tests run again by themselves.";
    UninstallFailed: "The release could not be removed.", "Read the message; it is tried again by itself.";
    Unhealthy: "An object of the deployed version is not healthy.", "Look at the object that the message names.";
    RolledBack: "An upgrade failed and was rolled back; the failed version is not deployed.", "Change the spec, or set the annotation helmrelease.dev/retry to a new value.";
    RolledBackByUser: "Somebody rolled back by hand, which is respected.", "Change the spec, or set the annotation helmrelease.dev/retry to a new value.";
    RollbackFailed: "helm could not roll back.", "Read the message; it is tried again by itself.";
    ChartUnavailable: "The chart cannot be had.", "Correct spec.chart or releaseVersion, or repair the repository.";
    ValuesUnavailable: "An object or key that valuesFrom names cannot be used.", "Create or correct it; the watch notices.";
    DependencyNotReady: "A release that spec.dependsOn names is not ready.", "Wait; the message names it and what is missing. A cycle needs a change of spec.dependsOn.";
    InvalidSpec: "The spec cannot be acted on.", "Correct what the message names.";
    NotOurs: "A release of that name exists and was made by somebody else.", "Set spec.adopt to Release to take it over, or choose another releaseName.";
    ClaimedByAnother: "Another object owns the release.", "Delete one of the two objects, or give one another releaseName.";
    RecordUnreadable: "A record of helm's that is needed cannot be read, or another Secret has its name.", "Read the message; restore the Secret that it names, or delete it to go on without it.";
    Refused: "A policy forbids it, or a right is missing: of the operator or of the release's service account.", "Read the message; grant the right or change the spec.";
    HelmUnavailable: "helm cannot be run now.", "Wait; if it lasts, check the operator's log.";
    Drifted: "Objects in the cluster are not as the chart states them.", "Look who changes the fields that the message names; put them back, ignore them in spec.driftDetection, or set its mode to Correct.";
    Uninstalling: "The object is being deleted and its release removed.", "Wait; the message names what is still there.";
    Retrying: "Another attempt is due later.", "Wait, or correct the cause sooner.";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
