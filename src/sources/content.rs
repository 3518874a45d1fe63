//! What a chart archive consists of, sorted as helm sorts it when it loads the archive, so that it can be compared with
//! helm's copy of a chart.

use std::io::BufRead;

use serde_json::Value;

use super::archive::{Allowance, ChartFile, Flaw, walk};
use crate::release::ChartContent;

pub(super) fn content(archive: impl BufRead, allowance: Allowance) -> Result<ChartContent, Flaw> {
    let mut chart = ChartContent::default();
    let mut flaw = None;
    walk(archive, allowance, &mut |ChartFile { path, content }| {
        if let Err(why) = take(&mut chart, path, content) {
            flaw.get_or_insert(why);
        }
    })?;
    flaw.map_or(Ok(chart), Err)
}

fn take(chart: &mut ChartContent, path: &str, content: &[u8]) -> Result<(), Flaw> {
    match path {
        "Chart.yaml" => chart.about(&yaml(path, content)?),
        "values.yaml" => chart.defaults(&yaml(path, content)?),
        "values.schema.json" => chart.schema(content),
        "Chart.lock" => {}
        // The old way to name subcharts.
        "requirements.yaml" | "requirements.lock" => chart.has_subcharts(),
        _ if path.starts_with("templates/") => chart.template(path, content),
        _ => match path.strip_prefix("charts/") {
            None => chart.file(path, content),
            // Where a chart came from stands beside it, and is a file.
            Some(below) if below.rsplit_once('.').is_some_and(|(_, ending)| ending == "prov") => {
                chart.file(path, content);
            }
            Some(below) if below.starts_with(['_', '.']) => {}
            Some(_) => chart.has_subcharts(),
        },
    }
    Ok(())
}

/// As helm reads YAML, of which it knows version 1.1: `yes` is true and `0777` is octal. The parser's own message may
/// quote the text, so that it is not repeated.
fn yaml(path: &str, content: &[u8]) -> Result<Value, Flaw> {
    let malformed = || Flaw(format!("{path} is not read as YAML"));
    let text = std::str::from_utf8(content).map_err(|_| malformed())?;
    let options = serde_saphyr::options! { legacy_octal_numbers: true, with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|_| malformed())
}
