//! `/metrics`, `/healthz` and `/readyz` over plain HTTP.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// Connections at a time: a scraper, two probes and a person, with room to spare.
const CONNECTIONS_MAX: usize = 64;
/// How long the head of a request may take; a slow client holds one of the places above.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one connection may last in all.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(120);

/// What is asked about the operator.
pub(super) trait Pulse: Send + Sync + 'static {
    /// Makes progress: a stuck loop is not alive.
    fn is_alive(&self) -> bool;
    /// Views are live.
    fn is_ready(&self) -> bool;
    /// Brings the gauges up to date before they are read.
    fn measure(&self, metrics: &Metrics);
}

pub(super) async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves until told to stop.
pub(super) async fn serve(listener: TcpListener, metrics: Metrics, pulse: Arc<dyn Pulse>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => return,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (Ok(place), Ok((stream, _))) = (place, accepted) else { continue };
        let (metrics, pulse) = (metrics.clone(), Arc::clone(&pulse));
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer(request.uri().path(), &metrics, &*pulse);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            // A client that goes away or stays too long is no event.
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
            drop(place);
        });
    }
}

fn answer(path: &str, metrics: &Metrics, pulse: &dyn Pulse) -> Response<Full<Bytes>> {
    let say = |good: bool| {
        if good { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not yet\n") }
    };
    let (status, media_type, body) = match path {
        "/metrics" => {
            pulse.measure(metrics);
            match metrics.page() {
                Ok(page) => (StatusCode::OK, Metrics::media_type(), Bytes::from(page)),
                Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "text/plain", Bytes::new()),
            }
        }
        "/healthz" | "/readyz" => {
            let (status, text) = say(if path == "/healthz" { pulse.is_alive() } else { pulse.is_ready() });
            (status, "text/plain", Bytes::from_static(text.as_bytes()))
        }
        _ => (StatusCode::NOT_FOUND, "text/plain", Bytes::from_static(b"see /metrics, /healthz and /readyz\n")),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    if let Ok(value) = header::HeaderValue::from_str(media_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}
