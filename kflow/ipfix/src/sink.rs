//! The sink: batches to messages to the collector, and every record counted as sent, failed or left out.

use crate::clock::Clock;
use crate::config::{ConfigError, Format, IpfixConfig, Transport};
use crate::counters::IpfixCounters;
use crate::encoder::{Counts, Encoder};
use crate::message::Message;
use crate::transport::{Budget, Fate, Readiness, Tcp, Udp};
use kflow::{Error, FlowRecord, Sink, SinkError};
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Sends records to one collector. A call waits at most [`IpfixConfig::block_max`].
///
/// [`Sink::write`] sends all of a batch before it returns, and fails if one record could not be sent; how many, the
/// [`IpfixCounters`] tell. What the operating system took is sent: UDP does not say what arrives, and of TCP what is in
/// the buffers of a connection when it breaks is not known.
#[derive(Debug)]
pub struct IpfixSink {
    config: IpfixConfig,
    encoder: Encoder,
    connection: Connection,
    counters: Arc<IpfixCounters>,
    clock: Clock,
    /// Records in the message that was sent last: it may yet turn out to be lost.
    last_message_records: u64,
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
            counters: Arc::default(),
            clock: Clock::start(),
            last_message_records: 0,
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
            Connection::Tcp(tcp) => tcp.ready(uptime),
        };
        match readiness {
            Readiness::Ready => {}
            Readiness::New => {
                self.counters.connects.add(1);
                self.encoder.begin_session();
            }
            Readiness::Away(error) => {
                // Between attempts there is none that fails.
                self.counters.connects_failed.add(u64::from(error.kind() != io::ErrorKind::NotConnected));
                return Err(error);
            }
        }
        Ok(())
    }

    /// Counts the message that was sent last as lost, if it turned out to be.
    fn note_late_loss(&mut self, tally: &mut Tally) {
        let lost = match &mut self.connection {
            Connection::Udp(udp) => udp.earlier_lost(),
            Connection::Tcp(tcp) => tcp.take_rest_lost(),
        };
        if let Some(error) = lost {
            tally.lose_previous(error);
            self.encoder.announce_again();
        }
    }

    /// Counts what a call did; an error if a record failed.
    fn settle(&mut self, tally: Tally, records: u64, counts: Counts) -> Result<(), SinkError> {
        if let Connection::Tcp(tcp) = &mut self.connection {
            self.counters.disconnects.add(tcp.take_disconnects());
        }
        self.last_message_records = tally.previous_records();
        let counters = &self.counters;
        let failed = tally.failed();
        let Tally { failed_before, messages_lost, .. } = tally;
        counters.records_left_out.add(counts.left_out);
        counters.records_cut.add(counts.cut);
        counters.records_clamped.add(counts.clamped);
        counters.records_failed.add(failed + failed_before);
        counters.records_sent.add(records - counts.left_out - failed);
        counters.records_sent.take(failed_before);
        counters.messages_sent.take(messages_lost);
        counters.messages_failed.add(messages_lost);
        let Some(source) = tally.error else { return Ok(()) };
        let (name, collector) = (self.name(), self.config.collector);
        let what = format!("send {} of {records} records as {name} to {collector}", failed + failed_before);
        Err(Error::Io { what, source })
    }
}

