//! Messages for tests and seeds, part by part.

use super::message::{HEADER_BYTES, flag};
use crate::parser::{Sender, Transport};

/// Where the first question's name is.
pub const FIRST_NAME: &[u8] = &[0xC0, HEADER_BYTES as u8];

pub const A: u16 = 1;
pub const CNAME: u16 = 5;
pub const SOA: u16 = 6;
pub const PTR: u16 = 12;
pub const MX: u16 = 15;
pub const TXT: u16 = 16;
pub const AAAA: u16 = 28;
pub const SRV: u16 = 33;
pub const NAPTR: u16 = 35;
pub const OPT: u16 = 41;
pub const DS: u16 = 43;
pub const RRSIG: u16 = 46;
pub const HTTPS: u16 = 65;
pub const AXFR: u16 = 252;
pub const CAA: u16 = 257;

pub const IN: u16 = 1;

/// Sections of records, by the place of their count in the header.
pub const ANSWER: usize = 6;
pub const ADDITIONAL: usize = 10;

/// A message, and who says it.
pub type Said = (Sender, Vec<u8>);

/// Conversations with a message of each kind and a record of each type that is told.
pub fn conversations() -> [(Transport, Vec<Said>); 4] {
    use Sender::{Destination, Source};
    let host = Build::query(1, "www.example.com", A).edns(1232, 0, 0x8000);
    let host_answer = Build::answer(1, "www.example.com", A)
        .says(CNAME, 60, &[&piece(b"web")[..], &[0xC0, 16]].concat())
        .says(A, 300, &[192, 0, 2, 1])
        .says(AAAA, 300, &[0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
        .edns(512, 0, 0);
    let refused = Build::new(1, flag::RESPONSE | 5);
    let service = Build::new(0, 0).question(&wire("_ipp._tcp.local"), PTR, IN);
    let service_answer = Build::new(0, flag::RESPONSE | flag::AUTHORITATIVE)
        .record(
            ANSWER,
            &wire("_ipp._tcp.local"),
            PTR,
            IN,
            120,
            &[&piece(b"Room 2.1")[..], FIRST_NAME].concat(),
        )
        .record(
            ANSWER,
            FIRST_NAME,
            SRV,
            IN,
            120,
            &[&[0, 0, 0, 0, 2, 0x77][..], &wire("printer.local")].concat(),
        )
        .record(ANSWER, FIRST_NAME, TXT, IN, 120, &[piece(b"rp=ipp/print"), piece(b"ty=a;b")].concat());
    let zone = Build::query(3, "example.com", AXFR);
    let zone_answer = Build::answer(3, "example.com", AXFR)
        .says(SOA, 300, &[&wire("ns.example.com")[..], FIRST_NAME, &[0; 20]].concat())
        .says(MX, 300, &[&[0, 10], FIRST_NAME].concat())
        .says(DS, 300, &[0xFF, 0xFF, 8, 2, 0xAB, 0x01])
        .says(
            NAPTR,
            300,
            &[&[0, 100, 0, 10][..], &piece(b"u"), &piece(b"E2U+sip"), &piece(b"!x!y!"), &[0]].concat(),
        )
        .says(
            HTTPS,
            300,
            &[&[0, 1, 0, 0, 1, 0, 6][..], &piece(b"h2"), &piece(b"h3"), &[0, 3, 0, 2, 1, 0xBB]].concat(),
        )
        .says(CAA, 300, &[&[0][..], &piece(b"issue"), b"ca.example"].concat())
        .says(RRSIG, 300, &[&[0, 1, 8, 2][..], &[0; 14], FIRST_NAME, b"signature"].concat());
    let datagrams = [
        vec![(Source, host.clone().bytes()), (Destination, host_answer.clone().bytes())],
        vec![(Source, host.clone().bytes()), (Source, host.clone().bytes()), (Destination, refused.bytes())],
        vec![(Source, service.bytes()), (Destination, service_answer.bytes())],
    ];
    let stream = vec![
        (Source, host.framed()),
        (Source, zone.framed()),
        (Destination, zone_answer.framed()),
        (Destination, host_answer.framed()),
    ];
    let [first, second, third] = datagrams.map(|messages| (Transport::Udp, messages));
    [first, second, third, (Transport::Tcp, stream)]
}

/// A message. Counts follow what is added.
#[derive(Clone, Debug)]
pub struct Build(Vec<u8>);

impl Build {
    pub fn new(id: u16, flags: u16) -> Build {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[..2].copy_from_slice(&id.to_be_bytes());
        bytes[2..4].copy_from_slice(&flags.to_be_bytes());
        Build(bytes)
    }

    pub fn query(id: u16, name: &str, kind: u16) -> Build {
        Build::new(id, flag::RECURSION_DESIRED).question(&wire(name), kind, IN)
    }

    pub fn answer(id: u16, name: &str, kind: u16) -> Build {
        Build::new(id, flag::RESPONSE | flag::RECURSION_DESIRED).question(&wire(name), kind, IN)
    }

    pub fn question(mut self, name: &[u8], kind: u16, class: u16) -> Build {
        self.0.extend_from_slice(name);
        self.0.extend_from_slice(&kind.to_be_bytes());
        self.0.extend_from_slice(&class.to_be_bytes());
        self.counted(4)
    }

    pub fn record(
        mut self,
        section: usize,
        name: &[u8],
        kind: u16,
        class: u16,
        ttl: u32,
        data: &[u8],
    ) -> Build {
        self.0.extend_from_slice(name);
        self.0.extend_from_slice(&kind.to_be_bytes());
        self.0.extend_from_slice(&class.to_be_bytes());
        self.0.extend_from_slice(&ttl.to_be_bytes());
        self.0.extend_from_slice(&(data.len() as u16).to_be_bytes());
        self.0.extend_from_slice(data);
        self.counted(section)
    }

    /// An answer record about the first question.
    pub fn says(self, kind: u16, ttl: u32, data: &[u8]) -> Build {
        self.record(ANSWER, FIRST_NAME, kind, IN, ttl, data)
    }

    pub fn edns(self, udp_bytes: u16, rcode: u8, flags: u16) -> Build {
        let ttl = u32::from(rcode) << 24 | u32::from(flags);
        self.record(ADDITIONAL, &[0], OPT, udp_bytes, ttl, &[])
    }

    pub fn bytes(self) -> Vec<u8> {
        self.0
    }

    /// With its length before it, for a stream.
    pub fn framed(self) -> Vec<u8> {
        let mut framed = (self.0.len() as u16).to_be_bytes().to_vec();
        framed.extend_from_slice(&self.0);
        framed
    }

    fn counted(mut self, place: usize) -> Build {
        let count = u16::from_be_bytes([self.0[place], self.0[place + 1]]) + 1;
        self.0[place..place + 2].copy_from_slice(&count.to_be_bytes());
        self
    }
}

/// A name as labels.
pub fn wire(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut bytes: Vec<u8> = labels.flat_map(|label| piece(label.as_bytes())).collect();
    bytes.push(0);
    bytes
}

/// Bytes with their length before them.
pub fn piece(bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).expect("a piece is short");
    [&[length], bytes].concat()
}
