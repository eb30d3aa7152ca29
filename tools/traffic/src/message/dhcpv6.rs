//! DHCP over IPv6: a client gets an address and a prefix (RFC 8415).

use std::net::Ipv6Addr;

use super::bytes::Bytes;
use super::words::{hex, host, joined};
use super::{Said, Script};
use crate::mix::random::Random;

const SERVER_PORT: u16 = 547;
const CLIENT_PORT: u16 = 546;

mod option {
    pub const CLIENT_ID: u16 = 1;
    pub const SERVER_ID: u16 = 2;
    pub const IA_NA: u16 = 3;
    pub const ADDRESS: u16 = 5;
    pub const PARAMETERS: u16 = 6;
    pub const STATUS: u16 = 13;
    pub const IA_PD: u16 = 25;
    pub const PREFIX: u16 = 26;
    /// RFC 4704.
    pub const FQDN: u16 = 39;
}

const SOLICIT: u8 = 1;
const ADVERTISE: u8 = 2;
const REQUEST: u8 = 3;
const REPLY: u8 = 7;

const PREFIX_BITS: u8 = 56;

struct Lease {
    client: Vec<u8>,
    server: Vec<u8>,
    name: String,
    parameters: Vec<u16>,
    address: Ipv6Addr,
    prefix: Option<Ipv6Addr>,
    valid_s: u32,
}

pub fn script(random: &mut Random) -> Script {
    let mut script = Script { client_port: Some(CLIENT_PORT), ..Script::udp(SERVER_PORT) };
    let number = random.between(1, 0xFFFF) as u16;
    let lease = Lease {
        // By link-layer address (§11.4), of Ethernet.
        client: [&[0, 3, 0, 1], &random.bytes(6)[..]].concat(),
        server: [&[0, 3, 0, 1], &random.bytes(6)[..]].concat(),
        name: host(random),
        parameters: vec![23, 24, random.between(31, 90) as u16],
        address: Ipv6Addr::new(0x2001, 0xdb8, 7, number, 0, 0, 0, 9),
        prefix: random.one_in(2).then(|| Ipv6Addr::new(0x2001, 0xdb8, number, 0, 0, 0, 0, 0)),
        valid_s: random.between(600, 86_400) as u32,
    };
    for (asked, given) in [(SOLICIT, ADVERTISE), (REQUEST, REPLY)] {
        let transaction_id = random.between(0, 0xFF_FFFF) as u32;
        lease.asks(&mut script, asked, transaction_id);
        if random.one_in(8) {
            break;
        }
        lease.gives(&mut script, given, transaction_id);
    }
    script
}

impl Lease {
    fn asks(&self, script: &mut Script, kind: u8, transaction_id: u32) {
        let mut said = message(kind, transaction_id);
        let mut bytes =
            Bytes::new().u8(kind).u24(transaction_id).put(option(option::CLIENT_ID, &self.client));
        said.set("dhcpv6_client_id", hex(&self.client));
        if kind == REQUEST {
            bytes = bytes.put(option(option::SERVER_ID, &self.server));
            said.set("dhcpv6_server_id", hex(&self.server));
        }
        let labels = self.name.split('.').fold(Bytes::new(), Bytes::sized8).u8(0);
        let parameters = self.parameters.iter().fold(Bytes::new(), |bytes, code| bytes.u16(*code));
        let bytes = bytes
            .put(option(option::FQDN, Bytes::new().u8(0).put(labels)))
            .put(option(option::PARAMETERS, parameters))
            .put(option(option::IA_NA, Bytes::new().u32(1).zeros(8)));
        script.client(bytes);
        let said = said.with("dhcpv6_fqdn", &self.name);
        script.said.push(said.with("dhcpv6_parameters", joined(&self.parameters, ",")));
    }

    fn gives(&self, script: &mut Script, kind: u8, transaction_id: u32) {
        let said = message(kind, transaction_id);
        let address = Bytes::new().put(self.address.octets()).u32(self.valid_s / 2).u32(self.valid_s);
        let association = Bytes::new().u32(1).u32(300).u32(480).put(option(option::ADDRESS, address));
        let mut bytes = Bytes::new()
            .u8(kind)
            .u24(transaction_id)
            .put(option(option::CLIENT_ID, &self.client))
            .put(option(option::SERVER_ID, &self.server))
            .put(option(option::IA_NA, association));
        let mut said = said
            .with("dhcpv6_client_id", hex(&self.client))
            .with("dhcpv6_server_id", hex(&self.server))
            .with("dhcpv6_address", self.address)
            .with("dhcpv6_valid_s", self.valid_s);
        if let Some(prefix) = self.prefix {
            let delegated =
                Bytes::new().u32(self.valid_s).u32(self.valid_s).u8(PREFIX_BITS).put(prefix.octets());
            let association = Bytes::new().u32(2).u32(300).u32(480).put(option(option::PREFIX, delegated));
            bytes = bytes.put(option(option::IA_PD, association));
            said = said.with("dhcpv6_prefix", prefix).with("dhcpv6_prefix_bits", PREFIX_BITS);
        }
        if kind == REPLY {
            bytes = bytes.put(option(option::STATUS, [0, 0]));
            said.set("dhcpv6_status", 0);
        }
        script.server(bytes);
        script.said.push(Said { is_answered: true, ..said });
    }
}

fn message(kind: u8, transaction_id: u32) -> Said {
    Said::of("dhcpv6").with("dhcpv6_message_type", kind).with("dhcpv6_transaction_id", transaction_id)
}

fn option(code: u16, value: impl AsRef<[u8]>) -> Bytes {
    Bytes::new().u16(code).sized16(value)
}
