//! Which right is missing: who needs it, and on what. The API server says only what it forbids.

use crate::{
    cluster::{ClusterError, NOT_IMPERSONATED, UNAUTHENTICATED},
    release::Identity,
    types::ReleaseKey,
};

/// A read of a release's records, made as `reader`, failed. Where a right is missing, the error says which.
pub(super) fn to_read_records(error: ClusterError, reader: &Identity, release: &ReleaseKey) -> ClusterError {
    let ClusterError::Forbidden(why) = &error else { return error };
    let remedy = remedy(why, reader, "get", release);
    ClusterError::Forbidden(format!("{why}; {remedy}").into())
}

/// What to do where `who` may not do that with the Secrets of a release.
pub(super) fn remedy(why: &str, who: &Identity, verbs: &str, release: &ReleaseKey) -> String {
    match who {
        _ if why.contains(UNAUTHENTICATED) => {
            "let the operator have credentials that the API server accepts".to_owned()
        }
        Identity::ServiceAccount { namespace, name } if why.contains(NOT_IMPERSONATED) => {
            format!("let the operator impersonate service account {name} in namespace {namespace}")
        }
        Identity::ServiceAccount { name, .. } => {
            format!("let service account {name} {verbs} Secrets in namespace {}", release.namespace)
        }
        Identity::Own => format!("let the operator {verbs} Secrets in namespace {}", release.namespace),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Namespace, ReleaseName};

    #[test]
    fn a_missing_right_names_who_needs_it_and_on_what() {
        let namespace = |name| Namespace::parse(name).unwrap();
        let release = ReleaseKey { namespace: namespace("shop"), name: ReleaseName::parse("web").unwrap() };
        let account = Identity::ServiceAccount { namespace: namespace("apps"), name: "deployer".into() };
        let told =
            |why: &str, reader| to_read_records(ClusterError::Forbidden(why.into()), reader, &release).to_string();
        assert_eq!(told("no", &account), "forbidden: no; let service account deployer get Secrets in namespace shop");
        assert_eq!(told("no", &Identity::Own), "forbidden: no; let the operator get Secrets in namespace shop");
        assert!(
            told("User operator cannot impersonate resource", &account)
                .ends_with("; let the operator impersonate service account deployer in namespace apps")
        );
        assert!(
            told("Unauthorized", &account).ends_with("; let the operator have credentials that the API server accepts")
        );
        assert_eq!(to_read_records(ClusterError::Timeout, &account, &release), ClusterError::Timeout);
    }
}
