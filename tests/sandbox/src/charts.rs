//! Charts for tests: built in code or read from a folder, packaged the same bytes each time.

mod archive;
mod folder;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use archive::Entry;

/// A chart of one version.
#[derive(Debug, Clone)]
pub struct Chart {
    name: String,
    version: String,
    app_version: Option<String>,
    kube_version: Option<String>,
    values: String,
    files: BTreeMap<String, Vec<u8>>,
    odd: Vec<Entry>,
}

impl Chart {
    /// A chart without templates.
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            app_version: None,
            kube_version: None,
            values: String::new(),
            files: BTreeMap::new(),
            odd: Vec::new(),
        }
    }

    /// The chart of a folder, with another version and application version, without what its `.helmignore` names.
    pub fn from_dir(path: &Path, version: &str, app_version: &str) -> io::Result<Self> {
        let mut files = folder::read(path)?;
        let about = files.remove("Chart.yaml").unwrap_or_default();
        let about = String::from_utf8(about).map_err(io::Error::other)?;
        let name: Name = serde_saphyr::from_str(&about).map_err(io::Error::other)?;
        let mut chart = Self::new(&name.name, version).app_version(app_version);
        chart.files = files;
        chart.files.insert("Chart.yaml".to_owned(), folder::with_versions(&about, version, app_version).into_bytes());
        Ok(chart)
    }

    #[must_use]
    pub fn app_version(mut self, version: &str) -> Self {
        self.app_version = Some(version.to_owned());
        self
    }

    /// The versions of Kubernetes that the chart asks for.
    #[must_use]
    pub fn kube_version(mut self, constraint: &str) -> Self {
        self.kube_version = Some(constraint.to_owned());
        self
    }

    /// The text of `values.yaml`.
    #[must_use]
    pub fn values(mut self, yaml: &str) -> Self {
        yaml.clone_into(&mut self.values);
        self
    }

    /// A file of the chart, by its path in the chart's folder; replaces one of the same path.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.to_owned(), content.into());
        self
    }

    /// An archive entry with exactly this path, also one that leaves the chart's folder, for tests of hostile charts.
    #[must_use]
    pub fn raw_entry(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.odd.push(Entry::File { path: path.to_owned(), content: content.into() });
        self
    }

    /// An archive entry that is a symbolic link, for tests of hostile charts.
    #[must_use]
    pub fn symlink(mut self, path: &str, target: &str) -> Self {
        self.odd.push(Entry::Link { path: path.to_owned(), target: target.to_owned() });
        self
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    /// The application version, when the chart says one.
    pub fn says_app_version(&self) -> Option<&str> {
        self.app_version.as_deref()
    }

    /// The gzipped archive, the same bytes for the same chart.
    pub fn package(&self) -> Vec<u8> {
        let mut files = self.files.clone();
        files.entry("Chart.yaml".to_owned()).or_insert_with(|| self.about().into_bytes());
        if !self.values.is_empty() {
            files.insert("values.yaml".to_owned(), self.values.clone().into_bytes());
        }
        // Helm takes the first entry for the chart's folder, so the description goes first.
        let about = files.remove_entry("Chart.yaml");
        let inside = about.into_iter().chain(files);
        let entries = inside.map(|(path, content)| Entry::File { path: format!("{}/{path}", self.name), content });
        archive::pack(entries.chain(self.odd.iter().cloned()))
    }

    /// Writes the archive into a folder under the name that helm gives it.
    pub fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        let path = folder.join(format!("{}-{}.tgz", self.name, self.version));
        std::fs::write(&path, self.package())?;
        Ok(path)
    }

    fn about(&self) -> String {
        let quoted = |text: &str| Value::from(text).to_string();
        let mut text = format!("apiVersion: v2\nname: {}\nversion: {}\n", quoted(&self.name), quoted(&self.version));
        for (key, value) in [("appVersion", &self.app_version), ("kubeVersion", &self.kube_version)] {
            if let Some(value) = value {
                text.extend([key, ": ", &quoted(value), "\n"]);
            }
        }
        text
    }
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

/// One line of `versions.yaml`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VersionOf {
    version: String,
    app_version: String,
}

/// The folder of the unicorn chart in this checkout.
pub fn unicorn_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/unicorn")
}

/// The versions of the unicorn chart, in the order of its `versions.yaml`: pink, blue, green, broken.
pub fn unicorn() -> io::Result<Vec<Chart>> {
    let folder = unicorn_folder();
    let text = std::fs::read_to_string(folder.join("versions.yaml"))?;
    let versions: Vec<VersionOf> = serde_saphyr::from_str(&text).map_err(io::Error::other)?;
    versions.iter().map(|one| Chart::from_dir(&folder, &one.version, &one.app_version)).collect()
}

/// The template of a hook: a Job of the release whose pod turns out as `outcome` says (see the stages of the node), and
/// which is not tried a second time. `events` as helm writes them, with commas.
pub fn hook(name: &str, events: &str, outcome: &str) -> String {
    format!(
        r#"apiVersion: batch/v1
kind: Job
metadata:
  name: '{{{{ .Release.Name }}}}-{name}'
  annotations: {{helm.sh/hook: "{events}", helm.sh/hook-delete-policy: before-hook-creation}}
spec:
  backoffLimit: 0
  template:
    metadata: {{annotations: {{sandbox.test/outcome: {outcome}}}}}
    spec: {{restartPolicy: Never, containers: [{{name: hook, image: hook}}]}}
"#
    )
}

/// A small chart whose pods turn out as its values say.
///
/// Values: `replicas`, `message` (in a config map and on the pods, so that a change of it is a rollout), `outcome`
/// (of the Deployment's pods, see the stages of the node), `progressDeadlineSeconds`, `hook` (the outcome of a
/// pre-install and pre-upgrade hook job, none when empty) and `test` (the outcome of a `helm test` pod).
pub fn web(version: &str) -> Chart {
    Chart::new("web", version)
        .app_version(version)
        .values(include_str!("charts/web/values.yaml"))
        .file("templates/web.yaml", include_str!("charts/web/web.yaml"))
        .file("templates/hooks.yaml", include_str!("charts/web/hooks.yaml"))
}
