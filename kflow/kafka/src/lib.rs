//! Flow records to a topic of Kafka.
//!
//! In: batches of [`kflow::FlowRecord`]. Out: messages of JSON, one a record, or of kflow, one a batch. A record counts as
//! delivered once all replicas have it, as failed if it was refused at the door or given up later; [`KafkaSink`] says when
//! which.
//!
//! Nothing here reads from Kafka, makes topics or registers schemas. Empty without the feature `librdkafka`.
#![cfg(feature = "librdkafka")]

#[cfg(feature = "cluster")]
pub mod cluster;
mod config;
mod counters;
mod sink;

pub use config::{ConfigError, KafkaConfig, Key, Payload};
pub use counters::{Count, KafkaCounters};
pub use sink::KafkaSink;
