//! Names: of releases, charts, namespaces and the objects that declare releases.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest release name, in characters. helm refuses longer ones, because it builds object names of at most 63 from it.
pub const RELEASE_NAME_MAX_CHARS: usize = 53;
/// Longest name of a namespace, in characters (RFC 1123 label).
const NAMESPACE_MAX_CHARS: usize = 63;
/// Longest name of most Kubernetes objects, in characters (RFC 1123 subdomain).
const OBJECT_NAME_MAX_CHARS: usize = 253;

/// What is wrong with a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("{what} is empty")]
    Empty { what: &'static str },
    #[error("{what} has {chars} characters, at most {max} are allowed")]
    TooLong { what: &'static str, chars: usize, max: usize },
    #[error(
        "{what} {name:?} must consist of lower case letters, digits, '-'{dot} and begin and end with a letter or digit"
    )]
    Malformed { what: &'static str, name: String, dot: &'static str },
}

fn check(what: &'static str, name: &str, max: usize, dots: bool) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty { what });
    }
    let chars = name.chars().count();
    if chars > max {
        return Err(NameError::TooLong { what, chars, max });
    }
    let label = |l: &str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        edge(l.chars().next())
            && edge(l.chars().last())
            && l.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    let good = if dots { name.split('.').all(label) } else { label(name) };
    if good {
        Ok(())
    } else {
        Err(NameError::Malformed { what, name: name.to_owned(), dot: if dots { ", '.'" } else { "" } })
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Box<str>);

        impl $type {
            pub fn parse(name: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> Result<(), NameError> = $check;
                check(name)?;
                Ok(Self(name.into()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(name: String) -> Result<Self, NameError> {
                Self::parse(&name)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0.into()
            }
        }
    };
}

name_type!(
    /// The name of a Helm release: an RFC 1123 subdomain of at most 53 characters.
    ReleaseName,
    |name| check("the release name", name, RELEASE_NAME_MAX_CHARS, true)
);
name_type!(
    /// A namespace: an RFC 1123 label.
    Namespace,
    |name| check("the namespace", name, NAMESPACE_MAX_CHARS, false)
);
name_type!(
    /// The name of a chart in a repository. Letters of both cases, digits, `.`, `_` and `-`; never a path.
    ChartName,
    |name| {
        const WHAT: &str = "the chart name";
        if name.is_empty() {
            return Err(NameError::Empty { what: WHAT });
        }
        let chars = name.chars().count();
        if chars > OBJECT_NAME_MAX_CHARS {
            return Err(NameError::TooLong { what: WHAT, chars, max: OBJECT_NAME_MAX_CHARS });
        }
        let good = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
            && name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if good {
            Ok(())
        } else {
            Err(NameError::Malformed { what: WHAT, name: name.to_owned(), dot: ", '.', '_'" })
        }
    }
);

/// Where a Helm release lives: helm keeps its records in that namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReleaseKey {
    pub namespace: Namespace,
    pub name: ReleaseName,
}

impl fmt::Display for ReleaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The namespace and name of an object that declares a release.
///
/// Not checked: it comes from the API server, which has checked it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    pub namespace: Box<str>,
    pub name: Box<str>,
}

impl ObjectKey {
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_name_of_53_characters_is_the_longest() {
        assert!(ReleaseName::parse(&"a".repeat(53)).is_ok());
        assert_eq!(
            ReleaseName::parse(&"a".repeat(54)).unwrap_err().to_string(),
            "the release name has 54 characters, at most 53 are allowed"
        );
    }

    #[test]
    fn names_that_helm_refuses_are_refused() {
        for bad in ["", "-a", "a-", "A", "a_b", "a/b", "a..b", "a.-b"] {
            assert!(ReleaseName::parse(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(ReleaseName::parse("a.b-c").is_ok());
        assert!(Namespace::parse("a.b").is_err());
    }

    #[test]
    fn chart_name_is_never_a_path() {
        for bad in ["../x", "a/b", ".x", "a\\b", "a b"] {
            assert!(ChartName::parse(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(ChartName::parse("Ingress_nginx.2").is_ok());
    }
}
