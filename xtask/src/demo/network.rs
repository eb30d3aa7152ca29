//! The three namespaces and the two cables of the demo.

use std::fmt;

use netns::{Namespace, VethEnd, VethOptions, veth_pair};

pub const NAME_PREFIX: &str = "wireflow-demo";
pub const CLIENT_DEVICE: &str = "up0";
pub const SERVER_DEVICE: &str = "down0";
/// Where mirrored frames leave the server's namespace.
pub const TAP_DEVICE: &str = "tap0";
/// Where they arrive, and where the sensor listens.
pub const SENSOR_DEVICE: &str = "sensor0";

/// Addresses for documentation (RFC 5737, RFC 3849).
pub const CLIENT_V4: &str = "192.0.2.1";
pub const SERVER_V4: &str = "192.0.2.2";
pub const CLIENT_V6: &str = "2001:db8::1";
pub const SERVER_V6: &str = "2001:db8::2";

#[derive(Debug)]
pub struct Network {
    pub client: Namespace,
    pub server: Namespace,
    pub sensor: Namespace,
}

impl Network {
    pub fn create() -> anyhow::Result<Network> {
        let create = |role| Namespace::create(&format!("{NAME_PREFIX}-{role}"));
        let network =
            Network { client: create("client")?, server: create("server")?, sensor: create("sensor")? };
        let Network { client, server, sensor } = &network;
        veth_pair(
            &VethEnd {
                addresses: &[&format!("{CLIENT_V4}/24"), &format!("{CLIENT_V6}/64")],
                ..VethEnd::new(client, CLIENT_DEVICE)
            },
            &VethEnd {
                addresses: &[&format!("{SERVER_V4}/24"), &format!("{SERVER_V6}/64")],
                ..VethEnd::new(server, SERVER_DEVICE)
            },
            VethOptions::default(),
        )?;
        // Without addresses: this cable carries what the mirror puts on it and nothing else.
        veth_pair(
            &VethEnd::new(server, TAP_DEVICE),
            &VethEnd::new(sensor, SENSOR_DEVICE),
            VethOptions::default(),
        )?;
        // Frames as a wire would carry them: what the server's stack hands over in one piece is cut up here.
        server.ip(["link", "set", "dev", TAP_DEVICE, "gso_max_segs", "1"])?;
        // Bursts wait here instead of being lost at the 256 places of the cable's ring (Linux 6.16 and later).
        server.run(["tc", "qdisc", "add", "dev", TAP_DEVICE, "root", "pfifo", "limit", "10000"])?;
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Network { client, server, sensor } = self;
        writeln!(f, "client: {CLIENT_V4} {CLIENT_V6} on {CLIENT_DEVICE} in {}", client.name())?;
        writeln!(f, "server: {SERVER_V4} {SERVER_V6} on {SERVER_DEVICE} in {}", server.name())?;
        write!(
            f,
            "mirror: {SERVER_DEVICE} to {TAP_DEVICE}, which leads to {SENSOR_DEVICE} in {}",
            sensor.name()
        )
    }
}
