//! Virtual cables between namespaces, and their counters.

use anyhow::Context;

use crate::{Namespace, output_of};

/// One end of a veth pair.
#[derive(Clone, Copy, Debug)]
pub struct VethEnd<'a> {
    pub namespace: &'a Namespace,
    /// Device name, at most 15 bytes.
    pub device: &'a str,
    /// Addresses with prefix length, of either family. Without an IPv6 address the device has IPv6 switched
    /// off, so that it sends nothing of its own accord.
    pub addresses: &'a [&'a str],
    /// Link-layer address; the kernel picks one if there is none.
    pub mac: Option<&'a str>,
}

impl<'a> VethEnd<'a> {
    /// An end without addresses.
    pub fn new(namespace: &'a Namespace, device: &'a str) -> VethEnd<'a> {
        VethEnd { namespace, device, addresses: &[], mac: None }
    }
}

/// What both ends have in common.
#[derive(Clone, Copy, Debug)]
pub struct VethOptions {
    /// Receive and transmit queues of each end.
    pub queues: u32,
    pub mtu: u32,
}

impl Default for VethOptions {
    fn default() -> VethOptions {
        VethOptions { queues: 1, mtu: 1500 }
    }
}

/// Connects two namespaces (or one with itself) and brings both ends up with their addresses usable.
/// The pair goes when one of its namespaces goes.
pub fn veth_pair(a: &VethEnd<'_>, b: &VethEnd<'_>, options: VethOptions) -> anyhow::Result<()> {
    let queues = options.queues.to_string();
    let queue_words = ["numrxqueues", &queues, "numtxqueues", &queues];
    let mut words = vec!["link", "add", a.device];
    words.extend(queue_words);
    words.extend(["type", "veth", "peer", "name", b.device]);
    words.extend(queue_words);
    words.extend(["netns", b.namespace.name()]);
    a.namespace.ip(words).with_context(|| format!("connect {} and {}", a.device, b.device))?;

    for end in [a, b] {
        configure(end, options.mtu).with_context(|| format!("configure {}", end.device))?;
    }
    Ok(())
}

fn configure(end: &VethEnd<'_>, mtu: u32) -> anyhow::Result<()> {
    let VethEnd { namespace, device, addresses, mac } = *end;
    if !addresses.iter().any(|address| address.contains(':')) {
        namespace.write_sysctl(&format!("net/ipv6/conf/{device}/disable_ipv6"), "1")?;
    }
    if let Some(mac) = mac {
        namespace.ip(["link", "set", "dev", device, "address", mac])?;
    }
    namespace.ip(["link", "set", "dev", device, "mtu", &mtu.to_string()])?;
    for address in addresses {
        namespace.ip(["address", "add", address, "dev", device])?;
    }
    namespace.ip(["link", "set", "dev", device, "up"])?;
    Ok(())
}

/// What the kernel counted at a device, both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceCounters {
    pub received_packets: u64,
    pub received_bytes: u64,
    pub received_dropped: u64,
    pub sent_packets: u64,
    pub sent_bytes: u64,
    pub sent_dropped: u64,
}

/// Reads the kernel's counters of a device.
pub fn device_counters(namespace: &Namespace, device: &str) -> anyhow::Result<DeviceCounters> {
    let folder = format!("/sys/class/net/{device}/statistics");
    let names = ["rx_packets", "rx_bytes", "rx_dropped", "tx_packets", "tx_bytes", "tx_dropped"];
    let files = names.map(|name| format!("{folder}/{name}"));
    // `ip netns exec` mounts the namespace's own /sys.
    let printed = output_of(namespace.command("cat").args(files))?;
    let counters = printed.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>()?;
    let [received_packets, received_bytes, received_dropped, sent_packets, sent_bytes, sent_dropped] =
        counters[..]
    else {
        anyhow::bail!("{folder} has {} of six counters", counters.len());
    };
    Ok(DeviceCounters {
        received_packets,
        received_bytes,
        received_dropped,
        sent_packets,
        sent_bytes,
        sent_dropped,
    })
}
