//! Datagrams. That nobody listens is known only if the other host says so, and only afterwards.

use super::{Backoff, Budget, Readiness, wait};
use crate::config::IpfixConfig;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// A socket that is connected to the collector, so that the kernel tells what comes back.
#[derive(Debug)]
pub(crate) struct Udp {
    collector: SocketAddr,
    socket: Option<UdpSocket>,
    backoff: Backoff,
    send_timeout: Duration,
    is_blocking: bool,
}

impl Udp {
    pub fn new(config: &IpfixConfig) -> Udp {
        Udp {
            collector: config.collector,
            socket: None,
            backoff: Backoff::new(config.reconnect),
            send_timeout: wait(config),
            is_blocking: true,
        }
    }

    /// Opens the socket if there is none. It fails while there is no route.
    pub fn ready(&mut self, uptime: Duration) -> Readiness {
        if self.socket.is_some() {
            return Readiness::Ready;
        }
        if !self.backoff.is_due(uptime) {
            return Readiness::Away(ErrorKind::NotConnected.into());
        }
        match self.open() {
            Ok(socket) => {
                self.socket = Some(socket);
                self.is_blocking = true;
                self.backoff.succeeded();
                Readiness::New
            }
            Err(error) => {
                self.backoff.failed(uptime);
                Readiness::Away(error)
            }
        }
    }

    fn open(&self) -> io::Result<UdpSocket> {
        let any: SocketAddr = match self.collector {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(self.collector)?;
        socket.set_write_timeout(Some(self.send_timeout))?;
        Ok(socket)
    }

    /// Sends a message. Once the budget is used up, what the kernel does not take at once fails. Returns an error
    /// for the message, and whether it turned out that the one before did not arrive.
    pub fn send(&mut self, message: &[u8], budget: &Budget) -> (io::Result<()>, Option<io::Error>) {
        let Some(socket) = &self.socket else { return (Err(ErrorKind::NotConnected.into()), None) };
        let is_blocking = !budget.is_used_up();
        if self.is_blocking != is_blocking {
            // Cannot fail on a socket; if it did, calls would wait as before.
            let _ = socket.set_nonblocking(!is_blocking);
            self.is_blocking = is_blocking;
        }
        match socket.send(message) {
            // The kernel tells of an earlier datagram by the next call, which it does not carry out.
            Err(refused) if refused.kind() == ErrorKind::ConnectionRefused => {
                (socket.send(message).map(drop), Some(refused))
            }
            sent => (sent.map(drop), None),
        }
    }

    /// Whether the last message got lost, as far as is known by now.
    pub fn earlier_lost(&mut self) -> Option<io::Error> {
        self.socket.as_ref()?.take_error().ok()?
    }
}
