//! Version ranges in the grammar that helm users know: `^1.2`, `~1`, `1.x`, `>=1 <2`, `1.2 - 1.4`, `a || b`.
//!
//! The grammar of the `semver` crate differs (a bare `1.2.3` is a caret there, and there is no `||`), so ranges are
//! parsed here and only its versions are used. A prerelease matches only if one of the bounds of the alternative
//! names a prerelease.

use std::fmt;

use semver::{BuildMetadata, Prerelease, Version};

/// Most bounds in one range; more is a mistake, not a wish.
const BOUNDS_MAX: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    #[error("{0:?} is not a version, as in 1, 1.2, 1.2.3 or 1.x")]
    NotAVersion(String),
    #[error("an alternative around '||' is empty")]
    EmptyAlternative,
    #[error("more than {BOUNDS_MAX} bounds")]
    TooManyBounds,
}

/// One `a && b && c` of bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Alternative {
    bounds: Vec<(Bound, Version)>,
    prereleases: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    AtLeast,
    Above,
    Below,
    AtMost,
    Equal,
    NotEqual,
}

/// A set of versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange {
    text: Box<str>,
    alternatives: Vec<Alternative>,
}

impl VersionRange {
    /// Every stable version.
    pub fn any() -> Self {
        Self { text: "*".into(), alternatives: vec![Alternative { bounds: Vec::new(), prereleases: false }] }
    }

    /// Whether a text is meant as a range at all: operators, wildcards and partial versions are.
    pub(super) fn looks_like_one(text: &str) -> bool {
        let operator = text.contains(['<', '>', '=', '^', '~', '*', '|', '!']);
        let partial = |text: &str| !text.is_empty() && Partial::parse(text).is_ok();
        operator || text.contains(" - ") || text.split([',', ' ']).filter(|t| !t.is_empty()).all(partial)
    }

    pub fn parse(text: &str) -> Result<Self, RangeError> {
        let alternatives = text.split("||").map(alternative).collect::<Result<Vec<_>, _>>()?;
        if alternatives.iter().map(|a| a.bounds.len()).sum::<usize>() > BOUNDS_MAX {
            return Err(RangeError::TooManyBounds);
        }
        Ok(Self { text: text.into(), alternatives })
    }

    pub fn matches(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|alternative| {
            (version.pre.is_empty() || alternative.prereleases)
                && alternative.bounds.iter().all(|(bound, limit)| {
                    let order = version.cmp_precedence(limit);
                    match bound {
                        Bound::AtLeast => order.is_ge(),
                        Bound::Above => order.is_gt(),
                        Bound::Below => order.is_lt(),
                        Bound::AtMost => order.is_le(),
                        Bound::Equal => order.is_eq(),
                        Bound::NotEqual => order.is_ne(),
                    }
                })
        })
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A version whose tail may be missing or a wildcard.
struct Partial {
    major: Option<u64>,
    minor: Option<u64>,
    patch: Option<u64>,
    pre: Prerelease,
}

impl Partial {
    fn parse(text: &str) -> Result<Self, RangeError> {
        let wrong = || RangeError::NotAVersion(text.to_owned());
        let bare = text.strip_prefix('v').unwrap_or(text);
        let bare = bare.split_once('+').map_or(bare, |(version, _build)| version);
        let (numbers, pre) = match bare.split_once('-') {
            Some((numbers, pre)) => (numbers, Prerelease::new(pre).map_err(|_| wrong())?),
            None => (bare, Prerelease::EMPTY),
        };
        let mut parts = [None; 3];
        let mut open = false;
        for (place, part) in numbers.split('.').enumerate() {
            let slot = parts.get_mut(place).ok_or_else(wrong)?;
            match part {
                "x" | "X" | "*" => open = true,
                number => {
                    let number = number.parse().map_err(|_| wrong())?;
                    // 1.x.3 means 1.x: what follows a wildcard says nothing.
                    *slot = if open { None } else { Some(number) };
                }
            }
        }
        let [major, minor, patch] = parts;
        if !pre.is_empty() && patch.is_none() {
            return Err(wrong());
        }
        Ok(Self { major, minor, patch, pre })
    }

    fn lowest(&self) -> Version {
        Version {
            major: self.major.unwrap_or(0),
            minor: self.minor.unwrap_or(0),
            patch: self.patch.unwrap_or(0),
            pre: self.pre.clone(),
            build: BuildMetadata::EMPTY,
        }
    }

    /// The first version after all that the written part covers; `None` where it covers everything.
    fn after(&self) -> Option<Version> {
        let next = |major, minor, patch| Some(Version::new(major, minor, patch));
        match (self.major, self.minor, self.patch) {
            (None, _, _) => None,
            (Some(major), None, _) => next(major.saturating_add(1), 0, 0),
            (Some(major), Some(minor), None) => next(major, minor.saturating_add(1), 0),
            (Some(major), Some(minor), Some(patch)) => next(major, minor, patch.saturating_add(1)),
        }
    }
}

fn alternative(text: &str) -> Result<Alternative, RangeError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(RangeError::EmptyAlternative);
    }
    let mut bounds = Vec::new();
    if let Some((low, high)) = text.split_once(" - ") {
        let (low, high) = (Partial::parse(low.trim())?, Partial::parse(high.trim())?);
        bounds.push((Bound::AtLeast, low.lowest()));
        push_at_most(&mut bounds, &high);
    } else {
        for (operator, partial) in comparators(text)? {
            push(&mut bounds, operator, &partial);
        }
    }
    if bounds.len() > BOUNDS_MAX {
        return Err(RangeError::TooManyBounds);
    }
    let prereleases = bounds.iter().any(|(_, version)| !version.pre.is_empty());
    Ok(Alternative { bounds, prereleases })
}

