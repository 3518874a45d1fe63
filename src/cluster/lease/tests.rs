//! The table of decisions, and the task against an API server of closures.

use super::decide::{PAUSE, RENEW_AFTER, REQUEST_DEADLINE, TERM};
use super::*;

const S: fn(u64) -> Duration = Duration::from_secs;
const OTHER: Holder = Holder::Other(TERM);

/// What a standby knows that saw the Lease at that second.
fn saw(holder: Option<Holder>, second: u64) -> View {
    let mut view = View::new();
    assert!(view.see(7, holder, S(second)));
    view
}

/// A leader whose last renewal was sent at that second.
fn leads(second: u64) -> View {
    let mut view = View::new();
    view.answered(Step::Create { within: S(5) }, Answer::Written { version: 7 }, S(second), S(second));
    view
}

fn after(mut view: View, step: Step, answer: Answer, second: u64) -> View {
    view.answered(step, answer, S(second), S(second));
    view
}

fn leaving(mut view: View) -> View {
    view.leave();
    view
}

#[test]
fn every_situation_has_its_step() {
    let within = REQUEST_DEADLINE;
    let (hold, create, read) = (Step::Hold { within }, Step::Create { within }, Step::Read { within });
    let wait = |second| Step::Wait { until: Some(S(second)) };
    let in_3 = S(3);
    let cases: Vec<(&str, View, u64, Step)> = vec![
        ("nothing is known: the watch tells", View::new(), 99, Step::Wait { until: None }),
        ("no Lease: a leader may not know yet", saw(None, 10), 24, wait(25)),
        ("no Lease for a term", saw(None, 10), 25, create),
        ("let go", saw(Some(Holder::Nobody), 10), 10, hold),
        ("held by another", saw(Some(OTHER), 10), 24, wait(25)),
        ("held by another who is silent for a term", saw(Some(OTHER), 10), 25, hold),
        ("a longer term is believed", saw(Some(Holder::Other(S(30))), 10), 25, wait(40)),
        ("a shorter one is not", saw(Some(Holder::Other(S(1))), 10), 12, wait(25)),
        ("an absurd one is cut", saw(Some(Holder::Other(S(86_400))), 10), 12, wait(70)),
        ("our own write of which we did not hear", saw(Some(Holder::Us), 10), 10, wait(25)),
        ("another was faster", after(saw(Some(OTHER), 0), hold, Answer::Changed, 20), 20, read),
        ("no answer: after a pause again", after(saw(Some(OTHER), 0), hold, Answer::Unclear, 20), 20, wait(21)),
        ("no answer, and the pause is over", after(saw(Some(OTHER), 0), hold, Answer::Unclear, 20), 21, hold),
        ("told to end while standing by", leaving(saw(Some(OTHER), 10)), 11, Step::Done),
        ("leading, renewed just now", leads(10), 10, wait(18)),
        ("leading, due", leads(10), 18, Step::Hold { within: in_3 }),
        ("a renewal failed", after(leads(10), hold, Answer::Unclear, 18), 18, wait(19)),
        ("a renewal failed, late", after(leads(10), hold, Answer::Unclear, 20), 20, wait(21)),
        ("not renewed in time", leads(10), 21, Step::Lost(Loss::Expired)),
        ("changed under a leader", after(leads(10), hold, Answer::Changed, 18), 18, Step::Read { within: in_3 }),
        (
            "changed by our own lost write",
            after(leads(10), read, Answer::Is { version: 9, holder: Holder::Us }, 18),
            18,
            Step::Hold { within: in_3 },
        ),
        ("taken", after(leads(10), read, Answer::Is { version: 9, holder: OTHER }, 18), 18, Step::Lost(Loss::Taken)),
        ("deleted under a leader", after(leads(10), hold, Answer::Absent, 18), 18, Step::Create { within: in_3 }),
        ("told to end while leading", leaving(leads(10)), 12, Step::Release { within }),
        (
            "released",
            after(leaving(leads(10)), Step::Release { within }, Answer::Written { version: 8 }, 12),
            12,
            Step::Done,
        ),
        ("nothing to release", after(leaving(leads(10)), Step::Release { within }, Answer::Absent, 12), 12, Step::Done),
    ];
    for (case, view, second, expected) in cases {
        assert_eq!(decide(&view, S(second)), expected, "{case}");
    }
}

#[test]
fn what_is_older_or_the_same_is_no_news() {
    let mut view = saw(Some(OTHER), 10);
    assert!(!view.see(7, Some(OTHER), S(20)), "a list after a break tells the same version");
    assert!(!view.see(6, None, S(20)));
    assert_eq!(decide(&view, S(25)), Step::Hold { within: REQUEST_DEADLINE });
    assert!(view.see(8, Some(OTHER), S(20)));
    assert_eq!(decide(&view, S(25)), Step::Wait { until: Some(S(35)) });
}

#[test]
fn a_lease_that_came_too_late_is_not_led_by() {
    let mut view = saw(Some(OTHER), 0);
    view.answered(Step::Hold { within: S(5) }, Answer::Written { version: 8 }, S(20), S(31));
    assert_eq!(view.renewed(), None);
    assert_eq!(decide(&view, S(31)), Step::Wait { until: Some(S(46)) });
    assert_eq!(decide(&view, S(46)), Step::Hold { within: REQUEST_DEADLINE });
}

/// The limits follow one another with room between them.
#[test]
fn limits_are_in_order() {
    assert!(RENEW_AFTER + PAUSE < START_UNTIL && START_UNTIL < RUN_UNTIL && RUN_UNTIL < TERM);
    assert!(S(60).as_secs_f64() / RENEW_AFTER.as_secs_f64() <= 10.0, "requests a minute");
}
