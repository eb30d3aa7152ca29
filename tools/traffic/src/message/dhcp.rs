//! DHCP: a client gets an address (RFC 2131, RFC 2132).

use std::net::Ipv4Addr;

use super::bytes::Bytes;
use super::words::{hex, host, joined, word};
use super::{Said, Script};
use crate::mix::random::Random;

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;

mod option {
    pub const HOST_NAME: u8 = 12;
    pub const DOMAIN: u8 = 15;
    pub const REQUESTED_ADDRESS: u8 = 50;
    pub const LEASE: u8 = 51;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER_ID: u8 = 54;
    pub const PARAMETERS: u8 = 55;
    pub const VENDOR_CLASS: u8 = 60;
    pub const CLIENT_ID: u8 = 61;
    pub const END: u8 = 255;
}

const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;
const NAK: u8 = 6;

/// Who asks, and what is given.
struct Lease {
    transaction_id: u32,
    mac: Vec<u8>,
    name: String,
    vendor: String,
    parameters: Vec<u8>,
    address: Ipv4Addr,
    server: Ipv4Addr,
    domain: String,
    lease_s: u32,
}

pub fn script(random: &mut Random) -> Script {
    let mut script = Script { client_port: Some(CLIENT_PORT), ..Script::udp(SERVER_PORT) };
    let lease = Lease {
        transaction_id: random.next_u64() as u32,
        mac: random.bytes(6),
        name: word(random),
        vendor: word(random),
        parameters: (0..random.between(2, 8)).map(|_| random.between(1, 80) as u8).collect(),
        address: Ipv4Addr::new(172, 16, random.between(0, 255) as u8, random.between(1, 254) as u8),
        server: Ipv4Addr::new(172, 31, 0, random.between(1, 254) as u8),
        domain: host(random),
        lease_s: random.between(600, 86_400) as u32,
    };
    if random.one_in(2) {
        lease.asks(&mut script, DISCOVER);
        lease.gives(&mut script, OFFER);
    }
    lease.asks(&mut script, REQUEST);
    match random.between(0, 9) {
        0 => {}
        1 => lease.gives(&mut script, NAK),
        _ => lease.gives(&mut script, ACK),
    }
    script
}

impl Lease {
    fn asks(&self, script: &mut Script, kind: u8) {
        let mut message = Message::new(self, 1, kind);
        message.option(option::CLIENT_ID, [&[1], &self.mac[..]].concat());
        message.said.set("dhcp_client_id", format!("01{}", hex(&self.mac)));
        message.text(option::HOST_NAME, "dhcp_host_name", &self.name);
        message.text(option::VENDOR_CLASS, "dhcp_vendor_class", &self.vendor);
        message.option(option::PARAMETERS, &self.parameters);
        message.said.set("dhcp_parameters", joined(&self.parameters, ","));
        if kind == REQUEST {
            message.address(option::REQUESTED_ADDRESS, "dhcp_requested_address", self.address);
            message.address(option::SERVER_ID, "dhcp_server_id", self.server);
        }
        script.client(message.bytes(self, Ipv4Addr::UNSPECIFIED));
        script.said.push(message.said);
    }

    fn gives(&self, script: &mut Script, kind: u8) {
        let mut message = Message::new(self, 2, kind);
        message.address(option::SERVER_ID, "dhcp_server_id", self.server);
        let mut address = Ipv4Addr::UNSPECIFIED;
        if kind != NAK {
            message.option(option::LEASE, self.lease_s.to_be_bytes());
            message.said.set("dhcp_lease_s", self.lease_s);
            message.text(option::DOMAIN, "dhcp_domain", &self.domain);
            message.said.set("dhcp_your_address", self.address);
            address = self.address;
        }
        script.server(message.bytes(self, address));
        script.said.push(Said { is_answered: true, ..message.said });
    }
}

struct Message {
    operation: u8,
    options: Bytes,
    said: Said,
}

impl Message {
    fn new(lease: &Lease, operation: u8, kind: u8) -> Message {
        let mac: Vec<String> = lease.mac.iter().map(|byte| format!("{byte:02x}")).collect();
        let said = Said::of("dhcp")
            .with("dhcp_client_mac", mac.join(":"))
            .with("dhcp_operation", operation)
            .with("dhcp_message_type", kind)
            .with("dhcp_transaction_id", lease.transaction_id)
            .with("dhcp_client_address", Ipv4Addr::UNSPECIFIED)
            .with("dhcp_your_address", Ipv4Addr::UNSPECIFIED)
            .with("dhcp_server_address", Ipv4Addr::UNSPECIFIED);
        let mut message = Message { operation, options: Bytes::new(), said };
        message.option(option::MESSAGE_TYPE, [kind]);
        message
    }

    fn option(&mut self, code: u8, value: impl AsRef<[u8]>) {
        self.options = std::mem::take(&mut self.options).u8(code).sized8(value);
    }

    fn text(&mut self, code: u8, field: &str, value: &str) {
        self.option(code, value);
        self.said.set(field, value);
    }

    fn address(&mut self, code: u8, field: &str, value: Ipv4Addr) {
        self.option(code, value.octets());
        self.said.set(field, value);
    }

    fn bytes(&self, lease: &Lease, your_address: Ipv4Addr) -> Bytes {
        // Ethernet, six bytes of address, no hops; no seconds, no flags; no address of the client's own.
        let head = Bytes::new().put([self.operation, 1, 6, 0]).u32(lease.transaction_id).u32(0).u32(0);
        let head = head.put(your_address.octets()).zeros(8).put(&lease.mac).zeros(10 + 64 + 128);
        head.put([0x63, 0x82, 0x53, 0x63]).put(&self.options).u8(option::END)
    }
}
