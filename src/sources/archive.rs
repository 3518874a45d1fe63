//! A walk through a chart archive without unpacking it: every entry is checked, nothing is written.
//!
//! The checks are stricter than helm's, and where two readers of tar could understand different things the archive is
//! refused: what was looked at here must be what helm sees.

use std::{
    collections::HashSet,
    io::{BufRead, Read},
};

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, EntryType};

use super::{error::printable, settings::SourceSettings};

/// Longest path in an archive, in bytes; what unpacks charts elsewhere has no longer ones either.
const PATH_BYTES_MAX: usize = 1024;
/// Largest header extension, in bytes. They hold a path and a time.
const EXTENSION_BYTES_MAX: u64 = 64 << 10;
/// Archives inside of archives. helm packs subcharts one level deep; charts that vendor those come to two.
const NESTING_MAX: usize = 4;

/// Why an archive is refused, as a short fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw(pub(super) String);

impl Flaw {
    fn at(path: &str, what: &str) -> Self {
        Self(format!("{:?} {what}", printable(path)))
    }

    fn reading(error: &std::io::Error) -> Self {
        Self(format!("it is cut off or damaged ({})", printable(&error.to_string())))
    }
}

/// What is left of the limits; archives inside of the archive share them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    pub(super) unpacked_bytes: u64,
    pub(super) file_bytes: u64,
    pub(super) files: usize,
}

impl Allowance {
    pub(super) fn of(settings: &SourceSettings) -> Self {
        Self {
            unpacked_bytes: settings.unpacked_bytes_max,
            file_bytes: settings.file_bytes_max,
            files: settings.files_max,
        }
    }

    fn take(&mut self, path: &str, bytes: u64, bytes_max: u64) -> Result<(), Flaw> {
        self.files = self.files.checked_sub(1).ok_or_else(|| Flaw("it has too many entries".to_owned()))?;
        if bytes > bytes_max {
            return Err(Flaw::at(path, &format!("has {bytes} bytes, more than the limit of {bytes_max}")));
        }
        self.unpack(bytes)
    }

    fn unpack(&mut self, bytes: u64) -> Result<(), Flaw> {
        let left = self.unpacked_bytes.checked_sub(bytes);
        self.unpacked_bytes = left.ok_or_else(|| Flaw("it unpacks to more than the limit".to_owned()))?;
        Ok(())
    }
}

/// A file of a chart. Its path begins below the top directory; that of a file in a nested archive begins with the path
/// of that archive, as if it were a directory.
pub(super) struct ChartFile<'a> {
    pub(super) path: &'a str,
    pub(super) content: &'a [u8],
}

/// Shows every file of the archive to `see`, those of nested subcharts too.
pub(super) fn walk(
    archive: impl BufRead,
    allowance: Allowance,
    see: &mut dyn FnMut(ChartFile<'_>),
) -> Result<(), Flaw> {
    let mut walk = Walk { allowance, see };
    walk.archive(archive, "", 0)
}

struct Walk<'a> {
    allowance: Allowance,
    see: &'a mut dyn FnMut(ChartFile<'_>),
}

impl Walk<'_> {
    fn archive(&mut self, archive: impl BufRead, prefix: &str, nesting: usize) -> Result<(), Flaw> {
        let mut archive = Archive::new(MultiGzDecoder::new(archive));
        let mut shape = Shape::default();
        let mut long_path = None;
        // Raw, because the convenient way reads extensions of any size into memory before anyone can look at them.
        for entry in archive.entries().map_err(|error| Flaw::reading(&error))?.raw(true) {
            let mut entry = entry.map_err(|error| Flaw::reading(&error))?;
            let kind = entry.header().entry_type();
            let bytes = entry.header().entry_size().map_err(|error| Flaw::reading(&error))?;
            if matches!(kind, EntryType::GNULongName | EntryType::XHeader | EntryType::XGlobalHeader) {
                self.allowance.take("a header extension", bytes, EXTENSION_BYTES_MAX)?;
                let extension = contents(&mut entry, bytes)?;
                if let Some(path) = path_in(kind, &extension)?
                    && long_path.replace(path).is_some()
                {
                    return Err(Flaw("an entry has two names".to_owned()));
                }
                continue;
            }
            let path = long_path.take().unwrap_or_else(|| entry.header().path_bytes().into_owned());
            let path = String::from_utf8(path).map_err(|_| Flaw("a path is not UTF-8".to_owned()))?;
            let directory = match kind {
                EntryType::Regular => false,
                EntryType::Directory => true,
                EntryType::Symlink | EntryType::Link => return Err(Flaw::at(&path, "is a link")),
                _ => return Err(Flaw::at(&path, "is neither a file nor a directory")),
            };
            self.allowance.take(&path, bytes, self.allowance.file_bytes)?;
            let Some(inner) = shape.place(&path, directory)? else { continue };
            let content = contents(&mut entry, bytes)?;
            self.file(&format!("{prefix}{inner}"), &content, nesting)?;
        }
        shape.finish()?;
        self.padding(archive.into_inner())
    }

    /// Reads on to the end, where the checksum of the whole is: nothing but padding may be left.
    fn padding(&mut self, mut rest: impl Read) -> Result<(), Flaw> {
        let mut buffer = [0; 4096];
        loop {
            let count = rest.read(&mut buffer).map_err(|error| Flaw::reading(&error))?;
            let padding = buffer.get(..count).unwrap_or_default();
            if padding.is_empty() {
                return Ok(());
            }
            if padding.iter().any(|byte| *byte != 0) {
                return Err(Flaw("it goes on after its end".to_owned()));
            }
            self.allowance.unpack(count as u64)?;
        }
    }

    fn file(&mut self, path: &str, content: &[u8], nesting: usize) -> Result<(), Flaw> {
        (self.see)(ChartFile { path, content });
        if !is_packed_subchart(path) {
            return Ok(());
        }
        if nesting + 1 > NESTING_MAX {
            return Err(Flaw::at(path, "is nested too deep"));
        }
        self.archive(content, &format!("{path}/"), nesting + 1)
            .map_err(|Flaw(why)| Flaw::at(path, &format!("is flawed: {why}")))
    }
}

