//! Records over Kafka's protocol to librdkafka's own mock of a cluster, and back.

use kflow::{CommunityId, Error, FlowRecord, Sink, codec, text};
use kflow_kafka::{KafkaConfig, KafkaCounters, KafkaSink, Key, Payload};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const TOPIC: &str = "flows";
const PARTITIONS: i32 = 4;
const BROKERS: i32 = 3;
const BATCH_RECORDS: usize = 500;

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster() -> Cluster {
    let cluster = MockCluster::new(BROKERS).unwrap();
    cluster.create_topic(TOPIC, PARTITIONS, BROKERS).unwrap();
    cluster
}

fn config(cluster: &Cluster) -> KafkaConfig {
    KafkaConfig { linger: Duration::from_millis(1), ..KafkaConfig::new(cluster.bootstrap_servers(), TOPIC) }
}

/// Flows that differ in their ports; each twice, as two spans.
fn records(count: u16) -> Vec<FlowRecord> {
    let record = |number: u16| {
        let mut record = FlowRecord { protocol: 17, start_ns: u64::from(number), ..FlowRecord::default() };
        record.source.port = 1_000 + number / 2;
        record.destination.port = 53;
        record.forward.packets = u64::from(number) + 1;
        record
    };
    (0..count).map(record).collect()
}

/// A message as it was read back.
struct Read {
    partition: i32,
    key: Option<Vec<u8>>,
    payload: Vec<u8>,
}

/// So many messages of the topic, from its beginning.
fn read(cluster: &Cluster, count: usize) -> Vec<Read> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", "test")
        .create()
        .unwrap();
    let mut partitions = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        partitions.add_partition_offset(TOPIC, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&partitions).unwrap();
    let mut messages = Vec::new();
    while messages.len() < count {
        let message = consumer.poll(Duration::from_secs(30)).expect("more messages come").unwrap();
        messages.push(Read {
            partition: message.partition(),
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().unwrap_or_default().to_vec(),
        });
    }
    assert!(consumer.poll(Duration::from_millis(200)).is_none(), "there are no more messages");
    messages
}

fn assert_counts(counters: &KafkaCounters, delivered: usize, failed: usize) {
    let found = (counters.records_delivered.read(), counters.records_failed.read());
    assert_eq!(found, (delivered as u64, failed as u64), "{counters:?}");
}

#[test]
fn every_record_arrives_as_json_in_the_partition_of_its_flow() {
    let cluster = cluster();
    let records = records(2_000);
    let mut sink = KafkaSink::open(config(&cluster)).unwrap();
    for batch in records.chunks(BATCH_RECORDS) {
        sink.write(batch).unwrap();
        sink.flush().unwrap();
    }
    sink.close().unwrap();
    assert_counts(&sink.counters(), records.len(), 0);
    let messages = read(&cluster, records.len());
    let mut partitions: BTreeMap<Vec<u8>, BTreeSet<i32>> = BTreeMap::new();
    for message in &messages {
        partitions.entry(message.key.clone().unwrap()).or_default().insert(message.partition);
    }
    assert!(partitions.values().all(|partitions| partitions.len() == 1));
    let used: BTreeSet<i32> = partitions.into_values().flatten().collect();
    assert_eq!(used.len(), PARTITIONS as usize);
    let found: BTreeSet<(Vec<u8>, Vec<u8>)> =
        messages.into_iter().map(|message| (message.key.unwrap(), message.payload)).collect();
    let expected = records.iter().map(|record| {
        let mut line = Vec::new();
        text::write_json(record, &mut line);
        assert_eq!(line.pop(), Some(b'\n'));
        (CommunityId::of(record).to_string().into_bytes(), line)
    });
    assert_eq!(found, expected.collect());
    let bytes: usize = found.iter().map(|(_, payload)| payload.len()).sum();
    assert_eq!(sink.counters().bytes_delivered.read(), bytes as u64);
}

