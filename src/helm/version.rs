//! Which helm is there, and whether it is one that the operator knows how to drive.

use std::{
    ffi::OsString,
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    HelmError,
    process::{Order, Spawner},
    run::{self, Exit, Limits, Stop},
};

/// `helm version` needs 40 ms on an idle node; a node that takes this long cannot run releases either.
const DETECT_LIMIT: Duration = Duration::from_secs(20);
/// Bytes of output that are looked at; the answer has about ten.
const DETECT_OUTPUT_BYTES: usize = 4096;
/// Characters of an unexpected answer that are repeated in the error.
const SAID_MAX_CHARS: usize = 80;

/// A version of helm, without the patch number: binaries built by `go install` do not tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HelmVersion {
    pub major: u32,
    pub minor: u32,
}

impl HelmVersion {
    /// Has every flag that the operator gives, and logs of hooks.
    pub const OLDEST_3: Self = Self { major: 3, minor: 18 };
    /// Earlier ones watch the whole cluster, or wait for what has already failed.
    pub const OLDEST_4: Self = Self { major: 4, minor: 2 };

    /// Reads `v4.2`, `v3.18.1`, `v4.3.0+g1234567`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().strip_prefix('v')?.splitn(3, '.');
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?;
        let digits = minor.find(|c: char| !c.is_ascii_digit()).unwrap_or(minor.len());
        Some(Self { major, minor: minor[..digits].parse().ok()? })
    }
}

impl fmt::Display for HelmVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}", self.major, self.minor)
    }
}

/// A helm program that was asked for its version once and found fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Helm {
    binary: PathBuf,
    version: HelmVersion,
}

impl Helm {
    /// Asks the program for its version. Reads no configuration and needs no cluster.
    pub async fn detect(binary: &Path) -> Result<Self, HelmError> {
        let path = || binary.to_owned();
        let spawner = Spawner::start()?;
        let order = Order {
            program: path(),
            args: ["version", "--template", "{{.Version}}"].map(OsString::from).into(),
            environment: vec![("HOME", "/nonexistent".into()), ("HELM_NO_PLUGINS", "1".into())],
            directory: None,
            fed: false,
        };
        let limits = Limits {
            output_bytes: DETECT_OUTPUT_BYTES,
            wall_clock: DETECT_LIMIT,
            grace: Duration::ZERO,
            ends_in_order: false,
        };
        let started = spawner.spawn(Box::new(|| Ok((order, None)))).await.map_err(|error| explain(error, binary))?;
        let run = run::attend(started, None, &limits, &Stop::default()).await;
        if run.exit == Exit::TimedOut {
            return Err(HelmError::Silent { path: path(), limit: DETECT_LIMIT });
        }
        let said = run.stdout_tail.expose();
        let version = HelmVersion::parse(said).filter(|_| run.exit == Exit::Code(0)).ok_or_else(|| {
            let said = if said.trim().is_empty() { run.stderr_tail.expose() } else { said };
            HelmError::NotHelm { path: path(), said: said.chars().take(SAID_MAX_CHARS).collect() }
        })?;
        Self::accept(binary, version)
    }

    fn accept(binary: &Path, version: HelmVersion) -> Result<Self, HelmError> {
        let path = binary.to_owned();
        let oldest = match version.major {
            5.. => return Err(HelmError::TooNew { path, version }),
            4 => HelmVersion::OLDEST_4,
            _ => HelmVersion::OLDEST_3,
        };
        if version < oldest {
            return Err(HelmError::TooOld { path, version });
        }
        Ok(Self { binary: path, version })
    }

    #[cfg(test)]
    pub(super) fn for_tests(binary: &Path, version: HelmVersion) -> Self {
        Self { binary: binary.to_owned(), version }
    }

    pub fn binary(&self) -> &Path {
        &self.binary
    }

    pub fn version(&self) -> HelmVersion {
        self.version
    }
}

fn explain(error: HelmError, binary: &Path) -> HelmError {
    let path = binary.to_owned();
    match error {
        HelmError::Spawn { source, .. } if source.kind() == io::ErrorKind::NotFound => HelmError::Missing { path },
        HelmError::Spawn { source, .. } => HelmError::NotExecutable { path, source },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_with_and_without_a_patch_number() {
        for (text, major, minor) in [("v3.18", 3, 18), ("v4.3.1\n", 4, 3), ("v4.2.0+gabc", 4, 2), ("v4.4-rc.1", 4, 4)] {
            assert_eq!(HelmVersion::parse(text), Some(HelmVersion { major, minor }), "{text}");
        }
        for text in ["", "4.2", "v4", "vx.y", "Client: v2"] {
            assert_eq!(HelmVersion::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_known_versions_are_accepted_and_the_refusal_says_what_to_do() {
        let accept = |major, minor| Helm::accept(Path::new("/usr/bin/helm"), HelmVersion { major, minor });
        assert!(accept(3, 18).is_ok() && accept(3, 22).is_ok() && accept(4, 2).is_ok() && accept(4, 9).is_ok());
        assert_eq!(
            accept(3, 12).unwrap_err().to_string(),
            "helm at /usr/bin/helm is v3.12, at least v3.18 or v4.2 is needed; name another with --helm"
        );
        assert!(matches!(accept(2, 99), Err(HelmError::TooOld { .. })));
        assert!(matches!(accept(4, 1), Err(HelmError::TooOld { .. })));
        assert!(accept(5, 0).unwrap_err().to_string().contains("does not know yet"));
    }
}
