//! The sink: batches to messages to the collector, and every record counted as sent, failed or left out.

use crate::clock::Clock;
use crate::config::{ConfigError, Format, IpfixConfig, Transport};
use crate::counters::IpfixCounters;
use crate::encoder::{Counts, Encoder};
use crate::flight::{Flight, Outcome};
use crate::message::{Delivery, Message};
use crate::transport::{Budget, Readiness, Tcp, Udp};
use kflow::{Error, FlowRecord, Sink, SinkError};
use std::io;
use std::sync::Arc;

/// Sends records to one collector. A call waits at most [`IpfixConfig::block_max`].
///
/// [`Sink::write`] sends all of a batch before it returns, and fails if a record could not be sent; how many, the
/// [`IpfixCounters`] tell. What was sent and turns out to be lost later is taken back from there, and the call that
/// notices fails: over UDP the last message before one that the collector's host refused, over TCP all that the peer's
/// end had not acknowledged when the connection broke. Other losses nobody tells of.
#[derive(Debug)]
pub struct IpfixSink {
    config: IpfixConfig,
    encoder: Encoder,
    connection: Connection,
    flight: Flight,
    counters: Arc<IpfixCounters>,
    clock: Clock,
}

#[derive(Debug)]
enum Connection {
    Udp(Udp),
    Tcp(Tcp),
}

impl IpfixSink {
    /// Nothing is sent yet, and the collector may be away.
    pub fn open(config: IpfixConfig) -> Result<IpfixSink, ConfigError> {
        config.check()?;
        let connection = match config.transport {
            Transport::Udp => Connection::Udp(Udp::new(&config)),
            Transport::Tcp => Connection::Tcp(Tcp::new(&config)),
        };
        Ok(IpfixSink {
            encoder: Encoder::new(config.clone()),
            connection,
            flight: Flight::default(),
            counters: Arc::default(),
            clock: Clock::start(),
            config,
        })
    }

    /// What was sent and what was not.
    pub fn counters(&self) -> Arc<IpfixCounters> {
        self.counters.clone()
    }

    /// Connects if need be. An error says why there is nobody to send to.
    fn ready(&mut self) -> io::Result<()> {
        let uptime = self.clock.uptime();
        let readiness = match &mut self.connection {
            Connection::Udp(udp) => udp.ready(uptime),
            Connection::Tcp(tcp) => {
                let readiness = tcp.ready(uptime);
                if let Some(end) = tcp.acknowledged()
                    && matches!(readiness, Readiness::Ready)
                {
                    self.flight.arrived(end);
                }
                readiness
            }
        };
        match readiness {
            Readiness::Ready => Ok(()),
            Readiness::New => {
                self.counters.connects.add(1);
                self.encoder.begin_session();
                Ok(())
            }
            Readiness::Away(error) => {
                // Between attempts there is none that fails.
                self.counters.connects_failed.add(u64::from(error.kind() != io::ErrorKind::NotConnected));
                Err(error)
            }
        }
    }

    /// Counts what a call did; an error if a record failed.
    fn settle(&mut self, records: u64, counts: Counts, error: Option<io::Error>) -> Result<(), SinkError> {
        let counters = &self.counters;
        let Outcome { failed, failed_before, messages_lost } = self.flight.settle();
        counters.records_left_out.add(counts.left_out);
        counters.records_cut.add(counts.cut);
        counters.records_clamped.add(counts.clamped);
        counters.records_failed.add(failed + failed_before);
        counters.records_sent.add(records - counts.left_out - failed);
        counters.records_sent.take(failed_before);
        counters.messages_sent.take(messages_lost);
        counters.messages_failed.add(messages_lost);
        if failed + failed_before == 0 {
            return Ok(());
        }
        let (name, collector) = (self.name(), self.config.collector);
        let what = format!("send {} records as {name} to {collector}", failed + failed_before);
        Err(Error::Io { what, source: error.unwrap_or_else(|| io::ErrorKind::ConnectionReset.into()) })
    }
}

