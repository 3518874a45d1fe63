//! The loopback HTTP server under the proxy and the chart repository.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Sleep;

use crate::gate::Gate;
use crate::runtime;

/// What goes wrong in a server on purpose or not; a handler that returns it closes its connection without an answer.
pub(crate) type Fault = Box<dyn std::error::Error + Send + Sync>;

pub(crate) type AnyBody = BoxBody<Bytes, Fault>;

/// A server that ends, with its connections, when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    accepting: AbortHandle,
    connections: Arc<Mutex<JoinSet<()>>>,
}

impl Server {
    /// Serves every request of every connection by the handler.
    pub(crate) fn start<H, F>(handler: H) -> io::Result<Self>
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response<AnyBody>, Fault>> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let _entered = runtime::enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let connections = Arc::new(Mutex::new(JoinSet::new()));
        let kept = Arc::clone(&connections);
        let accepting = runtime::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let handler = handler.clone();
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(handler));
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                while kept.try_join_next().is_some() {}
                kept.spawn(async move {
                    // A connection that breaks is the client's to notice, or was asked for by a rule.
                    let _ = connection.await;
                });
            }
        });
        Ok(Self { address, accepting: accepting.abort_handle(), connections })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks every connection; new ones are accepted.
    pub(crate) fn cut(&self) {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

/// A body of known bytes.
pub(crate) fn full(bytes: impl Into<Bytes>) -> AnyBody {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed()
}

/// How a body is disturbed on its way to the client.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// As it comes.
    Plain,
    /// Broken off after so many bytes.
    Truncated(usize),
    /// Every piece waits so long before it is passed on.
    Held(Duration),
    /// Nothing passes while the gate is closed.
    Gated(Gate),
}

/// A body that passes on another one, and drops the guard at its end.
pub(crate) struct Shaped<B, G> {
    inner: B,
    shape: Shape,
    /// The bytes that may still pass when the body is truncated.
    left: usize,
    /// Whether the client got what may pass, so that the rest of the work is to break off.
    flushed: bool,
    held: Option<(Pin<Box<Sleep>>, Frame<Bytes>)>,
    _guard: G,
}

impl<B, G> Shaped<B, G> {
    pub(crate) fn new(inner: B, shape: Shape, guard: G) -> Self {
        let left = if let Shape::Truncated(bytes) = shape { bytes } else { 0 };
        Self { inner, shape, left, flushed: false, held: None, _guard: guard }
    }

    /// Breaks off, but not at once: the server writes out what it has when a body has nothing more for the moment,
    /// and throws it away when the body fails.
    fn break_off(&mut self, context: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if self.flushed {
            return Poll::Ready(Some(Err("the body is truncated on purpose".into())));
        }
        self.flushed = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<B, G> Body for Shaped<B, G>
where
    B: Body<Data = Bytes, Error: Into<Fault>> + Unpin,
    G: Unpin,
{
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = self.get_mut();
        let truncated = matches!(this.shape, Shape::Truncated(_));
        loop {
            if let Shape::Gated(gate) = &this.shape {
                ready!(gate.poll_passage(context));
            }
            if truncated && this.left == 0 {
                return this.break_off(context);
            }
            if let Some((mut sleep, frame)) = this.held.take() {
                if sleep.as_mut().poll(context).is_pending() {
                    this.held = Some((sleep, frame));
                    return Poll::Pending;
                }
                return Poll::Ready(Some(Ok(frame)));
            }
            let frame = match ready!(Pin::new(&mut this.inner).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                None if truncated => return this.break_off(context),
                other => return Poll::Ready(other.map(|frame| frame.map_err(Into::into))),
            };
            match (&this.shape, frame.into_data()) {
                (Shape::Held(time), Ok(data)) => {
                    this.held = Some((Box::pin(tokio::time::sleep(*time)), Frame::data(data)));
                }
                (Shape::Truncated(_), Ok(mut data)) => {
                    data.truncate(this.left);
                    this.left -= data.len();
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                (_, Ok(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                (_, Err(frame)) => return Poll::Ready(Some(Ok(frame))),
            }
        }
    }
}

/// The same bytes over and over, with a pause after each, for ever or so many times.
pub(crate) struct Repeated {
    pub(crate) pieces: std::collections::VecDeque<Bytes>,
    pub(crate) endless: bool,
    pub(crate) pause: Duration,
    pub(crate) sleep: Pin<Box<Sleep>>,
}

impl Repeated {
    pub(crate) fn new(pieces: impl IntoIterator<Item = Bytes>, endless: bool, pause: Duration) -> Self {
        let _entered = runtime::enter();
        Self {
            pieces: pieces.into_iter().collect(),
            endless,
            pause,
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }
}

impl Body for Repeated {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = self.get_mut();
        if !this.pause.is_zero() {
            if this.sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            this.sleep = Box::pin(tokio::time::sleep(this.pause));
        }
        let piece = this.pieces.pop_front();
        if let (Some(piece), true) = (&piece, this.endless) {
            this.pieces.push_back(piece.clone());
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}
