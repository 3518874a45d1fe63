//! The health of a release: from the judgements of its members, with the cause found in their pods.

use std::cmp::Reverse;

use super::judgement::Judgement;
use super::pods::PodFacts;
use super::words::{WHY_MAX_BYTES, detailed, fragment};
use crate::release::{Fault, Health, Member, Verdict, Why};

/// What is known of a member at this moment.
#[derive(Debug, Clone, Copy)]
pub enum MemberView<'a> {
    Judged(&'a Judgement),
    /// Known not to exist.
    Missing,
    /// Known not to exist any more, having done its work.
    Done,
    /// The first complete view of its kind has not arrived.
    Pending,
    /// Its kind may not be watched, and why.
    Refused(&'a str),
}

/// A failed member ends it, since no other can make up for that. Otherwise nothing is said before every member that may
/// be watched is in view, and of those that are not there yet the first in the given order is named. What may not be
/// watched keeps the others from being called good, and never from being called bad: a bad version would stay.
///
/// `pods` may hold pods of others, even of other namespaces; they are looked through once, for the member named.
pub fn combine<'a>(
    members: impl IntoIterator<Item = (&'a Member, MemberView<'a>)>,
    pods: impl IntoIterator<Item = &'a PodFacts>,
) -> Health {
    let (mut pending, mut refused) = (None, None);
    let mut progressing = None;
    for (member, view) in members {
        match view {
            MemberView::Judged(judgement) => match &judgement.verdict {
                Verdict::Healthy => {}
                Verdict::Failed(why) => {
                    let why = with_pod(member, judgement, why, pods);
                    return Health::Failed { member: member.clone(), why };
                }
                Verdict::Progressing(why) => {
                    progressing.get_or_insert((member, Some((judgement, why))));
                }
            },
            MemberView::Done => {}
            MemberView::Missing => {
                progressing.get_or_insert((member, None));
            }
            MemberView::Pending => {
                pending.get_or_insert_with(|| format!("{member} has not been seen yet"));
            }
            MemberView::Refused(why) => {
                refused.get_or_insert_with(|| unwatched(member, why));
            }
        }
    }
    match (pending, progressing) {
        (Some(why), _) => Health::Unknown { why: fragment(&why, WHY_MAX_BYTES), refused: false },
        (None, Some((member, Some((judgement, why))))) => {
            Health::Progressing { member: member.clone(), why: with_pod(member, judgement, why, pods) }
        }
        // helm ends well only with all of its objects made: somebody else took it away since.
        (None, Some((member, None))) => {
            Health::Progressing { member: member.clone(), why: Why::outside("does not exist") }
        }
        (None, None) => {
            refused.map_or(Health::Healthy, |why| Health::Unknown { why: fragment(&why, WHY_MAX_BYTES), refused: true })
        }
    }
}

/// What is missing comes first, because what the API server says may be long. It says `forbidden` where a right is
/// missing; a kind that is not there, and a namespace that is not watched, are no matter of rights.
fn unwatched(member: &Member, why: &str) -> String {
    let Member { api_version, kind, .. } = member;
    let grant = if why.contains("forbidden") {
        format!("; let the operator list and watch {kind} ({api_version})")
    } else {
        String::new()
    };
    detailed(&format!("{member} can not be watched{grant}"), why)
}

/// The member's own words, and what is wrong in the pod that tells most. The pod decides whose fault it is, because
/// `not ready by the deadline` is the release's own fault only if nothing outside kept it from getting there. Where
/// the member itself already names a cause outside, that stays.
fn with_pod<'a>(
    member: &Member,
    judgement: &Judgement,
    why: &Why,
    pods: impl IntoIterator<Item = &'a PodFacts>,
) -> Why {
    let found = if why.fault == Fault::Own { worst_pod(member, judgement, pods) } else { None };
    let Some((pod, trouble)) = found else { return why.clone() };
    let text = format!("{}; Pod {}: {}", why.text, pod.name, trouble.text);
    Why { fault: trouble.fault, text: fragment(&text, WHY_MAX_BYTES) }
}

type Worst<'a> = (&'a PodFacts, &'a super::PodTrouble);

/// Of the newest revision's pods the one in the worst trouble; by name among equals, so that the words do not change.
fn worst_pod<'a>(
    member: &Member,
    judgement: &Judgement,
    pods: impl IntoIterator<Item = &'a PodFacts>,
) -> Option<Worst<'a>> {
    let selector = judgement.selector.as_deref()?;
    let pods: Vec<&PodFacts> = pods
        .into_iter()
        .filter(|pod| pod.namespace == member.namespace && selector.matches(&pod.labels) && owns(member, pod))
        .collect();
    let newest = pods.iter().max_by_key(|pod| (pod.created, Reverse(&pod.name)))?.revision();
    let worst = |of_newest: bool| {
        pods.iter()
            .filter(|pod| (pod.revision() == newest) == of_newest)
            .filter_map(|pod| pod.trouble.as_ref().map(|trouble| (*pod, trouble)))
            .max_by_key(|(pod, trouble)| (trouble.rank, Reverse(&pod.name)))
    };
    // Old pods hold up the update of other kinds, which go pod by pod; a Deployment passes them by.
    worst(true).or_else(|| if &*member.kind == "Deployment" { None } else { worst(false) })
}

/// Charts often give the pods of their Jobs the labels that a Deployment selects, so the pod's own word is asked too.
fn owns(member: &Member, pod: &PodFacts) -> bool {
    let Some(owner) = pod.owner.as_deref() else { return true };
    if &*member.kind == "Deployment" {
        let hash = owner.name.strip_prefix(&*member.name).and_then(|rest| rest.strip_prefix('-'));
        return &*owner.kind == "ReplicaSet" && hash.is_some();
    }
    owner.kind == member.kind && owner.name == member.name
}
