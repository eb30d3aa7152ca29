//! What applications say to each other, written from the documents that define it.
//!
//! ```text
//! Protocol ─► Script ─┬─ lines: who speaks, and which bytes
//!                     └─ said: what it means, field by field
//! ```
//!
//! A script knows no packets. It is a whole conversation of one client with one server: of a stream a line is what is
//! sent at once, however it is cut into segments; of datagrams a line is one of them. Values are drawn so that names
//! are used once: whoever finds one in a place knows where it is from.
//!
//! ```
//! use traffic::message::{Protocol, Script};
//!
//! let script = Script::new(Protocol::Ssh, 7);
//! assert!(script.lines.iter().all(|line| line.bytes.starts_with(b"SSH-2.0-")));
//! assert_eq!(script.said[0].fields.len(), 2);
//! ```

mod bytes;
mod certificate;
mod dhcp;
mod dhcpv6;
mod dns;
mod http;
mod mysql;
mod ntp;
mod postgresql;
mod radius;
mod sip;
mod snmp;
mod ssh;
mod tls;
mod unknown;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::mix::Side;
use crate::mix::random::Random;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Dhcp,
    Dhcpv6,
    Dns,
    Http,
    MySql,
    Ntp,
    PostgreSql,
    Radius,
    Sip,
    Snmp,
    Ssh,
    Tls,
    /// Bytes that are of no protocol.
    Unknown,
}

/// What carries the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    Tcp,
    Udp,
}

/// A conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    pub carrier: Carrier,
    pub server_port: u16,
    /// If the protocol does not leave it to the client.
    pub client_port: Option<u16>,
    pub lines: Vec<Line>,
    /// What is said, in the order in which it begins.
    pub said: Vec<Said>,
}

/// What one side sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub speaker: Side,
    pub bytes: Vec<u8>,
}

/// A transaction, or what a session began with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Name of the protocol.
    pub application: String,
    /// The other side answered; of protocols whose every message counts, this is the answer.
    pub is_answered: bool,
    pub fields: BTreeMap<String, String>,
}

impl Protocol {
    pub const ALL: [Protocol; 13] = [
        Protocol::Dhcp,
        Protocol::Dhcpv6,
        Protocol::Dns,
        Protocol::Http,
        Protocol::MySql,
        Protocol::Ntp,
        Protocol::PostgreSql,
        Protocol::Radius,
        Protocol::Sip,
        Protocol::Snmp,
        Protocol::Ssh,
        Protocol::Tls,
        Protocol::Unknown,
    ];
}

impl Script {
    /// The same seed gives the same script.
    pub fn new(protocol: Protocol, seed: u64) -> Script {
        Script::draw(protocol, &mut Random::new(seed))
    }

    pub(crate) fn draw(protocol: Protocol, random: &mut Random) -> Script {
        match protocol {
            Protocol::Dhcp => dhcp::script(random),
            Protocol::Dhcpv6 => dhcpv6::script(random),
            Protocol::Dns => dns::script(random),
            Protocol::Http => http::script(random),
            Protocol::MySql => mysql::script(random),
            Protocol::Ntp => ntp::script(random),
            Protocol::PostgreSql => postgresql::script(random),
            Protocol::Radius => radius::script(random),
            Protocol::Sip => sip::script(random),
            Protocol::Snmp => snmp::script(random),
            Protocol::Ssh => ssh::script(random),
            Protocol::Tls => tls::script(random),
            Protocol::Unknown => unknown::script(random),
        }
    }

    fn tcp(server_port: u16) -> Script {
        Script { carrier: Carrier::Tcp, server_port, client_port: None, lines: Vec::new(), said: Vec::new() }
    }

    fn udp(server_port: u16) -> Script {
        Script { carrier: Carrier::Udp, ..Script::tcp(server_port) }
    }

    fn client(&mut self, bytes: impl AsRef<[u8]>) {
        self.line(Side::Client, bytes);
    }

    fn server(&mut self, bytes: impl AsRef<[u8]>) {
        self.line(Side::Server, bytes);
    }

    fn line(&mut self, speaker: Side, bytes: impl AsRef<[u8]>) {
        self.lines.push(Line { speaker, bytes: bytes.as_ref().to_vec() });
    }
}

impl Said {
    fn of(application: &str) -> Said {
        Said { application: application.to_owned(), is_answered: false, fields: BTreeMap::new() }
    }

    #[must_use]
    fn with(mut self, field: &str, value: impl ToString) -> Said {
        self.set(field, value);
        self
    }

    #[expect(clippy::needless_pass_by_value, reason = "Texts and numbers read best without a reference.")]
    fn set(&mut self, field: &str, value: impl ToString) {
        self.fields.insert(field.to_owned(), value.to_string());
    }
}
