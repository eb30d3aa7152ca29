//! Takes connections for HTTP: TLS, as many as there may be, and no longer than they may be idle.
//!
//! ```text
//! accepted ─► (TLS) ─► idle ─► head ─► busy ─► idle …
//!                       │ idle_timeout  │ head_timeout   │ a request's own limits
//! ```
//!
//! When there are as many as there may be, the one that is idle longest makes room for the next; if none is idle, the next
//! one is closed. So thousands that only sit there keep nobody out.

use crate::door::counters::{Counters, Gauge};
use crate::door::settings::Limits;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, Response};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// Serves until `stop` says so, then lets requests finish.
pub struct HttpDoor {
    pub listener: TcpListener,
    pub tls: Option<TlsAcceptor>,
    pub router: Router,
    pub limits: Limits,
    pub counters: Arc<Counters>,
    pub stop: watch::Receiver<bool>,
}

impl HttpDoor {
    pub async fn serve(self) {
        let mut stop = self.stop.clone();
        let crowd = Arc::new(Crowd::default());
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((socket, _)) => self.admit(socket, &crowd, &mut connections),
                    Err(error) => pause_after(&error).await,
                },
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                () = told(&mut stop) => break,
            }
        }
        drop(self.listener);
        let all = async { while connections.join_next().await.is_some() {} };
        // What has not finished by then is dropped with the set.
        let _ = tokio::time::timeout(self.limits.stop_timeout, all).await;
    }

    fn admit(&self, socket: TcpStream, crowd: &Arc<Crowd>, connections: &mut JoinSet<()>) {
        if crowd.len() >= self.limits.connections_max {
            if !crowd.make_room() {
                Counters::add(&self.counters.connections_refused, 1);
                return;
            }
            Counters::add(&self.counters.connections_evicted, 1);
        }
        let _ = socket.set_nodelay(true);
        let guest = crowd.enter();
        let open = Gauge::enter(&self.counters, |counters| &counters.http_connections);
        let (tls, router, limits, stop) =
            (self.tls.clone(), self.router.clone(), self.limits.clone(), self.stop.clone());
        connections.spawn(async move {
            let _open = open;
            match tls {
                None => converse(socket, router, &guest.pulse, &limits, stop).await,
                Some(tls) => {
                    let handshake = tokio::time::timeout(limits.head_timeout, tls.accept(socket));
                    tokio::select! {
                        made = handshake => if let Ok(Ok(stream)) = made {
                            converse(stream, router, &guest.pulse, &limits, stop).await;
                        },
                        () = guest.pulse.changed.notified() => {}
                    }
                }
            }
        });
    }
}

/// Waits until it is said that all ends.
pub(super) async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopped| *stopped).await;
}

/// Out of file descriptors: trying again at once would spin.
pub(super) async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "accept");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// All requests of a connection.
async fn converse<S>(
    stream: S,
    router: Router,
    pulse: &Arc<Pulse>,
    limits: &Limits,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router);
    let watched = Arc::clone(pulse);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let busy = Busy::begin(&watched);
        let answer = hyper::service::Service::call(&service, request.map(Body::new));
        async move {
            let answer: Response<Body> = answer.await?;
            Ok::<_, std::convert::Infallible>(answer.map(|body| Body::new(Watched { body, _busy: busy })))
        }
    });
    let io = TokioIo::new(Pulsing { stream, pulse: Arc::clone(pulse) });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle_timeout + limits.head_timeout)
        .max_buf_size(64 << 10)
        .serve_connection(io, service);
    let mut connection = std::pin::pin!(connection);
    let mut is_stopping = false;
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = tokio::time::sleep_until(pulse.deadline(limits)) => {
                if pulse.deadline(limits) <= Instant::now() {
                    return;
                }
            }
            // There is another deadline.
            () = pulse.changed.notified() => {}
            () = told(&mut stop), if !is_stopping => {
                // One that never asked would wait for its first request.
                if pulse.is_idle() {
                    return;
                }
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// The open connections, in the order in which they came.
#[derive(Debug, Default)]
struct Crowd {
    guests: Mutex<(u64, BTreeMap<u64, Arc<Pulse>>)>,
}

/// A connection's place in the crowd.
struct Guest {
    crowd: Arc<Crowd>,
    number: u64,
    pulse: Arc<Pulse>,
}

/// What a connection does, and since when.
#[derive(Debug)]
struct Pulse {
    phase: Mutex<(Phase, Instant)>,
    changed: Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Head,
    Busy,
    /// Was told to leave.
    Leaving,
}

const HELD: &str = "nothing panics while it is held";

impl Crowd {
    fn len(&self) -> usize {
        self.guests.lock().expect(HELD).1.len()
    }

    fn enter(self: &Arc<Crowd>) -> Guest {
        let pulse =
            Arc::new(Pulse { phase: Mutex::new((Phase::Idle, Instant::now())), changed: Notify::new() });
        let mut guests = self.guests.lock().expect(HELD);
        guests.0 += 1;
        let number = guests.0;
        guests.1.insert(number, Arc::clone(&pulse));
        Guest { crowd: Arc::clone(self), number, pulse }
    }

    /// Sends away the one that is idle longest; `false` if none is.
    fn make_room(&self) -> bool {
        let guests = self.guests.lock().expect(HELD);
        let idle = guests.1.values().filter_map(|pulse| {
            let (phase, since) = *pulse.phase.lock().expect(HELD);
            matches!(phase, Phase::Idle | Phase::Head).then_some((since, pulse))
        });
        let Some((_, pulse)) = idle.min_by_key(|(since, _)| *since) else { return false };
        pulse.set(Phase::Leaving);
        true
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.crowd.guests.lock().expect(HELD).1.remove(&self.number);
    }
}

impl Pulse {
    fn set(&self, phase: Phase) {
        let mut state = self.phase.lock().expect(HELD);
        if state.0 != Phase::Leaving {
            *state = (phase, Instant::now());
            self.changed.notify_one();
        }
    }

    fn is_idle(&self) -> bool {
        self.phase.lock().expect(HELD).0 == Phase::Idle
    }

    /// The first bytes of a request came.
    fn wake(&self) {
        if self.is_idle() {
            self.set(Phase::Head);
        }
    }

    fn deadline(&self, limits: &Limits) -> Instant {
        let (phase, since) = *self.phase.lock().expect(HELD);
        since
            + match phase {
                Phase::Idle => limits.idle_timeout,
                Phase::Head => limits.head_timeout,
                // A reader that takes nothing of an answer holds its query: no longer than the query may run.
                Phase::Busy => limits.body_timeout + limits.query_timeout + limits.head_timeout,
                Phase::Leaving => Duration::ZERO,
            }
    }
}

/// A request that is under way, to the end of its answer.
struct Busy(Arc<Pulse>);

impl Busy {
    fn begin(pulse: &Arc<Pulse>) -> Busy {
        pulse.set(Phase::Busy);
        Busy(Arc::clone(pulse))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set(Phase::Idle);
    }
}

/// An answer's body, with whose end the connection is idle again.
struct Watched {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

/// A stream that notes when a request begins.
struct Pulsing<S> {
    stream: S,
    pulse: Arc<Pulse>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Pulsing<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.pulse.wake();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Pulsing<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
