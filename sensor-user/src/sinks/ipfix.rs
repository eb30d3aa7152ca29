//! Collectors of IPFIX and NetFlow.

use crate::config::{CollectorConfig, CollectorTransactions, CollectorTransport, ExportConfig};
use anyhow::{Context, Result};
use kflow_ipfix::{Format, IpfixConfig, IpfixSink, Transactions, Transport};
use std::{net::ToSocketAddrs, time::Duration};

/// Those that the config names, with the key of each.
pub fn collectors(export: &ExportConfig) -> impl Iterator<Item = (&'static str, Format, &CollectorConfig)> {
    let ipfix = export.ipfix.as_ref().map(|collector| ("export.ipfix", Format::Ipfix, collector));
    let netflow_v9 =
        export.netflow_v9.as_ref().map(|collector| ("export.netflow_v9", Format::NetflowV9, collector));
    ipfix.into_iter().chain(netflow_v9)
}

pub fn open(format: Format, config: &CollectorConfig) -> Result<IpfixSink> {
    let name = &config.collector;
    // Once, at the start: a resolver may take its time.
    let mut addresses = name.to_socket_addrs().with_context(|| format!("find the collector {name}"))?;
    let collector = addresses.next().with_context(|| format!("the collector {name} has no address"))?;
    let sink = IpfixSink::open(IpfixConfig {
        format,
        transport: match config.transport {
            CollectorTransport::Udp => Transport::Udp,
            CollectorTransport::Tcp => Transport::Tcp,
        },
        domain: config.domain,
        enterprise: config.enterprise,
        message_bytes_max: config.message_bytes,
        template_refresh: Duration::from_secs(config.template_refresh_s),
        transactions: match config.transactions {
            CollectorTransactions::LeaveOut => Transactions::LeaveOut,
            CollectorTransactions::Options => Transactions::Options,
        },
        ..IpfixConfig::new(collector)
    })?;
    Ok(sink)
}
