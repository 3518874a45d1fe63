//! What the operator has to know of a chart before helm runs: its identity, and whether it has hooks and CRDs.

use std::io::BufRead;

use semver::Version;
use serde::{Deserialize, Serialize};

use super::{
    archive::{Allowance, ChartFile, Flaw, walk},
    error::printable,
};
use crate::types::ChartName;

/// What decides how helm is run with a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChartFacts {
    /// A hook other than a test is in the text of the chart or of a subchart, or may be: then helm has to wait by
    /// itself. Values of the user can bring more; they are not looked at here.
    pub hooks: bool,
    /// There are manifests under `crds/`, of the chart or of a subchart.
    pub crds: bool,
    /// A library chart, which cannot be installed.
    pub library: bool,
}

/// A manifest under `crds/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrdFile {
    /// Below the directory of the chart. A packed subchart counts as a directory.
    pub path: String,
    pub content: Vec<u8>,
}

/// What an archive turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inspected {
    pub(super) app_version: String,
    pub(super) facts: ChartFacts,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    app_version: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

/// Walks through the archive and compares it with what it should be.
pub(super) fn inspect(
    archive: impl BufRead,
    allowance: Allowance,
    name: &ChartName,
    version: &Version,
) -> Result<Inspected, Flaw> {
    let mut metadata = None;
    let (mut hooks, mut crds) = (false, false);
    walk(archive, allowance, &mut |ChartFile { path, content }| {
        if path == "Chart.yaml" {
            metadata = Some(serde_saphyr::from_slice::<Metadata>(content));
        }
        crds |= is_crd(path);
        hooks = hooks || may_bring_hooks(path, content);
    })?;
    let metadata = match metadata {
        Some(Ok(metadata)) => metadata,
        Some(Err(error)) => {
            let why = error.to_string();
            return Err(Flaw(format!("Chart.yaml: {}", printable(why.lines().next().unwrap_or_default()))));
        }
        None => return Err(Flaw("it has no Chart.yaml".to_owned())),
    };
    let found_name = metadata.name.unwrap_or_default();
    if found_name != name.as_str() {
        return Err(Flaw(format!("the chart inside is named {:?}", printable(&found_name))));
    }
    let found_version = metadata.version.unwrap_or_default();
    let bare = found_version.trim();
    if Version::parse(bare.strip_prefix('v').unwrap_or(bare)).ok().as_ref() != Some(version) {
        return Err(Flaw(format!("the chart inside has the version {:?}", printable(&found_version))));
    }
    let library = metadata.kind.as_deref() == Some("library");
    let app_version = metadata.app_version.unwrap_or_default();
    Ok(Inspected { app_version, facts: ChartFacts { hooks, crds, library } })
}

/// The manifests under `crds/`, in the order of the archive.
pub(super) fn crd_files(archive: impl BufRead, allowance: Allowance) -> Result<Vec<CrdFile>, Flaw> {
    let mut files = Vec::new();
    walk(archive, allowance, &mut |ChartFile { path, content }| {
        if is_crd(path) {
            files.push(CrdFile { path: path.to_owned(), content: content.to_vec() });
        }
    })?;
    Ok(files)
}

/// Below `crds/` of the chart or of a subchart, with an ending that helm takes for a manifest.
fn is_crd(path: &str) -> bool {
    let mut rest = path;
    while let Some(below) = rest.strip_prefix("charts/") {
        let Some((_subchart, inner)) = below.split_once('/') else { return false };
        rest = inner;
    }
    let ending = rest.rsplit_once('.').map(|(_, ending)| ending);
    rest.starts_with("crds/") && matches!(ending, Some("yaml" | "yml" | "json"))
}

