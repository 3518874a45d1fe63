//! Leadership: of several operators one acts, and it knows for how long it may.
//!
//! The operator that is named in the Lease renews it every 8 s. The others watch that one object and take over when it
//! has not changed for 15 s by their own clock; nobody looks at a time that somebody else has written. Every write
//! carries the resource version that was seen, so that of two writers one fails.
//!
//! **Losing is final.** An operator that could not renew for 11 s starts nothing more and tells helm to end; at 13 s it
//! kills what is left and ends with an error, and whoever supervises it starts it anew. Going on after a loss would
//! mean to trust views, slots and half-done runs from before it, all for one restart less in an outage in which nothing
//! could be done anyway.
//!
//! A Lease that is not there is waited for like one that is held: it may have been deleted under a leader that notices
//! at its next renewal. So the very first start takes 15 s longer.
//!
//! What is not covered: people who write names into the Lease; a machine that is frozen as a whole and goes on later; and
//! an operator that is stopped by a signal while its helm goes on, as nobody is there to end that helm. Once it goes on
//! itself, it ends without a write.

mod decide;
mod leadership;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::Notify;
use tokio::time::{sleep_until, timeout};

#[cfg(test)]
use decide::Holder;
use decide::{Answer, Loss, Moment, Step, View, decide};
pub use decide::{RUN_UNTIL, START_UNTIL};
pub use leadership::{Leadership, Lost, Standing};

use super::clock::Clock;
use super::locked::locked;
use super::watch::{Change, Pulse, follow_named};
use super::{ClusterError, FIELD_MANAGER};
use crate::metrics::Metrics;

/// Which Lease, and by which name we are called in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseSettings {
    pub namespace: Box<str>,
    pub name: Box<str>,
    /// Unique among all operators that ever ran.
    pub holder: Box<str>,
}

/// The task that stands for election, leads, and lets go.
pub struct Election {
    api: Api<Lease>,
    settings: LeaseSettings,
    leadership: Leadership,
    clock: Clock,
    metrics: Metrics,
    view: View,
    /// The Lease of the version that the view knows.
    seen: Option<Lease>,
}

/// What the watch says.
enum News {
    Is(Box<Lease>),
    Absent(u64),
}

/// What was said and not yet heard.
#[derive(Default)]
struct Ear {
    news: Mutex<Vec<News>>,
    some: Notify,
}

impl Election {
    pub fn new(client: Client, settings: LeaseSettings, clock: Clock, metrics: Metrics) -> Self {
        let api = Api::namespaced(client, &settings.namespace);
        Self { api, settings, leadership: Leadership::elected(), clock, metrics, view: View::new(), seen: None }
    }

    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Ends when leadership is lost, or let go on request.
    pub async fn run(mut self) {
        let ear = Arc::new(Ear::default());
        let mut watching: Option<BoxFuture<'static, ()>> = None;
        loop {
            match decide(&self.view, self.leadership.now()) {
                Step::Wait { until } => {
                    if self.view.renewed().is_some() {
                        watching = None;
                    } else if watching.is_none() {
                        locked(&ear.news).clear();
                        watching = Some(watch(self.api.clone(), self.clock.clone(), &self.settings.name, &ear));
                    }
                    self.wait(until, &mut watching, &ear).await;
                }
                Step::Lost(loss) => return self.lose(loss),
                Step::Done => return self.end(),
                step => self.request(step).await,
            }
        }
    }

