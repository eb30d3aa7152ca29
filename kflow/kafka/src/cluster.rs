//! A cluster of one broker in memory, for tests of programs that send to one.

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::{Offset, TopicPartitionList};
use std::time::Duration;

/// Listens on a port of the loopback until it is dropped.
pub struct Cluster {
    mock: MockCluster<'static, DefaultProducerContext>,
    topic: String,
    partitions: i32,
}

impl Cluster {
    /// # Panics
    /// librdkafka does not make one.
    pub fn start(topic: &str, partitions: i32) -> Cluster {
        let mock = MockCluster::new(1).expect("librdkafka makes a cluster");
        mock.create_topic(topic, partitions, 1).expect("a new cluster takes a topic");
        Cluster { mock, topic: topic.to_owned(), partitions }
    }

    /// Where to ask for the brokers.
    pub fn brokers(&self) -> String {
        self.mock.bootstrap_servers()
    }

    /// The payloads of the topic's messages, which are read until there are enough.
    ///
    /// # Panics
    /// There are fewer, or more.
    pub fn messages(&self, is_enough: impl Fn(&[Vec<u8>]) -> bool) -> Vec<Vec<u8>> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.brokers())
            .set("group.id", "test")
            .create()
            .expect("librdkafka makes a consumer");
        let mut partitions = TopicPartitionList::new();
        for partition in 0..self.partitions {
            let added = partitions.add_partition_offset(&self.topic, partition, Offset::Beginning);
            added.expect("the list takes a partition");
        }
        consumer.assign(&partitions).expect("the partitions are there");
        let mut messages = Vec::new();
        while !is_enough(&messages) {
            let message = consumer.poll(MESSAGE_PATIENCE).expect("more messages come");
            messages.push(message.expect("it can be read").payload().unwrap_or_default().to_vec());
        }
        assert!(consumer.poll(END_PATIENCE).is_none(), "there are more messages than enough");
        messages
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("topic", &self.topic).finish_non_exhaustive()
    }
}

const MESSAGE_PATIENCE: Duration = Duration::from_secs(30);
const END_PATIENCE: Duration = Duration::from_millis(200);