/// `charts/name.tgz`, of the chart itself or of a subchart: what helm loads as a chart. Names that begin with `_` or
/// `.` it ignores.
fn is_packed_subchart(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    let (name, folder) = (parts.next().unwrap_or_default(), parts.next());
    folder == Some("charts") && name.strip_suffix(".tgz").is_some() && !name.starts_with(['_', '.'])
}

fn contents(entry: &mut impl Read, bytes: u64) -> Result<Vec<u8>, Flaw> {
    let mut content = Vec::new();
    // The size is bounded by the allowance before this is called.
    let read = entry.take(bytes).read_to_end(&mut content).map_err(|error| Flaw::reading(&error))?;
    if read as u64 == bytes { Ok(content) } else { Err(Flaw("it is cut off".to_owned())) }
}

/// The path that an extension gives to the entry after it.
fn path_in(kind: EntryType, extension: &[u8]) -> Result<Option<Vec<u8>>, Flaw> {
    match kind {
        EntryType::GNULongName => {
            let end = extension.iter().position(|byte| *byte == 0).unwrap_or(extension.len());
            Ok(extension.get(..end).map(<[u8]>::to_vec))
        }
        EntryType::XHeader => {
            let mut path = None;
            for record in tar::PaxExtensions::new(extension) {
                let record = record.map_err(|error| Flaw::reading(&error))?;
                match record.key_bytes() {
                    b"path" => path = Some(record.value_bytes().to_vec()),
                    // These say that the entry is not what its header says (RUSTSEC-2026-0068).
                    b"size" | b"linkpath" => return Err(Flaw("a header extension contradicts its entry".to_owned())),
                    key if key.starts_with(b"GNU.sparse") => return Err(Flaw("it has a sparse file".to_owned())),
                    _ => {}
                }
            }
            Ok(path)
        }
        // Git writes its commit there; a path for every entry would be nonsense.
        _ if extension.windows(5).any(|window| window == b"path=") => {
            Err(Flaw("a global header extension names a path".to_owned()))
        }
        _ => Ok(None),
    }
}

/// One top directory, each path once.
#[derive(Debug, Default)]
struct Shape {
    top: Option<String>,
    seen: HashSet<String>,
    chart_yaml: bool,
}

impl Shape {
    /// The path below the top directory; `None` for directories.
    fn place(&mut self, path: &str, directory: bool) -> Result<Option<String>, Flaw> {
        let bare = if directory { path.strip_suffix('/').unwrap_or(path) } else { path };
        if bare.len() > PATH_BYTES_MAX {
            return Err(Flaw::at(bare, "is too long a path"));
        }
        if bare.starts_with('/') || bare.contains('\\') || bare.get(1..2) == Some(":") {
            return Err(Flaw::at(bare, "is not a relative path"));
        }
        if bare.chars().any(char::is_control) {
            return Err(Flaw::at(bare, "has control characters in its path"));
        }
        if bare.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(Flaw::at(bare, "leaves its directory or is not in its simplest form"));
        }
        let (top, inner) = match bare.split_once('/') {
            Some((top, inner)) => (top, inner),
            None if directory => (bare, ""),
            None => return Err(Flaw::at(bare, "is not in the directory of the chart")),
        };
        if *self.top.get_or_insert_with(|| top.to_owned()) != top {
            return Err(Flaw::at(top, "is a second top directory"));
        }
        if directory {
            return Ok(None);
        }
        if !self.seen.insert(inner.to_owned()) {
            return Err(Flaw::at(inner, "is there twice"));
        }
        self.chart_yaml |= inner == "Chart.yaml";
        Ok(Some(inner.to_owned()))
    }

    fn finish(self) -> Result<(), Flaw> {
        match (self.top, self.chart_yaml) {
            (None, _) => Err(Flaw("it is empty".to_owned())),
            (Some(_), false) => Err(Flaw("it has no Chart.yaml".to_owned())),
            (Some(_), true) => Ok(()),
        }
    }
}
