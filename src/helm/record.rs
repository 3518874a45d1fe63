//! The payload of a release's record: what helm stores in the Secret of a revision, in either major's spelling.
//!
//! Only what the operator needs is read; charts, values and notes are skipped without being kept, and read elsewhere
//! ([`super::content`]) when a release of somebody else is compared with what is declared. One record may be
//! written anew ([`unlock`]): then every byte but status and description stays as it was, since helm and others know
//! fields that this room does not.

use std::{
    borrow::Cow,
    cmp::Reverse,
    io::{Read as _, Write as _},
    ops::Range,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::release::{ForeignAction, RecordStatus, rollback_told_by, unlocked_description};

/// Longest unpacked record, in bytes. A Secret holds 1 MiB packed; text of charts packs ten to one, so this is reached
/// only by what was made to be.
const UNPACKED_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// What gzip begins with. helm reads records without it too.
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];

/// The data of a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("the record is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    #[error("the record cannot be unpacked: {0}")]
    Gzip(std::io::Error),
    #[error("the record is larger than {} MiB when unpacked", UNPACKED_BYTES_MAX / 1024 / 1024)]
    TooLarge,
    /// The place only: serde's own text could repeat a value.
    #[error("the record is not a release of helm's: line {}, column {}", .0.line(), .0.column())]
    Json(serde_json::Error),
    #[error("the record has no status to change")]
    NoStatus,
}

/// How helm applied the revision's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ApplyMethod {
    #[default]
    ClientSide,
    ServerSide,
}

/// How far a hook has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HookPhase {
    /// Not started, or not told.
    #[default]
    Unknown,
    Running,
    Succeeded,
    Failed,
}

/// An object of the chart that helm creates at certain steps and waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    pub name: Box<str>,
    pub kind: Box<str>,
    /// Such as `pre-upgrade`, `test`.
    pub events: Vec<Box<str>>,
    pub phase: HookPhase,
}

impl Hook {
    /// helm runs it for `helm test` and at no other time. helm 2 knew two kinds.
    pub fn is_test(&self) -> bool {
        self.events.iter().any(|event| event.starts_with("test"))
    }
}

/// What a revision's record says beyond its labels. Has no `Debug`: a manifest holds Secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    pub revision: u32,
    pub status: RecordStatus,
    pub description: Box<str>,
    /// The revision that this one goes back to.
    pub rollback_to: Option<u32>,
    pub chart_name: Box<str>,
    pub chart_version: Box<str>,
    pub app_version: Box<str>,
    /// As rendered, without hooks; helm adds its labels only when it applies.
    pub manifest: String,
    pub hooks: Vec<Hook>,
    pub apply_method: ApplyMethod,
}

/// Reads the bytes under the Secret's key `release`, after the API's own base64 was taken off.
pub fn decode(data: &[u8]) -> Result<Payload, RecordError> {
    let json = unpack(data)?;
    let release: Release = serde_json::from_slice(&json).map_err(RecordError::Json)?;
    Ok(release.into())
}

/// What somebody else did to a release, told from the record that they left.
pub fn foreign_action(payload: &Payload) -> ForeignAction {
    payload.rollback_to.map_or(ForeignAction::Upgrade, |to| ForeignAction::Rollback { to })
}

/// The same record with status `failed` and a description that says `why`: a lock that a dead helm left, taken away.
/// Where helm's own description tells of a rollback, it goes on telling that.
///
/// helm finds the deployed revision by label and all else by payload, so the label `status` has to be set with it.
pub fn unlock(data: &[u8], why: &str) -> Result<Vec<u8>, RecordError> {
    let json = unpack(data)?;
    let text = str::from_utf8(&json).map_err(|_| RecordError::NoStatus)?;
    let release: LockedRelease<'_> = serde_json::from_str(text).map_err(RecordError::Json)?;
    let info: LockedInfo<'_> = serde_json::from_str(release.info.get()).map_err(RecordError::Json)?;
    let status = info.status.ok_or(RecordError::NoStatus)?;
    let status_json = format!("{:?}", RecordStatus::Failed.as_str());
    let before: Option<Cow<'_, str>> =
        info.description.map(|old| serde_json::from_str(old.get())).transpose().map_err(RecordError::Json)?;
    let description = unlocked_description(before.as_deref().unwrap_or_default(), why);
    let description_json = serde_json::to_string(&description).map_err(RecordError::Json)?;
    let mut edits = match info.description {
        Some(old) => vec![(span(text, status), status_json), (span(text, old), description_json)],
        None => vec![(span(text, status), format!("{status_json},\"description\":{description_json}"))],
    };
    // From the end, so that the places of the others stay true.
    edits.sort_by_key(|(span, _)| Reverse(span.start));
    let mut unlocked = text.to_owned();
    for (span, new) in edits {
        unlocked.replace_range(span, &new);
    }
    pack(unlocked.as_bytes())
}

/// Where a part that borrows from `whole` lies in it.
fn span(whole: &str, part: &RawValue) -> Range<usize> {
    let start = part.get().as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.get().len()
}

