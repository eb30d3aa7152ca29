//! Messages for tests, part by part.

use super::message::{HEADER_BYTES, flag};

/// Where the first question's name is.
pub const FIRST_NAME: &[u8] = &[0xC0, HEADER_BYTES as u8];

pub const A: u16 = 1;
pub const CNAME: u16 = 5;
pub const PTR: u16 = 12;
pub const TXT: u16 = 16;
pub const AAAA: u16 = 28;
pub const SRV: u16 = 33;
pub const OPT: u16 = 41;
pub const AXFR: u16 = 252;

pub const IN: u16 = 1;

/// Sections of records, by the place of their count in the header.
pub const ANSWER: usize = 6;
pub const ADDITIONAL: usize = 10;

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
