//! helm's records as Secrets: written, read and pruned in helm's way.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    workloads::stated,
    world::{Kind, Name, Refusal, World},
};

/// How far the test of a chart has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Unknown,
    Running,
    Succeeded,
    Failed,
}

impl Phase {
    fn word(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    fn read(word: &str) -> Self {
        let all = [Self::Running, Self::Succeeded, Self::Failed];
        all.into_iter().find(|phase| phase.word() == word).unwrap_or(Self::Unknown)
    }
}

/// A record as one helm process has it in memory. A write of it is the last that counts, whatever was changed since it
/// was read.
#[derive(Debug, Clone)]
pub struct Record {
    pub revision: u32,
    pub status: String,
    pub description: String,
    pub version: String,
    pub config: Value,
    /// Of the one hook that the chart has, if it has any.
    pub hook: Option<Phase>,
    /// Of the one test that the chart has, if it has any.
    pub test: Option<Phase>,
    /// Labels that are not helm's own.
    pub labels: BTreeMap<String, String>,
    pub objects: Vec<(Kind, String)>,
}

/// Labels that helm writes itself.
const OWN: [&str; 6] = ["owner", "name", "status", "version", "createdAt", "modifiedAt"];
/// The name of the test that a chart has.
pub const TEST: &str = "check";
pub const VERIFIED: &str = "helmrelease.dev/verified";

impl Record {
    pub fn is_pending(&self) -> bool {
        self.status.starts_with("pending-")
    }

    pub fn is_verified(&self) -> bool {
        self.labels.get(VERIFIED).and_then(|text| text.parse().ok()) == Some(self.revision)
    }

    fn secret_name(&self, release: &Name) -> Name {
        (release.0.clone(), format!("sh.helm.release.v1.{}.v{}", release.1, self.revision))
    }

    fn payload(&self, release: &Name) -> Vec<u8> {
        let documents = self.objects.iter().map(|(kind, name)| {
            let (api_version, kind_name, _) = kind.names();
            let head = format!("---\napiVersion: {api_version}\nkind: {kind_name}\nmetadata:\n  name: {name}\n");
            // What is JSON is YAML.
            let stated = stated(*kind, self, name);
            let fields = stated.as_object().into_iter().flatten();
            fields.fold(head, |text, (field, value)| format!("{text}{field}: {value}\n"))
        });
        let hook = self.hook.map(|phase| {
            json!({ "name": "migrate", "kind": "Job", "events": ["pre-install", "pre-upgrade"],
                "last_run": { "phase": phase.word() } })
        });
        let test = self.test.map(
            |phase| json!({ "name": TEST, "kind": "Pod", "events": ["test"], "last_run": { "phase": phase.word() } }),
        );
        let hooks: Vec<Value> = hook.into_iter().chain(test).collect();
        let json = json!({
            "name": release.1, "namespace": release.0, "version": self.revision,
            "info": { "status": self.status, "description": self.description },
            "chart": { "metadata": { "name": "unicorn", "version": self.version } },
            "config": self.config, "manifest": documents.collect::<String>(), "hooks": hooks,
        });
        STANDARD.encode(json.to_string()).into_bytes()
    }

    fn labels(&self, release: &Name, seconds: i64) -> Value {
        let mut labels = json!({ "owner": "helm", "name": release.1, "status": self.status,
            "version": self.revision.to_string(), "modifiedAt": seconds.to_string() });
        for (key, value) in &self.labels {
            labels[key] = json!(value);
        }
        labels
    }

    pub fn create(&self, world: &World, release: &Name) -> Result<(), Refusal> {
        let seconds = world.now().as_second();
        let object = json!({
            "metadata": { "labels": self.labels(release, seconds) }, "type": "helm.sh/release.v1",
            "data": { "release": STANDARD.encode(self.payload(release)) },
        });
        world.tell(format_args!("helm: {} v{} {} ({})", release.1, self.revision, self.status, self.version));
        world.create(Kind::Secret, &self.secret_name(release), object).map(drop)
    }

    /// Writes what the process has in memory over whatever is there.
    pub fn update(&mut self, world: &World, release: &Name, status: &str, description: &str) {
        status.clone_into(&mut self.status);
        description.clone_into(&mut self.description);
        let (seconds, this) = (world.now().as_second(), self.clone());
        world.tell(format_args!("helm: {} v{} {status}: {description}", release.1, self.revision));
        let _ = world.change(Kind::Secret, &self.secret_name(release), |object| {
            object["metadata"]["labels"] = this.labels(release, seconds);
            object["data"]["release"] = json!(STANDARD.encode(this.payload(release)));
        });
    }

