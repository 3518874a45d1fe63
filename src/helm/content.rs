//! What a record says was deployed: helm's copy of the chart and the user's values, reduced to digests on the way.
//!
//! Only to compare somebody else's release with what is declared. Sizes are bounded by those of the record.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;

use super::record::{RecordError, or_default, unpack};
use crate::{
    release::{ChartContent, digest_of_values},
    types::ReleaseDigest,
};

/// Chart and values of a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordContent {
    pub chart: ChartContent,
    /// Of the values that the user gave, by [`digest_of_values`].
    pub values: ReleaseDigest,
}

/// Reads the same bytes as [`super::decode`].
pub fn content(data: &[u8]) -> Result<RecordContent, RecordError> {
    let json = unpack(data)?;
    let Release { chart, config, manifest, hooks } = serde_json::from_slice(&json).map_err(RecordError::Json)?;
    let mut content = ChartContent::default();
    content.about(&chart.metadata);
    content.defaults(&chart.values);
    if let Some(schema) = &chart.schema {
        content.schema(&STANDARD.decode(schema.as_bytes())?);
    }
    for File { name, data } in chart.templates {
        content.template(&name, &STANDARD.decode(data.as_bytes())?);
    }
    for File { name, data } in chart.files {
        content.file(&name, &STANDARD.decode(data.as_bytes())?);
    }
    // Subcharts are not kept, but what they rendered tells of them, also of those that Chart.yaml does not name.
    let sources = manifest.lines().filter_map(|line| line.strip_prefix("# Source: "));
    if sources.chain(hooks.iter().map(|hook| &*hook.path)).any(is_of_subchart) {
        content.has_subcharts();
    }
    Ok(RecordContent { chart: content, values: digest_of_values(&config) })
}

/// `unicorn/charts/db/templates/db.yaml`.
fn is_of_subchart(path: &str) -> bool {
    path.split('/').nth(1) == Some("charts")
}

#[derive(Deserialize)]
struct Release<'a> {
    #[serde(borrow, default)]
    chart: Chart<'a>,
    #[serde(default)]
    config: Value,
    #[serde(borrow, default, deserialize_with = "or_default")]
    manifest: Cow<'a, str>,
    #[serde(default, deserialize_with = "or_default")]
    hooks: Vec<Hook>,
}

#[derive(Deserialize, Default)]
struct Chart<'a> {
    #[serde(default)]
    metadata: Value,
    #[serde(default)]
    values: Value,
    #[serde(borrow, default)]
    schema: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    templates: Vec<File<'a>>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    files: Vec<File<'a>>,
}

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Hook {
    #[serde(default, deserialize_with = "or_default")]
    path: Box<str>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::release::Difference;

    /// As helm 4 writes it; helm 3 leaves the times of files out.
    fn record() -> Value {
        json!({"name": "web", "info": {"status": "deployed"}, "version": 1, "namespace": "meadow", "apply_method": "ssa",
            "chart": {"metadata": {"name": "web", "version": "1.0.0", "apiVersion": "v2", "appVersion": "1"}, "lock": null,
                "templates": [{"name": "templates/web.yaml", "data": "YTogYg==", "modtime": "2026-01-01T00:00:00Z"}],
                "values": {"replicas": 1, "tag": null}, "schema": "e30=",
                "files": [{"name": "README.md", "data": "cmVhZCBtZQ=="}], "modtime": "2026-01-01T00:00:00Z"},
            "config": {"password": "hunter2"}, "manifest": "---\n# Source: web/templates/web.yaml\na: b\n",
            "hooks": [{"name": "t", "path": "web/templates/tests/t.yaml"}]})
    }

    fn read(record: &Value) -> RecordContent {
        content(STANDARD.encode(record.to_string()).as_bytes()).unwrap()
    }

    #[test]
    fn what_helm_keeps_of_a_chart_is_what_the_chart_was() {
        let mut chart = ChartContent::default();
        chart.about(&json!({"name": "web", "version": "1.0.0", "apiVersion": "v2", "appVersion": 1.0}));
        chart.defaults(&json!({"replicas": 1, "tag": null}));
        chart.schema(b"{}");
        chart.template("templates/web.yaml", b"a: b");
        chart.file("README.md", b"read me");
        let found = read(&record());
        assert_eq!(chart.differences(&found.chart), []);
        assert_eq!(found.values, digest_of_values(&json!({"password": "hunter2"})));
        assert!(!format!("{found:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_absent_or_null_is_empty() {
        let mut record = record();
        record["config"] = Value::Null;
        record["chart"]["files"] = Value::Null;
        let one = read(&record);
        record.as_object_mut().unwrap().remove("config");
        record["chart"].as_object_mut().unwrap().remove("files");
        assert_eq!(one, read(&record));
        assert_eq!(one.values, digest_of_values(&json!({})));
        assert_eq!(read(&json!({})).chart.differences(&one.chart), [Difference::Chart]);
    }

    #[test]
    fn subcharts_are_known_by_what_they_rendered() {
        let here = read(&record()).chart;
        for (part, text) in
            [("/manifest", "# Source: web/charts/db/templates/db.yaml\n"), ("/hooks/0/path", "web/charts/db/t")]
        {
            let mut record = record();
            *record.pointer_mut(part).unwrap() = json!(text);
            assert_eq!(here.differences(&read(&record).chart), [Difference::Subcharts], "{part}");
        }
    }

    #[test]
    fn a_record_without_end_is_refused_as_it_is_when_it_is_decoded() {
        let bomb = vec![b' '; 33 * 1024 * 1024];
        let mut packing = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packing, &bomb).unwrap();
        let bomb = STANDARD.encode(packing.finish().unwrap());
        assert!(matches!(content(bomb.as_bytes()), Err(RecordError::TooLarge)));
        assert!(matches!(content(STANDARD.encode("[").as_bytes()), Err(RecordError::Json(_))));
    }
}
