//! Records to a topic of Kafka, for sensors that were built with the feature `kafka`.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Read by every sensor, so that one without Kafka can say that it has none.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaExportConfig {
    /// Where to ask for the brokers: "broker.example:9092".
    pub brokers: Vec<String>,
    pub topic: String,
    #[serde(default)]
    pub format: KafkaFormat,
    /// By flow unless given; messages of kflow have none.
    #[serde(default)]
    pub key: Option<KafkaKey>,
    #[serde(default)]
    pub compression: KafkaCompression,
    /// Messages that wait for their delivery, at most. Beyond, records are refused and counted.
    #[serde(default = "default_queue_messages")]
    pub queue_messages: u32,
    /// Bytes of these, at most.
    #[serde(default = "default_queue_bytes")]
    pub queue_bytes: u64,
    /// How long a message may wait for its delivery, with all retries. Then its records are failed.
    #[serde(default = "default_delivery_timeout_s")]
    pub delivery_timeout_s: u64,
    /// How long messages wait for company.
    #[serde(default = "default_linger_ms")]
    pub linger_ms: u64,
    /// How long a stop waits for what can still be delivered.
    #[serde(default = "default_stop_timeout_s")]
    pub stop_timeout_s: u64,
    /// Speak TLS. Needs the feature `kafka-tls`.
    #[serde(default)]
    pub tls: bool,
    /// Certificates in PEM that are trusted in place of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    #[serde(default)]
    pub client_certificate_file: Option<PathBuf>,
    #[serde(default)]
    pub client_key_file: Option<PathBuf>,
    #[serde(default)]
    pub sasl: KafkaSasl,
    #[serde(default)]
    pub username: Option<String>,
    /// File with the password, which only its owner may read.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
}

/// What a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KafkaFormat {
    /// One record as a JSON object.
    #[default]
    Json,
    /// A batch of records as a packed flow message.
    Kflow,
}

/// What decides on the partition of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KafkaKey {
    /// The flow's Community ID.
    Flow,
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KafkaCompression {
    None,
    Snappy,
    #[default]
    Lz4,
}

/// How the sensor says who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KafkaSasl {
    /// Not, or by its certificate.
    #[default]
    None,
    Plain,
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
}

fn default_queue_messages() -> u32 {
    100_000
}

fn default_queue_bytes() -> u64 {
    256 << 20
}

fn default_delivery_timeout_s() -> u64 {
    60
}

fn default_linger_ms() -> u64 {
    20
}

fn default_stop_timeout_s() -> u64 {
    10
}

impl KafkaExportConfig {
    /// What is wrong with the values, one sentence each.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |is_right: bool, fault: &str| {
            if !is_right {
                faults.push(format!("export.kafka{fault}"));
            }
        };
        check(
            cfg!(feature = "kafka"),
            ": this sensor was built without Kafka: build it with \
             `cargo build --release -p sensor-user --features kafka`",
        );
        check(!self.brokers.is_empty(), ".brokers must name a broker");
        check(
            self.brokers.iter().all(|broker| !broker.is_empty() && !broker.contains([',', ' '])),
            ".brokers must be names or addresses with their ports, each a text of its own",
        );
        check(!self.topic.is_empty(), ".topic must not be empty");
        check(
            self.format == KafkaFormat::Json || self.key != Some(KafkaKey::Flow),
            ".key must be \"none\" or left out for the format \"kflow\", whose messages have records of many flows",
        );
        check((1..=10_000_000).contains(&self.queue_messages), ".queue_messages must be from 1 to 10000000");
        check(
            (1 << 20..=1 << 40).contains(&self.queue_bytes),
            ".queue_bytes must be from 1048576 (1 MiB) to 1099511627776 (1 TiB)",
        );
        check((1..=86400).contains(&self.delivery_timeout_s), ".delivery_timeout_s must be from 1 to 86400");
        check(self.linger_ms <= 60_000, ".linger_ms must be at most 60000");
        check(
            self.linger_ms < self.delivery_timeout_s.saturating_mul(1000),
            ".linger_ms must be less than delivery_timeout_s",
        );
        check(self.stop_timeout_s <= 3600, ".stop_timeout_s must be at most 3600");
        self.check_security(&mut check);
        faults
    }

    fn check_security(&self, check: &mut impl FnMut(bool, &str)) {
        let is_scram = matches!(self.sasl, KafkaSasl::ScramSha256 | KafkaSasl::ScramSha512);
        check(
            !(self.tls || is_scram) || cfg!(feature = "kafka-tls") || !cfg!(feature = "kafka"),
            ": TLS and SCRAM need a sensor that was built with `--features kafka-tls`",
        );
        let files = [&self.ca_file, &self.client_certificate_file, &self.client_key_file];
        check(
            self.tls || files.iter().all(|file| file.is_none()),
            ".tls must be true where files of certificates are named",
        );
        check(
            self.client_certificate_file.is_some() == self.client_key_file.is_some(),
            " needs both of client_certificate_file and client_key_file, or neither",
        );
        let has_password = self.username.is_some() && self.password_file.is_some();
        let has_none = self.username.is_none() && self.password_file.is_none();
        check(
            if self.sasl == KafkaSasl::None { has_none } else { has_password },
            ".sasl needs username and password_file, and they need it",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(more: &str) -> Vec<String> {
        let text = format!("brokers = [\"broker.example:9092\"]\ntopic = \"flows\"\n{more}");
        let config: KafkaExportConfig = toml::from_str(&text).expect("it is a section");
        let is_of_build = |fault: &String| fault.contains("built with");
        config.faults().into_iter().filter(|fault| !is_of_build(fault)).collect()
    }

    #[test]
    fn a_build_without_kafka_says_so() {
        let text = "brokers = [\"broker.example:9092\"]\ntopic = \"flows\"";
        let config: KafkaExportConfig = toml::from_str(text).expect("it is a section");
        let says_so = config.faults().iter().any(|fault| fault.contains("was built without Kafka"));
        assert_eq!(says_so, !cfg!(feature = "kafka"));
    }

    #[test]
    fn contradictions_are_faults() {
        assert_eq!(faults(""), Vec::<String>::new());
        assert_eq!(faults("format = \"kflow\"\nkey = \"none\""), Vec::<String>::new());
        for more in [
            "format = \"kflow\"\nkey = \"flow\"",
            "queue_messages = 0",
            "delivery_timeout_s = 1\nlinger_ms = 1000",
            "ca_file = \"/etc/ssl/ca.pem\"",
            "tls = true\nclient_key_file = \"/etc/sensor/key.pem\"",
            "username = \"sensor\"",
            "sasl = \"plain\"\nusername = \"sensor\"",
        ] {
            assert_eq!(faults(more).len(), 1, "{more}: {:?}", faults(more));
        }
    }
}
