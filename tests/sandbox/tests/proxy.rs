//! The proxy passes everything on, counts it, and plays the faults it is told to.

use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use sandbox::proxy::{Action, Gate, Rule, Verb};
use sandbox::{Proxy, Sandbox, charts, wait};
use serde_json::json;

use super::{Test, http};
use crate::cluster::succeeded;

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("helm_works_through_the_proxy_and_is_counted", helm_works_through_the_proxy_and_is_counted),
    ("impersonated_user_has_only_its_rights", impersonated_user_has_only_its_rights),
    ("replies_come_so_often_and_no_more", replies_come_so_often_and_no_more),
    ("creates_are_known_by_the_names_of_their_objects", creates_are_known_by_the_names_of_their_objects),
    ("writes_are_lost_before_and_after_they_happen", writes_are_lost_before_and_after_they_happen),
    ("bodies_break_off_and_answers_wait", bodies_break_off_and_answers_wait),
    ("watches_stream_are_held_and_cut", watches_stream_are_held_and_cut),
];

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// Fails with the text when the condition does not hold.
fn check(condition: bool, text: impl Into<String>) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(text.into().into()) }
}

fn create(proxy: &Proxy, name: &str) -> std::io::Result<http::Answer> {
    http::post(&proxy.url(), CONFIG_MAPS, &json!({ "metadata": { "name": name } }).to_string())
}

fn exists(sandbox: &Sandbox, name: &str) -> Result<bool, Failed> {
    Ok(sandbox.get(&format!("{CONFIG_MAPS}/{name}"))?.is_some())
}

fn helm_through(sandbox: &Sandbox, proxy: &Proxy, home: &Path, arguments: &[&str]) -> Result<(), Failed> {
    let kubeconfig = home.join("kubeconfig");
    proxy.write_kubeconfig(&kubeconfig)?;
    let mut helm = Command::new(sandbox.helm4()?);
    helm.env("KUBECONFIG", kubeconfig).env("HELM_CACHE_HOME", home).env("HELM_CONFIG_HOME", home);
    succeeded(&helm.env("HELM_DATA_HOME", home).args(arguments).output()?)
}

fn helm_works_through_the_proxy_and_is_counted(sandbox: &Sandbox) -> Result<(), Failed> {
    let proxy = Proxy::start(sandbox)?;
    let home = tempfile::tempdir()?;
    let chart = charts::web("1.0.0").write(home.path())?;
    let before = proxy.snapshot();
    helm_through(sandbox, &proxy, home.path(), &["install", "proxied", &chart.to_string_lossy(), "--wait"])?;
    let counts = proxy.snapshot().since(&before);
    let helm = |verb, resource: &str| {
        counts.total(|key| key.user_agent.starts_with("Helm/") && key.verb == verb && key.resource == resource)
    };
    check(helm(Verb::Create, "secrets") == 1, format!("one release is stored:\n{counts}"))?;
    check(helm(Verb::Watch, "deployments") >= 1, format!("its wait watches:\n{counts}"))?;
    let closed = wait::until(Duration::from_secs(10), || proxy.open_watches().is_empty().then_some(()));
    closed.ok_or_else(|| format!("watches are left: {:?}", proxy.open_watches()).into())
}

fn impersonated_user_has_only_its_rights(sandbox: &Sandbox) -> Result<(), Failed> {
    let proxy = Proxy::start(sandbox)?;
    let user = [("impersonate-user", "nobody")];
    let answer = http::ask("GET", &proxy.url(), "/api/v1/secrets", &user, "")?;
    check(answer.status == 403 && answer.body.contains("nobody"), answer.body)
}

fn replies_come_so_often_and_no_more(sandbox: &Sandbox) -> Result<(), Failed> {
    let proxy = Proxy::start(sandbox)?;
    let headers = vec![("retry-after".to_owned(), "1".to_owned())];
    let reply = Action::Reply { status: 429, headers, body: "slow down".into() };
    let rule = proxy.rule(Rule::new(|info| info.resource == "nodes", reply).skip(1).times(2));
    let mut seen = Vec::new();
    for _ in 0..4 {
        let answer = http::get(&proxy.url(), "/api/v1/nodes")?;
        check(answer.status == 200 || answer.head.contains("retry-after: 1"), answer.head)?;
        seen.push(answer.status);
    }
    check(seen == [200, 429, 429, 200] && rule.hits() == 2, format!("{seen:?}"))
}

fn creates_are_known_by_the_names_of_their_objects(sandbox: &Sandbox) -> Result<(), Failed> {
    let proxy = Proxy::start(sandbox)?;
    let rule = proxy.rule(Rule::new(|info| info.name.as_deref() == Some("named-two"), Action::status(500)));
    let statuses = [create(&proxy, "named-one")?.status, create(&proxy, "named-two")?.status];
    check(statuses == [201, 500] && rule.hits() == 1, format!("{statuses:?}"))?;
    check(exists(sandbox, "named-one")? && !exists(sandbox, "named-two")?, "the object goes on as it came")
}

