//! A topic of Kafka: what the config says, in the words of librdkafka.

use crate::{
    accounts::KafkaCounts,
    config::{KafkaCompression, KafkaExportConfig, KafkaFormat, KafkaKey, KafkaSasl},
};
use anyhow::{Context, Result, ensure};
use kflow_kafka::{KafkaConfig, KafkaCounters, KafkaSink, Key, Payload};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

/// Nothing is sent yet, and the brokers may be away.
pub fn open(config: &KafkaExportConfig) -> Result<KafkaSink> {
    let (payload, usual_key) = match config.format {
        KafkaFormat::Json => (Payload::Json, KafkaKey::Flow),
        KafkaFormat::Kflow => (Payload::Kflow, KafkaKey::None),
    };
    let sink = KafkaSink::open(KafkaConfig {
        payload,
        key: match config.key.unwrap_or(usual_key) {
            KafkaKey::Flow => Key::Flow,
            KafkaKey::None => Key::None,
        },
        queue_messages_max: config.queue_messages,
        queue_kib_max: u32::try_from(config.queue_bytes >> 10).unwrap_or(u32::MAX),
        delivery_timeout: Duration::from_secs(config.delivery_timeout_s),
        linger: Duration::from_millis(config.linger_ms),
        close_timeout: Duration::from_secs(config.stop_timeout_s),
        properties: properties(config)?,
        ..KafkaConfig::new(config.brokers.join(","), &config.topic)
    })?;
    Ok(sink)
}

fn properties(config: &KafkaExportConfig) -> Result<Vec<(String, String)>> {
    let mut properties = Vec::new();
    let mut set = |name: &str, value: &str| properties.push((name.to_owned(), value.to_owned()));
    let compression = match config.compression {
        KafkaCompression::None => "none",
        KafkaCompression::Snappy => "snappy",
        KafkaCompression::Lz4 => "lz4",
    };
    set("compression.codec", compression);
    let protocol = match (config.tls, config.sasl) {
        (false, KafkaSasl::None) => "plaintext",
        (true, KafkaSasl::None) => "ssl",
        (false, _) => "sasl_plaintext",
        (true, _) => "sasl_ssl",
    };
    set("security.protocol", protocol);
    let files = [
        ("ssl.ca.location", &config.ca_file),
        ("ssl.certificate.location", &config.client_certificate_file),
        ("ssl.key.location", &config.client_key_file),
    ];
    for (name, file) in files {
        if let Some(file) = file {
            set(name, file.to_str().with_context(|| format!("{} is no text", file.display()))?);
        }
    }
    let mechanism = match config.sasl {
        KafkaSasl::None => return Ok(properties),
        KafkaSasl::Plain => "PLAIN",
        KafkaSasl::ScramSha256 => "SCRAM-SHA-256",
        KafkaSasl::ScramSha512 => "SCRAM-SHA-512",
    };
    set("sasl.mechanisms", mechanism);
    set("sasl.username", config.username.as_deref().context("the config was checked: there is a username")?);
    let file = config.password_file.as_deref().context("the config was checked: there is a password_file")?;
    set("sasl.password", &password(file)?);
    Ok(properties)
}

fn password(path: &Path) -> Result<String> {
    let what = || format!("read the password in {}", path.display());
    let mode = fs::metadata(path).with_context(what)?.permissions().mode();
    ensure!(
        mode & 0o007 == 0,
        "every user of this machine may use the password in {} (mode {:03o}): chmod 600 it",
        path.display(),
        mode & 0o777
    );
    let text = fs::read_to_string(path).with_context(what)?;
    let password = text.trim_end_matches(['\r', '\n']);
    ensure!(!password.is_empty(), "the password in {} is empty", path.display());
    Ok(password.to_owned())
}

/// What became of the records so far.
pub fn counts(counters: &KafkaCounters) -> KafkaCounts {
    KafkaCounts {
        records_delivered: counters.records_delivered.read(),
        records_failed: counters.records_failed.read(),
        records_refused: counters.records_refused.read(),
        messages_delivered: counters.messages_delivered.read(),
        messages_failed: counters.messages_failed.read(),
        bytes_delivered: counters.bytes_delivered.read(),
    }
}