#[test]
fn every_batch_arrives_as_a_flow_message() {
    let cluster = cluster();
    let records = records(2_000);
    let kflow = KafkaConfig { payload: Payload::Kflow, key: Key::None, ..config(&cluster) };
    let mut sink = KafkaSink::open(kflow).unwrap();
    for batch in records.chunks(BATCH_RECORDS) {
        sink.write(batch).unwrap();
    }
    sink.close().unwrap();
    assert_counts(&sink.counters(), records.len(), 0);
    let messages = read(&cluster, records.len() / BATCH_RECORDS);
    assert!(messages.iter().all(|message| message.key.is_none()));
    let mut found: Vec<FlowRecord> =
        messages.iter().flat_map(|message| codec::decode(&message.payload).unwrap()).collect();
    found.sort_by_key(|record| record.start_ns);
    assert_eq!(found, records);
}

#[test]
fn a_batch_that_is_too_large_for_a_message_is_several() {
    let cluster = cluster();
    let small = vec![("message.max.bytes".to_owned(), "10000".to_owned())];
    let kflow =
        KafkaConfig { payload: Payload::Kflow, key: Key::None, properties: small, ..config(&cluster) };
    let mut sink = KafkaSink::open(kflow).unwrap();
    let records = records(1_000);
    sink.write(&records).unwrap();
    sink.close().unwrap();
    assert_counts(&sink.counters(), records.len(), 0);
    let count = sink.counters().messages_delivered.read() as usize;
    assert!(count > 1);
    let messages = read(&cluster, count);
    let found: usize = messages.iter().map(|message| codec::decode(&message.payload).unwrap().len()).sum();
    assert_eq!(found, records.len());
}

#[test]
fn records_beyond_the_queue_are_failed_at_once_and_the_others_when_their_time_is_over() {
    const QUEUE: usize = 100;
    let cluster = cluster();
    (1..=BROKERS).for_each(|broker| cluster.broker_down(broker).unwrap());
    let mut sink = KafkaSink::open(KafkaConfig {
        queue_messages_max: QUEUE as u32,
        delivery_timeout: Duration::from_secs(1),
        close_timeout: Duration::from_secs(30),
        ..config(&cluster)
    })
    .unwrap();
    let records = records(300);
    assert!(matches!(sink.write(&records), Err(Error::Io { .. })));
    assert_counts(&sink.counters(), 0, records.len() - QUEUE);
    assert_eq!(sink.counters().records_refused.read(), (records.len() - QUEUE) as u64);
    assert!(sink.close().is_err(), "the others failed meanwhile");
    assert_counts(&sink.counters(), 0, records.len());
    assert!(sink.flush().is_ok(), "a failure is told once");
}

#[test]
fn what_is_under_way_when_the_end_cannot_wait_is_failed() {
    let cluster = cluster();
    (1..=BROKERS).for_each(|broker| cluster.broker_down(broker).unwrap());
    let close = KafkaConfig { close_timeout: Duration::from_millis(50), ..config(&cluster) };
    let mut sink = KafkaSink::open(close).unwrap();
    let records = records(300);
    sink.write(&records).unwrap();
    assert_counts(&sink.counters(), 0, 0);
    assert!(sink.close().is_err());
    assert_counts(&sink.counters(), 0, records.len());
}

#[test]
fn records_wait_for_brokers_that_come_back() {
    let cluster = cluster();
    (1..=BROKERS).for_each(|broker| cluster.broker_down(broker).unwrap());
    let mut sink =
        KafkaSink::open(KafkaConfig { close_timeout: Duration::from_secs(60), ..config(&cluster) }).unwrap();
    let records = records(300);
    sink.write(&records).unwrap();
    (1..=BROKERS).for_each(|broker| cluster.broker_up(broker).unwrap());
    sink.close().unwrap();
    assert_counts(&sink.counters(), records.len(), 0);
    assert_eq!(read(&cluster, records.len()).len(), records.len());
}

#[test]
fn a_batch_has_no_key() {
    let cluster = cluster();
    let keyed = KafkaConfig { payload: Payload::Kflow, key: Key::Flow, ..config(&cluster) };
    assert!(KafkaSink::open(keyed).is_err());
    let unknown =
        KafkaConfig { properties: vec![("no.such.property".into(), "1".into())], ..config(&cluster) };
    assert!(KafkaSink::open(unknown).is_err());
}
