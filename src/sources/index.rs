//! Reading of `index.yaml`: of the charts that are asked for, only what resolution needs; of the others nothing.
//!
//! The file is read as a stream, so its size is not memory. JSON is YAML, but its own parser is ten times as fast, and
//! large repositories publish JSON for that reason.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    os::unix::fs::FileExt as _,
    sync::Arc,
};

use flate2::read::MultiGzDecoder;
use semver::Version;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::error::printable;
use crate::types::{ChartDigest, ChartName};

/// Bytes that are read from disk at once.
const READ_BUFFER_BYTES: usize = 64 << 10;
/// Most aliases in an index. None is usual; what they repeat counts again.
const ALIASES_MAX: usize = 1_000;
/// Most nested collections; an index has six, annotations of a chart may have more.
const DEPTH_MAX: usize = 32;

/// One version of a chart, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) version: Version,
    pub(super) app_version: Box<str>,
    pub(super) digest: NamedDigest,
    /// Absolute, or relative to the repository; empty if there is none.
    pub(super) url: Box<str>,
}

/// What the index says about the bytes of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamedDigest {
    Absent,
    Is(ChartDigest),
    /// A digest was meant. Reading it as absent would switch the check off.
    Malformed,
}

/// The asked charts; one that the repository does not have is there with no entries.
pub(super) type Charts = HashMap<ChartName, Arc<[Entry]>>;

/// Why a body is not an index, as a short fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotAnIndex(pub(super) String);

impl NotAnIndex {
    fn because(error: &dyn fmt::Display) -> Self {
        // The first line only: parsers add an excerpt of the document below it.
        Self(printable(error.to_string().lines().next().unwrap_or_default()))
    }
}

/// Reads the charts in `wanted`. Blocks: parsing a large index takes seconds.
///
/// `bytes_max` bounds what a compressed body inflates to.
pub(super) fn read(file: Arc<File>, wanted: HashSet<ChartName>, bytes_max: u64) -> Result<Charts, NotAnIndex> {
    let mut raw = BufReader::with_capacity(READ_BUFFER_BYTES, FromStart { file, at: 0 });
    let compressed = raw.fill_buf().map_err(|error| NotAnIndex::because(&error))?.starts_with(&[0x1f, 0x8b]);
    let plain: Box<dyn Read> = if compressed { Box::new(MultiGzDecoder::new(raw)) } else { Box::new(raw) };
    let bounded = Bounded { inner: plain, left: bytes_max };
    parse(BufReader::with_capacity(READ_BUFFER_BYTES, bounded), wanted, bytes_max)
}

fn parse(mut body: impl BufRead, wanted: HashSet<ChartName>, bytes_max: u64) -> Result<Charts, NotAnIndex> {
    let start = body.fill_buf().map_err(|error| NotAnIndex::because(&error))?;
    let first = start.iter().copied().find(|byte| !byte.is_ascii_whitespace());
    let found = match first {
        None => return Err(NotAnIndex("it is empty".to_owned())),
        Some(b'<') => return Err(NotAnIndex("it is a web page".to_owned())),
        Some(b'{') => {
            let mut json = serde_json::Deserializer::from_reader(body);
            let found = IndexSeed { wanted: &wanted }.deserialize(&mut json);
            found.and_then(|found| json.end().map(|()| found)).map_err(|error| NotAnIndex::because(&error))?
        }
        Some(_) => {
            let seed = IndexSeed { wanted: &wanted };
            let options = yaml_options(bytes_max);
            serde_saphyr::with_deserializer_from_reader_with_options(body, options, |yaml| seed.deserialize(yaml))
                .map_err(|error| NotAnIndex::because(&error))?
        }
    };
    if !(found.entries || found.api_version) {
        return Err(NotAnIndex("it has neither apiVersion nor entries".to_owned()));
    }
    let mut charts = found.charts;
    for name in wanted {
        charts.entry(name).or_default();
    }
    Ok(charts)
}

