//! The API server of the simulation, as the operator's client sees it: real requests, real answers, faults by chance.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::Bytes;
use kube::{Client, client::Body};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::time::sleep;

use crate::{
    path::{Target, parse},
    watches,
    world::{Kind, Name, Object, Refusal, World},
};

pub type Answer = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

/// A client of the simulated API server for one life of the operator.
pub fn client(world: &Arc<World>, operator: u64) -> Client {
    let world = Arc::clone(world);
    let service = tower::service_fn(move |request: Request<Body>| {
        let world = Arc::clone(&world);
        async move { Ok::<_, Infallible>(serve(world, operator, request).await) }
    });
    Client::new(service, "default")
}

/// What chance does to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Refused(u16),
    /// Done, and then the answer is an error.
    After(u16),
    /// Never answered; done or not.
    Lost {
        done: bool,
    },
}

async fn serve(world: Arc<World>, operator: u64, request: Request<Body>) -> Answer {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let query = parts.uri.query().unwrap_or_default();
    let target = parse(parts.uri.path(), query, &parts.headers);
    let (fault, there, back) = chance(&world, &parts.method, &target);
    sleep(Duration::from_millis(there)).await;
    world.with_operator(operator).await;
    if fault == (Fault::Lost { done: false }) {
        std::future::pending::<()>().await;
    }
    if let Fault::Refused(code) = fault {
        world.tell(format_args!("api: {} {} answered {code}", parts.method, parts.uri.path()));
        return failure(code);
    }
    if target.watch {
        return watches::open(&world, operator, &target);
    }
    let answer = act(&world, &parts.method, &target, &body);
    if parts.method != Method::GET && !target.dry_run {
        world.lock().writes += 1;
        let code = answer.as_ref().map_or_else(|code| *code, |_| 200);
        world.tell(format_args!("api: {} {} {code}{}", parts.method, parts.uri.path(), told(fault)));
    }
    sleep(Duration::from_millis(back)).await;
    world.with_operator(operator).await;
    match (fault, answer) {
        (Fault::Lost { .. }, _) => std::future::pending().await,
        (Fault::After(code), _) | (_, Err(code)) => failure(code),
        (_, Ok(said)) => text(200, said),
    }
}

fn told(fault: Fault) -> String {
    if fault == Fault::None { String::new() } else { format!(" ({fault:?})") }
}

fn chance(world: &World, method: &Method, target: &Target) -> (Fault, u64, u64) {
    let mut state = world.lock();
    let disturbed = state.disturbed;
    let rng = &mut state.requests;
    let (there, back) = (rng.range(1, 8), rng.range(1, 8));
    if !disturbed || !rng.per_mille(world.settings.request_faults) {
        return (Fault::None, there, back);
    }
    let fault = match rng.range(0, 10) {
        0 => Fault::Lost { done: false },
        1 => Fault::Lost { done: true },
        2 | 3 => Fault::After(504),
        4 => Fault::Refused(429),
        5 => Fault::Refused(500),
        6 => Fault::Refused(503),
        _ if *method != Method::GET => Fault::Refused(409),
        _ if target.watch => Fault::Refused(410),
        _ => Fault::Refused(500),
    };
    (fault, there, rng.range(1, 800))
}

fn act(world: &Arc<World>, method: &Method, target: &Target, body: &[u8]) -> Result<Bytes, u16> {
    if let Some(list) = &target.discovery {
        return Ok(list.to_string().into());
    }
    if target.group == "events.k8s.io/v1" {
        return Ok(Bytes::from_static(b"{}"));
    }
    let Some(kind) = target.kind else { return Err(404) };
    let Some(name) = &target.name else { return Ok(list(world, kind, target).into()) };
    match *method {
        Method::GET => world.get(kind, name).map(|object| object.text(target.metadata)).ok_or(404),
        Method::PATCH if target.dry_run => {
            let stated: Value = serde_json::from_slice(body).map_err(|_| 400_u16)?;
            let mut foretold: Value = (**world.get(kind, name).ok_or(404_u16)?).clone();
            merge_into(&mut foretold, &stated);
            Ok(foretold.to_string().into())
        }
        Method::PATCH => {
            let done = if target.status {
                status(world, name, &serde_json::from_slice(body).map_err(|_| 400_u16)?)
            } else {
                merge(world, kind, name, serde_json::from_slice(body).map_err(|_| 400_u16)?)
            };
            done.map(|object| object.text(target.metadata)).map_err(code)
        }
        Method::PUT => {
            let object: Value = serde_json::from_slice(body).map_err(|_| 400_u16)?;
            replace(world, kind, name, &object).map(|object| object.text(target.metadata)).map_err(code)
        }
        Method::DELETE => {
            world.delete(kind, name);
            Ok(json!({ "kind": "Status", "apiVersion": "v1", "status": "Success" }).to_string().into())
        }
        _ => Err(405),
    }
}