    /// Writes how far the hook has come, over whatever is there.
    pub fn note_hook(&mut self, world: &World, release: &Name, phase: Phase) {
        self.hook = Some(phase);
        let (status, description) = (self.status.clone(), self.description.clone());
        self.update(world, release, &status, &description);
    }

    /// Writes how far the test has come, over whatever is there.
    pub fn note(&mut self, world: &World, release: &Name, phase: Phase) {
        self.test = Some(phase);
        let (status, description) = (self.status.clone(), self.description.clone());
        self.update(world, release, &status, &description);
    }

    pub fn remove(&self, world: &World, release: &Name) {
        let _ = world.remove(Kind::Secret, &self.secret_name(release));
    }

    pub fn read(object: &Value) -> Option<Self> {
        let labels = object["metadata"]["labels"].as_object()?;
        let text = |key: &str| labels.get(key).and_then(Value::as_str);
        if text("owner") != Some("helm") {
            return None;
        }
        let data = STANDARD.decode(object["data"]["release"].as_str()?).ok()?;
        let payload = payload(&data)?;
        let manifest = payload["manifest"].as_str().unwrap_or_default();
        let field = |document: &str, key: &str| {
            document.lines().find_map(|line| line.trim().strip_prefix(key)).map(ToOwned::to_owned)
        };
        let objects = manifest.split("---\n").filter_map(|document| {
            let kind = if field(document, "kind: ")? == "Deployment" { Kind::Deployment } else { Kind::ConfigMap };
            Some((kind, field(document, "name: ")?))
        });
        let hooks = payload["hooks"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_test = |hook: &Value| hook["events"][0] == "test";
        let phase = |hook: &Value| Phase::read(hook["last_run"]["phase"].as_str().unwrap_or_default());
        Some(Self {
            revision: text("version")?.parse().ok()?,
            status: payload["info"]["status"].as_str()?.to_owned(),
            description: payload["info"]["description"].as_str().unwrap_or_default().to_owned(),
            version: payload["chart"]["metadata"]["version"].as_str()?.to_owned(),
            config: payload["config"].clone(),
            hook: hooks.iter().find(|hook| !is_test(hook)).map(phase),
            test: hooks.iter().find(|hook| is_test(hook)).map(phase),
            labels: labels
                .iter()
                .filter(|(key, _)| !OWN.contains(&&***key))
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect(),
            objects: objects.collect(),
        })
    }
}

/// The JSON in a record; the operator packs what it unlocks.
fn payload(data: &[u8]) -> Option<Value> {
    let bytes = STANDARD.decode(data).ok()?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return serde_json::from_slice(&bytes).ok();
    }
    serde_json::from_reader(flate2::read::GzDecoder::new(bytes.as_slice())).ok()
}

/// All records of a release, oldest first.
pub fn history(world: &World, release: &Name) -> Vec<Record> {
    let state = world.lock();
    let secrets = state.shelves[&Kind::Secret].objects.iter();
    let prefix = format!("sh.helm.release.v1.{}.v", release.1);
    let mut records: Vec<Record> = secrets
        .filter(|(name, _)| name.0 == release.0 && name.1.starts_with(&prefix))
        .filter_map(|(_, object)| object.record().cloned())
        .collect();
    records.sort_by_key(|record| record.revision);
    records
}

/// Makes room for one more record: the oldest go, but never the newest that is deployed.
pub fn prune(world: &World, release: &Name, max: u32) -> Vec<Record> {
    let records = history(world, release);
    let keep = usize::try_from(max.saturating_sub(1)).unwrap_or(usize::MAX);
    let deployed = records.iter().rev().find(|record| record.status == "deployed").map(|record| record.revision);
    let surplus = records.len().saturating_sub(keep);
    let goes: Vec<Record> =
        records.into_iter().filter(|record| Some(record.revision) != deployed).take(surplus).collect();
    for record in &goes {
        world.tell(format_args!("helm: {} v{} pruned", release.1, record.revision));
        record.remove(world, release);
    }
    goes
}
