//! CustomResourceDefinitions of a chart that differ from those in the cluster, and were left alone.

use serde::{Deserialize, Serialize};

use crate::{
    api::{self, DIFFERING_CRDS_MAX},
    types::ReleaseDigest,
};

/// What one run of helm found to differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftAlone {
    /// What the run was to deploy: of another digest nothing is known.
    pub digest: ReleaseDigest,
    /// At most [`DIFFERING_CRDS_MAX`].
    pub names: Vec<Box<str>>,
    /// How many there are, the named ones included.
    pub count: u32,
}

impl LeftAlone {
    /// `None` where nothing differs.
    pub fn new(digest: ReleaseDigest, mut names: Vec<Box<str>>) -> Option<Self> {
        let count = u32::try_from(names.len()).unwrap_or(u32::MAX);
        names.truncate(DIFFERING_CRDS_MAX);
        (count > 0).then_some(Self { digest, names, count })
    }
}

/// Says which, without a final period.
impl std::fmt::Display for LeftAlone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, differ, were) = if self.count == 1 {
            ("CustomResourceDefinition", "differs", "was")
        } else {
            ("CustomResourceDefinitions", "differ", "were")
        };
        let named = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        write!(f, "{kind} {}", self.names.join(", "))?;
        if self.count > named {
            write!(f, " and {} more", self.count - named)?;
        }
        write!(f, " {differ} from the chart's and {were} left alone")
    }
}

/// What another program has damaged is dropped: the next run finds it out anew.
impl TryFrom<api::CrdsLeftAlone> for LeftAlone {
    type Error = crate::types::DigestError;

    fn try_from(wire: api::CrdsLeftAlone) -> Result<Self, Self::Error> {
        let names = wire.differing.into_iter().take(DIFFERING_CRDS_MAX).map(Into::into).collect();
        Ok(Self { digest: ReleaseDigest::parse(&wire.digest)?, names, count: wire.count })
    }
}

impl From<LeftAlone> for api::CrdsLeftAlone {
    fn from(left: LeftAlone) -> Self {
        let differing = left.names.into_iter().map(Into::into).collect();
        Self { digest: left.digest.into(), differing, count: left.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(count: usize) -> Option<LeftAlone> {
        let names = (0..count).map(|number| format!("things{number}.example.org").into()).collect();
        LeftAlone::new(ReleaseDigest::v1(&[]), names)
    }

    #[test]
    fn nothing_that_differs_is_nothing_to_say() {
        assert_eq!(left(0), None);
    }

    #[test]
    fn names_are_bounded_and_the_rest_is_counted() {
        let one = left(1).unwrap().to_string();
        assert_eq!(one, "CustomResourceDefinition things0.example.org differs from the chart's and was left alone");
        let many = left(DIFFERING_CRDS_MAX + 4).unwrap();
        assert_eq!(many.names.len(), DIFFERING_CRDS_MAX);
        assert!(many.to_string().ends_with("example.org and 4 more differ from the chart's and were left alone"));
    }

    #[test]
    fn status_brings_back_what_was_put_into_it() {
        let many = left(DIFFERING_CRDS_MAX + 4).unwrap();
        assert_eq!(LeftAlone::try_from(api::CrdsLeftAlone::from(many.clone())), Ok(many));
    }
}
