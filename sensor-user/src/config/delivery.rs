//! Delivery of records by HTTP: to whom, as whom, and where they wait when nobody takes them.

use serde::{Deserialize, Serialize};
use std::{net::IpAddr, path::PathBuf};

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpExportConfig {
    /// "us", "eu" or a domain of Kentik: stands for the URLs of flows and of the API there.
    pub region: Option<String>,
    /// Receivers of flows, the preferred one first. In place of `region`.
    pub urls: Vec<String>,
    pub format: DeliveryFormat,
    pub compression: Compression,
    /// The account at the receiver …
    pub email: String,
    /// … and the file that holds its token, which only its owner may read …
    pub token_file: Option<PathBuf>,
    /// … or the name of the systemd credential that does.
    pub token_credential: Option<String>,
    /// Certificates of authorities in PEM that are trusted in place of the system's.
    pub ca_file: Option<PathBuf>,
    pub client_certificate_file: Option<PathBuf>,
    pub client_key_file: Option<PathBuf>,
    /// Such as "http://user:password@proxy:3128". Without, HTTPS_PROXY and NO_PROXY of the environment count.
    pub proxy: Option<String>,
    /// Name of this sensor in the identity of a batch; the device's number if none is given.
    pub sensor: Option<String>,
    pub device: DeviceConfig,
    /// Records of one message.
    pub batch_records: usize,
    /// Records wait no longer than this for others to fill a message.
    pub interval_ms: u64,
    /// Records that wait to be packed. Beyond, flows are thinned out and the others' sample rate raised.
    pub window_records: usize,
    /// Records a second; 0 leaves it to the device.
    pub records_per_s_max: u32,
    /// Packed bytes that wait in memory: without a spool, or when the disk refuses.
    pub memory_bytes: usize,
    /// How long a stop waits for what can still be delivered.
    pub stop_timeout_s: u64,
    pub spool: SpoolConfig,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryFormat {
    /// For Kentik's receivers: the columns that the device has.
    Kentik,
    /// For receivers that read column names from the message, as this project's engine: all columns.
    Kflow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    Gzip,
    Zstd,
    None,
}

/// The device that flows are said to come from. By `id`, `interface`, `ip` or `name` it is looked up at the API; with
/// `company_id` as well as `id` and `name` it is taken as it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceConfig {
    /// URL of the API. The region's if none is given.
    pub api_url: Option<String>,
    pub id: Option<u32>,
    pub name: Option<String>,
    pub ip: Option<IpAddr>,
    /// Any address of this interface names the device.
    pub interface: Option<String>,
    /// Plan and site of a device that is created because nobody knows its name or address.
    pub plan: Option<u32>,
    pub site: Option<u32>,
    pub company_id: Option<u64>,
    /// Custom columns of a device that is not looked up: number, name and type of each.
    pub columns: Vec<(u32, String, String)>,
    /// Where the API's last answer is kept, so that a start without the API works. Beside the spool unless given.
    pub cache_file: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolConfig {
    /// Batches are durable on disk before they are sent, and wait there while nobody takes them.
    pub enabled: bool,
    pub directory: PathBuf,
    /// Beyond this the oldest batches are dropped and counted.
    pub bytes_max: u64,
    pub segment_bytes: u64,
    /// Space that is left to others on the disk.
    pub disk_free_min_bytes: u64,
}

impl Default for HttpExportConfig {
    fn default() -> HttpExportConfig {
        HttpExportConfig {
            region: None,
            urls: Vec::new(),
            format: DeliveryFormat::Kentik,
            compression: Compression::Gzip,
            email: String::new(),
            token_file: None,
            token_credential: None,
            ca_file: None,
            client_certificate_file: None,
            client_key_file: None,
            proxy: None,
            sensor: None,
            device: DeviceConfig::default(),
            batch_records: 4096,
            interval_ms: 1000,
            window_records: 32768,
            records_per_s_max: 0,
            memory_bytes: 64 << 20,
            stop_timeout_s: 10,
            spool: SpoolConfig::default(),
        }
    }
}

impl Default for SpoolConfig {
    fn default() -> SpoolConfig {
        SpoolConfig {
            enabled: true,
            directory: PathBuf::from("/var/lib/sensor/spool"),
            bytes_max: 10 << 30,
            segment_bytes: 64 << 20,
            disk_free_min_bytes: 1 << 30,
        }
    }
}

impl SpoolConfig {
    pub fn limits(&self) -> kflow_spool::Config {
        kflow_spool::Config {
            bytes_max: self.bytes_max,
            segment_bytes: self.segment_bytes,
            disk_free_min: self.disk_free_min_bytes,
            ..kflow_spool::Config::default()
        }
    }
}

impl HttpExportConfig {
    /// What is wrong with the values, one sentence each.
    pub fn faults(&self) -> Vec<String> {
        let device = &self.device;
        let is_kentik = self.format == DeliveryFormat::Kentik;
        let is_static = device.company_id.is_some();
        let is_named = device.id.is_some() || device.name.is_some() || device.ip.is_some();
        let rules = [
            (
                self.region.is_some() == self.urls.is_empty(),
                "export.http needs either a region, \"us\" or \"eu\", or urls of receivers",
            ),
            (
                !is_kentik || self.compression == Compression::Gzip,
                "export.http.compression must be \"gzip\" unless export.http.format is \"kflow\"",
            ),
            (
                self.token_file.is_none() || self.token_credential.is_none(),
                "export.http.token_file and export.http.token_credential exclude each other",
            ),
            (
                self.client_certificate_file.is_some() == self.client_key_file.is_some(),
                "export.http.client_certificate_file and export.http.client_key_file need each other",
            ),
            (
                !is_static || (device.id.is_some() && device.name.is_some()),
                "export.http.device with a company_id needs an id and a name: it is not looked up then",
            ),
            (
                is_named || device.interface.is_some(),
                "export.http.device needs an id, an interface, an ip or a name to be found by",
            ),
            (
                is_static || self.region.is_some() || device.api_url.is_some(),
                "export.http.device needs an api_url to be looked up at, or a company_id besides id and name",
            ),
            (
                (1..=kflow::codec::RECORDS_MAX).contains(&self.batch_records),
                "export.http.batch_records must be from 1 to 4096",
            ),
            ((10..=60_000).contains(&self.interval_ms), "export.http.interval_ms must be from 10 to 60000"),
            (
                (self.batch_records..=1 << 24).contains(&self.window_records),
                "export.http.window_records must be from batch_records to 16777216",
            ),
            (self.memory_bytes >= 1 << 20, "export.http.memory_bytes must be at least 1048576 (1 MiB)"),
            (self.stop_timeout_s <= 3600, "export.http.stop_timeout_s must be at most 3600"),
            (
                !is_kentik || !self.email.is_empty(),
                "export.http.email is needed: the account at the receiver",
            ),
            (
                self.token_file.is_some() || self.token_credential.is_some(),
                "export.http needs a token_file or a token_credential",
            ),
        ];
        let broken = rules.into_iter().filter(|(holds, _)| !holds).map(|(_, fault)| fault.to_owned());
        let of_spool = self.spool.limits().validate().err().filter(|_| self.spool.enabled);
        broken.chain(of_spool.map(|error| format!("export.http.spool: {error}"))).collect()
    }
}
