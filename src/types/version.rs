//! What a user asks for in `releaseVersion`: one version, a range, or the version of the application.

use std::fmt;

use semver::Version;

use super::range::{RangeError, VersionRange};

/// Longest `releaseVersion`, in characters; the schema of the API has the same limit.
const REQUEST_MAX_CHARS: usize = 128;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    #[error("releaseVersion is empty; leave it out for the newest version, or name one")]
    Empty,
    #[error("releaseVersion has {0} characters, at most {REQUEST_MAX_CHARS} are allowed")]
    TooLong(usize),
    #[error("releaseVersion {text:?} is not a range: {source}")]
    Range { text: String, source: RangeError },
}

/// Which chart versions satisfy a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionRequest {
    /// `x.y.z`, also with prerelease and build: that version and no other.
    Exact(Version),
    /// Operators, wildcards or a partial version.
    Range(VersionRange),
    /// Anything else, or `app:TEXT`: the `appVersion` of the chart.
    App(Box<str>),
}

impl VersionRequest {
    /// The newest stable version: what an absent `releaseVersion` means.
    pub fn newest() -> Self {
        Self::Range(VersionRange::any())
    }

    pub fn parse(text: &str) -> Result<Self, VersionError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(VersionError::Empty);
        }
        let chars = text.chars().count();
        if chars > REQUEST_MAX_CHARS {
            return Err(VersionError::TooLong(chars));
        }
        if let Some(app) = text.strip_prefix("app:") {
            return if app.is_empty() { Err(VersionError::Empty) } else { Ok(Self::App(app.into())) };
        }
        if let Ok(version) = Version::parse(text.strip_prefix('v').unwrap_or(text)) {
            return Ok(Self::Exact(version));
        }
        if VersionRange::looks_like_one(text) {
            return VersionRange::parse(text)
                .map(Self::Range)
                .map_err(|source| VersionError::Range { text: text.to_owned(), source });
        }
        Ok(Self::App(text.into()))
    }

    /// Whether the answer can change while the repository grows. An exact version is resolved once.
    pub fn is_moving(&self) -> bool {
        match self {
            Self::Exact(_) => false,
            Self::Range(_) | Self::App(_) => true,
        }
    }

    /// Whether `found` would take a release down although what it has, `deployed` with its appVersion, still satisfies
    /// the request: a version has left the repository, or a mirror is behind. Nobody asked for that; who wants to go
    /// down names the version, or a range without the newer one.
    pub fn goes_down_by_itself(&self, found: &Version, deployed: &Version, app: &str) -> bool {
        let satisfied = match self {
            Self::Exact(_) => false,
            Self::Range(range) => range.matches(deployed),
            Self::App(wanted) => app == &**wanted,
        };
        satisfied && found.cmp_precedence(deployed).is_lt()
    }

    /// The highest of `charts` that satisfies the request, as an index into it.
    ///
    /// An `appVersion` prefers stable chart versions; a prerelease counts only if no stable one matches.
    #[expect(clippy::needless_pass_by_value, reason = "an iterator is handed over as a value")]
    pub fn choose<'a>(&self, charts: impl Iterator<Item = (&'a Version, &'a str)> + Clone) -> Option<&'a Version> {
        let highest = |matching: &dyn Fn(&Version, &str) -> bool| {
            charts.clone().filter(|(version, app)| matching(version, app)).map(|(version, _)| version).max()
        };
        match self {
            // Build metadata takes part only in an exact request: precedence ignores it.
            Self::Exact(wanted) => highest(&|version, _| version == wanted)
                .or_else(|| highest(&|version, _| wanted.build.is_empty() && version.cmp_precedence(wanted).is_eq())),
            Self::Range(range) => highest(&|version, _| range.matches(version)),
            Self::App(wanted) => highest(&|version, app| app == &**wanted && version.pre.is_empty())
                .or_else(|| highest(&|_, app| app == &**wanted)),
        }
    }
}

impl fmt::Display for VersionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(version) => write!(f, "{version}"),
            Self::Range(range) => write!(f, "{range}"),
            Self::App(app) => write!(f, "{app}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(request: &str, charts: &[(&str, &str)]) -> Option<String> {
        let charts: Vec<_> = charts.iter().map(|(v, a)| (Version::parse(v).unwrap(), *a)).collect();
        let request = VersionRequest::parse(request).unwrap();
        request.choose(charts.iter().map(|(v, a)| (v, *a))).map(ToString::to_string)
    }

    #[test]
    fn what_is_written_decides_what_is_meant() {
        assert!(matches!(VersionRequest::parse("1.2.3"), Ok(VersionRequest::Exact(_))));
        assert!(matches!(VersionRequest::parse("1.2.3-rc.1+b"), Ok(VersionRequest::Exact(_))));
        for range in ["1.2", "1", "*", "1.x", ">=1.0.0 <2.0.0", "^1.2", "~1", "1.2 - 1.4", "1 || 3"] {
            assert!(matches!(VersionRequest::parse(range), Ok(VersionRequest::Range(_))), "{range}");
        }
        for app in ["pink", "app:1.2.3", "2024-01-01-abc", "jammy", "x-wing"] {
            assert!(matches!(VersionRequest::parse(app), Ok(VersionRequest::App(_))), "{app}");
        }
        assert!(VersionRequest::parse(">=banana").is_err());
        assert!(VersionRequest::parse(" ").is_err());
    }

    #[test]
    fn highest_match_wins() {
        let charts = [("1.0.0", "pink"), ("1.1.0", "blue"), ("1.2.0", "blue"), ("2.0.0-rc.1", "green")];
        assert_eq!(choose("blue", &charts).as_deref(), Some("1.2.0"));
        assert_eq!(choose("*", &charts).as_deref(), Some("1.2.0"));
        assert_eq!(choose("1.1.0", &charts).as_deref(), Some("1.1.0"));
        assert_eq!(choose("1.x", &charts).as_deref(), Some("1.2.0"));
        assert_eq!(choose("9.9.9", &charts), None);
    }

    #[test]
    fn nothing_goes_down_while_what_is_deployed_is_what_was_asked_for() {
        let down = |request: &str, found: &str, deployed: &str| {
            let version = |text| Version::parse(text).unwrap();
            VersionRequest::parse(request).unwrap().goes_down_by_itself(&version(found), &version(deployed), "blue")
        };
        assert!(down("1.x", "1.4.0", "1.5.0") && down("*", "1.4.0", "1.5.0") && down("blue", "1.4.0", "1.5.0"));
        assert!(!down("1.x", "1.6.0", "1.5.0") && !down("1.x", "1.5.0", "1.5.0"));
        // Asked for: by name, by a range without it, by the appVersion of an older chart.
        assert!(!down("1.4.0", "1.4.0", "1.5.0") && !down("<1.5", "1.4.0", "1.5.0") && !down("pink", "1.4.0", "1.5.0"));
    }

    #[test]
    fn prerelease_counts_only_where_it_is_named_or_nothing_else_matches() {
        let charts = [("1.0.0", "a"), ("1.1.0-rc.1", "a"), ("2.0.0-rc.1", "b")];
        assert_eq!(choose("*", &charts).as_deref(), Some("1.0.0"));
        assert_eq!(choose(">=1.0.0-0", &charts).as_deref(), Some("2.0.0-rc.1"));
        assert_eq!(choose("a", &charts).as_deref(), Some("1.0.0"));
        assert_eq!(choose("b", &charts).as_deref(), Some("2.0.0-rc.1"));
    }
}
