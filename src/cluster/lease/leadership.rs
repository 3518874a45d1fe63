//! What everybody else knows of the lease: whether we may act at this moment, and when that changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::decide::{Moment, RUN_UNTIL, START_UNTIL};

/// Where we stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The Lease was not seen yet.
    Looking,
    Standby,
    Leading,
    /// For good; everything that runs has to end.
    Lost(Lost),
    /// The lease is let go, or was never held and is wanted no more.
    Over,
}

/// How leadership was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// It could not be renewed in time.
    Expired,
    /// Somebody else is named in the Lease.
    Taken,
    /// The task that renews it is gone.
    Died,
}

impl Lost {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "the lease could not be renewed in time",
            Self::Taken => "the lease names another holder",
            Self::Died => "the task that renews the lease is gone",
        }
    }
}

/// A handle for those who act. Cheap to clone and to ask.
#[derive(Debug, Clone)]
pub struct Leadership(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Our clock begins here.
    epoch: Instant,
    /// Milliseconds of our clock until which something may be started; `u64::MAX` where nobody is elected.
    start_until_ms: AtomicU64,
    standing: watch::Sender<Standing>,
    leave: CancellationToken,
}

impl Leadership {
    fn new(start_until_ms: u64, standing: Standing) -> Self {
        Self(Arc::new(Shared {
            epoch: Instant::now(),
            start_until_ms: AtomicU64::new(start_until_ms),
            standing: watch::Sender::new(standing),
            leave: CancellationToken::new(),
        }))
    }

    /// Without an election there is one operator, and it leads.
    pub fn unelected() -> Self {
        Self::new(u64::MAX, Standing::Leading)
    }

    pub(in crate::cluster) fn elected() -> Self {
        Self::new(0, Standing::Looking)
    }

    /// Whether something may be started or written at this moment. By the clock and not by what a task has found out:
    /// a process that was stopped and goes on asks this before its tasks had a turn.
    pub fn may_act(&self) -> bool {
        let until = self.0.start_until_ms.load(Ordering::Acquire);
        until == u64::MAX || self.now() < Duration::from_millis(until)
    }

    pub fn standing(&self) -> Standing {
        *self.0.standing.borrow()
    }

    /// Returns once we lead, and never if we do not come to.
    pub async fn gained(&self) {
        self.until(|standing| *standing == Standing::Leading).await;
    }

    /// Returns when leadership was lost, and never where it is let go in order.
    pub async fn lost(&self) -> Lost {
        loop {
            if let Standing::Lost(lost) = self.until(|standing| matches!(standing, Standing::Lost(_))).await {
                return lost;
            }
        }
    }

    /// Lets go of the lease, and returns when that is done or in vain. Nothing may run any more.
    pub async fn release(&self) {
        let elected = self.0.start_until_ms.swap(0, Ordering::AcqRel) != u64::MAX;
        self.0.leave.cancel();
        if elected {
            self.until(|standing| matches!(standing, Standing::Over | Standing::Lost(_))).await;
        }
    }

    /// The moment from which on nothing may run.
    pub fn run_until(&self) -> Instant {
        let start_until = Duration::from_millis(self.0.start_until_ms.load(Ordering::Acquire));
        self.0.epoch.checked_add(start_until + RUN_UNTIL.saturating_sub(START_UNTIL)).unwrap_or(self.0.epoch)
    }

    async fn until(&self, is_so: impl FnMut(&Standing) -> bool) -> Standing {
        let mut standing = self.0.standing.subscribe();
        let found = standing.wait_for(is_so).await.map(|standing| *standing);
        match found {
            Ok(standing) => standing,
            // Cannot be: the sender is part of this handle.
            Err(_) => std::future::pending().await,
        }
    }

    pub(super) fn now(&self) -> Moment {
        self.0.epoch.elapsed()
    }

    pub(super) fn instant(&self, moment: Moment) -> Instant {
        self.0.epoch + moment
    }

    pub(super) fn leave(&self) -> &CancellationToken {
        &self.0.leave
    }

    /// A renewal that was sent at that moment has succeeded.
    pub(super) fn renewed(&self, sent: Moment) {
        if self.0.leave.is_cancelled() {
            return;
        }
        let until = u64::try_from((sent + START_UNTIL).as_millis()).unwrap_or(0);
        self.0.start_until_ms.store(until, Ordering::Release);
    }

    /// Nothing may be started from now on.
    pub(super) fn resign(&self) {
        self.0.start_until_ms.store(0, Ordering::Release);
    }

    /// Whether that is news.
    pub(super) fn say(&self, standing: Standing) -> bool {
        self.0.standing.send_if_modified(|before| std::mem::replace(before, standing) != standing)
    }
}
