//! What is compared anew, and when.

use super::*;
use crate::{
    release::{IgnoreRule, digest_of_rules},
    types::{Namespace, ReleaseName},
};

fn release() -> ReleaseKey {
    ReleaseKey { namespace: Namespace::parse("n").unwrap(), name: ReleaseName::parse("a").unwrap() }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn there(version: u64, mark: u64) -> LivePrint {
    LivePrint::There(Print { version, mark })
}

fn read(version: u64, mark: u64, deviation: Option<Deviation>) -> ComparedObject {
    ComparedObject::Read { print: Print { version, mark }, deviation }
}

fn rules() -> ReleaseDigest {
    digest_of_rules(&[])
}

/// One object, looked at and compared at the same second.
struct One(Drifts, Vec<Member>);

impl One {
    fn new() -> Self {
        let member =
            Member { api_version: "v1".into(), kind: "ConfigMap".into(), namespace: "n".into(), name: "a".into() };
        Self(Drifts::default(), vec![member])
    }

    fn look(&self, revision: u32, print: LivePrint, second: i64) -> DriftView {
        self.0.look(&release(), (revision, rules()), &self.1, &[print], at(second))
    }

    fn compare(&self, print: LivePrint, found: ComparedObject, second: i64) {
        let task = self.0.begin(&release(), &self.1, &[print], at(second)).unwrap();
        assert!(self.0.begin(&release(), &self.1, &[print], at(second)).is_none(), "one at a time");
        self.0.end(&release(), Task { found: vec![Some(found)], ..task }, at(second));
    }

    fn is_known(&self, revision: u32, print: LivePrint, second: i64) -> bool {
        matches!(self.look(revision, print, second), DriftView::Is { .. })
    }
}

#[test]
fn an_object_is_compared_once_and_again_when_somebody_changed_it() {
    let one = One::new();
    assert!(matches!(one.look(1, there(5, 1), 100), DriftView::Due { at: due } if due <= at(100)));
    one.compare(there(5, 1), read(5, 1, None), 100);
    assert_eq!(
        one.look(1, there(5, 1), 100),
        DriftView::Is { finding: Finding::default(), certain: true, again: None }
    );
    assert!(one.is_known(1, there(9, 1), 100), "a write of status");
    assert_eq!(one.look(1, there(10, 2), 100), DriftView::Due { at: at(102) });
    one.compare(there(10, 2), read(10, 2, Some(Deviation::fields(vec!["/data".into()]))), 200);
    let DriftView::Is { finding, certain: true, again: None } = one.look(1, there(10, 2), 200) else {
        panic!("not known")
    };
    assert_eq!((finding.count, finding.objects.len()), (1, 1));
}

#[test]
fn a_watch_that_comes_after_the_read_tells_nothing_new() {
    let one = One::new();
    one.look(1, there(5, 1), 100);
    one.compare(there(5, 1), read(8, 2, None), 100);
    assert!(one.is_known(1, there(6, 3), 100), "of before the read");
    assert!(one.is_known(1, there(8, 2), 100), "of the read");
    assert!(!one.is_known(1, there(9, 4), 100), "of after it");
}

#[test]
fn what_the_watch_had_not_seen_yet_can_be_missed_later() {
    let one = One::new();
    one.look(1, LivePrint::Absent, 100);
    one.compare(LivePrint::Absent, read(8, 2, None), 100);
    assert!(one.is_known(1, LivePrint::Absent, 100) && one.is_known(1, there(8, 2), 100));
    assert!(!one.is_known(1, LivePrint::Absent, 100), "it was deleted since");
    one.compare(LivePrint::Absent, ComparedObject::Missing, 200);
    assert!(one.is_known(1, LivePrint::Absent, 200));
    assert!(!one.is_known(1, there(20, 7), 200), "somebody made it again");
}

#[test]
fn what_goes_out_of_view_is_asked_for_once_also_where_it_may_be_gone() {
    let one = One::new();
    assert!(!one.is_known(1, LivePrint::Finished, 100));
    one.compare(LivePrint::Finished, ComparedObject::MayBeGone, 100);
    assert_eq!(
        one.look(1, LivePrint::Finished, 100),
        DriftView::Is { finding: Finding::default(), certain: true, again: None }
    );
    let other = One::new();
    other.look(1, there(5, 1), 100);
    other.compare(there(5, 1), read(5, 1, None), 100);
    assert!(!other.is_known(1, LivePrint::Finished, 200), "it may be there without helm's label");
    other.compare(LivePrint::Finished, read(6, 2, Some(Deviation::fields(vec!["/metadata/labels".into()]))), 200);
    let DriftView::Is { finding, certain: true, again: None } = other.look(1, LivePrint::Absent, 200) else {
        panic!("not known")
    };
    assert_eq!(finding.count, 1);
}

#[test]
fn another_revision_and_other_rules_are_compared_anew() {
    let one = One::new();
    one.look(1, there(5, 1), 100);
    one.compare(there(5, 1), read(5, 1, None), 100);
    assert!(!one.is_known(2, there(5, 1), 200));
    one.compare(there(5, 1), read(5, 1, None), 200);
    let others = digest_of_rules(&[IgnoreRule::default()]);
    assert!(matches!(one.0.look(&release(), (2, others), &one.1, &[there(5, 1)], at(300)), DriftView::Due { .. }));
}

#[test]
fn what_cannot_be_compared_is_tried_again_later_each_time() {
    let one = One::new();
    let mut now = 100;
    let mut pauses = Vec::new();
    one.look(1, there(5, 1), now);
    for _ in 0..10 {
        one.compare(there(5, 1), ComparedObject::Refused(Refusal::lasting("no")), now);
        let DriftView::Is { finding, again: Some(again), .. } = one.look(1, there(5, 1), now) else { panic!("known") };
        assert_eq!(finding.unseen.as_deref(), Some("ConfigMap a cannot be compared (no)"));
        pauses.push(again.as_second() - now);
        now = again.as_second();
        assert!(matches!(one.look(1, there(5, 1), now), DriftView::Due { .. }));
    }
    assert_eq!(pauses, [4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
}

#[test]
fn an_object_that_changes_all_the_time_is_compared_less_and_less_often() {
    let one = One::new();
    let (mut now, mut version, mut times) = (100, 1, 0);
    one.look(1, there(version, version), now);
    one.compare(there(version, version), read(version, version, None), now);
    while now < 100 + 3600 {
        (now, version) = (now + 1, version + 1);
        let DriftView::Due { at: due } = one.look(1, there(version, version), now) else { panic!("it changed") };
        if due <= at(now) {
            one.compare(there(version, version), read(version, version, None), now);
            times += 1;
        }
    }
    assert!((10..30).contains(&times), "{times} comparisons in an hour");
    // Left alone for a while, it is compared at once.
    now += 7200;
    assert!(matches!(one.look(1, there(version + 1, version + 1), now), DriftView::Due { at: due } if due <= at(now)));
}

#[test]
fn each_of_many_that_do_not_answer_has_its_turn() {
    const OBJECTS: usize = 200;
    /// Of what a comparison takes up, what it has time for.
    const TURNS: usize = 48;
    let drifts = Drifts::default();
    let name = |number: usize| format!("c{number:03}").into();
    let members: Vec<Member> =
        (0..OBJECTS).map(|number| Member { name: name(number), ..One::new().1.remove(0) }).collect();
    let prints = vec![LivePrint::Unwatched; OBJECTS];
    drifts.look(&release(), (1, rules()), &members, &prints, at(0));
    let mut turns: HashMap<Member, usize> = HashMap::new();
    for comparison in 1..=10_usize {
        let now = at(1000 * i64::try_from(comparison).unwrap());
        let mut task = drifts.begin(&release(), &members, &prints, now).unwrap();
        assert_eq!(task.members.len(), OBJECTS);
        for (member, found) in task.members.iter().zip(&mut task.found).take(TURNS) {
            *found = Some(ComparedObject::Refused(Refusal::passing("no answer")));
            *turns.entry(member.clone()).or_default() += 1;
        }
        task.refuse(Refusal::passing("there was no time"));
        drifts.end(&release(), task, now);
        assert_eq!(turns.len(), OBJECTS.min(comparison * TURNS), "after {comparison} comparisons");
    }
    assert!(turns.values().all(|turns| (2..=3).contains(turns)), "{turns:?}");
}

#[test]
fn what_has_changed_does_not_wait_for_what_did_not_answer() {
    let drifts = Drifts::default();
    let members: Vec<Member> = ["a", "b"].map(|name| Member { name: name.into(), ..One::new().1.remove(0) }).into();
    let compare = |prints: &[LivePrint], second| {
        drifts.look(&release(), (1, rules()), &members, prints, at(second));
        let mut task = drifts.begin(&release(), &members, prints, at(second)).unwrap();
        let order: Vec<_> = task.members.iter().map(|member| member.name.clone()).collect();
        for (member, found) in task.members.iter().zip(&mut task.found) {
            let a = &*member.name == "a";
            *found = Some(if a { ComparedObject::Refused(Refusal::passing("no answer")) } else { read(5, 1, None) });
        }
        drifts.end(&release(), task, at(second));
        order
    };
    assert_eq!(compare(&[there(5, 1), there(5, 1)], 100), ["a".into(), "b".into()]);
    assert_eq!(compare(&[there(5, 1), there(6, 2)], 200), ["b".into(), "a".into()]);
}

#[test]
fn what_is_known_to_deviate_stays_known_while_it_cannot_be_compared_for_now() {
    let one = One::new();
    let deviation = Some(Deviation::fields(vec!["/data".into()]));
    one.look(1, there(5, 1), 100);
    one.compare(there(5, 1), read(5, 1, deviation.clone()), 100);
    assert!(!one.is_known(1, there(6, 2), 200));
    one.compare(there(6, 2), ComparedObject::Refused(Refusal::passing("no answer")), 200);
    let DriftView::Is { finding, again: Some(again), .. } = one.look(1, there(6, 2), 200) else { panic!("not known") };
    assert_eq!(finding.objects.iter().map(|one| Some(one.what.clone())).collect::<Vec<_>>(), [deviation]);
    assert!(finding.unseen.is_some());
    let again = again.as_second();
    assert!(!one.is_known(1, there(6, 2), again));
    one.compare(there(6, 2), read(6, 2, None), again);
    assert_eq!(
        one.look(1, there(6, 2), again),
        DriftView::Is { finding: Finding::default(), certain: true, again: None }
    );
}

#[test]
fn what_cannot_be_compared_any_more_is_not_known_to_deviate() {
    let one = One::new();
    one.look(1, there(5, 1), 100);
    one.compare(there(5, 1), ComparedObject::Missing, 100);
    assert!(!one.is_known(1, there(6, 2), 200));
    one.compare(there(6, 2), ComparedObject::Refused(Refusal::lasting("no")), 200);
    let DriftView::Is { finding, again: Some(_), .. } = one.look(1, there(6, 2), 200) else { panic!("not known") };
    assert_eq!((finding.count, finding.unseen.as_deref()), (0, Some("ConfigMap a cannot be compared (no)")));
}