/// Splits `>= 1.2, <2` into operators and versions; blanks after an operator belong to it.
fn comparators(text: &str) -> Result<Vec<(&str, Partial)>, RangeError> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if rest.is_empty() {
            return Ok(found);
        }
        let end = rest.find(|c| !"<>=!~^".contains(c)).unwrap_or(rest.len());
        let (operator, tail) = rest.split_at(end);
        let tail = tail.trim_start();
        let end = tail.find([' ', ',', '<', '>', '=', '!', '~', '^']).unwrap_or(tail.len());
        let (version, tail) = tail.split_at(end);
        found.push((operator, Partial::parse(version)?));
        if found.len() > BOUNDS_MAX {
            return Err(RangeError::TooManyBounds);
        }
        rest = tail;
    }
}

fn push_at_most(bounds: &mut Vec<(Bound, Version)>, high: &Partial) {
    if high.patch.is_some() {
        bounds.push((Bound::AtMost, high.lowest()));
    } else if let Some(after) = high.after() {
        bounds.push((Bound::Below, after));
    }
}

fn push(bounds: &mut Vec<(Bound, Version)>, operator: &str, partial: &Partial) {
    let whole = partial.patch.is_some();
    match operator {
        ">" if whole => bounds.push((Bound::Above, partial.lowest())),
        // >1.2 means beyond all of 1.2.
        ">" => bounds.extend(partial.after().map(|after| (Bound::AtLeast, after))),
        ">=" | "=>" => bounds.push((Bound::AtLeast, partial.lowest())),
        "<" => bounds.push((Bound::Below, partial.lowest())),
        "<=" | "=<" => push_at_most(bounds, partial),
        "!=" if whole => bounds.push((Bound::NotEqual, partial.lowest())),
        "^" => {
            bounds.push((Bound::AtLeast, partial.lowest()));
            bounds.extend(caret_end(partial).map(|end| (Bound::Below, end)));
        }
        "~" | "~>" => {
            bounds.push((Bound::AtLeast, partial.lowest()));
            let end = Partial { patch: None, pre: Prerelease::EMPTY, ..*partial };
            bounds.extend(end.after().map(|end| (Bound::Below, end)));
        }
        _ if whole => bounds.push((Bound::Equal, partial.lowest())),
        _ => {
            if partial.major.is_some() {
                bounds.push((Bound::AtLeast, partial.lowest()));
            }
            bounds.extend(partial.after().map(|end| (Bound::Below, end)));
        }
    }
}

/// The caret keeps the leftmost number that is not zero.
fn caret_end(partial: &Partial) -> Option<Version> {
    match (partial.major?, partial.minor, partial.patch) {
        (0, Some(0), Some(patch)) => Some(Version::new(0, 0, patch.saturating_add(1))),
        (0, Some(minor), _) => Some(Version::new(0, minor.saturating_add(1), 0)),
        (major, _, _) => Some(Version::new(major.saturating_add(1), 0, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching<'a>(range: &str, versions: &[&'a str]) -> Vec<&'a str> {
        let range = VersionRange::parse(range).unwrap();
        versions.iter().copied().filter(|v| range.matches(&Version::parse(v).unwrap())).collect()
    }

    #[test]
    fn ranges_mean_what_helm_users_mean() {
        let all = ["0.0.3", "0.2.1", "0.3.0", "1.0.0", "1.2.0", "1.2.9", "1.3.0", "2.0.0"];
        for (range, expected) in [
            ("1", vec!["1.0.0", "1.2.0", "1.2.9", "1.3.0"]),
            ("1.2", vec!["1.2.0", "1.2.9"]),
            ("1.2.x", vec!["1.2.0", "1.2.9"]),
            ("^1.2", vec!["1.2.0", "1.2.9", "1.3.0"]),
            ("^0.2", vec!["0.2.1"]),
            ("^0.0.3", vec!["0.0.3"]),
            ("~1.2", vec!["1.2.0", "1.2.9"]),
            ("~1", vec!["1.0.0", "1.2.0", "1.2.9", "1.3.0"]),
            (">1.2", vec!["1.3.0", "2.0.0"]),
            (">=1.2.9, <2", vec!["1.2.9", "1.3.0"]),
            (">= 1.2.9 < 2", vec!["1.2.9", "1.3.0"]),
            ("<=1.2", vec!["0.0.3", "0.2.1", "0.3.0", "1.0.0", "1.2.0", "1.2.9"]),
            ("1.2 - 1.3", vec!["1.2.0", "1.2.9", "1.3.0"]),
            ("0.2 || 2", vec!["0.2.1", "2.0.0"]),
            ("!=1.2.0 >=1.2 <1.3", vec!["1.2.9"]),
            ("=1.3.0", vec!["1.3.0"]),
        ] {
            assert_eq!(matching(range, &all), expected, "{range}");
        }
    }

    #[test]
    fn rubbish_is_refused_with_the_word() {
        assert_eq!(VersionRange::parse(">=banana"), Err(RangeError::NotAVersion("banana".into())));
        assert_eq!(VersionRange::parse("1 ||"), Err(RangeError::EmptyAlternative));
        assert!(VersionRange::parse(&">1 ".repeat(40)).is_err());
        assert!(VersionRange::parse("1.2.3.4").is_err());
    }
}
