//! As whom a release is written to the cluster.

use crate::types::Namespace;

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
