//! The configuration: one TOML file, overridden by flags, checked once.
//!
//! All defaults are here. Unknown keys are errors. Sizes have units in their names.

mod applications;
mod delivery;
mod export;
mod kafka;

pub use applications::{ApplicationsConfig, PrivacyConfig, Treatment};
pub use delivery::{Compression, DeliveryFormat, DeviceConfig, HttpExportConfig, SpoolConfig};
pub use export::{CollectorConfig, CollectorTransactions, CollectorTransport, ExportConfig, KflowConfig};
pub use kafka::{KafkaCompression, KafkaExportConfig, KafkaFormat, KafkaKey, KafkaSasl};

use crate::{
    packet::{TooManyPorts, TunnelPorts, UdpTunnel},
    source::xsk::HugePages,
};
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub capture: CaptureConfig,
    pub filter: FilterConfig,
    pub flow: FlowConfig,
    pub fragments: FragmentsConfig,
    pub tunnels: TunnelsConfig,
    pub applications: ApplicationsConfig,
    pub export: ExportConfig,
    pub metrics: MetricsConfig,
    pub log: LogConfig,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptureConfig {
    /// Network interface to listen on.
    pub interface: Option<String>,
    /// Capture file to read instead; "-" is standard input.
    pub pcap: Option<PathBuf>,
    pub source: SourceKind,
    /// Threads that own flows. Both directions of a flow always reach the same one.
    pub workers: usize,
    /// CPU of each worker, in order; empty leaves it to the scheduler.
    pub cpus: Vec<usize>,
    pub steering: Steering,
    pub mode: XdpModeChoice,
    /// Frames of each receive queue's buffer, a power of two. Deeper survives longer absences of a worker from
    /// its core (32768 at 3 Mpps: 11 ms), shallower keeps in cache.
    pub frames: u32,
    /// Bytes of one buffer: 2048 or 4096.
    pub frame_bytes: u32,
    pub huge_pages: HugePages,
    /// Refuse to fall back to copying.
    pub require_zero_copy: bool,
    /// Microseconds that one receive call may busy-poll; 0 is off.
    pub busy_poll_us: u32,
    /// Spin instead of sleeping when nothing arrives.
    pub idle: Idle,
    /// Where packet times come from.
    pub time: TimeSource,
    /// Look at one flow in this many. Whole conversations are kept or left.
    pub sample_rate: u32,
    /// Ring of each worker for the `afpacket` source.
    pub afpacket_ring_bytes: u32,
    /// Ask the card for frames that are not addressed to it.
    pub promiscuous: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub enum SourceKind {
    /// `xdp` on an interface without addresses of its own (a mirror port), `afpacket` on others.
    Auto,
    /// Takes all frames of the interface away from the host, by XDP and AF_XDP.
    Xdp,
    /// Reads along, both directions, and leaves traffic alone.
    Afpacket,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Steering {
    /// By the symmetric flow hash: right whatever the card's own hash does.
    FlowHash,
    /// One worker a queue: fastest, and right only if the card hashes symmetrically.
    Queue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum XdpModeChoice {
    /// Native if the driver can, else generic.
    Auto,
    Native,
    Generic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Idle {
    Sleep,
    Spin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeSource {
    /// One clock reading a burst.
    Burst,
    /// A kernel time stamp a packet, 29 to 48 ns each.
    Kernel,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilterConfig {
    /// If any: one of the two addresses must be in one of these …
    pub include_prefixes: Vec<Prefix>,
    /// … and neither in one of these. The longest prefix of an address decides.
    pub exclude_prefixes: Vec<Prefix>,
    pub include_ports: Vec<u16>,
    pub exclude_ports: Vec<u16>,
    pub include_protocols: Vec<u8>,
    pub exclude_protocols: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlowConfig {
    /// Flows that one worker holds at once. 860 bytes each, taken at start.
    pub capacity: usize,
    pub idle_timeout_s: u64,
    /// A flow that lasts longer is reported this often.
    pub active_timeout_s: u64,
    /// How long a closed TCP flow waits for stragglers.
    pub close_linger_ms: u64,
    /// Share of the capacity from which unanswered flows of few packets time out early …
    pub pressure_percent: u8,
    /// … after this time.
    pub embryonic_timeout_s: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct FragmentsConfig {
    /// Datagrams that one worker puts together at once. 634 bytes each, taken at start.
    pub datagrams: usize,
    /// Memory of one worker for what is in them, taken at start.
    pub memory_bytes: usize,
    /// How long the fragments of a datagram are waited for.
    pub timeout_s: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TunnelsConfig {
    /// Which packet of a tunnel is counted.
    pub count: TunnelCount,
    /// UDP ports behind which tunnels are looked for, 16 in all at most. What is found has to look right besides.
    pub vxlan_ports: Vec<u16>,
    pub vxlan_gpe_ports: Vec<u16>,
    pub geneve_ports: Vec<u16>,
    pub gtp_u_ports: Vec<u16>,
    pub teredo_ports: Vec<u16>,
    pub gre_ports: Vec<u16>,
    pub mpls_ports: Vec<u16>,
    pub l2tp_ports: Vec<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub enum TunnelCount {
    /// The outermost: who carries how much for whom. Tunnels are not looked into.
    Outer,
    /// The innermost: who talks to whom inside, with the tunnel in the record. Packets in which none is found count as
    /// they are outside.
    Inner,
    /// Both, each to a flow of its own. Sums over all records count what is in tunnels twice.
    Both,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    pub enabled: bool,
    /// Address of `/metrics`, `/livez` and `/readyz`.
    pub listen: SocketAddr,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    pub level: LogLevel,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    Text,
    Json,
}

impl Default for CaptureConfig {
    fn default() -> CaptureConfig {
        CaptureConfig {
            interface: None,
            pcap: None,
            source: SourceKind::Auto,
            workers: 1,
            cpus: Vec::new(),
            steering: Steering::FlowHash,
            mode: XdpModeChoice::Auto,
            frames: 4096,
            frame_bytes: 2048,
            huge_pages: HugePages::Transparent,
            require_zero_copy: false,
            busy_poll_us: 0,
            idle: Idle::Sleep,
            time: TimeSource::Burst,
            sample_rate: 1,
            afpacket_ring_bytes: 16 << 20,
            promiscuous: true,
        }
    }
}

impl Default for FlowConfig {
    fn default() -> FlowConfig {
        FlowConfig {
            capacity: 1 << 18,
            idle_timeout_s: 15,
            active_timeout_s: 60,
            close_linger_ms: 2000,
            pressure_percent: 75,
            embryonic_timeout_s: 2,
        }
    }
}

impl Default for FragmentsConfig {
    fn default() -> FragmentsConfig {
        FragmentsConfig { datagrams: 4096, memory_bytes: 8 << 20, timeout_s: 30 }
    }
}

impl Default for TunnelsConfig {
    /// Ports as IANA has them, and 8472, which Linux used for VXLAN before.
    fn default() -> TunnelsConfig {
        TunnelsConfig {
            count: TunnelCount::Outer,
            vxlan_ports: vec![4789, 8472],
            vxlan_gpe_ports: vec![4790],
            geneve_ports: vec![6081],
            gtp_u_ports: vec![2152],
            teredo_ports: vec![3544],
            gre_ports: vec![4754],
            mpls_ports: vec![6635],
            l2tp_ports: vec![1701],
        }
    }
}

impl Default for MetricsConfig {
    fn default() -> MetricsConfig {
        MetricsConfig { enabled: true, listen: SocketAddr::from(([127, 0, 0, 1], 9102)) }
    }
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig { level: LogLevel::Info, format: LogFormat::Auto }
    }
}

/// An address prefix in CIDR notation; bits beyond its length are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix {
    pub address: IpAddr,
    pub length: u8,
}

impl Prefix {
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= u32::from(self.length)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= u32::from(self.length)
            }
            _ => false,
        }
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Prefix, String> {
        let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
        let address: IpAddr = address.parse().map_err(|_| format!("{text:?} is not an address prefix"))?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => bits,
            Some(length) => length
                .parse()
                .ok()
                .filter(|length| *length <= bits)
                .ok_or_else(|| format!("{text:?} has no prefix length from 0 to {bits}"))?,
        };
        let prefix = Prefix { address, length };
        if prefix.masked() != address {
            return Err(format!(
                "{text:?} has bits beyond its length; did you mean {}/{length}?",
                prefix.masked()
            ));
        }
        Ok(prefix)
    }
}

impl Prefix {
    fn masked(&self) -> IpAddr {
        let length = u32::from(self.length);
        match self.address {
            IpAddr::V4(address) => IpAddr::from(
                (address.to_bits() & u32::MAX.checked_shl(32 - length).unwrap_or(0)).to_be_bytes(),
            ),
            IpAddr::V6(address) => IpAddr::from(
                (address.to_bits() & u128::MAX.checked_shl(128 - length).unwrap_or(0)).to_be_bytes(),
            ),
        }
    }
}

impl TryFrom<String> for Prefix {
    type Error = String;

    fn try_from(text: String) -> Result<Prefix, String> {
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> String {
        format!("{}/{}", prefix.address, prefix.length)
    }
}

/// Prefixes of one filter. The program's maps hold two filters while one replaces the other.
pub const PREFIXES_MAX: usize = sensor_ebpf::PREFIXES_MAX as usize / 2;

impl FilterConfig {
    /// What is named here and not in `other`, included or excluded.
    pub fn without(&self, other: &FilterConfig) -> FilterConfig {
        fn rest<T: Copy + PartialEq>(own: &[T], include: &[T], exclude: &[T]) -> Vec<T> {
            own.iter().copied().filter(|value| !include.contains(value) && !exclude.contains(value)).collect()
        }
        let prefixes = |own: &[Prefix]| rest(own, &other.include_prefixes, &other.exclude_prefixes);
        let ports = |own: &[u16]| rest(own, &other.include_ports, &other.exclude_ports);
        let protocols = |own: &[u8]| rest(own, &other.include_protocols, &other.exclude_protocols);
        FilterConfig {
            include_prefixes: prefixes(&self.include_prefixes),
            exclude_prefixes: prefixes(&self.exclude_prefixes),
            include_ports: ports(&self.include_ports),
            exclude_ports: ports(&self.exclude_ports),
            include_protocols: protocols(&self.include_protocols),
            exclude_protocols: protocols(&self.exclude_protocols),
        }
    }

    /// What is wrong with the values, one sentence each.
    pub fn faults(&self) -> Vec<String> {
        let prefixes = self.include_prefixes.len() + self.exclude_prefixes.len();
        if prefixes > PREFIXES_MAX {
            return vec![format!("filter has {prefixes} prefixes, {PREFIXES_MAX} are possible")];
        }
        Vec::new()
    }

    pub fn is_empty(&self) -> bool {
        self == &FilterConfig::default()
    }
}

impl Config {
    /// Reads a file. The error names line and key, and suggests the key that was probably meant.
    pub fn read(path: &Path) -> Result<Config, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Config::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    pub fn parse(text: &str) -> Result<Config, String> {
        toml::from_str(text).map_err(|error| {
            let message = error.to_string();
            match suggestion(&message) {
                Some(key) => format!("{}\ndid you mean `{key}`?", message.trim_end()),
                None => message.trim_end().to_owned(),
            }
        })
    }

    /// What is wrong with the values, one sentence each; empty if the sensor can run with them.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |is_right: bool, fault: &str| {
            if !is_right {
                faults.push(fault.to_owned());
            }
        };
        let CaptureConfig { interface, pcap, workers, cpus, frames, frame_bytes, sample_rate, .. } =
            &self.capture;
        check(
            interface.is_some() || pcap.is_some(),
            "nothing to capture from: give an interface (--interface eth0) or a capture file (--pcap FILE)",
        );
        check(
            interface.is_none() || pcap.is_none(),
            "capture.interface and capture.pcap exclude each other: give one of them",
        );
        check((1..=64).contains(workers), "capture.workers must be from 1 to 64");
        check(
            pcap.is_none() || *workers == 1,
            "capture.workers must be 1 for a capture file, which is read in order by one worker",
        );
        check(
            cpus.is_empty() || cpus.len() == *workers,
            "capture.cpus must be empty or name one CPU for each worker",
        );
        check(
            frames.is_power_of_two() && (64..=1 << 20).contains(frames),
            "capture.frames must be a power of two from 64 to 1048576",
        );
        check(matches!(frame_bytes, 2048 | 4096), "capture.frame_bytes must be 2048 or 4096");
        check(*sample_rate >= 1, "capture.sample_rate must be at least 1");
        let ring = self.capture.afpacket_ring_bytes;
        check(
            (1 << 20..=1 << 30).contains(&ring),
            "capture.afpacket_ring_bytes must be from 1048576 (1 MiB) to 1073741824 (1 GiB)",
        );
        let flow = &self.flow;
        check((1..=1 << 28).contains(&flow.capacity), "flow.capacity must be from 1 to 268435456");
        check((1..=3600).contains(&flow.idle_timeout_s), "flow.idle_timeout_s must be from 1 to 3600");
        check((1..=86400).contains(&flow.active_timeout_s), "flow.active_timeout_s must be from 1 to 86400");
        check((1..=100).contains(&flow.pressure_percent), "flow.pressure_percent must be from 1 to 100");
        check(flow.embryonic_timeout_s >= 1, "flow.embryonic_timeout_s must be at least 1");
        let fragments = &self.fragments;
        check((1..=1 << 24).contains(&fragments.datagrams), "fragments.datagrams must be from 1 to 16777216");
        check(
            fragments.memory_bytes <= 1 << 34,
            "fragments.memory_bytes must be at most 17179869184 (16 GiB)",
        );
        check((1..=3600).contains(&fragments.timeout_s), "fragments.timeout_s must be from 1 to 3600");
        check(
            self.tunnels.ports().is_ok(),
            "the lists of ports under tunnels may name 16 ports in all at most",
        );
        faults.extend(self.export.faults());
        faults.extend(self.filter.faults());
        faults.extend(self.applications.faults());
        faults
    }
}

impl TunnelsConfig {
    /// The ports by what they hint at.
    pub fn ports(&self) -> Result<TunnelPorts, TooManyPorts> {
        let kinds = self.kinds().into_iter();
        TunnelPorts::new(kinds.flat_map(|(tunnel, ports)| ports.iter().map(move |port| (*port, tunnel))))
    }

    /// The ports alone.
    pub fn all_ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.kinds().into_iter().flat_map(|(_, ports)| ports.iter().copied())
    }

    fn kinds(&self) -> [(UdpTunnel, &[u16]); 8] {
        [
            (UdpTunnel::Vxlan, &self.vxlan_ports),
            (UdpTunnel::VxlanGpe, &self.vxlan_gpe_ports),
            (UdpTunnel::Geneve, &self.geneve_ports),
            (UdpTunnel::GtpU, &self.gtp_u_ports),
            (UdpTunnel::Teredo, &self.teredo_ports),
            (UdpTunnel::Gre, &self.gre_ports),
            (UdpTunnel::Mpls, &self.mpls_ports),
            (UdpTunnel::L2tp, &self.l2tp_ports),
        ]
    }
}

impl FlowConfig {
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_s)
    }

    pub fn active_timeout(&self) -> Duration {
        Duration::from_secs(self.active_timeout_s)
    }

    /// Flows from which the table is under pressure.
    pub fn pressure(&self) -> usize {
        self.capacity * usize::from(self.pressure_percent) / 100
    }
}

/// The expected key that is closest to the unknown one of a deserialisation error.
fn suggestion(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("unknown field `")?;
    let (unknown, expected) = rest.split_once('`')?;
    let known = expected.split('`').skip(1).step_by(2);
    let (distance, key) = known.map(|key| (edit_distance(unknown, key), key)).min()?;
    (distance <= unknown.len().max(3) / 2).then_some(key)
}

/// Levenshtein distance in bytes.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_key_is_an_error_with_line_and_suggestion() {
        let error =
            Config::parse("[flow]\ncapacity = 10\nidle_timout_s = 3\n").expect_err("the key is unknown");
        assert!(error.contains("line 3"), "{error}");
        assert!(error.contains("did you mean `idle_timeout_s`?"), "{error}");
    }

    #[test]
    fn effective_config_reads_back_as_itself() {
        let config = Config::parse(
            "[capture]\ninterface = \"eth0\"\n[filter]\nexclude_prefixes = [\"10.0.0.0/8\", \"fe80::/10\"]\n\
             [export.kflow]\ndirectory = \"/var/lib/flows\"\n",
        )
        .expect("the config is right");
        let text = toml::to_string(&config).expect("a config is TOML");
        assert_eq!(Config::parse(&text).expect("what was printed"), config);
        assert_eq!(config.faults(), Vec::<String>::new());
    }

    #[test]
    fn empty_config_says_what_is_missing() {
        let faults = Config::default().faults();
        assert_eq!(faults.len(), 1);
        assert!(faults[0].contains("--interface"), "{faults:?}");
    }

    #[test]
    fn what_a_new_filter_still_names_is_not_erased_with_the_old_one() {
        let prefix = |text: &str| text.parse::<Prefix>().expect("a prefix");
        let old = FilterConfig {
            include_prefixes: vec![prefix("10.0.0.0/8"), prefix("192.0.2.0/24")],
            exclude_ports: vec![53, 123],
            ..FilterConfig::default()
        };
        let new = FilterConfig {
            exclude_prefixes: vec![prefix("10.0.0.0/8")],
            include_ports: vec![123],
            ..FilterConfig::default()
        };
        let stale = old.without(&new);
        assert_eq!(stale.include_prefixes, [prefix("192.0.2.0/24")]);
        assert_eq!(stale.exclude_ports, [53]);
        assert_eq!(old.without(&old), FilterConfig::default());
    }

    #[test]
    fn prefix_with_host_bits_is_refused_with_the_right_one() {
        let error = "10.1.2.3/8".parse::<Prefix>().expect_err("host bits");
        assert!(error.contains("10.0.0.0/8"), "{error}");
        assert!("10.0.0.0/33".parse::<Prefix>().is_err());
        let any: Prefix = "0.0.0.0/0".parse().expect("the whole of IPv4");
        assert!(any.contains(IpAddr::from([1, 2, 3, 4])));
        assert!(!any.contains("::1".parse().expect("an address")));
    }
}
