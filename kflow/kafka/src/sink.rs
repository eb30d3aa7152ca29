//! The sink: records to messages, messages to librdkafka's queue, delivery reports to counts.

use crate::config::{ConfigError, KafkaConfig, Key, Payload};
use crate::counters::KafkaCounters;
use kflow::codec::{Encoder, RECORDS_MAX};
use kflow::{CommunityId, Error, FlowRecord, Sink, SinkError, text};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Sends records to one topic. No call waits, but for [`Sink::close`], which waits at most
/// [`KafkaConfig::close_timeout`].
///
/// [`Sink::write`] puts a batch into the queue and fails if a record found no room; how many, the [`KafkaCounters`] tell.
/// Deliveries are reported later, and the next call fails if some failed meanwhile. Writers are idempotent and wait for
/// all replicas, so a delivered record is there once.
pub struct KafkaSink {
    config: KafkaConfig,
    producer: BaseProducer<Reports>,
    counters: Arc<KafkaCounters>,
    encoder: Encoder,
    line: Vec<u8>,
    /// Records that were failed when it was last told.
    failed_told: u64,
}

/// Takes delivery reports, each with the number of records that its message has.
struct Reports {
    counters: Arc<KafkaCounters>,
    /// Why the last message was given up.
    error: Mutex<Option<KafkaError>>,
}

impl KafkaSink {
    /// Nothing is sent yet, and the brokers may be away.
    pub fn open(config: KafkaConfig) -> Result<KafkaSink, ConfigError> {
        if config.payload == Payload::Kflow && config.key == Key::Flow {
            return Err(ConfigError::KeyOfBatch);
        }
        let counters = Arc::new(KafkaCounters::default());
        let reports = Reports { counters: counters.clone(), error: Mutex::new(None) };
        let mut client = ClientConfig::new();
        for (name, value) in &config.properties {
            client.set(name, value);
        }
        let milliseconds = |duration: Duration| duration.as_millis().to_string();
        client
            .set("bootstrap.servers", &config.brokers)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("queue.buffering.max.messages", config.queue_messages_max.to_string())
            .set("queue.buffering.max.kbytes", config.queue_kib_max.to_string())
            .set("message.timeout.ms", milliseconds(config.delivery_timeout))
            .set("linger.ms", milliseconds(config.linger))
            // Failures are told by counts and by the calls that notice them.
            .set_log_level(RDKafkaLogLevel::Critical);
        let producer = client
            .create_with_context(reports)
            .map_err(|error| ConfigError::Client { what: without_value(&error) })?;
        let (encoder, line) = (Encoder::new(), Vec::new());
        Ok(KafkaSink { config, producer, counters, encoder, line, failed_told: 0 })
    }

    /// What was delivered and what was not.
    pub fn counters(&self) -> Arc<KafkaCounters> {
        self.counters.clone()
    }

    fn put_json(&mut self, records: &[FlowRecord]) -> Option<io::Error> {
        let mut refusal = None;
        for record in records {
            let KafkaSink { config, producer, counters, line, .. } = self;
            line.clear();
            text::write_json(record, line);
            // Lines end in a line feed; messages end by themselves.
            line.pop();
            let id = (config.key == Key::Flow).then(|| CommunityId::of(record).to_string());
            let mut message = BaseRecord::with_opaque_to(&config.topic, 1).payload(&line[..]);
            if let Some(id) = &id {
                message = message.key(id.as_bytes());
            }
            if let Err(error) = put(producer, counters, message) {
                refusal = Some(self.fail(std::slice::from_ref(record), io::Error::other(error)));
            }
        }
        refusal
    }

    fn put_kflow(&mut self, records: &[FlowRecord]) -> Option<io::Error> {
        let mut refusal = None;
        for batch in records.chunks(RECORDS_MAX) {
            refusal = self.put_batch(batch).err().or(refusal);
        }
        refusal
    }

    /// A batch as one message; as two of half the size if that is more than a message may have.
    fn put_batch(&mut self, batch: &[FlowRecord]) -> Result<(), io::Error> {
        let KafkaSink { config, producer, counters, encoder, .. } = self;
        let message = BaseRecord::<[u8], [u8], usize>::with_opaque_to(&config.topic, batch.len());
        let put = match encoder.encode(batch) {
            Ok(payload) => put(producer, counters, message.payload(payload)),
            Err(Error::MessageTooLarge { .. }) => Err(too_large()),
            Err(error) => return Err(self.fail(batch, io::Error::other(error))),
        };
        match put {
            Ok(()) => Ok(()),
            Err(error) if error == too_large() && batch.len() > 1 => {
                let (first, second) = batch.split_at(batch.len() / 2);
                let first = self.put_batch(first);
                self.put_batch(second).and(first)
            }
            Err(error) => Err(self.fail(batch, io::Error::other(error))),
        }
    }