impl Sink for IpfixSink {
    fn write(&mut self, records: &[FlowRecord]) -> Result<(), SinkError> {
        if records.is_empty() {
            return Ok(());
        }
        let away = self.ready().err();
        let IpfixSink { encoder, connection, flight, counters, clock, config } = self;
        if connection.note_losses(flight, counters) {
            encoder.announce_again();
        }
        let budget = Budget::begin(*clock, config);
        let uptime_ns = u64::try_from(budget.uptime().as_nanos()).unwrap_or(u64::MAX);
        let mut error = None;
        // Also if nobody is there: what is left out is not failed, and the numbers of messages show the gap.
        let counts = encoder.encode(records, uptime_ns, |message| {
            let sent = match away {
                Some(_) => Err(io::ErrorKind::NotConnected.into()),
                None => connection.send(&message, &budget, flight, counters),
            };
            match sent {
                Ok(delivery) => {
                    counters.messages_sent.add(1);
                    counters.bytes_sent.add(message.bytes.len() as u64);
                    delivery
                }
                Err(failure) => {
                    counters.messages_failed.add(1);
                    flight.failed(message.records);
                    error.get_or_insert(failure);
                    Delivery::Failed
                }
            }
        });
        self.settle(records.len() as u64, counts, away.or(error))
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        if let Connection::Tcp(tcp) = &mut self.connection {
            // What the peer does not take now, it may take later.
            let _ = tcp.push_rest(&Budget::begin(self.clock, &self.config));
        }
        if self.connection.note_losses(&mut self.flight, &self.counters) {
            self.encoder.announce_again();
        }
        self.settle(0, Counts::default(), None)
    }

    fn name(&self) -> &'static str {
        match self.config.format {
            Format::Ipfix => "ipfix",
            Format::NetflowV9 => "netflow_v9",
        }
    }

    /// Connects ahead of the next batch. That this fails is no loss yet.
    fn advance(&mut self, now_ns: u64) -> Result<(), SinkError> {
        self.encoder.advance(now_ns);
        let _ = self.ready();
        self.flush()
    }

    fn close(&mut self) -> Result<(), SinkError> {
        let flushed = self.flush();
        if let Connection::Tcp(tcp) = &mut self.connection {
            tcp.close(self.clock.uptime());
        }
        flushed.and(self.flush())
    }
}

impl Connection {
    /// Sends a message and puts it into the flight, out of which goes what is lost or known to have arrived.
    fn send(
        &mut self,
        message: &Message<'_>,
        budget: &Budget,
        flight: &mut Flight,
        counters: &IpfixCounters,
    ) -> io::Result<Delivery> {
        match self {
            Connection::Udp(udp) => {
                let (sent, earlier_lost) = udp.send(message.bytes, budget);
                let is_after_loss = earlier_lost.is_some() && flight.lose();
                sent?;
                // Of all but the last nothing will be heard.
                flight.arrived(0);
                flight.sent(message.records.clone(), 0);
                Ok(if is_after_loss { Delivery::SentAfterLoss } else { Delivery::Sent })
            }
            Connection::Tcp(tcp) => {
                let sent = tcp.send(message.bytes, budget);
                let end = tcp.end();
                self.note_losses(flight, counters);
                sent?;
                flight.sent(message.records.clone(), end);
                Ok(Delivery::Sent)
            }
        }
    }

    /// Takes out of the flight what turned out to be lost. Whether anything did.
    fn note_losses(&mut self, flight: &mut Flight, counters: &IpfixCounters) -> bool {
        match self {
            Connection::Udp(udp) => udp.earlier_lost().is_some() && flight.lose(),
            Connection::Tcp(tcp) => {
                let Some(end) = tcp.take_end() else { return false };
                counters.disconnects.add(1);
                flight.arrived(end);
                flight.lose()
            }
        }
    }
}
