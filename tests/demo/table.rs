//! The table that `kubectl get` prints, made by the API server itself.

use serde_json::Value;

use crate::stage::{Cluster, Failure};

/// The media type by which clients ask for a table.
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// Spaces between columns.
const GAP: usize = 3;

/// All releases of the namespace, with the columns that are printed by default.
pub(crate) fn of_releases(cluster: &Cluster, namespace: &str) -> Result<String, Failure> {
    let path = format!("/apis/helmrelease.dev/v1alpha1/namespaces/{namespace}/helmreleases");
    let request = http::Request::get(path).header(http::header::ACCEPT, TABLE).body(Vec::new())?;
    let table: Value = cluster.wait(cluster.client().request(request))?;
    let columns = table["columnDefinitions"].as_array().ok_or("the server gave no table")?;
    let shown: Vec<usize> = (0..columns.len()).filter(|place| columns[*place]["priority"] == 0).collect();
    let head = shown.iter().map(|place| columns[*place]["name"].as_str().unwrap_or_default().to_uppercase());
    let mut rows = vec![head.collect::<Vec<_>>()];
    for row in table["rows"].as_array().into_iter().flatten() {
        rows.push(shown.iter().map(|place| text(&row["cells"][*place])).collect());
    }
    Ok(aligned(&rows))
}

fn text(cell: &Value) -> String {
    match cell {
        Value::String(text) => text.clone(),
        Value::Null => "<none>".to_owned(),
        other => other.to_string(),
    }
}

fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default() + GAP;
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: String = row
            .iter()
            .zip(&widths)
            .flat_map(|(cell, width)| [cell.clone(), " ".repeat(width - cell.chars().count())])
            .collect();
        cells.trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
