//! Open watches: each tells its kind in order, late by its own measure, and ends or breaks by chance.

use std::{io, sync::Arc, time::Duration};

use futures::stream;
use http::Response;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame};
use serde_json::json;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    path::Target,
    server::{Answer, failure},
    world::{Kind, World},
};

/// What the API server is asked for.
const SECONDS: u64 = 290;

/// How late a watch is at most, besides what is asked for.
pub const LATE_MAX: Duration = Duration::from_secs(4);

struct Open {
    world: Arc<World>,
    operator: u64,
    kind: Kind,
    target: Target,
    cursor: usize,
    news: watch::Receiver<usize>,
    delay: Duration,
    ends: Instant,
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Over,
    Broken,
    /// Its place in the history is gone: everything has to be listed anew.
    Expired,
    Ended,
}

pub fn open(world: &Arc<World>, operator: u64, target: &Target) -> Answer {
    let Some(kind) = target.kind else { return failure(404) };
    let (delay, seconds, how) = {
        let mut state = world.lock();
        let disturbed = state.disturbed;
        let rng = &mut state.requests;
        let mut delay = rng.range(0, 30);
        let (mut seconds, mut how) = (SECONDS * 1000, How::Over);
        if disturbed && rng.per_mille(world.settings.watch_delays) {
            delay = rng.range(0, LATE_MAX.as_secs() * 1000);
        }
        if disturbed && rng.per_mille(world.settings.watch_breaks) {
            seconds = rng.range(500, 90_000);
            how = *rng.pick(&[How::Over, How::Broken, How::Expired, How::Expired]);
        }
        (world.settings.lag + Duration::from_millis(delay), seconds, how)
    };
    let cursor = {
        let state = world.lock();
        state.shelves[&kind].log.partition_point(|logged| logged.version <= target.version)
    };
    let open = Open {
        world: Arc::clone(world),
        operator,
        kind,
        target: target.clone(),
        cursor,
        news: world.news(kind),
        delay,
        ends: Instant::now() + Duration::from_millis(seconds),
        how,
    };
    let frames = stream::unfold(open, |mut open| async move { open.next().await.map(|frame| (frame, open)) });
    Response::new(StreamBody::new(frames).boxed_unsync())
}

impl Open {
    async fn next(&mut self) -> Option<Result<Frame<Bytes>, io::Error>> {
        loop {
            self.news.borrow_and_update();
            let event = self.look();
            let Some((due, line)) = event else {
                tokio::select! {
                    biased;
                    _ = self.news.changed() => continue,
                    () = sleep_until(self.ends) => return self.end().await,
                }
            };
            if due > self.ends {
                sleep_until(self.ends).await;
                return self.end().await;
            }
            sleep_until(due).await;
            self.world.with_operator(self.operator).await;
            return Some(Ok(Frame::data(Bytes::from(line))));
        }
    }

    /// The next change that this watch tells, and when.
    fn look(&mut self) -> Option<(Instant, Vec<u8>)> {
        let state = self.world.lock();
        let log = &state.shelves[&self.kind].log;
        while let Some(logged) = log.get(self.cursor) {
            self.cursor += 1;
            let namespace = logged.object["metadata"]["namespace"].as_str().unwrap_or_default();
            if self.target.selects(namespace, &logged.object) {
                let object = logged.object.text(self.target.metadata);
                let (before, after) = (br#"{"type":""#, br#"","object":"#);
                let line = [before, logged.word.as_bytes(), after, &object, b"}\n"].concat();
                return Some((logged.at + self.delay, line));
            }
        }
        None
    }

    async fn end(&mut self) -> Option<Result<Frame<Bytes>, io::Error>> {
        self.world.with_operator(self.operator).await;
        if self.how != How::Over && self.how != How::Ended {
            self.world.tell(format_args!("api: watch of {:?} ends: {:?}", self.kind, self.how));
        }
        match std::mem::replace(&mut self.how, How::Ended) {
            How::Over | How::Ended => None,
            How::Broken => Some(Err(io::Error::other("connection reset by peer"))),
            How::Expired => {
                let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410,
                    "reason": "Expired", "message": "too old resource version", "metadata": {} });
                let line = json!({ "type": "ERROR", "object": status });
                Some(Ok(Frame::data(Bytes::from(format!("{line}\n")))))
            }
        }
    }
}
