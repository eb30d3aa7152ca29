//! Makes Initial packets, for tests and fuzz targets: without their keys nothing gets past the first tag.

use super::{
    keys::{KeyPair, Keys},
    opener::Role,
    protection::{Gcm, TAG_BYTES, header_mask},
    version::{PacketType, Version},
};

/// The hello of RFC 9001, section A.2: for example.com, with the ALPN value `alpn`.
pub const CLIENT_HELLO: &str = "
    010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c0000041301130201
    0000c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d00170018001000070005
    04616c706e000500050100000000003300260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f
    1ce15d43e994ec74d748002b0003020304000d0010000e0403050306030203080408050806002d00020101001c00
    024001003900320408ffffffffffffffff05048000ffff07048000ffff0801100104800075300901100f088394c8
    f03e51570806048000ffff";

/// The hello of RFC 9001, section A.3, which selects cipher suite 0x1301.
pub const SERVER_HELLO: &str = "
    020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc79825df566dc5430b9a045a1200130100002e0033
    0024001d00209d3c940d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a002b00020304";

/// What an Initial packet is made of.
#[derive(Clone, Debug)]
pub struct Sealer {
    pub version: u32,
    /// The id that keys follow from.
    pub first_destination: Vec<u8>,
    pub role: Role,
    pub destination: Vec<u8>,
    pub source: Vec<u8>,
    pub token: Vec<u8>,
    pub number: u32,
    pub number_bytes: usize,
}

impl Sealer {
    /// The first packet of a client.
    pub fn client(version: u32) -> Sealer {
        let destination = hex("8394c8f03e515708");
        Sealer {
            version,
            first_destination: destination.clone(),
            role: Role::Client,
            destination,
            source: Vec::new(),
            token: Vec::new(),
            number: 2,
            number_bytes: 4,
        }
    }

    /// The first packet of its server.
    pub fn server(version: u32) -> Sealer {
        Sealer {
            role: Role::Server,
            destination: Vec::new(),
            source: hex("f067a5502a4262b5"),
            number: 1,
            number_bytes: 2,
            ..Sealer::client(version)
        }
    }

    pub fn keys(&self) -> Keys {
        let protection = Version::find(self.version).unwrap().protection.unwrap();
        let pair = KeyPair::derive(protection, &self.first_destination);
        match self.role {
            Role::Client => pair.client,
            Role::Server => pair.server,
        }
    }

    /// The header before it is protected.
    pub fn header(&self, payload_bytes: usize) -> Vec<u8> {
        let version = Version::find(self.version).unwrap();
        let kind = version.types.iter().position(|kind| *kind == PacketType::Initial).unwrap() as u8;
        let mut header = vec![0xc0 | kind << 4 | (self.number_bytes as u8 - 1)];
        header.extend(self.version.to_be_bytes());
        for id in [&self.destination, &self.source] {
            header.push(id.len() as u8);
            header.extend(id);
        }
        header.extend(varint(self.token.len()));
        header.extend(&self.token);
        let length = self.number_bytes + payload_bytes + TAG_BYTES;
        header.extend((0x4000 | length as u16).to_be_bytes());
        header.extend(&self.number.to_be_bytes()[4 - self.number_bytes..]);
        header
    }

    pub fn seal(&self, payload: &[u8]) -> Vec<u8> {
        let keys = self.keys();
        let header = self.header(payload.len());
        let gcm = Gcm::new(&keys, self.number);
        let mut text = payload.to_vec();
        gcm.apply(&mut text);
        let tag = gcm.tag(&header, &text);
        let number_at = header.len() - self.number_bytes;
        let mut packet = [header, text, tag.to_vec()].concat();
        let sample = packet[number_at + 4..].first_chunk().unwrap();
        let mask = header_mask(&keys, sample);
        packet[0] ^= mask[0] & 0x0f;
        for (byte, mask) in packet[number_at..].iter_mut().zip(&mask[1..=self.number_bytes]) {
            *byte ^= mask;
        }
        packet
    }

    /// With padding behind the frames, up to the size that a client's datagrams have.
    pub fn seal_padded(&self, frames: &[u8]) -> Vec<u8> {
        let overhead = self.header(1200).len() + TAG_BYTES;
        let mut payload = frames.to_vec();
        payload.resize(payload.len().max(1200 - overhead), 0);
        self.seal(&payload)
    }
}

/// A CRYPTO frame.
pub fn crypto(offset: usize, data: &[u8]) -> Vec<u8> {
    [&[0x06][..], &varint(offset), &varint(data.len()), data].concat()
}

pub fn varint(value: usize) -> Vec<u8> {
    if value < 0x40 { vec![value as u8] } else { (0x4000 | value as u16).to_be_bytes().to_vec() }
}

pub fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        digits.bytes().filter_map(|digit| (digit as char).to_digit(16)).map(|d| d as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
