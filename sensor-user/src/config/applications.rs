//! What is looked for in payloads, how much of it, and what of it leaves the sensor.

use kflow::application::TEXT_BYTES_MAX;
use sensor_app::{Limits, Privacy, privacy};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApplicationsConfig {
    /// Look into payloads at all.
    pub enabled: bool,
    /// Threads of each worker that parse; 0 parses on the worker itself, right behind the packet's count.
    pub parser_threads: usize,
    /// Payloads under way to each of these. When all are, live sources leave payloads unparsed (counted), files wait.
    pub queue_payloads: usize,
    /// Flows of one worker or parser thread whose protocol is parsed at once.
    pub parsers: usize,
    /// Requests and sessions of one worker that wait at once.
    pub waiting: usize,
    /// Text of one transaction or session; what is beyond is cut and counted.
    pub text_bytes: usize,
    /// Streams of one worker of which bytes are kept until there are enough to parse, 36 KiB each.
    pub buffers: usize,
    /// Bytes that a flow may have looked at without completing a transaction. Beyond, it is only counted.
    pub work_bytes: u32,
    /// Transactions that one span of a flow exports. Those beyond are counted in its record.
    pub transactions_per_span: u32,
    pub privacy: PrivacyConfig,
}

/// Texts that somebody might object to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrivacyConfig {
    /// Names that were looked up, and the answers.
    pub dns_names: Treatment,
    /// Names of hosts: TLS and QUIC server names, certificates, HTTP hosts, also those in URLs, DHCP host names.
    pub host_names: Treatment,
    /// What follows the question mark of a URL.
    pub url_queries: Treatment,
    /// Names of users and what stands for them: RADIUS, SIP, databases, SNMP communities, hardware addresses in DHCP.
    pub user_names: Treatment,
    /// File with the secret that hashes depend on. With the same one hashes are equal over sensors and starts; without
    /// one a random one is taken at each start.
    pub key_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Treatment {
    #[default]
    Keep,
    /// 16 hex digits that are equal for equal texts.
    Hash,
    Drop,
}

impl Default for ApplicationsConfig {
    fn default() -> ApplicationsConfig {
        let Limits { parsers, drafts, text_bytes, buffers, work_bytes, transactions_per_span, .. } =
            Limits::default();
        ApplicationsConfig {
            enabled: true,
            parser_threads: 0,
            queue_payloads: 4096,
            parsers,
            waiting: drafts,
            text_bytes,
            buffers,
            work_bytes,
            transactions_per_span,
            privacy: PrivacyConfig::default(),
        }
    }
}

impl ApplicationsConfig {
    /// Parser threads of one worker.
    pub fn threads(&self) -> usize {
        if self.enabled { self.parser_threads } else { 0 }
    }

    /// For a worker whose table holds so many flows.
    pub fn limits(&self, flows: usize) -> Limits {
        Limits {
            flows,
            parsers: self.parsers,
            drafts: self.waiting,
            text_bytes: self.text_bytes,
            buffers: self.buffers,
            work_bytes: self.work_bytes,
            transactions_per_span: self.transactions_per_span,
        }
    }

    /// What is wrong with the values, one sentence each.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |is_right: bool, fault: &str| {
            if !is_right {
                faults.push(fault.to_owned());
            }
        };
        check(self.parser_threads <= 16, "applications.parser_threads must be at most 16");
        check(
            (16..=1 << 20).contains(&self.queue_payloads),
            "applications.queue_payloads must be from 16 to 1048576",
        );
        check((1..=1 << 24).contains(&self.parsers), "applications.parsers must be from 1 to 16777216");
        check((1..=1 << 24).contains(&self.waiting), "applications.waiting must be from 1 to 16777216");
        check(
            (256..=TEXT_BYTES_MAX).contains(&self.text_bytes),
            "applications.text_bytes must be from 256 to 4096, which is what a flow message carries",
        );
        check((1..=1 << 20).contains(&self.buffers), "applications.buffers must be from 1 to 1048576");
        check(self.work_bytes >= 4096, "applications.work_bytes must be at least 4096");
        check(self.transactions_per_span >= 1, "applications.transactions_per_span must be at least 1");
        faults
    }
}

impl PrivacyConfig {
    /// With the secret that `key_file` holds, or that was made up for this start.
    pub fn with_key(&self, key: [u8; 32]) -> Privacy {
        Privacy {
            dns_names: self.dns_names.into(),
            host_names: self.host_names.into(),
            url_queries: self.url_queries.into(),
            user_names: self.user_names.into(),
            key,
        }
    }
}

impl From<Treatment> for privacy::Treatment {
    fn from(treatment: Treatment) -> privacy::Treatment {
        match treatment {
            Treatment::Keep => privacy::Treatment::Keep,
            Treatment::Hash => privacy::Treatment::Hash,
            Treatment::Drop => privacy::Treatment::Drop,
        }
    }
}