fn writes_are_lost_before_and_after_they_happen(sandbox: &Sandbox) -> Result<(), Failed> {
    let proxy = Proxy::start(sandbox)?;
    let calls = Arc::new(AtomicU64::new(0));
    let call = || {
        let calls = Arc::clone(&calls);
        move |info: &sandbox::proxy::RequestInfo| {
            calls.fetch_add(info.n_write.unwrap_or(100), Ordering::SeqCst);
        }
    };
    proxy.rule(Rule::on_write(2, Action::Drop));
    proxy.rule(Rule::on_write(3, Action::ForwardThenDrop));
    proxy.rule(Rule::on_write(4, Action::kill_before(call())));
    proxy.rule(Rule::on_write(5, Action::kill_after(call())));
    let too_late = Action::ForwardThenReply { status: 504, headers: Vec::new(), body: "too late".into() };
    proxy.rule(Rule::on_write(7, too_late));
    // What the client hears, and whether it happened.
    let expected = [(true, true), (false, false), (false, true), (false, false), (false, true), (true, true)];
    for (position, (heard, happened)) in expected.into_iter().enumerate() {
        let name = format!("write-{}", position + 1);
        check(create(&proxy, &name).is_ok() == heard, format!("{name} heard: {heard}"))?;
        check(exists(sandbox, &name)? == happened, format!("{name} happened: {happened}"))?;
    }
    check(
        create(&proxy, "write-7")?.status == 504 && exists(sandbox, "write-7")?,
        "it happened and is told otherwise",
    )?;
    check(calls.load(Ordering::SeqCst) == 4 + 5, "both calls are made with the numbers of their writes")
}

fn bodies_break_off_and_answers_wait(sandbox: &Sandbox) -> Result<(), Failed> {
    let proxy = Proxy::start(sandbox)?;
    let path = "/api/v1/namespaces/default";
    let whole = http::get(&proxy.url(), path)?;
    let rule = proxy.rule(Rule::new(|_| true, Action::TruncateBody(20)));
    let part = http::get(&proxy.url(), path)?;
    check(whole.body.starts_with(&part.body) && part.body.len() == 20, format!("{:?}", part.body))?;
    rule.remove();
    let time = Duration::from_millis(300);
    proxy.rule(Rule::new(|_| true, Action::Delay(time)));
    let begin = Instant::now();
    check(http::get(&proxy.url(), path)?.status == 200 && begin.elapsed() >= time, "the answer is delayed")?;
    proxy.clear_rules();
    proxy.rule(Rule::new(|_| true, Action::Hang));
    let mut stream = http::open("GET", &proxy.url(), path, &[], "")?;
    stream.set_read_timeout(Some(time))?;
    check(stream.read(&mut [0; 1]).is_err(), "nothing comes")
}

fn watches_stream_are_held_and_cut(sandbox: &Sandbox) -> Result<(), Failed> {
    let proxy = Proxy::start(sandbox)?;
    let path = format!("{CONFIG_MAPS}?watch=true&fieldSelector=metadata.name%3Dwatched");
    let mut plain = http::open("GET", &proxy.url(), &path, &[], "")?;
    let pause = Duration::from_millis(700);
    proxy.rule(Rule::new(|info| info.query.contains("held"), Action::HoldWatch(pause)));
    let mut held = http::open("GET", &proxy.url(), &format!("{path}&held"), &[], "")?;
    let open = || (proxy.open_watches().get("wire") == Some(&2)).then_some(());
    wait::until(Duration::from_secs(10), open).ok_or("two watches are open")?;
    let gate = Gate::default();
    proxy.rule(Rule::new(|info| info.query.contains("gated"), Action::GateWatch(gate.clone())));
    let mut gated = http::open("GET", &proxy.url(), &format!("{path}&gated"), &[], "")?;
    wait::until(Duration::from_secs(10), || (proxy.open_watches().get("wire") == Some(&3)).then_some(()))
        .ok_or("three watches are open")?;
    gate.close();
    let begin = Instant::now();
    create(&proxy, "watched")?;
    read_until(&mut plain, "ADDED")?;
    gated.set_read_timeout(Some(pause))?;
    check(read_until(&mut gated, "ADDED").is_err(), "nothing passes a closed gate")?;
    gate.open();
    gated.set_read_timeout(Some(Duration::from_secs(10)))?;
    read_until(&mut gated, "ADDED")?;
    read_until(&mut held, "ADDED")?;
    check(begin.elapsed() >= pause, "the held event comes late")?;
    proxy.cut();
    let mut rest = Vec::new();
    let _ = plain.read_to_end(&mut rest);
    wait::until(Duration::from_secs(10), || proxy.open_watches().is_empty().then_some(()))
        .ok_or_else(|| format!("left: {:?}", proxy.open_watches()).into())
}

fn read_until(stream: &mut impl Read, text: &str) -> Result<(), Failed> {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains(text) {
        let count = stream.read(&mut buffer)?;
        check(count > 0, format!("{text} does not come: {}", String::from_utf8_lossy(&seen)))?;
        seen.extend_from_slice(&buffer[..count]);
    }
    Ok(())
}
