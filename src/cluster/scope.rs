//! Where the operator looks: the whole cluster, or some namespaces with a watch for each.

use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};

/// The namespaces that are watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    Cluster,
    Namespaces(Vec<Box<str>>),
}

impl Scope {
    /// How many watches of a namespaced kind that takes.
    pub(super) fn watches(&self) -> usize {
        match self {
            Self::Cluster => 1,
            Self::Namespaces(names) => names.len(),
        }
    }

    /// Which of the watches sees a namespace; `None` where nobody looks.
    pub(super) fn place(&self, namespace: &str) -> Option<usize> {
        match self {
            Self::Cluster => Some(0),
            Self::Namespaces(names) => names.iter().position(|name| **name == *namespace),
        }
    }

    /// One API for each watch, in the order of [`Self::place`].
    pub(super) fn apis<K>(&self, client: &Client) -> Vec<Api<K>>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        match self {
            Self::Cluster => vec![Api::all(client.clone())],
            Self::Namespaces(names) => names.iter().map(|name| Api::namespaced(client.clone(), name)).collect(),
        }
    }

    pub(super) fn unwatched(namespace: &str) -> Box<str> {
        format!("namespace {namespace} is not watched by this operator").into()
    }
}