    /// Until then, or until there is news.
    async fn wait(&mut self, until: Option<Moment>, watching: &mut Option<BoxFuture<'static, ()>>, ear: &Ear) {
        let leave = self.leadership.leave().clone();
        let moment = async {
            match until {
                Some(until) => sleep_until(self.leadership.instant(until)).await,
                None => std::future::pending().await,
            }
        };
        let watch = async {
            match watching {
                Some(watching) => watching.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = moment => {}
            () = watch => {}
            () = ear.some.notified() => {}
            () = leave.cancelled(), if !self.view.is_leaving() => self.view.leave(),
        }
        let news = std::mem::take(&mut *locked(&ear.news));
        for one in news {
            self.hear(one);
        }
    }

    fn hear(&mut self, news: News) {
        // A leader learns from its own writes only.
        if self.view.renewed().is_some() {
            return;
        }
        let now = self.leadership.now();
        match news {
            News::Is(lease) => {
                let holder = wire::holder(&lease, &self.settings.holder);
                if self.view.see(wire::version(&lease), Some(holder), now) {
                    self.seen = Some(*lease);
                }
            }
            News::Absent(version) => {
                if self.view.see(version, None, now) {
                    self.seen = None;
                }
            }
        }
        self.stand_by();
    }

    fn stand_by(&self) {
        if self.view.is_known() && self.view.renewed().is_none() && self.leadership.say(Standing::Standby) {
            let leader = self.seen.as_ref().map_or("nobody", |lease| match wire::holder_name(lease) {
                "" => "nobody",
                name => name,
            });
            tracing::info!(lease = %self.place(), leader, "standing by");
        }
    }

    async fn request(&mut self, step: Step) {
        let sent = self.leadership.now();
        let answer = self.ask(step).await;
        let led = self.view.renewed().is_some();
        self.view.answered(step, answer, sent, self.leadership.now());
        if matches!(step, Step::Create { .. } | Step::Hold { .. }) {
            let result = match answer {
                Answer::Written { .. } => "renewed",
                Answer::Changed | Answer::Absent | Answer::Is { .. } => "conflict",
                Answer::Unclear => "error",
            };
            self.metrics.lease_renewals.with_label_values(&[result]).inc();
        }
        match self.view.renewed() {
            Some(renewed) => {
                self.leadership.renewed(renewed);
                if self.leadership.say(Standing::Leading) {
                    self.metrics.leader.set(1);
                    tracing::info!(lease = %self.place(), holder = %self.settings.holder, "leadership gained");
                }
            }
            None if led => {
                self.leadership.resign();
                self.metrics.leader.set(0);
                tracing::info!(lease = %self.place(), "leadership released");
            }
            None => self.stand_by(),
        }
    }

    /// Makes the request of a step, once.
    async fn ask(&mut self, step: Step) -> Answer {
        let (settings, us, now) = (&self.settings, &*self.settings.holder, self.clock.now());
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let seen = self.seen.clone().unwrap_or_default();
        let (answer, within) = match step {
            Step::Read { within } => (in_time(within, self.api.get(&settings.name)).await, within),
            Step::Create { within } => {
                let lease = wire::fresh(&settings.namespace, &settings.name, us, now);
                (in_time(within, self.api.create(&params, &lease)).await, within)
            }
            Step::Hold { within } => {
                let lease = wire::held(&seen, us, now);
                (in_time(within, self.api.replace(&settings.name, &params, &lease)).await, within)
            }
            Step::Release { within } => {
                let lease = wire::released(&seen, now);
                (in_time(within, self.api.replace(&settings.name, &params, &lease)).await, within)
            }
            Step::Wait { .. } | Step::Lost(_) | Step::Done => return Answer::Unclear,
        };
        match answer {
            Ok(lease) => {
                let (version, holder) = (wire::version(&lease), wire::holder(&lease, us));
                self.seen = Some(lease);
                if matches!(step, Step::Read { .. }) {
                    Answer::Is { version, holder }
                } else {
                    Answer::Written { version }
                }
            }
            Err(ClusterError::Conflict(_)) => Answer::Changed,
            // A namespace that is not there is no Lease that is not there.
            Err(ClusterError::NotFound(_)) if !matches!(step, Step::Create { .. }) => {
                self.seen = None;
                Answer::Absent
            }
            Err(error) => {
                tracing::warn!(lease = %self.place(), %error, within_ms = within.as_millis(), "the lease cannot be reached");
                Answer::Unclear
            }
        }
    }

    fn lose(self, loss: Loss) {
        let how = match loss {
            Loss::Expired => Lost::Expired,
            Loss::Taken => Lost::Taken,
        };
        if loss == Loss::Taken {
            self.leadership.resign();
        }
        self.metrics.leader.set(0);
        let leader = self.seen.as_ref().map_or("", wire::holder_name);
        tracing::error!(lease = %self.place(), leader, why = how.as_str(), "leadership lost");
        self.leadership.say(Standing::Lost(how));
    }

    fn end(self) {
        self.leadership.resign();
        self.leadership.say(Standing::Over);
    }

    fn place(&self) -> String {
        format!("{}/{}", self.settings.namespace, self.settings.name)
    }
}

impl Drop for Election {
    /// However it ends, nobody goes on as if the lease were renewed.
    fn drop(&mut self) {
        if !matches!(self.leadership.standing(), Standing::Lost(_) | Standing::Over) {
            self.leadership.say(Standing::Lost(Lost::Died));
        }
    }
}

async fn in_time(
    within: Duration,
    request: impl Future<Output = Result<Lease, kube::Error>> + Send,
) -> Result<Lease, ClusterError> {
    Ok(timeout(within, request).await.map_err(|_| ClusterError::Timeout)??)
}

/// Follows the one Lease, also while there is none.
fn watch(api: Api<Lease>, clock: Clock, name: &str, ear: &Arc<Ear>) -> BoxFuture<'static, ()> {
    let (ear, name) = (Arc::clone(ear), name.to_owned());
    async move {
        let mut listed = false;
        let fold = |change: Change<Lease>| {
            let news = match change {
                Change::Begin => {
                    listed = false;
                    None
                }
                Change::Listed(lease) | Change::Applied(lease) => {
                    listed = true;
                    Some(News::Is(Box::new(lease)))
                }
                Change::Complete { version, .. } if !listed => Some(News::Absent(version)),
                Change::Deleted(lease) => Some(News::Absent(wire::version(&lease))),
                Change::Complete { .. } | Change::Opened { .. } | Change::Lost | Change::Dark | Change::Refused(_) => {
                    None
                }
            };
            if let Some(news) = news {
                locked(&ear.news).push(news);
                ear.some.notify_one();
            }
        };
        follow_named(api, &name, Pulse::default(), &clock, fold).await;
    }
    .boxed()
}
