//! A connection. What the peer does not read in time is not sent to it; what it never reads ends the connection.

use super::socket::{abort_on_drop, unacknowledged_bytes};
use super::{Backoff, Budget, Readiness, wait};
use crate::config::IpfixConfig;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// A connection, or the wait for one.
#[derive(Debug)]
pub(crate) struct Tcp {
    collector: SocketAddr,
    stream: Option<TcpStream>,
    /// What is left of a message that was sent in part: it goes first, or the stream makes no sense.
    rest: Vec<u8>,
    /// Since when the peer took nothing.
    stalled_since: Option<Duration>,
    stall_max: Duration,
    is_blocking: bool,
    backoff: Backoff,
    wait: Duration,
    /// Bytes of the connection that the kernel took.
    written: u64,
    /// How much of an earlier connection's bytes arrived, until it is asked for.
    ended: Option<u64>,
}

impl Tcp {
    pub fn new(config: &IpfixConfig) -> Tcp {
        Tcp {
            collector: config.collector,
            stream: None,
            rest: Vec::new(),
            stalled_since: None,
            stall_max: config.stall_max,
            is_blocking: true,
            backoff: Backoff::new(config.reconnect),
            wait: wait(config),
            written: 0,
            ended: None,
        }
    }

    /// Connects if there is no connection and it is time to try; notices that the peer is gone.
    pub fn ready(&mut self, uptime: Duration) -> Readiness {
        if self.is_closed() {
            self.disconnect(uptime);
        }
        if self.stalled_since.is_some_and(|since| uptime.saturating_sub(since) >= self.stall_max) {
            self.disconnect(uptime);
        }
        if self.stream.is_some() {
            return Readiness::Ready;
        }
        if !self.backoff.is_due(uptime) {
            return Readiness::Away(ErrorKind::NotConnected.into());
        }
        match self.connect() {
            Ok(stream) => {
                self.stream = Some(stream);
                self.is_blocking = true;
                self.written = 0;
                Readiness::New
            }
            Err(error) => {
                self.backoff.failed(uptime);
                Readiness::Away(error)
            }
        }
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.collector, self.wait)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(self.wait))?;
        Ok(stream)
    }

    /// Sends a message, or none of it.
    pub fn send(&mut self, message: &[u8], budget: &Budget) -> io::Result<()> {
        self.push_rest(budget)?;
        match self.push(message, budget)? {
            0 => Err(ErrorKind::TimedOut.into()),
            taken => {
                self.rest.extend_from_slice(&message[taken..]);
                Ok(())
            }
        }
    }

    /// Where the messages that were sent end in the bytes of the connection.
    pub fn end(&self) -> u64 {
        self.written + self.rest.len() as u64
    }

    /// How much of the connection's bytes the peer's end has; `None` if it is not known, or there is no connection.
    pub fn acknowledged(&self) -> Option<u64> {
        let unacknowledged = unacknowledged_bytes(self.stream.as_ref()?).ok()?;
        Some(self.written.saturating_sub(unacknowledged))
    }

    /// If the connection ended since the last call: how much of its bytes arrived.
    pub fn take_end(&mut self) -> Option<u64> {
        self.ended.take()
    }

    /// Sends what is left of the message before.
    pub fn push_rest(&mut self, budget: &Budget) -> io::Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let rest = std::mem::take(&mut self.rest);
        let taken = self.push(&rest, budget)?;
        self.rest.extend_from_slice(&rest[taken..]);
        if self.rest.is_empty() { Ok(()) } else { Err(ErrorKind::TimedOut.into()) }
    }

    /// Ends the connection in order: the kernel goes on to deliver what it has. If that is not all, it is broken off.
    pub fn close(&mut self, uptime: Duration) {
        if !self.rest.is_empty() {
            return self.disconnect(uptime);
        }
        if let Some(stream) = self.stream.take() {
            // It may be closed from the other end already.
            let _ = stream.shutdown(Shutdown::Write);
        }
    }

    /// Writes as much as the kernel takes within the budget; returns how much that was. After an error there is no
    /// connection. A peer that took nothing before is not waited for until it takes something.
    fn push(&mut self, bytes: &[u8], budget: &Budget) -> io::Result<usize> {
        let mut taken = 0;
        while taken < bytes.len() {
            self.set_blocking(self.stalled_since.is_none() && !budget.is_used_up());
            let Some(stream) = &mut self.stream else { return Err(ErrorKind::NotConnected.into()) };
            match stream.write(&bytes[taken..]) {
                Ok(0) => return Err(self.broken(ErrorKind::WriteZero.into(), budget)),
                Ok(more) => {
                    taken += more;
                    self.written += more as u64;
                    self.stalled_since = None;
                    self.backoff.succeeded();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    self.stalled_since.get_or_insert_with(|| budget.uptime());
                    break;
                }
                Err(error) => return Err(self.broken(error, budget)),
            }
        }
        Ok(taken)
    }

    fn set_blocking(&mut self, is_blocking: bool) {
        if let Some(stream) = &self.stream
            && self.is_blocking != is_blocking
        {
            // Cannot fail on a socket; if it did, calls would wait as before.
            let _ = stream.set_nonblocking(!is_blocking);
            self.is_blocking = is_blocking;
        }
    }

    /// Whether the peer closed the connection. Collectors send nothing; what they do send is passed over.
    fn is_closed(&mut self) -> bool {
        self.set_blocking(false);
        let Some(stream) = &mut self.stream else { return false };
        let mut bytes = [0; 64];
        loop {
            match stream.read(&mut bytes) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
    }

    fn broken(&mut self, error: io::Error, budget: &Budget) -> io::Error {
        self.disconnect(budget.uptime());
        error
    }

    fn disconnect(&mut self, uptime: Duration) {
        let Some(stream) = &self.stream else { return };
        // Cannot fail on a socket; if it did, what is counted as lost might arrive.
        let _ = abort_on_drop(stream);
        self.ended = Some(self.acknowledged().unwrap_or_default());
        self.stream = None;
        self.rest.clear();
        self.stalled_since = None;
        self.backoff.failed(uptime);
    }
}