pub(super) fn unpack(data: &[u8]) -> Result<Vec<u8>, RecordError> {
    let packed = STANDARD.decode(data.trim_ascii())?;
    if !packed.starts_with(&GZIP_MAGIC) {
        return Ok(packed);
    }
    let mut json = Vec::new();
    let mut unpacking = MultiGzDecoder::new(packed.as_slice()).take(UNPACKED_BYTES_MAX + 1);
    unpacking.read_to_end(&mut json).map_err(RecordError::Gzip)?;
    if json.len() as u64 > UNPACKED_BYTES_MAX { Err(RecordError::TooLarge) } else { Ok(json) }
}

fn pack(json: &[u8]) -> Result<Vec<u8>, RecordError> {
    let mut packing = GzEncoder::new(Vec::new(), Compression::best());
    packing.write_all(json).map_err(RecordError::Gzip)?;
    let packed = packing.finish().map_err(RecordError::Gzip)?;
    Ok(STANDARD.encode(packed).into_bytes())
}

#[derive(Deserialize)]
struct LockedRelease<'a> {
    #[serde(borrow)]
    info: &'a RawValue,
}

#[derive(Deserialize)]
struct LockedInfo<'a> {
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    description: Option<&'a RawValue>,
}

/// As helm writes it. Every part may be absent or null, and times, which differ most between majors, are not read.
#[derive(Deserialize)]
struct Release {
    #[serde(default)]
    version: u32,
    #[serde(default, deserialize_with = "or_default")]
    info: Info,
    #[serde(default, deserialize_with = "or_default")]
    chart: Chart,
    #[serde(default, deserialize_with = "or_default")]
    manifest: String,
    #[serde(default, deserialize_with = "or_default")]
    hooks: Vec<RawHook>,
    #[serde(default, deserialize_with = "or_default")]
    apply_method: String,
}

#[derive(Deserialize, Default)]
struct Info {
    #[serde(default, deserialize_with = "or_default")]
    status: String,
    #[serde(default, deserialize_with = "or_default")]
    description: Box<str>,
    #[serde(default, deserialize_with = "or_default")]
    rollback_revision: u32,
}

