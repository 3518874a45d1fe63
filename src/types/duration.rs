//! Durations as Kubernetes users write them: `90s`, `1m30s`, `1.5h`.

use std::{fmt, time};

use serde::{Deserialize, Serialize};

/// The pattern of the API schema; units are those of Flux, which keeps nanoseconds out since CVE-2022-39272.
pub const DURATION_PATTERN: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";
/// Longest duration that means anything here: a year. Keeps every sum with a point in time in range.
const LONGEST: time::Duration = time::Duration::from_secs(366 * 24 * 3600);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    #[error("{0:?} is not a duration such as 30s, 5m or 1h30m")]
    Malformed(String),
    #[error("{0:?} is longer than a year")]
    TooLong(String),
}

/// A length of time, never negative, at most a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duration(time::Duration);

impl Duration {
    pub const ZERO: Self = Self(time::Duration::ZERO);

    pub const fn from_secs(seconds: u32) -> Self {
        Self(time::Duration::from_secs(seconds as u64))
    }

    pub fn parse(text: &str) -> Result<Self, DurationError> {
        let malformed = || DurationError::Malformed(text.chars().take(40).collect());
        let mut rest = text;
        let mut seconds = 0.0_f64;
        if rest.is_empty() {
            return Err(malformed());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(malformed)?;
            let (number, tail) = rest.split_at(digits);
            let number: f64 = number.parse().map_err(|_| malformed())?;
            let (unit, tail) = ["ms", "s", "m", "h"]
                .iter()
                .find_map(|unit| tail.strip_prefix(unit).map(|tail| (*unit, tail)))
                .ok_or_else(malformed)?;
            seconds += number
                * match unit {
                    "ms" => 0.001,
                    "s" => 1.0,
                    "m" => 60.0,
                    _ => 3600.0,
                };
            rest = tail;
        }
        if seconds > LONGEST.as_secs_f64() {
            return Err(DurationError::TooLong(text.chars().take(40).collect()));
        }
        Ok(Self(time::Duration::from_secs_f64(seconds)))
    }

    /// As long as that, or a year.
    pub fn at_most_a_year(duration: time::Duration) -> Self {
        Self(duration.min(LONGEST))
    }

    pub const fn as_std(self) -> time::Duration {
        self.0
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let (seconds, millis) = (millis / 1000, millis % 1000);
        let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        if h > 0 {
            write!(f, "{h}h")?;
        }
        if m > 0 {
            write!(f, "{m}m")?;
        }
        if s > 0 || (h == 0 && m == 0 && millis == 0) {
            write!(f, "{s}s")?;
        }
        if millis > 0 {
            write!(f, "{millis}ms")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Duration {
    type Error = DurationError;

    fn try_from(text: String) -> Result<Self, DurationError> {
        Self::parse(&text)
    }
}

impl From<Duration> for String {
    fn from(duration: Duration) -> Self {
        duration.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_users_write_them() {
        for (text, seconds, shown) in [
            ("90s", 90.0, "1m30s"),
            ("1h30m", 5400.0, "1h30m"),
            ("1.5h", 5400.0, "1h30m"),
            ("250ms", 0.25, "250ms"),
            ("0s", 0.0, "0s"),
        ] {
            let duration = Duration::parse(text).unwrap();
            assert!((duration.as_std().as_secs_f64() - seconds).abs() < 1e-9, "{text}");
            assert_eq!(duration.to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for bad in ["", "5", "m", "5 m", "-5s", "1d", "1.2.3s", "99999h"] {
            assert!(Duration::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