    /// Counts records that did not get into the queue.
    fn fail(&self, records: &[FlowRecord], error: io::Error) -> io::Error {
        self.counters.records_failed.add(records.len() as u64);
        self.counters.messages_failed.add(1);
        error
    }

    /// Takes the reports that have come.
    fn poll(&self) {
        loop {
            let waiting = self.producer.in_flight_count();
            self.producer.poll(Duration::ZERO);
            if self.producer.in_flight_count() >= waiting {
                return;
            }
        }
    }

    /// An error if records failed since it was last told.
    fn settle(&mut self, refusal: Option<io::Error>) -> Result<(), SinkError> {
        let failed = self.counters.records_failed.read() - self.failed_told;
        self.failed_told += failed;
        let reported = self.producer.context().take_error();
        if failed == 0 {
            return Ok(());
        }
        let KafkaConfig { topic, brokers, .. } = &self.config;
        let what = format!("deliver {failed} records to topic {topic} at {brokers}");
        let source = refusal.or(reported.map(io::Error::other)).unwrap_or(io::ErrorKind::Other.into());
        Err(Error::Io { what, source })
    }
}

/// Puts a message into the queue. If there is no room, reports make some once more.
fn put(
    producer: &BaseProducer<Reports>,
    counters: &KafkaCounters,
    message: BaseRecord<'_, [u8], [u8], usize>,
) -> Result<(), KafkaError> {
    let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
    let records = message.delivery_opaque as u64;
    let message = match producer.send(message) {
        Ok(()) => return Ok(()),
        Err((error, message)) if error == full => message,
        Err((error, _)) => return Err(error),
    };
    producer.poll(Duration::ZERO);
    producer.send(message).map_err(|(error, _)| {
        counters.records_refused.add(if error == full { records } else { 0 });
        error
    })
}

/// What is wrong with a property, without its value, which may be a secret.
fn without_value(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, what, name, _) => format!("{name}: {what}"),
        error => error.to_string(),
    }
}

fn too_large() -> KafkaError {
    KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge)
}

impl Sink for KafkaSink {
    fn write(&mut self, records: &[FlowRecord]) -> Result<(), SinkError> {
        self.poll();
        let refusal = match self.config.payload {
            Payload::Json => self.put_json(records),
            Payload::Kflow => self.put_kflow(records),
        };
        self.settle(refusal)
    }

    /// Takes reports; messages are on their way by themselves.
    fn flush(&mut self) -> Result<(), SinkError> {
        self.poll();
        self.settle(None)
    }

    fn name(&self) -> &'static str {
        "kafka"
    }

    fn close(&mut self) -> Result<(), SinkError> {
        if self.producer.flush(self.config.close_timeout).is_err() {
            self.producer.purge(PurgeConfig::default().queue().inflight());
            // What is purged is reported at once.
            let _ = self.producer.flush(PURGE_TIMEOUT);
        }
        self.settle(None)
    }
}

/// How long reports of messages that were given up may take to come.
const PURGE_TIMEOUT: Duration = Duration::from_secs(1);

impl std::fmt::Debug for KafkaSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSink").field("config", &self.config).field("counters", &self.counters).finish()
    }
}

impl Reports {
    fn take_error(&self) -> Option<KafkaError> {
        self.error.lock().ok()?.take()
    }
}

impl ClientContext for Reports {
    /// That brokers are away is seen by what fails.
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, records: usize) {
        match result {
            Ok(message) => {
                self.counters.records_delivered.add(records as u64);
                self.counters.messages_delivered.add(1);
                self.counters.bytes_delivered.add(message.payload().map_or(0, <[u8]>::len) as u64);
            }
            Err((error, _)) => {
                self.counters.records_failed.add(records as u64);
                self.counters.messages_failed.add(1);
                if let Ok(mut last) = self.error.lock() {
                    *last = Some(error.clone());
                }
            }
        }
    }
}
