//! As whom a release is written to the cluster.

use crate::types::Namespace;

/// How far those who may write HelmReleases are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tenancy {
    /// With the rights of the operator, where a release names no service account; and with what the operator reads for
    /// any release.
    #[default]
    Trusted,
    /// With nothing but the rights of the service account of each release.
    Strict,
}

impl Tenancy {
    /// Why nothing is done for an object with that service account, if so. One sentence, with the way out.
    pub fn refuses(self, service_account: Option<&str>) -> Option<&'static str> {
        match (self, service_account) {
            (Self::Strict, None) => Some(
                "this operator does nothing without a service account (--tenancy strict), and neither spec nor operator \
                 names one; set spec.serviceAccountName",
            ),
            (Self::Strict, Some(_)) | (Self::Trusted, _) => None,
        }
    }
}

/// As whom helm and the operator act for one release.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// As the operator.
    Own,
    ServiceAccount {
        namespace: Namespace,
        name: Box<str>,
    },
}

/// A user and the groups that requests are made as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impersonated {
    pub user: String,
    pub groups: [String; 3],
}

impl Identity {
    /// Whom the API server is to take us for; `None` for ourselves.
    pub fn impersonated(&self) -> Option<Impersonated> {
        let Self::ServiceAccount { namespace, name } = self else { return None };
        Some(Impersonated {
            user: format!("system:serviceaccount:{namespace}:{name}"),
            // Impersonation replaces the groups, so those that the API server adds to a service account are named.
            groups: [
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".to_owned(),
            ],
        })
    }
}
