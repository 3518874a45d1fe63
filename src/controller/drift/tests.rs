//! One comparison, over an API server that does what a test tells it.

use std::convert::Infallible;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Request, Response};
use kube::{Client, client::Body};
use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::{
    api::HelmRelease,
    cluster::mock::failure,
    controller::mock::{Repository, context_of},
    release::Finding,
};

/// What the API server does with a request for an object.
#[derive(Clone)]
enum Answer {
    With(u16, Value),
    Never,
}

/// An API server with the record of a release of ConfigMaps: `c0`, `c1` and so on.
fn server(record: Answer, answer: impl Fn(&str) -> Answer + Clone + Send + 'static) -> Client {
    let service = tower::service_fn(move |request: Request<Body>| {
        let (record, answer) = (record.clone(), answer.clone());
        async move {
            let path = request.uri().path();
            let answer = match path.rsplit_once('/').unwrap_or_default() {
                ("/api", "v1") => {
                    let kind = json!({ "name": "configmaps", "singularName": "", "namespaced": true,
                        "kind": "ConfigMap", "verbs": [] });
                    Answer::With(200, json!({ "groupVersion": "v1", "resources": [kind] }))
                }
                ("/api/v1/namespaces/apps/secrets", _) => record,
                (_, name) => answer(name),
            };
            let Answer::With(code, text) = answer else { return std::future::pending().await };
            Ok::<_, Infallible>(
                Response::builder().status(code).body(Body::from(text.to_string().into_bytes())).unwrap(),
            )
        }
    });
    Client::new(service, "default")
}

fn record(objects: usize) -> Value {
    let one = |number| format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{number}}}\n");
    let manifest: String = (0..objects).map(one).collect();
    let release = json!({ "version": 1, "manifest": manifest, "apply_method": "ssa" }).to_string();
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "sh.helm.release.v1.web.v1" },
        "data": { "release": STANDARD.encode(STANDARD.encode(release)) } })
}

/// A ConfigMap as it is, and as it would be.
fn as_stated(name: &str) -> Answer {
    Answer::With(200, json!({ "metadata": { "name": name, "resourceVersion": "7" } }))
}

fn fails(code: u16, reason: &str, message: &str) -> Answer {
    let (code, text) = failure(code, reason, message);
    Answer::With(code, serde_json::from_str(&text).unwrap())
}

fn is_gone() -> Answer {
    fails(404, "NotFound", "not found")
}

/// A release of so many objects, of which none is watched.
struct Released {
    context: Arc<Context>,
    desired: Desired,
    members: Vec<Member>,
}

impl Released {
    fn new(objects: usize, answer: impl Fn(&str) -> Answer + Clone + Send + 'static) -> Self {
        Self::of_record(objects, Answer::With(200, record(objects)), answer)
    }

    fn of_record(objects: usize, record: Answer, answer: impl Fn(&str) -> Answer + Clone + Send + 'static) -> Self {
        let context = context_of(server(record, answer), Repository { breaks: false });
        let object: HelmRelease = serde_json::from_value(json!({
            "apiVersion": "helmrelease.dev/v1alpha1", "kind": "HelmRelease",
            "metadata": { "name": "web", "namespace": "apps" }, "spec": { "releaseVersion": "1.0.0" },
        }))
        .unwrap();
        let desired = Desired::parse(&object, &context.settings.defaults).unwrap();
        let member = |number| Member {
            api_version: "v1".into(),
            kind: "ConfigMap".into(),
            namespace: "apps".into(),
            name: format!("c{number}").into(),
        };
        Self { context, desired, members: (0..objects).map(member).collect() }
    }

    fn prints(&self) -> Vec<LivePrint> {
        vec![LivePrint::Unwatched; self.members.len()]
    }

    fn look(&self) -> DriftView {
        let Self { context, desired, members } = self;
        let basis = (1, digest_of_rules(&desired.drift_ignore));
        context.drifts.look(&desired.policy.key(), basis, members, &self.prints(), context.clock.now())
    }

    /// Compares what has to be compared; how long it took.
    async fn compare(&self) -> Duration {
        let Self { context, desired, members } = self;
        let (release, key) = (desired.policy.key(), ObjectKey::new("apps", "web"));
        let task = context.drifts.begin(&release, members, &self.prints(), context.clock.now()).unwrap();
        let begun = Instant::now();
        run(context, &key, desired, task, &HashSet::new()).await;
        assert_eq!(context.drifts.slots.available_permits(), COMPARISONS_MAX);
        begun.elapsed()
    }
}