impl Sink for IpfixSink {
    fn write(&mut self, records: &[FlowRecord]) -> Result<(), SinkError> {
        if records.is_empty() {
            return Ok(());
        }
        let mut tally = Tally::new(self.last_message_records);
        let readiness = self.ready();
        self.note_late_loss(&mut tally);
        let IpfixSink { encoder, connection, counters, clock, config, .. } = self;
        let budget = Budget::begin(*clock, config);
        let uptime_ns = u64::try_from(budget.uptime().as_nanos()).unwrap_or(u64::MAX);
        // Also if nobody is there: what is left out is not failed, and the numbers of messages show the gap.
        let counts = encoder.encode(records, uptime_ns, |message| {
            if readiness.is_err() {
                return tally.fail(message.records, None, counters);
            }
            let Fate { sent, earlier_lost } = match connection {
                Connection::Udp(udp) => udp.send(message.bytes, &budget),
                Connection::Tcp(tcp) => tcp.send(message.bytes, &budget),
            };
            if let Some(error) = earlier_lost {
                tally.lose_previous(error);
            }
            match sent {
                Ok(()) => tally.send(&message, counters),
                Err(error) => tally.fail(message.records, Some(error), counters),
            }
        });
        if let Err(away) = readiness {
            tally.error = Some(away);
        }
        self.settle(tally, records.len() as u64, counts)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let mut tally = Tally::new(self.last_message_records);
        if let Connection::Tcp(tcp) = &mut self.connection {
            // What the peer does not take now, it may take later.
            let _ = tcp.push_rest(&Budget::begin(self.clock, &self.config));
        }
        self.note_late_loss(&mut tally);
        self.settle(tally, 0, Counts::default())
    }

    fn name(&self) -> &'static str {
        match self.config.format {
            Format::Ipfix => "ipfix",
            Format::NetflowV9 => "netflow_v9",
        }
    }

    /// Connects ahead of the next batch.
    fn advance(&mut self, now_ns: u64) -> Result<(), SinkError> {
        self.encoder.advance(now_ns);
        // Nothing is lost by it if nobody is there.
        let _ = self.ready();
        Ok(())
    }

    fn close(&mut self) -> Result<(), SinkError> {
        let flushed = self.flush();
        if let Connection::Tcp(tcp) = &mut self.connection {
            tcp.close();
        }
        flushed
    }
}

/// What became of the messages of one call.
#[derive(Debug)]
struct Tally {
    /// Which records of the call failed, up to the last one that did; each counts once, in however many messages.
    is_lost: Vec<bool>,
    /// The last message that was sent in this call.
    previous: Option<Range<usize>>,
    /// Records in the last message of earlier calls, and how many of these turned out to be lost.
    before: u64,
    failed_before: u64,
    messages_lost: u64,
    /// The first.
    error: Option<io::Error>,
}

impl Tally {
    fn new(before: u64) -> Tally {
        Tally { is_lost: Vec::new(), previous: None, before, failed_before: 0, messages_lost: 0, error: None }
    }

    fn send(&mut self, message: &Message<'_>, counters: &IpfixCounters) -> bool {
        counters.messages_sent.add(1);
        counters.bytes_sent.add(message.bytes.len() as u64);
        self.previous = Some(message.records.clone());
        true
    }

    fn fail(&mut self, records: Range<usize>, error: Option<io::Error>, counters: &IpfixCounters) -> bool {
        counters.messages_failed.add(1);
        self.note(error);
        self.lose(&records);
        false
    }

    /// The message that was sent last did not arrive.
    fn lose_previous(&mut self, error: io::Error) {
        self.note(Some(error));
        self.messages_lost += 1;
        match self.previous.take() {
            Some(records) => self.lose(&records),
            None => self.failed_before += std::mem::take(&mut self.before),
        }
    }

    fn lose(&mut self, records: &Range<usize>) {
        self.is_lost.resize(self.is_lost.len().max(records.end), false);
        self.is_lost[records.clone()].fill(true);
    }

    fn failed(&self) -> u64 {
        self.is_lost.iter().filter(|is_lost| **is_lost).count() as u64
    }

    /// Records that would be lost with the message that was sent last.
    fn previous_records(&self) -> u64 {
        let Some(records) = self.previous.clone() else { return self.before };
        records.filter(|record| !self.is_lost.get(*record).is_some_and(|is_lost| *is_lost)).count() as u64
    }

    fn note(&mut self, error: Option<io::Error>) {
        self.error = self.error.take().or(error);
    }
}
