//! The health of a release from its members and their pods.

use super::*;
use crate::release::{Health, Member};

fn member(kind: &str, name: &str) -> Member {
    Member { api_version: "apps/v1".into(), kind: kind.into(), namespace: "ns".into(), name: name.into() }
}

fn judged(kind: &str, verdict: Verdict) -> Judgement {
    let workload = object("apps/v1", kind, &json!({"selector": {"matchLabels": {"app": "web"}}}), &json!({}));
    Judgement { verdict, finished: false, selector: judge(&workload).selector }
}

fn told(health: &Health) -> String {
    match health {
        Health::Healthy => "healthy".to_owned(),
        Health::Unknown { why, refused } => format!("unknown{}: {why}", if *refused { " (refused)" } else { "" }),
        Health::Progressing { member, why } => format!("{member} {}", said(&Verdict::Progressing(why.clone()))),
        Health::Failed { member, why } => format!("{member} {}", said(&Verdict::Failed(why.clone()))),
    }
}

struct Pod<'a> {
    name: &'a str,
    owner: (&'a str, &'a str),
    revision: &'a str,
    created: i64,
    trouble: Option<(Fault, &'a str, u8)>,
}

impl Pod<'_> {
    fn facts(&self) -> PodFacts {
        PodFacts {
            namespace: "ns".into(),
            name: self.name.into(),
            labels: [("app".into(), "web".into()), ("pod-template-hash".into(), self.revision.into())].into(),
            ready: self.trouble.is_none(),
            trouble: self.trouble.map(|(fault, text, rank)| PodTrouble { fault, text: text.into(), rank }),
            owner: Some(Box::new(Owner { kind: self.owner.0.into(), name: self.owner.1.into() })),
            created: self.created,
        }
    }
}

fn replica<'a>(name: &'a str, revision: &'a str, created: i64, trouble: Option<(Fault, &'a str, u8)>) -> Pod<'a> {
    Pod { name, owner: ("ReplicaSet", "web-1"), revision, created, trouble }
}