/// The defaults are made for configuration files. An index is long and flat, so what bounds it is its size in bytes:
/// no event has less than one. Whatever amplifies stays tight.
fn yaml_options(bytes_max: u64) -> serde_saphyr::Options {
    let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_reader_input_bytes: Some(bytes_max),
            max_events: bytes_max,
            max_nodes: bytes_max,
            max_total_scalar_bytes: bytes_max,
            max_total_comment_bytes: bytes_max,
            max_depth: DEPTH_MAX,
            max_aliases: ALIASES_MAX,
            max_anchors: ALIASES_MAX,
            max_documents: 1,
        },
        // Descriptions and annotations of charts nobody asked for are never looked at: `1e999` is fine there.
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
        emit_comments: false,
    }
}

/// Reads a file with a position of its own: a parse that nobody waits for any more may still be reading the same file.
struct FromStart {
    file: Arc<File>,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// A reader that refuses to go on instead of ending early: a cut index would look like one with fewer versions.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::new(io::ErrorKind::FileTooLarge, "it inflates beyond the limit for an index"))?;
        Ok(count)
    }
}

/// An entry as written. Everything may be missing or null; what must be there is judged afterwards, entry by entry.
///
/// Text, also where YAML would read a number: `1.10` is not 1.1.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenEntry {
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    app_version: Option<String>,
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    urls: Option<Vec<Option<String>>>,
}

impl WrittenEntry {
    /// `None` without a version that is one: such an entry can neither be asked for nor compared.
    fn slim(self) -> Option<Entry> {
        let version = self.version?;
        let version = version.trim();
        let version = Version::parse(version.strip_prefix('v').unwrap_or(version)).ok()?;
        let digest = match self.digest.as_deref().map(str::trim) {
            None | Some("") => NamedDigest::Absent,
            Some(text) => ChartDigest::parse(text).map_or(NamedDigest::Malformed, NamedDigest::Is),
        };
        let url = self.urls.unwrap_or_default().into_iter().flatten().find(|url| !url.trim().is_empty());
        Some(Entry {
            version,
            app_version: self.app_version.unwrap_or_default().into(),
            digest,
            url: url.unwrap_or_default().trim().into(),
        })
    }
}

#[derive(Default)]
struct Found {
    entries: bool,
    api_version: bool,
    charts: Charts,
}

struct IndexSeed<'a> {
    wanted: &'a HashSet<ChartName>,
}

impl<'de> DeserializeSeed<'de> for IndexSeed<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for IndexSeed<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an index with entries")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let mut found = Found::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "entries" if found.entries => return Err(serde::de::Error::custom("entries is there twice")),
                "entries" => {
                    found.entries = true;
                    found.charts = map.next_value_seed(EntriesSeed { wanted: self.wanted })?;
                }
                other => {
                    found.api_version |= other == "apiVersion";
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

struct EntriesSeed<'a> {
    wanted: &'a HashSet<ChartName>,
}

impl<'de> DeserializeSeed<'de> for EntriesSeed<'_> {
    type Value = Charts;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Charts, D::Error> {
        // Null, which an empty repository may have, is allowed.
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for EntriesSeed<'_> {
    type Value = Charts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("charts by name")
    }

    fn visit_none<E>(self) -> Result<Charts, E> {
        Ok(Charts::default())
    }

    fn visit_unit<E>(self) -> Result<Charts, E> {
        Ok(Charts::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Charts, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Charts, A::Error> {
        let mut charts = Charts::default();
        while let Some(key) = map.next_key::<String>()? {
            let name = ChartName::parse(&key).ok().filter(|name| self.wanted.contains(name));
            let Some(name) = name else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let written = map.next_value::<Option<Vec<Option<WrittenEntry>>>>()?.unwrap_or_default();
            let entries = written.into_iter().flatten().filter_map(WrittenEntry::slim).collect();
            // Twice the same chart: whose bytes would win is a matter of who wrote last (CVE-2020-15185).
            if charts.insert(name, entries).is_some() {
                return Err(serde::de::Error::custom(format_args!("the chart {key:?} is listed twice")));
            }
        }
        Ok(charts)
    }
}

#[cfg(test)]
pub(super) fn parse_text(body: &str, wanted: &[&str]) -> Result<Charts, NotAnIndex> {
    let wanted = wanted.iter().filter_map(|name| ChartName::parse(name).ok()).collect();
    parse(body.as_bytes(), wanted, super::settings::INDEX_BYTES_MAX)
}
