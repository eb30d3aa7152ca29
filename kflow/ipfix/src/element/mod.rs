//! Information elements: what a field of a template is called, how long it is, and how it is read from a record.
//!
//! Elements come in parts, and a template is made of the parts that a record has something in. IANA's elements keep
//! IANA's numbers; this project's own ([`own`]) have numbers from 10000 on under the configured enterprise, beyond all
//! that IANA has given out, for collectors that look at numbers only.

pub(crate) mod application;
pub(crate) mod netflow;
pub(crate) mod own;
pub(crate) mod standard;

use kflow::{DirectionCounters, FlowRecord, TcpDirection};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The length that says that each record says it (RFC 7011, 3.2).
pub(crate) const VARIABLE: u16 = 0xFFFF;

/// An information element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element {
    pub number: u16,
    pub namespace: Namespace,
    /// Bytes of the value, or [`VARIABLE`].
    pub length: u16,
    /// IANA's name; of own elements that of the column, without `forward_` where it is of a direction.
    pub name: &'static str,
    pub write: Write,
}

/// Whose number an element has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Namespace {
    Iana,
    Own {
        /// The number for the other direction in a record of both; 0 for elements of the whole flow.
        reverse: u16,
    },
}

/// How a value is read and written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Write {
    /// In as many bytes as the element is long.
    Number(fn(&Side<'_>) -> u64),
    /// So many bytes, or with the length in front.
    Bytes(fn(&Side<'_>, &mut Vec<u8>)),
    /// The field at this place of the application's protocol.
    Application(u8),
}

/// Who sent the packets that a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Source,
    Destination,
}

/// A record as the sender of one direction sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side<'a> {
    pub record: &'a FlowRecord,
    pub sender: Sender,
    /// What times of NetFlow count from, milliseconds since the Unix epoch.
    pub boot_ms: u64,
}

impl<'a> Side<'a> {
    /// The same from the other end.
    pub fn turned(self) -> Side<'a> {
        Side { sender: self.sender.other(), ..self }
    }

    pub fn counters(&self) -> &'a DirectionCounters {
        match self.sender {
            Sender::Source => &self.record.forward,
            Sender::Destination => &self.record.reverse,
        }
    }

    pub fn tcp(&self) -> &'a TcpDirection {
        match self.sender {
            Sender::Source => &self.record.tcp.forward,
            Sender::Destination => &self.record.tcp.reverse,
        }
    }

    pub fn from(&self) -> &'a kflow::Endpoint {
        match self.sender {
            Sender::Source => &self.record.source,
            Sender::Destination => &self.record.destination,
        }
    }

    pub fn to(&self) -> &'a kflow::Endpoint {
        self.turned().from()
    }

    /// Outer addresses of the sender's packets.
    pub fn tunnel_ends(&self) -> (IpAddr, IpAddr) {
        let tunnel = &self.record.tunnel;
        // Of a flow whose source sent nothing, the record has those of the other direction.
        let is_turned = self.sender == Sender::Destination && self.record.forward.packets > 0;
        if is_turned { (tunnel.destination, tunnel.source) } else { (tunnel.source, tunnel.destination) }
    }

    /// Never behind the end.
    pub fn start_ms(&self) -> u64 {
        self.record.start_ns.min(self.record.end_ns) / 1_000_000
    }

    pub fn end_ms(&self) -> u64 {
        self.record.end_ns / 1_000_000
    }
}

impl Sender {
    pub fn other(self) -> Sender {
        match self {
            Sender::Source => Sender::Destination,
            Sender::Destination => Sender::Source,
        }
    }
}

impl Element {
    /// Appends the value, without its length.
    pub fn write(&self, side: &Side<'_>, output: &mut Vec<u8>) {
        match self.write {
            Write::Number(value) => write_number(value(side), self.length, output),
            Write::Bytes(write) => write(side, output),
            Write::Application(_) => unreachable!("values of applications are written by `application`"),
        }
    }
}

/// The low bytes of a number in network order.
pub(crate) fn write_number(number: u64, length: u16, output: &mut Vec<u8>) {
    output.extend_from_slice(&number.to_be_bytes()[8 - usize::from(length)..]);
}

/// A length and so many bytes (RFC 7011, 7).
pub(crate) fn write_variable(bytes: &[u8], output: &mut Vec<u8>) {
    match u8::try_from(bytes.len()) {
        Ok(length) if length < 255 => output.push(length),
        _ => {
            output.push(255);
            output.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
        }
    }
    output.extend_from_slice(bytes);
}

/// An address where a template has IPv4 ones; they are of one family.
pub(crate) fn write_ipv4(address: IpAddr, output: &mut Vec<u8>) {
    let address = match address {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    };
    output.extend_from_slice(&address.octets());
}

pub(crate) fn write_ipv6(address: IpAddr, output: &mut Vec<u8>) {
    let address: Ipv6Addr = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    output.extend_from_slice(&address.octets());
}

/// An element of IANA's.
pub(crate) const fn iana(
    number: u16,
    length: u16,
    name: &'static str,
    value: fn(&Side<'_>) -> u64,
) -> Element {
    Element { number, namespace: Namespace::Iana, length, name, write: Write::Number(value) }
}

/// The same of a value that is no number.
pub(crate) const fn iana_bytes(
    number: u16,
    length: u16,
    name: &'static str,
    write: fn(&Side<'_>, &mut Vec<u8>),
) -> Element {
    Element { number, namespace: Namespace::Iana, length, name, write: Write::Bytes(write) }
}
