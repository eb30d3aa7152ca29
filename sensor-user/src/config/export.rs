//! Where records go: files, receivers, collectors, brokers.

use super::{HttpExportConfig, KafkaExportConfig};
use kflow_ipfix::{EXAMPLE_ENTERPRISE, MESSAGE_BYTES_MIN};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExportConfig {
    /// File for JSON lines; "-" is standard output.
    pub json: Option<PathBuf>,
    pub kflow: Option<KflowConfig>,
    pub http: Option<HttpExportConfig>,
    pub ipfix: Option<CollectorConfig>,
    pub netflow_v9: Option<CollectorConfig>,
    pub kafka: Option<KafkaExportConfig>,
    /// Records handed over at once.
    pub batch_records: usize,
    /// Batches under way for each worker. When all are, live sources drop records (counted), files wait.
    pub queue_batches: usize,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KflowConfig {
    /// Folder for kflow files.
    pub directory: PathBuf,
    #[serde(default = "default_rotate_bytes")]
    pub rotate_bytes: u64,
    #[serde(default = "default_rotate_s")]
    pub rotate_s: u64,
    /// Oldest files are removed beyond this; 0 keeps all.
    #[serde(default)]
    pub keep_bytes: u64,
}

/// A collector of IPFIX or NetFlow.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CollectorConfig {
    /// Name or address, and port: "collector.example:4739".
    pub collector: String,
    #[serde(default)]
    pub transport: CollectorTransport,
    /// Observation domain of IPFIX, source identifier of NetFlow.
    #[serde(default = "default_domain")]
    pub domain: u32,
    /// Enterprise number of this project's own elements of IPFIX.
    #[serde(default = "default_enterprise")]
    pub enterprise: u32,
    /// Bytes of a message at most; 1400 over UDP and 65535 over TCP unless given.
    #[serde(default)]
    pub message_bytes: Option<usize>,
    /// Over UDP templates are sent again after so long.
    #[serde(default = "default_template_refresh_s")]
    pub template_refresh_s: u64,
    #[serde(default)]
    pub transactions: CollectorTransactions,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CollectorTransport {
    #[default]
    Udp,
    /// IPFIX only.
    Tcp,
}

/// What becomes of transactions beyond the one that is in a flow's record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CollectorTransactions {
    #[default]
    LeaveOut,
    /// Records of options, IPFIX only.
    Options,
}

fn default_rotate_bytes() -> u64 {
    64 << 20
}

fn default_rotate_s() -> u64 {
    60
}

fn default_domain() -> u32 {
    1
}

fn default_enterprise() -> u32 {
    EXAMPLE_ENTERPRISE
}

fn default_template_refresh_s() -> u64 {
    60
}

impl Default for ExportConfig {
    fn default() -> ExportConfig {
        ExportConfig {
            json: None,
            kflow: None,
            http: None,
            ipfix: None,
            netflow_v9: None,
            kafka: None,
            batch_records: 512,
            queue_batches: 64,
        }
    }
}

impl KflowConfig {
    /// All else by default.
    pub fn in_directory(directory: PathBuf) -> KflowConfig {
        let (rotate_bytes, rotate_s) = (default_rotate_bytes(), default_rotate_s());
        KflowConfig { directory, rotate_bytes, rotate_s, keep_bytes: 0 }
    }
}

impl ExportConfig {
    /// What is wrong with the values, one sentence each.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |is_right: bool, fault: &str| {
            if !is_right {
                faults.push(fault.to_owned());
            }
        };
        check((1..=65536).contains(&self.batch_records), "export.batch_records must be from 1 to 65536");
        check((2..=65536).contains(&self.queue_batches), "export.queue_batches must be from 2 to 65536");
        if let Some(kflow) = &self.kflow {
            check(kflow.rotate_bytes >= 1 << 16, "export.kflow.rotate_bytes must be at least 65536");
            check(kflow.rotate_s >= 1, "export.kflow.rotate_s must be at least 1");
        }
        for collector in self.ipfix.iter().chain(&self.netflow_v9) {
            check(
                collector.message_bytes.is_none_or(|bytes| (MESSAGE_BYTES_MIN..=65507).contains(&bytes)),
                "message_bytes of a collector must be from 1200 to 65507",
            );
            check(collector.template_refresh_s >= 1, "template_refresh_s of a collector must be at least 1");
        }
        if let Some(netflow_v9) = &self.netflow_v9 {
            check(
                netflow_v9.transport == CollectorTransport::Udp,
                "export.netflow_v9.transport must be \"udp\": NetFlow version 9 has no other",
            );
        }
        if let Some(http) = &self.http {
            faults.extend(http.faults());
        }
        if let Some(kafka) = &self.kafka {
            faults.extend(kafka.faults());
        }
        faults
    }
}