fn code(refusal: Refusal) -> u16 {
    match refusal {
        Refusal::NotFound => 404,
        Refusal::Conflict | Refusal::Exists => 409,
    }
}

fn list(world: &World, kind: Kind, target: &Target) -> String {
    let state = world.lock();
    let objects = state.shelves[&kind].objects.iter();
    let items: Vec<Bytes> = objects
        .filter(|(name, object)| target.selects(&name.0, object))
        .map(|(_, object)| object.text(target.metadata))
        .collect();
    let items = String::from_utf8_lossy(&items.join(&b","[..])).into_owned();
    let (api_version, kind_name, _) = kind.names();
    let (api_version, list) = if target.metadata {
        ("meta.k8s.io/v1", "PartialObjectMetadataList".to_owned())
    } else {
        (api_version, format!("{kind_name}List"))
    };
    let version = state.version;
    format!(
        r#"{{"kind":"{list}","apiVersion":"{api_version}","metadata":{{"resourceVersion":"{version}"}},"items":[{items}]}}"#
    )
}

/// Refused where the version or the uid in the body is another than that of the object.
fn outdated(object: &Value, meta: &Value) -> bool {
    let differs = |field: &str| {
        let asked = &meta[field];
        !asked.is_null() && *asked != object["metadata"][field]
    };
    differs("resourceVersion") || differs("uid")
}

fn guard(world: &World, kind: Kind, name: &Name, meta: &Value) -> Result<(), Refusal> {
    let object = world.get(kind, name).ok_or(Refusal::NotFound)?;
    if outdated(&object, meta) { Err(Refusal::Conflict) } else { Ok(()) }
}

/// A write of status, which is kept as it is.
#[derive(Deserialize)]
struct StatusPatch<'a> {
    metadata: Value,
    #[serde(borrow)]
    status: &'a RawValue,
}

/// Server-side apply by the only manager of the status: what it does not name any more is gone.
fn status(world: &World, name: &Name, patch: &StatusPatch<'_>) -> Result<Arc<Object>, Refusal> {
    guard(world, Kind::HelmRelease, name, &patch.metadata)?;
    let written = world.say(name, Bytes::copy_from_slice(patch.status.get().as_bytes()))?;
    if let Some(ready) = written.said().condition() {
        world.tell(format_args!("status of {}: {} {} {:?}", name.1, ready.status, ready.reason, ready.message));
    }
    crate::oracle::said(world, &written);
    Ok(written)
}

fn merge(world: &World, kind: Kind, name: &Name, mut patch: Value) -> Result<Arc<Object>, Refusal> {
    guard(world, kind, name, &patch["metadata"])?;
    if let Some(meta) = patch["metadata"].as_object_mut() {
        meta.remove("resourceVersion");
        meta.remove("uid");
    }
    world.change(kind, name, |object| merge_into(object, &patch))
}

/// An update of the whole object; of its metadata the labels alone are anybody's.
fn replace(world: &World, kind: Kind, name: &Name, new: &Value) -> Result<Arc<Object>, Refusal> {
    guard(world, kind, name, new)?;
    if kind == Kind::Secret {
        crate::ledger::relabelled(world, name, &new["metadata"]["labels"]);
    }
    world.change(kind, name, |object| {
        object["metadata"]["labels"] = new["metadata"]["labels"].clone();
        object["data"] = new["data"].clone();
    })
}

/// RFC 7396.
fn merge_into(object: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    let Some(map) = object.as_object_mut() else { return };
    for (key, value) in patch {
        if value.is_null() {
            map.remove(key);
        } else {
            merge_into(map.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

pub fn failure(code: u16) -> Answer {
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        504 => "Timeout",
        _ => "InternalError",
    };
    let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": format!("simulated {reason}") });
    text(code, status.to_string())
}

fn text(code: u16, text: impl Into<Bytes>) -> Answer {
    let body = Full::new(text.into()).map_err(|never| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = http::StatusCode::from_u16(code).unwrap();
    answer
}