/// What is known after one comparison of all objects, and how long it took.
async fn compared(objects: usize, answer: impl Fn(&str) -> Answer + Clone + Send + 'static) -> (DriftView, Duration) {
    let released = Released::new(objects, answer);
    assert!(matches!(released.look(), DriftView::Due { .. }));
    let took = released.compare().await;
    (released.look(), took)
}

/// What was found, with the names of what is missing; it is looked for again later.
fn found(view: DriftView) -> (Vec<Box<str>>, Box<str>) {
    let DriftView::Is { finding: Finding { objects, unseen, .. }, again: Some(_), .. } = view else {
        panic!("{view:?}")
    };
    (objects.into_iter().map(|one| one.member.name).collect(), unseen.unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_compared_hides_none_of_the_others() {
    let (view, took) = compared(20, |name| match name {
        "c0" => Answer::With(503, json!({})),
        "c1" => Answer::Never,
        "c2" | "c19" => is_gone(),
        name => as_stated(name),
    })
    .await;
    let (missing, unseen) = found(view);
    assert_eq!(missing, ["c2".into(), "c19".into()]);
    assert!(
        unseen.contains("ConfigMap c0 cannot be compared (") && unseen.contains("), nor can 1 more object"),
        "{unseen}"
    );
    assert!(!unseen.contains("objects"), "{unseen}");
    assert!(took <= cluster::REQUEST_DEADLINE + Duration::from_secs(1), "one slow answer is waited for once: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_comparison_without_answers_ends_in_time_and_keeps_what_it_found() {
    let (view, took) = compared(200, |name| if name == "c0" { is_gone() } else { Answer::Never }).await;
    let (missing, unseen) = found(view);
    assert_eq!(missing, ["c0".into()]);
    assert!(unseen.contains("ConfigMap c1 cannot be compared (") && unseen.contains("nor can 198 more"), "{unseen}");
    assert_eq!(took.as_secs(), COMPARISON_DEADLINE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn what_one_comparison_had_no_time_for_is_first_in_the_next() {
    let released = Released::new(60, |name| if name == "c59" { is_gone() } else { Answer::Never });
    released.look();
    released.compare().await;
    assert_eq!(found(released.look()).0, []);
    released.compare().await;
    assert_eq!(found(released.look()).0, ["c59".into()]);
}

#[tokio::test(start_paused = true)]
async fn a_defect_in_a_comparison_is_said_and_what_it_found_is_kept() {
    let (view, _) = compared(2, |name| if name == "c0" { is_gone() } else { panic!("a defect") }).await;
    let (missing, unseen) = found(view);
    assert_eq!(missing, ["c0".into()]);
    assert!(unseen.contains("ConfigMap c1 cannot be compared (a defect of the operator"), "{unseen}");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_not_to_be_had_is_told_with_what_to_change() {
    let told = async |answer: Answer| {
        let released = Released::of_record(1, answer, as_stated);
        released.look();
        released.compare().await;
        released.look()
    };
    let lacks = "secrets \"sh.helm.release.v1.web.v1\" is forbidden: User \"a\" cannot get resource \"secrets\"";
    let impersonate = "serviceaccounts \"a\" is forbidden: User \"b\" cannot impersonate resource \"serviceaccounts\"";
    let broken = Answer::With(200, json!({ "data": { "release": "AAAA" } }));
    for (answer, words) in [
        (
            fails(403, "Forbidden", lacks),
            "the identity of the release needs the right to get Secrets in namespace apps",
        ),
        (fails(403, "Forbidden", impersonate), "the operator may not act as the identity of the release"),
        (fails(403, "Forbidden", "hunter2"), "does not let the identity of the release get its record"),
        (fails(401, "Unauthorized", "Unauthorized"), "does not accept the credentials of the operator"),
        (fails(400, "BadRequest", "hunter2"), "refuses the request"),
        (is_gone(), "the record of the release is gone"),
        (broken, "the record of the release cannot be read"),
    ] {
        let (_, unseen) = found(told(answer).await);
        assert!(unseen.contains(words) && !unseen.contains("hunter2"), "{words}: {unseen}");
    }
    // What passes is tried again, and not told.
    assert!(matches!(told(fails(503, "ServiceUnavailable", "busy")).await, DriftView::Due { .. }));
}
