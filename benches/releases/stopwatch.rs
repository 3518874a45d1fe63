//! Tells when helm was started, without a part of the measurement inside the operator.
//!
//! The benchmark gives the operator a link to itself as helm. Started by that name it notes the time in a file and
//! becomes the real helm.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, SystemTime};

/// The name by which this program plays helm.
const NAME: &str = "timed-helm";

/// Beside the link: the real helm, and the times of its starts in nanoseconds since 1970.
const REAL: &str = "real-helm";
const STARTS: &str = "starts";

/// Becomes helm when started by that name, noting the time; returns only when it was not, or when that fails.
pub(crate) fn play_helm() -> Option<ExitCode> {
    let now = SystemTime::now();
    let mut arguments = std::env::args_os();
    let path = PathBuf::from(arguments.next()?);
    if path.file_name()? != NAME {
        return None;
    }
    let folder = path.parent()?;
    let arguments: Vec<_> = arguments.collect();
    // A question for its version is no run.
    let noted = if arguments.first().is_some_and(|first| first == "version") { Ok(()) } else { note(folder, now) };
    let error = noted.map_or_else(|error| error, |()| Command::new(folder.join(REAL)).args(arguments).exec());
    eprintln!("{NAME}: {error}");
    Some(ExitCode::FAILURE)
}

fn note(folder: &Path, now: SystemTime) -> io::Result<()> {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?;
    let mut file = OpenOptions::new().append(true).create(true).open(folder.join(STARTS))?;
    // One write, so that lines of several processes do not mix.
    file.write_all(format!("{}\n", since.as_nanos()).as_bytes())
}

/// The link and the notes.
pub(crate) struct Stopwatch(PathBuf);

impl Stopwatch {
    pub(crate) fn new(folder: &Path, helm: &Path) -> io::Result<Self> {
        std::os::unix::fs::symlink(std::env::current_exe()?, folder.join(NAME))?;
        std::os::unix::fs::symlink(helm, folder.join(REAL))?;
        Ok(Self(folder.to_owned()))
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.0.join(NAME)
    }

    /// The starts of helm so far.
    pub(crate) fn starts(&self) -> Vec<SystemTime> {
        let text = fs::read_to_string(self.0.join(STARTS)).unwrap_or_default();
        let times = text.lines().filter_map(|line| line.parse().ok());
        times.map(|nanoseconds| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds)).collect()
    }
}
