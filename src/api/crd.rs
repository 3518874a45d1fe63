//! The CustomResourceDefinition, generated from the types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::HelmRelease;

/// The definition as it is applied to a cluster.
///
/// The status gets its schema default here: every object, from the first moment on, has an observed generation that
/// is not its own, which kstatus reads as work in progress.
pub fn crd() -> Value {
    let definition: CustomResourceDefinition = HelmRelease::crd();
    let mut definition = serde_json::to_value(definition).unwrap_or(Value::Null);
    let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status";
    if let Some(status) = definition.pointer_mut(status) {
        status["default"] = json!({ "observedGeneration": -1 });
        status["properties"]["observedGeneration"]["default"] = json!(-1);
    }
    signed(&mut definition);
    definition
}

/// Kubernetes knows `int32` and `int64` only; it warns about everything else at each apply.
fn signed(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("format").is_some_and(|format| format == "uint32") {
                map.insert("format".to_owned(), json!("int32"));
            }
            map.values_mut().for_each(signed);
        }
        Value::Array(list) => list.iter_mut().for_each(signed),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The definition as YAML, as it is committed under `crds/`.
pub fn crd_yaml() -> String {
    serde_saphyr::to_string(&crd()).unwrap_or_default()
}