#[derive(Deserialize, Default)]
struct Chart {
    #[serde(default, deserialize_with = "or_default")]
    metadata: ChartMetadata,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct ChartMetadata {
    #[serde(default, deserialize_with = "or_default")]
    name: Box<str>,
    #[serde(default, deserialize_with = "or_default")]
    version: Box<str>,
    #[serde(default, deserialize_with = "or_default")]
    app_version: Box<str>,
}

#[derive(Deserialize)]
struct RawHook {
    #[serde(default, deserialize_with = "or_default")]
    name: Box<str>,
    #[serde(default, deserialize_with = "or_default")]
    kind: Box<str>,
    #[serde(default, deserialize_with = "or_default")]
    events: Vec<Box<str>>,
    #[serde(default, deserialize_with = "or_default")]
    last_run: LastRun,
}

#[derive(Deserialize, Default)]
struct LastRun {
    #[serde(default, deserialize_with = "or_default")]
    phase: String,
}

/// Go writes null for what is empty.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

impl From<Release> for Payload {
    fn from(release: Release) -> Self {
        let Release { version, info, chart, manifest, hooks, apply_method } = release;
        // helm before 4.3 leaves only its words, which a user may write as well; nothing better is known.
        let told = Some(info.rollback_revision).filter(|to| *to > 0);
        let rollback_to = told.or_else(|| rollback_told_by(&info.description));
        Self {
            revision: version,
            status: RecordStatus::parse(&info.status),
            description: info.description,
            rollback_to,
            chart_name: chart.metadata.name,
            chart_version: chart.metadata.version,
            app_version: chart.metadata.app_version,
            manifest,
            hooks: hooks.into_iter().map(Hook::from).collect(),
            apply_method: if apply_method == "ssa" { ApplyMethod::ServerSide } else { ApplyMethod::ClientSide },
        }
    }
}

impl From<RawHook> for Hook {
    fn from(hook: RawHook) -> Self {
        let phase = match hook.last_run.phase.as_str() {
            "Running" => HookPhase::Running,
            "Succeeded" => HookPhase::Succeeded,
            "Failed" => HookPhase::Failed,
            _ => HookPhase::Unknown,
        };
        Self { name: hook.name, kind: hook.kind, events: hook.events, phase }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELM_3: &str = r#"{"name":"unicorn","info":{"first_deployed":"2026-01-01T00:00:00.123456789+01:00",
        "last_deployed":"2026-01-01T00:00:00Z","deleted":"","description":"Rollback to 2","status":"deployed","notes":"n"},
        "chart":{"metadata":{"name":"unicorn","version":"1.2.3","appVersion":"pink"},"lock":null,"templates":null,
        "values":{"big":12345678901234567890.10},"files":null},"manifest":"---\na: b\n",
        "hooks":[{"name":"mig","kind":"Job","path":"p","manifest":"m","events":["pre-upgrade"],
        "last_run":{"started_at":"","completed_at":"","phase":"Running"},"weight":0}],"version":3,"namespace":"meadow"}"#;
    const HELM_4: &str = r#"{"name":"unicorn","info":{"last_deployed":"2026-01-01T00:00:00Z","description":"Upgrade complete",
        "status":"pending-upgrade","rollback_revision":5},"chart":{"metadata":null},"manifest":"","hooks":[{"name":"t",
        "kind":"Pod","events":null,"last_run":{"phase":""}}],"version":7,"namespace":"meadow","apply_method":"ssa"}"#;

    fn stored(json: &str) -> Vec<u8> {
        pack(json.as_bytes()).unwrap()
    }

    #[test]
    fn record_of_helm_3_is_read() {
        let payload = decode(&stored(HELM_3)).unwrap();
        assert_eq!((payload.revision, payload.status, payload.rollback_to), (3, RecordStatus::Deployed, Some(2)));
        assert_eq!(
            (&*payload.chart_name, &*payload.chart_version, &*payload.app_version),
            ("unicorn", "1.2.3", "pink")
        );
        assert_eq!((payload.manifest.as_str(), payload.apply_method), ("---\na: b\n", ApplyMethod::ClientSide));
        let hook = Hook {
            name: "mig".into(),
            kind: "Job".into(),
            events: vec!["pre-upgrade".into()],
            phase: HookPhase::Running,
        };
        assert_eq!(payload.hooks, [hook]);
        assert_eq!(foreign_action(&payload), ForeignAction::Rollback { to: 2 });
    }

    #[test]
    fn record_of_helm_4_is_read() {
        let payload = decode(&stored(HELM_4)).unwrap();
        assert_eq!((payload.status, payload.rollback_to), (RecordStatus::PendingUpgrade, Some(5)));
        assert_eq!((payload.apply_method, payload.hooks[0].phase), (ApplyMethod::ServerSide, HookPhase::Unknown));
    }

    #[test]
    fn record_without_gzip_and_with_next_to_nothing_is_read() {
        let payload = decode(STANDARD.encode(r#"{"hooks":null,"manifest":null}"#).as_bytes()).unwrap();
        assert_eq!((payload.revision, payload.status), (0, RecordStatus::Unknown));
        assert_eq!(foreign_action(&payload), ForeignAction::Upgrade);
    }

    #[test]
    fn rubbish_is_an_error_that_repeats_nothing() {
        assert!(matches!(decode(b"***"), Err(RecordError::Base64(_))));
        let torn = STANDARD.decode(stored(HELM_3)).unwrap();
        assert!(matches!(decode(STANDARD.encode(&torn[..torn.len() / 2]).as_bytes()), Err(RecordError::Gzip(_))));
        let error = decode(&stored(r#"{"version":"hunter2"}"#)).err().unwrap();
        assert_eq!(error.to_string(), "the record is not a release of helm's: line 1, column 20");
    }

    #[test]
    fn record_that_unpacks_without_end_is_refused() {
        let mut packing = GzEncoder::new(Vec::new(), Compression::fast());
        for _ in 0..=32 {
            packing.write_all(&vec![b' '; 1024 * 1024]).unwrap();
        }
        let bomb = STANDARD.encode(packing.finish().unwrap());
        assert!(matches!(decode(bomb.as_bytes()), Err(RecordError::TooLarge)));
    }

    #[test]
    fn unlock_changes_status_and_description_and_not_one_byte_more() {
        let unlocked = unpack(&unlock(&stored(HELM_3), "ended \"early\"").unwrap()).unwrap();
        let expected = HELM_3
            .replace(r#""status":"deployed""#, r#""status":"failed""#)
            .replace(r#""Rollback to 2""#, r#""Rollback to 2; ended \"early\"""#);
        assert_eq!(String::from_utf8(unlocked).unwrap(), expected);
    }

    #[test]
    fn a_rollback_that_was_unlocked_is_still_read_as_a_rollback() {
        let once = unlock(&stored(HELM_3), "helm died").unwrap();
        let twice = unlock(&once, "helm died").unwrap();
        for unlocked in [once, twice] {
            let payload = decode(&unlocked).unwrap();
            assert_eq!(payload.status, RecordStatus::Failed);
            assert_eq!(foreign_action(&payload), ForeignAction::Rollback { to: 2 });
        }
        let upgrade =
            unlock(&stored(r#"{"info":{"status":"pending-upgrade","description":"Preparing upgrade"}}"#), "helm died")
                .unwrap();
        assert_eq!(foreign_action(&decode(&upgrade).unwrap()), ForeignAction::Upgrade);
    }

    #[test]
    fn unlock_adds_a_missing_description_and_needs_a_status() {
        let unlocked =
            unpack(&unlock(&stored(r#"{"info":{"status":"pending-install","x":1}}"#), "d").unwrap()).unwrap();
        assert_eq!(unlocked, br#"{"info":{"status":"failed","description":"d","x":1}}"#);
        assert!(matches!(unlock(&stored(r#"{"info":{}}"#), "d"), Err(RecordError::NoStatus)));
    }
}
