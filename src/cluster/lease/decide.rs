//! What to do about the lease: a pure function of what is known and of the time, and how answers change what is known.
//!
//! Time is what our own clock says since we started. Nothing here reads a clock, and no time that another process has
//! written is looked at.

use std::time::Duration;

/// A moment by our own clock.
pub(super) type Moment = Duration;

/// How long a lease lasts for those who wait for it, from the moment at which they see it renewed.
pub(super) const TERM: Duration = Duration::from_secs(15);
/// The longest term that another holder is believed: a typing error in a Lease must not stop everything for a day.
const TERM_MAX: Duration = Duration::from_secs(60);
/// A holder renews this long after it sent the last renewal: seven and a half requests a minute.
pub(super) const RENEW_AFTER: Duration = Duration::from_secs(8);
/// Without a renewal for so long nothing is started any more and what runs is told to end: two seconds for helm to put
/// its record in order.
pub const START_UNTIL: Duration = Duration::from_secs(11);
/// Without a renewal for so long nothing may run. The two seconds up to [`TERM`] are for clocks of different speed and
/// for the death of processes.
pub const RUN_UNTIL: Duration = Duration::from_secs(13);
/// For each request.
pub(super) const REQUEST_DEADLINE: Duration = Duration::from_secs(5);
/// Between a request that failed and the next one.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// Who is named in the Lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    Nobody,
    Us,
    /// With the term that it promises to keep to.
    Other(Duration),
}

/// The Lease as last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Not seen yet; the watch will tell.
    Nothing,
    /// What was seen is out of date: it has to be read.
    Stale,
    Absent {
        since: Moment,
    },
    Held {
        by: Holder,
        since: Moment,
    },
}

/// All that a decision is made from.
#[derive(Debug, Clone)]
pub(super) struct View {
    known: Known,
    /// Resource version of what is known: what is older is not listened to.
    version: u64,
    /// When the last renewal that succeeded was sent. Counted from the sending: others count from when they see it.
    renewed: Option<Moment>,
    /// No request before that.
    not_before: Moment,
    /// The work is over: let go.
    leaving: bool,
}

/// The one thing to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Read {
        within: Duration,
    },
    Create {
        within: Duration,
    },
    /// Name ourselves in the Lease as it was seen.
    Hold {
        within: Duration,
    },
    /// Name nobody in the Lease as it was seen.
    Release {
        within: Duration,
    },
    /// Until then, or until there is news; without a moment until there is news.
    Wait {
        until: Option<Moment>,
    },
    /// We led and do not any more. There is no way back.
    Lost(Loss),
    /// We do not hold it, and do not want it.
    Done,
}

/// How leadership was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// It could not be renewed in time.
    Expired,
    /// Somebody else is named in the Lease.
    Taken,
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The Lease as it is, by a read.
    Is {
        version: u64,
        holder: Holder,
    },
    Absent,
    /// Our write was done; the Lease has this version now.
    Written {
        version: u64,
    },
    /// The Lease is not as it was when we saw it.
    Changed,
    /// No answer, or none that tells: a write may have been done or not.
    Unclear,
}

pub(super) fn decide(view: &View, now: Moment) -> Step {
    match view.renewed {
        Some(renewed) => leading(view, renewed, now),
        None => waiting(view, now),
    }
}

fn leading(view: &View, renewed: Moment, now: Moment) -> Step {
    let stop = renewed + START_UNTIL;
    if now >= stop {
        return Step::Lost(Loss::Expired);
    }
    if matches!(view.known, Known::Held { by: Holder::Other(_), .. }) {
        return Step::Lost(Loss::Taken);
    }
    if now < view.not_before {
        return Step::Wait { until: Some(view.not_before.min(stop)) };
    }
    // An answer that comes later is of no use.
    let within = REQUEST_DEADLINE.min(stop.saturating_sub(now));
    let due = renewed + RENEW_AFTER;
    match view.known {
        Known::Nothing | Known::Stale => Step::Read { within },
        Known::Absent { .. } if view.leaving => Step::Done,
        // Somebody has deleted it. Whoever waits for it counts from then on, longer than we act without it.
        Known::Absent { .. } => Step::Create { within },
        Known::Held { .. } if view.leaving => Step::Release { within },
        Known::Held { .. } if now < due => Step::Wait { until: Some(due) },
        Known::Held { .. } => Step::Hold { within },
    }
}

fn waiting(view: &View, now: Moment) -> Step {
    if view.leaving {
        return Step::Done;
    }
    if now < view.not_before {
        return Step::Wait { until: Some(view.not_before) };
    }
    let within = REQUEST_DEADLINE;
    let wait_or = |until: Moment, step| if now < until { Step::Wait { until: Some(until) } } else { step };
    match view.known {
        Known::Nothing => Step::Wait { until: None },
        Known::Stale => Step::Read { within },
        // It may have been deleted under a leader that does not know yet.
        Known::Absent { since } => wait_or(since + TERM, Step::Create { within }),
        Known::Held { by: Holder::Nobody, .. } => Step::Hold { within },
        // A write of ours of which we did not hear in time. It is waited for like that of another: a creation that was
        // under way for long may have been done under a leader whose Lease was deleted.
        Known::Held { by: Holder::Us, since } => wait_or(since + TERM, Step::Hold { within }),
        Known::Held { by: Holder::Other(term), since } => {
            wait_or(since + term.clamp(TERM, TERM_MAX), Step::Hold { within })
        }
    }
}

impl View {
    pub(super) fn new() -> Self {
        Self { known: Known::Nothing, version: 0, renewed: None, not_before: Moment::ZERO, leaving: false }
    }

    /// The Lease is wanted no more.
    pub(super) fn leave(&mut self) {
        self.leaving = true;
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving
    }

    pub(super) fn is_known(&self) -> bool {
        self.known != Known::Nothing
    }

    /// When the last renewal was sent, for a leader.
    pub(super) fn renewed(&self) -> Option<Moment> {
        self.renewed
    }

    /// The Lease of that version, or its absence, was seen. Whether that is news.
    pub(super) fn see(&mut self, version: u64, holder: Option<Holder>, now: Moment) -> bool {
        let unsettled = matches!(self.known, Known::Nothing | Known::Stale);
        if version < self.version || (version == self.version && !unsettled) {
            return false;
        }
        self.version = version;
        self.known = match holder {
            Some(by) => Known::Held { by, since: now },
            // Also when it was absent before: there may have been a holder in between.
            None => Known::Absent { since: now },
        };
        true
    }

    /// Takes in what came of a step that was sent at `sent`.
    pub(super) fn answered(&mut self, step: Step, answer: Answer, sent: Moment, now: Moment) {
        match answer {
            Answer::Is { version, holder } => {
                // Asked for because what was known was not enough; counted from now, even if it is the same version.
                self.version = self.version.max(version);
                self.known = Known::Held { by: holder, since: now };
            }
            Answer::Absent => self.known = Known::Absent { since: now },
            Answer::Written { version } => {
                self.version = version;
                self.known = match step {
                    Step::Release { .. } => Known::Held { by: Holder::Nobody, since: now },
                    _ => Known::Held { by: Holder::Us, since: now },
                };
                self.renewed = match step {
                    Step::Release { .. } => None,
                    // Too late to begin with.
                    _ if self.renewed.is_none() && now >= sent + START_UNTIL => None,
                    _ => Some(sent),
                };
            }
            Answer::Changed => self.known = Known::Stale,
            Answer::Unclear => self.not_before = now + PAUSE,
        }
    }
}
