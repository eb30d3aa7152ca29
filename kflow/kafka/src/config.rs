//! What the producer is told: plain fields, with all defaults here.

use std::fmt;
use std::time::Duration;

/// A topic, and how records get there.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// Where to ask for the brokers, as `host:port`, separated by commas.
    pub brokers: String,
    pub topic: String,
    pub payload: Payload,
    pub key: Key,
    /// Messages that wait for their delivery at once, at most. What comes beyond is failed.
    pub queue_messages_max: u32,
    /// KiB of these, at most.
    pub queue_kib_max: u32,
    /// How long a message may wait for its delivery, with all retries. Then it is failed.
    pub delivery_timeout: Duration,
    /// How long messages wait for company.
    pub linger: Duration,
    /// How long the end waits for deliveries. What is under way then is failed.
    pub close_timeout: Duration,
    /// More properties of librdkafka by name, such as `compression.codec` or those of TLS and SASL. They go before what
    /// follows from the fields above.
    pub properties: Vec<(String, String)>,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// One record as a JSON object, without a line feed.
    Json,
    /// A batch of records as a packed flow message; no key.
    Kflow,
}

/// What decides on the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The flow's Community ID: all records of a flow, of both directions and every span, are in one partition, in order.
    Flow,
    /// Nothing: librdkafka spreads messages.
    None,
}

/// Why a configuration is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// A kflow message has records of many flows.
    KeyOfBatch,
    /// librdkafka does not take a property, or cannot begin.
    Client { what: String },
}

impl KafkaConfig {
    /// JSON, keyed by flow, everything else by default.
    pub fn new(brokers: impl Into<String>, topic: impl Into<String>) -> KafkaConfig {
        KafkaConfig {
            brokers: brokers.into(),
            topic: topic.into(),
            payload: Payload::Json,
            key: Key::Flow,
            queue_messages_max: 100_000,
            queue_kib_max: 256 << 10,
            delivery_timeout: Duration::from_secs(60),
            linger: Duration::from_millis(20),
            close_timeout: Duration::from_secs(10),
            properties: Vec::new(),
        }
    }
}

/// Of the properties only the names: values may be secrets.
impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.properties.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("topic", &self.topic)
            .field("payload", &self.payload)
            .field("key", &self.key)
            .field("properties", &names)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::KeyOfBatch => write!(f, "kflow messages have records of many flows, and so no key"),
            ConfigError::Client { what } => write!(f, "librdkafka: {what}"),
        }
    }
}

impl std::error::Error for ConfigError {}
