//! Kubeconfig files, written as JSON, which every reader of YAML takes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::certificates::Identity;

/// A kubeconfig for the address; with the authority and an identity over TLS, and on behalf of a user when one is given.
pub(crate) fn kubeconfig(url: &str, identity: Option<(&String, &Identity)>, user: Option<&str>) -> String {
    let mut cluster = json!({ "server": url });
    let mut access = json!({});
    if let Some((authority, identity)) = identity {
        cluster["certificate-authority-data"] = encoded(authority);
        access["client-certificate-data"] = encoded(&identity.certificate);
        access["client-key-data"] = encoded(&identity.key);
    }
    if let Some(user) = user {
        access["as"] = Value::from(user);
    }
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "sandbox", "cluster": cluster }],
        "users": [{ "name": "sandbox", "user": access }],
        "contexts": [{ "name": "sandbox", "context": { "cluster": "sandbox", "user": "sandbox", "namespace": "default" } }],
        "current-context": "sandbox",
    });
    format!("{config:#}\n")
}

fn encoded(text: &str) -> Value {
    Value::from(STANDARD.encode(text))
}