fn health_with(kind: &str, verdict: Verdict, pods: &[Pod<'_>]) -> String {
    let (member, judgement) = (member(kind, "web"), judged(kind, verdict));
    let pods: Vec<PodFacts> = pods.iter().map(Pod::facts).collect();
    told(&combine([(&member, MemberView::Judged(&judgement))], &pods))
}

fn waiting() -> Verdict {
    Verdict::Progressing(Why::own("1 of 2 replicas are available"))
}

#[test]
fn health_follows_the_order_of_verdicts_and_of_members() {
    let names: Vec<Member> = ["a", "b", "c"].iter().map(|name| member("Thing", name)).collect();
    let healthy = judged("Thing", Verdict::Healthy);
    let slow = judged("Thing", Verdict::Progressing(Why::outside("slow")));
    let bad = judged("Thing", Verdict::Failed(Why::own("bad")));
    let (good, slow, bad) = (MemberView::Judged(&healthy), MemberView::Judged(&slow), MemberView::Judged(&bad));
    for (views, expected) in [
        (&[][..], "healthy"),
        (&[good, good, good], "healthy"),
        (&[good, slow, MemberView::Missing], "Thing b progressing (outside): slow"),
        (&[good, MemberView::Missing, slow], "Thing b progressing (outside): does not exist"),
        (&[slow, MemberView::Pending, MemberView::Refused("x")], "unknown: Thing b has not been seen yet"),
        (&[slow, MemberView::Refused("x"), MemberView::Pending], "unknown: Thing c has not been seen yet"),
        (&[good, MemberView::Refused("x"), slow], "Thing c progressing (outside): slow"),
        (&[MemberView::Refused("x"), MemberView::Missing], "Thing b progressing (outside): does not exist"),
        (&[MemberView::Refused("x"), bad], "Thing b failed (own): bad"),
        (
            &[good, MemberView::Refused("things is forbidden"), good],
            "unknown (refused): Thing b can not be watched; let the operator list and watch Thing (apps/v1): things is forbidden",
        ),
        (
            &[MemberView::Refused("its namespace is not watched")],
            "unknown (refused): Thing a can not be watched: its namespace is not watched",
        ),
        (&[slow, MemberView::Pending, bad], "Thing c failed (own): bad"),
        (&[bad, bad], "Thing a failed (own): bad"),
    ] {
        let members = names.iter().zip(views.iter().copied());
        assert_eq!(told(&combine(members, [])), expected);
    }
}

#[test]
fn cause_is_found_in_the_pod_that_tells_most() {
    let crash = Some((Fault::Own, "container web exited with code 3, 4 restarts", 6));
    let place = Some((Fault::Outside, "can not be scheduled: no room", 3));
    assert_eq!(
        health_with(
            "Deployment",
            waiting(),
            &[replica("web-b", "n", 2, place), replica("web-c", "n", 2, crash), replica("web-a", "n", 1, crash)]
        ),
        "Deployment web progressing (own): 1 of 2 replicas are available; Pod web-a: container web exited with code 3, 4 restarts"
    );
    assert_eq!(
        health_with("Deployment", waiting(), &[replica("web-b", "n", 2, place), replica("web-c", "n", 2, None)]),
        "Deployment web progressing (outside): 1 of 2 replicas are available; Pod web-b: can not be scheduled: no room"
    );
    assert_eq!(
        health_with("Deployment", Verdict::Failed(Why::own("made no progress")), &[replica("web-b", "n", 2, place)]),
        "Deployment web failed (outside): made no progress; Pod web-b: can not be scheduled: no room"
    );
    assert_eq!(
        health_with(
            "Deployment",
            Verdict::Progressing(Why::outside("exceeded quota")),
            &[replica("web-b", "n", 2, crash)]
        ),
        "Deployment web progressing (outside): exceeded quota",
        "a cause outside that the member names itself stays"
    );
    assert_eq!(health_with("Deployment", Verdict::Healthy, &[replica("web-b", "n", 2, crash)]), "healthy");
}

#[test]
fn cause_is_looked_for_in_the_newest_revision_first() {
    let crash = Some((Fault::Own, "crash", 6));
    let probe = Some((Fault::Own, "probe", 1));
    let plain = "progressing (own): 1 of 2 replicas are available";
    let both = [replica("web-old", "o", 1, crash), replica("web-new", "n", 2, probe)];
    assert_eq!(health_with("Deployment", waiting(), &both), format!("Deployment web {plain}; Pod web-new: probe"));
    let old = [replica("web-old", "o", 1, crash), replica("web-new", "n", 2, None)];
    assert_eq!(health_with("Deployment", waiting(), &old), format!("Deployment web {plain}"));
    let set = old.map(|pod| Pod { owner: ("StatefulSet", "web"), ..pod });
    assert_eq!(health_with("StatefulSet", waiting(), &set), format!("StatefulSet web {plain}; Pod web-old: crash"));
}

#[test]
fn pods_of_others_are_not_blamed() {
    let crash = Some((Fault::Own, "crash", 6));
    let mut job = replica("job", "n", 2, crash);
    job.owner = ("Job", "web");
    let mut other = replica("other", "n", 2, crash);
    other.owner = ("ReplicaSet", "webshop-1");
    let expected = "Deployment web progressing (own): 1 of 2 replicas are available";
    assert_eq!(health_with("Deployment", waiting(), &[job, other]), expected);

    let (member, judgement) = (member("Deployment", "web"), judged("Deployment", waiting()));
    let mut away = replica("web-a", "n", 2, crash).facts();
    away.namespace = "elsewhere".into();
    let mut unlabelled = replica("web-b", "n", 2, crash).facts();
    unlabelled.labels = Box::default();
    assert_eq!(told(&combine([(&member, MemberView::Judged(&judgement))], &[away, unlabelled])), expected);
}

#[test]
fn texts_of_long_causes_are_cut() {
    let text = "x".repeat(300);
    let said = health_with(
        "Deployment",
        Verdict::Progressing(Why::own("y".repeat(200))),
        &[replica("web-a", "n", 1, Some((Fault::Own, &text, 6)))],
    );
    assert!(
        said.ends_with('…') && said.len() <= "Deployment web progressing (own): ".len() + words::WHY_MAX_BYTES,
        "{said}"
    );
}