/// Whether a hook may come from this file. In doubt yes: a needless wait costs time, a missing one breaks the release.
fn may_bring_hooks(path: &str, content: &[u8]) -> bool {
    // Of the templates every file counts: definitions may be in any of them.
    if path.split('/').any(|part| part == "templates") {
        return names_hook(content);
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    // Prose names hooks without making them; a packed subchart was walked through by itself.
    if matches!(ending, Some("md" | "gotmpl" | "tgz")) || name == "LICENSE" {
        return false;
    }
    // In values and other data a comment is never more than that; in a template it may be.
    let mut data = content.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii_start().starts_with(b"#"));
    data.any(names_hook)
}

/// The beginning of the annotation keys that helm reads.
const KEY_START: &[u8] = b"helm.sh/";

fn names_hook(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.windows(KEY_START.len()).position(|window| window == KEY_START) {
        rest = rest.get(at + KEY_START.len()..).unwrap_or_default();
        if makes_hook(rest) {
            return true;
        }
    }
    false
}

/// Judges what follows on `helm.sh/`.
fn makes_hook(after: &[u8]) -> bool {
    // `helm.sh/{{ … }}` and `helm.sh/%s`: the key is put together elsewhere.
    if matches!(after.first(), Some(b'{' | b'%' | b'"' | b'\'' | b'`')) {
        return true;
    }
    let Some(value) = after.strip_prefix(b"hook") else { return false };
    // hook-weight, hook-delete-policy and their like decorate a hook and do not make one.
    if value.first().is_some_and(|byte| *byte == b'-' || byte.is_ascii_alphanumeric()) {
        return false;
    }
    let line = value.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_prefix(b"\"").or_else(|| line.strip_prefix(b"'")).unwrap_or(line);
    let Some(value) = line.trim_ascii_start().strip_prefix(b":") else { return true };
    let Ok(value) = std::str::from_utf8(value) else { return true };
    let value = value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
    !value.split(',').all(|event| matches!(event.trim(), "test" | "test-success" | "test-failure"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_hooks_are_no_hooks_and_everything_doubtful_is_one() {
        for (text, hook) in [
            ("\"helm.sh/hook\": test", false),
            ("helm.sh/hook: test-success", false),
            ("'helm.sh/hook': \"test, test-failure\"  # why", false),
            ("\"helm.sh/hook-weight\": \"1\"", false),
            ("helm.sh/chart: x-1\nhelm.sh/resource-policy: keep", false),
            ("\"helm.sh/hook\": pre-install", true),
            ("\"helm.sh/hook\": test,post-upgrade", true),
            ("\"helm.sh/hook\": {{ .Values.hook }}", true),
            ("\"helm.sh/hook\":\n    pre-install", true),
            ("dict \"helm.sh/hook\" \"pre-install\"", true),
            ("printf \"helm.sh/%s\" .x", true),
            ("\"helm.sh/hook\": test\n\"helm.sh/hook\": crd-install", true),
        ] {
            assert_eq!(may_bring_hooks("templates/x.yaml", text.as_bytes()), hook, "{text}");
        }
    }

    #[test]
    fn prose_and_comments_in_values_are_no_hooks() {
        let hook = b"# \"helm.sh/hook\": pre-install\nx: 1\n";
        assert!(!may_bring_hooks("values.yaml", hook));
        assert!(!may_bring_hooks("charts/db/README.md", b"helm.sh/hook: pre-install"));
        assert!(may_bring_hooks("charts/db/templates/job.yaml", hook));
        assert!(may_bring_hooks("values.yaml", b"annotations:\n  helm.sh/hook: pre-install\n"));
    }

    #[test]
    fn crds_of_subcharts_count_and_templates_named_so_do_not() {
        for crd in ["crds/a.yaml", "crds/deep/a.json", "charts/db/crds/a.yml", "charts/db-1.tgz/charts/x/crds/a.yaml"] {
            assert!(is_crd(crd), "{crd}");
        }
        for other in ["crds/README.md", "templates/crds/a.yaml", "charts/db/files/crds/a.yaml", "charts/db"] {
            assert!(!is_crd(other), "{other}");
        }
    }
}
