//! What counts as the same, and what does not.

use serde_json::json;

use super::*;

fn web() -> ChartContent {
    let mut chart = ChartContent::default();
    chart.about(&json!({"name": "web", "version": "1.0.0", "appVersion": 1.0, "type": "application"}));
    chart.defaults(&json!({"replicas": 1, "tag": null}));
    chart.schema(b"{}");
    chart.template("templates/web.yaml", b"a: b");
    chart.file("README.md", b"read me");
    chart
}

/// What differs after a change.
fn after(change: impl FnOnce(&mut ChartContent)) -> Vec<Difference> {
    let (one, mut other) = (web(), web());
    change(&mut other);
    assert_eq!(one.differences(&other), other.differences(&one));
    one.differences(&other)
}

#[test]
fn a_chart_is_the_same_as_itself_and_every_part_counts() {
    use Difference::{About, Chart, DefaultValues, Files, Schema, Subcharts, Templates};
    assert_eq!(after(|_| ()), []);
    assert_eq!(after(|chart| chart.template("templates/web.yaml", b"a: c")), [Templates]);
    assert_eq!(after(|chart| chart.template("templates/more.yaml", b"")), [Templates]);
    assert_eq!(after(|chart| chart.file("README.md", b"")), [Files]);
    assert_eq!(after(|chart| chart.schema(b"{ }")), [Schema]);
    assert_eq!(after(|chart| chart.defaults(&json!({"replicas": 1}))), [DefaultValues]);
    assert_eq!(after(|chart| chart.about(&json!({"name": "web", "version": "1.0.0", "appVersion": "2"}))), [About]);
    assert_eq!(after(|chart| chart.about(&json!({"name": "web", "version": "1.0.1"}))), [Chart]);
    assert_eq!(after(|chart| chart.about(&json!({"name": "shop", "version": "1.0.0"}))), [Chart]);
    assert_eq!(after(ChartContent::has_subcharts), [Subcharts]);
    let (mut one, mut other) = (web(), web());
    one.has_subcharts();
    other.has_subcharts();
    assert_eq!(one.differences(&other), [Subcharts], "nobody can tell whether they are the same");
}

#[test]
fn chart_yaml_is_what_helm_makes_of_it() {
    let mut as_written = ChartContent::default();
    as_written.about(&json!({"name": "web", "version": "1.0.0", "description": "A\tchart", "appVersion": 1.0,
        "deprecated": false, "home": "", "keywords": [], "annotations": {"a": 1}, "nobody": "knows this"}));
    let mut as_kept = ChartContent::default();
    as_kept.about(&json!({"name": "web", "version": "1.0.0", "description": "A chart", "appVersion": "1",
        "apiVersion": "v1", "annotations": {"a": "1"}}));
    assert_eq!(as_written.differences(&as_kept), []);
    as_written.about(&json!({"name": "web", "version": "1.0.0", "dependencies": [{"name": "db"}]}));
    assert!(as_written.differences(&as_kept).contains(&Difference::Subcharts));
}

#[test]
fn a_mark_of_the_byte_order_is_no_content() {
    assert_eq!(after(|chart| chart.template("templates/web.yaml", "\u{feff}a: b".as_bytes())), []);
}

#[test]
fn values_are_the_same_where_helm_takes_them_for_the_same() {
    let same = |one: Value, other: Value| digest_of_values(&one) == digest_of_values(&other);
    assert!(same(Value::Null, json!({})), "no values are no values");
    assert!(same(json!({"a": 1}), json!({"a": 1.0})), "all numbers are floating point to helm");
    assert!(same(json!({"a": 9_007_199_254_740_993_u64}), json!({"a": 9_007_199_254_740_992_u64})));
    assert!(same(json!({"a": -0.0}), json!({"a": 0})));
    assert!(same(json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1})));
    assert!(!same(json!({"a": null}), json!({})), "a null removes a default");
    assert!(!same(json!({"a": "1"}), json!({"a": 1})));
    assert!(!same(json!({"a": {}}), json!({})));
    assert!(!same(json!({"a": false}), json!({"a": null})));
    assert!(!same(json!([["a"], "b"]), json!([["a", "b"]])));
    assert!(!same(json!({"a": "bs"}), json!({"ab": "s"})));
}

#[test]
fn nothing_of_a_chart_is_printed() {
    let mut chart = web();
    chart.defaults(&json!({"password": "hunter2"}));
    assert!(!format!("{chart:?}").contains("hunter2"));
}
